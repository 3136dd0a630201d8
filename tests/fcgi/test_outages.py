"""What was not stored never gets a 2xx; and when the other side is back, so is berth."""

import time
import uuid

from support.delivery import push
from support.hooks import SECRET
from support.parts import free_port, wait_until
from support.proxy import PostgresProxy


def test_without_the_database_a_push_gets_503_and_is_taken_when_it_is_back(own_hooks):
    hooks = own_hooks()
    app = hooks.make_app("shop")
    hooks.deliver(app, push())
    payload, delivery = push(), str(uuid.uuid4())

    hooks.postgres.pause()
    started = time.monotonic()
    refused = hooks.deliver(app, payload, delivery=delivery)

    assert (refused.status, refused.code) == (503, "database_unavailable")
    assert int(refused.headers["retry-after"]) > 0
    assert time.monotonic() - started < 10, "GitHub would have given up"
    assert hooks.wait_for_ready(503).code == "database"
    assert hooks.ask("GET", "/healthz").status == 200

    hooks.postgres.resume()
    hooks.wait_for_ready(200)
    taken = hooks.deliver(app, payload, delivery=delivery)
    assert (taken.status, taken.json["release"]) == (202, 2)


def test_a_restart_of_the_database_is_survived_without_an_error(own_hooks):
    hooks = own_hooks()
    app = hooks.make_app("shop")
    hooks.deliver(app, push())

    hooks.postgres.restart()

    assert hooks.deliver(app, push()).status == 202


def test_without_the_database_strangers_still_cost_nothing_and_forgers_are_still_refused(own_hooks):
    hooks = own_hooks()
    app = hooks.make_app("shop")
    hooks.deliver(app, push())

    hooks.postgres.pause()
    started = time.monotonic()

    assert hooks.deliver("nobody", push()).status == 404
    assert hooks.deliver(app, push(), secret="4" * 64).status == 401
    assert time.monotonic() - started < 2
    hooks.postgres.resume()


def test_a_responder_that_starts_before_its_database_becomes_ready_by_itself(own_hooks):
    hooks = own_hooks(responder=False)
    app = hooks.make_app("shop", known=False)
    hooks.postgres.pause()
    hooks.start_responder()

    assert hooks.deliver(app, push()).code == "starting"
    assert hooks.ask("GET", "/readyz").status == 503
    hooks.postgres.resume()
    hooks.wait_for_ready(200)

    assert hooks.deliver(app, push()).status == 202


def test_a_new_app_is_known_at_once_and_after_the_listening_connection_was_lost(own_hooks):
    hooks = own_hooks()
    started = time.monotonic()
    hooks.make_app("shop")
    assert time.monotonic() - started < 2, "it was found by the timer, not by the notification"

    hooks.postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'berth_hooks'")
    hooks.make_app("cellar", repository="acme/cellar")

    assert hooks.deliver("cellar", push(repository="acme/cellar")).status == 202


def test_a_push_whose_commit_was_not_confirmed_is_accepted_once(own_hooks):
    hooks = own_hooks(responder=False)
    app = hooks.make_app("shop", known=False)
    home = (hooks.postgres.folder / "home").read_text().strip()
    proxy = PostgresProxy(hooks.folder / "proxy", home)
    hooks.start_responder(env={"BERTH_DATABASE_HOOKS": hooks.env["BERTH_DATABASE_HOOKS"].replace(home, str(proxy.folder))})
    hooks.wait_for_ready(200)
    assert hooks.deliver(app, push()).status == 202
    delivery = str(uuid.uuid4())

    proxy.swallow_answer_to(delivery)
    answer = hooks.deliver(app, push(), delivery=delivery)

    assert proxy.swallowed.wait(5)
    assert (answer.status, answer.json["outcome"], answer.json["release"]) == (202, "accepted", 2)
    assert hooks.releases(app) == [1, 2]
    proxy.end()


def test_without_secrets_manager_the_first_push_gets_503_and_is_not_stored(own_hooks):
    hooks = own_hooks()
    app = hooks.make_app("shop")
    hooks.stop_responder()
    hooks.start_responder(env={"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"})
    hooks.wait_for_ready(200)

    answer = hooks.deliver(app, push())

    assert (answer.status, answer.code) == (503, "secret_unavailable")
    assert "retry-after" in answer.headers
    assert hooks.deliveries(app) == {}


def test_a_secret_once_read_outlives_an_outage_of_secrets_manager(own_hooks):
    hooks = own_hooks()
    app = hooks.make_app("shop")
    assert hooks.deliver(app, push()).status == 202

    hooks.stand_in.process.send_signal(19)  # SIGSTOP: it hangs
    try:
        assert hooks.deliver(app, push()).status == 202
    finally:
        hooks.stand_in.process.send_signal(18)


def test_an_app_without_a_secret_gets_503_until_it_has_one(own_hooks):
    hooks = own_hooks()
    app = hooks.make_app("shop", secret=None)

    answer = hooks.deliver(app, push())

    assert (answer.status, answer.code) == (503, "secret_unavailable")
    hooks.secrets.create_secret(Name="berth/hooks/shop", SecretString=SECRET)
    wait_until(lambda: hooks.deliver(app, push()).status == 202, 15, "the secret's being found")


def test_without_the_responder_the_web_server_says_so_in_json(own_hooks):
    hooks = own_hooks()
    app = hooks.make_app("shop")
    hooks.stop_responder()

    answer = hooks.deliver(app, push())

    assert (answer.status, answer.code) == (503, "responder_away")
    hooks.start_responder()
    wait_until(lambda: hooks.deliver(app, push()).status == 202, 5, "the way back")
