"""The berth command as its users meet it: words, answers, refusals, exit codes."""

import datetime
import json
import os
import pathlib
import re
import subprocess

import pytest

# As `berth --help` documents them.
DONE, FAILED, USAGE, NOT_FOUND, CONFLICT, DENIED, UNAVAILABLE = 0, 1, 2, 3, 4, 5, 6

# From the command itself, so that a new one can't be forgotten.
TOP = pathlib.Path(__file__).resolve().parents[2]
HELP = subprocess.run([pathlib.Path(os.environ.get("BERTH_BUILD", TOP / "build"), "berth"), "--help"], capture_output=True, text=True, check=True).stdout
COMMANDS = [re.match(r"  (\S+(?: \S+)?)(?:  | \S)", line).group(1) for line in HELP.splitlines() if re.match(r"  [a-z]", line) and "COMMAND" not in line]
HOSTILE = "\"><script>\x1b[31m\u202e\u2028 'quoted' \\ 漢字 e\u0301\n\t end"


class Done:
    def __init__(self, process):
        self.code, self.out, self.err = process.returncode, process.stdout, process.stderr

    @property
    def json(self):
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


@pytest.fixture
def berth(stack):
    """berth("apps", "list"): runs it with the stack's settings, some of them changed."""

    def run(*words, env=None, **more):
        changed = {**stack.env, **(env or {})}
        given = {"capture_output": True, "text": True, "timeout": 60, **more}
        done = Done(subprocess.run(["berth", *words], env={k: v for k, v in changed.items() if v is not None}, check=False, **given))
        assert "Sanitizer" not in (done.err or "") and "runtime error" not in (done.err or ""), done.err
        return done
    return run


@pytest.fixture
def sql(stack):
    def run(text, database=None):
        conninfo = stack.env["BERTH_DATABASE_SUPERUSER"]
        command = [f"{stack.env['BERTH_POSTGRES_BIN']}/psql", "--no-psqlrc", "-qtA", "-v", "ON_ERROR_STOP=1", "-f", "-",
                   at_database(conninfo, database) if database else conninfo]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
    return run


@pytest.fixture
def app(sql):
    """An app with texts as hostile as its columns take, and a release that failed."""
    name = "hostile"
    sql(f"""INSERT INTO berth.apps (app_name, repository, webhook_policy, last_release) VALUES ('{name}', 'acme/hostile', 'github', 1)
              ON CONFLICT DO NOTHING;
            INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, commit_title, pushed_by, error, hint, finished_at)
            SELECT '{name}', 1, 'push', 'failed', 'build', repeat('a', 40), t, t, t, t, now() FROM (SELECT E'{escaped(HOSTILE)}' AS t) x
              ON CONFLICT DO NOTHING;
            INSERT INTO berth.release_events (app_name, release, step, kind, message)
            SELECT '{name}', 1, 'source', 'info', E'{escaped(HOSTILE)}' WHERE NOT EXISTS (SELECT 1 FROM berth.release_events WHERE app_name = '{name}')""")
    return name


def escaped(text):
    return text.replace("\\", "\\\\").replace("'", "\\'")


def at_database(conninfo, database):
    return re.sub(r"dbname=\S+", f"dbname={database}", conninfo)


def assert_refused(done, code, *words):
    assert done.code == code, done.out + done.err
    for word in words:
        assert word in done.err, done.err
    assert done.err.startswith("berth: "), done.err


# ---- Usage ----


def test_a_command_that_is_none_is_refused_with_what_to_do(berth):
    assert_refused(berth("nosuch"), USAGE, 'there is no command "nosuch"', "berth --help")
    assert_refused(berth("\x1b[2J"), USAGE, "there is no command")
    assert "\x1b" not in berth("\x1b[2J").err
    assert berth("nosuch", "--json").json["error"]["code"] == "invalid"


def test_no_command_at_all_prints_the_help_as_an_error(berth):
    done = berth()

    assert (done.code, done.out) == (USAGE, "")
    assert "usage: berth COMMAND" in done.err


