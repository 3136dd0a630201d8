"""`berth quota` and `berth ratelimit`: what they show, refuse and change, and that the next push is judged by it."""

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
    name = f"limits{os.urandom(4).hex()}"
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


def shown(berth, group, name):
    return {row["name"]: row for row in json.loads(berth(group, "show", name, "--json").stdout)["limits"]}


def test_a_new_app_has_the_defaults_and_uses_nothing(berth, app):
    text = berth("quota", "show", app[0]).stdout

    rows = shown(berth, "quota", app[0])
    assert list(rows) == ["cpu_units", "memory_mib", "tasks", "concurrent_builds", "build_minutes", "releases_per_hour", "image_mib"]
    assert rows["cpu_units"] == {"name": "cpu_units", "title": "CPU units", "used": 0, "limit": 16384, "default": 16384, "percent": 0, "level": ""}
    assert text.splitlines()[0].split() == ["NAME", "USED", "LIMIT", "SHARE", "FROM"]
    assert text.splitlines()[1].split() == ["cpu_units", "0", "16,384", "0%", "default"]


def test_a_quota_holds_from_the_next_push_and_the_refusal_tells_the_command_that_lifts_it(berth, app, deliver):
    name, _ = app
    told = berth("quota", "set", name, "cpu_units=255", "tasks=4").stdout
    assert "cpu_units: 16,384 -> 255. No room for a rollout: it needs 256 units beside 0 in use." in told
    assert told.splitlines()[-1] == "Saved; in force from the next push on."

    refused = deliver()
    assert "Pushes that wait: One waits until a quota is raised. CPU units: 0 of 255 in use, a rollout needs 256 more." in berth("quota", "show", name).stdout
    words = refused.json["hint"].split("`")[1].split()
    berth(*words[1:])
    accepted = deliver()

    assert (refused.status, refused.json["quota"]["name"]) == (403, "cpu_units")
    assert words[:4] == ["berth", "quota", "set", name]
    assert accepted.status == 202
    assert shown(berth, "quota", name)["cpu_units"]["own"] == 256


def test_a_rate_limit_holds_from_the_next_push_and_a_raise_too(berth, app, deliver):
    name, _ = app
    berth("ratelimit", "set", name, "pushes_burst=1", "pushes_per_hour=1")
    assert [deliver().status for _ in range(2)] == [202, 429]
    bucket = json.loads(berth("ratelimit", "show", name, "--json").stdout)
    assert bucket["bucket"]["tokens"] == 0 and bucket["bucket"]["next_ms"] > 3_500_000
    assert bucket["limits"][0]["level"] == "full"

    berth("ratelimit", "set", name, "pushes_burst=2")

    assert deliver().status == 202


def test_a_dry_run_tells_what_it_would_do_and_changes_nothing(berth, app):
    name, _ = app
    text = berth("quota", "set", name, "cpu_units=1024", "--dry-run").stdout

    assert text.splitlines()[0] == "cpu_units: 16,384 -> 1,024. Room for a rollout of 4 tasks of 256 units; today 64."
    assert "During a rollout: CPU peaks at 256 of 1,024 units; of 16,384 today." in text
    assert text.splitlines()[-1] == "Nothing was changed."
    assert shown(berth, "quota", name)["cpu_units"]["limit"] == 16384
    told = json.loads(berth("quota", "set", name, "cpu_units=1024", "--dry-run", "--json").stdout)
    assert told["dry_run"] is True
    assert told["changes"] == [{"name": "cpu_units", "before": 16384, "after": 1024,
                                "effect": "Room for a rollout of 4 tasks of 256 units; today 64."}]


def test_a_limit_goes_back_to_the_default(berth, app):
    name, _ = app
    berth("quota", "set", name, "tasks=7")
    assert shown(berth, "quota", name)["tasks"]["own"] == 7

    berth("quota", "set", name, "tasks=default")

    assert "own" not in shown(berth, "quota", name)["tasks"]


def test_the_defaults_are_shown_and_changed(berth, app):
    before = {row["name"]: row["limit"] for row in json.loads(berth("quota", "show", "--default", "--json").stdout)["limits"]}["image_mib"]
    try:
        berth("quota", "set", "--default", f"image_mib={before + 1}")

        assert shown(berth, "quota", app[0])["image_mib"]["limit"] == before + 1
        assert "IN FORCE FOR" in berth("ratelimit", "show", "--default").stdout
    finally:
        berth("quota", "set", "--default", f"image_mib={before}")


def test_a_deploy_and_a_rollback_over_a_quota_are_refused_with_the_exit_code_of_limits(berth, make_app):
    shop = make_app(f"tight{os.urandom(4).hex()}")
    shop.push("Begin")
    shop.wait(1)
    used = shown(berth, "quota", shop.app)
    assert used["image_mib"]["used"] > 0 and used["build_minutes"]["used"] == 1
    shop.push("Go on")
    shop.wait(2)
    berth("quota", "set", shop.app, "tasks=1")

    deploy = berth("deploy", shop.app, code=LIMIT)
    rollback = berth("rollback", shop.app, "v1", code=LIMIT)

    for done in (deploy, rollback):
        assert f"berth: {shop.app} can't have a further release now. Tasks: 1 of 1 in use, a rollout needs 1 more" in done.stderr
        assert f"hint: An operator of berth can raise the quota: `berth quota set {shop.app} tasks=2`" in done.stderr
    berth("quota", "set", shop.app, "tasks=2", "build_minutes=0")
    berth("rollback", shop.app, "v1", "--wait")


@pytest.mark.parametrize("words, message", [
    (["quota", "set", "APP", "memory_mib=8 GiB"], "memory_mib: Write whole MiB without a unit: 8 GiB is 8192."),
    (["quota", "set", "APP", "memory_mib=8,192"], "memory_mib: Write the digits alone: 8,192 is 8192."),
    (["quota", "set", "APP", "cpu=1"], 'there is no limit "cpu"'),
    (["quota", "set", "APP", "pushes_burst=1"], "pushes_burst is a rate limit"),
    (["ratelimit", "set", "APP", "tasks=1"], "tasks is a quota"),
    (["ratelimit", "set", "APP", "pushes_burst=0"], "pushes_burst: Write 1 at least."),
    (["quota", "set", "APP", "tasks=1", "tasks=2"], "tasks is given twice"),
    (["quota", "set", "APP", "tasks"], '"tasks" is no change of a limit'),
    (["quota", "set", "APP"], "berth quota set needs what to change"),
    (["quota", "set", "tasks=1"], "berth quota set needs an app's name, or --default"),
    (["quota", "show"], "berth quota show needs an app's name, or --default"),
    (["quota", "show", "APP", "--default"], "berth quota show needs an app's name, or --default"),
    (["quota", "set", "--default", "tasks=default"], "tasks: the default itself has to be a number"),
])
def test_a_wrong_word_is_refused_with_what_is_right(berth, app, words, message):
    done = berth(*[app[0] if word == "APP" else word for word in words], code=USAGE)

    assert message in done.stderr
    assert done.stdout == ""


def test_an_app_that_is_not_there_is_not_found(berth):
    for words in (["quota", "show"], ["ratelimit", "show"]):
        assert 'there is no app named "nobody"' in berth(*words, "nobody", code=NOT_FOUND).stderr
    berth("quota", "set", "nobody", "tasks=1", code=NOT_FOUND)
