/* Branches that are looked at again, on a real Postgres and a GitHub that a test moves: pushes that were turned away are never forgotten, and none is released twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/deploy/look.h"
#include "core/tenant/app.h"
#include "core/tenant/limit.h"
#include "tests/db/releases.h"

enum { WORKERS = 8, LEASE_MS = 60000, PATIENCE_MS = 20000 };

/* ---- GitHub ---- */

static struct {
    pthread_mutex_t mutex;
    const char *head;      /* of any branch; NULL: the branch is gone */
    int status;            /* of the answer about a branch when it isn't 200 */
    const char *header[2]; /* of that answer */
    bool away, repository_gone;
    int slow_ms;
    void (*meanwhile)(void); /* what happens once, while it is asked */
    atomic_int asked;
    char url[256]; /* the last */
} github = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void answer(struct arena *into, const char *url, struct http_reply *reply)
{
    struct http_header *header = arena_alloc(into, sizeof *header);
    bool branch = strstr(url, "/branches/") != NULL;

    *header = (struct http_header){ github.header[0], github.header[1] };
    *reply = (struct http_reply){ .status = 200, .body = "{\"id\":1}" };
    if (branch && github.status)
        *reply = (struct http_reply){
            .status = github.status, .headers = header, .header_count = header->name != NULL, .body = "{}"
        };
    else if (branch ? github.head == NULL : github.repository_gone)
        *reply = (struct http_reply){ .status = 404, .body = "{\"message\":\"Not Found\"}" };
    else if (branch)
        reply->body =
            arena_printf(into, "{\"commit\":{\"sha\":\"%s\",\"commit\":{\"message\":\"The head\"}}}", github.head);
    reply->body_len = strlen(reply->body);
}

static int ask_github(void *context, const struct http_request *request, struct arena *into, struct http_reply *reply,
                      struct err *e)
{
    (void)context;
    pthread_mutex_lock(&github.mutex);
    snprintf(github.url, sizeof github.url, "%s", request->url);
    void (*meanwhile)(void) = github.meanwhile;
    github.meanwhile = NULL;
    pthread_mutex_unlock(&github.mutex);
    github.asked++;
    answer(into, request->url, reply); /* what it says is of now; what happens meanwhile is not in it */
    if (meanwhile)
        meanwhile();
    clock_sleep_ms(&clock_system, github.slow_ms);
    if (github.away) {
        err_set(e, ERR_TRANSIENT, "api.github.com: could not connect");
        return err_detail(e, "COULDNT_CONNECT");
    }
    return 0;
}

/* ---- A worker's turn ---- */

static struct db_pool *worker_pool;
static const struct github gh = { .transport = { ask_github, NULL }, .api_url = "https://api.github.com" };
static const struct settings settings = { .domain = "apps.example.test", .worker_lease_s = 150 };

static bool take_as(const char *name)
{
    const struct worker_options options = { .settings = &settings, .db = worker_pool, .github = &gh };
    struct turn_place place = { .options = &options, .lease_ms = LEASE_MS };
    struct err e = { 0 };
    bool taken = false;

    if (look_take(&place, name, &taken, &e)) {
        fprintf(stderr, "%s\n", e.message);
        abort();
    }
    return taken;
}

#define TAKEN assert_true(take_as("w"))
#define NOTHING_IS_DUE assert_false(take_as("w"))
#define RELEASED(v, sha)                                                                                               \
    HOLDS("(SELECT max(number) FROM berth.releases) = " #v                                                             \
          " AND EXISTS (SELECT FROM berth.releases WHERE number = " #v " AND commit_sha = '" sha                       \
          "' AND kind = 'push')")
#define NO_LOOK_IS_OWED HOLDS("NOT EXISTS (SELECT FROM berth.looks)")

static int set_up_look(void **state)
{
    set_up(state);
    sql("DELETE FROM berth.default_limits; INSERT INTO berth.default_limits DEFAULT VALUES");
    github.head = SHA_A;
    github.status = 0;
    github.header[0] = NULL;
    github.away = github.repository_gone = false;
    github.slow_ms = 0;
    github.meanwhile = NULL;
    github.asked = 0;
    return 0;
}

/* As if it had all been some seconds ago: the bucket has refilled, and the look is due. */
static void time_goes_by(void)
{
    sql("UPDATE berth.rate_limits SET spent_at = now() - interval '2 hours';"
        "UPDATE berth.looks SET owed_at = owed_at - interval '10 seconds', run_after = least(run_after, now())"
        " WHERE run_after < 'infinity'");
}

