/* What operators and pushes do to an app's releases, on a real Postgres: who takes whose place, what a rollback carries, what a cancel ends, and races between them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/deploy/operation.h"
#include "core/deploy/pipeline.h"
#include "core/deploy/release_state.h"
#include "core/deploy/step_scope.h"
#include "core/deploy/worker.h"
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

static void sql(const char *text)
{
    harness_do(superuser, text);
}

static int64_t number(const char *text)
{
    return harness_number(superuser, NULL, text);
}

#define HOLDS(condition) assert_int_equal(number("SELECT (" condition ")::int AS n"), 1)
#define STATE(v, state_name)                                                                                           \
    HOLDS("EXISTS (SELECT FROM berth.releases WHERE app_name = 'shop' AND number = " #v " AND state = '" state_name    \
          "')")

static int set_up(void **state)
{
    (void)state;
    mem = arena_new();
    sql("TRUNCATE berth.apps CASCADE; TRUNCATE berth.audit_log; TRUNCATE public.trace;"
        "INSERT INTO berth.apps (app_name, repository, repository_id, webhook_policy)"
        " VALUES ('shop', 'acme/shop', 1, 'github')");
    return 0;
}

static void check_trace(void);

static int tear_down(void **state)
{
    (void)state;
    check_trace();
    arena_free(mem);
    return 0;
}

static void push_to(const char *app, const char *sha)
{
    static atomic_int deliveries;
    int id = ++deliveries;

    sql(arena_printf(mem,
                     "SELECT berth.intake('%s', 'd-%d', 'push', NULL, sha256('%d'), '{}', 'acme/%s',"
                     " (SELECT repository_id FROM berth.apps WHERE app_name = '%s'), 'main', '%s', 'Title', 'mara')",
                     app, id, id, app, app, sha));
}

static void push(const char *sha)
{
    push_to("shop", sha);
}

static int64_t claim(void)
{
    return number("SELECT coalesce((SELECT number FROM berth.claim('test', 60000)), 0) AS n");
}

/* As its worker takes it there, a step at a time. */
static void go_to(int release, const char *step)
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

static void go_live(int release)
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

static void end(int release, const char *state)
{
    sql(arena_printf(
        mem,
        "UPDATE berth.releases SET state = '%s', finished_at = now(), lease_token = NULL, lease_until = NULL"
        " WHERE app_name = 'shop' AND number = %d",
        state, release));
}

static void push_live(const char *sha, int release)
{
    push(sha);
    assert_int_equal(claim(), release);
    go_live(release);
}

/* The outcome of a rollback: its number, or minus the error's code. */
static int rollback(int to, int *went_to, struct err *e)
{
    int made = 0, target = to;

    *e = (struct err){ 0 };
    if (operation_rollback(admin, "shop", "ann", &target, &made, e))
        return -(int)e->code;
    if (went_to)
        *went_to = target;
    return made;
}

static int deploy(const char *sha)
{
    const struct github_commit commit = { .sha = sha, .title = "Again" };
    struct err e = { 0 };
    int made = 0;

    assert_int_equal(operation_deploy(admin, "shop", "ann", &commit, &made, &e), 0);
    return made;
}

static int cancel(struct cancelled *out, struct err *e)
{
    *e = (struct err){ 0 };
    return operation_cancel(admin, "shop", "ann", mem, out, e);
}

static enum release_state state_named(const char *name)
{
    for (int i = 0; i < RELEASE_STATE_COUNT; i++)
        if (strcmp(release_state_name((enum release_state)i), name) == 0)
            return (enum release_state)i;
    fail_msg("no state %s", name);
    return RELEASE_STATE_COUNT;
}

static enum step_name step_named(const char *name)
{
    for (int i = 0; i < STEP_COUNT; i++)
        if (strcmp(step_name_text((enum step_name)i), name) == 0)
            return (enum step_name)i;
    fail_msg("no step %s", name);
    return STEP_COUNT;
}

/* Every transition that Postgres saw in the test is in the table of release_state.h. */
static void check_trace(void)
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

/* Latest wins */

