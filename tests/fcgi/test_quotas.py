"""Quotas and rate limits where pushes come in: what GitHub is told, and that no process gets past them."""

import concurrent.futures
import json
import multiprocessing
import subprocess
import time

import pytest

from support import fastcgi
from support.delivery import encode, headers_of, push
from support.hooks import SECRET
from support.parts import BUILD, Responder, wait_until

PROCESSES = 16


def rate(hooks, app, burst, per_hour):
    """As an operator sets it, the bucket full."""
    hooks.postgres.sql(
        f"INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour) VALUES ('{app}', {burst}, {per_hour})"
        f" ON CONFLICT (app_name) DO UPDATE SET pushes_burst = {burst}, pushes_per_hour = {per_hour}, spent = 0, spent_at = now()"
    )


def tokens(hooks, app):
    return float(hooks.postgres.sql(f"SELECT tokens FROM berth.rate_use('{app}')")[0][0])


def look(hooks, app):
    """Why the branch's head is to be looked at, and in how many seconds (None: when there is room)."""
    rows = hooks.postgres.sql(
        f"SELECT reason, CASE WHEN run_after < 'infinity' THEN extract(epoch FROM run_after - now()) END FROM berth.looks WHERE app_name = '{app}'")
    return (rows[0][0], float(rows[0][1]) if rows[0][1] else None) if rows else None


@pytest.fixture
def second_responder(hooks):
    responder = Responder(hooks.folder, hooks.env, name="second", build=BUILD)
    yield responder
    responder.end()


def post_to(socket, app, payload):
    """A genuine push straight to a responder's socket: (status, headers, JSON)."""
    body = encode(payload)
    status, headers, text = fastcgi.ask(socket, "POST", f"/hooks/github/{app}", headers_of(SECRET, body), body)
    return status, {name.lower(): value for name, value in headers.items()}, json.loads(text)


# ---- What is answered ----

def test_an_accepted_push_tells_what_is_left_in_the_bucket(hooks, app):
    rate(hooks, app, 10, 60)

    answer = hooks.deliver(app, push())

    assert answer.status == 202
    assert answer.headers["ratelimit-policy"] == '"pushes";q=10;w=600'
    assert answer.headers["ratelimit"] == '"pushes";r=9;t=60'
    assert answer.headers["ratelimit-limit"] == "10"
    assert answer.headers["ratelimit-remaining"] == "9"
    assert answer.headers["ratelimit-reset"] == "60"
    assert "retry-after" not in answer.headers


def test_a_push_too_many_is_429_and_told_when_to_come_again_and_owed_a_look(hooks, app):
    rate(hooks, app, 1, 60)
    assert hooks.deliver(app, push()).status == 202

    answer = hooks.deliver(app, push())

    assert answer.status == 429
    assert answer.json["outcome"] == "limited"
    assert answer.json["reason"] == "pushes come faster than 60 an hour with 1 at once"
    assert answer.json["hint"].startswith("Nothing is lost: the branch main is looked at again in ")
    assert f"`berth ratelimit set {app} pushes_per_hour=120`" in answer.json["hint"]
    assert 55 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["ratelimit-policy"] == '"pushes";q=1;w=60'
    assert answer.headers["ratelimit"] == f'"pushes";r=0;t={answer.headers["retry-after"]}'
    assert answer.headers["ratelimit-remaining"] == "0"
    reason, seconds = look(hooks, app)
    assert reason == "limited" and 50 < seconds <= 60
    assert "limited" in hooks.deliveries(app).values()


def test_a_retry_after_is_a_second_at_least_and_true(hooks, app):
    rate(hooks, app, 1, 7200)
    assert hooks.deliver(app, push()).status == 202

    refused = hooks.deliver(app, push())
    time.sleep(int(refused.headers["retry-after"]))

    assert refused.status == 429 and refused.headers["retry-after"] == "1"
    assert hooks.deliver(app, push()).status == 202


def test_a_push_over_a_quota_is_403_with_the_quota_and_who_can_raise_it(hooks, app):
    hooks.postgres.sql(f"INSERT INTO berth.quotas (app_name, cpu_units) VALUES ('{app}', 255)")

    answer = hooks.deliver(app, push())

    assert answer.status == 403
    assert answer.json["outcome"] == "over_quota"
    assert answer.json["reason"] == "CPU units: 0 of 255 in use, a rollout needs 256 more"
    assert f"`berth quota set {app} cpu_units=256`" in answer.json["hint"]
    assert answer.json["quota"] == {"name": "cpu_units", "used": 0, "limit": 255, "needed": 256}
    assert "retry-after" not in answer.headers
    assert look(hooks, app) == ("over_quota", None)
    assert hooks.releases(app) == []