/* v1 is of A, and the bucket is empty. */
static void empty_the_bucket(void)
{
    sql("INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour) VALUES ('shop', 1, 60)");
    push(SHA_A);
    HOLDS("(SELECT count(*) FROM berth.releases) = 1");
}

static void limit_a_push(void)
{
    empty_the_bucket();
    push(SHA_B);
    HOLDS("(SELECT reason FROM berth.looks) = 'limited'");
    github.head = SHA_B;
}

/* ---- GitHub can't say ---- */

static void a_look_that_github_does_not_answer_is_put_off_and_taken_later(void **state)
{
    (void)state;
    limit_a_push();
    time_goes_by();
    github.away = true;

    TAKEN;
    HOLDS("SELECT lease_token IS NULL AND run_after > now() - interval '1 second' AND run_after <= now() + interval '1 "
          "second' AND attempt = 1 FROM berth.looks");
    HOLDS("(SELECT count(*) FROM berth.releases) = 1");
    github.away = false;
    time_goes_by();
    TAKEN;

    RELEASED(2, SHA_B);
    NO_LOOK_IS_OWED;
}

static void a_look_is_put_off_for_longer_each_time_and_at_most_for_five_minutes(void **state)
{
    int64_t longest = 0;
    (void)state;
    limit_a_push();
    github.away = true;

    for (int attempt = 1; attempt <= 40; attempt++) {
        time_goes_by();
        TAKEN;
        int64_t bound = attempt < 9 ? 1000 << (attempt - 1) : 300000;
        int64_t wait = number("SELECT (extract(epoch FROM run_after - now()) * 1000)::bigint AS n FROM berth.looks");
        assert_in_range(wait + 5000, 0, bound + 5000);
        longest = wait > longest ? wait : longest;
    }

    assert_true(longest > 60000);
    assert_int_equal(github.asked, 40);
}

static void a_look_is_put_off_when_github_refuses_or_the_repository_is_gone(void **state)
{
    static const struct {
        int status;
        const char *header[2];
        bool gone;
    } refusals[] = { { 403, { "x-ratelimit-remaining", "0" }, false },
                     { 429, { "retry-after", "60" }, false },
                     { 401, { NULL, NULL }, false },
                     { 502, { NULL, NULL }, false },
                     { 404, { NULL, NULL }, true } };
    (void)state;
    limit_a_push();

    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        github.status = refusals[i].status;
        github.header[0] = refusals[i].header[0];
        github.header[1] = refusals[i].header[1];
        github.repository_gone = refusals[i].gone;
        time_goes_by();
        TAKEN;
        HOLDS("EXISTS (SELECT FROM berth.looks WHERE lease_token IS NULL)");
    }
    HOLDS("(SELECT count(*) FROM berth.releases) = 1");
    github.status = 0;
    time_goes_by();
    TAKEN;

    RELEASED(2, SHA_B);
}

/* ---- What needs no release ---- */

static void a_branch_that_is_gone_makes_no_release_and_is_not_looked_at_again(void **state)
{
    (void)state;
    limit_a_push();
    time_goes_by();
    github.head = NULL;

    TAKEN;

    HOLDS("(SELECT count(*) FROM berth.releases) = 1");
    NO_LOOK_IS_OWED;
}

static void a_head_that_has_a_release_makes_no_second_one(void **state)
{
    (void)state;
    limit_a_push();
    time_goes_by();
    github.head = SHA_A;

    TAKEN;

    HOLDS("(SELECT count(*) FROM berth.releases) = 1");
    NO_LOOK_IS_OWED;
}

/* Sent again after its release had failed, a push is no duplicate, so there being no token just then makes it none either. */
static void a_failed_commit_that_was_pushed_again_and_limited_is_tried_again_once(void **state)
{
    (void)state;
    empty_the_bucket();
    assert_int_equal(claim(), 1);
    end(1, "failed");
    sql("UPDATE berth.releases SET created_at = now() - interval '1 minute'");
    push(SHA_A);
    HOLDS("(SELECT reason FROM berth.looks) = 'limited'");
    time_goes_by();
    github.head = SHA_A;

    TAKEN;
    RELEASED(2, SHA_A);
    assert_int_equal(claim(), 2);
    end(2, "failed");
    sql("UPDATE berth.looks SET run_after = now()");
    take_as("w");

    HOLDS("(SELECT count(*) FROM berth.releases) = 2");
    NO_LOOK_IS_OWED;
}