static void a_push_takes_the_place_of_those_that_are_queued(void **state)
{
    (void)state;
    push(SHA_A);
    assert_int_equal(claim(), 1);
    go_to(1, "rollout");
    push(SHA_B);

    push(SHA_C);

    STATE(1, "running");
    STATE(2, "superseded");
    STATE(3, "queued");
    HOLDS("EXISTS (SELECT FROM berth.release_events WHERE release = 2 AND kind = 'superseded'"
          " AND message = 'Superseded by v3.')");
    HOLDS("EXISTS (SELECT FROM berth.releases WHERE number = 2 AND halt_by = 3 AND finished_at IS NOT NULL)");
}

static void a_push_halts_one_that_has_not_come_to_its_rollout(void **state)
{
    static const char *const steps[] = { "source", "identity", "build", "route" };
    (void)state;

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int release = (int)i * 2 + 1;
        sql("UPDATE berth.releases SET state = 'failed', finished_at = now() WHERE state = 'running';"
            "UPDATE berth.releases SET state = 'cancelled', finished_at = now() WHERE state = 'queued'");
        push(SHA_A);
        assert_int_equal(claim(), release);
        go_to(release, steps[i]);
        sql("UPDATE berth.releases SET run_after = now() + interval '1 hour' WHERE state = 'running'");
        push(SHA_B);
        HOLDS("EXISTS (SELECT FROM berth.releases WHERE state = 'running' AND halt = 'supersede'"
              " AND halt_by = number + 1 AND run_after <= now())");
    }
}

static void one_in_its_rollout_finishes_first(void **state)
{
    (void)state;
    push(SHA_A);
    assert_int_equal(claim(), 1);
    go_to(1, "rollout");

    push(SHA_B);

    HOLDS("EXISTS (SELECT FROM berth.releases WHERE number = 1 AND state = 'running' AND halt IS NULL)");
    assert_int_equal(claim(), 0);
    go_live(1);
    assert_int_equal(claim(), 2);
}

/* The worker goes on to the next step in the very moment. */
static void a_halted_release_does_not_come_to_its_rollout(void **state)
{
    struct db_pool *workers = harness_pool(database, HARNESS_WORKER, 1);
    AUTO_ROWS struct db_rows *rows = NULL;
    struct err e = { 0 };
    (void)state;
    push(SHA_A);
    assert_int_equal(claim(), 1);
    go_to(1, "route");
    push(SHA_B);

    assert_int_equal(db_query_once(workers, "shop", QUERY_RELEASE_NEXT_STEP, &rows, &e, db_text("shop"), db_int(1),
                                   db_int(number("SELECT lease_token AS n FROM berth.releases WHERE number = 1")),
                                   db_text("rollout"), db_int(1000), db_text("route"), db_text("Done.")),
                     0);

    assert_int_equal(db_count(rows), 1);
    db_pool_free(workers);
    HOLDS("EXISTS (SELECT FROM berth.releases WHERE number = 1 AND step = 'route')");
    HOLDS("NOT EXISTS (SELECT FROM berth.release_events WHERE release = 1 AND kind = 'done')");
}

static void a_commit_may_come_back_when_its_release_was_superseded_or_cancelled(void **state)
{
    static const char *const ends[] = { "superseded", "cancelled", "failed" };
    (void)state;

    for (int i = 0; i < 3; i++) {
        push(SHA_A);
        assert_int_equal(claim(), i + 1);
        end(i + 1, ends[i]);
    }
    push_live(SHA_A, 4);
    push(SHA_A);

    assert_int_equal(number("SELECT count(*) AS n FROM berth.releases"), 4);
}

static void a_push_leaves_a_rollback_alone_and_goes_after_it(void **state)
{
    struct err e;
    (void)state;
    push_live(SHA_A, 1);
    push_live(SHA_B, 2);
    assert_int_equal(rollback(0, NULL, &e), 3);
    push(SHA_C);
    STATE(3, "queued");

    assert_int_equal(claim(), 3);
    push(SHA_A);

    HOLDS("EXISTS (SELECT FROM berth.releases WHERE number = 3 AND state = 'running' AND halt IS NULL)");
    STATE(4, "superseded");
    STATE(5, "queued");
}

