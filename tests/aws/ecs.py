"""ECS as AWS documents it: task definitions, services that roll out over time, their tasks and service deployments."""

import copy

from moto.ecs.models import Service as MotoService
from moto.ecs.models import TaskDefinition as MotoTaskDefinition
from moto.ecs.models import ecs_backends
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.elbv2.models import elbv2_backends

import taskdef
from errors import Refused
from identity import find_role, role_age
from launch import find_image, role_problem, roles
from overlay import replace
from paging import page
from rollout import Rollout
from task import PLATFORM_VERSION
from world import ACCOUNT, utc

OPERATIONS = (
    "CreateCluster", "RegisterTaskDefinition", "DescribeTaskDefinition", "DeregisterTaskDefinition", "ListTaskDefinitions",
    "CreateService", "UpdateService", "DeleteService", "DescribeServices", "ListServices",
    "ListServiceDeployments", "DescribeServiceDeployments", "DescribeServiceRevisions", "StopServiceDeployment",
    "ListTasks", "DescribeTasks", "StopTask",
)
MAX_SERVICES, MAX_TASKS, MAX_DEPLOYMENTS = 10, 100, 20
# Members of a service that need a new deployment when they change.
DEPLOYING = ("taskDefinition", "networkConfiguration", "loadBalancers", "platformVersion", "serviceRegistries")
# Members that are kept on the service and shown as they were given.
KEPT = (
    "healthCheckGracePeriodSeconds", "enableECSManagedTags", "enableExecuteCommand", "placementConstraints", "placementStrategy",
    "availabilityZoneRebalancing", "serviceConnectConfiguration",
)


