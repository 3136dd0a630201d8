"""Every operation of AWS that berth uses × every way in which it may go wrong × its first and last time × once or until the client gives up, in every stage of an
app's life: each stage must end where it should without anybody's help, and afterwards nothing is doubled, left over or lost.

Which operations there are is read from the journal of a life in which nothing goes wrong. By default a sample, chosen by BERTH_SEED (printed);
BERTH_LONG=1 takes all.
"""

import collections
import concurrent.futures
import os
import random
import time

import pytest

from life import STAGES, Life
from support import parts
from yard import Yard

SEED = int(os.environ.get("BERTH_SEED", random.SystemRandom().randrange(1_000_000)))
LONG = bool(os.environ.get("BERTH_LONG"))
LIVES = 12
AT_ONCE = 16
ONLY = os.environ.get("BERTH_FAULT")  # one of FAULTS: only that
CLIENT_TRIES = 3

FAULTS = {
    "throttle": {"kind": "throttle"},
    "500": {"kind": "500"},
    "500 once done": {"kind": "500", "when": "after"},
    "503": {"kind": "503"},
    "503 once done": {"kind": "503", "when": "after"},
    "html": {"kind": "html500"},
    "drop before": {"kind": "drop-before"},
    "drop after": {"kind": "drop-after"},
    "truncate": {"kind": "truncate"},
    "expired token": {"kind": "expired-token"},  # goes on once there are fresh credentials
    "slow": {"kind": "latency", "when": "after", "ms": 3000},  # longer than a try may take under a lease of LEASE_S
}
NAMELESS = ("DescribeRules",)  # its parameters don't name an app: it strikes whichever comes first
AT_START = ("DescribeLoadBalancers", "DescribeSubnets", "DescribeSecurityGroups", "GetPolicy", "DescribeClusters", "GetBucketVersioning")

Case = collections.namedtuple("Case", "stage service operation fault occurrence of times")


@pytest.fixture(scope="module")
def yard():
    made = Yard(seed=SEED)
    worker = made.start_worker(threads=12)
    yield made
    assert worker.is_running(), worker.log()[-3000:]
    made.end()


def journal_end(yard):
    return max((entry["seq"] for entry in yard.stand_in.control("journal")["entries"]), default=0)


def operations_of(yard):
    """{stage: [(service, operation, how often)]} of a life in which nothing goes wrong."""
    life, found = Life(yard, "clean"), {}
    for stage in STAGES:
        before = journal_end(yard)
        life.run(stage)
        asked = yard.stand_in.control(f"operations?after={before}&signer=berth")["operations"]
        found[stage] = [(o["service"], o["operation"], o["count"]) for o in asked if o["operation"] not in AT_START]
    return found


def cases_of(operations):
    for stage, asked in operations.items():
        for service, operation, of in asked:
            for fault in [ONLY] if ONLY else FAULTS:
                for occurrence in ("first", "last") if of > 1 else ("first",):
                    for times in (1,) if fault == "slow" else (1, CLIENT_TRIES):
                        yield Case(stage, service, operation, fault, occurrence, of, times)


def order(yard, app, case):
    """Orders the case's fault; its rule's id."""
    rule = {"service": case.service, "operation": case.operation, "nth": 1 if case.occurrence == "first" else case.of, "count": case.times,
            **({} if case.operation in NAMELESS else {"match": app}), **FAULTS[case.fault]}
    answer = yard.stand_in.control("faults", {"rules": [rule]})
    assert "error" not in answer, (rule, answer)
    return answer["rules"][0]["id"]


class Sweep:
    def __init__(self, yard, cases):
        self.yard = yard
        self.left = {stage: [case for case in cases if case.stage == stage] for stage in STAGES}
        self.rules, self.wrong = {}, []

    def next_case(self, stage):
        return self.left[stage].pop() if self.left[stage] else None

    def live(self, number):
        """One app through all stages, with one fault in each."""
        app, case = f"s{number:04d}s", None
        try:
            life = Life(self.yard, app)
            for stage in STAGES:
                case = self.next_case(stage)
                if case:
                    self.rules[order(self.yard, app, case)] = case
                life.run(stage)
        except Exception as error:  # told with its case; the others go on
            self.wrong.append((case, f"{type(error).__name__}: {error}"))

    def is_open(self):
        return any(self.left.values())

    def struck(self):
        """The cases whose fault has struck."""
        fired = {rule["id"] for rule in self.yard.stand_in.control("faults")["rules"] if rule["fired"]}
        return [case for rule, case in self.rules.items() if rule in fired]


def test_no_single_fault_of_aws_keeps_a_stage_from_its_end(yard):
    began = time.monotonic()
    cases = list(cases_of(operations_of(yard)))
    random.Random(SEED).shuffle(cases)
    sweep = Sweep(yard, cases)
    numbers = iter(range(1, 10_000))

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        if LONG:
            running = set()
            while sweep.is_open() or running:
                while sweep.is_open() and len(running) < AT_ONCE:
                    running.add(pool.submit(sweep.live, next(numbers)))
                _, running = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
        else:
            list(pool.map(sweep.live, range(1, LIVES + 1)))

    struck = sweep.struck()
    print(f"seed {SEED}: {len(sweep.rules)} of {len(cases)} cases ordered in {time.monotonic() - began:.0f} s; {len(struck)} struck, "
          f"{len({(c.stage, c.operation) for c in struck})} operations of stages, {len(sweep.wrong)} ended wrong")
    for case, story in sweep.wrong:
        print(f"\n--- {case}\n{story}")
    assert not sweep.wrong
    # The others' operation was not made so often this time: polls depend on the time.
    assert len(struck) > 0.75 * len(sweep.rules)


def test_a_denied_call_fails_its_release_and_says_which_permission_is_missing(yard):
    life = Life(yard, "denied")
    life.run("first")
    yard.stand_in.control("faults", {"rules": [{"kind": "access-denied", "service": "ecs", "operation": "UpdateService", "match": "denied"}]})

    release = yard.wait_ended("denied", yard.push("denied"))

    assert release["state"] == "failed"
    assert "ecs:UpdateService" in f"{release['error']} {release['hint']}"
    life.rest("again")
    life.run("again")


def test_a_wrong_clock_is_put_right_by_the_client(yard):
    life = Life(yard, "skewed")
    life.run("first")
    yard.stand_in.control("faults", {"rules": [{"kind": "clock-skew", "match": "skewed", "skew_s": 900}]})

    try:
        life.run("again")
    finally:
        yard.stand_in.control("faults", method="DELETE")
    parts.wait_until(lambda: yard.release("skewed", 2)["state"] == "live")