static void an_app_that_is_being_deleted_gets_no_release(void **state)
{
    (void)state;
    limit_a_push();
    time_goes_by();
    sql("UPDATE berth.apps SET state = 'deleting'");

    TAKEN;

    HOLDS("(SELECT count(*) FROM berth.releases) = 1");
    NO_LOOK_IS_OWED;
}

/* ---- Limited ---- */

static void of_several_limited_pushes_the_branch_s_newest_head_is_released_once(void **state)
{
    (void)state;
    limit_a_push();
    push(SHA_C);
    github.head = SHA_C;
    NOTHING_IS_DUE;
    HOLDS("berth.next_look_ms() BETWEEN 50000 AND 60000");
    time_goes_by();

    TAKEN;
    NOTHING_IS_DUE;

    assert_string_equal(github.url, "https://api.github.com/repos/acme/shop/branches/main");
    RELEASED(2, SHA_C);
    NO_LOOK_IS_OWED;
    HOLDS("(SELECT commit_title FROM berth.releases WHERE number = 2) = 'The head'");
    HOLDS("EXISTS (SELECT FROM berth.release_events WHERE release = 2 AND message ="
          " 'Queued at the head of main: an earlier push was turned away (rate limit).')");
    HOLDS("(SELECT tokens < 1 FROM berth.rate_use('shop'))"); /* it has spent one, as a push does */
}

static void a_look_at_a_bucket_that_is_still_empty_waits_for_it(void **state)
{
    (void)state;
    limit_a_push();
    sql("UPDATE berth.looks SET run_after = now(), attempt = 7");

    TAKEN;

    HOLDS("(SELECT count(*) FROM berth.releases) = 1");
    HOLDS("SELECT reason = 'limited' AND lease_token IS NULL AND attempt = 0 FROM berth.looks");
    HOLDS("berth.next_look_ms() BETWEEN 50000 AND 60000");
}

static void push_c(void)
{
    push(SHA_C);
}

static void a_push_that_is_limited_while_the_head_is_read_is_looked_at_as_well(void **state)
{
    (void)state;
    limit_a_push();
    time_goes_by();
    sql("UPDATE berth.rate_limits SET spent = 1, spent_at = now()"); /* the bucket is empty for C */
    github.meanwhile = push_c;

    TAKEN; /* it read B, and waits: the bucket is empty */
    HOLDS("SELECT owed_at > now() - interval '5 seconds' FROM berth.looks");
    github.head = SHA_C;
    time_goes_by();
    TAKEN;

    RELEASED(2, SHA_C);
    NO_LOOK_IS_OWED;
}

/* It was known that none was left; by now there is one, which C's look will need. */
static void push_c_and_refill(void)
{
    sql("UPDATE berth.rate_limits SET spent = 1, spent_at = now()");
    push(SHA_C);
    sql("UPDATE berth.rate_limits SET spent_at = now() - interval '2 hours'");
}

static void a_head_that_was_read_before_a_push_was_limited_is_followed_by_another_look(void **state)
{
    (void)state;
    limit_a_push();
    time_goes_by();
    github.meanwhile = push_c_and_refill;

    TAKEN;
    RELEASED(2, SHA_B);
    github.head = SHA_C;
    time_goes_by();
    TAKEN;

    RELEASED(3, SHA_C);
    NO_LOOK_IS_OWED;
}

/* A responder refuses a flood for a second from memory, so what comes in that time is not known here. */
static void a_look_right_after_a_limited_push_is_followed_by_another(void **state)
{
    struct err e = { 0 };
    const struct limit_edit raise = { LIMIT_PUSHES_BURST, 10, LIMIT_UNSEEN };
    struct limit_conflict conflicts[LIMIT_COUNT];
    size_t conflict_count;
    (void)state;
    limit_a_push();
    assert_int_equal(limits_set(admin, "shop", "ann", &raise, 1, mem, conflicts, &conflict_count, &e), 0);

    TAKEN;
    RELEASED(2, SHA_B);
    NOTHING_IS_DUE;
    HOLDS("berth.next_look_ms() BETWEEN 1 AND 2000");
    github.head = SHA_C;
    clock_sleep_ms(&clock_system, 2050);
    TAKEN;
    RELEASED(3, SHA_C);
    NOTHING_IS_DUE;

    NO_LOOK_IS_OWED;
}

