/* Workers on a real Postgres: whose turn it is, what follows from a step, and who goes on when a worker stops or dies. The steps are a test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/deploy/move.h"
#include "core/deploy/pipeline.h"
#include "core/deploy/steps/step_scope.h"
#include "core/deploy/worker.h"
#include "tests/db/harness.h"
#include "tests/unit/support_transport.h"

enum { STARTS_MAX = 4096, PATIENCE_MS = 20000 };

typedef int step_function(struct step_run *run, enum step_answer *answer, struct err *e);

static struct harness_database *database;
static struct db_pool *superuser;

/* What the steps of the running test did. */
static struct {
    pthread_mutex_t mutex;
    step_function *build;        /* the one step whose behaviour a test chooses */
    char starts[STARTS_MAX][40]; /* "shop 1 source" in the order they began */
    int start_count;
    atomic_int calls, release_gate, at_gate, running_at_once, most_at_once;
} seen = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void note_start(const struct step_run *run)
{
    pthread_mutex_lock(&seen.mutex);
    assert_true(seen.start_count < STARTS_MAX);
    snprintf(seen.starts[seen.start_count++], sizeof seen.starts[0], "%s %d %s", run->app.name, run->release.number,
             step_name_text(run->release.step));
    pthread_mutex_unlock(&seen.mutex);
}

static int is_done(struct step_run *run, enum step_answer *answer, struct err *e)
{
    (void)e;
    note_start(run);
    *answer = STEP_DONE;
    return 0;
}

static int chosen(struct step_run *run, enum step_answer *answer, struct err *e)
{
    note_start(run);
    seen.calls++;
    return seen.build ? seen.build(run, answer, e) : (*answer = STEP_DONE, 0);
}

static int has_rolled_out(struct step_run *run, enum step_answer *answer, struct err *e)
{
    static const struct release_facts facts = {
        .image_digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111",
        .task_definition_arn = "arn:aws:ecs:eu-central-1:123456789012:task-definition/berth-shop:1",
    };

    note_start(run);
    *answer = STEP_DONE;
    return release_set(run, &facts, e);
}

static int goes_live(struct step_run *run, enum step_answer *answer, struct err *e)
{
    *answer = STEP_DONE;
    return live_commit(run, e);
}

static struct pipeline_step steps[STEP_COUNT] = {
    [STEP_SOURCE] = { "source", is_done, STEP_IDENTITY, 1, 60, NULL },
    [STEP_IDENTITY] = { "identity", is_done, STEP_BUILD, 1, 60, NULL },
    [STEP_BUILD] = { "build", chosen, STEP_ROUTE, 1, 60, NULL },
    [STEP_ROUTE] = { "route", is_done, STEP_ROLLOUT, 1, 60, NULL },
    [STEP_ROLLOUT] = { "rollout", has_rolled_out, STEP_LIVE, 1, 60, NULL },
    [STEP_LIVE] = { "live", goes_live, STEP_LIVE, 1, 60, NULL },
};

static const struct settings settings = { .domain = "apps.example.test", .worker_lease_s = 150 };

/* A worker on a thread of its own, or a drain on this one. */
struct running {
    struct db_pool *pool;
    struct worker_options options;
    int stop[2];
    pthread_t thread;
    int code;
    struct err e;
};

static void *run_worker(void *context)
{
    struct running *running = context;

    running->code = worker_run(&running->options, running->stop[0], &running->e);
    return NULL;
}

static void prepare(struct running *running, int threads, bool drain)
{
    *running = (struct running){ .pool = harness_pool(database, HARNESS_WORKER, threads + 1) };
    running->options = (struct worker_options){
        .settings = &settings, .db = running->pool, .threads = threads, .drain = drain, .steps = steps
    };
    assert_int_equal(pipe(running->stop), 0);
}

static void finish(struct running *running)
{
    close(running->stop[0]);
    close(running->stop[1]);
    db_pool_free(running->pool);
    if (running->code)
        fail_msg("the worker ended: %s", running->e.message);
}

static void drain(int threads)
{
    struct running running;

    prepare(&running, threads, true);
    run_worker(&running);
    finish(&running);
}

static void start(struct running *running, int threads)
{
    prepare(running, threads, false);
    assert_int_equal(pthread_create(&running->thread, NULL, run_worker, running), 0);
}

