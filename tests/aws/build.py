"""One build: its phases over time. What a build is at a moment follows from when it started and how long its phases take."""

import math

from moto.logs.models import logs_backends

from buildspec import PhaseFailed
from container import Container
from identity import find_role
from world import take_order, utc

PHASES = (
    "SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD",
    "UPLOAD_ARTIFACTS", "FINALIZING",
)
# What a build that a test lets end so says, unless the test says what.
ORDERED = {
    "TIMED_OUT": ("BUILD_TIMED_OUT", "Build has timed out."),
    "FAULT": ("INTERNAL_SERVICE_ERROR", "CodeBuild is experiencing an issue. Try again later."),
}
# A failed BUILD still runs POST_BUILD, unless the buildspec aborts; an earlier failure goes to the end at once.
AFTER_FAILURE = {"BUILD": "POST_BUILD", "POST_BUILD": "UPLOAD_ARTIFACTS", "UPLOAD_ARTIFACTS": "FINALIZING"}


class Build:
    def __init__(self, world, account, region, record, started):
        self.record = record
        self.complete = False
        self._world = world
        self._account = account
        self._region = region
        self.started = started
        self._order = take_order(world.build_orders, record["projectName"])
        self._failed = None
        self._container = Container(world, account, region, record)
        self._timing = {phase: world.seconds(phase) for phase in PHASES}
        if self._order and "ms" in self._order:
            self._timing[self._order["phase"]] = float(self._order["ms"]) / 1000
        self._phases = []
        self._group, self._stream = log_names(record)
        self._enter("SUBMITTED", started)

    def settle(self, now):
        """Finish every phase whose time is over by now, in order, each with its effects."""
        while not self.complete and self._ends <= now:
            self._finish_phase(self._ends)

    def stop(self, now):
        self.settle(now)
        if not self.complete:
            self._stop(now)

    def _stop(self, now):
        self._close_phase(now, "STOPPED", None)
        self._enter("FINALIZING", now)
        self._close_phase(now, "SUCCEEDED", None)
        self._complete(now, "STOPPED")

    def discard(self):
        """The account was emptied: nothing of this build is of use any more."""
        self.complete = True
        self._container.close()

    def _enter(self, phase, at):
        self._phase = phase
        limit = "queuedTimeoutInMinutes" if phase == "QUEUED" else "timeoutInMinutes"
        timeout = self.started + self.record[limit] * 60
        self._times_out = phase not in ("SUBMITTED", "FINALIZING") and at + self._timing[phase] > timeout
        self._ends = timeout if self._times_out else at + self._timing[phase]
        self._phases.append({"phaseType": phase, "startTime": utc(at)})
        self._phase_started = at
        self.record["currentPhase"] = phase
        self.record["phases"] = self._phases
        if phase == "DOWNLOAD_SOURCE":
            self._open_log(at)

    def _finish_phase(self, at):
        if self._times_out:
            self._failed = PhaseFailed(*ORDERED["TIMED_OUT"], status="TIMED_OUT")
            self._close_phase(at, "TIMED_OUT", self._failed)
            return self._enter("FINALIZING", at)
        if self._order and (self._order["phase"], self._order.get("status")) == (self._phase, "STOPPED"):
            return self._stop(at)
        try:
            lines = self._run_phase()
            failure = None
        except PhaseFailed as error:
            lines, failure = error.lines, error
            self._failed = self._failed or error
        self._log_phase(at, lines, failure)
        self._close_phase(at, self._status_of(failure), failure)
        self._go_on(at, failure)

    def _status_of(self, failure):
        if not failure:
            return "SUCCEEDED"
        return failure.status

    def _go_on(self, at, failure):
        if self._phase == "FINALIZING":
            return self._complete(at, self._status_of(self._failed))
        following = PHASES[PHASES.index(self._phase) + 1]
        if failure:
            following = AFTER_FAILURE.get(self._phase, "FINALIZING")
            if self._phase == "BUILD" and self._container.buildspec.aborts_on_failure("BUILD"):
                following = "FINALIZING"
        self._enter(following, at)

    def _run_phase(self):
        """The phase's effects. Returns what its commands print; raises PhaseFailed."""
        if self._order and self._order["phase"] == self._phase and self._order.get("status") != "SUCCEEDED":
            raise ordered_failure(self._order, self._container)
        if self._phase == "PROVISIONING" and find_role(self._account, self.record["serviceRole"]) is None:
            raise PhaseFailed("ACCESS_DENIED", "The service role that was provided cannot be assumed: "
                              f"CodeBuild is not authorized to perform: sts:AssumeRole on {self.record['serviceRole']}")
        if self._phase == "DOWNLOAD_SOURCE":
            self._container.download_source(self._own_variables())
            self.record["resolvedSourceVersion"] = self._container.resolved_version
        return self._run_commands() if self._container.buildspec else []

    def _run_commands(self):
        """One after the other until one fails, as the agent does; what was printed before is kept."""
        lines = []
        for command in self._container.buildspec.commands(self._phase):
            lines.append(f"{_prefix(self._phase_started)} Running command {command}")
            try:
                lines += self._container.run(command)
            except PhaseFailed as failure:
                failure.lines = lines + failure.lines
                raise
        return lines

    def _close_phase(self, at, status, failure):
        phase = self._phases[-1]
        phase["endTime"] = utc(at)
        phase["durationInSeconds"] = math.floor(at - self._phase_started)
        phase["phaseStatus"] = status
        if failure or self._phase not in ("SUBMITTED", "QUEUED"):
            phase["contexts"] = [{
                "statusCode": failure.status_code if failure else "",
                "message": failure.message if failure else "",
            }]

    def _complete(self, at, status):
        self._phases.append({"phaseType": "COMPLETED", "startTime": utc(at)})
        self.complete = True
        self.record.update(
            currentPhase="COMPLETED", buildStatus=status, buildComplete=True, endTime=utc(at),
            exportedEnvironmentVariables=self._container.exported_variables(),
        )
        self._container.close()

    def _own_variables(self):
        return {
            "CODEBUILD_BUILD_ID": self.record["id"],
            "CODEBUILD_BUILD_ARN": self.record["arn"],
            "CODEBUILD_BUILD_NUMBER": str(self.record["buildNumber"]),
            "CODEBUILD_SOURCE_VERSION": self.record.get("sourceVersion") or "",
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
        }

    def _open_log(self, at):
        if self._group is None:
            return
        backend = logs_backends[self._account][self._region]
        backend.ensure_log_group(self._group)
        backend.ensure_log_stream(self._group, self._stream)
        self.record["logs"].update(log_location(self._account, self._region, self._group, self._stream))
        self._log(at, [f"{_prefix(at)} Waiting for agent ping", f"{_prefix(at)} Waiting for DOWNLOAD_SOURCE"])

    def _log_phase(self, at, lines, failure):
        """What CodeBuild's agent prints of a phase, with the output of its commands between."""
        if PHASES.index(self._phase) < PHASES.index("DOWNLOAD_SOURCE"):
            return
        began, ended = _prefix(self._phase_started), _prefix(at)
        text = [f"{began} Entering phase {self._phase}"] + lines
        if failure and failure.status_code == "COMMAND_EXECUTION_ERROR":
            command = failure.message.removeprefix("Error while executing command: ").partition(". Reason:")[0]
            status = failure.message.rpartition(" ")[2]
            text += ["", f"{ended} Command did not exit successfully {command} exit status {status}"]
        text.append(f"{ended} Phase complete: {self._phase} State: {'FAILED' if failure else 'SUCCEEDED'}")
        text.append(f"{ended} Phase context status code: {failure.status_code if failure else ''} "
                    f"Message: {failure.message if failure else ''}")
        self._log(at, text)

    def _log(self, at, lines):
        backend = logs_backends[self._account][self._region]
        # The operator may have deleted the group meanwhile: CodeBuild's lines are then lost.
        if self._group not in backend.groups or self._stream not in backend.groups[self._group].streams:
            return
        events = [{"timestamp": int(at * 1000), "message": line + "\n"} for line in lines]
        backend.groups[self._group].streams[self._stream].put_log_events(events)


