/* What an operator does to an app's releases, on a real Postgres: what a rollback carries, what a cancel ends, and races between them and pushes. */
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
#include "core/deploy/steps/step_scope.h"
#include "core/deploy/worker.h"
#include "tests/db/releases.h"

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
    return operation_cancel(admin, "shop", "ann", NULL, mem, out, e);
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
    sql("UPDATE berth.releases SET pruned_at = now() WHERE number = 2");
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
          " AND before = '{\"live\": 2}' AND after = '{\"live\": 2, \"release\": 3, \"rollback_to\": 1}')");
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

static int redeploy(int live, struct err *e)
{
    const struct github_commit commit = { .sha = SHA_A, .title = "Again" };
    int made = 0;

    *e = (struct err){ 0 };
    return operation_redeploy(admin, "shop", "ann", live, &commit, &made, e) ? -(int)e->code : made;
}

static void a_redeploy_of_what_is_live_undoes_nothing_newer(void **state)
{
    struct cancelled done = { 0 };
    struct err e;
    (void)state;
    assert_int_equal(redeploy(0, &e), 1); /* nothing is live, and that was known */
    assert_int_equal(claim(), 1);
    go_to(1, "rollout");
    assert_int_equal(redeploy(0, &e), -ERR_CONFLICT);
    assert_string_equal(e.message, "v1 of shop is on its way, with these settings");
    go_live(1);

    assert_int_equal(redeploy(0, &e), -ERR_CONFLICT);
    assert_string_equal(e.message, "v1 of shop went live meanwhile, with these settings");
    sql("UPDATE berth.apps SET port = port + 1");
    assert_int_equal(redeploy(0, &e), -ERR_CONFLICT);
    assert_string_equal(e.message, "v1 of shop went live meanwhile, with the settings that it was queued with");
    push(SHA_B);
    sql("UPDATE berth.apps SET port = port + 1");
    assert_int_equal(redeploy(1, &e), -ERR_CONFLICT);
    assert_string_equal(e.message, "v2 of shop is on its way, with the settings that it was queued with");
    STATE(2, "queued");

    assert_int_equal(claim(), 2);
    assert_int_equal(cancel(&done, &e), 0); /* what is being cancelled is nobody's newer release */
    assert_int_equal(redeploy(1, &e), 3);
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
        assert_int_equal(done.all.count, i == 0 ? 2 : 1);
    }

    STATE(3, "cancelled");
    HOLDS("EXISTS (SELECT FROM berth.releases WHERE number = 2 AND state = 'running' AND halt = 'cancel')");
    assert_int_equal(number("SELECT count(*) AS n FROM berth.release_events WHERE message = 'ann asked to cancel it.'"),
                     1);
    end(2, "cancelled");
    assert_int_equal(cancel(&done, &e), ERR_NONE);
    assert_int_equal(done.all.of[0], 3);
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

static int cancel_named(const char *list, struct cancelled *out, struct err *e)
{
    struct release_numbers named = { 0 };

    *e = (struct err){ 0 };
    assert_true(release_numbers_parse(list, mem, &named));
    return operation_cancel(admin, "shop", "ann", &named, mem, out, e);
}

static void only_what_was_named_is_cancelled(void **state)
{
    struct cancelled done = { 0 };
    struct err e;
    (void)state;
    push_live(SHA_A, 1);
    push(SHA_B);
    assert_int_equal(claim(), 2);
    go_to(2, "rollout");
    push(SHA_C);

    assert_int_equal(cancel_named("2", &done, &e), ERR_CONFLICT);
    assert_string_equal(e.message, "shop has v2 and v3 under way by now, so nothing was cancelled");
    assert_string_equal(e.hint, "v2 was to be cancelled: look at what is under way now, and cancel that.");
    assert_int_equal(cancel_named("", &done, &e), ERR_CONFLICT);
    assert_int_equal(cancel_named("2,4", &done, &e), ERR_CONFLICT);
    assert_int_equal(cancel_named("2,3,4", &done, &e), ERR_NOT_FOUND);
    STATE(3, "queued");
    HOLDS("(SELECT halt FROM berth.releases WHERE number = 2) IS NULL");
    assert_int_equal(number("SELECT count(*) AS n FROM berth.audit_log"), 0);

    /* A second press of the same button finds it done. */
    for (int i = 0; i < 2; i++)
        assert_int_equal(cancel_named("2,3", &done, &e), 0);
    STATE(3, "cancelled");
    HOLDS("(SELECT halt FROM berth.releases WHERE number = 2) = 'cancel'");
}

static void what_came_to_another_end_than_its_cancel_is_told_and_nothing_cancelled(void **state)
{
    struct cancelled done = { 0 };
    struct err e;
    (void)state;
    push(SHA_A);
    assert_int_equal(claim(), 1);
    go_to(1, "rollout");
    push(SHA_B);
    go_live(1);

    assert_int_equal(cancel_named("1,2", &done, &e), ERR_CONFLICT);

    assert_string_equal(e.message, "v1 of shop went live already, so nothing was cancelled");
    STATE(2, "queued");
    assert_int_equal(cancel_named("2", &done, &e), 0);
    assert_int_equal(done.all.count, 1);
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

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_rollback_that_can_t_be_is_refused_with_what_to_do),
        TEST(a_rollback_carries_the_old_image_and_begins_behind_the_build),
        TEST(a_rollback_takes_the_place_of_everything_before_it),
        TEST(during_a_rollout_the_one_before_is_not_guessed),
        TEST(of_many_equal_rollbacks_at_once_one_is_made),
        TEST(pushes_during_a_rollback_leave_it_and_the_newest_of_them),
        TEST(a_redeploy_of_what_is_live_undoes_nothing_newer),
        TEST(with_nothing_under_way_there_is_nothing_to_cancel),
        TEST(a_cancel_ends_what_is_queued_and_halts_what_runs_and_may_be_repeated),
        TEST(a_cancel_takes_over_what_was_to_give_way),
        TEST(only_what_was_named_is_cancelled),
        TEST(what_came_to_another_end_than_its_cancel_is_told_and_nothing_cancelled),
        TEST(workers_end_what_is_halted_and_go_on_with_the_newest),
        TEST(a_cancel_at_any_moment_leaves_one_true_end),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, open_all, close_all);
}