def test_a_group_alone_names_its_commands(berth):
    assert_refused(berth("apps"), USAGE, "a word is missing", "berth apps create", "berth apps list")
    assert_refused(berth("apps", "nosuch"), USAGE, 'no command "apps nosuch"', "berth apps create")
    assert "berth apps show" in berth("apps", "--help").out
    assert berth("apps", "--help").code == DONE


def test_the_help_names_every_command_and_exit_code(berth):
    out = berth("--help").out

    assert {"migrate", "worker", "config", "apps create", "apps list", "apps show", "releases", "status", "logs"} <= set(COMMANDS)
    assert all(re.search(rf"\b{code} ", out.split("exit codes:")[1]) for code in range(8))
    assert berth("help").out == out
    assert berth("--version").out.startswith("berth 0.")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_tells_its_arguments(berth, command):
    for words in ([*command.split(), "--help"], [*command.split(), "x", "--whatever", "--help"]):
        done = berth(*words)
        assert done.code == DONE
        assert done.out.startswith(f"usage: berth {command}")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_refuses_an_unknown_option_in_text_and_in_json(berth, command):
    done = berth(*command.split(), "--nosuch")
    as_json = berth(*command.split(), "--nosuch", "--json")

    assert_refused(done, USAGE, 'unknown option "--nosuch"', f"berth {command} --help")
    assert as_json.code == USAGE
    assert as_json.json["error"]["hint"] == f"berth {command} --help tells the command's options"


def test_a_slip_on_the_command_line_is_named(berth):
    assert_refused(berth("apps", "list", "-x"), USAGE, '"-x"')
    assert_refused(berth("apps", "list", "-xyz"), USAGE, '"-xyz"')
    assert_refused(berth("apps", "list", "word"), USAGE, 'one word too many: "word"')
    assert_refused(berth("apps", "show"), USAGE, "berth apps show: a word is missing")
    assert_refused(berth("releases", "a", "v1", "x"), USAGE, 'one word too many: "x"')
    assert_refused(berth("releases", "shop", "--limit"), USAGE, '"--limit" lacks its value')
    assert_refused(berth("releases", "shop", "--limit", "0"), USAGE, "from 1 to 10000")
    assert_refused(berth("releases", "shop", "--limit", "1e3"), USAGE, "whole number")
    assert_refused(berth("releases", "shop", "--lim", "3"), USAGE, "write --limit")
    assert_refused(berth("apps", "list", "--json=yes"), USAGE, "--json=yes")
    assert_refused(berth("releases", "shop", "first"), USAGE, "write it as v12")
    assert_refused(berth("status", "shop", "v0"), USAGE, "write it as v12")
    assert_refused(berth("status", "shop", "--wait", "--timeout", "-1"), USAGE, "whole number")
    assert_refused(berth("migrate", "down"), USAGE, "up, status and verify")


# ---- apps create ----


def create(berth, name="refused", repo="acme/refused", webhook="github", *more, **env):
    return berth("apps", "create", name, "--repo", repo, "--webhook", webhook, *more, **env)


@pytest.mark.parametrize("name", ["", "Shop", "1shop", "shop-", "sh--op", "a" * 23, "sh_op", "shop\n", "www", "admin", "berth", "ünï", "../x", "a b", "'; --"])
def test_a_name_that_cannot_be_an_apps_is_refused(berth, name):
    done = create(berth, name)

    assert_refused(done, USAGE)
    assert done.out == ""


@pytest.mark.parametrize("repo", ["", "shop", "acme/", "/shop", "acme/shop/x", "https://github.com/acme/shop", "acme/shop.git", "-a/b", "a b/c", "acme/..", "a/" + "b" * 101])
def test_a_repository_that_cannot_be_githubs_is_refused(berth, repo):
    assert_refused(create(berth, repo=repo), USAGE, "repository")


@pytest.mark.parametrize("branch", ["", "a b", "a..b", "-x", "x.lock", "refs~1", "@", "HEAD", "x" * 256, "a\x01b"])
def test_a_branch_that_git_does_not_allow_is_refused(berth, branch):
    assert_refused(create(berth, "refused", "acme/refused", "github", "--branch", branch), USAGE, "branch")


