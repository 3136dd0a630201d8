"""The pages that list things, behind lighttpd: what is searched for, the audit log as CSV, and how large the pages are."""

import pytest

from support.pages import Pages

LISTENER = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/app/berth-1/50dc6c495c0c9188/f2f7dc8efc522ab2"
PAGES = ["/deliveries", "/apps/shop/deliveries/d-1", "/load-balancers", "/audit"]


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


def test_a_search_is_shown_as_it_was_typed_and_stays_text(pages):
    answer = pages.ask("/deliveries?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")

    assert answer.status == 200
    assert "<script>alert" not in answer.text
    assert 'value="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in answer.text


@pytest.mark.parametrize("path, query, told", [("/audit", "since=2026-02-31", "&quot;2026-02-31&quot; is no time"), ("/deliveries", "after=5.x", "begin at the newest"),
                                               ("/audit", "since=yesterday", "A parameter of the query is malformed.")])
def test_a_query_that_makes_no_sense_is_told_so_with_a_way_back_and_is_no_error_of_berths(pages, path, query, told):
    logged = pages.responder.log()

    answer = pages.ask(f"{path}?{query}")

    assert answer.status == 400
    assert told in answer.text.replace("&#34;", "&quot;")
    assert f'<a href="{path}">The page without this query</a>' in answer.text
    assert pages.responder.log()[len(logged):].count("level=error") == 0


def test_a_file_that_is_asked_for_by_a_query_that_makes_no_sense_is_told_so_too(pages):
    answer = pages.ask("/audit.csv?since=2026-02-31")

    assert answer.status == 400
    assert "is no time" in answer.text


def test_the_csv_is_a_file_of_that_name(pages):
    answer = pages.ask("/audit.csv")

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="berth-audit.csv"'


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