def ordered_failure(order, container):
    """The failure that a test ordered, as its phase would report one of its own."""
    buildspec = container.buildspec
    commands = buildspec.commands(order["phase"]) if buildspec else []
    command = commands[-1] if commands else order["phase"].lower()
    default = f"Error while executing command: {command}. Reason: exit status 1"
    status = order.get("status", "FAILED")
    code, message = ORDERED.get(status, ("COMMAND_EXECUTION_ERROR", default))
    return PhaseFailed(order.get("status_code", code), order.get("message", message), order.get("logs", []), status)


def log_names(record):
    """(group, stream) that this build writes to; (None, None) when its logs are off."""
    config = record["logs"]["cloudWatchLogs"]
    if config["status"] != "ENABLED":
        return None, None
    uuid = record["id"].partition(":")[2]
    prefix = config.get("streamName")
    return config.get("groupName") or f"/aws/codebuild/{record['projectName']}", f"{prefix}/{uuid}" if prefix else uuid


def log_location(account, region, group, stream):
    escaped = [text.replace("/", "$252F").replace(":", "$253A") for text in (group, stream)]
    return {
        "groupName": group,
        "streamName": stream,
        "deepLink": f"https://console.aws.amazon.com/cloudwatch/home?region={region}#logsV2:log-groups/log-group/"
                    f"{escaped[0]}/log-events/{escaped[1]}",
        "cloudWatchLogsArn": f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:{stream}",
    }


def _prefix(at):
    return f"[Container] {utc(at).strftime('%Y/%m/%d %H:%M:%S.%f')}"
