"""What an operator does with releases, and what a newer push does to an older one: rollback, deploy, cancel, latest wins."""

import os
import signal
import subprocess
import time

import pytest
import world

SLOW_MS = 60000  # a phase that never ends by itself within a test


def names_of(changes):
    return [c["operation"] for c in changes if not c["operation"].startswith(("Describe", "List", "BatchGet", "Get", "Head"))]


@pytest.fixture
def timing(stack):
    """timing(BUILD=60000): how long things take on AWS from now on; as ever after the test."""
    yield lambda **ms: stack.control("timing", ms)
    stack.control("timing", {name: world.DEFAULT_TIMING[name] for name in ("BUILD", "task_start")})


def until(repository, release, question, limit_s=60):
    end = time.monotonic() + limit_s
    while True:
        shown = repository.stack.berth("status", repository.app, f"v{release}")
        if question(shown):
            return shown
        assert time.monotonic() < end, shown
        time.sleep(0.05)


def until_building(repository, release):
    """Until its build runs; returns the build's id."""
    return until(repository, release, lambda r: r["step"] == "build" and r.get("build_id"))["build_id"]


def until_rolling(repository, release):
    return until(repository, release,
                 lambda r: r["step"] == "rollout" and any("Rolling out" in event["message"] for event in r["events"]))


def build_status(stack, build):
    return stack.client("codebuild").batch_get_builds(ids=[build])["builds"][0]["buildStatus"]


def service_of(stack, app):
    return stack.client("ecs").describe_services(cluster="berth", services=[f"berth-{app}"])["services"][0]


