/*
 * Versions of the pages that are polled: whatever column of whatever table is changed, a page that then looks different has another version, or a browser would go on
 * showing the old one. The columns are read from the catalogue, so a new one is tried by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/db/internal.h"
#include "tests/db/page_harness.h"

static const char *const pages[] = {
    "/",
    "/apps/watched",
    "/apps/watched?before=3",
    "/apps/moving",
    "/apps/leaving",
    "/apps/watched/releases/2",
    "/apps/watched/releases/4",
    "/apps/moving/releases/2",
};
enum { PAGES = sizeof pages / sizeof *pages, CHANGES_AT_LEAST = 120 };

/* Faster than TRUNCATE, for tables as small as these. */
#define EMPTY                                                                                                          \
    "DELETE FROM berth.deployments; DELETE FROM berth.release_events; DELETE FROM berth.intents; "                     \
    "DELETE FROM berth.builds; DELETE FROM berth.releases; DELETE FROM berth.deliveries; "                             \
    "DELETE FROM berth.resources; DELETE FROM berth.listener_slots; DELETE FROM berth.quotas; "                        \
    "DELETE FROM berth.rate_limits; DELETE FROM berth.looks; DELETE FROM berth.audit_log; "                            \
    "DELETE FROM berth.teardowns; DELETE FROM berth.apps;"                                                             \
    "UPDATE berth.default_limits SET cpu_units = DEFAULT, memory_mib = DEFAULT, tasks = DEFAULT, "                     \
    "concurrent_builds = DEFAULT, build_minutes = DEFAULT, releases_per_hour = DEFAULT, image_mib = DEFAULT;"

static const char seeds[] = EMPTY
    "INSERT INTO berth.apps (app_name, repository, webhook_policy, state, last_release, created_at) VALUES"
    " ('watched', 'acme/watched', 'github', 'active', 4, now() - interval '9 days'), ('moving', 'acme/moving', "
    "'signed', 'active', 2, now() - interval '9 days'),"
    " ('leaving', 'acme/leaving', 'github', 'deleting', 1, now() - interval '9 days');"
    "INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, commit_title, pushed_by, "
    "delivery_id, source_version, build_id, image_digest,"
    " task_definition_arn, error, hint, created_at, finished_at, cpu_units, memory_mib, tasks, port, "
    "health_check_path, image_bytes, rollback_to)"
    " SELECT a, n, k, s, st, lpad(n::text, 40, '0'), 'title', 'teo', 'delivery-1', 'v', NULL, 'sha256:' || repeat('0', "
    "64), 'arn', 'error', 'hint',"
    " now() - interval '5 hours', CASE WHEN s IN ('queued', 'running') THEN NULL ELSE now() - interval '4 hours' END, "
    "256, 512, 1, 8080, '/', 5000000, b"
    " FROM (VALUES ('watched', 1, 'push', 'live', 'live', NULL::int), ('watched', 2, 'push', 'live', 'live', NULL), "
    "('watched', 3, 'push', 'live', 'live', NULL),"
    "  ('watched', 4, 'push', 'failed', 'build', NULL), ('moving', 1, 'push', 'live', 'live', NULL), ('moving', 2, "
    "'push', 'running', 'rollout', NULL),"
    "  ('leaving', 1, 'push', 'live', 'live', NULL)) r (a, n, k, s, st, b);"
    "INSERT INTO berth.release_events (app_name, release, at, step, kind, message) SELECT app_name, number, now() - "
    "interval '5 hours', 'source', 'done', 'm' FROM berth.releases;"
    "INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host, live_since)"
    " SELECT a, n, repeat('a', 40), 'd', 't', a || '.example.org', now() - interval '4 hours' FROM (VALUES ('watched', "
    "3), ('moving', 1)) d (a, n);"
    "INSERT INTO berth.quotas (app_name, cpu_units) VALUES ('watched', 4096), ('moving', 4096);"
    "INSERT INTO berth.rate_limits (app_name, pushes_burst) VALUES ('watched', 5);"
    "INSERT INTO berth.looks (app_name, reason, owed_at, run_after) VALUES ('watched', 'over_quota', now() - interval "
    "'3 hours', 'infinity'),"
    " ('moving', 'limited', now() - interval '3 hours', now() + interval '2 hours');"
    "INSERT INTO berth.resources (app_name, kind, name, arn, spec_hash) SELECT a, k, 'n', "
    "'arn:aws:codebuild:eu-central-1:111122223333:project/n', 'h'"
    " FROM unnest(ARRAY['watched', 'moving']) a, unnest(ARRAY['build_project', 'service']) k;"
    "INSERT INTO berth.builds (app_name, build_id, release, started_at, ended_at) VALUES ('watched', 'b', 4, now() - "
    "interval '2 minutes', now() - interval '1 minute');"
    "INSERT INTO berth.teardowns (app_name, state, step, started_by, error, hint, started_at, finished_at) VALUES "
    "('leaving', 'failed', 'service', 'mara', 'e', 'h',"
    " now() - interval '3 hours', now() - interval '2 hours');"
    "INSERT INTO berth.audit_log (actor, action, app_name, at) VALUES ('ines', 'app.create', 'watched', now() - "
    "interval '9 days'), ('ines', 'app.pause', 'watched', now() - "
    "interval '1 day')";

