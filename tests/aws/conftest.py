"""Fixtures: one stand-in with its platform for a module's tests, five times as fast as by default."""

import io
import itertools
import json
import os
import sys
import zipfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from make_platform import Platform  # noqa: E402
from standin import StandIn, session, wait_until  # noqa: E402
from world import BERTH_KEY, DEFAULT_TIMING, OBSERVER_KEY  # noqa: E402

ACCOUNT = "123456789012"
REGISTRY = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com"
BUCKET = f"berth-source-{ACCOUNT}"
BUILDSPEC = json.dumps({
    "version": "0.2",
    "env": {"shell": "bash", "exported-variables": ["IMAGE_DIGEST", "IMAGE_TAG"]},
    "phases": {"build": {"commands": [
        'cd "$CODEBUILD_SRC_DIR"/*/',
        'aws ecr get-login-password | docker login --username AWS --password-stdin "${IMAGE_REPOSITORY_URI%%/*}"',
        'docker build --tag "$IMAGE_REPOSITORY_URI:$IMAGE_TAG" .',
        'docker push "$IMAGE_REPOSITORY_URI:$IMAGE_TAG"',
        'IMAGE_DIGEST=$(docker image inspect --format "{{index .RepoDigests 0}}" "$IMAGE_REPOSITORY_URI:$IMAGE_TAG" | cut -d@ -f2)',
    ]}},
})

SPEED = 5


