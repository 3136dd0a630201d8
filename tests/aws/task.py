"""One Fargate task of a service, from PROVISIONING to STOPPED."""

from moto.ec2 import ec2_backends

from launch import cannot_pull, find_image, reason_not_to_start
from world import utc

PLATFORM_VERSION = "1.4.0"


OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
NOT_STARTED = "ResourceInitializationError: failed to configure ENI: failed to setup regular eni: context deadline exceeded"


def vcpu(definition):
    """What one task of this definition takes of Fargate's quota."""
    return int(definition["cpu"]) / 1024 if str(definition.get("cpu", "")).isdigit() else 1


class Task:
    """A task moves at known times: `due` is when it next changes by itself, None when it doesn't."""

    def __init__(self, rollout, deployment, at, failure=None):
        self._world = rollout.world
        self._rollout = rollout
        self._failure = failure
        self.deployment = deployment
        self.definition = deployment.definition
        self.started_by = deployment.id
        self.id = self._world.next_id("task")
        self.arn = f"{rollout.arn_prefix}:task/{rollout.cluster}/{self.id}"
        self.status = "PROVISIONING"
        self.desired = "RUNNING"
        self.healthy = False
        self.stop_code = self.stopped_reason = self.exit_code = self._container_reason = None
        self.created, self.started, self.stopping, self.stopped = at, None, None, None
        self.version = 1
        self.tags = rollout.tags_of_tasks(deployment)
        self._interface = self._attach(deployment)
        self._not_started = self._reason_not_to_start()
        self.vcpu = vcpu(self.definition)
        self.due = at + self._world.seconds("task_pull_failure" if self._not_started else "task_start")
        if self._fails_by("pending"):
            self.due = None

    @property
    def live(self):
        """Counts towards what the scheduler wants to have: neither stopped nor on its way."""
        return self.desired == "RUNNING"

    def move(self, at):
        """Make the change that is due; returns "running", "healthy" or "failed" when the deployment should know."""
        if self.status == "PROVISIONING":
            return self._fail_to_start(at) if self._not_started else self._run(at)
        if self.status == "RUNNING":
            healthy_first = self._failure is None or self._fails_by("flap") and not self.healthy
            return self._become_healthy(at) if healthy_first else self._fail(at)
        self._end(at)
        return None

    def stop(self, at, code, reason):
        """Begin to stop; running tasks leave their target groups first."""
        if self.desired == "STOPPED":
            return
        self.desired, self.stop_code, self.stopped_reason, self.stopping = "STOPPED", code, reason, at
        self.healthy = False
        self.version += 1
        self._leave_targets(at)
        self.status = "DEACTIVATING" if self.status == "RUNNING" else "DEPROVISIONING"
        self.due = at + self._world.seconds("task_drain")

    def _reason_not_to_start(self):
        if self._failure and self._failure["failure"] == "cannot_pull":
            return self._failure.get("reason") or cannot_pull(self.definition["containerDefinitions"][0]["image"])
        if self._fails_by("cannot_start"):
            return self._failure.get("reason") or NOT_STARTED
        return reason_not_to_start(self._world, self._rollout.account, self._rollout.region, self.definition)

    def _run(self, at):
        self.status, self.started = "RUNNING", at
        self.version += 1
        for group, port in self._rollout.target_groups(self.deployment):
            group.sim_targets.register(self.address, port, at, fails=self._fails_checks())
        if self._failure and not self._fails_by("flap"):
            self.due = at + self._lasts("task_unhealthy" if self._fails_checks() else "task_crash")
        else:
            self.due = at + (self._world.seconds("target_healthy") if self.deployment.load_balancers else 0)
        return "running"

    def _become_healthy(self, at):
        self.healthy, self.due = True, at + self._lasts("task_crash") if self._fails_by("flap") else None
        return "healthy"

    def _lasts(self, timing):
        """How long it runs until it fails: as a test ordered, or as the timing has it."""
        return float(self._failure["ms"]) / 1000 if "ms" in self._failure else self._world.seconds(timing)

    def _fails_by(self, failure):
        return bool(self._failure) and self._failure["failure"] == failure

    def _fails_checks(self):
        return self._fails_by("unhealthy")

    def _fail(self, at):
        if self._fails_checks():
            groups = [group.arn for group, _ in self._rollout.target_groups(self.deployment)]
            where = f"ELB health checks in (target-group {groups[0]})" if groups else "container health checks"
            self.exit_code = 143
            self.stop(at, "ServiceSchedulerInitiated", self._failure.get("reason") or f"Task failed {where}")
        else:
            killed = self._fails_by("out_of_memory")
            self.exit_code = int(self._failure.get("exit_code", 137 if killed else 1))
            self.stop(at, "EssentialContainerExited", "Essential container in task exited")
            self._container_reason = self._failure.get("reason") or (OUT_OF_MEMORY if killed else None)
            self._end(at)
        return "failed"

    def _fail_to_start(self, at):
        self._container_reason = self._not_started
        self.desired, self.stop_code, self.stopped_reason, self.stopping = "STOPPED", "TaskFailedToStart", self._not_started, at
        self._end(at)
        return "failed"

    def _end(self, at):
        if self.exit_code is None and self.started is not None:
            self.exit_code = 143
        self.status, self.stopped, self.due = "STOPPED", at, None
        self.version += 1
        self.discard()

    def discard(self):
        """Give back the network interface."""
        interfaces = ec2_backends[self._rollout.account][self._rollout.region].enis
        interfaces.pop(self._interface.id, None)

    def _leave_targets(self, at):
        for group, port in self._rollout.target_groups(self.deployment):
            group.sim_targets.deregister(self.address, port, at)

    def _attach(self, deployment):
        vpc = deployment.network["awsvpcConfiguration"]
        subnets = vpc["subnets"]
        subnet = subnets[int(self.id[:4], 16) % len(subnets)]
        backend = ec2_backends[self._rollout.account][self._rollout.region]
        return backend.create_network_interface(
            subnet, None, group_ids=vpc.get("securityGroups", []), description=f"arn:aws:ecs:attachment/{self.id}"
        )

    @property
    def address(self):
        return self._interface.private_ip_address

    def describe(self, with_tags):
        """The task as DescribeTasks shows it."""
        definition = self.definition
        shown = {
            "taskArn": self.arn, "clusterArn": self._rollout.cluster_arn, "taskDefinitionArn": definition["taskDefinitionArn"],
            "group": f"service:{self._rollout.name}", "startedBy": self.started_by, "launchType": "FARGATE",
            "platformVersion": PLATFORM_VERSION, "platformFamily": "Linux", "lastStatus": self.status,
            "desiredStatus": self.desired, "cpu": definition.get("cpu"), "memory": definition.get("memory"),
            "availabilityZone": self._interface.subnet.availability_zone, "version": self.version,
            "connectivity": "CONNECTED" if self.started else None, "healthStatus": "UNKNOWN",
            "containers": [self._describe_container(c) for c in definition["containerDefinitions"]],
            "overrides": {"containerOverrides": [{"name": c["name"]} for c in definition["containerDefinitions"]]},
            "attachments": [self._describe_interface()], "enableExecuteCommand": False,
            "stopCode": self.stop_code, "stoppedReason": self.stopped_reason,
            "tags": self.tags if with_tags else None,
        }
        times = {
            "createdAt": self.created, "startedAt": self.started, "connectivityAt": self.started, "stoppingAt": self.stopping,
            "stoppedAt": self.stopped, "executionStoppedAt": self.stopped if self.started else None,
        }
        shown.update({name: utc(at) for name, at in times.items() if at is not None})
        return {name: value for name, value in shown.items() if value is not None}

    def _describe_container(self, container):
        _, image = find_image(self._rollout.account, self._rollout.region, container["image"])
        status = {"PROVISIONING": "PENDING", "RUNNING": "RUNNING", "DEACTIVATING": "RUNNING"}.get(self.status, "STOPPED")
        shown = {
            "containerArn": f"{self.arn.replace(':task/', ':container/')}/{self.id[:8]}-{container['name']}",
            "taskArn": self.arn, "name": container["name"], "image": container["image"], "lastStatus": status,
            "imageDigest": image.get_image_digest() if image and self.started else None, "healthStatus": "UNKNOWN",
            "cpu": str(container.get("cpu", 0)), "reason": self._container_reason,
            "exitCode": self.exit_code if self.status == "STOPPED" else None,
            "runtimeId": f"{self.id}-{len(container['name'])}" if self.started else None,
            "networkInterfaces": [{"attachmentId": self.id, "privateIpv4Address": self.address}],
        }
        return {name: value for name, value in shown.items() if value is not None}

    def _describe_interface(self):
        return {
            "id": self.id, "type": "ElasticNetworkInterface", "status": "DELETED" if self.status == "STOPPED" else "ATTACHED",
            "details": [
                {"name": "subnetId", "value": self._interface.subnet.id},
                {"name": "networkInterfaceId", "value": self._interface.id},
                {"name": "macAddress", "value": self._interface.mac_address},
                {"name": "privateIPv4Address", "value": self.address},
            ],
        }
