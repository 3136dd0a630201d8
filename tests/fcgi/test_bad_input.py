"""Every field from outside has a limit and a clear refusal; and at the limit it still works."""

import json

import pytest

from support import fastcgi
from support.delivery import commit_id, encode, headers_of, push, sign
from support.hooks import SECRET

MIB = 1024 * 1024
BODY_MAX = 25 * MIB


@pytest.mark.parametrize("name", ["-", "a" * 23, "a" * 5000, "shop.", "..", "%2e%2e", "shop%00", "shop%0a", "%ff", "%zz", "sh%C3%B6p", "SHOP",
                                  "shop;drop", "shop'--", "%7Bapp%7D", "a b"], ids=lambda name: name[:24])
def test_a_name_that_no_app_can_have_is_refused(hooks, name):
    answer = hooks.ask("POST", f"/hooks/github/{name}".replace(" ", "%20"), b"{}", headers_of(SECRET, b"{}"))

    assert answer.status in (400, 404), answer
    assert answer.type == "application/json"


@pytest.mark.parametrize("event", [None, "", "a" * 65, "Push", "push!", "push issues", "push;", "pu\tsh"])
def test_an_event_name_that_is_none_is_refused(hooks, app, event):
    answer = hooks.deliver(app, push(), X_GitHub_Event=event)

    assert (answer.status, answer.code) == (400, "bad_event")


def test_an_event_name_of_64_characters_is_taken(hooks, app):
    answer = hooks.deliver(app, {}, event="a" * 64)

    assert (answer.status, answer.json["outcome"]) == (200, "ignored")


@pytest.mark.parametrize("delivery", [None, "", "a" * 65, "a b", "a_b", "a;b", "é"])
def test_a_delivery_id_that_is_none_is_refused(hooks, app, delivery):
    answer = hooks.deliver(app, push(), X_GitHub_Delivery=delivery)

    assert (answer.status, answer.code) == (400, "bad_delivery")


def test_a_delivery_id_of_64_characters_is_taken(hooks, app):
    assert hooks.deliver(app, push(), delivery="a" * 64).status == 202


def test_a_header_that_is_too_long_for_the_web_server_is_refused_in_json(hooks, app):
    answer = hooks.deliver(app, push(), X_Hub_Signature_256="sha256=" + "0" * 100000)

    assert answer.status in (400, 413, 431)
    assert answer.type == "application/json"


# The body's JSON

@pytest.mark.parametrize("body", [
    b"", b" ", b"{", b"{}{}", b"{} x", b"nul", b"'a'", b"{\"a\":1,}", b"{a:1}", b"[1,]", b"\xef\xbb\xbf{}", b"{\"a\":\"\xff\"}", b"{\"a\":\"\xc0\x80\"}",
    b"{\"a\":\"\\u0000\"}", b"{\"a\":\"\0\"}", b"\0", b"{}\0", b"{\"a\":1e999}", b"{\"a\":99999999999999999999999999}", b"{\"a\":NaN}", b"{\"a\":01}",
    b"{\"a\":1,\"a\":2}", b"{\"a\":\"\n\"}", b"/**/{}", b"{\"a\":\"\xed\xa0\x80\"}", b"[" * 33 + b"]" * 33, b"{\"a\":" * 40 + b"1" + b"}" * 40,
    b"[" * 1000000,
], ids=lambda body: repr(body[:12]))
def test_what_is_not_strict_json_is_refused_after_its_signature_was_right(hooks, app, body):
    answer = hooks.deliver(app, body, event="issues")

    assert (answer.status, answer.code) == (400, "bad_json"), answer
    assert hooks.deliveries(app) == {}


@pytest.mark.parametrize("body", [b"[]", b"1", b"\"push\"", b"null", b"true"])
def test_json_that_is_no_object_is_no_payload(hooks, app, body):
    assert (lambda answer: (answer.status, answer.code))(hooks.deliver(app, body, event="issues")) == (422, "bad_payload")


def test_a_payload_as_deep_as_allowed_is_taken(hooks, app):
    nested = b"[" * 31 + b"]" * 31

    assert hooks.deliver(app, b"{\"a\":" + nested + b"}", event="issues").status == 200


def without(name):
    payload = push()
    at = payload
    *path, last = name.split("/")
    for member in path:
        at = at[member]
    del at[last]
    return payload


def having(name, value):
    payload = push()
    at = payload
    *path, last = name.split("/")
    for member in path:
        at = at[member]
    at[last] = value
    return payload


@pytest.mark.parametrize("name", ["ref", "after", "deleted", "repository", "repository/id", "repository/full_name", "pusher", "pusher/name", "commits",
                                  "head_commit/message"])
