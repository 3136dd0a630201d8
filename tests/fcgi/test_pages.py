"""The pages behind lighttpd: who gets in, methods, headers, and what is served beside them."""

import pytest

from support import fleet
from support.pages import Pages
from support.parts import TOP


@pytest.fixture(scope="module")
def pages():
    made = Pages()
    try:
        fleet.seed(made.postgres)
        made.wait_until_ready()
        yield made
    finally:
        made.end()


def test_nobody_gets_in_without_signing_in(pages):
    for path in fleet.pages():
        assert pages.ask(path, user=None).status == 401


def test_whoever_is_signed_in_but_no_operator_is_refused_with_a_page_that_says_so(pages):
    answer = pages.ask("/", user="visitor")

    assert answer.status == 403
    assert "[admin] operators" in answer.text
    assert "parcel-tracker" not in answer.text


def test_who_is_no_operator_is_refused_before_the_address_is_looked_at(pages):
    for path in ("/nothing", "/apps/Not-A-Name", "/audit?since=never"):
        assert pages.ask(path, user="visitor").status == 403, path
        assert pages.ask(path).status in (400, 404), path
    assert pages.ask("/", user="visitor", method="DELETE").status == 403


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


def test_what_the_web_server_answers_by_itself_is_a_page_for_people_and_json_for_github(pages):
    people, github = pages.ask("/", user=None), pages.ask("/hooks/github/shop", user=None, method="POST")

    assert (people.status, people.headers["Content-Type"]) == (401, "text/html; charset=utf-8")
    assert "sign in" in people.text
    assert github.status == 503  # no responder of the hooks runs here
    assert github.headers["Content-Type"].startswith("application/json")
    assert '"code":"responder_away"' in github.text


def test_there_is_a_page_for_each_answer_that_there_is_in_json():
    names = [sorted(path.name for path in (TOP / "www" / folder).glob("*.html")) for folder in ("errors", "errors/pages")]

    assert names[0] == names[1]
    for name in names[1]:
        page = (TOP / "www" / "errors" / "pages" / name).read_text()
        assert f"<h1>{name[:3]} " in page and 'href="/static/berth.css"' in page and "<script" not in page


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
