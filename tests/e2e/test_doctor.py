"""berth doctor on a whole installation: well, and broken in one way at a time."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.request

import pytest
import world

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests"))

from support import parts  # noqa: E402

DOCUMENT = TOP / "docs" / "aws-permissions.md"
NO_POLICIES_TO_ASK_ABOUT = {"permissions", "permissions_removing"}  # the stand-in's own key is the root user's
NAMES_THAT_NEVER_RESOLVE = {"dns"}  # *.test


@pytest.fixture
def doctor(stack):
    """doctor(): the checks by id, with the exit code; settings may be changed by environment."""

    def run(*words, env=None, code=None):
        changed = {**stack.env, **(env or {})}
        began = time.monotonic()
        done = subprocess.run(["berth", "doctor", "--json", *words], env={k: v for k, v in changed.items() if v is not None},
                              capture_output=True, text=True, timeout=60, check=False)
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
        assert time.monotonic() - began < 17, "the whole takes less than 15 s"
        assert code is None or done.returncode == code, done.stdout + done.stderr
        checks = {check["id"]: check for check in json.loads(done.stdout)["checks"]}
        return checks, done.returncode
    return run


@pytest.fixture
def sql(stack):
    def run(text):
        done = subprocess.run([f"{stack.env['BERTH_POSTGRES_BIN']}/psql", "--no-psqlrc", "-qtA", "-v", "ON_ERROR_STOP=1", "-f", "-",
                               stack.env["BERTH_DATABASE_SUPERUSER"]], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
    return run


def failed(checks):
    return {name for name, check in checks.items() if check["verdict"] == "failed"}


@pytest.fixture
def faults(stack):
    yield lambda *rules: stack.control("faults", {"rules": list(rules)})
    urllib.request.urlopen(urllib.request.Request(f"{stack.env['AWS_ENDPOINT_URL']}/_control/faults", method="DELETE"), timeout=10).close()


def test_a_wrong_bucket_is_told_with_its_name_and_option(doctor):
    checks, code = doctor(env={"BERTH_PLATFORM_BUCKET": "not-the-bucket"})

    assert code == 1
    assert failed(checks) == {"platform"}
    assert "not-the-bucket" in checks["platform"]["told"] and "[platform] bucket" in checks["platform"]["told"]


def test_without_credentials_what_needs_them_is_skipped_and_the_rest_goes_on(doctor):
    checks, code = doctor(env={"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None})

    assert code == 1
    assert failed(checks) == {"aws_identity"}
    assert "AWS_ACCESS_KEY_ID" in checks["aws_identity"]["told"] + checks["aws_identity"]["hint"]
    assert checks["platform"]["verdict"] == checks["secrets"]["verdict"] == "skipped"
    assert checks["migrations"]["verdict"] == checks["workers"]["verdict"] == "ok"


def test_everything_away_still_answers_in_time_each_check_with_its_own_reason(doctor):
    nowhere = "host=192.0.2.1 dbname=berth user=berth_admin password=hunter2"
    checks, code = doctor(env={"AWS_ENDPOINT_URL": "http://192.0.2.1:1", "BERTH_GITHUB_API_URL": "https://192.0.2.1", "BERTH_HOOKS_URL": "http://192.0.2.1",
                               **{f"BERTH_DATABASE_{login}": nowhere for login in ("OWNER", "HOOKS", "WORKER", "ADMIN")}})

    assert code == 1
    assert {"database_owner", "database_admin", "aws_identity", "github"} <= failed(checks)
    assert "hunter2" not in json.dumps(checks)


def test_a_configuration_with_an_unknown_option_fails_that_check_and_skips_the_others(doctor, tmp_path):
    (tmp_path / "berth.conf").write_text("[platform]\nbukket = x\n")

    checks, code = doctor(env={"BERTH_CONFIG": str(tmp_path / "berth.conf")})

    assert code == 1
    assert failed(checks) == {"configuration"}
    assert "bukket" in checks["configuration"]["told"]
    assert {check["verdict"] for name, check in checks.items() if name != "configuration"} == {"skipped"}


@pytest.fixture
def slots(stack, sql):
    """slots(n): as many of the first listener's priorities are taken by others."""
    listener = re.search(r"^listeners = (\S+)$", (stack.directory / "platform.conf").read_text(), re.M).group(1)
    before = int(sql(f"SELECT count(*) FROM berth.listener_slots WHERE listener_arn = '{listener}'"))

    yield lambda count: sql(f"INSERT INTO berth.listener_slots (listener_arn, priority) SELECT '{listener}', 40000 + i FROM generate_series(1, {count - before}) i")

    sql("DELETE FROM berth.listener_slots WHERE priority > 40000")


