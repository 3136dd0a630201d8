"""A service's deployments over time: what ECS's scheduler does between one look and the next.

The state at a moment follows from the times at which tasks change. `advance` goes through these times in order, so that
it doesn't matter how often anybody looks.
"""

import copy
import math

from moto.elbv2.models import elbv2_backends

from task import PLATFORM_VERSION, Task, vcpu
from world import take_order, utc

MAX_EVENTS = 100
# AWS shows stopped tasks for an hour; the last ones are enough for a diagnosis.
MAX_STOPPED = 50
# AWS allows the default threshold to be neither lower nor higher: "deployment circuit breaker", threshold calculation.
BOUNDS = (3, 200)
BREAKER_REASON = "Service deployment rolled back because the circuit breaker threshold was exceeded."

NO_CAPACITY = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
VCPU_LIMIT = "You’ve reached the limit on the number of vCPUs you can run concurrently"


class Deployment:
    """One deployment: the settings that its tasks are started with, and how far it is."""

    def __init__(self, world, settings, at, order=None):
        self.id = f"ecs-svc/{world.next_digits('deployment')}"
        self.revision = world.next_digits("revision")
        self.definition = settings["definition"]
        self.network = settings["network"]
        self.load_balancers = settings["load_balancers"]
        self.settings = settings
        self.order = order
        self.created = self.updated = at
        self.state, self.reason = "IN_PROGRESS", f"ECS deployment {self.id} in progress."
        self.failed = 0
        self.launched = 0
        self.starts = at + world.seconds("deployment_pending")
        self.settles = None
        self.is_rollback = False
        self.blocked = False

    def has_no_capacity(self):
        return bool(self.order) and self.order["failure"] == "no_capacity"

    def next_failure(self):
        """The failure that a test ordered for the next task, if any."""
        self.launched += 1
        if self.order and self.launched <= int(self.order.get("tasks", 1 << 30)):
            return self.order
        return None


