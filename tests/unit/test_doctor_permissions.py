"""What berth doctor asks IAM's simulator about is what docs/aws-permissions.md gives the worker: no action more, none less."""

import json
import pathlib
import re

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
SOURCE = (TOP / "core" / "doctor" / "doctor_permissions.c").read_text()
POLICIES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", (TOP / "docs" / "aws-permissions.md").read_text(), re.DOTALL)]
WORKER, REMOVING = 1, 2


def asked(table):
    body = re.search(rf"{table}\[\] = {{\n(.*?)\n}};", SOURCE, re.DOTALL).group(1)
    return {(sid, action) for sid, actions in re.findall(r'{ "(\w+)", "[^"]+", {([^}]*)} }', body) for action in re.findall(r'"([^"]+)"', actions)}


def documented(policy):
    return {
        (statement["Sid"], action) for statement in POLICIES[policy]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }


@pytest.mark.parametrize("table, policy", [("to_deploy", WORKER), ("to_remove", REMOVING)])
def test_every_action_of_the_workers_policy_is_asked_about_under_its_statement(table, policy):
    assert asked(table) == documented(policy)
    assert len(asked(table)) > 15