static void ask_to_stop(struct running *running)
{
    assert_int_equal(write(running->stop[1], "x", 1), 1);
}

static void stop(struct running *running)
{
    ask_to_stop(running);
    pthread_join(running->thread, NULL);
    finish(running);
}

static void sleep_ms(int ms)
{
    clock_sleep_ms(&clock_system, ms);
}

static int64_t count(const char *sql)
{
    return harness_number(superuser, NULL, sql);
}

static void wait_until(const char *sql)
{
    for (int waited = 0; count(sql) == 0; waited += 20) {
        if (waited > PATIENCE_MS)
            fail_msg("still not so: %s", sql);
        sleep_ms(20);
    }
}

static void add_app(const char *app)
{
    char sql[512];

    snprintf(sql, sizeof sql,
             "INSERT INTO berth.apps (app_name, repository, webhook_policy) VALUES ('%s', 'acme/%s', 'github')", app,
             app);
    harness_do(superuser, sql);
}

static void add_release(const char *app, int number)
{
    char sql[512];

    snprintf(
        sql, sizeof sql,
        "INSERT INTO berth.releases (app_name, number, kind, commit_sha) VALUES ('%s', %d, 'push', repeat('%x', 40))",
        app, number, number % 16);
    harness_do(superuser, sql);
}

static atomic_int abandoned;

static int clear(void **state)
{
    (void)state;
    harness_do(superuser,
               "TRUNCATE berth.apps, berth.releases, berth.release_events, berth.deployments, berth.intents CASCADE");
    seen.build = NULL;
    seen.start_count = 0;
    seen.calls = seen.release_gate = seen.at_gate = seen.running_at_once = seen.most_at_once = 0;
    steps[STEP_BUILD].give_up_s = 60;
    steps[STEP_BUILD].abandon = NULL;
    abandoned = 0;
    return 0;
}

static int refused(struct step_run *run, enum step_answer *answer, struct err *e)
{
    (void)run, (void)answer;
    err_set(e, ERR_INVALID, "there is no Dockerfile at the top of the repository");
    return err_hint(e, "Add one.");
}

static void a_refused_step_fails_the_release_and_tells_why(void **state)
{
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    seen.build = refused;

    drain(1);

    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'failed' AND step = 'build'"
                           " AND error = 'there is no Dockerfile at the top of the repository' AND hint = 'Add one.'"
                           " AND finished_at IS NOT NULL AND lease_token IS NULL"),
                     1);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.release_events WHERE kind = 'failed' AND step = 'build'"
                           " AND message LIKE 'there is no Dockerfile%'"),
                     1);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.deployments"), 0);
}

static int fails_twice(struct step_run *run, enum step_answer *answer, struct err *e)
{
    *answer = STEP_DONE;
    if (run->release.attempt != seen.calls)
        return err_set(e, ERR_INTERNAL, "attempt %d at call %d", run->release.attempt, seen.calls);
    return seen.calls <= 2 ? err_set(e, ERR_THROTTLED, "rate exceeded") : 0;
}

static void a_step_that_may_be_tried_again_is_and_the_timeline_says_so_once(void **state)
{
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    seen.build = fails_twice;

    drain(1);

    assert_int_equal(seen.calls, 3);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'live' AND error IS NULL"), 1);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.release_events WHERE kind = 'retry'"), 1);
}

static int waits_thrice(struct step_run *run, enum step_answer *answer, struct err *e)
{
    if (run->release.attempt != 1 || run->release.waits != seen.calls - 1)
        return err_set(e, ERR_INTERNAL, "attempt %d after %d waits at call %d", run->release.attempt,
                       run->release.waits, seen.calls);
    *answer = seen.calls <= 3 ? STEP_WAIT : STEP_DONE;
    return 0;
}

static void waiting_is_no_failed_try(void **state)
{
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    seen.build = waits_thrice;

    drain(1);

    assert_int_equal(seen.calls, 4);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'live'"), 1);
}

static int always_waits(struct step_run *run, enum step_answer *answer, struct err *e)
{
    (void)run, (void)e;
    *answer = STEP_WAIT;
    return 0;
}

static void a_step_that_waits_for_too_long_is_given_up(void **state)
{
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    seen.build = always_waits;
    steps[STEP_BUILD].give_up_s = 1;

    drain(1);

    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'failed'"
                           " AND error LIKE 'the step build was still waiting after %' AND hint IS NOT NULL"),
                     1);
}