@pytest.mark.parametrize("cpu, memory", [("256", "4096"), ("300", "512"), ("1024", "1024"), ("16384", "1024")])
def test_a_size_that_fargate_lacks_is_refused_with_the_nearest(berth, cpu, memory):
    assert_refused(create(berth, "refused", "acme/refused", "github", "--cpu", cpu, "--memory", memory), USAGE, "Fargate has no task", "nearest")


@pytest.mark.parametrize("option, value", [("--port", "0"), ("--port", "65536"), ("--port", "http"), ("--cpu", "0"), ("--tasks", "0"), ("--tasks", "1001"),
                                           ("--health-check", "healthz"), ("--health-check", "/" + "x" * 1024), ("--health-check", "/a b")])
def test_a_setting_out_of_its_limits_is_refused(berth, option, value):
    assert_refused(create(berth, "refused", "acme/refused", "github", option, value), USAGE)


def test_the_webhook_policy_has_no_default(berth):
    assert_refused(berth("apps", "create", "refused", "--repo", "acme/refused"), USAGE, "--webhook is missing", "There is no default")
    assert_refused(berth("apps", "create", "refused", "--webhook", "github"), USAGE, "--repo is missing")
    assert_refused(create(berth, webhook="none"), USAGE, '"none" is no webhook policy')


def test_the_signed_policy_answers_that_it_comes_in_a_later_version(berth):
    assert_refused(create(berth, webhook="signed"), USAGE, "comes in a later version", "--webhook github")


def test_nothing_of_a_refused_app_is_left(berth, stack):
    assert "refused" not in [app["app"] for app in berth("apps", "list", "--json").json["apps"]]
    names = [s["Name"] for s in stack.client("secretsmanager").list_secrets()["SecretList"]]
    assert "berth/hooks/refused" not in names


def test_a_name_that_is_taken_is_a_conflict_and_changes_nothing(berth, stack, sql):
    secrets = stack.client("secretsmanager")
    create(berth, "taken", "acme/first")
    before = secrets.get_secret_value(SecretId="berth/hooks/taken")
    audited = sql("SELECT count(*) FROM berth.audit_log")

    done = create(berth, "taken", "acme/second")

    assert_refused(done, CONFLICT, "there is an app named taken already")
    assert done.out == ""
    assert secrets.get_secret_value(SecretId="berth/hooks/taken")["VersionId"] == before["VersionId"]
    assert berth("apps", "show", "taken", "--json").json["repository"] == "acme/first"
    assert sql("SELECT count(*) FROM berth.audit_log") == audited


def test_the_secret_is_shown_once_and_is_nowhere_else(berth, stack, sql):
    done = create(berth, "secretive", "acme/secretive")
    kept = stack.client("secretsmanager").get_secret_value(SecretId="berth/hooks/secretive")["SecretString"]

    assert len(kept) >= 40
    assert done.out.count(kept) == 1
    assert kept not in done.err
    assert f"{stack.url}/hooks/github/secretive" in done.out
    assert "https://github.com/acme/secretive/settings/hooks/new" in done.out
    assert kept not in berth("apps", "show", "secretive").out + berth("apps", "show", "secretive", "--json").out
    dump = subprocess.run([f"{stack.env['BERTH_POSTGRES_BIN']}/pg_dump", "--data-only", stack.env["BERTH_DATABASE_SUPERUSER"]],
                          capture_output=True, text=True, check=True).stdout
    assert "secretive" in dump
    assert kept not in dump
    logs = [log for log in (stack.directory / "log").iterdir() if log.is_file()]
    assert [log.name for log in logs if kept in log.read_text(errors="replace")] == []
    assert kept not in json.dumps(stack.control("journal?after=0"))
    assert sql("SELECT action FROM berth.audit_log WHERE app_name = 'secretive'") == "app.create"


def test_a_fresh_secret_replaces_the_old_one_and_is_audited(berth, stack, sql):
    made = create(berth, "rotated", "acme/rotated", "github", "--json").json["webhook"]
    first = made["secret"]

    second = berth("apps", "secret", "rotated", "--json").json["webhook"]

    kept = stack.client("secretsmanager").get_secret_value(SecretId="berth/hooks/rotated")["SecretString"]
    assert second["secret"] == kept != first
    assert second["content_type"] == "application/json"
    assert "old_secret_until" not in made
    assert sql("SELECT string_agg(action, ' ' ORDER BY id) FROM berth.audit_log WHERE app_name = 'rotated'") == "app.create app.secret"