class Account:
    """A stand-in with its platform, and what tests make in it. Names are fresh, so that tests don't meet."""

    def __init__(self, stand_in):
        self.stand_in = stand_in
        made = Platform(stand_in.url, stand_in.region, "apps.example.test", session(OBSERVER_KEY)).make()
        self.platform = made["platform"]
        self._numbers = itertools.count(1)
        for service in ("codebuild", "ecr", "ecs", "elbv2", "iam", "logs", "s3", "sts"):
            setattr(self, service, stand_in.client(service))

    def forget(self):
        """The account is empty again: what was kept from test to test is gone."""
        self.__dict__.pop("_task_role", None)

    def name(self, prefix="app"):
        return f"{prefix}-{next(self._numbers)}"

    def role(self, principal, name=None):
        trust = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"},
        ]}
        made = self.iam.create_role(RoleName=name or self.name("role"), AssumeRolePolicyDocument=json.dumps(trust))
        return made["Role"]["Arn"]

    # Builds

    def project(self, **more):
        name = self.name("project")
        self.codebuild.create_project(**{
            "name": name, "source": {"type": "S3", "location": f"{BUCKET}/none.zip", "buildspec": BUILDSPEC},
            "artifacts": {"type": "NO_ARTIFACTS"}, "serviceRole": self.role("codebuild.amazonaws.com"),
            "environment": {
                "type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL",
            },
            **more,
        })
        return name

    def repository(self, mutability="IMMUTABLE"):
        name = f"berth/{self.name('repository')}"
        self.ecr.create_repository(repositoryName=name, imageTagMutability=mutability)
        return name

    def source(self, files=None):
        """Put a GitHub-like archive into the bucket; returns (location, version)."""
        files = {"Dockerfile": "FROM scratch\n"} if files is None else files
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as out:
            out.writestr("acme-shop-0123abc/", "")
            for path, text in files.items():
                out.writestr(f"acme-shop-0123abc/{path}", text)
        key = f"tenants/{self.name('source')}.zip"
        put = self.s3.put_object(Bucket=BUCKET, Key=key, Body=archive.getvalue())
        return f"{BUCKET}/{key}", put["VersionId"]

    def start(self, project, repository, source, tag="v1-a1", **more):
        location, version = source
        return self.codebuild.start_build(**{
            "projectName": project, "sourceTypeOverride": "S3", "sourceLocationOverride": location, "sourceVersion": version,
            "environmentVariablesOverride": [
                {"name": "IMAGE_REPOSITORY_URI", "value": f"{REGISTRY}/{repository}"}, {"name": "IMAGE_TAG", "value": tag},
            ],
            **more,
        })["build"]

    def build(self, build_id):
        return self.codebuild.batch_get_builds(ids=[build_id])["builds"][0]

    def finished(self, started):
        return wait_until(lambda: (lambda build: build if build["buildComplete"] else None)(self.build(started["id"])))

    def build_log(self, build):
        logs = build["logs"]
        events = self.logs.get_log_events(logGroupName=logs["groupName"], logStreamName=logs["streamName"], startFromHead=True)
        return "".join(event["message"] for event in events["events"])

    # Services

    def target_group(self, **more):
        return self.elbv2.create_target_group(**{
            "Name": self.name("tg"), "Protocol": "HTTP", "Port": 8080, "VpcId": self.platform["vpc"], "TargetType": "ip", **more,
        })["TargetGroups"][0]["TargetGroupArn"]

    def rule(self, target_group, priority=None, host=None):
        return self.elbv2.create_rule(
            ListenerArn=self.platform["listeners"], Priority=priority or next(self._numbers),
            Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": [host or f"{self.name('host')}.example.test"]}}],
            Actions=[{"Type": "forward", "TargetGroupArn": target_group}],
        )["Rules"][0]["RuleArn"]

    def task_definition(self, image="public.ecr.aws/nginx/nginx:1", family=None, **more):
        if not hasattr(self, "_task_role"):
            self._task_role = self.role("ecs-tasks.amazonaws.com")
        return self.ecs.register_task_definition(**{
            "family": family or self.name("family"), "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
            "cpu": "256", "memory": "512", "executionRoleArn": self._task_role,
            "containerDefinitions": [{"name": "app", "image": image, "portMappings": [{"containerPort": 8080}]}],
            **more,
        })["taskDefinition"]["taskDefinitionArn"]

    def service_request(self, **more):
        """Parameters of CreateService as berth sends them; None leaves one out."""
        asked = {
            "cluster": "berth", "serviceName": self.name("service"), "desiredCount": 2, "launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration": {
                "subnets": self.platform["subnets"].split(","), "securityGroups": [self.platform["security_group"]],
            }},
            "deploymentConfiguration": {
                "minimumHealthyPercent": 100, "maximumPercent": 200,
                "deploymentCircuitBreaker": {
                    "enable": True, "rollback": True, "resetOnHealthyTask": False,
                    "thresholdConfiguration": {"type": "COUNT", "value": 3},
                },
            },
            **more,
        }
        if "taskDefinition" not in asked:
            asked["taskDefinition"] = self.task_definition()
        return {name: value for name, value in asked.items() if value is not None}

    def routed_service_request(self, **more):
        group = self.target_group()
        self.rule(group)
        balancer = {"targetGroupArn": group, "containerName": "app", "containerPort": 8080}
        return self.service_request(loadBalancers=[balancer], **more), group

    def service(self, name):
        return self.ecs.describe_services(cluster="berth", services=[name])["services"][0]

    def settled(self, name):
        """The service once its one deployment is no longer in progress."""
        def look():
            service = self.service(name)
            states = [deployment["rolloutState"] for deployment in service["deployments"]]
            return service if len(states) == 1 and states != ["IN_PROGRESS"] else None
        return wait_until(look)

    def last_service_deployment(self, name):
        briefs = self.ecs.list_service_deployments(cluster="berth", service=name)["serviceDeployments"]
        arn = briefs[0]["serviceDeploymentArn"]
        return self.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]


@pytest.fixture(scope="session")
def only_stand_in():
    """Starting a stand-in and making its platform takes seconds; emptying it takes none."""
    with StandIn(speed=SPEED) as stand_in:
        yield Account(stand_in)


@pytest.fixture(scope="module")
def account(only_stand_in):
    """The platform with nothing on it, at the usual speed; afterwards no violation may be in the journal."""
    control = only_stand_in.stand_in.control
    only_stand_in.forget()
    control("reset", {"keep": "platform"})
    control("timing", {**DEFAULT_TIMING, "speed": SPEED})
    yield only_stand_in
    assert control("violations")["violations"] == []


class Clients(dict):
    """berth's clients by service, made when they are first used."""

    def __init__(self, stand_in):
        super().__init__()
        self._stand_in = stand_in

    def __missing__(self, service):
        self[service] = self._stand_in.client(service, BERTH_KEY)
        return self[service]


@pytest.fixture(scope="session")
def berth(only_stand_in):
    return Clients(only_stand_in.stand_in)
