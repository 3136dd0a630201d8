"""Quotas and rate limits over several hosts: a responder and a web server each, one Postgres between them."""

import collections
import concurrent.futures
import contextlib
import itertools
import signal
import subprocess
import threading
import time

import pytest

from support.delivery import Poster, push
from support.hooks import SECRET, Hooks
from support.parts import BUILD, Responder, make_web_server, wait_until

HOSTS = 16
SETTINGS = {"BERTH_DATABASE_CONNECTIONS": "4", "BERTH_HOOKS_THREADS": "64"}  # 16 of them share the 200 connections of one Postgres
_numbers = itertools.count(1)


class Host:
    def __init__(self, hooks, name):
        folder = hooks.folder / name
        folder.mkdir()
        self.responder = Responder(folder, hooks.env, build=BUILD)
        try:
            self.web = make_web_server(folder, folder)
        except BaseException:
            self.responder.end()
            raise

    def end(self):
        try:
            self.web.end()
        finally:
            self.responder.end()

    def ask(self, method, path, headers=None):
        with Poster(self.web.port) as poster:
            return poster.ask(method, path, b"", headers)

    def deliver(self, app, payload, secret=SECRET, **more):
        with Poster(self.web.port) as poster:
            return poster.deliver(app, secret, payload, **more)

    def knows(self, app):
        return self.ask("POST", f"/hooks/github/{app}", {"Content-Length": "0"}).status not in (404, 503)


@pytest.fixture(scope="module")
def yard():
    """What the hosts share."""
    hooks = Hooks(responder=False, settings=SETTINGS)
    yield hooks
    hooks.end()


@pytest.fixture(scope="module")
def hosts(yard):
    made = []
    try:
        for number in range(HOSTS):
            made.append(Host(yard, f"host{number}"))
        yield made
    finally:
        for host in made:
            host.end()


@pytest.fixture
def fresh_app(yard, hosts):
    """Known to every host; nothing was pushed yet, and no host has read its secret."""
    name = yard.make_app(f"app-{next(_numbers)}", known=False)
    for host in hosts:
        wait_until(lambda: host.knows(name), what=f"a host's knowing {name}")
    return name


@pytest.fixture
def app(hosts, fresh_app):
    """Every host has read its secret, of a push to another branch: what follows is about limits, not about how fast Secrets Manager answers sixteen of them."""
    for host in hosts:
        wait_until(lambda: host.deliver(fresh_app, push(branch="other")).status == 200, what="a host's having the secret")
    return fresh_app


def at_once(calls):
    """Their answers, in the order of the calls; none begins before there is a thread for each."""
    ready = threading.Barrier(len(calls))

    def run(call):
        ready.wait(60)
        return call()
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(run, call) for call in calls]]


def push_to_each(hosts, app, rounds=1):
    return at_once([lambda host=host: host.deliver(app, push()) for host in hosts * rounds])


def told(answers):
    """How often each answer came: {(status, what it says of itself): count}."""
    return collections.Counter((answer.status, answer.json.get("outcome") or answer.code) for answer in answers)


def rate(yard, app, burst, per_hour=1):
    """As an operator sets it, the bucket full. One an hour is none while a test runs: then counts are exact."""
    yard.postgres.sql(
        f"INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour) VALUES ('{app}', {burst}, {per_hour})"
        f" ON CONFLICT (app_name) DO UPDATE SET pushes_burst = {burst}, pushes_per_hour = {per_hour}, spent = 0, spent_at = now()")


def tokens(yard, app):
    return int(yard.postgres.one(f"SELECT floor(tokens) FROM berth.rate_use('{app}')"))


@contextlib.contextmanager
def secrets_manager_hangs(yard):
    """It takes connections and says nothing, until what this gives is called."""
    process = yard.stand_in.process
    process.send_signal(signal.SIGSTOP)
    try:
        yield lambda: process.send_signal(signal.SIGCONT)
    finally:
        process.send_signal(signal.SIGCONT)


