/* Deliveries in Postgres: each is stored exactly once, and makes at most one release. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/deploy/intake.h"
#include "tests/db/harness.h"

enum { THREADS = 16, WAIT_MS = 10000 };

#define SHA "1a2b3c4d5e6f7081920a1b2c3d4e5f6071829304"
#define OTHER_SHA "ffff3c4d5e6f7081920a1b2c3d4e5f6071829304"

static struct harness_database *database;
static struct db_pool *superuser, *hooks;
static struct intake *intake;

static int clear(void **state)
{
    (void)state;
    harness_do(superuser,
               "TRUNCATE berth.apps CASCADE;"
               "INSERT INTO berth.apps (app_name, repository, branch, webhook_policy)"
               " VALUES ('shop', 'acme/shop', 'main', 'github'), ('cellar', 'acme/cellar', 'main', 'github')");
    return 0;
}

static struct github_event push_of(const char *sha)
{
    return (struct github_event){ .name = "push",
                                  .repository = "acme/shop",
                                  .repository_id = 4711,
                                  .branch = "main",
                                  .commit_sha = sha,
                                  .commit_title = "Title",
                                  .pushed_by = "mara" };
}

static int take(const char *app, const char *id, const char *body, const struct github_event *event,
                struct intake_answer *out, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    uint8_t digest[HASH_SIZE];

    hash_sha256(body, strlen(body), digest);
    struct delivery delivery = { app, id, body, strlen(body), digest, event };
    int code = intake_take(intake, &delivery, mem, out, e);
    out->reason = NULL; /* was in mem */
    return code;
}

/* What a delivery comes to; -1: an error. */
static int outcome(const char *app, const char *id, const char *body, const struct github_event *event, int *release)
{
    struct intake_answer answer = { 0 };
    struct err e = { 0 };

    if (take(app, id, body, event, &answer, &e)) {
        fprintf(stderr, "%s\n", e.message);
        return -1;
    }
    *release = answer.release;
    return (int)answer.outcome;
}

static int64_t count(const char *sql)
{
    return harness_number(superuser, NULL, sql);
}

#define RELEASES "SELECT count(*) AS n FROM berth.releases"
#define DELIVERIES "SELECT count(*) AS n FROM berth.deliveries"

static void a_push_of_another_repository_stores_nothing(void **state)
{
    struct github_event event = push_of(SHA);
    int release = 0;
    (void)state;
    event.repository = "acme/cellar";

    assert_int_equal(outcome("shop", "d-1", "{}", &event, &release), INTAKE_OTHER_REPOSITORY);

    assert_int_equal(count(DELIVERIES), 0);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.apps WHERE repository_id IS NOT NULL"), 0);
}

static void an_app_that_is_gone_is_unknown(void **state)
{
    struct github_event event = push_of(SHA);
    int release = 0;
    (void)state;

    assert_int_equal(outcome("nobody", "d-1", "{}", &event, &release), INTAKE_UNKNOWN);
}

static void an_event_without_a_repository_is_stored_as_ignored_and_binds_nothing(void **state)
{
    struct github_event event = { .name = "organization", .ignored = "event organization" };
    int release = 0;
    (void)state;

    assert_int_equal(outcome("shop", "d-1", "{}", &event, &release), INTAKE_IGNORED);

    assert_int_equal(count(DELIVERIES " WHERE outcome = 'ignored' AND release IS NULL"), 1);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.apps WHERE repository_id IS NOT NULL"), 0);
    event = push_of(SHA);
    assert_int_equal(outcome("shop", "d-2", "{}", &event, &release), INTAKE_ACCEPTED);
    event = (struct github_event){ .name = "organization", .ignored = "event organization" };
    assert_int_equal(outcome("shop", "d-3", "{}", &event, &release), INTAKE_IGNORED);
}

static void a_push_without_a_repository_makes_no_release(void **state)
{
    struct github_event event = push_of(SHA);
    int release = 0;
    (void)state;
    event.repository = NULL;

    assert_int_equal(outcome("shop", "d-1", "{}", &event, &release), INTAKE_OTHER_REPOSITORY);
    assert_int_equal(count(RELEASES), 0);
}

