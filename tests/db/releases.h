/*
 * releases - an app, shop, whose releases a test has pushed, taken up and ended by hand on a real Postgres; and a trigger that writes down each of their transitions,
 * which at each test's end are held against the table of release_state.h.
 */
#ifndef BERTH_TESTS_DB_RELEASES_H
#define BERTH_TESTS_DB_RELEASES_H

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/deploy/release_state.h"
#include "tests/db/harness.h"

enum { THREADS = 8 };

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SHA_C "cccccccccccccccccccccccccccccccccccccccc"

static struct harness_database *database;
static struct db_pool *superuser, *admin;
static struct arena *mem;

/* Postgres itself writes down each place that a release has been in. */
static const char trace[] =
    "CREATE TABLE public.trace (id bigint GENERATED ALWAYS AS IDENTITY, app text, number int, state_0 text, step_0 "
    "text,"
    " state_1 text, step_1 text);"
    "CREATE FUNCTION public.trace() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
    " INSERT INTO public.trace (app, number, state_0, step_0, state_1, step_1)"
    " VALUES (NEW.app_name, NEW.number, OLD.state, OLD.step, NEW.state, NEW.step); RETURN NEW; END $$;"
    "CREATE TRIGGER trace BEFORE UPDATE ON berth.releases FOR EACH ROW"
    " WHEN (OLD.state <> NEW.state OR OLD.step <> NEW.step) EXECUTE FUNCTION public.trace()";

static inline void sql(const char *text)
{
    harness_do(superuser, text);
}

static inline int64_t number(const char *text)
{
    return harness_number(superuser, NULL, text);
}

#define HOLDS(condition) assert_int_equal(number("SELECT (" condition ")::int AS n"), 1)
#define STATE(v, state_name)                                                                                           \
    HOLDS("EXISTS (SELECT FROM berth.releases WHERE app_name = 'shop' AND number = " #v " AND state = '" state_name    \
          "')")

static inline void push_to(const char *app, const char *sha)
{
    static atomic_int deliveries;
    int id = ++deliveries;

    sql(arena_printf(mem,
                     "SELECT berth.intake('%s', 'd-%d', 'push', NULL, sha256('%d'), '{}', 'acme/%s',"
                     " (SELECT repository_id FROM berth.apps WHERE app_name = '%s'), 'main', '%s', 'Title', 'mara')",
                     app, id, id, app, app, sha));
}

static inline void push(const char *sha)
{
    push_to("shop", sha);
}

static inline int64_t claim(void)
{
    return number("SELECT coalesce((SELECT number FROM berth.claim('test', 60000)), 0) AS n");
}

/* As its worker takes it there, a step at a time. */
static inline void go_to(int release, const char *step)
{
    static const char *const steps[] = { "source", "identity", "build", "route", "rollout", "live" };

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        sql(arena_printf(mem,
                         "UPDATE berth.releases SET step = '%s' WHERE app_name = 'shop' AND number = %d"
                         " AND array_position(ARRAY['source','identity','build','route','rollout','live'], step) = %zu",
                         steps[i], release, i));
        if (strcmp(steps[i], step) == 0)
            return;
    }
}

static inline void go_live(int release)
{
    go_to(release, "live");
    sql(arena_printf(
        mem,
        "UPDATE berth.releases SET state = 'live', finished_at = now(), source_version = 's-%d',"
        " image_digest = 'sha256:' || repeat('%d', 64), task_definition_arn = 'arn:task:%d',"
        " lease_token = NULL, lease_until = NULL WHERE app_name = 'shop' AND number = %d;"
        "INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host)"
        " SELECT app_name, number, commit_sha, image_digest, task_definition_arn, 'h' FROM berth.releases"
        " WHERE app_name = 'shop' AND number = %d ON CONFLICT (app_name) DO UPDATE SET release = excluded.release,"
        " commit_sha = excluded.commit_sha, image_digest = excluded.image_digest",
        release, release, release, release, release));
}

static inline void end(int release, const char *state)
{
    sql(arena_printf(
        mem,
        "UPDATE berth.releases SET state = '%s', finished_at = now(), lease_token = NULL, lease_until = NULL"
        " WHERE app_name = 'shop' AND number = %d",
        state, release));
}

static inline void push_live(const char *sha, int release)
{
    push(sha);
    assert_int_equal(claim(), release);
    go_live(release);
}

static inline enum release_state state_named(const char *name)
{
    for (int i = 0; i < RELEASE_STATE_COUNT; i++)
        if (strcmp(release_state_name((enum release_state)i), name) == 0)
            return (enum release_state)i;
    fail_msg("no state %s", name);
    return RELEASE_STATE_COUNT;
}

static inline enum step_name step_named(const char *name)
{
    for (int i = 0; i < STEP_COUNT; i++)
        if (strcmp(step_name_text((enum step_name)i), name) == 0)
            return (enum step_name)i;
    fail_msg("no step %s", name);
    return STEP_COUNT;
}

/* Every transition that Postgres saw in the test is in the table of release_state.h. */
static inline void check_trace(void)
{
    int64_t count = number("SELECT count(*) AS n FROM public.trace");

    for (int64_t i = 0; i < count; i++) {
        int64_t id =
            number(arena_printf(mem, "SELECT id AS n FROM public.trace ORDER BY id OFFSET %ld LIMIT 1", (long)i));
        int states[2] = { 0 }, steps[2] = { 0 };
        for (int k = 0; k < 2; k++) {
            for (int s = 0; s < RELEASE_STATE_COUNT; s++)
                if (number(arena_printf(mem, "SELECT (state_%d = '%s')::int AS n FROM public.trace WHERE id = %ld", k,
                                        release_state_name((enum release_state)s), (long)id)))
                    states[k] = (int)state_named(release_state_name((enum release_state)s));
            for (int s = 0; s < STEP_COUNT; s++)
                if (number(arena_printf(mem, "SELECT (step_%d = '%s')::int AS n FROM public.trace WHERE id = %ld", k,
                                        step_name_text((enum step_name)s), (long)id)))
                    steps[k] = (int)step_named(step_name_text((enum step_name)s));
        }
        const struct release_place from = { (enum release_state)states[0], (enum step_name)steps[0] };
        const struct release_place to = { (enum release_state)states[1], (enum step_name)steps[1] };
        if (!release_may_move(from, to))
            fail_msg("a release went from %s in %s to %s in %s", release_state_name(from.state),
                     step_name_text(from.step), release_state_name(to.state), step_name_text(to.step));
    }
}

static inline int set_up(void **state)
{
    (void)state;
    mem = arena_new();
    sql("TRUNCATE berth.apps CASCADE; TRUNCATE berth.audit_log; TRUNCATE public.trace;"
        "INSERT INTO berth.apps (app_name, repository, repository_id, webhook_policy)"
        " VALUES ('shop', 'acme/shop', 1, 'github')");
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    check_trace();
    arena_free(mem);
    return 0;
}

static inline int open_all(void **state)
{
    (void)state;
    database = harness_database_new();
    superuser = harness_pool(database, HARNESS_SUPERUSER, THREADS);
    admin = harness_pool(database, HARNESS_ADMIN, THREADS);
    sql(trace);
    return 0;
}

static inline int close_all(void **state)
{
    (void)state;
    db_pool_free(admin);
    db_pool_free(superuser);
    harness_database_free(database);
    return 0;
}

#endif
