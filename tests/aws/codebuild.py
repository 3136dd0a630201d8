"""CodeBuild as AWS documents it: projects that keep every field, and builds that honour every override."""

import copy
import re

from moto.codebuild.models import CodeBuild as MotoProject
from moto.codebuild.models import codebuild_backends
from moto.codebuild.responses import CodeBuildResponse

from build import Build
from errors import Refused
from identity import role_trusts
from overlay import replace
from paging import page
from world import utc

OPERATIONS = (
    "CreateProject", "UpdateProject", "DeleteProject", "BatchGetProjects", "ListProjects",
    "StartBuild", "StopBuild", "BatchGetBuilds", "ListBuilds", "ListBuildsForProject",
)
TOKEN_LIFE_S = 300
MAX_BATCH = 100
# Overrides whose member of a build, or of its environment or source, has another name than the override.
SOURCE_OVERRIDES = {
    "sourceTypeOverride": "type", "sourceLocationOverride": "location", "buildspecOverride": "buildspec",
    "sourceAuthOverride": "auth", "gitCloneDepthOverride": "gitCloneDepth", "insecureSslOverride": "insecureSsl",
    "gitSubmodulesConfigOverride": "gitSubmodulesConfig", "reportBuildStatusOverride": "reportBuildStatus",
    "buildStatusConfigOverride": "buildStatusConfig",
}
ENVIRONMENT_OVERRIDES = {
    "environmentTypeOverride": "type", "imageOverride": "image", "computeTypeOverride": "computeType",
    "certificateOverride": "certificate", "privilegedModeOverride": "privilegedMode", "fleetOverride": "fleet",
    "registryCredentialOverride": "registryCredential", "hostKernelOverride": "hostKernel",
    "imagePullCredentialsTypeOverride": "imagePullCredentialsType",
}
BUILD_OVERRIDES = {
    "artifactsOverride": "artifacts", "secondaryArtifactsOverride": "secondaryArtifacts", "cacheOverride": "cache",
    "secondarySourcesOverride": "secondarySources", "secondarySourcesVersionOverride": "secondarySourceVersions",
    "serviceRoleOverride": "serviceRole", "timeoutInMinutesOverride": "timeoutInMinutes",
    "queuedTimeoutInMinutesOverride": "queuedTimeoutInMinutes", "encryptionKeyOverride": "encryptionKey",
    "sourceVersion": "sourceVersion",
}
FROM_PROJECT = (
    "artifacts", "secondaryArtifacts", "secondarySources", "secondarySourceVersions", "cache", "serviceRole",
    "timeoutInMinutes", "queuedTimeoutInMinutes", "encryptionKey", "vpcConfig", "fileSystemLocations", "sourceVersion",
)


