"""Has spin go through every state of release.pml: as the engine is, where nothing may be found, and with one safeguard left out, where something must be.

BERTH_LONG=1 adds more faults at a time (minutes, and some GiB of memory).
"""

import os
import pathlib
import re
import subprocess

import pytest

MODEL = pathlib.Path(__file__).with_name("release.pml")
LONG = os.environ.get("BERTH_LONG")
NOTHING = {"CRASHES": 0, "FREEZES": 0, "LOSSES": 0, "CANCELS": 0}

HOLDS = [
    {"CANCELS": 1},
    {"CRASHES": 1},
    {"FREEZES": 1},
    {"LOSSES": 1},
    {"FREEZES": 1, "LATE_CALLS": 1, "ALL_GOOD": 1},
]
HOLDS_LONG = [
    {"CRASHES": 1, "CANCELS": 1},
    {"CRASHES": 2},
    {"LOSSES": 1, "CANCELS": 1},
    {"CRASHES": 1, "LOSSES": 1},
    {"CRASHES": 1, "FREEZES": 1, "LOSSES": 1},
    {"CRASHES": 2, "CANCELS": 1},
    {"LOSSES": 2, "CANCELS": 1},
    {"FREEZES": 2, "CANCELS": 1},
    {"CRASHES": 1, "FREEZES": 1, "LATE_CALLS": 1, "ALL_GOOD": 1},
]
ENDS = [{"CRASHES": 1}]
ENDS_LONG = [{"LOSSES": 1}, {"CRASHES": 1, "LOSSES": 1}, {"FREEZES": 1}, {"CANCELS": 1}]

# What is left out: the least that must go wrong besides for it to matter.
NEEDED = {
    "NO_FENCE": {"FREEZES": 1},
    "NO_GUARD": {"FREEZES": 1},
    "NO_INTENT": {"LOSSES": 1, "CANCELS": 1},
    "NO_PRIMARY_CHECK": {"FREEZES": 1, "LATE_CALLS": 1, "ALL_GOOD": 1},
    "NO_TOKEN": {"FREEZES": 1, "LATE_CALLS": 1},
    "NO_LOOK_UP": {"LOSSES": 1, "NO_TOKEN": 1},
    "TWO_AT_ONCE": {},
    "TRUST_BREAKER": {"CANCELS": 1},
}


def words(case):
    return " ".join(f"{name}={value}" for name, value in case.items()) or "nothing goes wrong"


def explore(folder, case, live=False):
    """(errors, states) of the model with these faults; live: that everything ends at last is asked, under weak fairness."""
    given = [f"-D{name}={value}" for name, value in {**NOTHING, **case, **({"PROGRESS": 1} if live else {})}.items()]
    subprocess.run(["spin", "-a", *given, str(MODEL)], cwd=folder, check=True, capture_output=True)
    subprocess.run(["gcc", "-O1", "-w", *(["-DNFAIR=3"] if live else ["-DSAFETY"]), "-o", "pan", "pan.c"], cwd=folder, check=True)
    said = subprocess.run(["./pan", "-m1000000", "-w22", *(["-a", "-f"] if live else [])], cwd=folder, capture_output=True, text=True, check=False).stdout
    assert "error: max search depth too small" not in said, said
    assert "out of memory" not in said, said
    errors = int(re.search(r"errors: (\d+)", said)[1])
    states = int(re.search(r"(\d+) states, stored", said)[1])
    print(f"{words(case)}: {states} states, {errors} errors")
    return errors, states, said


@pytest.mark.parametrize("case", HOLDS + (HOLDS_LONG if LONG else []), ids=words)
def test_what_aws_runs_is_what_berth_says_whatever_goes_wrong(tmp_path, case):
    errors, states, said = explore(tmp_path, case)

    assert errors == 0, said
    assert states > 10000


@pytest.mark.parametrize("case", ENDS + (ENDS_LONG if LONG else []), ids=words)
def test_every_release_ends(tmp_path, case):
    errors, states, said = explore(tmp_path, case, live=True)

    assert errors == 0, said
    assert states > 10000


@pytest.mark.parametrize("left_out", NEEDED)
def test_each_safeguard_is_needed(tmp_path, left_out):
    errors, _, said = explore(tmp_path, {**NEEDED[left_out], left_out: 1})

    assert errors == 1, said


def test_the_limit_is_a_request_that_arrives_after_everything_is_over(tmp_path):
    """Nothing that a worker does can prevent it; docs/guarantees.md says so, and `berth reconcile` finds it."""
    errors, _, said = explore(tmp_path, {"FREEZES": 1, "ENDLESS_CALLS": 1})

    assert errors == 1, said