static int always_away(struct step_run *run, enum step_answer *answer, struct err *e)
{
    (void)run, (void)answer;
    return err_set(e, ERR_TRANSIENT, "AWS is away \xff\x01");
}

static void a_step_that_fails_for_too_long_is_given_up_with_its_last_words(void **state)
{
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    seen.build = always_away;
    steps[STEP_BUILD].give_up_s = 1;

    drain(1);

    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'failed'"
                           " AND error LIKE 'AWS is away % (given up after %)'"),
                     1);
}

static int abandons(struct step_run *run, struct err *e)
{
    (void)run, (void)e;
    abandoned++;
    return 0;
}

static int cannot_abandon(struct step_run *run, struct err *e)
{
    (void)run;
    abandoned++;
    return err_set(e, ERR_DENIED, "codebuild StopBuild: not allowed");
}

static void a_release_that_fails_leaves_nothing_of_its_step_running(void **state)
{
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    seen.build = refused;
    steps[STEP_BUILD].abandon = abandons;

    drain(1);

    assert_int_equal(abandoned, 1);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'failed'"), 1);
}

static void what_can_t_be_ended_is_said_in_the_failure(void **state)
{
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    seen.build = refused;
    steps[STEP_BUILD].abandon = cannot_abandon;

    drain(1);

    assert_int_equal(
        count("SELECT count(*) AS n FROM berth.releases WHERE state = 'failed' AND error LIKE 'there is no "
              "Dockerfile%. What it had started may still run: codebuild StopBuild: not allowed'"),
        1);
}

static int ended_already(struct step_run *run, enum step_answer *answer, struct err *e)
{
    run->cleared = true;
    return refused(run, answer, e);
}

static void what_has_ended_by_itself_is_not_ended_again(void **state)
{
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    seen.build = ended_already;
    steps[STEP_BUILD].abandon = abandons;

    drain(1);

    assert_int_equal(abandoned, 0);
}

static void a_release_that_brings_its_workers_down_is_given_up(void **state)
{
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    harness_do(superuser, "UPDATE berth.releases SET state = 'running', step = 'build', claims = 8, lease_token = 5,"
                          " lease_until = now() - interval '1 second', step_started_at = now()");
    steps[STEP_BUILD].abandon = abandons;

    drain(1);

    assert_int_equal(seen.calls, 0);
    assert_int_equal(abandoned, 1);
    assert_int_equal(
        count("SELECT count(*) AS n FROM berth.releases WHERE state = 'failed' AND error LIKE"
              " 'v1 was given up in the step build: 8 workers in a row ended or froze%' AND hint IS NOT NULL"),
        1);
}

static void workers_that_get_somewhere_are_not_counted(void **state)
{
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    harness_do(superuser, "UPDATE berth.releases SET state = 'running', step = 'build', claims = 7, lease_token = 5,"
                          " lease_until = now() - interval '1 second', step_started_at = now()");
    seen.build = waits_thrice;

    drain(1);

    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'live'"), 1);
}

static int is_throttled_with_another_request_id(struct step_run *run, enum step_answer *answer, struct err *e)
{
    *answer = STEP_DONE;
    return seen.calls > 3 ? 0
                          : err_set(e, ERR_QUOTA, "after %d tries: codebuild StartBuild: full (HTTP 400, request r-%d)",
                                    run->release.attempt, run->release.attempt);
}

static void a_limit_that_lasts_is_told_once_whatever_its_request_id(void **state)
{
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    seen.build = is_throttled_with_another_request_id;

    drain(1);

    assert_int_equal(seen.calls, 4);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.release_events WHERE kind = 'retry'"), 1);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'live'"), 1);
}

static int waits_for_the_poller(struct step_run *run, enum step_answer *answer, struct err *e)
{
    (void)e;
    run->waits_for = WAITS_FOR_BUILD;
    *answer = seen.calls > 1 ? STEP_DONE : STEP_WAIT;
    return 0;
}