class CodeBuild:
    def __init__(self, world):
        self._world = world
        world.on_reset(self._forget)
        world.on_settle(self._settle)
        self._forget()

    def discard_builds(self):
        """As if nothing had ever been built; numbers begin anew with the projects."""
        self._forget()

    def _forget(self):
        for build in getattr(self, "_builds", {}).values():
            build.discard()
        self._builds = {}
        self._numbers = {}
        self._tokens = {}

    def _settle(self, now):
        for build in self._builds.values():
            if not build.complete:
                build.settle(now)

    # Projects

    def create_project(self, call):
        params = call.params
        projects = _projects(call)
        if params["name"] in projects:
            raise Refused("ResourceAlreadyExistsException", f"Project already exists: {_project_arn(call, params['name'])}")
        _check_project(self._world, call, params)
        now = self._world.clock.now()
        moto_project = MotoProject(call.account, call.region, params["name"], None, {}, {}, {}, params["serviceRole"])
        moto_project.project_metadata = {
            "timeoutInMinutes": 60, "queuedTimeoutInMinutes": 480, "cache": {"type": "NO_CACHE"}, "tags": [],
            "encryptionKey": call.arn("kms", "alias/aws/s3"), "projectVisibility": "PRIVATE",
            "secondarySources": [], "secondaryArtifacts": [], "secondarySourceVersions": [],
            **_project_members(params),
            "arn": _project_arn(call, params["name"]),
            "badge": {"badgeEnabled": bool(params.get("badgeEnabled"))},
            "created": utc(now), "lastModified": utc(now),
        }
        moto_project.born = now
        projects[params["name"]] = moto_project
        codebuild_backends[call.account][call.region].build_history.setdefault(params["name"], [])
        return {"project": moto_project.project_metadata}

    def update_project(self, call):
        project = _get_project(call, call.params["name"])
        merged = {**project, **_project_members(call.params)}
        _check_project(self._world, call, merged)
        project.update(merged, lastModified=utc(self._world.clock.now()))
        if "badgeEnabled" in call.params:
            project["badge"] = {"badgeEnabled": bool(call.params["badgeEnabled"])}
        return {"project": project}

    def delete_project(self, call):
        _projects(call).pop(_name_of(call.params["name"]), None)
        return {}

    def batch_get_projects(self, call):
        names = call.params["names"]
        projects = {name: project for name, project in _projects(call).items() if not self._unseen(call, project.born)}
        return {
            "projects": [projects[_name_of(n)].project_metadata for n in names if _name_of(n) in projects],
            "projectsNotFound": [n for n in names if _name_of(n) not in projects],
        }

    def list_projects(self, call):
        seen = [name for name, project in _projects(call).items() if not self._unseen(call, project.born)]
        names, following = page(sorted(seen), call.params.get("nextToken"), invalid=BAD_TOKEN)
        return {"projects": names, "nextToken": following}

    # Builds

    def start_build(self, call):
        now = self._world.clock.now()
        project = _get_project(call, call.params["projectName"])
        known = self._find_by_token(call, project["name"], now)
        if known:
            return {"build": known.record}
        self._check_limit(project)
        record = self._new_record(call, project, now)
        if not role_trusts(self._world, call.account, record["serviceRole"], "codebuild.amazonaws.com"):
            raise _cannot_assume(record["serviceRole"])
        build = Build(self._world, call.account, call.region, record, now)
        self._builds[record["id"]] = build
        codebuild_backends[call.account][call.region].build_history[project["name"]].append(record["id"])
        if call.params.get("idempotencyToken"):
            key = (project["name"], call.params["idempotencyToken"])
            self._tokens[key] = (now + TOKEN_LIFE_S, copy.deepcopy(call.params), build)
        build.settle(now)
        return {"build": record}

    def stop_build(self, call):
        build = self._builds.get(_build_id(call.params["id"]))
        if build is None:
            raise Refused("ResourceNotFoundException", f"Build {call.params['id']} does not exist")
        build.stop(self._world.clock.now())
        return {"build": build.record}

    def batch_get_builds(self, call):
        ids = call.params["ids"]
        if len(ids) > MAX_BATCH:
            raise Refused("InvalidInputException", f"Invalid build ids: the list must have at most {MAX_BATCH} items")
        for build_id in ids:
            if ":" not in build_id:
                raise Refused("InvalidInputException", f"Invalid build ID: {build_id}")
        known = {i: self._builds[_build_id(i)] for i in ids if _build_id(i) in self._builds}
        found = {i: build.record for i, build in known.items() if not self._unseen(call, build.started)}
        return {"builds": list(found.values()), "buildsNotFound": [i for i in ids if i not in found]}

    def list_builds(self, call):
        ids = [build.record["id"] for build in self._builds.values()]
        return self._page_of_ids(call, ids)

    def list_builds_for_project(self, call):
        project = _get_project(call, call.params["projectName"])
        return self._page_of_ids(call, codebuild_backends[call.account][call.region].build_history[project["name"]])

    def _page_of_ids(self, call, ids):
        ids = [i for i in ids if not self._unseen(call, self._builds[i].started)]
        newest_first = call.params.get("sortOrder", "DESCENDING") == "DESCENDING"
        ordered = list(reversed(ids)) if newest_first else list(ids)
        ids, following = page(ordered, call.params.get("nextToken"), invalid=BAD_TOKEN)
        return {"ids": ids, "nextToken": following}

    def _find_by_token(self, call, project, now):
        expires, params, build = self._tokens.get((project, call.params.get("idempotencyToken")), (0, None, None))
        if build is None or expires <= now:
            return None
        if params != call.params:
            raise Refused("InvalidInputException", "Parameter mismatch: the idempotency token was used with other parameters")
        return build

    def _unseen(self, call, since):
        return self._world.unseen(call.access_key, "codebuild", since)

    def stop_by_somebody(self, project):
        """A console user stops the project's running builds; returns their ids."""
        running = [b for b in self._builds.values() if b.record["projectName"] == project and not b.complete]
        for build in running:
            build.stop(self._world.clock.now())
        return [build.record["id"] for build in running]

    def running(self):
        return [build for build in self._builds.values() if not build.complete]

    def _check_limit(self, project):
        account_limit = self._world.limits["concurrent_builds"]
        if account_limit is not None and len(self.running()) >= account_limit:
            raise Refused("AccountLimitExceededException", f"Cannot have more than {account_limit:g} builds in queue for the account")
        limit = project.get("concurrentBuildLimit")
        running = [b for b in self._builds.values() if b.record["projectName"] == project["name"] and not b.complete]
        if limit and len(running) >= limit:
            raise Refused("AccountLimitExceededException", f"Cannot have more than {limit} active builds for the project")

    def _new_record(self, call, project, now):
        """A build as BatchGetBuilds shows it: the project's settings of this moment, with this call's overrides."""
        name = project["name"]
        self._numbers[name] = self._numbers.get(name, 0) + 1
        build_id = f"{name}:{self._world.next_uuid('build')}"
        record = {member: copy.deepcopy(project[member]) for member in FROM_PROJECT if project.get(member) is not None}
        _override(record, call.params, BUILD_OVERRIDES)
        record["source"] = copy.deepcopy(project["source"])
        _override(record["source"], call.params, SOURCE_OVERRIDES)
        record["environment"] = copy.deepcopy(project["environment"])
        _override(record["environment"], call.params, ENVIRONMENT_OVERRIDES)
        record["environment"]["environmentVariables"] = _variables(project, call.params)
        record.update(
            id=build_id, arn=call.arn("codebuild", f"build/{build_id}"), buildNumber=self._numbers[name],
            projectName=name, startTime=utc(now), buildStatus="IN_PROGRESS", buildComplete=False,
            initiator="root", logs=_logs(call, project), exportedEnvironmentVariables=[],
        )
        return record


