"""How often AWS is asked about what waits: that follows how much waits and how much fits a call, not how many apps there are."""

import time

import pytest

from support import parts
from yard import SPEED, Yard

APPS = 60
BUILDS_A_CALL, SERVICES_A_CALL = 100, 10
WINDOW_S = 5
BUILD_S = 1800  # of the stand-in's time: longer than it takes until all wait


@pytest.fixture
def waiting():
    """A yard in which 60 apps' first builds run, and go on."""
    yard = Yard(seed=60)
    yard.stand_in.control("build-outcome", {"project": "*", "phase": "BUILD", "status": "SUCCEEDED", "ms": BUILD_S * 1000, "count": APPS})
    yard.stand_in.control("service-outcome", {"service": "*", "failure": "pending", "count": APPS})
    for number in range(APPS):
        yard.push(yard.make_app(f"w{number:02d}w"))
    yard.start_worker(threads=12)
    yield yard
    yard.end()


def until_all_wait(yard, what):
    parts.wait_until(lambda: yard.db.rows(f"SELECT count(*) AS n FROM berth.releases WHERE waits_for = '{what}'")[0]["n"] == APPS, BUILD_S / SPEED,
                     f"all {APPS} wait for their {what}")


def asked_meanwhile(yard):
    """What berth asks of AWS while nothing happens there."""
    before = max(entry["seq"] for entry in yard.stand_in.control("journal")["entries"])
    time.sleep(WINDOW_S)
    return yard.stand_in.control(f"journal?after={before}")["entries"]


def test_sixty_apps_that_wait_are_asked_about_a_batch_at_a_time(waiting):
    until_all_wait(waiting, "build")
    for_builds = asked_meanwhile(waiting)
    waiting.stand_in.control("advance", {"seconds": BUILD_S})
    until_all_wait(waiting, "service")
    for_services = asked_meanwhile(waiting)

    builds = [call["params"]["ids"] for call in for_builds]
    services = [call["params"]["services"] for call in for_services]
    print(f"in {WINDOW_S} s for {APPS} apps: {len(builds)} BatchGetBuilds, {len(services)} DescribeServices")
    assert {call["operation"] for call in for_builds} == {"BatchGetBuilds"}
    assert {call["operation"] for call in for_services} == {"DescribeServices"}
    # Each second at most, while they are young.
    assert 1 <= len(builds) <= (WINDOW_S + 1) * -(-APPS // BUILDS_A_CALL)
    assert 1 <= len(services) <= (WINDOW_S + 1) * -(-APPS // SERVICES_A_CALL)
    assert len({one for ids in builds for one in ids}) == len({one for names in services for one in names}) == APPS