static void a_release_that_the_poller_watches_does_not_look_by_itself_until_it_is_woken(void **state)
{
    struct running running;
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    seen.build = waits_for_the_poller;
    start(&running, 1);
    wait_until("SELECT count(*) AS n FROM berth.releases WHERE waits_for = 'build' AND lease_token IS NULL");
    sleep_ms(1500);
    assert_int_equal(seen.calls, 1);

    harness_do(superuser, "SELECT berth.wake_releases('build', ARRAY['shop'], ARRAY[1])");

    wait_until("SELECT count(*) AS n FROM berth.releases WHERE state = 'live'");
    stop(&running);
}

static void an_app_s_releases_run_one_after_the_other_in_their_order(void **state)
{
    char expected[40];
    (void)state;
    add_app("shop");
    for (int number = 3; number >= 1; number--)
        add_release("shop", number);

    drain(4);

    assert_int_equal(seen.start_count, 3 * (STEP_COUNT - 1));
    for (int i = 0; i < seen.start_count; i++) {
        snprintf(expected, sizeof expected, "shop %d %s", 1 + i / (STEP_COUNT - 1),
                 step_name_text((enum step_name)(i % (STEP_COUNT - 1))));
        assert_string_equal(seen.starts[i], expected);
    }
    assert_int_equal(count("SELECT release AS n FROM berth.deployments"), 3);
}

static void a_live_release_is_its_app_s_deployment_and_has_a_timeline(void **state)
{
    (void)state;
    add_app("shop");
    add_release("shop", 1);

    drain(1);

    assert_int_equal(count("SELECT count(*) AS n FROM berth.deployments WHERE app_name = 'shop' AND release = 1"
                           " AND host = 'shop.apps.example.test' AND commit_sha = repeat('1', 40)"
                           " AND image_digest LIKE 'sha256:%'"),
                     1);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'live' AND finished_at IS NOT NULL"
                           " AND lease_token IS NULL"),
                     1);
    assert_int_equal(count("SELECT count(DISTINCT step) AS n FROM berth.release_events WHERE kind = 'done'"),
                     STEP_COUNT);
}

static int counts_itself(struct step_run *run, enum step_answer *answer, struct err *e)
{
    int now = ++seen.running_at_once;
    (void)run, (void)e;

    if (now > seen.most_at_once)
        seen.most_at_once = now;
    sleep_ms(20);
    seen.running_at_once--;
    *answer = STEP_DONE;
    return 0;
}

static void apps_do_not_wait_for_each_other(void **state)
{
    char app[16];
    (void)state;
    for (int i = 0; i < 20; i++) {
        snprintf(app, sizeof app, "app-%d", i);
        add_app(app);
        add_release(app, 1);
        add_release(app, 2);
    }
    seen.build = counts_itself;

    drain(4);

    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'live'"), 40);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.deployments WHERE release = 2"), 20);
    assert_int_equal(seen.calls, 40);
    assert_in_range(seen.most_at_once, 2, 4);
}

static int stays_at_gate(struct step_run *run, enum step_answer *answer, struct err *e)
{
    (void)run, (void)e;
    seen.at_gate++;
    while (!seen.release_gate)
        sleep_ms(5);
    *answer = STEP_DONE;
    return 0;
}

static void wait_for_gate(int how_many)
{
    for (int waited = 0; seen.at_gate < how_many; waited += 5) {
        assert_true(waited < PATIENCE_MS);
        sleep_ms(5);
    }
}

static void a_worker_that_is_told_to_stop_ends_its_step_and_hands_the_release_on(void **state)
{
    struct running running;
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    seen.build = stays_at_gate;
    start(&running, 1);
    wait_for_gate(1);

    ask_to_stop(&running);
    sleep_ms(100);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE lease_token IS NOT NULL"), 1);
    seen.release_gate = 1;
    pthread_join(running.thread, NULL);
    finish(&running);

    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'running' AND step = 'route'"
                           " AND lease_token IS NULL AND lease_until IS NULL AND run_after <= now()"),
                     1);
    drain(1);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'live'"), 1);
}

static void a_dead_worker_s_release_is_taken_over_when_its_lease_ends(void **state)
{
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    harness_do(superuser,
               "UPDATE berth.releases SET state = 'running', step = 'route', attempt = 1, lease_token = 999999,"
               " leased_by = 'dead', step_started_at = now(), lease_until = now() + interval '1 second'");

    drain(1);

    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'live'"), 1);
    assert_string_equal(seen.starts[0], "shop 1 route");
}

