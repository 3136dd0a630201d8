"""`berth apps`: settings that are set, shown and refused, the path filter, and what is paused and resumed."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.delivery import Poster, push  # noqa: E402

USAGE, NOT_FOUND, CONFLICT, LIMIT = 2, 3, 4, 7


@pytest.fixture
def berth(stack):
    def run(*words, code=0):
        done = subprocess.run(["berth", *words], env=stack.env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done
    return run


@pytest.fixture
def create(berth):
    def made(*more):
        name = f"set{os.urandom(4).hex()}"
        answer = json.loads(berth("apps", "create", name, "--repo", f"acme/{name}", "--webhook", "github", *more, "--json").stdout)
        return name, answer["webhook"]["secret"]
    return made


@pytest.fixture
def app(create):
    return create()[0]


@pytest.fixture
def deliver(stack):
    def post(name, secret, **more):
        until = time.monotonic() + 10
        while True:
            with Poster(int(stack.env["BERTH_LIGHTTPD_PORT"])) as poster:
                answer = poster.deliver(name, secret, push(f"acme/{name}", int(name[3:], 16), **more))
            if answer.status != 404 or time.monotonic() > until:
                return answer
            time.sleep(0.1)
    return post


def shown(berth, name):
    return json.loads(berth("apps", "show", name, "--json").stdout)


def audit(berth, name):
    return json.loads(berth("audit", "--app", name, "--json").stdout)["audit"]


# ---- Refusals ----


@pytest.mark.parametrize("words, message", [
    (["APP"], "berth apps set needs what to change"),
    (["tasks=2"], "berth apps set needs an app's name before what to change"),
    (["APP", "tasks"], '"tasks" is no change of a setting'),
    (["APP", "cpu=512"], 'there is no setting "cpu"'),
    (["APP", "tasks=1", "tasks=2"], "tasks is given twice"),
    (["APP", "tasks=two"], 'Tasks is a whole number, not "two"'),
    (["APP", "memory_mib=1 GiB"], 'Memory, MiB is a whole number, not "1 GiB"'),
    (["APP", "tasks=1001"], "1001 tasks can't be run: it is 0 to 1000"),
    (["APP", "port=70000"], "70000 is not a port: it is 1 to 65535"),
    (["APP", "health_check_path=healthz"], '"healthz" is not a path for the health check'),
    (["APP", "branch=refs heads"], '"refs heads" is not a branch\'s name'),
    (["APP", "path_filter=src/[a]"], '"src/[a]" has a "["'),
    (["APP", "path_filter=!docs/"], '"!docs/" takes out of nothing'),
])
def test_a_wrong_word_is_refused_with_what_is_right_and_nothing_is_changed(berth, app, words, message):
    before = shown(berth, app)

    for more in ((), ("--dry-run",)):
        done = berth("apps", "set", *[app if word == "APP" else word for word in words], *more, code=USAGE)
        assert message in done.stderr
        assert done.stdout == ""

    assert shown(berth, app) == before


@pytest.mark.parametrize("words, hint", [
    (["cpu_units=1024"], "1024 CPU units go with 2048 to 8192 MiB in steps of 1024; the nearest is 2048 MiB, or 256 CPU units with 512 MiB."),
    (["memory_mib=3000"], "the nearest is 2048 MiB, or 512 CPU units with 3072 MiB."),
    (["cpu_units=300", "memory_mib=1000"], "the nearest size is 256 with 1024 MiB."),
])
def test_a_size_that_fargate_lacks_is_refused_with_the_nearest(berth, app, words, hint):
    done = berth("apps", "set", app, *words, code=USAGE)

    assert "Fargate has no task of" in done.stderr
    assert hint in done.stderr


def test_a_size_whose_rollout_goes_over_a_quota_is_refused_with_the_command_that_raises_it(berth, app):
    berth("quota", "set", app, "cpu_units=1024")

    refused = berth("apps", "set", app, "tasks=3", code=LIMIT)
    words = refused.stderr.split("`")[1].split()
    berth(*words[1:])
    berth("apps", "set", app, "tasks=3")

    assert "CPU units: a rollout runs the old tasks and the new ones, so it needs 1,536; the quota is 1,024" in refused.stderr
    assert words == ["berth", "quota", "set", app, "cpu_units=1536"]


@pytest.mark.parametrize("words", [["set", "nobody", "tasks=1"], ["set", "nobody", "tasks=1", "--dry-run"], ["pause", "nobody"], ["resume", "nobody"]])
def test_an_app_that_is_not_there_is_not_found(berth, words):
    assert 'there is no app named "nobody"' in berth("apps", *words, code=NOT_FOUND).stderr


def test_an_app_that_was_destroyed_is_not_changed(berth, app):
    berth("destroy", app, "--yes", "--wait")

    for words in (["set", app, "tasks=2"], ["set", app, "tasks=2", "--dry-run"], ["pause", app], ["resume", app]):
        assert f"{app} was destroyed" in berth("apps", *words, code=CONFLICT).stderr


def test_a_wrong_path_filter_makes_no_app(berth):
    name = f"set{os.urandom(4).hex()}"

    done = berth("apps", "create", name, "--repo", "acme/x", "--webhook", "github", "--paths", "/src/**", code=USAGE)

    assert '"/src/**" fits no file: paths begin at the repository\'s top' in done.stderr
    berth("apps", "show", name, code=NOT_FOUND)


# ---- Setting ----


def test_every_setting_is_set_shown_and_in_the_audit_log(berth, app):
    values = {"cpu_units": 512, "memory_mib": 1024, "tasks": 2, "port": 9090, "health_check_path": "/up", "branch": "release", "path_filter": "src/** Dockerfile"}

    text = berth("apps", "set", app, *[f"{name}={value}" for name, value in values.items()]).stdout

    now = shown(berth, app)
    assert {name: now[name] for name in values} == values
    assert "cpu_units: 256 -> 512\n" in text
    assert "path_filter: (empty) -> src/** Dockerfile\n" in text
    assert "During a rollout the old tasks and the new ones run: 1,024 of 16,384 CPU units and 2,048 of 32,768 MiB.\n" in text
    assert text.splitlines()[-1] == ("Saved; the next release is the first that runs with it, and the next push is judged by it. "
                                     f"To have one now: berth deploy {app}")
    change = audit(berth, app)[0]
    assert change["action"] == "app.update"
    assert change["after"] == values
    assert change["before"] == {"cpu_units": 256, "memory_mib": 512, "tasks": 1, "port": 8080, "health_check_path": "/", "branch": "main", "path_filter": ""}
    rows = dict(line.split(None, 1) for line in berth("apps", "show", app).stdout.splitlines() if line.split(None, 1)[0:1] and line.split()[0] in values)
    assert {name: value.strip() for name, value in rows.items()} == {name: str(value) for name, value in values.items()}


def test_a_dry_run_tells_what_it_would_do_and_changes_nothing(berth, app):
    before = shown(berth, app)

    text = berth("apps", "set", app, "tasks=4", "port=8080", "--dry-run").stdout
    told = json.loads(berth("apps", "set", app, "tasks=4", "--dry-run", "--json").stdout)

    assert text.splitlines() == ["tasks: 1 -> 4", "port: 8080 already",
                                 "During a rollout the old tasks and the new ones run: 1,024 of 16,384 CPU units and 2,048 of 32,768 MiB.", "Nothing was changed."]
    assert told["dry_run"] is True and told["changed"] is False
    assert told["changes"] == [{"name": "tasks", "before": 1, "after": 4}]
    assert shown(berth, app) == before
    assert [row["action"] for row in audit(berth, app)] == ["app.create"]


def test_what_is_so_already_writes_nothing(berth, app):
    assert berth("apps", "set", app, "tasks=1").stdout.splitlines() == ["tasks: 1 already", "Nothing was changed."]

    assert [row["action"] for row in audit(berth, app)] == ["app.create"]


def test_two_at_once_lose_no_setting_of_each_other(berth, stack, app):
    ports = range(9000, 9006)
    running = [subprocess.Popen(["berth", "apps", "set", app, f"port={port}"], env=stack.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for port in ports]
    running += [subprocess.Popen(["berth", "apps", "set", app, "tasks=2"], env=stack.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)]

    ends = [(one.communicate(timeout=60), one.returncode) for one in running]

    assert ends[-1][1] == 0
    for (_, err), code in ends[:-1]:
        assert code in (0, CONFLICT), err
        assert code == 0 or "Port of" in err and "Nothing of yours was saved" in err
    changes = [row for row in reversed(audit(berth, app)) if "port" in (row.get("after") or {}) and row["action"] == "app.update"]
    assert len(changes) == sum(1 for _, code in ends[:-1] if code == 0)
    value = 8080
    for change in changes:
        assert change["before"]["port"] == value
        value = change["after"]["port"]
    assert shown(berth, app)["port"] == value
    assert shown(berth, app)["tasks"] == 2


def test_the_next_release_runs_with_what_was_set_and_the_one_before_as_it_was(berth, stack, make_app):
    shop = make_app(f"size{os.urandom(4).hex()}")
    shop.push("Begin")
    first = shop.wait(1)["task_definition"]
    berth("apps", "set", shop.app, "cpu_units=512", "memory_mib=2048", "tasks=2")
    service = stack.client("ecs").describe_services(cluster="berth", services=[f"berth-{shop.app}"])["services"][0]
    assert (service["taskDefinition"], service["desiredCount"]) == (first, 1)

    berth("deploy", shop.app, "--wait")

    service = stack.client("ecs").describe_services(cluster="berth", services=[f"berth-{shop.app}"])["services"][0]
    task = stack.client("ecs").describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    assert (task["cpu"], task["memory"], service["desiredCount"]) == ("512", "2048", 2)


# ---- Branch, path filter, pause ----


def test_pushes_to_the_new_branch_count_and_those_to_the_old_one_no_longer(berth, create, deliver):
    name, secret = create()
    berth("apps", "set", name, "branch=release")

    old, new = deliver(name, secret), deliver(name, secret, branch="release")

    assert (old.json["outcome"], old.json["reason"]) == ("ignored", "a push to main; the app is built from release")
    assert new.json["outcome"] == "accepted"


def test_a_push_that_touches_nothing_of_the_path_filter_is_ignored_and_says_why(berth, create, deliver):
    name, secret = create("--paths", "  src/**   *.toml ")
    assert shown(berth, name)["path_filter"] == "src/** *.toml"

    ignored = deliver(name, secret)
    berth("apps", "set", name, "path_filter=Dockerfile")
    until = time.monotonic() + 5
    while (taken := deliver(name, secret)).json["outcome"] == "ignored" and time.monotonic() < until:
        time.sleep(0.05)
    berth("apps", "set", name, "path_filter=")

    assert (ignored.json["outcome"], ignored.json["reason"]) == ("ignored", "touches none of src/** *.toml")
    assert taken.json["outcome"] == "accepted"
    assert shown(berth, name)["path_filter"] == ""
    row = json.loads(berth("deliveries", name, "--outcome", "ignored", "--json").stdout)["deliveries"][-1]
    assert row["reason"] == "touches none of src/** *.toml"
    assert row["branch"] == "main" and len(row["commit"]) == 40


def test_a_paused_app_takes_no_push_and_what_the_hint_names_resumes_it(berth, create, deliver):
    name, secret = create()
    assert berth("apps", "pause", name).stdout.startswith(f"{name} is paused: it takes no pushes")
    assert shown(berth, name)["state"] == "paused"

    refused = deliver(name, secret)
    berth(*refused.json["hint"].split("`")[1].split()[1:])

    assert refused.json["outcome"] == "paused"
    assert shown(berth, name)["state"] == "active"
    assert [row["action"] for row in audit(berth, name)] == ["app.resume", "app.pause", "app.create"]


def test_pausing_and_resuming_again_say_so_and_write_nothing(berth, app):
    assert berth("apps", "resume", app).stdout == f"{app} is not paused.\n"
    assert json.loads(berth("apps", "pause", app, "--json").stdout) == {"app": app, "state": "paused", "changed": True}
    assert json.loads(berth("apps", "pause", app, "--json").stdout) == {"app": app, "state": "paused", "changed": False}
    assert berth("apps", "pause", app).stdout == f"{app} is paused already.\n"
    assert json.loads(berth("apps", "resume", app, "--json").stdout) == {"app": app, "state": "active", "changed": True, "looks": False}

    assert [row["action"] for row in audit(berth, app)] == ["app.resume", "app.pause", "app.create"]
