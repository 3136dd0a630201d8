"""`berth deliveries`, `berth deliveries run` and `berth audit`: what they show, refuse and change."""

import csv
import io
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.delivery import Poster, push  # noqa: E402

USAGE, NOT_FOUND, LIMIT = 2, 3, 7


@pytest.fixture
def berth(stack):
    def run(*words, code=0):
        done = subprocess.run(["berth", *words], env=stack.env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done
    return run


@pytest.fixture
def app(berth):
    name = f"sent{os.urandom(4).hex()}"
    made = json.loads(berth("apps", "create", name, "--repo", f"acme/{name}", "--webhook", "github", "--json").stdout)
    return name, made["webhook"]["secret"]


@pytest.fixture
def deliver(stack, app):
    def post(**more):
        name, secret = app
        until = time.monotonic() + 10
        while True:
            with Poster(int(stack.env["BERTH_LIGHTTPD_PORT"])) as poster:
                answer = poster.deliver(name, secret, push(f"acme/{name}", abs(hash(name)) % 10**6, **more))
            if answer.status != 404 or time.monotonic() > until:
                return answer
            time.sleep(0.1)
    return post


def listed(berth, *words):
    return json.loads(berth("deliveries", *words, "--json").stdout)["deliveries"]


def audited(berth, *words):
    return json.loads(berth("audit", *words, "--json").stdout)["audit"]


@pytest.mark.parametrize("words, code, message", [
    (["deliveries", "APP", "--outcome", "lost"], USAGE, 'there is no outcome "lost"'),
    (["deliveries", "APP", "--limit", "201"], USAGE, "write a whole number from 1 to 200"),
    (["deliveries", "nobody"], NOT_FOUND, 'there is no app named "nobody"'),
    (["deliveries", "run", "APP"], USAGE, "a word is missing"),
    (["deliveries", "run", "APP", "nowhere"], NOT_FOUND, "no delivery nowhere of APP is kept"),
    (["audit", "--since", "yesterday"], USAGE, '"yesterday" is no time'),
    (["audit", "--csv", "--json"], USAGE, "write one of them"),
    (["audit", "shop"], USAGE, "one word too many"),
])
def test_what_is_wrong_is_refused_with_what_to_do(berth, app, words, code, message):
    done = berth(*[word.replace("APP", app[0]) for word in words], code=code)

    assert message.replace("APP", app[0]) in done.stderr


def test_a_refused_push_is_listed_and_run_again_once_there_is_room(berth, app, deliver):
    name, _ = app
    berth("quota", "set", name, "releases_per_hour=0")
    assert deliver().status == 403
    [refused] = listed(berth, name, "--outcome", "over_quota")
    assert refused["app"] == name and refused["has_body"] and "release" not in refused

    still = berth("deliveries", "run", name, refused["delivery"], code=LIMIT)
    berth("quota", "set", name, "releases_per_hour=default")
    again = json.loads(berth("deliveries", "run", name, refused["delivery"], "--json").stdout)

    assert f"{refused['delivery']}, run again: over_quota" in still.stdout
    assert f"An operator of berth can raise the quota: `berth quota set {name} releases_per_hour=" in still.stdout
    assert again["outcome"] in ("accepted", "duplicate") and again["release"] == 1  # a worker may have looked at the branch first
    assert [row["after"]["outcome"] for row in audited(berth, "--app", name) if row["action"] == "delivery.run_again"] == [again["outcome"], "over_quota"]


def test_the_list_is_a_table_newest_first_and_ends_at_its_limit(berth, app, deliver):
    name, _ = app
    for branch in ("one", "two", "three"):
        assert deliver(branch=branch).status == 200

    text = berth("deliveries", name, "--limit", "2").stdout.splitlines()

    assert text[0].split() == ["RECEIVED", "APP", "DELIVERY", "OUTCOME", "COMMIT", "BY", "WHY"]
    assert [line.split("a push to ")[1].split(";")[0] for line in text[1:]] == ["three", "two"]
    assert berth("deliveries", name, "--outcome", "paused").stdout == "No such delivery is kept.\n"


def test_the_audit_log_is_filtered_and_is_the_same_as_csv(berth, app):
    name, _ = app
    berth("quota", "set", name, "tasks=7")

    rows = audited(berth, "--app", name)
    sheet = list(csv.DictReader(io.StringIO(berth("audit", "--app", name, "--csv").stdout)))

    assert [row["action"] for row in rows][-1] == "app.create"
    assert len(rows) >= 2 and len({row["actor"] for row in rows}) == 1
    assert [(row["id"], row["action"], row["app"]) for row in sheet] == [(str(row["id"]), row["action"], name) for row in rows]
    assert len(audited(berth, "--app", name, "--limit", "1")) == 1
    assert audited(berth, "--app", name, "--actor", rows[0]["actor"]) == rows
    assert audited(berth, "--app", name, "--actor", "nobody-such") == []
    assert audited(berth, "--app", name, "--since", "2999-01-01") == []
    assert berth("audit", "--app", name, "--since", "2999-01-01").stdout == "No such change is in the audit log.\n"
