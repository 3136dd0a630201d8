"""The stages of an app's life, each with the end that it must have whatever goes wrong meanwhile."""

import time

import observer
from support import parts

STAGES = ("first", "again", "rollback", "cancel_build", "cancel_rollout", "destroy")
LIMIT_S = 90
REST_S = 15


class Wrong(AssertionError):
    pass


class Life:
    """One app; each stage returns once it has ended, and raises Wrong with the app's story when it has not ended well."""

    def __init__(self, yard, app):
        self.yard, self.app = yard, app
        yard.make_app(app)

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

    def first(self):
        self._end_as(self.yard.push(self.app), ["live"])

    def again(self):
        self._end_as(self.yard.push(self.app), ["live"])

    def rollback(self):
        self._end_as(self.yard.berth("rollback", self.app, tries=5)["release"], ["live"])

    def _cancel_at(self, steps):
        """It may end before it gets there, or be live before the cancel comes."""
        number = self.yard.push(self.app)
        parts.wait_until(lambda: self._is_at(number, steps), LIMIT_S, f"v{number} of {self.app} at {steps}\n{self.yard.story(self.app)}")
        try:
            self.yard.berth("cancel", self.app, tries=3)
        except AssertionError:
            if not self.yard.has_ended(self.app, number):
                raise
        self._end_as(number, ["cancelled", "live"])

    def _is_at(self, number, steps):
        release = self.yard.release(self.app, number)
        return release["step"] in steps or release["finished_at"]

    def cancel_build(self):
        self._cancel_at(["build"])

    def cancel_rollout(self):
        self._cancel_at(["rollout", "live"])

    def destroy(self):
        answer = self.yard.berth("destroy", self.app, "--yes", "--wait", "--timeout", str(LIMIT_S))
        if answer["state"] != "destroyed":
            raise Wrong(f"destroy of {self.app}: {answer}")
