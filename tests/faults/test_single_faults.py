"""Every operation of AWS that berth uses × every way in which it may go wrong × its first and last time × once or until the client gives up, in every stage of an
app's life: each stage must end where it should without anybody's help, and afterwards nothing is doubled, left over or lost.

What needs a person is in test_denied.py. See sweep.py for what is taken, and how it is repeated. BERTH_FAULT takes only one of FAULTS.
"""

import os

import pytest

import sweep
from life import Life
from support import parts
from sweep import Case, Sweep, operations_of, share
from yard import Yard

LIVES = 12
ONLY = os.environ.get("BERTH_FAULT")
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
    "clock skew": {"kind": "clock-skew"},
    "slow": {"kind": "latency", "when": "after", "ms": 3000},  # longer than a try may take under a lease of LEASE_S
}
ONCE = ("slow", "clock skew")


@pytest.fixture(scope="module")
def yard():
    made = Yard(seed=sweep.SEED)
    worker = made.start_worker(threads=12)
    yield made
    assert worker.is_running(), worker.log()[-3000:]
    made.end()


def cases_of(operations):
    for o in operations:
        for fault in [ONLY] if ONLY else FAULTS:
            for occurrence in ("first", "last") if o.of > 1 else ("first",):
                for times in (1,) if fault in ONCE else (1, CLIENT_TRIES):
                    yield Case(o.stage, o.service, o.name, fault, occurrence, o.of, o.named, times)


def with_fault(one, life, case):
    one.rules[sweep.order(one.yard, life.app, case, FAULTS[case.fault])] = case
    life.run(case.stage)


@pytest.mark.parametrize("part", range(sweep.PARTS))
def test_no_single_fault_of_aws_keeps_a_stage_from_its_end(yard, part):
    operations = operations_of(yard, f"clean{part}")
    swept = Sweep(yard, share(cases_of(operations), part), with_fault)

    swept.run(LIVES)

    struck = swept.struck()
    swept.report(struck)
    unstruck = {(o.stage, o.name) for o in operations} - {(c.stage, c.operation) for c in struck}
    print(f"without a fault that struck: {sorted(unstruck)}" if sweep.LONG else "")
    assert not swept.wrong
    # The others' operation was not made so often this time: polls depend on the time.
    assert len(struck) > 0.75 * len(swept.rules)


def test_a_wrong_clock_is_put_right_by_the_client(yard):
    life = Life(yard, "skewed")
    life.run("first")
    yard.stand_in.control("faults", {"rules": [{"kind": "clock-skew", "match": "skewed", "skew_s": 900}]})

    try:
        life.run("again")
    finally:
        yard.stand_in.control("faults", method="DELETE")
    parts.wait_until(lambda: yard.release("skewed", 2)["state"] == "live")