/* An app that is pushed to again and again keeps its place in the queue, and takes nobody else's. */
static void an_app_that_is_pushed_to_all_the_time_starves_nobody_nor_itself(void **state)
{
    (void)state;
    sql("INSERT INTO berth.apps (app_name, repository, repository_id, webhook_policy) SELECT 'app-' || i, 'acme/app-' "
        "|| i,"
        " 10 + i, 'github' FROM generate_series(1, 5) i");
    push(SHA_A);
    for (int i = 1; i <= 5; i++)
        push_to(arena_printf(mem, "app-%d", i), SHA_A);

    for (int turn = 0; turn < 6; turn++) { /* one worker: each turn takes one up; before each there is another push */
        push(turn % 2 ? SHA_A : SHA_B);
        HOLDS("EXISTS (SELECT FROM berth.claim('test', 60000))");
    }

    assert_int_equal(number("SELECT count(DISTINCT app_name) AS n FROM berth.releases WHERE state = 'running'"), 6);
}

/* The branch's head decides */

static const char *follow(int release, const char *head, bool fresh)
{
    struct db_pool *workers = harness_pool(database, HARNESS_WORKER, 1);
    AUTO_ROWS struct db_rows *rows = NULL;
    struct err e = { 0 };
    char *verdict;

    int64_t token = number(arena_printf(mem, "SELECT lease_token AS n FROM berth.releases WHERE number = %d", release));
    if (db_query_once(workers, "shop", QUERY_RELEASE_FOLLOW_HEAD, &rows, &e, db_text("shop"), db_int(release),
                      db_int(token), db_text(head), db_bool(fresh)))
        fail_msg("%s", e.message);
    verdict = db_get_copy(rows, 0, "verdict", mem);
    db_pool_free(workers);
    return verdict;
}

static void the_head_s_own_release_goes_on_and_so_does_one_whose_head_nobody_has(void **state)
{
    (void)state;
    push(SHA_A);
    assert_int_equal(claim(), 1);

    assert_string_equal(follow(1, SHA_A, true), "go_on");
    assert_string_equal(follow(1, SHA_B, true), "go_on");
}

static void an_older_push_that_comes_late_gives_way_to_the_head_that_is_live(void **state)
{
    (void)state;
    push_live(SHA_B, 1);
    push(SHA_A);
    assert_int_equal(claim(), 2);
    assert_string_equal(follow(2, SHA_B, true), "wait"); /* GitHub may not show A yet */

    assert_string_equal(follow(2, SHA_B, false), "superseded");

    STATE(2, "superseded");
    HOLDS("EXISTS (SELECT FROM berth.release_events WHERE release = 2 AND kind = 'superseded'"
          " AND message = 'Superseded: the branch main is at bbbbbbb, which v1 is of.')");
    assert_int_equal(number("SELECT last_release AS n FROM berth.apps"), 2);
}

static void the_head_that_gave_way_to_a_late_older_push_is_deployed_after_all(void **state)
{
    (void)state;
    push(SHA_B);
    push(SHA_A);
    STATE(1, "superseded");
    assert_int_equal(claim(), 2);

    assert_string_equal(follow(2, SHA_B, false), "superseded");

    STATE(2, "superseded");
    HOLDS("EXISTS (SELECT FROM berth.releases WHERE number = 3 AND state = 'queued' AND commit_sha = '" SHA_B "'"
          " AND kind = 'push')");
    assert_int_equal(claim(), 3);
    assert_string_equal(follow(3, SHA_B, true), "go_on");
}

static void a_head_whose_place_an_operator_took_is_not_brought_back(void **state)
{
    struct err e;
    (void)state;
    push_live(SHA_A, 1);
    push_live(SHA_C, 2);
    push(SHA_B);
    assert_int_equal(rollback(1, NULL, &e), 4);
    STATE(3, "superseded");
    assert_int_equal(claim(), 4);
    go_live(4);
    push("dddddddddddddddddddddddddddddddddddddddd");
    assert_int_equal(claim(), 5);

    assert_string_equal(follow(5, SHA_B, false), "superseded");

    assert_int_equal(number("SELECT last_release AS n FROM berth.apps"), 5);
}

static void a_head_that_failed_stops_nobody(void **state)
{
    (void)state;
    push(SHA_B);
    assert_int_equal(claim(), 1);
    end(1, "failed");
    push(SHA_A);
    assert_int_equal(claim(), 2);

    assert_string_equal(follow(2, SHA_B, false), "go_on");
}