def _projects(call):
    return codebuild_backends[call.account][call.region].codebuild_projects


def _name_of(name_or_arn):
    return name_or_arn.rpartition(":project/")[2]


def _build_id(id_or_arn):
    return id_or_arn.rpartition(":build/")[2]


def _project_arn(call, name):
    return call.arn("codebuild", f"project/{name}")


def _get_project(call, name):
    project = _projects(call).get(_name_of(name))
    if project is None:
        raise Refused("ResourceNotFoundException", f"Project cannot be found: {_project_arn(call, _name_of(name))}")
    return project.project_metadata


def _project_members(params):
    return {key: copy.deepcopy(value) for key, value in params.items() if key != "badgeEnabled"}


def _check_project(world, call, project):
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9\-_]{1,149}", project["name"]):
        raise Refused("InvalidInputException", "Only alphanumeric characters, dash, and underscore are supported")
    source, artifacts = project["source"], project["artifacts"]
    if source["type"] not in ("NO_SOURCE", "CODEPIPELINE") and not source.get("location"):
        raise Refused("InvalidInputException", "Project source location is required")
    if source["type"] == "S3" and "/" not in source["location"]:
        raise Refused("InvalidInputException", "Invalid project source: location must be a valid S3 source")
    if source["type"] == "NO_SOURCE" and not source.get("buildspec"):
        raise Refused("InvalidInputException", "Buildspec must be specified when source type is NO_SOURCE")
    if artifacts["type"] == "NO_ARTIFACTS" and artifacts.get("location"):
        raise Refused("InvalidInputException", "Invalid artifacts: artifact type NO_ARTIFACTS should have null location")
    if artifacts["type"] == "S3" and not artifacts.get("location"):
        raise Refused("InvalidInputException", "Invalid artifacts: location is required for artifact type S3")
    if project.get("vpcConfig", {}).get("vpcId") and not project["vpcConfig"].get("subnets"):
        raise Refused("InvalidInputException", "Invalid vpc config: the subnets are missing")
    if not role_trusts(world, call.account, project["serviceRole"], "codebuild.amazonaws.com"):
        raise _cannot_assume(project["serviceRole"])


def _cannot_assume(role):
    return Refused("InvalidInputException", f"CodeBuild is not authorized to perform: sts:AssumeRole on {role}")


def _override(record, params, table):
    for override, member in table.items():
        if params.get(override) is not None:
            record[member] = copy.deepcopy(params[override])


def _variables(project, params):
    """The project's environment variables with this build's over them, by name."""
    merged = {}
    for variable in project["environment"].get("environmentVariables", []) + params.get("environmentVariablesOverride", []):
        merged[variable["name"]] = {"type": "PLAINTEXT", **variable}
    return list(merged.values())


def _logs(call, project):
    config = call.params.get("logsConfigOverride") or project.get("logsConfig") or {}
    cloud_watch = {"status": "ENABLED", **config.get("cloudWatchLogs", {})}
    return {
        "deepLink": f"https://console.aws.amazon.com/cloudwatch/home?region={call.region}"
                    "#logsV2:log-groups/log-group/null/log-events/null",
        "cloudWatchLogsArn": call.arn("logs", "log-group:null:log-stream:null"),
        "cloudWatchLogs": cloud_watch,
        "s3Logs": {"status": "DISABLED", "encryptionDisabled": False, **config.get("s3Logs", {})},
    }


BAD_TOKEN = ("InvalidInputException", "Invalid next token")


def install(world):
    original = CodeBuildResponse.__init__

    def parse_by_model(response):
        original(response)
        response.automated_parameter_parsing = True

    CodeBuildResponse.__init__ = parse_by_model
    world.codebuild = CodeBuild(world)
    replace(CodeBuildResponse, world.codebuild, OPERATIONS)