/* ---- Over a quota ---- */

static void a_raised_quota_has_the_branch_looked_at_at_once(void **state)
{
    const struct limit_edit raise = { LIMIT_TASKS, 1, LIMIT_UNSEEN };
    struct limit_conflict conflicts[LIMIT_COUNT];
    size_t conflict_count;
    struct err e = { 0 };
    (void)state;
    sql("INSERT INTO berth.quotas (app_name, tasks) VALUES ('shop', 0)");
    push(SHA_A);
    HOLDS("(SELECT reason || ' ' || run_after FROM berth.looks) = 'over_quota infinity'");
    NOTHING_IS_DUE;

    assert_int_equal(limits_set(admin, "shop", "ann", &raise, 1, mem, conflicts, &conflict_count, &e), 0);
    TAKEN;

    RELEASED(1, SHA_A);
    HOLDS("EXISTS (SELECT FROM berth.release_events WHERE message LIKE '%turned away (quota).')");
}

static void a_look_right_after_a_push_over_a_quota_is_followed_by_another(void **state)
{
    const struct limit_edit raise = { LIMIT_TASKS, 2, LIMIT_UNSEEN };
    struct limit_conflict conflicts[LIMIT_COUNT];
    size_t conflict_count;
    struct err e = { 0 };
    (void)state;
    sql("INSERT INTO berth.quotas (app_name, tasks) VALUES ('shop', 0)");
    push(SHA_A);
    assert_int_equal(limits_set(admin, "shop", "ann", &raise, 1, mem, conflicts, &conflict_count, &e), 0);

    TAKEN;
    RELEASED(1, SHA_A);
    NOTHING_IS_DUE;
    HOLDS("berth.next_look_ms() BETWEEN 1 AND 2000");
    github.head = SHA_B; /* its push was refused from memory */
    clock_sleep_ms(&clock_system, 2050);
    TAKEN;

    RELEASED(2, SHA_B);
    NO_LOOK_IS_OWED;
}

static void an_app_that_is_made_smaller_than_its_quota_is_looked_at_at_once(void **state)
{
    const struct app_edit smaller = { APP_TASKS, "1", NULL };
    struct app_update done;
    struct err e = { 0 };
    (void)state;
    sql("UPDATE berth.apps SET tasks = 4; INSERT INTO berth.quotas (app_name, tasks) VALUES ('shop', 3)");
    push(SHA_A);
    NOTHING_IS_DUE;

    assert_int_equal(app_update(admin, "shop", "ann", &smaller, 1, mem, &done, &e), 0);
    TAKEN;

    RELEASED(1, SHA_A);
}

static void a_look_that_finds_no_room_either_waits_for_it(void **state)
{
    (void)state;
    sql("INSERT INTO berth.quotas (app_name, tasks) VALUES ('shop', 0)");
    push(SHA_A);
    sql("UPDATE berth.looks SET run_after = now()");

    TAKEN;

    HOLDS("(SELECT reason || ' ' || run_after FROM berth.looks) = 'over_quota infinity'");
    HOLDS("(SELECT count(*) FROM berth.releases) = 0");
}

static void releases_an_hour_free_themselves_and_the_branch_is_looked_at_then(void **state)
{
    (void)state;
    sql("INSERT INTO berth.quotas (app_name, releases_per_hour) VALUES ('shop', 1)");
    push(SHA_A);
    sql("UPDATE berth.releases SET created_at = now() - interval '1 hour' + interval '1500 milliseconds';"
        "UPDATE berth.apps SET created_at = now() - interval '1 day'");
    push(SHA_B);
    github.head = SHA_B;
    HOLDS("berth.next_look_ms() BETWEEN 1 AND 1500");
    NOTHING_IS_DUE;

    clock_sleep_ms(&clock_system, 1600);
    TAKEN;

    RELEASED(2, SHA_B);
}

/* ---- Paused ---- */

static void a_paused_app_is_looked_at_when_it_is_resumed(void **state)
{
    struct err e = { 0 };
    bool changed, look = false;
    (void)state;
    assert_int_equal(app_pause(admin, "shop", "ann", &changed, &e), 0);
    push(SHA_A);
    push(SHA_B);
    github.head = SHA_B;
    HOLDS("(SELECT reason || ' ' || run_after FROM berth.looks) = 'paused infinity'");
    HOLDS("berth.next_look_ms() IS NULL");
    NOTHING_IS_DUE;

    assert_int_equal(app_resume(admin, "shop", "ann", &changed, &look, &e), 0);
    TAKEN;

    assert_true(look);
    RELEASED(1, SHA_B);
    NO_LOOK_IS_OWED;
    HOLDS("EXISTS (SELECT FROM berth.release_events WHERE message LIKE '%turned away (paused).')");
}

