/* Connections: taken, given back, lost and replaced, against a real Postgres. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/db/internal.h"
#include "tests/db/harness.h"

static struct harness_database *database;
static struct db_pool *pool; /* superuser's, two connections */

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void a_bad_connection_string_is_refused_without_being_quoted(void **state)
{
    const struct db_pool_options options = { .conninfo = "postgresql://u:hush@[bad", .name = "hooks", .size = 1 };
    struct db_pool *made = NULL;
    struct err e = { 0 };
    (void)state;

    assert_int_equal(db_pool_new(&options, &made, &e), ERR_INVALID);

    assert_null(made);
    assert_null(strstr(e.message, "hush"));
    assert_null(strstr(e.hint, "hush"));
    assert_non_null(strstr(e.message, "hooks"));
}

static void a_postgres_that_is_down_is_transient_and_not_waited_for_beyond_the_time(void **state)
{
    const struct db_pool_options options = { "host=/nonexistent password=hush", "hooks", 1, 300, 0 };
    struct db_pool *made = NULL;
    struct db *db = NULL;
    struct err e = { 0 };
    int64_t begun = now_ms();
    (void)state;
    assert_int_equal(db_pool_new(&options, &made, &e), 0);

    assert_int_equal(db_take(made, &db, &e), ERR_TRANSIENT);

    assert_true(now_ms() - begun < 2000);
    assert_string_equal(e.detail, "08001");
    assert_null(strstr(e.message, "hush"));
    assert_true(*e.hint);
    db_pool_free(made);
}

static void an_exhausted_pool_times_out_and_says_so(void **state)
{
    const struct db_pool_options options = { harness_conninfo(database, HARNESS_SUPERUSER), "hooks", 1, 150, 0 };
    struct db_pool *made = NULL;
    struct db *second = NULL;
    struct err e = { 0 };
    (void)state;
    assert_int_equal(db_pool_new(&options, &made, &e), 0);
    struct db *first = harness_take(made);

    int64_t begun = now_ms();
    assert_int_equal(db_take(made, &second, &e), ERR_TRANSIENT);
    int64_t took = now_ms() - begun;

    assert_true(took >= 150 && took < 2000);
    assert_non_null(strstr(e.message, "all 1 are in use"));
    db_give(first);
    db_pool_free(made);
}

static void *give_later(void *db)
{
    usleep(100 * 1000);
    db_give(db);
    return NULL;
}

static void a_connection_given_back_wakes_who_waits_for_one(void **state)
{
    const struct db_pool_options options = { harness_conninfo(database, HARNESS_SUPERUSER), "hooks", 1, 10000, 0 };
    struct db_pool *made = NULL;
    struct err e = { 0 };
    pthread_t giver;
    (void)state;
    assert_int_equal(db_pool_new(&options, &made, &e), 0);
    struct db *first = harness_take(made);

    int64_t begun = now_ms();
    pthread_create(&giver, NULL, give_later, first);
    struct db *second = harness_take(made);
    int64_t took = now_ms() - begun;

    pthread_join(giver, NULL);
    assert_ptr_equal(first, second);
    assert_true(took < 5000);
    db_give(second);
    db_pool_free(made);
}

static void a_session_has_our_settings_and_name(void **state)
{
    static const struct query_text text = {
        "settings", QUERY_SHAPE_ONE,
        "SELECT current_setting('search_path') AS path, current_setting('TimeZone') AS zone,"
        " current_setting('client_encoding') AS encoding, current_setting('application_name') AS name,"
        " current_setting('statement_timeout') AS timeout"
    };
    const struct db_pool_options options = { harness_conninfo(database, HARNESS_SUPERUSER), "hooks", 1, 1000, 15000 };
    struct db_pool *made = NULL;
    AUTO_ROWS struct db_rows *rows = NULL;
    struct err e = { 0 };
    (void)state;
    assert_int_equal(db_pool_new(&options, &made, &e), 0);
    struct db *db = harness_take(made);

    assert_int_equal(statement_run(db, NULL, &text, NULL, NULL, 0, &rows, &e), 0);

    assert_string_equal(db_get(rows, 0, "path"), "berth, pg_temp");
    assert_string_equal(db_get(rows, 0, "zone"), "UTC");
    assert_string_equal(db_get(rows, 0, "encoding"), "UTF8");
    assert_string_equal(db_get(rows, 0, "name"), "berth-hooks");
    assert_string_equal(db_get(rows, 0, "timeout"), "15s");
    db_give(db);
    db_pool_free(made);
}