static void a_branch_that_is_gone_ends_its_release(void **state)
{
    (void)state;
    push(SHA_A);
    assert_int_equal(claim(), 1);
    assert_string_equal(follow(1, NULL, true), "wait");

    assert_string_equal(follow(1, NULL, false), "superseded");

    HOLDS("EXISTS (SELECT FROM berth.release_events WHERE kind = 'superseded'"
          " AND message = 'Superseded: the branch main is gone from acme/shop.')");
}

static void who_lost_the_lease_decides_nothing(void **state)
{
    struct db_pool *workers = harness_pool(database, HARNESS_WORKER, 1);
    AUTO_ROWS struct db_rows *rows = NULL;
    struct err e = { 0 };
    (void)state;
    push_live(SHA_B, 1);
    push(SHA_A);
    assert_int_equal(claim(), 2);

    assert_int_equal(db_query_once(workers, "shop", QUERY_RELEASE_FOLLOW_HEAD, &rows, &e, db_text("shop"), db_int(2),
                                   db_int(1), db_text(SHA_B), db_bool(false)),
                     0);

    assert_string_equal(db_get(rows, 0, "verdict"), "lost");
    db_pool_free(workers);
    STATE(2, "running");
}

/* Rollback */

static void a_rollback_that_can_t_be_is_refused_with_what_to_do(void **state)
{
    struct err e;
    (void)state;
    assert_int_equal(rollback(0, NULL, &e), -ERR_INVALID); /* nothing was live */
    assert_int_equal(rollback(4, NULL, &e), -ERR_NOT_FOUND);
    push_live(SHA_A, 1);
    assert_int_equal(rollback(0, NULL, &e), -ERR_INVALID);  /* nothing before it */
    assert_int_equal(rollback(1, NULL, &e), -ERR_CONFLICT); /* it is live */
    push(SHA_B);
    assert_int_equal(claim(), 2);
    end(2, "failed");
    assert_int_equal(rollback(2, NULL, &e), -ERR_INVALID); /* never went live */
    assert_non_null(strstr(e.message, "never went live (it is failed)"));
    assert_true(e.hint[0] != '\0');
    sql("UPDATE berth.apps SET state = 'deleting'");
    assert_int_equal(rollback(1, NULL, &e), -ERR_CONFLICT);
    assert_int_equal(operation_rollback(admin, "nobody", "ann", &(int){ 1 }, &(int){ 0 }, &e), ERR_NOT_FOUND);

    assert_int_equal(number("SELECT count(*) AS n FROM berth.releases"), 2);
    assert_int_equal(number("SELECT count(*) AS n FROM berth.audit_log"), 0);
}

static void a_rollback_carries_the_old_image_and_begins_behind_the_build(void **state)
{
    struct err e;
    int to = 0;
    (void)state;
    push_live(SHA_A, 1);
    push_live(SHA_B, 2);

    assert_int_equal(rollback(0, &to, &e), 3);

    assert_int_equal(to, 1);
    HOLDS("EXISTS (SELECT FROM berth.releases WHERE number = 3 AND kind = 'rollback' AND state = 'queued' AND step = "
          "'route'"
          " AND rollback_to = 1 AND image_digest = 'sha256:' || repeat('1', 64) AND source_version = 's-1'"
          " AND commit_sha = '" SHA_A "' AND pushed_by = 'ann' AND task_definition_arn IS NULL)");
    HOLDS("EXISTS (SELECT FROM berth.audit_log WHERE actor = 'ann' AND action = 'app.rollback' AND app_name = 'shop'"
          " AND before = '{\"live\": 2}' AND after = '{\"release\": 3, \"rollback_to\": 1}')");
    assert_int_equal(claim(), 3);
    go_live(3);
    assert_int_equal(rollback(1, NULL, &e), -ERR_CONFLICT); /* v3 is v1 */
    assert_int_equal(rollback(0, &to, &e), 4);
    assert_int_equal(to, 2);
}

