"""What load balancers and people ask of the process itself."""

import pytest


def test_healthz_says_that_the_process_lives(hooks):
    answer = hooks.ask("GET", "/healthz")

    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert answer.headers["cache-control"] == "no-store"


def test_readyz_says_that_it_can_work(hooks):
    answer = hooks.ask("GET", "/readyz")

    assert (answer.status, answer.json) == (200, {"status": "ready"})


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_head_answers_without_a_body(hooks, path):
    answer = hooks.ask("HEAD", path)

    assert (answer.status, answer.text) == (200, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods_are_told_what_is_allowed(hooks, method):
    answer = hooks.ask(method, "/healthz", b"{}")

    assert (answer.status, answer.headers["allow"], answer.code) == (405, "GET, HEAD", "method_not_allowed")


def test_a_schema_that_is_older_than_the_program_is_not_ready(own_hooks):
    hooks = own_hooks()
    newest = "berth.schema_migrations WHERE version = (SELECT max(version) FROM berth.schema_migrations)"
    hooks.postgres.sql(f"CREATE TABLE public.kept AS SELECT * FROM {newest}")
    hooks.postgres.sql(f"DELETE FROM {newest}")

    answer = hooks.wait_for_ready(503)

    assert answer.code == "schema"
    hooks.postgres.sql("INSERT INTO berth.schema_migrations SELECT * FROM public.kept")
    hooks.wait_for_ready(200)


def test_a_newer_schema_is_ready(own_hooks):
    hooks = own_hooks()

    hooks.postgres.sql("INSERT INTO berth.schema_migrations (version, name, checksum) VALUES (9999, '9999_later', '')")

    assert hooks.stays_ready()


def test_a_database_without_the_schema_is_not_ready(own_hooks):
    hooks = own_hooks()

    hooks.postgres.sql("ALTER TABLE berth.schema_migrations RENAME TO gone")

    assert hooks.wait_for_ready(503).code == "schema"