static void a_look_at_an_app_that_was_paused_meanwhile_waits_for_its_resumption(void **state)
{
    struct err e = { 0 };
    bool changed, look = false;
    (void)state;
    limit_a_push();
    time_goes_by();
    assert_int_equal(app_pause(admin, "shop", "ann", &changed, &e), 0);

    TAKEN;
    HOLDS("(SELECT count(*) FROM berth.releases) = 1");
    NOTHING_IS_DUE;
    assert_int_equal(app_resume(admin, "shop", "ann", &changed, &look, &e), 0);
    TAKEN;

    assert_true(look);
    RELEASED(2, SHA_B);
}

/* ---- Changed meanwhile, and asked for ---- */

static void change_branch(void)
{
    sql("UPDATE berth.apps SET branch = 'release'");
}

static void the_head_of_a_branch_that_the_app_is_no_longer_built_from_is_not_released(void **state)
{
    (void)state;
    limit_a_push();
    time_goes_by();
    github.meanwhile = change_branch;

    TAKEN;
    HOLDS("(SELECT count(*) FROM berth.releases) = 1");
    github.head = SHA_C;
    time_goes_by();
    TAKEN;

    assert_string_equal(github.url, "https://api.github.com/repos/acme/shop/branches/release");
    RELEASED(2, SHA_C);
}

static void ask_for_a_look(void)
{
    sql("INSERT INTO berth.looks (app_name, reason, owed_at, run_after) VALUES ('shop', 'asked', clock_timestamp(), "
        "now())");
}

static void a_look_that_an_operator_asked_for_tries_a_failed_head_again_and_leaves_a_live_one(void **state)
{
    (void)state;
    push_live(SHA_A, 1);
    ask_for_a_look();
    TAKEN;
    HOLDS("(SELECT count(*) FROM berth.releases) = 1");
    push(SHA_B);
    assert_int_equal(claim(), 2);
    end(2, "failed");
    github.head = SHA_B;
    ask_for_a_look();

    TAKEN;

    RELEASED(3, SHA_B);
    NO_LOOK_IS_OWED;
}

/* ---- Workers ---- */

static void a_look_of_a_worker_that_died_is_another_s_when_its_lease_ends(void **state)
{
    (void)state;
    limit_a_push();
    time_goes_by();
    int64_t dead = number("SELECT lease_token AS n FROM berth.claim_look('dead:1:0', 400)");
    NOTHING_IS_DUE;
    HOLDS("berth.next_look_ms() BETWEEN 1 AND 400");

    clock_sleep_ms(&clock_system, 450);
    TAKEN;
    RELEASED(2, SHA_B);
    NO_LOOK_IS_OWED;

    /* It was only slow, and comes with what it read long ago. */
    HOLDS("(SELECT verdict FROM berth.settle_look('shop', 1, '" SHA_A "', 'x', NULL)) = 'lost'");
    assert_int_equal(number(arena_printf(mem,
                                         "SELECT count(*) AS n FROM berth.settle_look('shop', %lld, '" SHA_C
                                         "', 'x', NULL, 'main') WHERE verdict = 'lost'",
                                         (long long)dead)),
                     1);
    HOLDS("(SELECT count(*) FROM berth.releases) = 2");
}

static void settle_as_another(void)
{
    sql("UPDATE berth.looks SET lease_until = now() - interval '1 second'");
    int64_t token = number("SELECT lease_token AS n FROM berth.claim_look('other:1:0', 60000)");
    sql(arena_printf(mem, "SELECT berth.settle_look('shop', %lld, '" SHA_B "', 'x', NULL, 'main')", (long long)token));
}

static void a_worker_that_was_slower_than_its_lease_makes_no_second_release(void **state)
{
    (void)state;
    limit_a_push();
    time_goes_by();
    github.meanwhile = settle_as_another;

    TAKEN;

    RELEASED(2, SHA_B);
    NO_LOOK_IS_OWED;
}

static void *take_in_thread(void *name)
{
    return take_as(name) ? name : NULL;
}