def test_until_when_the_old_secret_holds_is_printed_24_hours_from_now(berth):
    create(berth, "turned", "acme/turned", "github")

    until = berth("apps", "secret", "turned", "--json").json["webhook"]["old_secret_until"]
    told = berth("apps", "secret", "turned").out

    left = datetime.datetime.fromisoformat(until) - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(hours=23, minutes=58) < left <= datetime.timedelta(hours=24)
    assert re.search(r"^The one before it holds for 24 hours, until 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z: ", told, re.MULTILINE)


def test_an_answer_that_cannot_be_written_is_no_success(berth):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = berth("apps", "list", "--json", capture_output=False, stdout=full, stderr=subprocess.PIPE)

    assert done.code == FAILED
    assert "could not be written" in done.err


def test_a_reader_that_went_away_ends_it_quietly(stack, app):
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(["berth", "releases", app, "v1"], env=stack.env, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60)

    os.close(writing)
    assert done.returncode != 0
    assert b"Sanitizer" not in done.stderr


# ---- Not there ----


@pytest.mark.parametrize("words", [("apps", "show", "nobody"), ("apps", "secret", "nobody"), ("releases", "nobody"), ("releases", "nobody", "v1"),
                                   ("status", "nobody"), ("logs", "nobody"), ("logs", "nobody", "v1")], ids=" ".join)
def test_an_unknown_app_is_not_found(berth, words):
    assert_refused(berth(*words), NOT_FOUND, 'there is no app named "nobody"', "berth apps list")
    assert berth(*words, "--json").json["error"]["code"] == "not_found"


@pytest.fixture
def build(sql):
    """build(state, step): the name of an app whose release has a build that no line was written of."""
    name = "unwritten"

    def make(state, step):
        sql(f"""INSERT INTO berth.apps (app_name, repository, webhook_policy, last_release) VALUES ('{name}', 'acme/unwritten', 'github', 1);
                INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, build_id, finished_at, run_after)
                VALUES ('{name}', 1, 'push', '{state}', '{step}', repeat('b', 40), 'berth-unwritten:11111111-2222-3333-4444-555555555555',
                        CASE WHEN '{state}' IN ('queued', 'running') THEN NULL ELSE now() END, 'infinity')""")
        return name
    yield make
    sql(f"DELETE FROM berth.releases WHERE app_name = '{name}'; DELETE FROM berth.apps WHERE app_name = '{name}'")


def test_a_log_without_a_line_is_not_found_once_the_build_has_ended(berth, build):
    name = build("failed", "build")

    assert_refused(berth("logs", name), NOT_FOUND, "CloudWatch Logs has no log of this build: it wrote none, or its time there is over", f"berth releases {name} v1")
    told = berth("logs", name, "v1", "--json")
    assert told.code == NOT_FOUND
    assert told.json["error"]["code"] == "not_found"
    assert "CloudWatch Logs has no log of this build" in told.json["error"]["message"]


@pytest.mark.parametrize("step, code", [("build", DONE), ("route", NOT_FOUND)])
def test_a_log_without_a_line_is_an_empty_one_while_the_build_runs(berth, build, step, code):
    done = berth("logs", build("running", step))

    assert (done.code, done.out) == (code, "")


def test_an_unknown_release_or_log_is_not_found(berth, app):
    assert_refused(berth("releases", app, "v99"), NOT_FOUND, "v99", "berth releases")
    assert_refused(berth("status", app, "v99", "--wait"), NOT_FOUND, "v99")
    assert_refused(berth("logs", app), NOT_FOUND, "no release yet that was built")
    assert_refused(berth("logs", app, "v1"), NOT_FOUND, "has no build")