def test_a_quota_that_time_lifts_tells_when(hooks, app):
    hooks.postgres.sql(f"INSERT INTO berth.quotas (app_name, releases_per_hour) VALUES ('{app}', 1)")
    assert hooks.deliver(app, push()).status == 202

    answer = hooks.deliver(app, push())

    assert answer.status == 403
    assert 3590 <= int(answer.headers["retry-after"]) <= 3600
    assert answer.json["quota"]["name"] == "releases_per_hour"


def test_a_push_near_a_quota_is_accepted_with_a_warning(hooks, app):
    hooks.postgres.sql(f"INSERT INTO berth.quotas (app_name, cpu_units) VALUES ('{app}', 300)")

    answer = hooks.deliver(app, push())

    assert answer.status == 202
    assert answer.json["hint"] == "Near a quota: CPU units: 0 of 300 in use, a rollout takes it to 256."
    assert answer.json["quota"] == {"name": "cpu_units", "used": 0, "limit": 300, "needed": 256}


def test_a_push_that_nothing_limits_has_no_hint(hooks, app):
    answer = hooks.deliver(app, push())

    assert set(answer.json) == {"outcome", "reason", "delivery", "release"}


def test_an_ignored_delivery_spends_nothing_and_tells_no_bucket(hooks, app):
    rate(hooks, app, 5, 1)

    answer = hooks.deliver(app, push(branch="other"))

    assert answer.status == 200 and "ratelimit" not in answer.headers
    assert tokens(hooks, app) == 5


# ---- Processes ----

def hammer(socket, app, until, results):
    accepted = limited = 0
    others = []
    while time.time() < until:
        status, _, _ = post_to(socket, app, push())
        accepted, limited = accepted + (status == 202), limited + (status == 429)
        if status not in (202, 429):
            others.append(status)
    results.put((accepted, limited, others))


def test_16_processes_get_no_more_than_burst_and_refill_out_of_one_bucket(hooks, second_responder, app):
    burst, per_hour, seconds = 20, 7200, 4
    rate(hooks, app, burst, per_hour)
    results = multiprocessing.Queue()
    begun = time.time()
    sockets = [hooks.responder.socket, second_responder.socket]
    wait_until(lambda: post_to(sockets[1], app, push(branch="other"))[0] == 200, what="the second responder's knowing the app")
    workers = [multiprocessing.Process(target=hammer, args=(sockets[n % 2], app, begun + seconds, results)) for n in range(PROCESSES)]

    for worker in workers:
        worker.start()
    counts = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    elapsed = time.time() - begun

    accepted = sum(count[0] for count in counts)
    assert [count[2] for count in counts if count[2]] == []
    assert accepted <= burst + elapsed * per_hour / 3600
    assert accepted >= burst + seconds * per_hour / 3600 - 4  # and it gives what it promises
    assert sum(count[1] for count in counts) > PROCESSES
    assert hooks.releases(app) == list(range(1, accepted + 1))


def test_an_edit_is_in_force_within_a_second_at_every_responder_both_ways(hooks, second_responder, app):
    sockets = [hooks.responder.socket, second_responder.socket]
    wait_until(lambda: post_to(sockets[1], app, push(branch="other"))[0] == 200, what="the second responder's knowing the app")
    rate(hooks, app, 1, 1)
    assert post_to(sockets[0], app, push())[0] == 202
    for _ in range(20):  # both refuse from memory by now
        assert [post_to(socket, app, push())[0] for socket in sockets] == [429, 429]

    rate(hooks, app, 1000, 1)
    time.sleep(1)
    assert [post_to(socket, app, push())[0] for socket in sockets] == [202, 202]
    hooks.postgres.sql(f"UPDATE berth.rate_limits SET pushes_burst = 1, spent = 1, spent_at = now() WHERE app_name = '{app}'")

    assert [post_to(socket, app, push())[0] for socket in sockets] == [429, 429]


# ---- Floods ----

def test_forged_traffic_spends_nothing_and_makes_no_genuine_push_wait(hooks, app):
    rate(hooks, app, 3, 1)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        forged = [pool.submit(hooks.deliver, app, push(), secret="8" * 64) for _ in range(400)]
        time.sleep(0.05)
        genuine = [hooks.deliver(app, push()).status for _ in range(3)]

    assert {each.result().status for each in forged} == {401}
    assert genuine == [202] * 3
    assert len(hooks.deliveries(app)) == 3
    assert tokens(hooks, app) < 1


