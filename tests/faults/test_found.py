"""What the model and the sweeps have found, each on its own."""

import pytest

from life import Life
from support import parts
from test_kills import is_struck, pytestmark  # noqa: F401
from yard import Yard


@pytest.fixture(scope="module")
def yard():
    made = Yard(seed=7)
    yield made
    made.end()


def test_a_cancelled_first_release_does_not_come_back_when_the_next_one_fails(yard):
    """ECS's breaker goes back to what last became steady, which was never live."""
    life = Life(yard, "comeback")
    victim = yard.start_worker(point="live.go_live.before:1:kill", threads=1)
    assert yard.push("comeback") == 1
    parts.wait_until(lambda: is_struck(victim), 30, "v1's last commit")
    yard.kill_worker(victim)
    yard.berth("cancel", "comeback")
    worker = yard.start_worker()
    assert yard.wait_ended("comeback", 1)["state"] == "cancelled"
    yard.stand_in.control("service-outcome", {"service": "berth-comeback", "failure": "exit", "exit_code": 3, "count": 1})

    yard.push("comeback")

    assert yard.wait_ended("comeback", 2)["state"] == "failed"
    life.rest("first")
    yard.stop_worker(worker)


@pytest.mark.parametrize("service, operation", [("s3", "PutObject"), ("ecs", "RegisterTaskDefinition")])
@pytest.mark.parametrize("kind", ["drop-after", "truncate", "500"])
def test_what_aws_makes_anew_each_time_is_asked_once(yard, service, operation, kind):
    worker = yard.start_worker()
    app = f"once{service}{kind.replace('-', '')}"
    life = Life(yard, app)
    answer = yard.stand_in.control("faults", {"rules": [{"service": service, "operation": operation, "match": app, "kind": kind, "when": "after"}]})

    life.run("first")

    assert {rule["id"]: rule["fired"] for rule in yard.stand_in.control("faults")["rules"]}[answer["rules"][0]["id"]] == 1
    yard.stop_worker(worker)


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_an_archive_that_was_stored_and_noted_but_not_pinned_is_found_again(yard, how):
    life = Life(yard, f"pinned{how}")
    victim = yard.start_worker(point=f"source.facts.before:1:{how}", threads=1)
    yard.push(life.app)
    parts.wait_until(lambda: is_struck(victim), 30, "the archive's version")
    if how == "kill":
        yard.kill_worker(victim)

    relief = yard.start_worker()

    assert yard.wait_ended(life.app, 1)["state"] == "live"
    if how == "stop":
        victim.wake()
        yard.stop_worker(victim)
    life.rest("first")
    yard.stop_worker(relief)


KEPT = 10  # PRUNE_KEPT
LATE_MS = 20000  # by then two releases have gone live


def test_a_rollback_to_a_release_whose_image_was_pruned_is_refused_with_what_to_do(yard):
    worker = yard.start_worker()
    life = Life(yard, "pruned")
    for _ in range(KEPT + 2):  # the one that goes live makes room for itself before, so that there is one more
        life.again()

    refused = yard.berth("rollback", "pruned", "v1", code=None)["error"]
    kept = yard.berth("rollback", "pruned", "v2")["release"]

    commit = yard.release("pruned", 1)["commit_sha"][:7]
    assert f"can't be rolled back to v1: its image is gone, berth keeps those of the last {KEPT} live releases" in refused["message"]
    assert f"`berth deploy pruned --commit {commit}` builds its commit anew" in refused["hint"]
    assert kept == KEPT + 3
    assert yard.wait_ended("pruned", kept)["state"] == "live"
    images = next(r["images"] for r in yard.stand_in.control("state")["repositories"] if r["app"] == "pruned")
    assert yard.release("pruned", 1)["image_digest"] not in [image["digest"] for image in images]
    life.rest("rollback")
    yard.stop_worker(worker)


def primary_of(yard, app):
    service = next(s for s in yard.stand_in.control("state")["services"] if s["app"] == app)
    return next(d["task_definition"] for d in service["deployments"] if d["status"] == "PRIMARY")


def test_an_update_that_aws_carries_out_after_newer_releases_is_repaired_by_reconcile(yard):
    """Sent by a worker that has died since: AWS knows no fencing token, so nobody refuses it."""
    life = Life(yard, "lateupdate")
    victim = yard.start_worker(threads=1)
    life.first()
    rule = yard.stand_in.control("faults", {"rules": [{"operation": "UpdateService", "match": "lateupdate", "kind": "latency", "ms": LATE_MS}]})["rules"][0]["id"]
    late = yard.push("lateupdate")
    parts.wait_until(lambda: any(r["id"] == rule and r["fired"] for r in yard.stand_in.control("faults")["rules"]), 30, "the update of v2")
    yard.kill_worker(victim)
    relief = yard.start_worker()
    assert yard.wait_ended("lateupdate", late)["state"] == "live"
    newest = yard.push("lateupdate")
    assert yard.wait_ended("lateupdate", newest)["state"] == "live"
    older, newer = (yard.release("lateupdate", number)["task_definition_arn"] for number in (late, newest))
    assert primary_of(yard, "lateupdate") == newer

    parts.wait_until(lambda: primary_of(yard, "lateupdate") == older, LATE_MS / 1000 + 10, "the late update")
    found = yard.berth("reconcile", "lateupdate", code=None)["findings"]
    life.put_right(["live"])

    assert [(f["finding"], f["kind"]) for f in found] == [("changed", "service")]
    life.rest("again")
    yard.stop_worker(relief)
