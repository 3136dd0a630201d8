/* Transactions and notifications. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "core/db/internal.h"
#include "tests/db/harness.h"

static struct harness_database *database;
static struct db_pool *pool; /* superuser's, two connections */

#define LONG_NAME "a text that is far too long to be the name of a channel of Postgres"

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const struct query_text show_scope = { "test_show_scope", QUERY_SHAPE_ONE,
                                              "SELECT coalesce(current_setting('berth.app_name', true), '') AS scope" };

static const char *scope_of(struct db *db, const char *app, bool *prepared)
{
    static char scope[64];
    AUTO_ROWS struct db_rows *rows = NULL;
    struct err e = { 0 };

    if (statement_run(db, app, &show_scope, prepared, NULL, 0, &rows, &e))
        fail_msg("%s", e.message);
    snprintf(scope, sizeof scope, "%s", db_get(rows, 0, "scope"));
    return scope;
}

/* --- transactions --- */

static void a_transaction_is_under_one_scope_and_ends_with_it(void **state)
{
    struct db *db = harness_take(pool);
    struct err e = { 0 };
    (void)state;

    assert_int_equal(db_begin(db, "shop", &e), 0);
    assert_string_equal(scope_of(db, "shop", NULL), "shop");
    assert_string_equal(scope_of(db, "shop", NULL), "shop");
    assert_int_equal(harness_run(db, "blog", QUERY_SHAPE_ONE, "SELECT 1", &e), ERR_INTERNAL);
    assert_int_equal(harness_run(db, NULL, QUERY_SHAPE_ONE, "SELECT 1", &e), ERR_INTERNAL);
    assert_int_equal(db_begin(db, "shop", &e), ERR_INTERNAL);
    assert_int_equal(db_commit(db, &e), 0);

    assert_string_equal(scope_of(db, NULL, NULL), "");
    db_give(db);
}

static void a_commit_after_a_failed_statement_is_a_conflict(void **state)
{
    struct db *db = harness_take(pool);
    struct err e = { 0 };
    (void)state;
    assert_int_equal(db_begin(db, "shop", &e), 0);
    assert_int_equal(harness_run(db, "shop", QUERY_SHAPE_ONE, "SELECT 1/0", &e), ERR_INVALID);

    assert_int_equal(db_commit(db, &e), ERR_CONFLICT);

    assert_string_equal(scope_of(db, NULL, NULL), "");
    db_give(db);
}

static void a_connection_given_back_in_a_transaction_is_rolled_back(void **state)
{
    struct err e = { 0 };
    (void)state;
    harness_do(pool, "CREATE TABLE public.given (n int)");
    struct db *db = harness_take(pool);
    int64_t pid = harness_backend_pid(db);
    assert_int_equal(db_begin(db, NULL, &e), 0);
    assert_int_equal(harness_run(db, NULL, QUERY_SHAPE_NONE, "INSERT INTO public.given VALUES (1)", &e), 0);
    assert_int_equal(harness_run(db, NULL, QUERY_SHAPE_ONE, "SELECT 1/0", &e), ERR_INVALID);

    db_give(db);

    db = harness_take(pool);
    assert_int_equal(harness_backend_pid(db), pid);
    assert_int_equal(db_begin(db, "shop", &e), 0);
    db_give(db);
    assert_int_equal(harness_number(pool, NULL, "SELECT count(*) AS n FROM public.given"), 0);
}

static void a_commit_whose_answer_is_lost_says_that_its_outcome_is_unknown(void **state)
{
    struct db *db = harness_take(pool);
    int64_t pid = harness_backend_pid(db);
    struct err e = { 0 };
    (void)state;
    assert_int_equal(db_begin(db, "shop", &e), 0);
    harness_end_backend(pool, pid);

    assert_int_equal(db_commit(db, &e), ERR_TRANSIENT);

    assert_string_equal(e.detail, "08007");
    db_give(db);
}