@pytest.mark.parametrize("count, verdict", [(71, "ok"), (72, "warning"), (89, "warning"), (90, "failed")])
def test_room_on_the_load_balancer_warns_from_80_percent_and_fails_when_full(doctor, slots, count, verdict):
    slots(count)

    checks, _ = doctor()

    assert checks["load_balancers"]["verdict"] == verdict
    assert f"{count} of 90 slots" in checks["load_balancers"]["told"]


def test_a_clock_ten_minutes_off_is_told_and_by_how_much(doctor, faults):
    faults({"service": "sts", "operation": "GetCallerIdentity", "kind": "clock-skew", "skew_s": 600})

    checks, code = doctor()

    assert code == 1
    assert failed(checks) == {"clock_aws"}
    assert re.search(r"(599|600|601) s behind AWS's", checks["clock_aws"]["told"])


def test_what_aws_denies_is_told_with_the_statement_to_add(doctor, faults):
    faults({"service": "iam", "operation": "SimulatePrincipalPolicy", "kind": "access-denied", "count": 0},
           {"service": "secretsmanager", "operation": "ListSecrets", "kind": "access-denied", "count": 0})

    checks, _ = doctor("--principal", "arn:aws:iam::123456789012:role/any")

    assert checks["permissions"]["verdict"] == "skipped"
    assert '"Action":"iam:SimulatePrincipalPolicy"' in checks["permissions"]["hint"]
    assert checks["secrets"]["verdict"] == "skipped" and "CompareByTag" in checks["secrets"]["hint"]