static int loses_its_lease(struct step_run *run, enum step_answer *answer, struct err *e)
{
    if (seen.calls == 1)
        harness_do(superuser,
                   "UPDATE berth.releases SET lease_token = 999999, lease_until = now() + interval '1 second'");
    if (seen.calls == 1 && step_renew(run, e) != ERR_CONFLICT)
        return err_set(e, ERR_INTERNAL, "a lease that is another's was renewed");
    *e = (struct err){ 0 };
    *answer = STEP_DONE;
    return 0;
}

static void a_worker_that_lost_its_lease_moves_nothing(void **state)
{
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    seen.build = loses_its_lease;

    drain(1);

    assert_int_equal(seen.calls, 2); /* its own, which moved nothing, and that of who took over */
    assert_int_equal(count("SELECT count(*) AS n FROM berth.release_events WHERE step = 'build' AND kind = 'done'"), 1);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'live'"), 1);
}

static void no_move_is_made_under_an_old_token(void **state)
{
    struct db_pool *pool = harness_pool(database, HARNESS_WORKER, 1);
    struct db *db = NULL;
    struct err e = { 0 };
    const struct release stale = { .app = "shop", .number = 1, .lease_token = 41, .state = RELEASE_RUNNING };
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    harness_do(
        superuser,
        "UPDATE berth.releases SET state = 'running', lease_token = 42, lease_until = now() + interval '1 hour'");
    assert_int_equal(db_take(pool, &db, &e), 0);

    for (int kind = 0; kind < MOVE_KIND_COUNT; kind++) {
        const struct move move = {
            .kind = (enum move_kind)kind, .next = STEP_IDENTITY, .lease_ms = 1000, .message = "m"
        };
        bool held = true;
        assert_int_equal(move_release(db, &stale, &move, &held, &e), 0);
        assert_false(held);
    }

    db_give(db);
    db_pool_free(pool);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'running' AND step = 'source'"
                           " AND lease_token = 42"),
                     1);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.release_events"), 0);
}

static void a_push_wakes_a_worker_that_waits(void **state)
{
    struct running running;
    int64_t began;
    (void)state;
    start(&running, 2);
    sleep_ms(500); /* it has looked, found nothing, and would look again in seconds */
    add_app("shop");
    add_release("shop", 1);
    began = clock_monotonic_ms(&clock_system);

    harness_do(superuser, "NOTIFY berth_releases");
    wait_until("SELECT count(*) AS n FROM berth.releases WHERE state = 'live'");

    assert_in_range(clock_monotonic_ms(&clock_system) - began, 0, 2000);
    stop(&running);
}

static void a_worker_outlives_a_restart_of_postgres_and_loses_no_release(void **state)
{
    struct running running;
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    add_release("shop", 2);
    seen.build = stays_at_gate;
    start(&running, 2);
    wait_for_gate(1);

    harness_server_restart();
    seen.release_gate = 1;
    wait_until("SELECT 1 AS n WHERE (SELECT count(*) FROM berth.releases WHERE state = 'live') = 2 UNION ALL SELECT 0 "
               "LIMIT 1");

    stop(&running);
    assert_int_equal(seen.calls, 2);
}

static void a_stop_while_nothing_is_to_be_done_ends_at_once(void **state)
{
    struct running running;
    int64_t began;
    (void)state;
    start(&running, 3);
    sleep_ms(200);
    began = clock_monotonic_ms(&clock_system);

    stop(&running);

    assert_in_range(clock_monotonic_ms(&clock_system) - began, 0, 1000);
}

static void a_drain_with_nothing_to_do_ends_at_once(void **state)
{
    int64_t began = clock_monotonic_ms(&clock_system);
    (void)state;
    add_app("shop");

    drain(2);

    assert_in_range(clock_monotonic_ms(&clock_system) - began, 0, 1500);
}