/* --- notifications --- */

static void a_wait_ends_with_a_notification(void **state)
{
    struct db *db = harness_take(pool);
    bool notified = false;
    struct err e = { 0 };
    (void)state;
    assert_int_equal(db_listen(db, "berth_test", &e), 0);
    harness_do(pool, "NOTIFY berth_test");

    assert_int_equal(db_wait(db, 10000, -1, &notified, &e), 0);

    assert_true(notified);
    assert_int_equal(db_wait(db, 0, -1, &notified, &e), 0);
    assert_false(notified);
    db_give(db);
}

static void a_wait_ends_with_its_time_or_its_wake_fd(void **state)
{
    struct db *db = harness_take(pool);
    bool notified = true;
    struct err e = { 0 };
    int pipes[2];
    (void)state;
    assert_int_equal(pipe(pipes), 0);
    int64_t begun = now_ms();

    assert_int_equal(db_wait(db, 60, pipes[0], &notified, &e), 0);
    assert_false(notified);
    assert_true(now_ms() - begun >= 59);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    assert_int_equal(db_wait(db, 60000, pipes[0], &notified, &e), 0);

    assert_false(notified);
    assert_true(now_ms() - begun < 10000);
    close(pipes[0]);
    close(pipes[1]);
    db_give(db);
}

static void a_wait_on_a_lost_connection_is_transient(void **state)
{
    struct db *db = harness_take(pool);
    bool notified = false;
    struct err e = { 0 };
    (void)state;
    assert_int_equal(db_listen(db, "berth_test", &e), 0);
    harness_end_backend(pool, harness_backend_pid(db));

    assert_int_equal(db_wait(db, 10000, -1, &notified, &e), ERR_TRANSIENT);

    db_give(db);
}

static void a_channel_that_would_need_quoting_is_refused(void **state)
{
    struct db *db = harness_take(pool);
    struct err e = { 0 };
    (void)state;

    assert_int_equal(db_listen(db, "a\"; DROP TABLE apps", &e), ERR_INTERNAL);
    assert_int_equal(db_listen(db, "", &e), ERR_INTERNAL);
    assert_int_equal(db_listen(db, LONG_NAME, &e), ERR_INTERNAL);

    db_give(db);
}

static void a_connection_that_listened_hears_nothing_after_it_was_given_back(void **state)
{
    struct db *db = harness_take(pool);
    bool notified = true;
    struct err e = { 0 };
    (void)state;
    int64_t pid = harness_backend_pid(db);
    assert_int_equal(db_listen(db, "berth_test", &e), 0);
    db_give(db);
    db = harness_take(pool);
    assert_int_equal(harness_backend_pid(db), pid);
    harness_do(pool, "NOTIFY berth_test");

    assert_int_equal(db_wait(db, 50, -1, &notified, &e), 0);

    assert_false(notified);
    db_give(db);
}

static int setup(void **state)
{
    (void)state;
    database = harness_database_empty();
    pool = harness_pool(database, HARNESS_SUPERUSER, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    db_pool_free(pool);
    harness_database_free(database);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_is_under_one_scope_and_ends_with_it),
        cmocka_unit_test(a_commit_after_a_failed_statement_is_a_conflict),
        cmocka_unit_test(a_connection_given_back_in_a_transaction_is_rolled_back),
        cmocka_unit_test(a_commit_whose_answer_is_lost_says_that_its_outcome_is_unknown),
        cmocka_unit_test(a_wait_ends_with_a_notification),
        cmocka_unit_test(a_wait_ends_with_its_time_or_its_wake_fd),
        cmocka_unit_test(a_wait_on_a_lost_connection_is_transient),
        cmocka_unit_test(a_channel_that_would_need_quoting_is_refused),
        cmocka_unit_test(a_connection_that_listened_hears_nothing_after_it_was_given_back),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, setup, teardown);
}