/* What a column may become, the first that its type and its checks let through. */
static const char *const candidates[] = {
    "lpad('7', 40, '0')",         "'sha256:' || repeat('1', 64)", "%1$I || 'x'", "'x'", "'/x'", "%1$I + 1", "7",
    "%1$I + interval '26 hours'", "now() - interval '30 hours'",  "NOT %1$I",
};
/* A column of words becomes each of them, one after the other. */
static const char *const words[] = {
    "NULL",       "'active'", "'paused'",  "'deleting'",   "'deleted'",   "'queued'",    "'running'",
    "'live'",     "'failed'", "'done'",    "'superseded'", "'cancelled'", "'push'",      "'redeploy'",
    "'rollback'", "'source'", "'build'",   "'rollout'",    "'cancel'",    "'supersede'", "'github'",
    "'signed'",   "'asked'",  "'limited'", "'over_quota'", "'info'",      "'retry'",     "'target_group'",
};
#define HAS_WORDS "'state', 'step', 'kind', 'halt', 'reason', 'webhook_policy'"

/* How many rows became others; 0 too when the database refuses it. What must come with a state comes with it. */
static const char try_change[] =
    "CREATE FUNCTION public.try_change(t text, c text, template text) RETURNS bigint LANGUAGE plpgsql AS $f$ "
    "DECLARE n bigint; wanted text := format(template, c); also text := '';"
    "BEGIN"
    "  IF t = 'releases' AND c = 'state' THEN"
    "    also := format(', finished_at = CASE WHEN %s IN (''queued'', ''running'') THEN NULL ELSE now() - interval ''1 "
    "hour'' END', wanted);"
    "  ELSIF t = 'releases' AND c = 'halt' THEN also := ', halt_at = now()';"
    "  ELSIF t = 'teardowns' AND c = 'state' THEN"
    "    also := format(', finished_at = CASE WHEN %s = ''running'' THEN NULL ELSE now() - interval ''1 hour'' END', "
    "wanted);"
    "  END IF;"
    "  EXECUTE format('UPDATE berth.%I SET %I = ', t, c) || wanted || also || format(' WHERE %I IS DISTINCT FROM ', c) "
    "|| wanted;"
    "  GET DIAGNOSTICS n = ROW_COUNT;"
    "  RETURN n;"
    "EXCEPTION WHEN OTHERS THEN RETURN 0; "
    "END $f$";

/* Of these tables; the others hold nothing that a page of these shows, or, as the audit log, rows that stay as they are. */
#define COLUMNS                                                                                                        \
    "FROM information_schema.columns WHERE table_schema = 'berth' AND table_name IN ('apps', 'releases', "             \
    "'release_events', 'deployments', 'looks', 'quotas', 'default_limits', 'resources', 'builds', 'teardowns', "       \
    "'rate_limits')"

struct seen {
    const char *body, *tag;
};

