"""The stages of an app's life, each with the end that it must have whatever goes wrong meanwhile."""

import time

import observer
import tamper
from support import parts
from world import DEFAULT_TIMING
from yard import LEASE_S, PATIENCE, SPEED

STAGES = ("first", "again", "rollback", "cancel_build", "cancel_rollout", "repair", "destroy")
# With these all test points are passed. changed and overtaken need workers of their own, so a sweep must call their beginning first.
ALL_STAGES = (*STAGES[:-1], "changed", "slow", "overtaken", STAGES[-1])
CANCELLED_AT = {"cancel_build": ["build"], "cancel_rollout": ["rollout", "live"]}
LIMIT_S = 90 * PATIENCE
REST_S = 15 * PATIENCE
SLOW_MS = 1000  # more than a quarter of the yard's lease, less than a try may take


class Wrong(AssertionError):
    pass


class Life:
    """One app; each stage returns once it has ended, and raises Wrong with the app's story when it has not ended well."""

    def __init__(self, yard, app):
        self.yard, self.app = yard, app
        yard.make_app(app)

    def begin(self, stage):
        """What a stage needs to have happened before there is a worker."""
        if stage in ("changed", "overtaken"):
            getattr(self, f"{stage}_begin")()

    def run(self, stage):
        getattr(self, stage)()
        self.rest(stage)

    def _end_as(self, number, wanted):
        release = self.yard.wait_ended(self.app, number, LIMIT_S)
        if release["state"] not in wanted:
            raise Wrong(f"v{number} of {self.app} ended {release['state']}, not {' or '.join(wanted)}\n{self.yard.story(self.app)}")
        return release

    def rest(self, stage):
        """All is as it should be, once what goes away has gone."""
        check = observer.gone_faults if stage == "destroy" else observer.app_faults
        until = time.monotonic() + REST_S
        while True:
            faults = check(self.yard.db, self.yard.stand_in.control("state"), self.app)
            if not faults:
                return
            if time.monotonic() > until:
                raise Wrong("\n".join(faults) + "\n" + self.yard.story(self.app))
            time.sleep(0.2)

    def ask(self, stage):
        """Asks for the release that a stage is about; its number."""
        if stage == "rollback":
            return self.yard.berth("rollback", self.app, tries=5)["release"]
        if stage in CANCELLED_AT:
            return self._cancel_at(CANCELLED_AT[stage])
        return self.yard.push(self.app)

    def first(self):
        self._end_as(self.ask("first"), ["live"])

    def again(self):
        self._end_as(self.ask("again"), ["live"])

    def rollback(self):
        self._end_as(self.ask("rollback"), ["live"])

    def _cancel_at(self, steps):
        """It may end before it gets there, or be live before the cancel comes."""
        number = self.yard.push(self.app)
        parts.wait_until(lambda: self._is_at(number, steps), LIMIT_S, f"v{number} of {self.app} at {steps}\n{self.yard.story(self.app)}")
        try:
            self.yard.berth("cancel", self.app, tries=3)
        except AssertionError:
            if not self.yard.has_ended(self.app, number):
                raise
        return number

    def _is_at(self, number, steps):
        release = self.yard.release(self.app, number)
        return release["step"] in steps or release["finished_at"]

    def cancel_build(self):
        self._end_as(self.ask("cancel_build"), ["cancelled", "live"])

    def cancel_rollout(self):
        self._end_as(self.ask("cancel_rollout"), ["cancelled", "live"])

    def repair(self):
        """Somebody has changed all that an app has; reconcile finds it and makes it anew."""
        self.change_all()
        self.put_right(["live", "cancelled"])

    def change_all(self):
        tamper.change_all(self.yard.stand_in, self.yard.resources(self.app), self.app)

    def put_right(self, wanted):
        """A release that does may have been queued though the command's own answer was lost."""
        until = time.monotonic() + LIMIT_S
        while self._is_different(wanted):
            if time.monotonic() > until:
                raise Wrong(f"{self.app} stays different\n{self.yard.story(self.app)}")

    def _is_different(self, wanted):
        found = self.yard.berth("reconcile", self.app, "--fix", tries=5)
        self._end_as(self.yard.newest(self.app), wanted)
        return found["findings"] or found["apps_busy"]

    def slow(self):
        """AWS takes its time and fails, in each step, so that leases run short in the middle of a call."""
        self.yard.outdate(self.app)
        rules = [{"operation": operation, "match": self.app, "kind": "500", "ms": SLOW_MS} for operation in tamper.SLOWED]
        self.yard.stand_in.control("faults", {"rules": rules})
        self._end_as(self.yard.push(self.app), ["live"])

    def changed_begin(self):
        """A release with another health check is cancelled when it is all but live, and its worker is gone."""
        worker = self.yard.start_worker(point="live.go_live.before:1:kill", threads=1)
        now = self.yard.berth("apps", "show", self.app)["health_check_path"]
        self.yard.berth("apps", "set", self.app, "health_check_path=" + ("/ready" if now == "/healthz" else "/healthz"))
        number = self.yard.push(self.app)
        parts.wait_until(lambda: worker.popen.poll() is not None, LIMIT_S, f"v{number} of {self.app} in its last step\n{self.yard.story(self.app)}")
        self.yard.kill_worker(worker)
        self.yard.berth("cancel", self.app, tries=3)

    def changed(self):
        """It is taken back, with the health check that was; the next one has the new one."""
        self._end_as(self.yard.newest(self.app), ["cancelled"])
        self._end_as(self.yard.push(self.app), ["live"])

    def overtaken_begin(self):
        """An older release takes the service right before a newer one, whose worker is gone, is written down as live."""
        worker = self.yard.start_worker(point="live.go_live.before:1:kill", threads=1)
        older = self.yard.live(self.app)
        number = self.yard.push(self.app)
        parts.wait_until(lambda: worker.popen.poll() is not None, LIMIT_S, f"v{number} of {self.app} in its last step\n{self.yard.story(self.app)}")
        self.yard.kill_worker(worker)
        self.yard.stand_in.control("faults", {"rules": [{"operation": "UpdateService", "match": self.app, "kind": "500", "ms": SLOW_MS}]})
        self.yard.stand_in.control("timing", {"task_drain": (LEASE_S + 2) * 1000 * SPEED})  # the newer one's tasks still drain when the next worker looks
        self.yard.stand_in.control("service-update", {"service": f"berth-{self.app}", "action": "deploy",
                                                      "task_definition": older["task_definition_arn"]})

    def overtaken(self):
        try:
            self._end_as(self.yard.newest(self.app), ["live"])
        finally:
            self.yard.stand_in.control("timing", {"task_drain": DEFAULT_TIMING["task_drain"]})

    def leave_behind(self):
        tamper.leave_behind(self.yard.stand_in, self.yard.bucket, self.app)

    def destroy(self):
        if not self.yard.teardown(self.app):
            self.leave_behind()
        try:
            answer = self.yard.berth("destroy", self.app, "--yes", "--wait", "--timeout", str(LIMIT_S))
        except AssertionError as error:
            raise Wrong(f"{error}\n{self.yard.story(self.app)}") from None
        if answer["state"] != "destroyed":
            raise Wrong(f"destroy of {self.app}: {answer}")
