"""The engine under faults: workers that die or freeze at a named point, and what AWS and the history show afterwards.

Needs a build with -DBERTH_TEST_POINTS=ON (core/base/test_point.h): BERTH_BUILD=build/points; skipped otherwise.
"""

import os
import pathlib
import signal
import subprocess
import time

import pytest

LEASE_S = int(os.environ.get("BERTH_WORKER_LEASE_S", "3"))
PATIENCE_S = 60


def has_points(stack):
    done = subprocess.run(["berth", "worker", "--list-test-points"], env=stack.env, capture_output=True, text=True, check=False)
    return done.returncode == 0 and "build.StartBuild.after_call" in done.stdout


class Workers:
    """Workers of the test's own, instead of the stack's."""

    def __init__(self, stack, folder):
        self.stack, self.folder, self.all = stack, folder, []

    def start(self, point=None, lease_s=LEASE_S):
        env = {**self.stack.env, "BERTH_WORKER_LEASE_S": str(lease_s)}
        if point:
            env["BERTH_TEST_POINT"] = point
        with open(self.folder / f"worker-{len(self.all)}.log", "ab") as log:
            worker = subprocess.Popen(["berth", "worker"], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        worker.log = lambda name=log.name: pathlib.Path(name).read_text()
        self.all.append(worker)
        return worker

    def end(self):
        for worker in self.all:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.kill()
            worker.wait(10)


def state_of(worker):
    return pathlib.Path(f"/proc/{worker.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def wait_until(question, what):
    until = time.monotonic() + PATIENCE_S
    while not question():
        assert time.monotonic() < until, what
        time.sleep(0.05)


@pytest.fixture
def workers(stack, tmp_path):
    if not has_points(stack):
        pytest.skip("this build has no test points")
    pid_file = stack.directory / "pid" / "worker"
    if pid_file.exists():
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
        pid_file.unlink()
    made = Workers(stack, tmp_path)
    yield made
    made.end()


def calls_of(stack, operation, since):
    return [call for call in stack.calls(since) if call["operation"] == operation]


KILLED_AT = ["source.PutObject.after_call", "identity.CreateRole.after_call", "build.StartBuild.after_intent", "build.StartBuild.after_call",
             "route.CreateRule.after_call", "rollout.RegisterTaskDefinition.after_call", "rollout.CreateService.after_call", "live.go_live.before"]


@pytest.mark.parametrize("point", KILLED_AT)
def test_a_release_whose_worker_was_killed_goes_live_and_nothing_is_made_twice(stack, workers, make_app, point):
    repository = make_app(f"kill-{KILLED_AT.index(point)}")
    since = stack.last_call()
    first = workers.start(f"{point}:1:kill")
    repository.push("Killed on the way")
    wait_until(lambda: first.poll() is not None, f"the worker reaches {point}")
    killed = time.monotonic()

    workers.start()
    release = repository.wait(1)

    assert first.returncode == -signal.SIGKILL
    assert release["state"] == "live"
    print(f"{point}: live {time.monotonic() - killed:.1f} s after the kill, with a lease of {LEASE_S} s")
    for operation in ("StartBuild", "CreateService", "UpdateService", "RegisterTaskDefinition", "CreateTargetGroup"):
        assert len(calls_of(stack, operation, since)) <= 1, operation


FROZEN_AT = ["source.PutObject.after_intent", "build.StartBuild.after_intent", "route.CreateTargetGroup.after_intent",
             "rollout.RegisterTaskDefinition.after_intent", "rollout.CreateService.after_intent", "rollout.move.before", "live.go_live.before"]


@pytest.mark.parametrize("point", FROZEN_AT)
def test_a_worker_that_wakes_after_its_lease_does_no_harm(stack, workers, make_app, point):
    repository = make_app(f"freeze-{FROZEN_AT.index(point)}")
    since = stack.last_call()
    frozen = workers.start(f"{point}:1:stop")
    repository.push("Frozen on the way")
    wait_until(lambda: state_of(frozen) == "T", f"the worker reaches {point}")
    workers.start()
    release = repository.wait(1)
    asked = len(stack.calls(since))

    frozen.send_signal(signal.SIGCONT)
    wait_until(lambda: "held by another worker" in frozen.log() or "taken over" in frozen.log(), "the frozen worker learns that it lost the release")

    assert release["state"] == "live"
    mutating = [call["operation"] for call in stack.calls(since)[asked:] if not call["operation"].startswith(("Describe", "BatchGet", "List", "Head", "Get"))]
    assert mutating == []
    assert stack.berth("status", repository.app, "v1")["state"] == "live"