def policies(stack):
    text = DOCUMENT.read_text()
    conf = dict(re.findall(r"^(\w+) = (.+)$", (stack.directory / "platform.conf").read_text(), re.M))
    for name, value in (("REGION", "eu-central-1"), ("ACCOUNT", world.ACCOUNT), ("CLUSTER", conf["cluster"]), ("BUCKET", conf["bucket"]),
                        ("BOUNDARY", "berth-boundary"), ("GITHUB_SECRET", "berth/github-token")):
        text = text.replace(name, value)
    return [json.loads(body) for body in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


@pytest.fixture
def worker_role(stack):
    """worker_role(policies): the ARN of a role that has them."""
    iam = stack.client("iam")

    def make(documents):
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}]}
        role = iam.create_role(RoleName="the-worker", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
        for i, document in enumerate(documents):
            iam.put_role_policy(RoleName="the-worker", PolicyName=f"p{i}", PolicyDocument=json.dumps(document))
        return role["Arn"]
    yield make
    for name in iam.list_role_policies(RoleName="the-worker")["PolicyNames"]:
        iam.delete_role_policy(RoleName="the-worker", PolicyName=name)
    iam.delete_role(RoleName="the-worker")


def test_a_worker_with_the_documents_policies_may_do_everything(doctor, stack, worker_role):
    checks, _ = doctor("--principal", worker_role(policies(stack)[1:3]))

    assert checks["permissions"]["verdict"] == "ok", checks["permissions"]
    assert checks["permissions_removing"]["verdict"] == "ok", checks["permissions_removing"]


def test_a_statement_that_is_missing_is_named_with_its_actions(doctor, stack, worker_role):
    deploy = policies(stack)[1]
    deploy["Statement"] = [one for one in deploy["Statement"] if one["Sid"] != "HandRolesToTheirServices"]

    checks, code = doctor("--principal", worker_role([deploy]))

    assert code == 1
    assert "may not: iam:PassRole." in checks["permissions"]["told"]
    assert "HandRolesToTheirServices" in checks["permissions"]["hint"]
    assert checks["permissions_removing"]["verdict"] == "warning"


def test_a_release_that_nobody_takes_is_told_with_since_when(doctor, stack, sql):
    pid = int((stack.directory / "pid" / "worker").read_text())
    os.kill(pid, 19)  # stopped, so that it takes nothing
    try:
        sql("""INSERT INTO berth.apps (app_name, repository, webhook_policy, last_release) VALUES ('waits', 'acme/waits', 'github', 1);
               INSERT INTO berth.releases (app_name, number, kind, commit_sha, run_after) VALUES ('waits', 1, 'push', repeat('a', 40), now() - interval '2 minutes')""")

        checks, code = doctor()

        assert code == 1
        assert checks["workers"]["verdict"] == "failed"
        assert "waits v1" in checks["workers"]["told"] and "since 20" in checks["workers"]["told"]
    finally:
        sql("DELETE FROM berth.releases WHERE app_name = 'waits'; DELETE FROM berth.apps WHERE app_name = 'waits'")
        os.kill(pid, 18)


def test_a_web_server_that_refuses_large_bodies_is_found_without_sending_one(doctor, stack, tmp_path):
    text = (TOP / "lighttpd.conf").read_text().replace("server.max-request-size = 26624", "server.max-request-size = 1024")
    assert "server.max-request-size = 1024" in text
    (tmp_path / "lighttpd.conf").write_text(text)
    with other_web_server(stack, tmp_path) as url:
        checks, code = doctor(env={"BERTH_HOOKS_URL": url})

    assert code == 1
    assert failed(checks) == {"web_server"}
    assert "26214400" in checks["web_server"]["told"] and "server.max-request-size" in checks["web_server"]["hint"]


def test_a_web_server_that_does_not_wait_for_bodies_is_a_warning(doctor, stack, tmp_path):
    text = (TOP / "lighttpd.conf").read_text().replace("server.stream-request-body  = 0", "server.stream-request-body  = 1")
    assert "stream-request-body  = 1" in text
    (tmp_path / "lighttpd.conf").write_text(text)
    with other_web_server(stack, tmp_path) as url:
        checks, _ = doctor(env={"BERTH_HOOKS_URL": url})

    assert checks["web_server"]["verdict"] == "warning"
    assert "stream-request-body" in checks["web_server"]["hint"]


@contextlib.contextmanager
def other_web_server(stack, folder):
    """lighttpd with another configuration before the stack's responders."""
    sockets = (stack.directory / "sockets").read_text().strip()
    server = parts.Lighttpd(folder, sockets, conf=folder / "lighttpd.conf")
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.end()


def test_an_app_whose_webhook_secret_is_gone_is_named(doctor, stack, make_app):
    make_app("secretless")
    stack.client("secretsmanager").delete_secret(SecretId="berth/hooks/secretless", ForceDeleteWithoutRecovery=True)
    try:
        checks, code = doctor()

        assert code == 1
        assert failed(checks) == {"secrets"}
        assert "secretless" in checks["secrets"]["told"] and "berth apps secret secretless" in checks["secrets"]["hint"]
    finally:
        stack.berth("destroy", "secretless", "--yes", "--wait", "--timeout", "60")


def test_a_healthy_installation_is_well(doctor):
    checks, code = doctor()

    assert code == 0, checks
    assert {name for name, check in checks.items() if check["verdict"] != "ok"} == NO_POLICIES_TO_ASK_ABOUT | NAMES_THAT_NEVER_RESOLVE
    assert checks["dns"]["verdict"] == "warning"


def test_strict_makes_a_warning_a_failure(doctor):
    _, code = doctor("--strict")

    assert code == 1


def test_as_a_login_that_sees_little_it_passes_and_says_how_much_was_not_looked_at_and_strictly_fails(doctor, stack):
    blind = {"BERTH_DATABASE_ADMIN": ""}
    checks, code = doctor(env=blind)
    strict = json.loads(subprocess.run(["berth", "doctor", "--json", "--strict"], env={**stack.env, **blind}, capture_output=True, text=True, check=False).stdout)

    assert code == 0
    assert {name for name, check in checks.items() if check["verdict"] == "skipped"} >= {"database_admin", "workers", "releases", "teardowns", "row_security"}
    assert strict["skipped"] == sum(check["verdict"] == "skipped" for check in checks.values()) >= 7
    assert strict["well"] is False


def with_any_number(text):
    return re.sub(r"\d+", "0", text)


def test_the_first_page_shows_what_the_doctor_of_this_version_prints(doctor):
    sample = (TOP / "www" / "overview.html").read_text(encoding="utf-8").partition("$ berth doctor</b>\n")[2].partition("</code>")[0]
    checks, _ = doctor()

    printed = {with_any_number(f"{check['verdict']:8} {check['title']}: {check['told']}") for check in checks.values()}
    lines = [with_any_number(line) for line in sample.splitlines() if line.startswith("ok ")]
    counts = re.search(r"^(\d+) ok, (\d+) warnings, (\d+) failed, (\d+) skipped$", sample, re.MULTILINE).groups()
    assert len(lines) == 2 and set(lines) <= printed
    assert sum(map(int, counts)) == len(checks)


def test_for_people_each_check_is_a_line_with_what_to_do_below_and_the_counts_last(stack):
    done = subprocess.run(["berth", "doctor"], env=stack.env, capture_output=True, text=True, timeout=60, check=False)
    lines = done.stdout.splitlines()

    assert done.returncode == 0 and done.stderr == ""
    assert any(line.startswith("ok       Migrations: ") for line in lines)
    warned = next(i for i, line in enumerate(lines) if line.startswith("WARNING  Address of the apps: "))
    assert lines[warned + 1].startswith("         In the DNS zone of apps.example.test")
    assert re.fullmatch(r"\d+ ok, 1 warnings, 0 failed, 2 skipped", lines[-2])
    assert lines[-1] == "What was skipped was not looked at, and nothing is known of it."