static void of_many_workers_at_once_one_looks(void **state)
{
    pthread_t threads[WORKERS];
    int took = 0;
    (void)state;
    limit_a_push();
    time_goes_by();
    github.slow_ms = 200;

    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_in_thread, (void *)(uintptr_t) "w"), 0);
    for (int i = 0; i < WORKERS; i++) {
        void *taken = NULL;
        pthread_join(threads[i], &taken);
        took += taken != NULL;
    }

    assert_int_equal(took, 1);
    assert_int_equal(github.asked, 1);
    RELEASED(2, SHA_B);
}

/* ---- A whole worker: its releases fail in their first step, which is as good an end as any ---- */

static int fails(struct step_run *run, enum step_answer *step_answer, struct err *e)
{
    (void)run, (void)step_answer;
    return err_set(e, ERR_INVALID, "there is no Dockerfile");
}

static const struct pipeline_step steps[STEP_COUNT] = {
    [STEP_SOURCE] = { "source", fails, STEP_IDENTITY, 1, 60, NULL },
    [STEP_IDENTITY] = { "identity", fails, STEP_BUILD, 1, 60, NULL },
    [STEP_BUILD] = { "build", fails, STEP_ROUTE, 1, 60, NULL },
    [STEP_ROUTE] = { "route", fails, STEP_ROLLOUT, 1, 60, NULL },
    [STEP_ROLLOUT] = { "rollout", fails, STEP_LIVE, 1, 60, NULL },
    [STEP_LIVE] = { "live", fails, STEP_LIVE, 1, 60, NULL },
};