static struct seen look(struct page_harness *f, const char *target, struct arena *mem)
{
    struct response response = page_ask(f, target);
    struct seen seen = { .body = arena_copy(mem, buf_text(&response.body)),
                         .tag = arena_copy(mem, page_header(&response, "ETag")) };

    response_free(&response);
    return seen;
}

/* Returns how many pages look different. */
static size_t check(struct page_harness *f, const struct seen before[PAGES], const char *what, struct arena *mem)
{
    size_t changed = 0;

    for (int i = 0; i < PAGES; i++) {
        struct seen after = look(f, pages[i], mem);
        bool looks_different = strcmp(before[i].body, after.body) != 0;
        changed += looks_different;
        if (looks_different && strcmp(before[i].tag, after.tag) == 0)
            fail_msg("%s looks different after %s, but its version is the same", pages[i], what);
    }
    return changed;
}

static void begin(struct page_harness *f, struct seen before[PAGES], struct arena *mem)
{
    page_sql(f, seeds);
    for (int i = 0; i < PAGES; i++)
        before[i] = look(f, pages[i], mem);
}

struct column {
    const char *table, *name;
    bool has_words;
};

static size_t change_column(struct page_harness *f, const struct column *column)
{
    const char *const *list = column->has_words ? words : candidates;
    size_t count = column->has_words ? sizeof words / sizeof *words : sizeof candidates / sizeof *candidates;
    size_t changed = 0;

    for (size_t c = 0; c < count;) {
        AUTO_ARENA struct arena *mem = arena_new();
        struct seen before[PAGES];
        bool did = false;
        begin(f, before, mem);
        for (; c < count && !did; c++)
            did = harness_number(f->super, NULL,
                                 arena_printf(mem, "SELECT public.try_change('%s', '%s', $$%s$$) AS n", column->table,
                                              column->name, list[c])) > 0;
        if (did)
            changed +=
                check(f, before, arena_printf(mem, "%s.%s became %s", column->table, column->name, list[c - 1]), mem);
        if (did && !column->has_words)
            break;
    }
    return changed;
}

static struct column *read_columns(struct page_harness *f, size_t *count)
{
    static const char sql[] = "SELECT table_name, column_name, column_name IN (" HAS_WORDS ") AS words " COLUMNS;
    const struct query_text text = { "columns", QUERY_SHAPE_MANY, sql };
    AUTO_ROWS struct db_rows *rows = NULL;
    AUTO_DB struct db *db = harness_take(f->super);
    struct err e = { 0 };

    if (statement_run(db, NULL, &text, NULL, NULL, 0, &rows, &e))
        fail_msg("%s", e.message);
    struct column *columns = arena_array(f->mem, db_count(rows), sizeof *columns);
    for (size_t i = 0; i < db_count(rows); i++)
        columns[i] = (struct column){ .table = db_get_copy(rows, i, "table_name", f->mem),
                                      .name = db_get_copy(rows, i, "column_name", f->mem),
                                      .has_words = db_get_bool(rows, i, "words") };
    *count = db_count(rows);
    return columns;
}

static void whatever_makes_a_page_look_different_makes_its_version_another(void **state)
{
    struct page_harness *f = *state;
    size_t count = 0, changed = 0;
    page_sql(f, try_change);
    const struct column *columns = read_columns(f, &count);

    for (size_t i = 0; i < count; i++)
        changed += change_column(f, &columns[i]);

    print_message("%zu columns; %zu times a page looked different\n", count, changed);
    assert_in_range(changed, CHANGES_AT_LEAST, SIZE_MAX);
}

