"""berth destroy: everything of an app goes, nothing else does, and its name is free again."""

import os
import pty
import signal
import subprocess
import time

import pytest

KINDS = ("services", "task_definitions", "tasks", "target_groups", "rules", "projects", "builds", "repositories", "roles", "log_groups",
         "secrets", "objects", "uploads", "interfaces")


def left_of(stack, app):
    """What an outside observer sees of an app on AWS, by kind."""
    state = stack.control("state")
    return {kind: [item["id"] for item in state[kind] if item["app"] == app] for kind in KINDS if any(item["app"] == app for item in state[kind])}


def sql(stack, statement):
    done = subprocess.run([f"{stack.env['BERTH_POSTGRES_BIN']}/psql", "-qtA", "-c", statement, stack.env["BERTH_DATABASE_SUPERUSER"]],
                          env=stack.env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def bucket_of(stack):
    return next(b["Name"] for b in stack.client("s3").list_buckets()["Buckets"] if b["Name"].startswith("berth"))


def worker_pid(stack):
    return int((stack.directory / "pid" / "worker").read_text())


def kill_worker(stack):
    pid = worker_pid(stack)
    os.kill(pid, signal.SIGKILL)
    while os.path.exists(f"/proc/{pid}") and "\nState:\tZ" not in open(f"/proc/{pid}/status", encoding="ascii").read():
        time.sleep(0.01)


def start_worker(stack):
    """As script/stack does: nobody's child, so that it leaves no zombie."""
    log = stack.directory / "log" / "worker.log"
    command = f"setsid berth worker >>{log} 2>&1 </dev/null & echo $!"
    started = subprocess.run(["bash", "-c", command], env=stack.env, capture_output=True, text=True, check=True)
    (stack.directory / "pid" / "worker").write_text(started.stdout)


def expire_lease(stack, app):
    """What the lease's 150 seconds would do."""
    sql(stack, f"UPDATE berth.teardowns SET lease_until = now() WHERE app_name = '{app}' AND lease_until IS NOT NULL")


def wait_until(question, limit_s=60):
    until = time.monotonic() + limit_s
    while not question():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


@pytest.fixture(scope="module", autouse=True)
def quick(stack):
    stack.control("timing", {"speed": 20})
    yield
    stack.control("timing", {"speed": 1})


@pytest.fixture(scope="module")
def neighbour(stack):
    from conftest import Repository

    repository = Repository(stack, "weblog", 7001)
    repository.push("Open")
    repository.wait(1)
    return repository


@pytest.fixture
def live_app(make_app):
    def make(name):
        repository = make_app(name)
        repository.push("Open")
        repository.wait(1)
        return repository
    return make


def test_an_app_that_does_not_exist_cannot_be_destroyed(stack):
    stack.berth("destroy", "nobody", "--yes", code=3)


def test_without_a_terminal_nothing_goes_unless_it_is_meant(stack, neighbour):
    before = left_of(stack, "weblog")

    answer = stack.berth("destroy", "weblog", code=2)

    assert "--yes" in answer["error"]["hint"]
    assert left_of(stack, "weblog") == before
    assert stack.berth("apps", "show", "weblog")["state"] == "active"


def test_on_a_terminal_another_name_removes_nothing(stack, neighbour):
    master, slave = pty.openpty()
    process = subprocess.Popen(["berth", "destroy", "weblog"], env=stack.env, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.write(master, b"shop\n")

    out, err = process.communicate(timeout=30)

    assert process.returncode == 2
    assert "berth-weblog" in out
    assert "nothing was removed" in err
    assert stack.berth("apps", "show", "weblog")["state"] == "active"


def test_a_dry_run_lists_everything_and_removes_nothing(stack, neighbour):
    stack.client("secretsmanager").create_secret(Name="berth/apps/weblog/config", SecretString="{}", Tags=[{"Key": "berth:app", "Value": "weblog"}])
    stack.client("elbv2").create_target_group(Name="berth-weblog-2", Protocol="HTTP", Port=80, VpcId=vpc_of(stack), TargetType="ip",
                                              Tags=[{"Key": "berth:app", "Value": "weblog"}])
    before = left_of(stack, "weblog")

    listed = stack.berth("destroy", "weblog", "--dry-run")["would_remove"]

    assert left_of(stack, "weblog") == before
    standing = {(item["kind"], item["name"]): item["standing"] for item in listed}
    assert standing["service", "berth-weblog"] == "recorded"
    assert standing["target group", "berth-weblog-2"] == "unrecorded"
    assert standing["secret", "berth/apps/weblog/config"] == "recorded"
    assert {kind for kind, _ in standing} == {"service", "listener rule", "target group", "task definition", "build project", "image repository",
                                               "log group", "role", "source archive", "secret"}
    assert all(item["arn"] for item in listed)


def vpc_of(stack):
    line = next(line for line in (stack.directory / "platform.conf").read_text().splitlines() if line.startswith("vpc"))
    return line.split("=")[1].strip()


def test_everything_of_an_app_goes_and_nothing_of_its_neighbour(stack, live_app, neighbour):
    razed = live_app("razed")
    razed.push("Another")
    razed.wait(2)
    s3 = stack.client("s3")
    bucket = bucket_of(stack)
    s3.create_multipart_upload(Bucket=bucket, Key="tenants/razed/left-over.zip")
    s3.delete_object(Bucket=bucket, Key=f"tenants/razed/{razed.git('rev-parse', 'HEAD').stdout.strip()}.zip")
    s3.put_object(Bucket=bucket, Key="tenants/razed-not/other.zip", Body=b"x")
    neighbours = left_of(stack, "weblog")
    slots = sql(stack, "SELECT count(*) FROM berth.listener_slots")

    answer = stack.berth("destroy", "razed", "--yes", "--wait", "--timeout", "120")

    assert answer["state"] == "destroyed"
    assert left_of(stack, "razed") == {}
    assert left_of(stack, "weblog") == neighbours
    assert [item["key"] for item in stack.control("state")["objects"] if item["key"].startswith("tenants/razed-not/")] == ["tenants/razed-not/other.zip"]
    assert sql(stack, "SELECT count(*) FROM berth.resources WHERE app_name = 'razed'") == "0"
    assert sql(stack, "SELECT count(*) FROM berth.listener_slots") == str(int(slots) - 1)
    inactive = stack.client("ecs").list_task_definitions(familyPrefix="berth-razed", status="INACTIVE")["taskDefinitionArns"]
    assert inactive == []


def test_a_destroyed_app_is_gone_but_its_history_stays(stack, live_app):
    live_app("past")
    stack.berth("destroy", "past", "--yes", "--wait", "--timeout", "120")

    again = stack.berth("destroy", "past", "--yes")
    never = stack.berth("destroy", "never-was", "--yes", code=3)

    assert (again["state"], again["begun"]) == ("destroyed", False)
    assert "never-was" in never["error"]["message"]
    assert "past" not in [app["app"] for app in stack.berth("apps", "list")["apps"]]
    assert "deleted" in [app["state"] for app in stack.berth("apps", "list", "--all")["apps"] if app["app"] == "past"]
    assert [r["release"] for r in stack.berth("releases", "past")["releases"]] == [1]
    assert sql(stack, "SELECT string_agg(action, ' ' ORDER BY id) FROM berth.audit_log WHERE app_name = 'past'") == "app.create app.destroy app.destroyed"


def test_a_push_to_an_app_that_is_going_is_refused(stack, live_app):
    repository = live_app("closing")
    stack.berth("destroy", "closing", "--yes", "--wait", "--timeout", "120")

    _, said = repository.push("Too late")

    assert "404" in said
    assert len(stack.berth("releases", "closing")["releases"]) == 1


def test_its_name_and_its_slot_can_be_used_again(stack, live_app):
    from conftest import Repository

    first = live_app("phoenix")
    before = sql(stack, "SELECT priority FROM berth.listener_slots WHERE app_name = 'phoenix'")
    stack.berth("destroy", "phoenix", "--yes", "--wait", "--timeout", "120")

    again = Repository.__new__(Repository)
    again.__dict__.update(first.__dict__)
    made = stack.berth("apps", "create", "phoenix", "--repo", "acme/phoenix", "--webhook", "github", "--health-check", "/healthz")
    (stack.directory / "secret-phoenix").write_text(made["webhook"]["secret"])
    wait_until(lambda: "202" in again.push("Rise")[1], 30)
    release = stack.berth("status", "phoenix", "--wait", "--timeout", "120")

    assert release["state"] == "live"
    assert release["release"] >= 2
    assert sql(stack, "SELECT priority FROM berth.listener_slots WHERE app_name = 'phoenix'") == before


def test_a_build_that_runs_is_stopped(stack, make_app):
    repository = make_app("building")
    stack.control("build-outcome", {"project": "berth-building", "phase": "BUILD", "status": "SUCCEEDED", "ms": 12000000})
    repository.push("Slow")
    wait_until(lambda: left_of(stack, "building").get("builds"))

    stack.berth("destroy", "building", "--yes", "--wait", "--timeout", "120")

    assert left_of(stack, "building") == {}
    assert stack.berth("releases", "building")["releases"][0]["state"] == "cancelled"


def test_a_rollout_that_is_under_way_is_withdrawn(stack, make_app):
    repository = make_app("rolling")
    stack.control("service-outcome", {"service": "berth-rolling", "failure": "pending"})
    repository.push("Never steady")
    wait_until(lambda: left_of(stack, "rolling").get("services"))

    stack.berth("destroy", "rolling", "--yes", "--wait", "--timeout", "120")

    assert left_of(stack, "rolling") == {}
    assert stack.berth("releases", "rolling")["releases"][0]["state"] == "cancelled"


@pytest.mark.parametrize("step", ["service", "target group", "secrets"])
def test_a_worker_that_dies_in_the_middle_leaves_nothing_behind(stack, live_app, step):
    app = "cut-" + step.replace(" ", "-")
    live_app(app)
    kill_worker(stack)
    operation = {"service": "DeleteService", "target group": "DeleteTargetGroup", "secrets": "DeleteSecret"}[step]
    stack.control("faults", {"rules": [{"operation": operation, "kind": "latency", "ms": 3000, "when": "after"}]})
    start_worker(stack)

    stack.berth("destroy", app, "--yes")
    wait_until(lambda: sql(stack, f"SELECT step FROM berth.teardowns WHERE app_name = '{app}'") == step)
    time.sleep(0.3)  # into the call whose answer waits
    kill_worker(stack)
    start_worker(stack)
    expire_lease(stack, app)
    stack.berth("destroy", app, "--yes", "--wait", "--timeout", "120")

    assert left_of(stack, app) == {}
    assert stack.berth("apps", "list", "--all")["apps"]


def test_a_recorded_thing_that_lost_its_tag_stops_the_teardown_until_a_person_has_decided(stack, live_app):
    live_app("untagged")
    iam = stack.client("iam")
    iam.untag_role(RoleName="berth-untagged-task", TagKeys=["berth:app"])

    failed = stack.berth("destroy", "untagged", "--yes", "--wait", "--timeout", "120", code=1)
    still_there = iam.get_role(RoleName="berth-untagged-task")["Role"]["RoleName"]
    iam.tag_role(RoleName="berth-untagged-task", Tags=[{"Key": "berth:app", "Value": "untagged"}])
    stack.berth("destroy", "untagged", "--yes", "--wait", "--timeout", "120")

    assert "role berth-untagged-task" in failed["error"]["message"]
    assert "berth:app=untagged" in failed["error"]["hint"]
    assert still_there == "berth-untagged-task"
    assert left_of(stack, "untagged") == {}


def test_a_thing_of_its_name_that_was_never_its_own_is_left_alone(stack, live_app):
    live_app("namesake")
    stack.client("secretsmanager").create_secret(Name="berth/apps/namesake/config", SecretString="somebody's")

    stack.berth("destroy", "namesake", "--yes", "--wait", "--timeout", "120")

    assert left_of(stack, "namesake").keys() == {"secrets"}
    stack.client("secretsmanager").delete_secret(SecretId="berth/apps/namesake/config", ForceDeleteWithoutRecovery=True)
