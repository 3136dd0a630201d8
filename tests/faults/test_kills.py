"""The worker is killed, or stands still for longer than its lease, at every point that the engine has compiled in for tests, the first and the last time that a
stage passes it; during a teardown, in the middle of each of its calls. Another worker goes on. Then all must be as if nothing had happened.

By default a sample, chosen by BERTH_SEED (printed); BERTH_LONG=1 takes all. Needs a build with -DBERTH_TEST_POINTS=ON (build/points).
"""

import collections
import concurrent.futures
import os
import random
import subprocess
import time

import pytest

from life import ALL_STAGES, Life
from support import parts
from yard import BUILD, LEASE_S, PATIENCE, Yard

SEED = int(os.environ.get("BERTH_SEED", random.SystemRandom().randrange(1_000_000)))
LONG = bool(os.environ.get("BERTH_LONG"))
LANES = 4  # each a whole berth of its own: what is killed must be the one that has the release
SAMPLE_S = 45
COSTLY = ("changed", "slow", "overtaken")  # what the stages after it don't need

Case = collections.namedtuple("Case", "stage point nth how")


def listed_points():
    done = subprocess.run([str(BUILD / "berth"), "worker", "--list-test-points"], capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else []


pytestmark = pytest.mark.skipif(not (BUILD / "berth").exists() or not listed_points(), reason=f"{BUILD} is no build with -DBERTH_TEST_POINTS=ON")


def points_of(lane):
    """{stage: {point: how often}} of a life in which nothing goes wrong."""
    life, found = Life(lane, "clean"), {}
    for stage in ALL_STAGES:
        life.begin(stage)
        log = lane.folder / f"points-{stage}"
        worker = lane.start_worker(point_log=log, threads=1)
        life.run(stage)
        lane.stop_worker(worker)
        found[stage] = collections.Counter(log.read_text().split())
    return found


def cases_of(points):
    for stage, passed in points.items():
        for point, count in passed.items():
            for nth in sorted({1, count}) if not point.startswith(("worker.", "poller.")) else (1, 2):
                for how in ("kill", "stop"):
                    yield Case(stage, point, nth, how)


class Sweep:
    def __init__(self, cases):
        self.left = {stage: [case for case in cases if case.stage == stage] for stage in ALL_STAGES}
        self.done, self.missed, self.wrong = [], [], []

    def next_case(self, stage):
        return self.left[stage].pop() if self.left[stage] else None

    def is_open(self):
        return any(self.left.values())


def is_struck(victim):
    return victim.popen.poll() is not None or victim.state() in ("T", "Z")


def run_stage(lane, life, case):
    """The stage, with a worker that is struck at the case's point and another one that takes over; whether it was struck."""
    victim = lane.start_worker(point=f"{case.point}:{case.nth}:{case.how}", threads=1)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        stage = pool.submit(getattr(life, case.stage))
        parts.wait_until(lambda: stage.done() or is_struck(victim), 60 * PATIENCE, f"{case}")
        struck = is_struck(victim)
        relief = lane.start_worker(threads=2)
        if not struck:
            stage.result()
            lane.stop_worker(victim)
            lane.stop_worker(relief)
            return False
        if case.how == "kill":
            lane.kill_worker(victim)
        stage.result()
    if case.how == "stop":
        if lane.random.random() < 0.5:
            life.rest(case.stage)
        victim.wake()
        time.sleep(0.5)  # it finds that it is late
        lane.stop_worker(victim)
    lane.stop_worker(relief)
    return True


def live(lane, number, sweep):
    """One app through all stages, struck once in each."""
    life, case = Life(lane, f"k{number:04d}k"), None
    for stage in ALL_STAGES:
        case = sweep.next_case(stage)
        if not case and stage in COSTLY:
            continue
        try:
            life.begin(stage)
            if case:
                (sweep.done if run_stage(lane, life, case) else sweep.missed).append(case)
            else:
                worker = lane.start_worker()
                getattr(life, stage)()
                lane.stop_worker(worker)
            life.rest(stage)
        except Exception as error:  # told with its case; another app goes on
            sweep.wrong.append((case, f"{type(error).__name__}: {error}"))
            for worker in list(lane.workers):
                worker.wake()
                lane.kill_worker(worker)
            return


def run_lane(lane, numbers, sweep, until):
    while sweep.is_open() and (LONG or time.monotonic() < until):
        live(lane, next(numbers), sweep)
        if lane.random.random() < 0.2:
            lane.postgres.restart()


@pytest.fixture(scope="module")
def lanes():
    with concurrent.futures.ThreadPoolExecutor(LANES) as pool:
        made = list(pool.map(lambda i: Yard(seed=SEED + i), range(LANES)))
    yield made
    for lane in made:
        lane.end()


@pytest.fixture(scope="module")
def points(lanes):
    return points_of(lanes[0])


def test_each_point_of_the_engine_is_passed_by_a_stage(points):
    """What no stage passes, nobody is killed at."""
    passed = set().union(*points.values())

    assert sorted(set(listed_points()) - passed) == []


def test_a_worker_may_die_or_stand_still_anywhere(lanes, points):
    began = time.monotonic()
    cases = list(cases_of(points))
    random.Random(SEED).shuffle(cases)
    sweep, numbers = Sweep(cases), iter(range(1, 100_000))

    with concurrent.futures.ThreadPoolExecutor(LANES) as pool:
        list(pool.map(lambda lane: run_lane(lane, numbers, sweep, time.monotonic() + SAMPLE_S), lanes))

    print(f"seed {SEED}: {len(sweep.done)} of {len(cases)} cases struck in {time.monotonic() - began:.0f} s (lease {LEASE_S} s), {len(sweep.missed)} not come by, "
          f"{len(sweep.wrong)} ended wrong")
    for case, story in sweep.wrong:
        print(f"\n--- {case}\n{story}")
    assert not sweep.wrong
    assert len(sweep.done) >= (0.8 * len(cases) if LONG else 20)


TEARDOWN_CALLS = ("ListBuildsForProject", "DeleteService", "DescribeServices", "DeleteRule", "DeleteTargetGroup", "DeregisterTaskDefinition",
                  "DeleteTaskDefinitions", "DeleteProject", "DeleteRepository", "DeleteLogGroup", "DeleteRole", "DeleteRolePolicy", "DeleteObject", "DeleteSecret")


def test_a_teardown_goes_on_where_its_worker_died(lanes):
    """Killed in the middle of each of its calls, once AWS has acted."""
    lane = lanes[0]
    calls = TEARDOWN_CALLS if LONG else random.Random(SEED).sample(TEARDOWN_CALLS, 4)
    life = Life(lane, "tornk")
    workers = [lane.start_worker()]
    life.run("first")
    ids = [lane.stand_in.control("faults", {"rules": [{"operation": call, "kind": "latency", "when": "after", "ms": 700}]})["rules"][0]["id"]
           for call in calls]

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        destroyed = pool.submit(life.destroy)
        struck = set()
        while not destroyed.done():
            fired = {rule["id"] for rule in lane.stand_in.control("faults")["rules"] if rule["fired"]} & set(ids)
            if fired - struck:
                struck |= fired
                lane.kill_worker(workers.pop())
                workers.append(lane.start_worker())
            time.sleep(0.02)
        destroyed.result()

    life.rest("destroy")
    lane.stop_worker(workers.pop())
    print(f"killed in {len(struck)} of {len(calls)} calls: {' '.join(calls)}")
    assert len(struck) == len(calls)


@pytest.mark.skipif(not LONG, reason="lasts as long as the default lease, half a minute")
def test_a_worker_that_stands_still_for_longer_than_the_default_lease_does_no_harm():
    lane = Yard(seed=SEED)
    del lane.env["BERTH_WORKER_LEASE_S"]
    life = Life(lane, "asleep")
    victim = lane.start_worker(point="rollout.CreateService.after_intent:1:stop", threads=1)
    number = lane.push("asleep")
    parts.wait_until(lambda: is_struck(victim), 60, "the service's creation")
    stopped = time.monotonic()
    relief = lane.start_worker()
    release = lane.wait_ended("asleep", number, 90)
    taken_over_s = time.monotonic() - stopped

    victim.wake()

    parts.wait_until(lambda: "held by another worker" in victim.log() or "taken over" in victim.log(), 30, "the worker learns that it lost the release")
    assert release["state"] == "live"
    assert taken_over_s > 25  # it was no shorter lease
    life.rest("first")
    lane.stop_worker(victim)
    lane.stop_worker(relief)
    lane.end()