def said(stack, *words, code=0):
    """What the command prints for people."""
    done = subprocess.run(["berth", *words], env=stack.env, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def sql(stack, statement):
    done = subprocess.run([f"{stack.env['BERTH_POSTGRES_BIN']}/psql", "-qtA", "-c", statement, stack.env["BERTH_DATABASE_SUPERUSER"]],
                          env=stack.env, capture_output=True, text=True, check=True)
    return done.stdout


def live_of(stack, app):
    return stack.berth("apps", "show", app)["live"]


@pytest.fixture(scope="module")
def club(stack):
    """An app with v1 and v2 live."""
    from conftest import Repository

    repository = Repository(stack, "club", 611)
    repository.commits = [repository.push("One")[0]]
    repository.one = repository.wait(1)
    repository.commits.append(repository.push("Two", **{"two.txt": "2"})[0])
    repository.two = repository.wait(2)
    return repository


# Refusals


def test_a_rollback_to_what_is_not_there_is_refused_with_what_to_do(stack, club):
    assert "no release v77" in said(stack, "rollback", "club", "v77", code=3)
    assert "v2 is what is live" in said(stack, "rollback", "club", "v2", code=4)
    assert "no app named" in said(stack, "rollback", "nobody", code=3)


def test_with_nothing_under_way_a_cancel_says_so(stack, club):
    text = said(stack, "cancel", "club", code=4)

    assert "nothing to cancel" in text
    assert "berth rollback club" in text


def test_a_commit_that_is_not_there_is_not_deployed(stack, club):
    said(stack, "deploy", "club", "--commit", "fedcba9876543210fedcba9876543210fedcba98", code=2)
    assert "hexadecimal" in said(stack, "deploy", "club", "--commit", "main", code=2)

    assert [r["release"] for r in stack.berth("releases", "club")["releases"]] == [2, 1]


# Rollback and deploy


def test_a_rollback_runs_the_old_image_and_configuration_without_a_build(stack, club):
    before = stack.last_call()

    text = said(stack, "rollback", "club", "v1")
    release = club.wait(3)

    assert text == "Rolled back club to v1 as v3.\n"
    assert release["state"] == "live" and release["kind"] == "rollback" and release["rollback_to"] == 1
    assert release["image_digest"] == club.one["image_digest"] and release["commit"] == club.commits[0]
    assert [event["step"] for event in release["events"] if event["kind"] == "done"] == ["route", "rollout", "live"]
    assert names_of(stack.calls(before)) == ["RegisterTaskDefinition", "UpdateService"]
    assert service_of(stack, "club")["taskDefinition"] == release["task_definition"] == live_of(stack, "club")["task_definition"]


def test_its_task_definition_is_the_old_one_but_for_the_releases_number(stack, club):
    ecs = stack.client("ecs")
    release = stack.berth("status", "club", "v3")

    old, new = [ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"]) for arn in
                (club.one["task_definition"], release["task_definition"])]

    assert {t["key"]: t["value"] for t in new["tags"]}["berth:release"] == "3"
    definitions = [d["taskDefinition"] for d in (old, new)]
    for definition in definitions:
        for key in ("taskDefinitionArn", "revision", "registeredAt", "registeredBy"):
            definition.pop(key, None)
    environments = [{e["name"]: e["value"] for e in d["containerDefinitions"][0].pop("environment")} for d in definitions]
    assert definitions[0] == definitions[1]
    assert environments[1].pop("BERTH_RELEASE") == "3" and environments[0].pop("BERTH_RELEASE") == "1"
    assert environments[0] == environments[1]


def test_a_rollback_without_a_number_goes_to_what_was_live_before(stack, club):
    answer = stack.berth("rollback", "club", "--wait")

    assert answer["release"] == 4 and answer["rollback_to"] == 2 and answer["state"] == "live"
    assert answer["image_digest"] == club.two["image_digest"]


def test_a_deploy_builds_the_branchs_head_anew(stack, club):
    text = said(stack, "deploy", "club", "--wait")

    assert text.startswith(f"Deploying club at {club.commits[1][:7]} as v5.\n")
    release = stack.berth("status", "club", "v5")
    assert release["state"] == "live" and release["kind"] == "redeploy" and release["commit"] == club.commits[1]
    assert release["build_id"]


def test_a_deploy_takes_the_beginning_of_a_commits_name(stack, club):
    made = stack.berth("deploy", "club", "--commit", club.commits[0][:8])

    release = club.wait(6)
    assert made == {"app": "club", "release": 6, "commit": club.commits[0]}
    assert release["commit"] == club.commits[0] and release["title"] == "One"


def test_each_operation_is_in_the_audit_log(stack, club):
    rows = sql(stack, "SELECT action, before->>'live', after->>'release' FROM berth.audit_log WHERE app_name = 'club' ORDER BY id").split()

    assert [row for row in rows if not row.startswith("app.create")] == ["app.rollback|2|3", "app.rollback|3|4", "app.deploy|4|5", "app.deploy|5|6"]


# Cancel


def test_a_cancel_during_a_build_stops_it_and_what_was_live_stays(stack, club, timing):
    live = live_of(stack, "club")["release"]
    timing(BUILD=SLOW_MS)
    club.push("To be cancelled")
    number = stack.berth("releases", "club")["releases"][0]["release"]
    build = until_building(club, number)

    text = said(stack, "cancel", "club", "--wait", "--timeout", "60")

    assert text == f"Cancelled club v{number}; v{live} stays live.\n"
    assert said(stack, "cancel", "club", "--wait") == text
    assert build_status(stack, build) == "STOPPED"
    assert stack.berth("status", "club", f"v{number}")["state"] == "cancelled"
    assert live_of(stack, "club")["release"] == live


def test_a_cancel_during_a_rollout_puts_back_what_was_live(stack, club, timing):
    live = live_of(stack, "club")
    club.push("Rolls out for ever", **{"three.txt": "3"})
    number = stack.berth("releases", "club")["releases"][0]["release"]
    timing(task_start=SLOW_MS)
    until_rolling(club, number)
    timing(task_start=world.DEFAULT_TIMING["task_start"])

    answer = stack.berth("cancel", "club", "--wait", "--timeout", "60")

    assert answer == {"app": "club", "cancelled": [number], "ended": True, "live": live["release"]}
    service = service_of(stack, "club")
    assert service["taskDefinition"] == live["task_definition"]
    assert service["runningCount"] == service["desiredCount"] == 1
    assert [d["rolloutState"] for d in service["deployments"]] == ["COMPLETED"]
    assert live_of(stack, "club") == live


def test_after_a_cancel_the_next_push_goes_live(stack, club):
    commit, _ = club.push("On it goes", **{"four.txt": "4"})
    number = stack.berth("releases", "club")["releases"][0]["release"]

    assert club.wait(number)["state"] == "live"
    assert live_of(stack, "club")["commit"] == commit


def test_a_worker_that_dies_in_the_middle_of_a_cancel_is_followed_by_one_that_ends_it(stack, club, timing):
    live = live_of(stack, "club")
    club.push("Rolls out for ever again", **{"five.txt": "5"})
    number = stack.berth("releases", "club")["releases"][0]["release"]
    timing(task_start=SLOW_MS)
    until_rolling(club, number)
    stack.berth("cancel", "club")
    until(club, number, lambda r: any("Putting" in event["message"] for event in r["events"]))
    worker = int((stack.directory / "pid" / "worker").read_text())
    os.kill(worker, signal.SIGKILL)
    timing(task_start=world.DEFAULT_TIMING["task_start"])

    with open(stack.directory / "log" / "worker.log", "ab") as log:
        next_one = subprocess.Popen(["berth", "worker"], env=stack.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    (stack.directory / "pid" / "worker").write_text(f"{next_one.pid}\n")
    sql(stack, "UPDATE berth.releases SET lease_until = now() WHERE lease_until IS NOT NULL")  # what 150 seconds would do
    stack.client("ecs").update_service(cluster="berth", service="berth-club", taskDefinition=live["task_definition"], forceNewDeployment=True)
    shown = club.wait(number, code=1)

    assert shown["state"] == "cancelled"
    assert service_of(stack, "club")["taskDefinition"] == live["task_definition"]
    assert service_of(stack, "club")["runningCount"] == 1


def test_a_cancelled_first_release_leaves_no_task_and_the_next_goes_live(stack, make_app, timing):
    pub = make_app("pub")
    timing(task_start=SLOW_MS)
    pub.push("Open")
    until_rolling(pub, 1)

    text = said(stack, "cancel", "pub", "--wait", "--timeout", "60")

    assert text == "Cancelled pub v1; nothing of it is live.\n"
    service = service_of(stack, "pub")
    assert (service["desiredCount"], service["runningCount"], service["pendingCount"]) == (0, 0, 0)
    timing(task_start=world.DEFAULT_TIMING["task_start"])
    pub.push("Open again")
    assert pub.wait(2)["state"] == "live"
    assert service_of(stack, "pub")["runningCount"] == 1


# Latest wins


def test_a_newer_push_stops_an_older_ones_build_and_goes_live(stack, make_app, timing):
    inn = make_app("inn")
    inn.push("Slow")
    inn.wait(1)
    timing(BUILD=SLOW_MS)
    inn.push("Slower")
    build = until_building(inn, 2)
    timing(BUILD=world.DEFAULT_TIMING["BUILD"])

    newest, _ = inn.push("Newest")

    assert inn.wait(3)["commit"] == newest
    assert build_status(stack, build) == "STOPPED"
    second = stack.berth("status", "inn", "v2")
    assert second["state"] == "superseded" and second["halt_by"] == 3
    assert "inn v2 is superseded by v3" in said(stack, "status", "inn", "v2")


def test_of_a_burst_of_pushes_the_newest_is_what_runs(stack, make_app, timing):
    bar = make_app("bar")
    timing(BUILD=3000)
    commits = [bar.push(f"Push {i}", **{"n.txt": str(i)})[0] for i in range(6)]

    bar.wait(6)

    states = {r["release"]: r["state"] for r in stack.berth("releases", "bar")["releases"]}
    assert live_of(stack, "bar")["commit"] == commits[-1]
    assert set(states.values()) <= {"superseded", "live"} and states[6] == "live"
    assert {b["buildStatus"] for b in stack.client("codebuild").batch_get_builds(
        ids=stack.client("codebuild").list_builds_for_project(projectName="berth-bar")["ids"])["builds"]} <= {"STOPPED", "SUCCEEDED"}


def test_an_older_push_that_arrives_late_gives_way_to_the_branchs_head(stack, make_app):
    late = make_app("late")
    secret = stack.directory / "secret-late"
    right = secret.read_text()
    secret.write_text("not-the-secret")
    late.push("Never arrives in time")
    secret.write_text(right)
    newest, _ = late.push("Newest", **{"newest.txt": "1"})
    late.wait(1)

    late.redeliver(late._tool("deliveries", late.name).split()[0])
    release = late.wait(2, code=1)

    assert release["state"] == "superseded"
    assert f"the branch main is at {newest[:7]}, which v1 is of" in release["events"][-1]["message"]
    assert live_of(stack, "late")["commit"] == newest


def test_a_push_whose_branch_is_deleted_before_it_is_fetched_ends_with_that_reason(stack, make_app):
    gone = make_app("gone")
    gone.push("Here")
    gone.wait(1)
    sql(stack, "UPDATE berth.apps SET branch = 'side' WHERE app_name = 'gone'")
    failures = {"match": "branch", "times": 1, "status": 503, "message": "a moment"}
    stack.github_control("failures", failures)

    gone.push("There", branch="side")
    gone.git("push", "-q", "origin", "--delete", "side")
    release = gone.wait(2, code=1)

    assert release["state"] == "superseded"
    assert "the branch side is gone from acme/gone" in release["events"][-1]["message"]


def test_a_branch_that_is_forced_back_is_deployed_as_it_was(stack, make_app):
    back = make_app("back")
    first, _ = back.push("One")
    back.wait(1)
    back.push("Two", **{"two.txt": "2"})
    back.wait(2)

    back.git("reset", "-q", "--hard", first)
    back.git("push", "-q", "--force", "origin", "HEAD:main")

    assert back.wait(3)["state"] == "live"
    assert live_of(stack, "back")["commit"] == first
