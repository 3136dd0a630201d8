"""What a delivery comes to: accepted, ignored, duplicate or refused."""

import hashlib
import json
import uuid

import pytest

from support.delivery import NO_COMMIT, commit_id, encode, headers_of, push

from support.hooks import SECRET


def test_a_push_to_the_branch_makes_a_release(hooks, app):
    delivery = str(uuid.uuid4())
    payload = push(title="Change the colour")

    answer = hooks.deliver(app, payload, delivery=delivery)

    assert answer.status == 202
    assert answer.json == {"outcome": "accepted", "reason": "a push to main", "release": 1, "delivery": delivery}
    assert answer.headers["cache-control"] == "no-store"
    stored = hooks.postgres.sql(
        f"SELECT number, kind, state, commit_sha, commit_title, pushed_by, delivery_id FROM berth.releases WHERE app_name = '{app}'"
    )
    assert stored == [["1", "push", "queued", payload["after"], "Change the colour", "mara", delivery]]


def test_the_body_is_stored_as_it_came(hooks, app):
    body = encode(push(title="Grüße 👋"))

    assert hooks.deliver(app, body).status == 202

    stored = hooks.postgres.sql(
        f"SELECT encode(sha256(body), 'hex'), encode(body_sha256, 'hex'), length(body) FROM berth.deliveries WHERE app_name = '{app}'"
    )
    digest = hashlib.sha256(body).hexdigest()
    assert stored == [[digest, digest, str(len(body))]]


def test_the_next_push_makes_the_next_release(hooks, app):
    hooks.deliver(app, push())

    answer = hooks.deliver(app, push())

    assert (answer.status, answer.json["release"]) == (202, 2)


def test_a_redelivered_push_makes_no_second_release(hooks, app):
    delivery = str(uuid.uuid4())
    payload = push()
    hooks.deliver(app, payload, delivery=delivery)

    answer = hooks.deliver(app, payload, delivery=delivery)

    assert answer.status == 200
    assert (answer.json["outcome"], answer.json["release"]) == ("duplicate", 1)
    assert hooks.releases(app) == [1]


def test_a_captured_push_under_a_fresh_delivery_id_is_a_duplicate(hooks, app):
    payload = push()
    hooks.deliver(app, payload)
    hooks.deliver(app, push())

    answer = hooks.deliver(app, payload)

    assert (answer.status, answer.json["outcome"], answer.json["release"]) == (200, "duplicate", 1)
    assert hooks.releases(app) == [1, 2]


def test_another_push_of_the_commit_that_was_released_last_is_a_duplicate(hooks, app):
    payload = push()
    hooks.deliver(app, payload)

    answer = hooks.deliver(app, {**payload, "before": commit_id("other")})

    assert (answer.status, answer.json["outcome"], answer.json["release"]) == (200, "duplicate", 1)


def test_the_same_commit_is_released_again_after_its_release_failed(hooks, app):
    payload = push()
    hooks.deliver(app, payload)
    hooks.postgres.sql(f"UPDATE berth.releases SET state = 'failed', finished_at = now() WHERE app_name = '{app}'")

    answer = hooks.deliver(app, {**payload, "before": commit_id("other")})

    assert (answer.status, answer.json["release"]) == (202, 2)


@pytest.mark.parametrize("event, payload, reason", [
    ("ping", {"zen": "Keep it logically awesome.", "hook_id": 1}, "a ping"),
    ("ping", {"zen": "Keep it logically awesome.", "repository": push()["repository"]}, "a ping"),
    ("issues", {"action": "opened", "repository": push()["repository"]}, "event issues"),
    ("organization", {"action": "member_added", "organization": {"login": "acme"}}, "event organization"),
    ("push", push(branch="topic"), "a push to topic; the app is built from main"),
    ("push", push(branch="feature/main"), "a push to feature/main; the app is built from main"),
    ("push", push(ref="refs/tags/v1"), "the tag v1"),
    ("push", push(ref="refs/tags/main"), "the tag main"),
    ("push", push(ref="refs/notes/commits"), "refs/notes/commits is no branch"),
    ("push", push(deleted=True, after=NO_COMMIT, head_commit=None) | {"commits": []}, "branch main was deleted"),
])
def test_what_deploys_nothing_is_ignored_with_the_reason_and_stored(hooks, app, event, payload, reason):
    delivery = str(uuid.uuid4())

    answer = hooks.deliver(app, payload, event=event, delivery=delivery)

    assert answer.status == 200, answer
    assert answer.json == {"outcome": "ignored", "reason": reason, "delivery": delivery}
    assert hooks.deliveries(app) == {delivery: "ignored"}
    assert hooks.releases(app) == []