static void a_rollback_takes_the_place_of_everything_before_it(void **state)
{
    struct err e;
    (void)state;
    push_live(SHA_A, 1);
    push_live(SHA_B, 2);
    push(SHA_C);
    assert_int_equal(claim(), 3);
    go_to(3, "build");
    assert_int_equal(deploy(SHA_A), 4);

    assert_int_equal(rollback(1, NULL, &e), 5);

    HOLDS("EXISTS (SELECT FROM berth.releases WHERE number = 3 AND state = 'running' AND halt = 'supersede' AND "
          "halt_by = 4)");
    STATE(4, "superseded");
    STATE(5, "queued");
}

static void during_a_rollout_the_one_before_is_not_guessed(void **state)
{
    struct err e;
    (void)state;
    push_live(SHA_A, 1);
    push_live(SHA_B, 2);
    push(SHA_C);
    assert_int_equal(claim(), 3);
    go_to(3, "rollout");

    assert_int_equal(rollback(0, NULL, &e), -ERR_CONFLICT);
    assert_non_null(strstr(e.hint, "berth cancel shop"));
    assert_int_equal(rollback(1, NULL, &e), 4);
}

struct racer {
    int (*what)(struct racer *racer);
    int to, made;
    struct err e;
};

static void *race(void *context)
{
    struct racer *racer = context;

    racer->what(racer);
    return NULL;
}

static int race_rollback(struct racer *racer)
{
    return operation_rollback(admin, "shop", "ann", &racer->to, &racer->made, &racer->e);
}

static int race_push(struct racer *racer)
{
    AUTO_ARENA struct arena *own = arena_new();
    harness_do(superuser,
               arena_printf(own,
                            "SELECT berth.intake('shop', 'r-%d', 'push', NULL, sha256('r%d'), '{}', 'acme/shop', 1,"
                            " 'main', lpad(to_hex(%d), 40, '0'), 'T', 'mara')",
                            racer->to, racer->to, racer->to));
    return 0;
}

static void run_race(struct racer *racers, int count)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static void of_many_equal_rollbacks_at_once_one_is_made(void **state)
{
    struct racer racers[THREADS];
    int made = 0;
    (void)state;
    push_live(SHA_A, 1);
    push_live(SHA_B, 2);
    for (int i = 0; i < THREADS; i++)
        racers[i] = (struct racer){ .what = race_rollback };

    run_race(racers, THREADS);

    for (int i = 0; i < THREADS; i++) {
        made += racers[i].made == 3;
        assert_true(racers[i].made == 3 || racers[i].e.code == ERR_CONFLICT);
    }
    assert_int_equal(made, 1);
    assert_int_equal(number("SELECT count(*) AS n FROM berth.releases"), 3);
}

static void pushes_during_a_rollback_leave_it_and_the_newest_of_them(void **state)
{
    struct racer racers[THREADS];
    (void)state;
    push_live(SHA_A, 1);
    push_live(SHA_B, 2);
    racers[0] = (struct racer){ .what = race_rollback, .to = 1 };
    for (int i = 1; i < THREADS; i++)
        racers[i] = (struct racer){ .what = race_push, .to = 1000 + i };

    run_race(racers, THREADS);

    assert_int_equal(number("SELECT last_release AS n FROM berth.apps"), 2 + THREADS);
    HOLDS("(SELECT state FROM berth.releases WHERE kind = 'rollback') = 'queued'");
    HOLDS("(SELECT count(*) FROM berth.releases WHERE state = 'queued' AND kind = 'push') <= 1");
    HOLDS("NOT EXISTS (SELECT FROM berth.releases s WHERE s.state = 'superseded' AND s.number > s.halt_by)");
    HOLDS("(SELECT max(number) FROM berth.releases) = (SELECT max(number) FROM berth.releases WHERE state = 'queued')");
}

/* Cancel */

static void with_nothing_under_way_there_is_nothing_to_cancel(void **state)
{
    struct cancelled done = { 0 };
    struct err e;
    (void)state;

    assert_int_equal(cancel(&done, &e), ERR_CONFLICT);
    push_live(SHA_A, 1);
    assert_int_equal(cancel(&done, &e), ERR_CONFLICT);
    assert_non_null(strstr(e.message, "went live already"));

    assert_int_equal(number("SELECT count(*) AS n FROM berth.audit_log"), 0);
}