static void github_is_told_when_a_release_begins_and_when_it_fails(void **state)
{
    struct fake_transport *fake = fake_new();
    AUTO_SECRET struct secret *token = secret_from_text("ghp_verysecret");
    const struct github github = { .transport = fake_http(fake), .api_url = "https://api.github.test", .token = token };
    struct running running;
    (void)state;
    add_app("shop");
    add_release("shop", 1);
    seen.build = refused;
    fake_expect(fake, "POST", "https://api.github.test/repos/acme/shop/statuses/1111*", "pending");
    fake_reply(fake, 201, NULL, "{}");
    fake_expect(fake, "POST", "https://api.github.test/repos/acme/shop/statuses/1111*",
                "v1 failed: there is no Dockerfile");
    fake_fail(fake, ERR_TRANSIENT, "CURLE_OPERATION_TIMEDOUT");

    prepare(&running, 1, true);
    running.options.github = &github;
    run_worker(&running);
    finish(&running);

    fake_done(fake);
    fake_free(fake);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'failed'"), 1);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.release_events WHERE message LIKE 'GitHub did not take %'"),
                     1);
}

/* A worker whose Postgres isn't there. */
static void prepare_without_database(struct running *running, bool draining)
{
    const struct db_pool_options nowhere = {
        .conninfo = "host=/nonexistent", .name = "worker", .size = 3, .take_timeout_ms = 50
    };

    prepare(running, 2, draining);
    db_pool_free(running->pool);
    assert_int_equal(db_pool_new(&nowhere, &running->pool, &running->e), 0);
    running->options.db = running->pool;
}

static void a_drain_ends_with_the_reason_when_the_database_stays_away(void **state)
{
    struct running running;
    (void)state;
    prepare_without_database(&running, true);

    run_worker(&running);

    assert_int_equal(running.code, ERR_TRANSIENT);
    assert_true(running.e.message[0] != '\0');
    running.code = 0;
    finish(&running);
}

static void a_worker_without_its_database_goes_on_until_it_is_told_to_stop(void **state)
{
    struct running running;
    int64_t began;
    (void)state;
    prepare_without_database(&running, false);
    assert_int_equal(pthread_create(&running.thread, NULL, run_worker, &running), 0);
    sleep_ms(1000);
    began = clock_monotonic_ms(&clock_system);

    stop(&running);

    assert_in_range(clock_monotonic_ms(&clock_system) - began, 0, 2000);
}

static int set_up_all(void **state)
{
    (void)state;
    database = harness_database_new();
    superuser = harness_pool(database, HARNESS_SUPERUSER, 2);
    return 0;
}

static int tear_down_all(void **state)
{
    (void)state;
    db_pool_free(superuser);
    harness_database_free(database);
    return 0;
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup(name, clear)
    const struct CMUnitTest tests[] = {
        TEST(a_refused_step_fails_the_release_and_tells_why),
        TEST(a_step_that_may_be_tried_again_is_and_the_timeline_says_so_once),
        TEST(waiting_is_no_failed_try),
        TEST(a_step_that_waits_for_too_long_is_given_up),
        TEST(a_step_that_fails_for_too_long_is_given_up_with_its_last_words),
        TEST(a_release_that_fails_leaves_nothing_of_its_step_running),
        TEST(what_can_t_be_ended_is_said_in_the_failure),
        TEST(what_has_ended_by_itself_is_not_ended_again),
        TEST(a_release_that_brings_its_workers_down_is_given_up),
        TEST(workers_that_get_somewhere_are_not_counted),
        TEST(a_limit_that_lasts_is_told_once_whatever_its_request_id),
        TEST(a_release_that_the_poller_watches_does_not_look_by_itself_until_it_is_woken),
        TEST(an_app_s_releases_run_one_after_the_other_in_their_order),
        TEST(a_live_release_is_its_app_s_deployment_and_has_a_timeline),
        TEST(apps_do_not_wait_for_each_other),
        TEST(a_worker_that_is_told_to_stop_ends_its_step_and_hands_the_release_on),
        TEST(a_dead_worker_s_release_is_taken_over_when_its_lease_ends),
        TEST(a_worker_that_lost_its_lease_moves_nothing),
        TEST(no_move_is_made_under_an_old_token),
        TEST(a_push_wakes_a_worker_that_waits),
        TEST(a_worker_outlives_a_restart_of_postgres_and_loses_no_release),
        TEST(a_stop_while_nothing_is_to_be_done_ends_at_once),
        TEST(a_drain_with_nothing_to_do_ends_at_once),
        TEST(github_is_told_when_a_release_begins_and_when_it_fails),
        TEST(a_drain_ends_with_the_reason_when_the_database_stays_away),
        TEST(a_worker_without_its_database_goes_on_until_it_is_told_to_stop),
    };

    (void)argc;
    harness_own_server(argv);
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
