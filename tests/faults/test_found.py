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