static void a_cancel_ends_what_is_queued_and_halts_what_runs_and_may_be_repeated(void **state)
{
    struct cancelled done = { 0 };
    struct err e;
    (void)state;
    push_live(SHA_A, 1);
    push(SHA_B);
    assert_int_equal(claim(), 2);
    go_to(2, "rollout");
    push(SHA_C);

    for (int i = 0; i < 2; i++) {
        assert_int_equal(cancel(&done, &e), 0);
        assert_int_equal(done.running, 2);
        assert_int_equal(done.live, 1);
        assert_int_equal(done.count, i == 0 ? 2 : 1);
    }

    STATE(3, "cancelled");
    HOLDS("EXISTS (SELECT FROM berth.releases WHERE number = 2 AND state = 'running' AND halt = 'cancel')");
    assert_int_equal(number("SELECT count(*) AS n FROM berth.release_events WHERE message = 'ann asked to cancel it.'"),
                     1);
    end(2, "cancelled");
    assert_int_equal(cancel(&done, &e), ERR_NONE);
    assert_int_equal(done.numbers[0], 3);
}

static void a_cancel_takes_over_what_was_to_give_way(void **state)
{
    struct cancelled done = { 0 };
    struct err e;
    (void)state;
    push(SHA_A);
    assert_int_equal(claim(), 1);
    push(SHA_B);

    assert_int_equal(cancel(&done, &e), 0);

    HOLDS("EXISTS (SELECT FROM berth.releases WHERE number = 1 AND halt = 'cancel' AND halt_by IS NULL)");
    STATE(2, "cancelled");
}

/* Real workers */

static atomic_int in_build;

static int is_done(struct step_run *run, enum step_answer *answer, struct err *e)
{
    (void)run, (void)e;
    *answer = STEP_DONE;
    return 0;
}

static int takes_a_while(struct step_run *run, enum step_answer *answer, struct err *e)
{
    (void)e;
    in_build++;
    *answer = run->release.waits < 3 ? STEP_WAIT : STEP_DONE;
    return 0;
}

static int has_rolled_out(struct step_run *run, enum step_answer *answer, struct err *e)
{
    static const struct release_facts facts = {
        .image_digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111",
        .task_definition_arn = "arn:aws:ecs:eu-central-1:123456789012:task-definition/berth-shop:1",
    };

    *answer = STEP_DONE;
    return release_set(run, &facts, e);
}

static int goes_live(struct step_run *run, enum step_answer *answer, struct err *e)
{
    *answer = STEP_DONE;
    return live_commit(run, e);
}

static const struct pipeline_step steps[STEP_COUNT] = {
    [STEP_SOURCE] = { .name = "source", .ensure = is_done, .next = STEP_IDENTITY, .poll_s = 1, .give_up_s = 60 },
    [STEP_IDENTITY] = { .name = "identity", .ensure = is_done, .next = STEP_BUILD, .poll_s = 1, .give_up_s = 60 },
    [STEP_BUILD] = { .name = "build", .ensure = takes_a_while, .next = STEP_ROUTE, .poll_s = 1, .give_up_s = 60 },
    [STEP_ROUTE] = { .name = "route", .ensure = is_done, .next = STEP_ROLLOUT, .poll_s = 1, .give_up_s = 60 },
    [STEP_ROLLOUT] = { .name = "rollout", .ensure = has_rolled_out, .next = STEP_LIVE, .poll_s = 1, .give_up_s = 60 },
    [STEP_LIVE] = { .name = "live", .ensure = goes_live, .next = STEP_LIVE, .poll_s = 1, .give_up_s = 60 },
};

static const struct settings settings = { .domain = "apps.example.test", .worker_lease_s = 150 };

static void *drain(void *context)
{
    struct db_pool *pool = harness_pool(database, HARNESS_WORKER, 4);
    const struct worker_options options = {
        .settings = &settings, .db = pool, .threads = 3, .drain = true, .steps = steps
    };
    struct err *e = context;
    int never[2];

    assert_int_equal(pipe(never), 0);
    worker_run(&options, never[0], e);
    close(never[0]);
    close(never[1]);
    db_pool_free(pool);
    return NULL;
}