class Ecs:
    def __init__(self, world):
        self._world = world
        world.on_settle(self._settle)
        world.on_reset(self._forget)
        world.vcpu_in_use = self._vcpu_in_use
        self._forget()

    def _forget(self):
        self._services = []

    def services(self):
        """All services, gone ones too, with their rollouts."""
        return list(self._services)

    def remove_all(self):
        """As if there had never been a service, a task or a task definition."""
        for service in self._services:
            service.rollout.discard()
        self._forget()
        for backend in ecs_backends[ACCOUNT].values():
            for things in (backend.services, backend.task_definitions, backend.tasks):
                things.clear()
        self._count(ecs_backends[ACCOUNT])

    def _vcpu_in_use(self):
        """What the tasks that aren't stopped have reserved, of Fargate's quota for the account."""
        return sum(t.vcpu for s in self._services for t in s.rollout.tasks if t.status != "STOPPED")

    def _settle(self, now):
        for service in self._services:
            service.rollout.advance(now)
            if service.status == "DRAINING" and service.rollout.idle():
                service.status = "INACTIVE"
        self._count(ecs_backends[ACCOUNT])

    def _count(self, backends):
        """A cluster shows how many tasks and services it has."""
        for cluster in [cluster for backend in backends.values() for cluster in backend.clusters.values()]:
            services = [s for s in self._services if s.cluster_arn == cluster.arn]
            counts = [service.rollout.counts() for service in services]
            cluster.running_tasks_count = sum(running for running, _ in counts)
            cluster.pending_tasks_count = sum(pending for _, pending in counts)
            cluster.active_services_count = sum(1 for service in services if service.status == "ACTIVE")

    def create_cluster(self, call):
        known = _backend(call).clusters.get(call.params.get("clusterName", "default"))
        return {"cluster": known} if known and known.status == "ACTIVE" else call.moto()

    # Task definitions

    def register_task_definition(self, call):
        params = call.params
        taskdef.check(params)
        for arn in roles(params):
            role = find_role(call.account, arn)
            if role is not None and role_age(self._world, role) < self._world.seconds("role_passable"):
                raise taskdef.client_exception("Role is not valid")
        revisions = _backend(call).task_definitions.setdefault(params["family"], {})
        revision = max(revisions, default=0) + 1
        made = MotoTaskDefinition(
            params["family"], revision, copy.deepcopy(params["containerDefinitions"]), call.account, call.region,
            tags=params.get("tags"), requires_compatibilities=params.get("requiresCompatibilities"),
        )
        now = utc(self._world.clock.now())
        made.born = self._world.clock.now()
        made.shown = taskdef.complete(params, made.arn, revision, now, f"arn:{call.partition}:iam::{call.account}:root")
        revisions[revision] = made
        return {"taskDefinition": made.shown, "tags": made.tags}

    def describe_task_definition(self, call):
        found = _backend(call).describe_task_definition(call.params["taskDefinition"])
        if self._unseen(call, found.born):
            raise taskdef.client_exception("Unable to describe task definition.")
        answer = {"taskDefinition": found.shown}
        if "TAGS" in call.params.get("include", []):
            answer["tags"] = found.tags
        return answer

    def deregister_task_definition(self, call):
        found = _backend(call).deregister_task_definition(call.params["taskDefinition"])
        found.shown.update(status="INACTIVE", deregisteredAt=utc(self._world.clock.now()))
        return {"taskDefinition": found.shown}

    def list_task_definitions(self, call):
        params, known = call.params, _backend(call).task_definitions
        found = [
            definition.arn
            for family in sorted(known) if params.get("familyPrefix") in (None, family)
            for _, definition in sorted(known[family].items())
            if definition.status == params.get("status", "ACTIVE") and not self._unseen(call, definition.born)
        ]
        if params.get("sort") == "DESC":
            found.reverse()
        return _paged(call, "taskDefinitionArns", found)

    # Services

    def create_service(self, call):
        params = call.params
        cluster = _cluster(call)
        known = _backend(call).services.get(f"{cluster.name}:{params['serviceName']}")
        if known is not None and known.status != "INACTIVE":
            return {"service": self._same_service(known, params)}
        settings = self._settings(call, params)
        if params.get("desiredCount") is None:
            raise _invalid("The desiredCount must be specified for a REPLICA service.")
        _check_configuration(params.get("deploymentConfiguration") or {})
        service = self._new_service(call, cluster, params, settings)
        now = self._world.clock.now()
        service.rollout.deploy(settings, now)
        service.rollout.scale(params["desiredCount"], now)
        service.rollout.advance(now)
        return {"service": _shown(service, with_tags=True)}

    def update_service(self, call):
        service = _service(call)
        if service.status != "ACTIVE":
            raise Refused("ServiceNotActiveException", "Service was not ACTIVE.")
        params, rollout, now = call.params, service.rollout, self._world.clock.now()
        wanted = {**service.asked, **{k: v for k, v in params.items() if k not in ("service", "cluster", "forceNewDeployment")}}
        settings = self._settings(call, wanted)
        _check_configuration(wanted.get("deploymentConfiguration") or {})
        self._remember(service, now)
        changed = any(wanted.get(member) != service.asked.get(member) for member in DEPLOYING)
        _apply(service, wanted, settings)
        if changed or params.get("forceNewDeployment"):
            rollout.deploy(settings, now)
        rollout.scale(wanted["desiredCount"], now)
        rollout.advance(now)
        return {"service": _shown(service, with_tags=True)}

    def delete_service(self, call):
        service = _service(call)
        now = self._world.clock.now()
        self._remember(service, now)
        if service.status == "ACTIVE":
            if service.rollout.desired > 0 and not call.params.get("force"):
                raise _invalid("The service cannot be stopped while it is scaled above 0.")
            service.desired_count = 0
            service.rollout.scale(0, now)
            service.status = "DRAINING"
        return {"service": _shown(service, with_tags=False)}

    def describe_services(self, call):
        asked = call.params["services"]
        if len(asked) > MAX_SERVICES:
            raise _invalid(f"Services cannot be more than {MAX_SERVICES}.")
        cluster = _cluster(call)
        found, failures = [], []
        for name in asked:
            service = _backend(call).services.get(f"{cluster.name}:{name.rpartition('/')[2]}")
            if service and not self._unseen(call, service.born):
                found.append(self._seen(call, service, "TAGS" in call.params.get("include", [])))
            else:
                arn = name if name.startswith("arn:") else call.arn("ecs", f"service/{cluster.name}/{name}")
                failures.append({"arn": arn, "reason": "MISSING"})
        return {"services": found, "failures": failures}

    def list_services(self, call):
        cluster = _cluster(call)
        services = [s for s in _backend(call).services.values() if s.cluster_name == cluster.name and s.status != "INACTIVE"]
        arns = [s.arn for s in services if not self._unseen(call, s.born)]
        return _paged(call, "serviceArns", sorted(arns))

    # Service deployments and revisions

    def list_service_deployments(self, call):
        rollout = _service(call).rollout
        wanted, created = call.params.get("status"), call.params.get("createdAt") or {}
        records = [
            record for record in rollout.history
            if (not wanted or record["status"] in wanted) and _within(utc(record["created"]), created)
            and not self._unseen(call, record["created"])
        ]
        return _paged(call, "serviceDeployments", [rollout.brief_history(record) for record in records])

    def describe_service_deployments(self, call):
        arns = call.params["serviceDeploymentArns"]
        if len(arns) > MAX_DEPLOYMENTS:
            raise _invalid(f"The number of service deployment ARNs cannot be more than {MAX_DEPLOYMENTS}.")
        known = {
            rollout.history_arn(record): (rollout, record) for rollout, record in self._histories(call)
            if not self._unseen(call, record["created"])
        }
        return {
            "serviceDeployments": [known[arn][0].describe_history(known[arn][1]) for arn in arns if arn in known],
            "failures": [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in known],
        }

    def describe_service_revisions(self, call):
        arns = call.params["serviceRevisionArns"]
        known = {r.revision_arn(record["deployment"].revision): (r, record["deployment"]) for r, record in self._histories(call)}
        return {
            "serviceRevisions": [_shown_revision(call, arn, *known[arn]) for arn in arns if arn in known],
            "failures": [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in known],
        }

    def stop_service_deployment(self, call):
        arn, now = call.params["serviceDeploymentArn"], self._world.clock.now()
        for rollout, record in self._histories(call):
            if rollout.history_arn(record) == arn:
                if record["finished"] is not None:
                    raise Refused("ConflictException", "The service deployment is not in a state that can be stopped.")
                rollout.stop_deployment(now, rollback=call.params.get("stopType", "ROLLBACK") == "ROLLBACK")
                return {"serviceDeploymentArn": arn}
        raise Refused("ServiceDeploymentNotFoundException", "The service deployment was not found.")

    def _histories(self, call):
        return [(s.rollout, record) for s in self._services if s.rollout.region == call.region for record in s.rollout.history]

    # Stale reads

    def _unseen(self, call, since):
        return self._world.unseen(call.access_key, "ecs", since)

    def _remember(self, service, now):
        """Before a change: what a stale reader will still see of the service."""
        if self._world.windows:
            service.before = (now, copy.deepcopy(_shown(service, with_tags=True)))

    def _seen(self, call, service, with_tags):
        since, before = service.before
        if not self._unseen(call, since):
            return _shown(service, with_tags)
        return {name: value for name, value in before.items() if with_tags or name != "tags"}

    # Tasks

    def list_tasks(self, call):
        params, cluster = call.params, _cluster(call)
        if params.get("serviceName"):
            _service(call, params["serviceName"])
        wanted = params.get("desiredStatus", "RUNNING")
        tasks = [task for task in self._tasks(call, cluster) if task.desired == wanted and _matches(task, params)]
        others = [] if params.get("serviceName") else [
            task for task in _backend(call).tasks.get(cluster.name, {}).values() if task.desired_status == wanted
        ]
        return _paged(call, "taskArns", [task.arn for task in tasks] + [task.task_arn for task in others])

    def describe_tasks(self, call):
        asked, cluster = call.params["tasks"], _cluster(call)
        if not asked:
            raise _invalid("Tasks cannot be empty.")
        if len(asked) > MAX_TASKS:
            raise _invalid(f"Tasks cannot be more than {MAX_TASKS}.")
        with_tags = "TAGS" in call.params.get("include", [])
        known = {task.id: task.describe(with_tags) for task in self._tasks(call, cluster)}
        known.update({task.id: task for task in _backend(call).tasks.get(cluster.name, {}).values()})
        ids = {name: name.rpartition("/")[2] for name in asked}
        return {
            "tasks": [known[ids[name]] for name in asked if ids[name] in known],
            "failures": [
                {"arn": call.arn("ecs", f"task/{cluster.name}/{ids[name]}"), "reason": "MISSING"}
                for name in asked if ids[name] not in known
            ],
        }

    def stop_task(self, call):
        cluster, now = _cluster(call), self._world.clock.now()
        for task in self._tasks(call, cluster):
            if task.id == call.params["task"].rpartition("/")[2]:
                task.stop(now, "UserInitiated", call.params.get("reason") or "Task stopped by user")
                return {"task": task.describe(False)}
        if _backend(call).tasks.get(cluster.name):
            return call.moto()
        raise _invalid("The referenced task was not found.")

    def _tasks(self, call, cluster):
        return [t for s in self._services if s.cluster_arn == cluster.arn for t in s.rollout.tasks]

    # What services share

    def _same_service(self, known, params):
        """A repeat with the same clientToken and parameters is answered with the service; all else is refused."""
        if known.status == "DRAINING":
            raise _invalid("Unable to Start a service that is still Draining.")
        if params.get("clientToken") and params == known.created_with:
            return _shown(known, with_tags=True)
        raise _invalid("Creation of service was not idempotent.")

    def _settings(self, call, params):
        """What tasks are started with; refuses what ECS refuses."""
        definition = _backend(call).describe_task_definition(params["taskDefinition"])
        if definition.status != "ACTIVE":
            raise taskdef.client_exception("TaskDefinition is inactive")
        shown = definition.shown
        if params.get("launchType", "EC2") == "FARGATE" and "FARGATE" not in shown["compatibilities"]:
            raise _invalid("Task definition does not support launch_type FARGATE.")
        if params.get("launchType", "EC2") == "EC2" and not params.get("capacityProviderStrategy"):
            raise _invalid("No Container Instances were found in your cluster.")
        network = copy.deepcopy(params.get("networkConfiguration"))
        if shown["networkMode"] == "awsvpc" and not (network or {}).get("awsvpcConfiguration"):
            raise _invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
        network["awsvpcConfiguration"].setdefault("assignPublicIp", "DISABLED")
        network["awsvpcConfiguration"].setdefault("securityGroups", [])
        balancers = params.get("loadBalancers") or []
        for balancer in balancers:
            _check_load_balancer(call, balancer, shown)
        if params.get("healthCheckGracePeriodSeconds") is not None and not balancers:
            raise _invalid("Health check grace period is only valid for services configured to use load balancers")
        # A role that is there but not yet believed in shows later, as tasks that don't start.
        if any(find_role(call.account, role) is None for role in roles(shown)):
            raise taskdef.client_exception(role_problem(self._world, call.account, shown))
        return {"definition": shown, "definition_tags": definition.tags, "network": network, "load_balancers": balancers}

    def _new_service(self, call, cluster, params, settings):
        backend = _backend(call)
        service = MotoService(
            cluster=cluster, service_name=params["serviceName"], desired_count=params["desiredCount"], backend=backend,
            launch_type=params.get("launchType"), network_configuration=settings["network"], tags=params.get("tags"),
            propagate_tags=params.get("propagateTags", "NONE"), role_arn=params.get("role"),
        )
        service.rollout = Rollout(self._world, service, call.account, call.region)
        service.born = self._world.clock.now()
        service.before = (None, None)
        service.created_at = utc(service.born)
        service.created_by = f"arn:{call.partition}:iam::{call.account}:root"
        service.created_with = copy.deepcopy(params)
        _apply(service, copy.deepcopy(params), settings)
        self._services = [s for s in self._services if s.arn != service.arn] + [service]
        backend.services[f"{cluster.name}:{service.name}"] = service
        return service


