"""AWS is of two minds at once: for some seconds after each change berth reads what was before, and the answers to its changes are lost now and then. In every stage of an
app's life that must end as if nothing had been: nothing that isn't shown yet is taken for gone, made twice or left behind.

See sweep.py for what is taken, and how it is repeated.
"""

import pytest

import sweep
from sweep import Case, Sweep, operations_of
from yard import Yard

LIVES = 4
STALE_MS = 2500  # several looks
LOOKS = ("Describe", "List", "Get", "BatchGet", "Head", "Filter")
LOST = {"kind": "drop-after"}
CLIENT_TRIES = 3


@pytest.fixture(scope="module")
def yard():
    made = Yard(seed=sweep.SEED)
    worker = made.start_worker(threads=12)
    made.stand_in.control("consistency", {"*": STALE_MS})
    yield made
    assert worker.is_running(), worker.log()[-3000:]
    made.end()


def cases_of(operations):
    for o in operations:
        if not o.name.startswith(LOOKS):
            for times in (1, CLIENT_TRIES):
                yield Case(o.stage, o.service, o.name, "lost answer", "first", o.of, o.named, times)


def with_lost_answer(one, life, case):
    one.rules[sweep.order(one.yard, life.app, case, LOST)] = case
    life.run(case.stage)


def test_what_is_shown_late_is_neither_gone_nor_made_twice(yard):
    swept = Sweep(yard, cases_of(operations_of(yard)), with_lost_answer)

    swept.run(LIVES)

    struck = swept.struck()
    swept.report(struck)
    assert not swept.wrong
    assert len(struck) > 0.75 * len(swept.rules)