def test_a_proven_flood_is_refused_from_memory_and_the_database_is_asked_a_few_times_a_second(hooks, app):
    rate(hooks, app, 1, 1)
    first = encode(push())
    assert hooks.deliver(app, first).status == 202

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        begun = time.monotonic()
        answers = list(pool.map(lambda _: hooks.deliver(app, push()), range(400)))
        seconds = time.monotonic() - begun

    assert {answer.status for answer in answers} == {429}
    assert all(int(answer.headers["retry-after"]) > 3500 and answer.headers["ratelimit-remaining"] == "0" for answer in answers)
    stored = len(hooks.deliveries(app)) - 1
    assert 8 <= stored <= (seconds + 1) * (8 + 8)  # 8 ask, and 8 more may be on their way
    assert look(hooks, app)[0] == "limited"


def test_a_proven_flood_over_a_quota_gets_one_answer_from_memory_too_and_the_look_is_owed_once(hooks, app):
    hooks.postgres.sql(f"INSERT INTO berth.quotas (app_name, cpu_units) VALUES ('{app}', 255)")
    first = hooks.deliver(app, push())

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        begun = time.monotonic()
        answers = list(pool.map(lambda _: hooks.deliver(app, push()), range(400)))
        seconds = time.monotonic() - begun

    def said(answer):
        headers = {name: value for name, value in answer.headers.items() if name.startswith("ratelimit") or name in ("retry-after", "content-type", "cache-control")}
        return answer.status, {**answer.json, "delivery": ""}, headers
    assert first.status == 403 and first.json["quota"]["name"] == "cpu_units"
    assert [said(answer) for answer in answers if said(answer) != said(first)] == []
    stored = len(hooks.deliveries(app)) - 1
    assert 8 <= stored <= (seconds + 1) * (8 + 8)  # 8 ask, and 8 more may be on their way
    assert look(hooks, app) == ("over_quota", None)


def test_a_raised_quota_is_in_force_within_a_second_in_a_flood_and_hastens_the_look_for_what_was_refused_from_memory(hooks, app):
    hooks.postgres.sql(f"INSERT INTO berth.quotas (app_name, cpu_units) VALUES ('{app}', 255)")
    for _ in range(20):
        assert hooks.deliver(app, push()).status == 403
    stored = len(hooks.deliveries(app))
    assert hooks.deliver(app, push()).status == 403
    assert stored < 20  # the last ones were refused from memory

    subprocess.run([BUILD / "berth", "quota", "set", app, "cpu_units=512"], env=hooks.env, capture_output=True, timeout=60, check=True)
    time.sleep(1)

    assert look(hooks, app)[1] <= 0
    assert hooks.deliver(app, push()).status == 202


def test_in_a_flood_a_duplicate_and_another_ref_are_answered_as_ever(hooks, app):
    rate(hooks, app, 1, 1)
    accepted = encode(push())
    assert hooks.deliver(app, accepted, delivery="the-one").status == 202
    for _ in range(20):
        assert hooks.deliver(app, push()).status == 429

    again = hooks.deliver(app, accepted, delivery="the-one")
    fresh = hooks.deliver(app, accepted)
    other = hooks.deliver(app, push(branch="other"))

    assert (again.status, again.json["outcome"], again.json["release"]) == (200, "duplicate", 1)
    assert (fresh.status, fresh.json["outcome"]) == (200, "duplicate")
    assert (other.status, other.json["outcome"]) == (200, "ignored")


def test_a_flood_of_one_app_leaves_another_alone(hooks, app):
    neighbour = hooks.make_app(f"{app}-b")
    rate(hooks, app, 1, 1)
    for _ in range(20):
        hooks.deliver(app, push())

    assert [hooks.deliver(neighbour, push()).status for _ in range(10)] == [202] * 10


def test_a_flood_of_one_app_over_its_quota_leaves_another_alone(hooks, app):
    neighbour = hooks.make_app(f"{app}-b")
    hooks.postgres.sql(f"INSERT INTO berth.quotas (app_name, cpu_units) VALUES ('{app}', 255)")
    for _ in range(20):
        assert hooks.deliver(app, push()).status == 403

    assert [hooks.deliver(neighbour, push()).status for _ in range(10)] == [202] * 10


def test_64_pushes_at_once_against_a_quota_with_room_for_one_make_one_release(hooks, app):
    hooks.postgres.sql(f"INSERT INTO berth.quotas (app_name, releases_per_hour) VALUES ('{app}', 1)")
    assert hooks.deliver(app, push(branch="other")).status == 200  # the webhook's secret is known: this is about quotas

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: hooks.deliver(app, push()), range(64)))

    assert sorted(answer.status for answer in answers) == [202] + [403] * 63
    assert hooks.releases(app) == [1]