def test_a_push_without_a_head_commit_is_released_without_a_title(hooks, app):
    answer = hooks.deliver(app, push(head_commit=None) | {"commits": []})

    assert answer.status == 202
    assert hooks.postgres.sql(f"SELECT commit_title IS NULL FROM berth.releases WHERE app_name = '{app}'") == [["t"]]


def test_a_push_of_another_repository_is_refused_and_not_stored(hooks, app):
    answer = hooks.deliver(app, push(repository="acme/cellar", repository_id=4712))

    assert (answer.status, answer.code) == (422, "other_repository")
    assert hooks.deliveries(app) == {}


def test_another_repository_of_the_same_name_is_refused_once_the_id_is_known(hooks, app):
    hooks.deliver(app, push(repository_id=4711))

    answer = hooks.deliver(app, push(repository_id=4712))

    assert (answer.status, answer.code) == (422, "other_repository")
    assert hooks.releases(app) == [1]


def test_a_renamed_repository_is_still_the_same(hooks, app):
    hooks.deliver(app, push(repository="acme/shop"))

    answer = hooks.deliver(app, push(repository="acme/store"))

    assert answer.status == 202


def test_an_ignored_event_of_another_repository_is_refused(hooks, app):
    answer = hooks.deliver(app, {"action": "opened", "repository": {"id": 9, "full_name": "acme/cellar"}}, event="issues")

    assert (answer.status, answer.code) == (422, "other_repository")


def test_a_paused_app_takes_the_push_down_and_releases_nothing(hooks, app):
    hooks.postgres.sql(f"UPDATE berth.apps SET state = 'paused' WHERE app_name = '{app}'")
    delivery = str(uuid.uuid4())
    payload = push()

    answer = hooks.deliver(app, payload, delivery=delivery)

    assert (answer.status, answer.json["outcome"]) == (200, "paused")
    assert hooks.deliveries(app) == {delivery: "paused"}
    hooks.postgres.sql(f"UPDATE berth.apps SET state = 'active' WHERE app_name = '{app}'")
    assert hooks.deliver(app, payload, delivery=delivery).status == 202


def test_an_unknown_app_is_not_found(hooks):
    answer = hooks.deliver("nobody", push())

    assert (answer.status, answer.code) == (404, "unknown_app")


def test_an_unknown_app_costs_neither_the_database_nor_aws(hooks, app):
    hooks.deliver(app, push())
    calls = hooks.secret_calls()
    statements = "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database WHERE datname = 'berth'"
    hooks.postgres.sql("SELECT pg_stat_force_next_flush()")
    before = int(hooks.postgres.one(statements))

    with hooks.poster() as poster:
        for _ in range(200):
            assert poster.deliver("nobody", SECRET, push()).status == 404

    # psql's own, the directory's and the health check's statements are a few.
    assert int(hooks.postgres.one(statements)) - before < 50
    assert hooks.secret_calls() == calls


def test_an_app_that_is_being_deleted_takes_no_deliveries(hooks, app):
    hooks.postgres.sql(f"UPDATE berth.apps SET state = 'deleting' WHERE app_name = '{app}'")

    answer = hooks.deliver(app, push())

    assert answer.status in (200, 404)
    assert hooks.releases(app) == []


def test_an_app_of_the_policy_signed_says_that_it_comes_later(hooks):
    name = hooks.make_app("signed-app", policy="signed")

    answer = hooks.deliver(name, push())

    assert (answer.status, answer.code) == (501, "policy_signed")
    assert hooks.deliveries(name) == {}