def test_a_push_that_lacks_a_member_names_it(hooks, app, name):
    answer = hooks.deliver(app, without(name))

    assert (answer.status, answer.code) == (422, "bad_payload")
    assert f"/{name}" in answer.json["error"]["message"]
    assert hooks.deliveries(app) == {}


@pytest.mark.parametrize("name, value", [
    ("ref", 1), ("ref", ""), ("ref", None), ("ref", ["refs/heads/main"]), ("ref", "refs/heads/" + "b" * 256), ("ref", "refs/heads/a\u0007b"),
    ("after", "HEAD"), ("after", "0" * 40), ("after", "a" * 39), ("after", "A" * 40), ("after", 7), ("deleted", "false"), ("deleted", 0),
    ("repository", "acme/shop"), ("repository", []), ("repository/id", "4711"), ("repository/id", 0), ("repository/id", -1),
    ("repository/id", 4711.5), ("repository/full_name", 1), ("repository/full_name", "a/" + "b" * 140), ("pusher", None), ("pusher/name", ""),
    ("pusher/name", "m" * 101), ("pusher/name", {"x": 1}), ("commits", {}), ("commits", None), ("head_commit", "x"), ("head_commit/message", 1),
])
def test_a_push_with_a_member_of_the_wrong_type_or_size_names_it(hooks, app, name, value):
    answer = hooks.deliver(app, having(name, value))

    assert (answer.status, answer.code) == (422, "bad_payload"), answer
    assert name.split("/")[0] in answer.json["error"]["message"]


@pytest.mark.parametrize("repository", ["acme/shop", {"id": "1", "full_name": "acme/shop"}, {"full_name": "acme/shop"}, {"id": 1}, 5])
def test_an_event_with_a_malformed_repository_is_refused(hooks, app, repository):
    assert hooks.deliver(app, {"repository": repository}, event="issues").status == 422


def test_a_push_of_2048_commits_is_taken_and_one_more_refused(hooks, app):
    assert hooks.deliver(app, push(commits=2048)).status == 202
    assert hooks.deliver(app, push(commits=2049)).status == 422


def test_a_branch_of_255_bytes_is_read(hooks, app):
    assert hooks.deliver(app, push(branch="b" * 255)).json["outcome"] == "ignored"


def test_a_long_commit_message_is_cut_to_a_title(hooks, app):
    assert hooks.deliver(app, push(title="ä" * 5000)).status == 202

    title = hooks.postgres.one(f"SELECT commit_title FROM berth.releases WHERE app_name = '{app}'")
    assert title == "ä" * 100


def test_a_title_shows_no_control_characters(hooks, app):
    assert hooks.deliver(app, push(title="red\u001b[31m\u0007\u009bx")).status == 202

    assert hooks.postgres.one(f"SELECT commit_title FROM berth.releases WHERE app_name = '{app}'") == "red [31m  x"


def test_texts_that_mean_something_to_sql_or_html_are_only_texts(hooks, app):
    nasty = "'; DROP TABLE berth.apps; -- <script>alert(1)</script> $1 \\ %s"

    assert hooks.deliver(app, push(title=nasty)).status == 202

    assert hooks.postgres.one(f"SELECT commit_title FROM berth.releases WHERE app_name = '{app}'") == nasty


# The body's size

def padded(size, **more):
    """A push of exactly so many bytes."""
    payload = push(**more)
    payload["padding"] = ""
    payload["padding"] = "x" * (size - len(encode(payload)))
    body = encode(payload)
    assert len(body) == size
    return body


def test_a_body_of_exactly_25_mib_is_taken(hooks, app):
    body = padded(BODY_MAX)

    answer = hooks.deliver(app, body)

    assert answer.status == 202, answer
    assert hooks.postgres.one(f"SELECT length(body) FROM berth.deliveries WHERE app_name = '{app}'") == str(BODY_MAX)


def test_a_body_of_25_mib_and_a_byte_is_refused_in_json(hooks, app):
    answer = hooks.deliver(app, padded(BODY_MAX + 1))

    assert (answer.status, answer.code) == (413, "too_large")


def test_a_chunked_body_is_read_and_limited_alike(hooks, app):
    def chunks(body):
        for i in range(0, len(body), MIB):
            yield body[i:i + MIB]

    for body, status in ((padded(3 * MIB), 202), (padded(BODY_MAX + 1), 413)):
        headers = {**headers_of(SECRET, body), "Transfer-Encoding": "chunked"}
        with hooks.poster() as poster:
            poster.connection.request("POST", f"/hooks/github/{app}", chunks(body), headers, encode_chunked=True)
            assert poster.connection.getresponse().status == status


def test_what_is_too_large_even_for_the_web_server_is_refused_in_json(hooks, app):
    with hooks.poster() as poster:
        poster.connection.putrequest("POST", f"/hooks/github/{app}")
        poster.connection.putheader("Content-Length", str(1 << 40))
        poster.connection.endheaders()
        reply = poster.connection.getresponse()
        body = json.loads(reply.read())

    assert reply.status == 413
    assert reply.getheader("Content-Type") == "application/json"
    assert body["error"]["code"] == "too_large"