static void a_connection_that_ended_while_idle_is_replaced_unnoticed(void **state)
{
    struct db *db = harness_take(pool);
    int64_t pid = harness_backend_pid(db);
    (void)state;
    db_give(db);

    struct db *other = harness_take(pool); /* the last given is the first taken */
    assert_int_equal(harness_backend_pid(other), pid);
    struct db *ender = harness_take(pool);
    char sql[64];
    struct err e = { 0 };
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d, 5000)", (int)pid);
    db_give(other);
    assert_int_equal(harness_run(ender, NULL, QUERY_SHAPE_ONE, sql, &e), 0);
    db = harness_take(pool);

    assert_true(harness_backend_pid(db) != pid);
    db_give(db);
    db_give(ender);
}

static void a_connection_lost_in_use_is_transient_and_replaced(void **state)
{
    struct db *db = harness_take(pool);
    int64_t pid = harness_backend_pid(db);
    struct err e = { 0 };
    (void)state;
    harness_end_backend(pool, pid);

    assert_int_equal(harness_run(db, "shop", QUERY_SHAPE_ONE, "SELECT 1", &e), ERR_TRANSIENT);

    assert_true(*e.detail);
    assert_non_null(strstr(e.message, "shop"));
    assert_int_equal(harness_run(db, "shop", QUERY_SHAPE_ONE, "SELECT 1", &e), ERR_TRANSIENT);
    db_give(db);
    db = harness_take(pool);
    assert_int_equal(harness_run(db, "shop", QUERY_SHAPE_ONE, "SELECT 1", &e), 0);
    assert_true(harness_backend_pid(db) != pid);
    db_give(db);
}

static void a_read_only_server_is_transient_and_the_connection_replaced(void **state)
{
    struct db *db = harness_take(pool);
    int64_t pid = harness_backend_pid(db);
    struct err e = { 0 };
    (void)state;
    assert_int_equal(script_run(db, "t", "SET default_transaction_read_only = on", &e), 0);

    assert_int_equal(harness_run(db, NULL, QUERY_SHAPE_NONE, "CREATE TABLE public.never (n int)", &e), ERR_TRANSIENT);

    assert_string_equal(e.detail, "25006");
    db_give(db);
    db = harness_take(pool);
    assert_true(harness_backend_pid(db) != pid);
    db_give(db);
}

static void a_statement_over_its_time_is_transient_and_the_connection_stays(void **state)
{
    const struct db_pool_options options = { harness_conninfo(database, HARNESS_SUPERUSER), "hooks", 1, 5000, 100 };
    struct db_pool *made = NULL;
    struct err e = { 0 };
    (void)state;
    assert_int_equal(db_pool_new(&options, &made, &e), 0);
    struct db *db = harness_take(made);
    int64_t pid = harness_backend_pid(db);

    assert_int_equal(harness_run(db, NULL, QUERY_SHAPE_ONE, "SELECT pg_sleep(20)", &e), ERR_TRANSIENT);

    assert_string_equal(e.detail, "57014");
    db_give(db);
    db = harness_take(made);
    assert_int_equal(harness_backend_pid(db), pid);
    db_give(db);
    db_pool_free(made);
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
        cmocka_unit_test(a_bad_connection_string_is_refused_without_being_quoted),
        cmocka_unit_test(a_postgres_that_is_down_is_transient_and_not_waited_for_beyond_the_time),
        cmocka_unit_test(an_exhausted_pool_times_out_and_says_so),
        cmocka_unit_test(a_connection_given_back_wakes_who_waits_for_one),
        cmocka_unit_test(a_session_has_our_settings_and_name),
        cmocka_unit_test(a_connection_that_ended_while_idle_is_replaced_unnoticed),
        cmocka_unit_test(a_connection_lost_in_use_is_transient_and_replaced),
        cmocka_unit_test(a_read_only_server_is_transient_and_the_connection_replaced),
        cmocka_unit_test(a_statement_over_its_time_is_transient_and_the_connection_stays),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, setup, teardown);
}