def test_a_wrong_secret_is_refused(hooks, app):
    answer = hooks.deliver(app, push(), secret="0" * 64)

    assert (answer.status, answer.code) == (401, "wrong_signature")
    assert hooks.deliveries(app) == {}


def test_another_apps_secret_is_refused(hooks, app):
    other = hooks.make_app("neighbour", secret="1" * 64)

    assert hooks.deliver(app, push(), secret="1" * 64).status == 401
    assert hooks.deliver(other, push(), secret=SECRET).status == 401


def test_a_signature_by_sha1_alone_is_refused(hooks, app):
    answer = hooks.deliver(app, push(), X_Hub_Signature_256=None, X_Hub_Signature="sha1=" + "0" * 40)

    assert (answer.status, answer.code) == (401, "no_signature")


@pytest.mark.parametrize("signature", ["sha256=", "sha256=" + "0" * 63, "sha256=" + "0" * 65, "sha1=" + "0" * 64, "SHA256=" + "0" * 64,
                                       "sha256=" + "g" * 64, "0" * 64, "sha256= " + "0" * 63])
def test_a_malformed_signature_is_refused(hooks, app, signature):
    answer = hooks.deliver(app, push(), X_Hub_Signature_256=signature)

    assert (answer.status, answer.code) == (401, "bad_signature")


def test_a_form_is_refused_with_what_to_set_on_github(hooks, app):
    answer = hooks.deliver(app, b"payload=%7B%7D", Content_Type="application/x-www-form-urlencoded")

    assert (answer.status, answer.code) == (415, "form_content_type")
    assert "application/json" in answer.json["error"]["hint"]


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/jsonp", "application/json2; charset=utf-8", "json"])
def test_any_other_content_type_is_refused(hooks, app, content_type):
    assert hooks.deliver(app, push(), Content_Type=content_type).status == 415


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"])
def test_json_with_a_charset_is_json(hooks, app, content_type):
    assert hooks.deliver(app, push(), Content_Type=content_type).status == 202


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_only_post_is_answered(hooks, app, method):
    answer = hooks.ask(method, f"/hooks/github/{app}")

    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    assert method == "HEAD" or answer.code == "method_not_allowed"


@pytest.mark.parametrize("path", ["/hooks/", "/hooks/github", "/hooks/github/", "/hooks/gitlab/shop", "/hooks/github/shop/", "/hooks/github/shop/x",
                                  "/hooks/github/a%2Fb"])
def test_other_paths_are_not_found(hooks, path):
    answer = hooks.ask("POST", path, b"{}", headers_of(SECRET, b"{}"))

    assert answer.status in (400, 404)
    assert "error" in answer.json


def test_no_secret_reaches_a_log(hooks, app):
    hooks.deliver(app, push())
    hooks.deliver(app, push(), secret="2" * 64)

    for text in (hooks.responder.log(), hooks.web.log(), hooks.web.access_log(), json.dumps(hooks.stand_in.control("journal"))):
        assert SECRET not in text
        assert "sha256=" not in text


def test_a_delivery_is_logged_once_with_its_ids(hooks, app):
    delivery = str(uuid.uuid4())

    hooks.deliver(app, push(), delivery=delivery)

    lines = [line for line in hooks.responder.log().splitlines() if delivery in line]
    assert len(lines) == 1
    for word in (f"app={app}", "status=202", "outcome=accepted", "release=1"):
        assert word in lines[0]


@pytest.mark.parametrize("text", ['"},"outcome":"accepted","x":{"y":"', "</script><script>alert(1)</script>", "a\u2028b\u202ec", "=1+1", "%s%n"])
def test_what_a_pusher_wrote_is_text_in_the_answer(hooks, app, text):
    answer = hooks.deliver(app, push(branch=text))

    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json["outcome"] == "ignored"
    assert answer.json["reason"] == f"a push to {text}; the app is built from main"
    assert all("alert" not in value for value in answer.headers.values())