def test_an_app_without_a_release_says_what_to_do(berth):
    create(berth, "quiet", "acme/quiet")

    assert "push to its branch" in berth("releases", "quiet").out
    assert_refused(berth("status", "quiet"), NOT_FOUND, "has no release yet", "Push to its branch")
    assert berth("releases", "quiet", "--json").json == {"app": "quiet", "releases": []}


# ---- Answers ----


@pytest.mark.parametrize("words", [("apps", "list"), ("apps", "show", "hostile"), ("releases", "hostile"), ("releases", "hostile", "v1"), ("status", "hostile"),
                                   ("config",), ("migrate", "status"), ("migrate", "verify"), ("migrate",)], ids=" ".join)
def test_each_answer_is_one_line_of_json(berth, app, words):
    done = berth(*words, "--json")

    assert done.code == DONE, done.err
    assert isinstance(done.json, dict)
    assert done.err == ""


def test_hostile_texts_are_whole_in_json_and_harmless_on_a_terminal(berth, app):
    as_json = berth("releases", app, "v1", "--json").json
    texts = [berth("releases", app).out, berth("releases", app, "v1").out, berth("status", app).out, berth("apps", "list").out]

    assert as_json["title"] == as_json["pushed_by"] == as_json["error"] == as_json["events"][0]["message"] == HOSTILE
    assert all(not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text) for text in texts)
    assert all("<script>" in text for text in texts[:3])


def test_columns_stand_under_each_other_whatever_the_width_of_the_characters(berth, sql):
    sql("INSERT INTO berth.apps (app_name, repository, webhook_policy) VALUES ('wide', 'a/b', 'github') ON CONFLICT DO NOTHING; "
        "INSERT INTO berth.releases (app_name, number, kind, state, commit_sha, pushed_by, finished_at, created_at) "
        "SELECT 'wide', n, 'push', 'failed', repeat('a', 40), by, now(), '2026-01-01Z' FROM (VALUES (1, 'ab'), (2, '漢字'), (3, E'e\\u0301e\\u0301')) r (n, by) "
        "ON CONFLICT DO NOTHING")

    lines = berth("releases", "wide").out.splitlines()[1:]

    columns = {}
    for line in lines:
        before = line[:line.index("2026-01-01")]
        columns[before] = sum(2 if c in "漢字" else 0 if c == "\u0301" else 1 for c in before)
    assert len(columns) == 3
    assert len(set(columns.values())) == 1, columns


def test_a_failed_release_waited_for_is_a_failure_and_tells_why(berth, app):
    done = berth("status", app, "v1", "--wait")

    assert done.code == FAILED
    assert "failed (build)" in done.out
    assert "hint: " in done.out


def test_waiting_ends_when_the_time_is_over(berth, sql):
    sql("INSERT INTO berth.apps (app_name, repository, webhook_policy, state) VALUES ('slow', 'a/b', 'github', 'active') ON CONFLICT DO NOTHING; "
        "INSERT INTO berth.releases (app_name, number, kind, commit_sha, run_after) VALUES ('slow', 1, 'push', repeat('a', 40), 'infinity') ON CONFLICT DO NOTHING")

    done = berth("status", "slow", "v1", "--wait", "--timeout", "1", "--json")

    assert done.code == UNAVAILABLE
    assert "has not ended after 1 s" in done.json["error"]["message"]


# ---- Settings ----


def test_the_settings_are_printed_with_where_they_came_from_but_no_password(berth, stack):
    env = {"BERTH_DATABASE_HOOKS": "host=/x dbname=y user=z password=hunter2", "BERTH_WORKER_THREADS": "3"}

    text = berth("config", env=env)
    options = {f"{o['section']}.{o['key']}": o for o in berth("config", "--json", env=env).json["options"]}

    assert "hunter2" not in text.out + text.err + json.dumps(options)
    assert options["worker.threads"]["value"] == "3"
    assert options["worker.threads"]["source"] == "environment"
    assert options["admin.operators"]["source"] == "file"
    assert re.search(rf"admin\.operators +operator +{re.escape(stack.env['BERTH_CONFIG'])}:\d+", text.out)