static void an_ignored_event_of_another_repository_is_refused(void **state)
{
    struct github_event event = {
        .name = "issues", .ignored = "event issues", .repository = "acme/cellar", .repository_id = 1
    };
    int release = 0;
    (void)state;

    assert_int_equal(outcome("shop", "d-1", "{}", &event, &release), INTAKE_OTHER_REPOSITORY);
    assert_int_equal(count(DELIVERIES), 0);
}

static void the_first_push_binds_the_repository_s_id(void **state)
{
    struct github_event event = push_of(SHA);
    int release = 0;
    (void)state;
    event.repository = "ACME/Shop"; /* GitHub's names are the same in either case */

    assert_int_equal(outcome("shop", "d-1", "{}", &event, &release), INTAKE_ACCEPTED);

    assert_int_equal(count("SELECT repository_id AS n FROM berth.apps WHERE app_name = 'shop'"), 4711);
    event.repository_id = 4712;
    assert_int_equal(outcome("shop", "d-2", "{ }", &event, &release), INTAKE_OTHER_REPOSITORY);
}

static void a_delivery_a_body_and_a_commit_count_once(void **state)
{
    struct github_event event = push_of(SHA);
    int release = 0;
    (void)state;

    assert_int_equal(outcome("shop", "d-1", "{1}", &event, &release), INTAKE_ACCEPTED);
    assert_int_equal(release, 1);
    assert_int_equal(outcome("shop", "d-1", "{1}", &event, &release), INTAKE_DUPLICATE);
    assert_int_equal(release, 1);
    assert_int_equal(outcome("shop", "d-2", "{1}", &event, &release), INTAKE_DUPLICATE);
    assert_int_equal(release, 1);
    assert_int_equal(outcome("shop", "d-3", "{3}", &event, &release), INTAKE_DUPLICATE);
    assert_int_equal(release, 1);

    assert_int_equal(count(RELEASES), 1);
    assert_int_equal(count(DELIVERIES), 3);
}

static void the_same_delivery_id_of_another_app_is_another_delivery(void **state)
{
    struct github_event shop = push_of(SHA);
    struct github_event cellar = push_of(SHA);
    int release = 0;
    (void)state;
    cellar.repository = "acme/cellar";
    cellar.repository_id = 4712;

    assert_int_equal(outcome("shop", "d-1", "{}", &shop, &release), INTAKE_ACCEPTED);
    assert_int_equal(outcome("cellar", "d-1", "{}", &cellar, &release), INTAKE_ACCEPTED);
    assert_int_equal(release, 1);
}

static void a_commit_that_was_superseded_may_come_back(void **state)
{
    struct github_event one = push_of(SHA);
    struct github_event other = push_of(OTHER_SHA);
    int release = 0;
    (void)state;
    assert_int_equal(outcome("shop", "d-1", "{1}", &one, &release), INTAKE_ACCEPTED);
    assert_int_equal(outcome("shop", "d-2", "{2}", &other, &release), INTAKE_ACCEPTED);

    assert_int_equal(outcome("shop", "d-3", "{3}", &one, &release), INTAKE_ACCEPTED);

    assert_int_equal(release, 3);
}

static void a_paused_app_is_judged_anew_on_redelivery(void **state)
{
    struct github_event event = push_of(SHA);
    int release = 0;
    (void)state;
    harness_do(superuser, "UPDATE berth.apps SET state = 'paused'");
    assert_int_equal(outcome("shop", "d-1", "{}", &event, &release), INTAKE_PAUSED);
    harness_do(superuser, "UPDATE berth.apps SET state = 'active'");

    assert_int_equal(outcome("shop", "d-1", "{}", &event, &release), INTAKE_ACCEPTED);

    assert_int_equal(count(DELIVERIES), 1);
}

static void the_stored_outcome_is_the_answer_when_one_asks_again(void **state)
{
    struct github_event event = push_of(SHA);
    int release = 0;
    (void)state;
    assert_int_equal(outcome("shop", "d-1", "{}", &event, &release), INTAKE_ACCEPTED);

    assert_int_equal(count("SELECT release AS n FROM berth.intake('shop', 'd-1', 'push', NULL, sha256('{}'), '{}', "
                           "'acme/shop', 4711, 'main', '" SHA "', NULL, 'mara', true) WHERE outcome = 'accepted'"),
                     1);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.intake('shop', 'd-1', 'push', NULL, sha256('{}'), '{}', "
                           "'acme/shop', 4711, 'main', '" SHA "', NULL, 'mara') WHERE outcome = 'duplicate'"),
                     1);
    assert_int_equal(count(RELEASES), 1);
}

