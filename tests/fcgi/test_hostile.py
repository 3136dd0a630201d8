"""A stranger's text in every column that can hold one, on every page: the columns are read from Postgres's catalogue and the pages from the table of routes, so
that neither a new column nor a new page can be forgotten."""

import csv
import html.parser
import io
import itertools
import json
import re

import pytest

from support.live import LivePages
from support.pages import Pages
from support.parts import TOP, wait_until

LISTENER = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/app/berth-1/50dc6c495c0c9188/f2f7dc8efc522ab2"
HOSTILE = [
    '"><script>alert(1)</script>', "'><img src=x onerror=alert(1)>", "</title><script>alert(1)</script>", "&lt;script&gt;", "&", "<!--", "-->", "]]>",
    "<svg/onload=alert(1)>", "javascript:alert(1)", "//evil.example/", "https://evil.example/\" onclick=\"x", "\u202eright to left\u202c", "a\u2028b\u2029c",
    "\ufeff\u200b", "\x1b[31m\x9b31m\x01\x7f", "a\tb\r\nc\r\nSet-Cookie: x=y", "{{7*7}}${7*7}", "A" * 10240, "\u0300" * 300, "\U0001f6a2" * 50, "data-text=\"x\"",
    "</bdi></span></td></tr></table><h1>berth</h1>", "%s%n%00", "\\u003cscript\\u003e", "\"}],\"x\":[{\"",
]
FORMULAS = ['=HYPERLINK("http://example.com","x")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", '=cmd|"/c calc"!A1', ';=1', '",=1', "\uff1d1+1"]
SAMPLES = {"app": ["hostile", "leaving"], "release": ["1", "2", "3"], "delivery": ["d-1"]}
# What takes any text and is on no page, and why.
UNSHOWN = {
    "builds.build_id": "minutes are counted by it; the page shows the release's",
    "deployments.image_digest": "its release's is shown",
    "deployments.task_definition_arn": "its release's is shown",
    "intents.operation": "what a worker asked of AWS, for the worker",
    "intents.step": "what a worker asked of AWS, for the worker",
    "intents.target": "what a worker asked of AWS, for the worker",
    "looks.leased_by": "a worker's own note",
    "poll_leases.holder": "a worker's own note",
    "releases.ecs_deployment_id": "what a worker waits for",
    "releases.halt_deployment_id": "what a worker waits for",
    "releases.health_check_path": "what its tasks run with; the settings show the app's",
    "releases.leased_by": "a worker's own note",
    "resources.spec_hash": "a worker's own note",
    "schema_migrations.checksum": "for berth migrate",
    "schema_migrations.name": "for berth migrate",
    "teardowns.leased_by": "a worker's own note",
}
SEED = f"""
    INSERT INTO berth.apps (app_name, repository, webhook_policy, state, last_release) VALUES
        ('hostile', 'acme/hostile', 'github', 'active', 3), ('leaving', 'acme/leaving', 'github', 'deleting', 3);
    INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, commit_title, pushed_by, delivery_id, source_version, build_id, image_digest,
        task_definition_arn, error, hint, finished_at)
        SELECT a, n, 'push', s, 'build', repeat('a', 40), 'x', 'x', 'x', 'x', 'x', 'sha256:' || repeat('0', 64), 'x', 'x', 'x', CASE WHEN s <> 'running' THEN now() END
          FROM (VALUES (1, 'live'), (2, 'failed'), (3, 'running')) r (n, s), (VALUES ('hostile'), ('leaving')) p (a);
    INSERT INTO berth.release_events (app_name, release, step, kind, message)
        SELECT 'hostile', n, 'source', k, 'x' FROM generate_series(1, 3) n, (VALUES ('info'), ('failed')) e (k);
    INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host) VALUES ('hostile', 1, repeat('a', 40), 'x', 'x', 'x');
    INSERT INTO berth.resources (app_name, kind, name, arn, spec_hash) SELECT 'hostile', k, 'x', 'x', 'x'
        FROM (VALUES ('task_role'), ('execution_role'), ('build_role'), ('repository'), ('log_group'), ('build_project'), ('target_group'), ('listener_rule'), ('service')) r (k);
    INSERT INTO berth.deliveries (app_name, delivery_id, event, outcome, reason, release, body_sha256, body, branch, commit_sha, commit_title, pushed_by)
        SELECT a, 'd-1', 'push', 'limited', 'x', 1, sha256(a::bytea), '{{"a": "x"}}', 'x', repeat('a', 40), 'x', 'x' FROM (VALUES ('hostile'), ('leaving')) p (a);
    INSERT INTO berth.listener_slots (listener_arn, priority, app_name) VALUES ('{LISTENER}', 1, 'hostile'), ('{LISTENER}', 2, NULL);
    INSERT INTO berth.teardowns (app_name, state, error, hint, started_by, finished_at) VALUES ('leaving', 'failed', 'x', 'x', 'x', now());
    INSERT INTO berth.looks (app_name, reason, owed_at, run_after) VALUES ('hostile', 'limited', now(), now() + interval '1 hour');
    INSERT INTO berth.audit_log (actor, action, app_name, before, after) SELECT 'x', k, a, '{{"port": 1, "tasks": 2}}', '{{"port": 3, "tasks": 4}}'
        FROM (VALUES ('app.update'), ('limits.set')) t (k), (VALUES ('hostile'), (NULL)) p (a);
    INSERT INTO berth.builds (app_name, build_id, release) VALUES ('hostile', 'x', 1);
    INSERT INTO berth.intents (app_name, release, step, operation, target, lease_token) VALUES ('hostile', 1, 'x', 'x', 'x', 1);
    INSERT INTO berth.poll_leases (kind, holder, until) VALUES ('build', 'x', now());
"""


class Skeleton(html.parser.HTMLParser):
    """The elements and attribute names of a page, the addresses in it, and its text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.addresses, self.words, self.comments = [], [], [], 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, tuple(sorted(name for name, _ in attrs))))
        self.addresses += [value for name, value in attrs if name in ("href", "src", "action", "formaction")]

    def handle_endtag(self, tag):
        self.elements.append("/" + tag)

    def handle_data(self, data):
        self.words.append(data)

    def handle_comment(self, _):
        self.comments += 1


def routes():
    """Every address that is read, of every sample."""
    found = re.findall(r'"GET",\s*"([^"]+)"', (TOP / "fcgi" / "admin_routes.c").read_text())
    assert len(found) > 10
    paths = []
    found.remove("/doctor")  # it begins a run by itself, so that it is never twice the same; the last test here is of it
    for pattern in found:
        places = re.findall(r"\{(\w+)\}", pattern)
        for values in itertools.product(*(SAMPLES[place] for place in places)):
            path = pattern
            for place, value in zip(places, values, strict=True):
                path = path.replace("{" + place + "}", value)
            paths.append(path)
    return paths


@pytest.fixture(scope="module")
def pages():
    made = Pages({"BERTH_PLATFORM_LISTENERS": LISTENER, "BERTH_HOOKS_URL": "https://berth.example.com"})
    try:
        made.postgres.sql(SEED)
        made.wait_until_ready()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def columns(pages):
    """{table.column: type} of all that could hold a text. An app's name is a key, and held to a few letters where apps are made."""
    rows = pages.postgres.sql("""
        SELECT c.table_name || '.' || c.column_name, c.data_type FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
         WHERE c.table_schema = 'berth' AND t.table_type = 'BASE TABLE' AND c.column_name <> 'app_name'
           AND c.data_type NOT IN ('integer', 'bigint', 'boolean', 'double precision', 'timestamp with time zone') ORDER BY 1""")
    assert len(rows) > 50
    return dict(rows)


@pytest.fixture(scope="module")
def open_columns(pages, columns):
    """Those that take what a stranger writes, in some form: no CHECK and no key holds them to a few words."""
    return [column for column in columns if put(pages, columns, "Marked x", [column]) == [column]]


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def forms_of(data_type):
    """In what form a column may take a text: the first that its CHECKs let through."""
    return {"jsonb": ["jsonb_build_object('port', given, given, given)"],
            "bytea": ["convert_to(jsonb_build_object('member', given, given, 1)::text, 'UTF8')"],
            "ARRAY": ["ARRAY[given]"]}.get(data_type, ["given", "'/' || given", "left(given, 64)", "'/' || left(given, 1000)", "left(given, 250)"])


def put(pages, columns, text, which):
    """Writes it into each row of them; a column that refuses every form of it keeps what it has. Returns those that took it."""
    lines = []
    for column in which:
        table, name = column.split(".")
        for form in forms_of(columns[column]):
            lines.append(f"IF NOT '{column}' = ANY (taken) THEN BEGIN UPDATE berth.{table} SET {name} = {form}; GET DIAGNOSTICS n = ROW_COUNT; "
                         f"IF n > 0 THEN taken := taken || '{column}'::text; END IF; EXCEPTION WHEN integrity_constraint_violation OR data_exception OR raise_exception THEN NULL; END; END IF;")
    return [row[0] for row in pages.postgres.sql(
        f"CREATE TEMP TABLE took (c text); DO $do$ DECLARE given text := {quoted(text)}; taken text[] := '{{}}'; n int; BEGIN {' '.join(lines)} "
        "INSERT INTO took SELECT unnest(taken); END $do$; SELECT c FROM took") if row[0]]


@pytest.fixture(scope="module")
def plain(pages, columns, open_columns):
    """Every address as it is without anything hostile."""
    put(pages, columns, "harmless", open_columns)
    answers = {path: pages.ask(path) for path in routes()}
    assert [path for path, answer in answers.items() if answer.status != 200 and "/log" not in path] == []  # a build's log is asked of AWS, which is not here
    return answers


def assert_whole(path, answer, before):
    assert answer.status == before.status, path
    assert answer.headers.keys() == before.headers.keys(), path
    assert all(re.fullmatch(r"[\x20-\x7e]*", value) for value in answer.headers.values()), path
    kind = answer.headers["Content-Type"].split(";")[0]
    if kind == "text/html":
        found, shape = Skeleton(answer.text), Skeleton(before.text)
        assert found.elements == shape.elements, path
        assert found.comments == 0, path
        assert all(re.match(r"(https?://(?!evil)|mailto:|/(?!/)|#|\?|$)", address) for address in found.addresses), (path, found.addresses)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", answer.text), path
    elif kind == "application/json":
        assert json.loads(answer.text).keys() == json.loads(before.text).keys(), path
    elif kind == "text/csv":
        assert len({len(row) for row in rows_of(answer)}) == 1, path
        assert len(rows_of(answer)) == len(rows_of(before)), path
    else:
        pytest.fail(f"{path}: what is safe in {kind}?")


def rows_of(answer):
    return list(csv.reader(io.StringIO(answer.text, newline="")))


@pytest.mark.parametrize("text", HOSTILE + FORMULAS, ids=lambda text: ascii(text)[:24])
def test_hostile_text_in_every_column_changes_the_shape_of_no_page(pages, columns, open_columns, plain, text):
    # A page tells that it cut a long body short, in an element that a short one lacks.
    put(pages, columns, text, [column for column in open_columns if column != "deliveries.body" or len(text) < 5000])
    answers = {path: pages.ask(path) for path in routes()}
    put(pages, columns, "harmless", open_columns)

    for path, answer in answers.items():
        assert_whole(path, answer, plain[path])
    shown = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", text)
    assert shown in "".join(Skeleton(answers["/apps/hostile/releases/2"].text).words)


def test_each_column_that_takes_any_text_is_on_a_page_so_that_the_test_before_means_it(pages, columns, open_columns, plain):
    unseen = []
    for place, column in enumerate(open_columns):
        put(pages, columns, "harmless", open_columns)
        put(pages, columns, f"S{place:02}x", [column])
        if not any(f"S{place:02}x" in pages.ask(path).text for path in routes()):
            unseen.append(column)
    put(pages, columns, "harmless", open_columns)

    assert sorted(set(unseen) ^ set(UNSHOWN)) == [], "no page shows it: say in UNSHOWN why, or seed a row that a page shows; or one shows it that is in UNSHOWN"
    assert len(open_columns) - len(unseen) > 25


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_no_cell_of_the_csv_is_taken_for_a_formula(pages, columns, open_columns, plain, text):
    put(pages, columns, text, [column for column in open_columns if column.startswith("audit_log.")])

    rows = rows_of(pages.ask("/audit.csv"))
    put(pages, columns, "harmless", open_columns)

    assert len(rows) == 5
    assert [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")] == []
    assert any(text.strip() in cell for cell in rows[1])


def test_what_the_doctor_found_is_text_too():
    text = '"><script>alert(1)</script>'
    made = Pages({"BERTH_DATABASE_HOOKS": f"host={text} dbname=berth"})
    try:
        made.wait_until_ready()
        before = Skeleton(made.ask("/limits").text)
        token = re.search(r'name="csrf"[^>]* value="([^"]*)"', made.ask("/doctor").text).group(1)
        assert made.send("/doctor/check", {"csrf": token}).status == 303
        wait_until(lambda: "configuration" in made.ask("/doctor").text.lower() and "alert(1)" in made.ask("/doctor").text, 60, "the doctor's end")

        found = Skeleton(made.ask("/doctor").text)
    finally:
        made.end()

    assert [element for element in found.elements if element[0] == "script"] == [element for element in before.elements if element[0] == "script"]
    assert text in "".join(found.words)


@pytest.fixture(scope="module")
def logs():
    """A build whose log has a harmless line for each hostile one, and one whose log has those."""
    made = LivePages()
    try:
        for app, lines in (("plain", ["harmless"] * len(HOSTILE)), ("hostile", HOSTILE)):
            made.make_app(app, live=1)
            made.begin_build(app, 2)
            made.write_log(app, 2, [f"[Container] {line}" for line in lines])
        made.wait_until_ready()
        for app in ("plain", "hostile"):
            wait_until(lambda app=app: made.ask(f"/apps/{app}/releases/2/log").text.count("[Container]") >= len(HOSTILE) - 3, 60, "the build's log on its page")
        yield made
    finally:
        made.end()


@pytest.mark.parametrize("page", ["", "/log"])
def test_the_lines_of_a_build_s_log_change_the_shape_of_no_page(logs, page):
    plain, answer = (logs.ask(f"/apps/{app}/releases/2{page}") for app in ("plain", "hostile"))

    found = Skeleton(answer.text)
    assert (plain.status, answer.status) == (200, 200)
    assert found.elements == Skeleton(plain.text).elements
    assert found.comments == 0
    assert all(re.match(r"(https?://(?!evil)|mailto:|/(?!/)|#|\?|$)", address) for address in found.addresses)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", answer.text)
    assert '"><script>alert(1)</script>' in "".join(found.words)


def test_the_lines_of_a_build_s_log_are_text_in_json(logs):
    answer = logs.ask("/apps/hostile/releases/2/log.json?from=1")

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert '"><script>alert(1)</script>' in json.dumps(json.loads(answer.text)).replace('\\"', '"')
