"""The pages that list things, behind lighttpd: a stranger's texts in deliveries, the audit log and its CSV, and how large and fast the pages are."""

import csv
import html.parser
import io
import re

import pytest

from support.pages import Pages

LISTENER = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/app/berth-1/50dc6c495c0c9188/f2f7dc8efc522ab2"
HOSTILE = [
    '"><script>alert(1)</script>', "'><img src=x onerror=alert(1)>", "</title><script>alert(1)</script>", "&lt;script&gt;", "<!--", "]]>",
    "javascript:alert(1)", "\u202eright to left\u202c", "a\u2028b", "\x1b[31m\x9b31m\x01\x7f", "a\tb\r\nc", "{{7*7}}", "A" * 1500, "data-text=\"x\"",
    "</bdi></span></td></tr></table><h1>berth</h1>",
]
FORMULAS = ['=HYPERLINK("http://example.com","x")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", '=cmd|"/c calc"!A1', ';=1', '",=1']
PAGES = ["/deliveries", "/apps/shop/deliveries/d-1", "/load-balancers", "/audit"]


class Skeleton(html.parser.HTMLParser):
    """The elements and attribute names of a page, and the addresses in it."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.addresses = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, tuple(sorted(name for name, _ in attrs))))
        self.addresses += [value for name, value in attrs if name in ("href", "src", "action")]


@pytest.fixture(scope="module")
def pages():
    made = Pages({"BERTH_PLATFORM_LISTENERS": LISTENER, "BERTH_HOOKS_URL": "https://berth.example.com"})
    try:
        made.postgres.sql(f"""
            INSERT INTO berth.apps (app_name, repository, webhook_policy) VALUES ('shop', 'acme/shop', 'github');
            INSERT INTO berth.deliveries (app_name, delivery_id, event, outcome, reason, body_sha256, body, branch, commit_sha, commit_title, pushed_by)
                VALUES ('shop', 'd-1', 'push', 'ignored', 'x', sha256('x'), '{{"a": "x"}}', 'x', repeat('a', 40), 'x', 'x');
            INSERT INTO berth.listener_slots (listener_arn, priority, app_name) VALUES ('{LISTENER}', 1, 'shop');
            INSERT INTO berth.audit_log (actor, action, app_name, before, after) VALUES ('x', 'x', 'shop', '{{"m": "x"}}', '{{"m": "y"}}');
        """)
        made.wait_until_ready()
        yield made
    finally:
        made.end()


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def put_everywhere(pages, text):
    pages.postgres.sql(f"""DO $do$ DECLARE given text := {quoted(text)}; BEGIN
        UPDATE berth.deliveries SET reason = given, branch = given, commit_title = given, pushed_by = given, event = left(given, 64),
            body = convert_to(jsonb_build_object('member', given)::text, 'UTF8');
        UPDATE berth.audit_log SET actor = given, action = given, before = jsonb_build_object('a', given), after = jsonb_build_object('a', 'b', given, given);
    END $do$""")


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:24])
def test_hostile_text_adds_no_element_no_attribute_and_no_address(pages, text):
    put_everywhere(pages, "harmless")
    plain = {path: Skeleton(pages.ask(path).text) for path in PAGES}

    put_everywhere(pages, text)
    answers = {path: pages.ask(path) for path in PAGES}

    for path, answer in answers.items():
        found = Skeleton(answer.text)
        assert answer.status == 200, path
        assert found.elements == plain[path].elements, path
        assert all(re.match(r"(https?://|mailto:|/(?!/)|#|\?|$)", address) for address in found.addresses), path
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", answer.text), path


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_no_cell_of_the_csv_is_a_formula_and_each_row_is_whole(pages, text):
    put_everywhere(pages, text)

    answer = pages.ask("/audit.csv")
    rows = list(csv.reader(io.StringIO(answer.text, newline="")))

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="berth-audit.csv"'
    assert len(rows) == 2
    assert len({len(row) for row in rows}) == 1
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    assert any(text.strip() in cell for cell in rows[1])


def test_a_search_is_shown_as_it_was_typed_and_stays_text(pages):
    answer = pages.ask("/deliveries?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")

    assert answer.status == 200
    assert "<script>alert" not in answer.text
    assert 'value="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in answer.text


def test_a_page_of_fifty_rows_stays_below_sixty_thousand_bytes(pages):
    pages.postgres.sql("""
        INSERT INTO berth.deliveries (app_name, delivery_id, event, outcome, reason, body_sha256, branch, commit_sha, commit_title, pushed_by, received_at)
            SELECT 'shop', gen_random_uuid()::text, 'push', 'ignored', 'a push to a branch of usual length; the app is built from main', sha256('x'),
                   'feature/of-usual-length', repeat('a', 40), 'A title of the length that most commits have', 'somebody', now() FROM generate_series(1, 60);
        INSERT INTO berth.audit_log (actor, action, app_name, before, after)
            SELECT 'somebody', 'app.update', 'shop', '{"cpu_units": 256, "memory_mib": 512}', '{"cpu_units": 512, "memory_mib": 1024}' FROM generate_series(1, 60);
        INSERT INTO berth.listener_slots (listener_arn, priority)
            SELECT '""" + LISTENER + """', i FROM generate_series(2, 90) i;
    """)

    sizes = {path: len(pages.ask(path).body) for path in PAGES}

    assert {path: size for path, size in sizes.items() if size > 60_000} == {}
