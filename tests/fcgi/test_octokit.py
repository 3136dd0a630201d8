"""Every example payload that Octokit keeps of GitHub's events gets the documented answer."""

import json
import os
import pathlib

import pytest

from support.hooks import SECRET

FOLDER = os.environ.get("BERTH_OCTOKIT_EXAMPLES")
EXPECTED = 329  # in @octokit/webhooks-examples 7.6.1

pytestmark = pytest.mark.skipif(not FOLDER, reason="BERTH_OCTOKIT_EXAMPLES names no folder of @octokit/webhooks-examples")


@pytest.fixture(scope="module")
def examples():
    index = json.loads(pathlib.Path(FOLDER, "api.github.com", "index.json").read_text())
    return [(event["name"], payload) for event in index for payload in event["examples"]]


@pytest.fixture(scope="module")
def apps(hooks, examples):
    """An app for each repository of the examples (some names had several ids), built from the branch that the examples push to; and one more."""
    found = {}
    for _, payload in examples:
        repository = payload.get("repository")
        if repository and repository["id"] not in found:
            found[repository["id"]] = hooks.make_app(f"octokit-{len(found)}", repository["full_name"], "master", known=False)
    found[None] = hooks.make_app("octokit-none", "octo-org/none", "master")
    return found


def expected(event, payload):
    """(status, outcome, beginning of the reason)"""
    if event == "ping":
        return 200, "ignored", "a ping"
    if event != "push":
        return 200, "ignored", f"event {event}"
    if payload["ref"].startswith("refs/tags/"):
        return 200, "ignored", "the tag "
    if payload["deleted"]:
        return 200, "ignored", "branch "
    return 202, "accepted", "a push to master"


def test_all_examples_are_there(examples):
    assert len(examples) == EXPECTED


def test_every_example_gets_the_documented_answer(hooks, apps, examples):
    released = set()
    wrong = []
    with hooks.poster() as poster:
        for number, (event, payload) in enumerate(examples):
            repository = payload.get("repository")
            app = apps[repository["id"] if repository else None]
            status, outcome, reason = expected(event, payload)
            commit = (app, payload.get("after"))
            if status == 202 and commit in released:
                status, outcome, reason = 200, "duplicate", "v"
            if status == 202:
                released.add(commit)

            answer = poster.deliver(app, SECRET, payload, event=event, delivery=f"octokit-{number}")

            if (answer.status, answer.json.get("outcome")) != (status, outcome) or not answer.json["reason"].startswith(reason):
                wrong.append((event, status, outcome, answer))

    assert not wrong
    assert len(released) == 1
    stored = hooks.postgres.one("SELECT count(*) FROM berth.deliveries WHERE delivery_id ~ '^octokit-[0-9]+$'")
    assert int(stored) == EXPECTED


def test_every_example_with_a_repository_is_refused_by_an_app_of_another(hooks, apps, examples):
    other = hooks.make_app("octokit-other", "octo-org/other")

    with hooks.poster() as poster:
        for event, payload in examples:
            answer = poster.deliver(other, SECRET, payload, event=event)
            assert answer.status == (422 if payload.get("repository") else 200), (event, answer)