def test_a_configuration_that_is_missing_or_wrong_is_named(berth, tmp_path):
    wrong = tmp_path / "berth.conf"
    wrong.write_text("[worker]\nthreads = many\n")

    assert_refused(berth("apps", "list", "--config", "/nonexistent/berth.conf"), USAGE, "/nonexistent/berth.conf")
    assert_refused(berth("apps", "list", env={"BERTH_CONFIG": "/nonexistent/berth.conf"}), USAGE, "/nonexistent/berth.conf")
    assert_refused(berth("apps", "list", "--config", str(wrong)), USAGE, "many")
    assert berth("apps", "list", "--config", str(wrong), "--json").json["error"]["code"] == "invalid"


def test_a_login_that_is_not_configured_is_named(berth, tmp_path):
    empty = tmp_path / "berth.conf"
    empty.write_text("")

    done = berth("apps", "list", "--config", str(empty), env={"BERTH_DATABASE_ADMIN": None})

    assert_refused(done, USAGE, 'login "admin"', "BERTH_DATABASE_ADMIN")


def test_a_worker_without_its_platform_names_what_is_missing(berth, tmp_path):
    empty = tmp_path / "berth.conf"
    empty.write_text("")

    assert_refused(berth("worker", "--drain", "--config", str(empty)), USAGE, "cluster")


# ---- The database ----

NEED_DATABASE = [("apps", "list"), ("apps", "show", "shop"), ("apps", "create", "later", "--repo", "a/b", "--webhook", "github"), ("apps", "secret", "shop"),
                 ("releases", "shop"), ("status", "shop"), ("logs", "shop")]


@pytest.mark.parametrize("words", NEED_DATABASE, ids=" ".join)
def test_a_database_that_is_away_is_unavailable_with_a_hint(berth, words):
    env = {"BERTH_DATABASE_ADMIN": "host=/nonexistent dbname=berth user=berth_admin password=hunter2"}

    done = berth(*words, env=env)

    assert_refused(done, UNAVAILABLE, "connecting to Postgres as admin", "hint: Check that Postgres is running")
    assert "hunter2" not in done.err


@pytest.fixture(scope="module")
def unmigrated(stack):
    """A database with its roles and schema, but no table; and one that was never set up."""
    psql = [f"{stack.env['BERTH_POSTGRES_BIN']}/psql", "--no-psqlrc", "-q", "-v", "ON_ERROR_STOP=1"]
    super_login = stack.env["BERTH_DATABASE_SUPERUSER"]
    for database in ("unmigrated", "unbooted"):
        subprocess.run([*psql, "-c", f"CREATE DATABASE {database}", super_login], check=True, capture_output=True)
    subprocess.run([*psql, "-f", f"{TOP}/sql/bootstrap.sql", at_database(super_login, "unmigrated")], check=True, capture_output=True)
    subprocess.run([*psql, "-c", "GRANT CONNECT ON DATABASE unbooted TO PUBLIC", super_login], check=True, capture_output=True)
    return stack.env["BERTH_DATABASE_ADMIN"]


@pytest.mark.parametrize("words", NEED_DATABASE, ids=" ".join)
def test_a_database_that_is_not_migrated_says_so(berth, unmigrated, words):
    done = berth(*words, "--json", env={"BERTH_DATABASE_ADMIN": at_database(unmigrated, "unmigrated")})

    assert_refused(done, FAILED, "schema is not the one that this berth needs", "run `berth migrate`")
    assert done.json["error"]["detail"] == "42P01"


def test_a_database_that_was_never_set_up_says_so(berth, unmigrated):
    done = berth("apps", "list", env={"BERTH_DATABASE_ADMIN": at_database(unmigrated, "unbooted")})

    assert_refused(done, FAILED, "schema is not the one that this berth needs")


def test_pending_migrations_are_told_and_verify_refuses(berth, unmigrated, stack):
    env = {"BERTH_DATABASE_OWNER": at_database(stack.env["BERTH_DATABASE_OWNER"], "unmigrated")}

    states = {m["state"] for m in berth("migrate", "status", "--json", env=env).json["migrations"]}
    verified = berth("migrate", "verify", env=env)

    assert states == {"pending"}
    assert_refused(verified, CONFLICT, "is not applied", "berth migrate up")