def test_a_post_without_a_length_is_refused_in_json(hooks, app):
    with hooks.poster() as poster:
        poster.connection.putrequest("POST", f"/hooks/github/{app}")
        poster.connection.endheaders()
        reply = poster.connection.getresponse()
        body = json.loads(reply.read())

    assert (reply.status, body["error"]["code"]) in ((411, "length_required"), (400, "bad_event"))  # by lighttpd; Apache takes it for an empty body


@pytest.mark.parametrize("length", ["-1", "1x", "0x10", "1 1", "18446744073709551617"])
def test_a_malformed_content_length_is_refused(hooks, app, length):
    with hooks.poster() as poster:
        poster.connection.putrequest("POST", f"/hooks/github/{app}")
        poster.connection.putheader("Content-Length", length)
        poster.connection.endheaders()
        reply = poster.connection.getresponse()

        assert reply.status in (400, 413)
        assert reply.getheader("Content-Type") == "application/json"


# What lighttpd would never send, spoken to the responder directly

def ask(hooks, app, body, content_length, headers=None, ends=True):
    """(status, body) of a delivery that says it has content_length bytes."""
    with fastcgi.Connection(hooks.responder.socket) as connection:
        connection.start("POST", f"/hooks/github/{app}", headers or headers_of(SECRET, body), content_length)
        connection.send(fastcgi.stream(fastcgi.STDIN, body, ends))
        if not ends:
            connection.half_close()
        status, _, answer = connection.answer()
        return status, json.loads(answer)


def test_a_body_without_content_length_is_read_to_its_end(hooks, app):
    status, answer = ask(hooks, app, encode(push()), None)

    assert (status, answer["outcome"]) == (202, "accepted")


@pytest.mark.parametrize("difference", [-1, 1, 1000])
def test_a_lying_content_length_is_refused(hooks, app, difference):
    body = encode(push())

    status, answer = ask(hooks, app, body, len(body) + difference)

    assert (status, answer["error"]["code"]) == (400, "bad_body")
    assert hooks.deliveries(app) == {}


@pytest.mark.parametrize("length", ["-5", "12abc", "99999999999999999999", " 5", "+5"])
def test_a_content_length_that_is_no_number_is_refused(hooks, app, length):
    assert ask(hooks, app, encode(push()), length)[0] == 400


def test_a_body_cut_off_by_the_web_server_is_refused_and_not_stored(hooks, app):
    body = encode(push())

    status, answer = ask(hooks, app, body[:-10], len(body), headers_of(SECRET, body), ends=False)

    assert (status, answer["error"]["code"]) == (400, "bad_body")
    assert hooks.deliveries(app) == {}


def test_a_prefix_that_is_signed_for_itself_but_was_cut_off_is_not_stored(hooks, app):
    body = encode(push())

    status, _ = ask(hooks, app, body, None, headers_of(SECRET, body), ends=False)

    assert status == 400
    assert hooks.deliveries(app) == {}


def test_a_body_that_is_said_to_be_too_large_is_refused_before_it_came(hooks, app):
    with fastcgi.Connection(hooks.responder.socket) as connection:
        connection.start("POST", f"/hooks/github/{app}", headers_of(SECRET, b""), BODY_MAX + 1)

        status, _, _ = connection.answer()

    assert status == 413


def test_a_body_that_is_too_large_without_saying_so_still_gets_its_answer(hooks, app):
    body = b" " * (BODY_MAX + 8 * MIB)

    status, answer = ask(hooks, app, body, None)

    assert (status, answer["error"]["code"]) == (413, "too_large")


def test_a_request_without_method_path_or_anything_is_answered(hooks):
    with fastcgi.Connection(hooks.responder.socket) as connection:
        connection.send(fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, b"") + fastcgi.stream(fastcgi.STDIN, b""))

        assert connection.answer()[0] == 400


def test_a_header_with_a_newline_or_bytes_that_are_no_text_is_refused(hooks, app):
    body = encode(push())
    for name, value in (("X-GitHub-Delivery", "a\nb"), ("X-GitHub-Event", b"pu\xffsh"), ("X-Hub-Signature-256", b"\xff" * 71)):
        status, answer = ask(hooks, app, body, len(body), {**headers_of(SECRET, body), name: value})
        assert status in (400, 401)
        assert "error" in answer


def test_a_signed_body_needs_no_padding_to_be_found_out(hooks, app):
    body = encode(push(commit=commit_id("fixed")))

    answer = hooks.deliver(app, body, X_Hub_Signature_256=sign(SECRET, body + b" "))

    assert answer.status == 401