class Rollout:
    """All of one service that moves."""

    def __init__(self, world, service, account, region):
        self.world = world
        self.service = service
        self.account, self.region = account, region
        self.name, self.cluster, self.cluster_arn = service.name, service.cluster_name, service.cluster_arn
        self.arn_prefix = f"arn:aws:ecs:{region}:{account}"
        self.desired = 0
        self.configuration = {}
        self.deployments = []
        self.tasks = []
        self.events = []
        self.history = []
        self._last_completed = None

    # What changes it

    def deploy(self, settings, at):
        """Start a deployment with these settings; a deployment in progress is given up for it."""
        if self.deployments and self.deployments[0].state == "IN_PROGRESS":
            self._finish_history(at, "STOPPED", "Service deployment stopped because a newer service deployment was started.")
        order = take_order(self.world.service_orders, self.name)
        deployment = Deployment(self.world, settings, at, order)
        sources = [d for d in self.deployments if self._live(d)]
        self.deployments.insert(0, deployment)
        self.history.insert(0, {
            "id": self.world.next_id("service-deployment")[:20], "deployment": deployment, "status": "PENDING", "created": at,
            "started": None, "finished": None, "reason": None, "rollback": None, "sources": sources,
            "configuration": copy.deepcopy(self.configuration), "failures": 0, "breaker": None, "updated": at,
        })
        return deployment

    def scale(self, desired, at):
        self.desired = desired
        if self.deployments:
            self._schedule(at)

    def stop_deployment(self, at, rollback):
        """StopServiceDeployment: give up the one in progress, and go back if asked to."""
        deployment = self.deployments[0]
        deployment.state, deployment.reason = "FAILED", "ECS deployment was stopped."
        if rollback:
            self._roll_back(at, "Service deployment was stopped with a rollback.")
        else:
            self._finish_history(at, "STOPPED", "Service deployment was stopped.")
        self._schedule(at)

    def advance(self, now):
        """Do everything that is due by now, in order."""
        while True:
            times = [task.due for task in self.tasks if task.due is not None]
            if self.deployments:
                primary = self.deployments[0]
                times += [t for t in (primary.starts, primary.settles) if t is not None]
            if not times or min(times) > now:
                break
            self._step(min(times))
        if self.deployments and self.deployments[0].blocked:
            self._schedule(now)

    def discard(self):
        """The service is taken out of the world with all that its tasks hold."""
        for task in self.tasks:
            task.discard()

    # What happens at one moment

    def _step(self, at):
        primary = self.deployments[0] if self.deployments else None
        if primary and primary.starts is not None and primary.starts <= at:
            primary.starts = None
            if self.history[0]["status"] == "PENDING":
                self.history[0].update(status="IN_PROGRESS", started=at, updated=at)
        if primary and primary.settles is not None and primary.settles <= at:
            self._complete(primary, at)
        for task in [t for t in self.tasks if t.due is not None and t.due <= at]:
            self._note(task, task.move(at), at)
        self._schedule(at)

    def _note(self, task, news, at):
        deployment = task.deployment
        if news == "running" and deployment.load_balancers:
            for group, _ in self.target_groups(deployment):
                self._event(at, f"registered 1 targets in (target-group {group.arn})")
        if news == "healthy" and deployment.state == "IN_PROGRESS" and self._breaker().get("resetOnHealthyTask", True):
            deployment.failed = self.history[0]["failures"] = 0
        if news == "failed":
            self._note_failure(task, at)
        deployment.updated = at

    def _note_failure(self, task, at):
        deployment = task.deployment
        if task.stop_code == "ServiceSchedulerInitiated":
            self._event(at, unhealthy_event(task, [group.arn for group, _ in self.target_groups(deployment)]))
        elif task.stop_code == "TaskFailedToStart":
            self._event(at, f"was unable to start a task. Reason: {task.stopped_reason}")
        if deployment.state != "IN_PROGRESS":
            return
        deployment.failed += 1
        self.history[0]["failures"] = deployment.failed
        if deployment is self.deployments[0] and self._breaker().get("enable") and deployment.failed >= self.threshold():
            self._trip(deployment, at)

    def _trip(self, deployment, at):
        """The circuit breaker: no more tasks for this deployment, and back to the last that was completed."""
        deployment.state, deployment.reason = "FAILED", "ECS deployment circuit breaker: tasks failed to start."
        self._event(at, f"(deployment {deployment.id}) deployment failed: tasks failed to start.")
        self.history[0]["breaker"] = "TRIGGERED"
        if deployment.is_rollback:
            self._finish_history(at, "ROLLBACK_FAILED", "The rollback deployment failed: tasks failed to start.")
        elif self._breaker().get("rollback"):
            self._roll_back(at, BREAKER_REASON)
        else:
            self._finish_history(at, "STOPPED", "Service deployment stopped because the circuit breaker threshold was exceeded.")

    def _roll_back(self, at, reason):
        failed = self.deployments[0]
        target = self._last_completed
        if target is None:
            self._event(at, f"(deployment {failed.id}) no rollback candidate was found to run the rollback.")
            return self._finish_history(at, "ROLLBACK_FAILED", "No rollback candidate was found to run the rollback.")
        order = failed.order if failed.order and failed.order.get("rollback") else None
        deployment = Deployment(self.world, target.settings, at, order)
        deployment.revision, deployment.is_rollback = target.revision, True
        deployment.reason = f"ECS deployment circuit breaker: rolling back to deploymentId {deployment.id}."
        self.deployments.insert(0, deployment)
        for task in self.tasks:
            if task.live and task.deployment.revision == target.revision:
                task.deployment = deployment
        self.service.task_definition = deployment.definition["taskDefinitionArn"]
        self._event(at, f"rolling back to deployment {deployment.id}.")
        self.history[0].update(status="ROLLBACK_IN_PROGRESS", reason=reason, updated=at, rollback={
            "reason": reason, "startedAt": utc(at), "serviceRevisionArn": self.revision_arn(target.revision),
        })

    def _schedule(self, at):
        """Start and stop tasks within minimumHealthyPercent and maximumPercent."""
        if not self.deployments:
            return
        primary = self.deployments[0]
        if primary.starts is None:
            self._stop_surplus(primary, at)
            self._start_missing(primary, at)
            self._replace_old(primary, at)
        self._retire(at)
        self._see_whether_settled(primary, at)

    def _start_missing(self, primary, at):
        if primary.state == "FAILED":
            return
        room = math.floor(self.desired * self.configuration.get("maximumPercent", 200) / 100) - self._count_live()
        wanted = min(self.desired - len(self._live(primary)), room)
        started = []
        for _ in range(max(0, wanted)):
            reason = self._no_place(primary)
            if reason:
                self._block(primary, at, reason)
                break
            primary.blocked = False
            started.append(Task(self, primary, at, primary.next_failure()))
            self.tasks.append(started[-1])
        if started:
            self._event(at, f"has started {len(started)} tasks: {' '.join(f'(task {task.id})' for task in started)}.")

    def _no_place(self, deployment):
        """Why Fargate has no place for one more task of the deployment; None when it has."""
        if deployment.has_no_capacity():
            return deployment.order.get("reason") or NO_CAPACITY
        limit = self.world.limits["fargate_vcpu"]
        if limit is not None and self.world.vcpu_in_use() + vcpu(deployment.definition) > limit:
            return VCPU_LIMIT
        return None

    def _block(self, deployment, at, reason):
        # Said once a deployment: ECS says it again and again, at growing intervals.
        if not deployment.blocked:
            self._event(at, f"was unable to place a task. Reason: {reason}.")
        deployment.blocked = True

    def _stop_surplus(self, primary, at):
        surplus = len(self._live(primary)) - self.desired
        self._stop(self._live(primary)[::-1][:max(0, surplus)], at)

    def _replace_old(self, primary, at):
        # A failed deployment without a rollback takes nothing away from the one before it.
        if primary.state == "FAILED":
            return
        least = math.ceil(self.desired * self.configuration.get("minimumHealthyPercent", 100) / 100)
        for task in [t for d in self.deployments[1:] for t in self._live(d)]:
            healthy = sum(1 for t in self.tasks if t.live and t.healthy)
            if not task.healthy or healthy - 1 >= least:
                self._stop([task], at)

    def _stop(self, tasks, at):
        for task in tasks:
            if task.healthy and task.deployment.load_balancers:
                self._event(at, "has begun draining connections on 1 tasks.")
            task.stop(at, "ServiceSchedulerInitiated", f"Scaling activity initiated by (deployment {task.deployment.id})")
        if tasks:
            self._event(at, f"has stopped {len(tasks)} running tasks: {' '.join(f'(task {task.id})' for task in tasks)}.")

    def _retire(self, at):
        """A replaced deployment leaves once its tasks are gone, a failed one once the service is steady again."""
        in_use = {id(t.deployment) for t in self.tasks if t.status != "STOPPED"}
        recovering = self.deployments[0].state == "IN_PROGRESS"
        self.deployments = self.deployments[:1] + [
            d for d in self.deployments[1:] if id(d) in in_use or (recovering and d.state == "FAILED")
        ]
        stopped = [task for task in self.tasks if task.status == "STOPPED"]
        for task in stopped[:-MAX_STOPPED]:
            self.tasks.remove(task)

    def _see_whether_settled(self, primary, at):
        steady = (
            primary.starts is None and not any(self._live(d) for d in self.deployments[1:])
            and len(self._live(primary)) == self.desired and all(t.healthy for t in self._live(primary))
            and all(t.status in ("RUNNING", "STOPPED") for t in self.tasks)
        )
        if primary.state != "IN_PROGRESS" or not steady:
            primary.settles = None
        elif primary.settles is None:
            primary.settles = at + self.world.seconds("service_settle")

    def _complete(self, deployment, at):
        deployment.settles = None
        deployment.state, deployment.reason, deployment.updated = "COMPLETED", f"ECS deployment {deployment.id} completed.", at
        self._last_completed = deployment
        self.deployments = [deployment]
        self._event(at, f"(deployment {deployment.id}) deployment completed.")
        self._event(at, "has reached a steady state.")
        if deployment.is_rollback:
            self._finish_history(at, "ROLLBACK_SUCCESSFUL", self.history[0]["reason"])
        else:
            self._finish_history(at, "SUCCESSFUL", None)

    def _finish_history(self, at, status, reason):
        record = self.history[0]
        if record["finished"] is None:
            breaker = record["breaker"] or ("MONITORING_COMPLETE" if self._breaker().get("enable") else "DISABLED")
            record.update(status=status, reason=reason, finished=at, updated=at, breaker=breaker)

    def _event(self, at, message):
        self.events.insert(0, {
            "id": self.world.next_uuid("event"), "createdAt": utc(at), "message": f"(service {self.name}) {message}",
        })
        del self.events[MAX_EVENTS:]

    # What is asked of it

    def threshold(self):
        """How many failed tasks the circuit breaker takes as a failed deployment."""
        config = {"type": "BOUNDED_PERCENT", "value": 50, **(self._breaker().get("thresholdConfiguration") or {})}
        if config["type"] == "COUNT":
            return config["value"]
        share = math.ceil(self.desired * config["value"] / 100)
        return min(max(share, BOUNDS[0]), BOUNDS[1]) if config["type"] == "BOUNDED_PERCENT" else max(share, 1)

    def target_groups(self, deployment):
        """(moto's target group, container port) for each load balancer of the deployment whose target group still exists."""
        groups = elbv2_backends[self.account][self.region].target_groups
        return [
            (groups[lb["targetGroupArn"]], lb["containerPort"])
            for lb in deployment.load_balancers if lb.get("targetGroupArn") in groups
        ]

    def tags_of_tasks(self, deployment):
        source = self.service.propagate_tags
        tags = {"SERVICE": self.service.tags, "TASK_DEFINITION": deployment.settings.get("definition_tags")}.get(source)
        return copy.deepcopy(tags or [])

    def revision_arn(self, revision):
        return f"{self.arn_prefix}:service-revision/{self.cluster}/{self.name}/{revision}"

    def history_arn(self, record):
        return f"{self.arn_prefix}:service-deployment/{self.cluster}/{self.name}/{record['id']}"

    def counts(self, deployment=None):
        """(running, pending) tasks, of one deployment or of all."""
        tasks = [t for t in self.tasks if deployment is None or t.deployment is deployment]
        running = sum(1 for t in tasks if t.status == "RUNNING")
        return running, sum(1 for t in tasks if t.status == "PROVISIONING")

    def idle(self):
        return all(task.status == "STOPPED" for task in self.tasks)

    def describe_deployments(self):
        shown = []
        for index, deployment in enumerate(self.deployments):
            running, pending = self.counts(deployment)
            shown.append({
                "id": deployment.id, "status": "PRIMARY" if index == 0 else "ACTIVE",
                "taskDefinition": deployment.definition["taskDefinitionArn"],
                "desiredCount": self._desired_of(index, deployment), "runningCount": running, "pendingCount": pending,
                "failedTasks": deployment.failed, "createdAt": utc(deployment.created), "updatedAt": utc(deployment.updated),
                "launchType": "FARGATE", "platformVersion": PLATFORM_VERSION, "platformFamily": "Linux",
                "networkConfiguration": deployment.network, "rolloutState": deployment.state,
                "rolloutStateReason": deployment.reason,
            })
        return shown

    def _desired_of(self, index, deployment):
        if index == 0 and deployment.state != "FAILED":
            return self.desired
        return len(self._live(deployment))

    def describe_history(self, record):
        """A service deployment as DescribeServiceDeployments shows it."""
        deployment = record["deployment"]
        running, pending = self.counts(deployment)
        shown = {
            **self.brief_history(record),
            "updatedAt": utc(record["updated"]),
            "targetServiceRevision": {
                "arn": self.revision_arn(deployment.revision), "requestedTaskCount": self.desired,
                "runningTaskCount": running, "pendingTaskCount": pending,
            },
            "sourceServiceRevisions": [self._describe_source(source) for source in record["sources"]],
            "deploymentConfiguration": record["configuration"],
            "deploymentCircuitBreaker": {
                "status": record["breaker"] or ("MONITORING" if self._breaker().get("enable") else "DISABLED"),
                "failureCount": record["failures"], "threshold": self.threshold(),
            },
            "rollback": record["rollback"],
            "stoppedAt": utc(record["finished"]) if record["status"] == "STOPPED" else None,
        }
        shown.pop("targetServiceRevisionArn")
        return {name: value for name, value in shown.items() if value is not None}

    def brief_history(self, record):
        shown = {
            "serviceDeploymentArn": self.history_arn(record), "serviceArn": self.service.arn, "clusterArn": self.cluster_arn,
            "createdAt": utc(record["created"]), "status": record["status"], "statusReason": record["reason"],
            "startedAt": utc(record["started"]) if record["started"] else None,
            "finishedAt": utc(record["finished"]) if record["finished"] else None,
            "targetServiceRevisionArn": self.revision_arn(record["deployment"].revision),
        }
        return {name: value for name, value in shown.items() if value is not None}

    def _describe_source(self, deployment):
        running, pending = self.counts(deployment)
        return {
            "arn": self.revision_arn(deployment.revision), "requestedTaskCount": len(self._live(deployment)),
            "runningTaskCount": running, "pendingTaskCount": pending,
        }

    def _breaker(self):
        return self.configuration.get("deploymentCircuitBreaker") or {}

    def _live(self, deployment):
        return [task for task in self.tasks if task.live and task.deployment is deployment]

    def _count_live(self):
        return sum(1 for task in self.tasks if task.live)


def unhealthy_event(task, target_groups):
    if not target_groups:
        return f"(task {task.id}) failed container health checks."
    return (f"(task {task.id}) is unhealthy in (target-group {target_groups[0]}) "
            "due to (reason Health checks failed with these codes: [502]).")