static void rows_that_come_and_go_make_another_version(void **state)
{
    static const char *const changes[] = {
        "INSERT INTO berth.apps (app_name, repository, webhook_policy) VALUES ('newcomer', 'acme/newcomer', 'github')",
        "INSERT INTO berth.release_events (app_name, release, step, kind, message) SELECT app_name, number, 'build', "
        "'info', 'more' FROM berth.releases",
        "DELETE FROM berth.release_events",
        "DELETE FROM berth.looks",
        "DELETE FROM berth.resources WHERE kind = 'service'",
        "DELETE FROM berth.resources WHERE kind = 'build_project'",
        "DELETE FROM berth.quotas",
        "DELETE FROM berth.deployments",
        "DELETE FROM berth.teardowns",
        "INSERT INTO berth.releases (app_name, number, kind, state, commit_sha) VALUES ('watched', 5, 'push', "
        "'queued', repeat('b', 40))",
        "UPDATE berth.apps SET last_release = 3 WHERE app_name = 'watched'",
    };
    struct page_harness *f = *state;

    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        AUTO_ARENA struct arena *mem = arena_new();
        struct seen before[PAGES];
        begin(f, before, mem);
        page_sql(f, changes[i]);
        if (check(f, before, changes[i], mem) == 0)
            fail_msg("no page looks different after %s: this test means nothing", changes[i]);
    }
}

static void what_the_engine_notes_for_itself_makes_no_other_version(void **state)
{
    struct page_harness *f = *state;
    AUTO_ARENA struct arena *mem = arena_new();
    struct seen before[PAGES];
    begin(f, before, mem);

    page_sql(f, "UPDATE berth.releases SET lease_token = 7, lease_until = now(), leased_by = 'w', waits = waits + 1, "
                "run_after = now() + interval '5 s', poll_after = now(), look_by = now();"
                "UPDATE berth.looks SET lease_token = 7, lease_until = now(), claimed_at = now();"
                "UPDATE berth.rate_limits SET spent = 3, spent_at = now()");

    for (int i = 0; i < PAGES; i++)
        assert_string_equal(look(f, pages[i], mem).tag, before[i].tag);
}

static void a_page_that_is_known_is_not_sent_again(void **state)
{
    struct page_harness *f = *state;
    AUTO_ARENA struct arena *mem = arena_new();
    struct seen before[PAGES];
    begin(f, before, mem);

    for (int i = 0; i < PAGES; i++) {
        struct response known = page_ask_again(f, pages[i], before[i].tag);
        struct response other = page_ask_again(f, pages[i], "W/\"0123456789abcdef0123456789abcdef\"");
        assert_int_equal(known.status, 304);
        assert_int_equal(known.body.len, 0);
        assert_int_equal(other.status, 200);
        response_free(&known);
        response_free(&other);
    }
}

static void a_web_server_that_compresses_may_mark_the_version(void **state)
{
    struct page_harness *f = *state;
    AUTO_ARENA struct arena *mem = arena_new();
    struct seen before[PAGES];
    begin(f, before, mem);
    const char *tag = before[0].tag;

    struct response known = page_ask_again(f, "/", arena_printf(mem, "%.*s-gzip\"", (int)strlen(tag) - 1, tag));

    assert_int_equal(known.status, 304);
    response_free(&known);
}

static void what_is_not_there_has_no_version(void **state)
{
    static const char *const missing[] = { "/apps/nobody", "/apps/watched/releases/99", "/apps/nobody/releases/1" };
    struct page_harness *f = *state;

    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        struct response response = page_ask(f, missing[i]);
        assert_int_equal(response.status, 404);
        assert_string_equal(page_header(&response, "ETag"), "");
        response_free(&response);
    }
}

/* The clock stands still: what depends on the time alone is left out of a version. */
static int64_t stopped_ms;

static int64_t stopped(void *context)
{
    (void)context;
    return stopped_ms;
}

static int setup_stopped(void **state)
{
    static struct clock clock = { .now_ms = stopped, .monotonic_ms = stopped };
    int failed = page_setup(state);
    struct page_harness *f = *state;

    stopped_ms = clock_now_ms(&clock_system);
    page_log_begin(f);
    ((struct admin *)f->application.context)->clock = &clock;
    return failed;
}

#define STOPPED(test) cmocka_unit_test_setup_teardown(test, setup_stopped, page_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        STOPPED(whatever_makes_a_page_look_different_makes_its_version_another),
        STOPPED(rows_that_come_and_go_make_another_version),
        STOPPED(what_the_engine_notes_for_itself_makes_no_other_version),
        STOPPED(a_page_that_is_known_is_not_sent_again),
        STOPPED(a_web_server_that_compresses_may_mark_the_version),
        STOPPED(what_is_not_there_has_no_version),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