struct racer {
    const char *id;
    const char *body;
    struct github_event event;
    int outcome, release;
};

static void *race(void *context)
{
    struct racer *racer = context;

    racer->outcome = outcome("shop", racer->id, racer->body, &racer->event, &racer->release);
    return NULL;
}

static void race_all(struct racer *racers)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, race, &racers[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void one_delivery_at_once_from_many_threads_makes_one_release(void **state)
{
    struct racer racers[THREADS];
    int accepted = 0;
    (void)state;
    for (int i = 0; i < THREADS; i++)
        racers[i] = (struct racer){ "d-1", "{}", push_of(SHA), 0, 0 };

    race_all(racers);

    for (int i = 0; i < THREADS; i++) {
        accepted += racers[i].outcome == INTAKE_ACCEPTED;
        assert_in_range(racers[i].outcome, 0, INTAKE_DUPLICATE);
        assert_int_equal(racers[i].release, 1);
    }
    assert_int_equal(accepted, 1);
    assert_int_equal(count(RELEASES), 1);
}

static void many_pushes_at_once_are_numbered_without_a_gap(void **state)
{
    struct racer racers[THREADS];
    char texts[THREADS][3][48];
    (void)state;
    for (int i = 0; i < THREADS; i++) {
        snprintf(texts[i][0], sizeof texts[i][0], "d-%d", i);
        snprintf(texts[i][1], sizeof texts[i][1], "{%d}", i);
        snprintf(texts[i][2], sizeof texts[i][2], "%040x", i + 1);
        racers[i] = (struct racer){ texts[i][0], texts[i][1], push_of(texts[i][2]), 0, 0 };
    }

    race_all(racers);

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(racers[i].outcome, INTAKE_ACCEPTED);
    assert_int_equal(count(RELEASES " WHERE number BETWEEN 1 AND 16"), THREADS);
    assert_int_equal(count("SELECT last_release AS n FROM berth.apps WHERE app_name = 'shop'"), THREADS);
}

static void workers_are_told_soon_after_the_commit(void **state)
{
    AUTO_DB struct db *listener = NULL;
    struct github_event event = push_of(SHA);
    struct err e = { 0 };
    bool notified = false;
    int release = 0;
    (void)state;
    assert_int_equal(db_take(superuser, &listener, &e), 0);
    assert_int_equal(db_listen(listener, "berth_releases", &e), 0);

    assert_int_equal(outcome("shop", "d-1", "{}", &event, &release), INTAKE_ACCEPTED);

    assert_int_equal(db_wait(listener, WAIT_MS, -1, &notified, &e), 0);
    assert_true(notified);
}

static int open_all(void **state)
{
    struct err e = { 0 };

    (void)state;
    database = harness_database_new();
    superuser = harness_pool(database, HARNESS_SUPERUSER, 2);
    hooks = harness_pool(database, HARNESS_HOOKS, 8);
    return intake_new(hooks, &intake, &e);
}

static int close_all(void **state)
{
    (void)state;
    intake_free(intake);
    db_pool_free(hooks);
    db_pool_free(superuser);
    harness_database_free(database);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, clear)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_push_of_another_repository_stores_nothing),
        TEST(an_app_that_is_gone_is_unknown),
        TEST(an_event_without_a_repository_is_stored_as_ignored_and_binds_nothing),
        TEST(a_push_without_a_repository_makes_no_release),
        TEST(an_ignored_event_of_another_repository_is_refused),
        TEST(the_first_push_binds_the_repository_s_id),
        TEST(a_delivery_a_body_and_a_commit_count_once),
        TEST(the_same_delivery_id_of_another_app_is_another_delivery),
        TEST(a_commit_that_was_superseded_may_come_back),
        TEST(a_paused_app_is_judged_anew_on_redelivery),
        TEST(the_stored_outcome_is_the_answer_when_one_asks_again),
        TEST(one_delivery_at_once_from_many_threads_makes_one_release),
        TEST(many_pushes_at_once_are_numbered_without_a_gap),
        TEST(workers_are_told_soon_after_the_commit),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, open_all, close_all);
}
