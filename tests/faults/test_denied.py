"""Every operation of AWS that berth uses, denied from its first or last time on, in every stage of an app's life, until a person has added the permission: what failed
says which one and where its statement is, or waits for it and says so; meanwhile nothing is doubled; and all goes on once the permission is there.

See sweep.py for what is taken, and how it is repeated.
"""

import json
import pathlib
import re
import time

import pytest

import fault_kinds
import observer
import sweep
from life import LIMIT_S, REST_S, Life, Wrong
from support import parts
from sweep import Case, Sweep, operations_of, share
from yard import TOP, Yard

LIVES = 5
# Without these a release goes on: what they would tell or tidy is missing then.
HANDING_ON = ("RegisterTaskDefinition", "CreateProject", "UpdateProject")


@pytest.fixture(scope="module")
def yard():
    made = Yard(seed=sweep.SEED)
    made.start_worker(threads=12)
    yield made
    made.end()


def statements():
    """{action: [the names of the statements that allow it]}, as the operator reads them."""
    found = {}
    for text in re.findall(r"```json\n(.*?)```", (pathlib.Path(TOP) / "docs" / "aws-permissions.md").read_text(), re.DOTALL):
        for statement in json.loads(text)["Statement"]:
            for action in [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]:
                found.setdefault(action, []).append(statement["Sid"])
    return found


STATEMENTS = statements()


def cases_of(operations):
    for o in operations:
        for occurrence in ("first", "last") if o.of > 1 else ("first",):
            for action in ("", "iam:PassRole") if o.name in HANDING_ON else ("",):
                yield Case(o.stage, o.service, o.name, action, occurrence, o.of, o.named, 0)


def actions_of(case):
    """What the missing permission is called: of S3 it depends on the parameters."""
    if case.fault:
        return [case.fault]
    return [fault_kinds.action_of(case.service, case.operation, params) for params in ((), ("VersionId",))]


def expect_named(case, text, story):
    """The permission, and a statement of the documents that has it."""
    named = [action for action in actions_of(case) if action in text]
    if not named or not any(sid in text for action in named for sid in STATEMENTS.get(action, ())):
        raise Wrong(f"neither {' nor '.join(actions_of(case))} with its statement in: {text}\n{story}")


class Denial:
    """While it lasts, the case's calls are refused."""

    def __init__(self, yard, app, case):
        self.yard = yard
        rule = {"kind": "access-denied", **({"action": case.fault} if case.fault else {})}
        self.id = sweep.order(yard, app, case, rule)

    def struck(self):
        return any(rule["id"] == self.id and rule["fired"] for rule in self.yard.stand_in.control("faults")["rules"])

    def end(self):
        """Whether it has struck."""
        struck = self.struck()
        self.yard.stand_in.control(f"faults?id={self.id}", method="DELETE")
        return struck


def expect_nothing_doubled(life):
    until = time.monotonic() + REST_S
    while True:
        things = observer.of_app(life.yard.stand_in.control("state"), life.app)
        faults = observer.doubled_faults(life.yard.db, life.app, things) + observer.history_faults(life.yard.db, life.app)
        if not faults:
            return
        if time.monotonic() > until:
            raise Wrong("\n".join(faults) + "\n" + life.yard.story(life.app))
        time.sleep(0.2)


def release_denied(life, case):
    """Fails and says what is missing, or did without."""
    yard, app = life.yard, life.app
    denial = Denial(yard, app, case)
    try:
        release = yard.wait_ended(app, life.ask(case.stage), LIMIT_S)
        expect_nothing_doubled(life)
    finally:
        struck = denial.end()
    if release["state"] == "failed":
        expect_named(case, f"{release['error']} {release['hint']}", yard.story(app))
    life.run("again")
    return struck


def secret_denied(life, case):
    """It is the responder that needs it: no push is taken that can't be proven, and all are once it can."""
    yard, app = life.yard, life.app
    denial = Denial(yard, app, case)
    try:
        before, after = yard.github.commit(app, "While the secret can't be read")
        answer = yard.post(app, before, after)
        if not answer or answer.status not in (202, 503):
            raise Wrong(f"the push was answered {answer and answer.status}")
    finally:
        struck = denial.end()
    if answer.status == 202:
        yard.wait_ended(app, answer.json["release"], LIMIT_S)
    life.run("again")
    return struck


def repair_denied(life, case):
    """The command says it, or the release that it has queued does."""
    yard, app = life.yard, life.app
    life.change_all()
    denial = Denial(yard, app, case)
    try:
        answer = yard.berth("reconcile", app, "--fix", code=None)
        release = yard.wait_ended(app, yard.newest(app), LIMIT_S)
    finally:
        struck = denial.end()
    if "error" in answer and struck:
        told = json.dumps(answer["error"])
        if not any(action in told for action in actions_of(case)):
            raise Wrong(f"none of {actions_of(case)} in: {told}")
    elif release["state"] == "failed":
        expect_named(case, f"{release['error']} {release['hint']}", yard.story(app))
    life.put_right(["live", "cancelled", "failed"])
    life.run("again")
    return struck


def destroy_denied(life, case):
    """The teardown waits, and says for what."""
    yard, app = life.yard, life.app
    life.leave_behind()
    denial = Denial(yard, app, case)
    try:
        yard.berth("destroy", app, "--yes")
        parts.wait_until(lambda: yard.teardown(app)["state"] != "running" or yard.teardown(app)["error"], LIMIT_S, yard.story(app))
        now = yard.teardown(app)
    finally:
        struck = denial.end()
    if now["error"]:
        if now["state"] != "running":
            raise Wrong(f"the teardown waits for nobody\n{yard.story(app)}")
        expect_named(case, f"{now['error']} {now['hint']}", yard.story(app))
    life.run("destroy")
    return struck


def denied(one, life, case):
    stages = {"repair": repair_denied, "destroy": destroy_denied}
    by_responder = case.operation == "GetSecretValue"
    one.rules[len(one.rules)] = case, secret_denied(life, case) if by_responder else stages.get(case.stage, release_denied)(life, case)


@pytest.mark.parametrize("part", range(sweep.PARTS))
def test_a_denied_call_is_told_with_its_statement_and_all_goes_on_with_the_permission(yard, part):
    cases = share(cases_of(operations_of(yard, f"clean{part}")), part)
    # What can't be denied to one app alone is denied to all there are: only to one life.
    together = Sweep(yard, [case for case in cases if case.named], denied)
    alone = Sweep(yard, [case for case in cases if not case.named], denied)

    together.run(LIVES)
    while alone.is_open() and (sweep.LONG or not alone.rules):
        alone.live("n")

    for swept in (together, alone):
        swept.report([case for case, struck in swept.rules.values() if struck])
    assert not together.wrong + alone.wrong
    assert sum(struck for _, struck in together.rules.values()) > 0.75 * len(together.rules)


def test_a_denied_call_fails_its_release_and_says_which_permission_is_missing(yard):
    life = Life(yard, "denied")
    life.run("first")
    yard.stand_in.control("faults", {"rules": [{"kind": "access-denied", "service": "ecs", "operation": "UpdateService", "match": "denied"}]})

    release = yard.wait_ended("denied", yard.push("denied"))

    assert release["state"] == "failed"
    assert "ecs:UpdateService" in f"{release['error']} {release['hint']}"
    life.rest("again")
    life.run("again")