struct running {
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

static void start(struct running *running, int threads, bool drain)
{
    *running = (struct running){ .options = { .settings = &settings,
                                              .db = worker_pool,
                                              .github = &gh,
                                              .threads = threads,
                                              .drain = drain,
                                              .steps = steps } };
    assert_int_equal(pipe(running->stop), 0);
    assert_int_equal(pthread_create(&running->thread, NULL, run_worker, running), 0);
}

static void finish(struct running *running)
{
    if (!running->options.drain)
        assert_int_equal(write(running->stop[1], "x", 1), 1);
    pthread_join(running->thread, NULL);
    close(running->stop[0]);
    close(running->stop[1]);
    if (running->code)
        fail_msg("the worker ended: %s", running->e.message);
}

static int64_t drain(int threads)
{
    struct running running;
    int64_t began = clock_monotonic_ms(&clock_system);

    start(&running, threads, true);
    finish(&running);
    return clock_monotonic_ms(&clock_system) - began;
}

static int64_t wait_until(const char *condition)
{
    int64_t began = clock_monotonic_ms(&clock_system);

    while (!number(arena_printf(mem, "SELECT (%s)::int AS n", condition))) {
        if (clock_monotonic_ms(&clock_system) - began > PATIENCE_MS)
            fail_msg("still not so: %s", condition);
        clock_sleep_ms(&clock_system, 20);
    }
    return clock_monotonic_ms(&clock_system) - began;
}

static void a_drain_takes_a_look_that_is_due_and_the_release_that_comes_of_it(void **state)
{
    (void)state;
    limit_a_push();
    time_goes_by();

    drain(2);

    RELEASED(2, SHA_B);
    STATE(2, "failed");
    NO_LOOK_IS_OWED;
}

static void a_drain_does_not_wait_for_a_look_that_is_due_later(void **state)
{
    (void)state;
    limit_a_push();

    assert_in_range(drain(2), 0, 10000);

    assert_int_equal(github.asked, 0);
    STATE(1, "failed");
    HOLDS("berth.next_look_ms() > 30000");
}

static void a_drain_ends_though_github_is_away(void **state)
{
    (void)state;
    limit_a_push();
    time_goes_by();
    github.away = true;

    assert_in_range(drain(2), 0, 10000);

    assert_true(github.asked >= 1);
    HOLDS("EXISTS (SELECT FROM berth.looks WHERE lease_token IS NULL)");
}

static void a_worker_that_waits_takes_a_look_when_it_is_due(void **state)
{
    struct running running;
    (void)state;
    limit_a_push();
    assert_int_equal(claim(), 1);
    end(1, "failed");
    sql("UPDATE berth.rate_limits SET spent_at = now() - interval '2 hours';"
        "UPDATE berth.looks SET run_after = now() + interval '600 milliseconds', owed_at = now() - interval '1 "
        "minute'");

    start(&running, 1, false);
    int64_t waited = wait_until("(SELECT count(*) FROM berth.releases) = 2");
    finish(&running);

    assert_in_range(waited, 200, 2500); /* without knowing of it, it would look every five seconds */
}

static void neither_releases_nor_looks_wait_while_there_is_always_one_of_the_other(void **state)
{
    struct running running;
    (void)state;
    limit_a_push();
    sql("INSERT INTO berth.apps (app_name, repository, repository_id, webhook_policy) VALUES ('cellar', 'acme/cellar', "
        "2, "
        "'github');"
        "UPDATE berth.looks SET run_after = now();"
        "CREATE FUNCTION public.always_due() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.run_after := now(); "
        "RETURN "
        "NEW; END $$;"
        "CREATE TRIGGER always_due BEFORE UPDATE ON berth.looks FOR EACH ROW EXECUTE FUNCTION public.always_due()");
    assert_int_equal(claim(), 1);
    end(1, "failed");
    push_to("cellar", SHA_C);
    github.away = true;
    github.slow_ms = 20;

    start(&running, 1, false);
    wait_until("(SELECT state FROM berth.releases WHERE app_name = 'cellar') = 'failed'");
    int before = github.asked;
    int64_t until = clock_monotonic_ms(&clock_system) + 5000;
    while (github.asked < before + 3 && clock_monotonic_ms(&clock_system) < until)
        clock_sleep_ms(&clock_system, 10);
    finish(&running);
    sql("DROP TRIGGER always_due ON berth.looks; DROP FUNCTION public.always_due()");

    assert_true(github.asked >= before + 3);
}

static int open_looks(void **state)
{
    open_all(state);
    worker_pool = harness_pool(database, HARNESS_WORKER, WORKERS + 2);
    return 0;
}

static int close_looks(void **state)
{
    db_pool_free(worker_pool);
    return close_all(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_look, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_look_that_github_does_not_answer_is_put_off_and_taken_later),
        TEST(a_look_is_put_off_for_longer_each_time_and_at_most_for_five_minutes),
        TEST(a_look_is_put_off_when_github_refuses_or_the_repository_is_gone),
        TEST(a_branch_that_is_gone_makes_no_release_and_is_not_looked_at_again),
        TEST(a_head_that_has_a_release_makes_no_second_one),
        TEST(a_failed_commit_that_was_pushed_again_and_limited_is_tried_again_once),
        TEST(an_app_that_is_being_deleted_gets_no_release),
        TEST(of_several_limited_pushes_the_branch_s_newest_head_is_released_once),
        TEST(a_look_at_a_bucket_that_is_still_empty_waits_for_it),
        TEST(a_push_that_is_limited_while_the_head_is_read_is_looked_at_as_well),
        TEST(a_head_that_was_read_before_a_push_was_limited_is_followed_by_another_look),
        TEST(a_look_right_after_a_limited_push_is_followed_by_another),
        TEST(a_raised_quota_has_the_branch_looked_at_at_once),
        TEST(a_look_right_after_a_push_over_a_quota_is_followed_by_another),
        TEST(an_app_that_is_made_smaller_than_its_quota_is_looked_at_at_once),
        TEST(a_look_that_finds_no_room_either_waits_for_it),
        TEST(releases_an_hour_free_themselves_and_the_branch_is_looked_at_then),
        TEST(a_paused_app_is_looked_at_when_it_is_resumed),
        TEST(a_look_at_an_app_that_was_paused_meanwhile_waits_for_its_resumption),
        TEST(the_head_of_a_branch_that_the_app_is_no_longer_built_from_is_not_released),
        TEST(a_look_that_an_operator_asked_for_tries_a_failed_head_again_and_leaves_a_live_one),
        TEST(a_look_of_a_worker_that_died_is_another_s_when_its_lease_ends),
        TEST(a_worker_that_was_slower_than_its_lease_makes_no_second_release),
        TEST(of_many_workers_at_once_one_looks),
        TEST(a_drain_takes_a_look_that_is_due_and_the_release_that_comes_of_it),
        TEST(a_drain_does_not_wait_for_a_look_that_is_due_later),
        TEST(a_drain_ends_though_github_is_away),
        TEST(a_worker_that_waits_takes_a_look_when_it_is_due),
        TEST(neither_releases_nor_looks_wait_while_there_is_always_one_of_the_other),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests_name("deploy/look", tests, open_looks, close_looks);
}
