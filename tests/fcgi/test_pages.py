"""The pages behind lighttpd: sign-in, and a stranger's texts in every field of every page."""

import html.parser
import re

import pytest

from support import fleet
from support.pages import Pages

HOSTILE = [
    '"><script>alert(1)</script>', "'><img src=x onerror=alert(1)>", "</title><script>alert(1)</script>", "&lt;script&gt;", "&", "<!--", "-->", "]]>",
    "<svg/onload=alert(1)>", "javascript:alert(1)", "\u202eright to left\u202c", "a\u2028b\u2029c", "\ufeff\u200b", "\x1b[31m\x9b31m\x01\x7f", "a\tb\r\nc",
    "{{7*7}}${7*7}", "A" * 10240, "\u0300" * 300, "\U0001f6a2" * 50, "data-text=\"x\"", "</bdi></span></td></tr></table><h1>berth</h1>",
]
# Every column that holds text which a stranger, a repository or AWS may have chosen, whatever its CHECK lets through.
FIELDS = {
    "apps": ["health_check_path", "branch"],
    "releases": ["commit_title", "pushed_by", "source_version", "build_id", "task_definition_arn", "error", "hint"],
    "release_events": ["message", "step"],
    "deployments": ["host", "task_definition_arn", "commit_sha"],
    "resources": ["name", "arn"],
}
PAGES = ["/", "/apps/hostile", "/apps/hostile/releases/1", "/apps/hostile/releases/2"]


class Skeleton(html.parser.HTMLParser):
    """The elements and attribute names of a page, the addresses in it, and its text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.addresses, self.words, self.comments = [], [], [], 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, tuple(sorted(name for name, _ in attrs))))
        self.addresses += [value for name, value in attrs if name in ("href", "src", "action")]

    def handle_endtag(self, tag):
        self.elements.append("/" + tag)

    def handle_data(self, data):
        self.words.append(data)

    def handle_comment(self, _):
        self.comments += 1


@pytest.fixture(scope="module")
def pages():
    made = Pages()
    try:
        fleet.seed(made.postgres)
        made.postgres.sql("""
            INSERT INTO berth.apps (app_name, repository, webhook_policy) VALUES ('hostile', 'acme/hostile', 'github');
            INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, commit_title, pushed_by, source_version, build_id, image_digest,
                task_definition_arn, error, hint, finished_at)
                SELECT 'hostile', n, 'push', s, 'build', repeat('a', 40), 'x', 'x', 'x', 'x', 'sha256:' || repeat('0', 64), 'x', 'x', 'x', now()
                  FROM (VALUES (1, 'live'), (2, 'failed')) r (n, s);
            INSERT INTO berth.release_events (app_name, release, step, kind, message) SELECT 'hostile', n, 'source', 'info', 'x' FROM generate_series(1, 2) n;
            INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host)
                VALUES ('hostile', 1, repeat('a', 40), 'x', 'x', 'x');
            INSERT INTO berth.resources (app_name, kind, name, arn, spec_hash) VALUES ('hostile', 'service', 'x', 'x', 'x');
        """)
        made.wait_until_ready()
        yield made
    finally:
        made.end()


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def setting(table, column):
    """A field whose CHECK refuses the text keeps what it has."""
    value = "'/' || given" if column == "health_check_path" else "given"
    return f"BEGIN UPDATE berth.{table} SET {column} = {value} WHERE app_name = 'hostile'; EXCEPTION WHEN check_violation THEN NULL; END;"


def put(pages, text, fields):
    updates = " ".join(setting(table, column) for table, column in fields)
    pages.postgres.sql(f"DO $do$ DECLARE given text := {quoted(text)}; BEGIN {updates} END $do$")


def put_everywhere(pages, text):
    put(pages, text, [(table, column) for table, columns in FIELDS.items() for column in columns])


def test_nobody_gets_in_without_signing_in(pages):
    for path in fleet.pages():
        assert pages.ask(path, user=None).status == 401


def test_whoever_is_signed_in_but_no_operator_is_refused_with_a_page_that_says_so(pages):
    answer = pages.ask("/", user="visitor")

    assert answer.status == 403
    assert "[admin] operators" in answer.text
    assert "parcel-tracker" not in answer.text


def test_a_name_that_the_client_claims_by_itself_counts_for_nothing(pages):
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", pages.port, timeout=30)
    connection.request("GET", "/", headers={"Authorization": pages.sign_in("visitor"), "Remote-User": "operator", "REMOTE_USER": "operator",
                                            "X-Remote-User": "operator"})

    assert connection.getresponse().status == 403


def test_an_operator_sees_every_page_and_a_head_has_no_body(pages):
    for path in fleet.pages():
        wanted = 404 if path == "/apps/nobody" else 200
        head = pages.ask(path, method="HEAD")

        assert pages.ask(path).status == wanted, path
        assert head.status == wanted
        assert head.body == b""


def test_another_method_is_refused_with_allow(pages):
    answer = pages.ask("/apps/pricing", method="POST")

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


def test_pages_are_not_kept_framed_or_sniffed_and_run_only_the_sites_own_script(pages):
    headers = pages.ask("/").headers

    assert headers["Cache-Control"] == "no-store"
    assert headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_the_stylesheet_and_the_script_are_served_with_their_types(pages):
    assert pages.ask("/static/berth.css", user=None).headers["Content-Type"].startswith("text/css")
    assert pages.ask("/static/berth.js", user=None).headers["Content-Type"].startswith("text/javascript")


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:24])
def test_hostile_text_in_every_field_adds_no_element_no_attribute_and_no_address(pages, text):
    put_everywhere(pages, "harmless")
    plain = {path: Skeleton(pages.ask(path).text) for path in PAGES}

    put_everywhere(pages, text)
    answers = {path: pages.ask(path) for path in PAGES}
    put_everywhere(pages, "harmless")

    for path, answer in answers.items():
        found = Skeleton(answer.text)
        assert answer.status == 200, path
        assert found.elements == plain[path].elements, path
        assert found.comments == 0
        assert all(re.match(r"(https?://|mailto:|/(?!/)|#|\?|$)", address) for address in found.addresses), path
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", answer.text), path
    shown = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", text)
    assert shown in "".join(Skeleton(answers["/apps/hostile/releases/2"].text).words)


def test_each_of_those_fields_is_shown_somewhere_so_that_the_test_before_means_it(pages):
    unseen = []
    for place, (table, column) in enumerate((table, column) for table, columns in FIELDS.items() for column in columns):
        put_everywhere(pages, "harmless")
        put(pages, f"S{place:02}x", [(table, column)])
        if not any(f"S{place:02}x" in pages.ask(path).text for path in PAGES):
            unseen.append(f"{table}.{column}")

    # Of the deployment only the release, commit and host are shown; its task definition is its release's.
    assert unseen == ["deployments.task_definition_arn"]