static void workers_end_what_is_halted_and_go_on_with_the_newest(void **state)
{
    pthread_t thread;
    struct err e = { 0 };
    (void)state;
    in_build = 0;
    push(SHA_A);
    assert_int_equal(pthread_create(&thread, NULL, drain, &e), 0);
    for (int i = 0; in_build == 0 && i < 2000; i++)
        usleep(5000);

    push(SHA_B);
    push(SHA_C);
    pthread_join(thread, NULL);

    assert_int_equal(e.code, 0);
    STATE(1, "superseded");
    STATE(3, "live");
    HOLDS("(SELECT release FROM berth.deployments) = 3");
    HOLDS("(SELECT state FROM berth.releases WHERE number = 2) = 'superseded'");
}

/* However it falls out, each release has one end, and what is live is what its state says. */
static void a_cancel_at_any_moment_leaves_one_true_end(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        struct cancelled done = { 0 };
        struct err e = { 0 }, refused = { 0 };
        pthread_t thread;
        push(i % 2 ? SHA_A : SHA_B);
        assert_int_equal(pthread_create(&thread, NULL, drain, &e), 0);
        usleep((useconds_t)(i * 150000));
        cancel(&done, &refused);
        pthread_join(thread, NULL);
        assert_int_equal(e.code, 0);
        HOLDS("NOT EXISTS (SELECT FROM berth.releases WHERE state IN ('queued', 'running'))");
        HOLDS("coalesce((SELECT release FROM berth.deployments), 0)"
              " = coalesce((SELECT max(number) FROM berth.releases WHERE state = 'live'), 0)");
        if (refused.code)
            HOLDS("(SELECT state FROM berth.releases ORDER BY number DESC LIMIT 1) IN ('live', 'cancelled')");
    }
    HOLDS("EXISTS (SELECT FROM berth.releases WHERE state = 'cancelled')");
    HOLDS("NOT EXISTS (SELECT FROM berth.releases WHERE state NOT IN ('live', 'cancelled'))");
}

static int open_all(void **state)
{
    (void)state;
    database = harness_database_new();
    superuser = harness_pool(database, HARNESS_SUPERUSER, THREADS);
    admin = harness_pool(database, HARNESS_ADMIN, THREADS);
    sql(trace);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    db_pool_free(admin);
    db_pool_free(superuser);
    harness_database_free(database);
    return 0;
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_push_takes_the_place_of_those_that_are_queued),
        TEST(a_push_halts_one_that_has_not_come_to_its_rollout),
        TEST(one_in_its_rollout_finishes_first),
        TEST(a_halted_release_does_not_come_to_its_rollout),
        TEST(a_commit_may_come_back_when_its_release_was_superseded_or_cancelled),
        TEST(a_push_leaves_a_rollback_alone_and_goes_after_it),
        TEST(an_app_that_is_pushed_to_all_the_time_starves_nobody_nor_itself),
        TEST(the_head_s_own_release_goes_on_and_so_does_one_whose_head_nobody_has),
        TEST(an_older_push_that_comes_late_gives_way_to_the_head_that_is_live),
        TEST(the_head_that_gave_way_to_a_late_older_push_is_deployed_after_all),
        TEST(a_head_whose_place_an_operator_took_is_not_brought_back),
        TEST(a_head_that_failed_stops_nobody),
        TEST(a_branch_that_is_gone_ends_its_release),
        TEST(who_lost_the_lease_decides_nothing),
        TEST(a_rollback_that_can_t_be_is_refused_with_what_to_do),
        TEST(a_rollback_carries_the_old_image_and_begins_behind_the_build),
        TEST(a_rollback_takes_the_place_of_everything_before_it),
        TEST(during_a_rollout_the_one_before_is_not_guessed),
        TEST(of_many_equal_rollbacks_at_once_one_is_made),
        TEST(pushes_during_a_rollback_leave_it_and_the_newest_of_them),
        TEST(with_nothing_under_way_there_is_nothing_to_cancel),
        TEST(a_cancel_ends_what_is_queued_and_halts_what_runs_and_may_be_repeated),
        TEST(a_cancel_takes_over_what_was_to_give_way),
        TEST(workers_end_what_is_halted_and_go_on_with_the_newest),
        TEST(a_cancel_at_any_moment_leaves_one_true_end),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, open_all, close_all);
}