def _apply(service, asked, settings):
    """Take over the settings asked for; `asked` is what the next update is compared with."""
    service.asked = asked
    service.task_definition = settings["definition"]["taskDefinitionArn"]
    service.load_balancers = settings["load_balancers"]
    service.network_configuration = settings["network"]
    service.desired_count = asked["desiredCount"]
    service.propagate_tags = asked.get("propagateTags", "NONE")
    service.rollout.configuration = {
        "maximumPercent": 200, "minimumHealthyPercent": 100, "strategy": "ROLLING", "bakeTimeInMinutes": 0,
        "deploymentCircuitBreaker": {"enable": False, "rollback": False}, **(asked.get("deploymentConfiguration") or {}),
    }


def _shown(service, with_tags):
    """The service as DescribeServices shows it."""
    rollout = service.rollout
    running, pending = rollout.counts()
    current = rollout.history[0] if rollout.history else None
    in_progress = current and current["finished"] is None
    shown = {
        "serviceArn": service.arn, "serviceName": service.name, "clusterArn": service.cluster_arn, "status": service.status,
        "desiredCount": rollout.desired, "runningCount": running, "pendingCount": pending,
        "taskDefinition": service.task_definition, "launchType": service.launch_type,
        "platformVersion": service.asked.get("platformVersion", "LATEST"), "platformFamily": "Linux",
        "loadBalancers": service.load_balancers, "serviceRegistries": service.asked.get("serviceRegistries", []),
        "networkConfiguration": service.network_configuration, "deploymentConfiguration": rollout.configuration,
        "deploymentController": {"type": "ECS"}, "schedulingStrategy": "REPLICA", "propagateTags": service.propagate_tags,
        "deployments": rollout.describe_deployments() if service.status != "INACTIVE" else [], "events": rollout.events,
        "createdAt": service.created_at, "createdBy": service.created_by, "placementConstraints": [], "placementStrategy": [],
        "enableECSManagedTags": False, "enableExecuteCommand": False, "availabilityZoneRebalancing": "DISABLED",
        "currentServiceDeployment": rollout.history_arn(current) if in_progress else None,
        "currentServiceRevisions": [rollout._describe_source(d) for d in rollout.deployments],
        **{member: service.asked[member] for member in KEPT if member in service.asked},
        "tags": service.tags if with_tags else None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _shown_revision(call, arn, rollout, deployment):
    images = []
    for container in deployment.definition["containerDefinitions"]:
        _, image = find_image(call.account, call.region, container["image"])
        images.append({
            "containerName": container["name"], "image": container["image"],
            **({"imageDigest": image.get_image_digest()} if image else {}),
        })
    return {
        "serviceRevisionArn": arn, "serviceArn": rollout.service.arn, "clusterArn": rollout.cluster_arn,
        "taskDefinition": deployment.definition["taskDefinitionArn"], "launchType": "FARGATE", "platformVersion": PLATFORM_VERSION,
        "platformFamily": "Linux", "loadBalancers": deployment.load_balancers, "networkConfiguration": deployment.network,
        "containerImages": images, "createdAt": utc(deployment.created),
    }


def _check_load_balancer(call, balancer, definition):
    group = elbv2_backends[call.account][call.region].target_groups.get(balancer.get("targetGroupArn"))
    if group is None:
        raise _invalid("Unable to assume role and validate the specified targetGroupArn. Please verify that the ECS service role "
                       "being passed has the proper permissions.")
    if definition["networkMode"] == "awsvpc" and group.target_type != "ip":
        raise _invalid(f"The provided target group {group.arn} has target type {group.target_type}, which is incompatible with the "
                       "awsvpc network mode specified in the task definition.")
    container = next((c for c in definition["containerDefinitions"] if c["name"] == balancer.get("containerName")), None)
    if container is None:
        raise _invalid(f"The container {balancer.get('containerName')} does not exist in the task definition.")
    if balancer.get("containerPort") not in [m["containerPort"] for m in container["portMappings"]]:
        raise _invalid(f"The container {container['name']} did not have a container port {balancer.get('containerPort')} defined.")
    if not group.load_balancer_arns:
        raise _invalid(f"The target group with targetGroupArn {group.arn} does not have an associated load balancer.")


def _check_configuration(configuration):
    least, most = configuration.get("minimumHealthyPercent", 100), configuration.get("maximumPercent", 200)
    if least == 100 and most == 100:
        raise _invalid("Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.")
    if most < least:
        raise _invalid("minimumHealthyPercent cannot be more than maximumPercent.")
    threshold = (configuration.get("deploymentCircuitBreaker") or {}).get("thresholdConfiguration") or {}
    if threshold.get("value", 1) < 1:
        raise _invalid("The deployment circuit breaker threshold value must be at least 1.")


def _backend(call):
    return ecs_backends[call.account][call.region]


def _cluster(call):
    cluster = _backend(call)._get_cluster(call.params.get("cluster") or "default")
    if cluster.status != "ACTIVE":
        raise Refused("ClusterNotFoundException", "Cluster not found.")
    return cluster


def _service(call, name=None):
    name = (name or call.params["service"]).rpartition("/")[2]
    service = _backend(call).services.get(f"{_cluster(call).name}:{name}")
    if service is None:
        raise Refused("ServiceNotFoundException", "Service not found.")
    return service


def _matches(task, params):
    family = task.definition["family"]
    name = (params.get("serviceName") or "").rpartition("/")[2]
    return (
        params.get("family") in (None, family) and params.get("startedBy") in (None, task.started_by)
        and (not name or task._rollout.name == name) and params.get("launchType", "FARGATE") == "FARGATE"
        and not params.get("containerInstance")
    )


def _within(moment, created):
    # moto parses a request's times without their zone, which is UTC.
    after, before = (limit and limit.replace(tzinfo=limit.tzinfo or moment.tzinfo) for limit in map(created.get, ("after", "before")))
    return (after is None or moment >= after) and (before is None or moment <= before)


def _paged(call, member, items):
    items, token = page(items, call.params.get("nextToken"), call.params.get("maxResults"))
    return {member: items, "nextToken": token}


def _invalid(message):
    return Refused("InvalidParameterException", message)


def install(world):
    world.ecs = Ecs(world)
    replace(EC2ContainerServiceResponse, world.ecs, OPERATIONS)