def berth(yard, *words):
    done = subprocess.run([str(BUILD / "berth"), *words], env=yard.env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- Quotas ----

@pytest.mark.parametrize("count", [1, 4, 16])
def test_64_pushes_at_once_against_a_quota_with_room_for_one_make_one_release(yard, hosts, app, count):
    yard.postgres.sql(f"INSERT INTO berth.quotas (app_name, releases_per_hour) VALUES ('{app}', 1)")

    answers = push_to_each(hosts[:count], app, rounds=64 // count)

    assert told(answers) == {(202, "accepted"): 1, (403, "over_quota"): 63}
    assert {answer.json["reason"] for answer in answers if answer.status == 403} == {"Releases an hour: 1 of 1 in use"}
    assert yard.releases(app) == [1]
    stored = collections.Counter(yard.deliveries(app).values())
    assert stored.pop("over_quota") <= 63  # a host that has refused eight may refuse from memory
    assert stored == {"accepted": 1, "ignored": HOSTS}
    assert tokens(yard, app) == 119  # of the default's 120: who is refused spends none


def test_a_raised_quota_lets_in_as_many_more_as_it_was_raised_by(yard, hosts, app):
    yard.postgres.sql(f"INSERT INTO berth.quotas (app_name, releases_per_hour) VALUES ('{app}', 1)")
    assert told(push_to_each(hosts[:4], app)) == {(202, "accepted"): 1, (403, "over_quota"): 3}

    berth(yard, "quota", "set", app, "releases_per_hour=4")

    assert told(push_to_each(hosts[:4], app, rounds=4)) == {(202, "accepted"): 3, (403, "over_quota"): 13}
    assert yard.releases(app) == [1, 2, 3, 4]


def test_a_crowd_of_first_pushes_waits_for_a_slow_secrets_manager_and_none_is_sent_away(yard, hosts, fresh_app):
    with secrets_manager_hangs(yard) as goes_on, concurrent.futures.ThreadPoolExecutor(64) as pool:
        pushes = [pool.submit(hosts[0].deliver, fresh_app, push()) for _ in range(64)]
        time.sleep(0.7)
        done = [each.result() for each in pushes if each.done()]
        goes_on()
        answers = [each.result() for each in pushes]

    assert done == []
    assert told(answers) == {(202, "accepted"): 64}


# ---- One bucket ----

def test_16_processes_accept_exactly_as_many_pushes_as_the_bucket_has_tokens(yard, hosts, app):
    rate(yard, app, 20)

    answers = push_to_each(hosts, app, rounds=5) + push_to_each(hosts, app, rounds=5)

    assert told(answers) == {(202, "accepted"): 20, (429, "limited"): 140}
    assert yard.releases(app) == list(range(1, 21))
    assert tokens(yard, app) == 0
    left = sorted(int(answer.headers["ratelimit-remaining"]) for answer in answers if answer.status == 202)
    assert left == list(range(20))  # each token was given to one


def drained(yard, hosts, app):
    """A bucket of one, spent; and every process has refused so often that it now does so from memory."""
    rate(yard, app, 1)
    for _ in range(12):
        push_to_each(hosts, app)
    stored = len(yard.deliveries(app))
    assert told(push_to_each(hosts, app)) == {(429, "limited"): HOSTS}
    assert len(yard.deliveries(app)) < stored + HOSTS


def by_command(yard, app, burst):
    berth(yard, "ratelimit", "set", app, f"pushes_burst={burst}")


def by_sql(yard, app, burst):
    yard.postgres.sql(f"UPDATE berth.rate_limits SET pushes_burst = {burst} WHERE app_name = '{app}'", login="BERTH_DATABASE_ADMIN")


@pytest.mark.parametrize("edit", [by_command, by_sql])
def test_a_raised_limit_is_in_force_in_16_processes_a_second_later(yard, hosts, app, edit):
    drained(yard, hosts, app)

    edit(yard, app, 1 + HOSTS)
    time.sleep(1)

    assert told(push_to_each(hosts, app)) == {(202, "accepted"): HOSTS}
    assert told(push_to_each(hosts, app)) == {(429, "limited"): HOSTS}


@pytest.mark.parametrize("edit", [by_command, by_sql])
def test_a_lowered_limit_is_in_force_in_16_processes_at_once(yard, hosts, app, edit):
    rate(yard, app, 1000)
    assert told(push_to_each(hosts, app)) == {(202, "accepted"): HOSTS}

    edit(yard, app, HOSTS)

    answers = push_to_each(hosts, app)
    assert told(answers) == {(429, "limited"): HOSTS}
    assert {answer.headers["ratelimit-limit"] for answer in answers} == {f"{HOSTS}"}


def test_the_default_is_in_force_in_16_processes_a_second_after_its_change(yard, hosts, app):
    try:
        berth(yard, "ratelimit", "set", "--default", "pushes_burst=1", "pushes_per_hour=1")
        for _ in range(12):
            push_to_each(hosts, app)
        refused = told(push_to_each(hosts, app))

        berth(yard, "ratelimit", "set", "--default", f"pushes_burst={1 + HOSTS}")
        time.sleep(1)
        accepted = told(push_to_each(hosts, app))
    finally:
        berth(yard, "ratelimit", "set", "--default", "pushes_burst=120", "pushes_per_hour=600")

    assert refused == {(429, "limited"): HOSTS}
    assert accepted == {(202, "accepted"): HOSTS}


# ---- Forged traffic ----

class Forgers:
    """Threads that send the hosts what proves nothing, for as long as the block lasts."""

    def __init__(self, hosts, app, each):
        self.hosts, self.app, self.each = hosts, app, each
        self.statuses = collections.Counter()
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.pool = concurrent.futures.ThreadPoolExecutor(len(hosts) * each)

    def send(self, host, kind):
        if kind % 4 == 0:
            return "unknown", host.deliver(f"nobody-{kind}", push())
        if kind % 4 == 1:
            return "unsigned", host.deliver(self.app, push(), x_hub_signature_256=None)
        return "forged", host.deliver(self.app, push(), secret="8" * 64)

    def forge(self, host, kind):
        while not self.stop.is_set():
            name, answer = self.send(host, kind)
            with self.lock:
                self.statuses[name, answer.status] += 1

    def count(self):
        with self.lock:
            return sum(self.statuses.values())

    def __enter__(self):
        self.work = [self.pool.submit(self.forge, host, kind) for host in self.hosts for kind in range(self.each)]
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.pool.shutdown()
        for each in self.work:
            each.result()  # or what went wrong


def test_forged_traffic_on_every_thread_spends_no_token_makes_no_row_and_keeps_no_genuine_push_out(yard, hosts, app):
    rate(yard, app, 24)
    begun = yard.postgres.one("SELECT count(*) FROM berth.deliveries")

    with Forgers(hosts[:2], app, 72) as forgers:  # a responder has 64 threads
        wait_until(lambda: forgers.count() > 2 * 72, 60, "the forgers' beginning")
        before = forgers.count()
        genuine = [hosts[number % 2].deliver(app, push()) for number in range(24)]
        during = forgers.count() - before

    assert told(genuine) == {(202, "accepted"): 24}
    assert [int(answer.headers["ratelimit-remaining"]) for answer in genuine] == list(range(23, -1, -1))
    assert during > 24
    assert set(forgers.statuses) == {("unknown", 404), ("unsigned", 401), ("forged", 401)}
    assert int(yard.postgres.one("SELECT count(*) FROM berth.deliveries")) == int(begun) + 24
    assert yard.postgres.one("SELECT count(*) FROM berth.apps WHERE app_name LIKE 'nobody-%'") == "0"


def test_forged_traffic_that_makes_berth_ask_a_secrets_manager_that_hangs_keeps_no_genuine_push_out(yard, hosts, app):
    assert hosts[0].deliver(app, push()).status == 202  # the secret is known

    with secrets_manager_hangs(yard) as goes_on, Forgers(hosts[:1], app, 60) as forgers:
        wait_until(lambda: forgers.count() > 60, 60, "the forgers' beginning")
        genuine = [hosts[0].deliver(app, push()) for _ in range(10)]
        goes_on()

    assert told(genuine) == {(202, "accepted"): 10}


def test_forged_traffic_fills_no_memory_of_floods(yard, hosts, app):
    """A process that refuses from memory does so for what was proven only."""
    rate(yard, app, 1)

    with Forgers(hosts[:1], app, 8) as forgers:
        wait_until(lambda: forgers.count() > 200, 60, "200 forged pushes")

    assert told([hosts[0].deliver(app, push())]) == {(202, "accepted"): 1}
