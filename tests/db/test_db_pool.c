/* Connections, statements and their scope, against a real Postgres. */
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

#define LONG_NAME "a text that is far too long to be the name of a channel of Postgres"

static struct harness_database *database;
static struct db_pool *pool; /* superuser's, two connections */

static const struct query_text show_scope = { "test_show_scope", QUERY_SHAPE_ONE,
                                              "SELECT coalesce(current_setting('berth.app_name', true), '') AS scope" };
static bool show_scope_prepared; /* on the only connection that uses it by name */

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

static int run_text(struct db *db, const char *app, enum query_shape shape, const char *sql, struct err *e)
{
    const struct query_text text = { "of_a_test", shape, sql };

    return statement_run(db, app, &text, NULL, NULL, 0, NULL, e);
}

static int64_t backend_pid(struct db *db)
{
    static const struct query_text text = { "backend_pid", QUERY_SHAPE_ONE, "SELECT pg_backend_pid() AS pid" };
    AUTO_ROWS struct db_rows *rows = NULL;
    struct err e = { 0 };

    if (statement_run(db, NULL, &text, NULL, NULL, 0, &rows, &e))
        fail_msg("%s", e.message);
    return db_get_int(rows, 0, "pid");
}

/* By the pool's other connection; comes back when the process is gone. */
static void end_backend(int64_t pid)
{
    static const struct query_text text = { "end_backend", QUERY_SHAPE_ONE,
                                            "SELECT pg_terminate_backend($1::int, 5000)" };
    AUTO_DB struct db *db = NULL;
    const struct db_param params[] = { db_int(pid) };
    struct err e = { 0 };

    assert_int_equal(db_take(pool, &db, &e), 0);
    assert_int_equal(statement_run(db, NULL, &text, NULL, params, 1, NULL, &e), 0);
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct db *take(struct db_pool *from)
{
    struct db *db = NULL;
    struct err e = { 0 };

    if (db_take(from, &db, &e))
        fail_msg("%s", e.message);
    return db;
}

/* --- connections --- */

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
    struct db *first = take(made);

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
    struct db *first = take(made);

    int64_t begun = now_ms();
    pthread_create(&giver, NULL, give_later, first);
    struct db *second = take(made);
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
    struct db *db = take(made);

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
    struct db *db = take(pool);
    int64_t pid = backend_pid(db);
    (void)state;
    db_give(db);

    struct db *other = take(pool); /* the last given is the first taken */
    assert_int_equal(backend_pid(other), pid);
    struct db *ender = take(pool);
    char sql[64];
    struct err e = { 0 };
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d, 5000)", (int)pid);
    db_give(other);
    assert_int_equal(run_text(ender, NULL, QUERY_SHAPE_ONE, sql, &e), 0);
    db = take(pool);

    assert_true(backend_pid(db) != pid);
    db_give(db);
    db_give(ender);
}

static void a_connection_lost_in_use_is_transient_and_replaced(void **state)
{
    struct db *db = take(pool);
    int64_t pid = backend_pid(db);
    struct err e = { 0 };
    (void)state;
    end_backend(pid);

    assert_int_equal(run_text(db, "shop", QUERY_SHAPE_ONE, "SELECT 1", &e), ERR_TRANSIENT);

    assert_true(*e.detail);
    assert_non_null(strstr(e.message, "shop"));
    assert_int_equal(run_text(db, "shop", QUERY_SHAPE_ONE, "SELECT 1", &e), ERR_TRANSIENT);
    db_give(db);
    db = take(pool);
    assert_int_equal(run_text(db, "shop", QUERY_SHAPE_ONE, "SELECT 1", &e), 0);
    assert_true(backend_pid(db) != pid);
    db_give(db);
}

static void a_read_only_server_is_transient_and_the_connection_replaced(void **state)
{
    struct db *db = take(pool);
    int64_t pid = backend_pid(db);
    struct err e = { 0 };
    (void)state;
    assert_int_equal(script_run(db, "t", "SET default_transaction_read_only = on", &e), 0);

    assert_int_equal(run_text(db, NULL, QUERY_SHAPE_NONE, "CREATE TABLE public.never (n int)", &e), ERR_TRANSIENT);

    assert_string_equal(e.detail, "25006");
    db_give(db);
    db = take(pool);
    assert_true(backend_pid(db) != pid);
    db_give(db);
}

static void a_statement_over_its_time_is_transient_and_the_connection_stays(void **state)
{
    const struct db_pool_options options = { harness_conninfo(database, HARNESS_SUPERUSER), "hooks", 1, 5000, 100 };
    struct db_pool *made = NULL;
    struct err e = { 0 };
    (void)state;
    assert_int_equal(db_pool_new(&options, &made, &e), 0);
    struct db *db = take(made);
    int64_t pid = backend_pid(db);

    assert_int_equal(run_text(db, NULL, QUERY_SHAPE_ONE, "SELECT pg_sleep(20)", &e), ERR_TRANSIENT);

    assert_string_equal(e.detail, "57014");
    db_give(db);
    db = take(made);
    assert_int_equal(backend_pid(db), pid);
    db_give(db);
    db_pool_free(made);
}

/* --- values and shapes --- */

static void every_type_of_parameter_arrives_and_comes_back(void **state)
{
    static const struct query_text text = {
        "types", QUERY_SHAPE_ONE,
        "SELECT $1::text AS t, $2::bigint AS i, $3::bool AS b, encode($4::bytea, 'hex') AS x, $5::text AS n"
    };
    const struct db_param params[] = { db_text("ü'\\\"; --"), db_int(INT64_MIN), db_bool(true), db_bytes("\0\xff", 2),
                                       db_text(NULL) };
    AUTO_ROWS struct db_rows *rows = NULL;
    AUTO_ARENA struct arena *mem = arena_new();
    struct db *db = take(pool);
    struct err e = { 0 };
    (void)state;

    assert_int_equal(statement_run(db, NULL, &text, NULL, params, 5, &rows, &e), 0);

    assert_int_equal(db_count(rows), 1);
    assert_string_equal(db_get_copy(rows, 0, "t", mem), "ü'\\\"; --");
    assert_true(db_get_int(rows, 0, "i") == INT64_MIN);
    assert_true(db_get_bool(rows, 0, "b"));
    assert_string_equal(db_get(rows, 0, "x"), "00ff");
    assert_null(db_get(rows, 0, "n"));
    assert_null(db_get_copy(rows, 0, "n", mem));
    db_give(db);
}

static void a_statement_that_breaks_its_shape_is_an_error(void **state)
{
    struct db *db = take(pool);
    struct err e = { 0 };
    (void)state;

    assert_int_equal(run_text(db, NULL, QUERY_SHAPE_ONE, "SELECT 1 WHERE false", &e), ERR_NOT_FOUND);
    assert_int_equal(run_text(db, NULL, QUERY_SHAPE_ONE, "VALUES (1), (2)", &e), ERR_INTERNAL);
    assert_int_equal(run_text(db, NULL, QUERY_SHAPE_MAYBE, "VALUES (1), (2)", &e), ERR_INTERNAL);
    assert_int_equal(run_text(db, NULL, QUERY_SHAPE_NONE, "VALUES (1)", &e), ERR_INTERNAL);

    assert_int_equal(run_text(db, NULL, QUERY_SHAPE_MAYBE, "SELECT 1 WHERE false", &e), 0);
    assert_int_equal(run_text(db, NULL, QUERY_SHAPE_MANY, "VALUES (1), (2)", &e), 0);
    db_give(db);
}

static void too_many_parameters_are_refused_before_anything_is_sent(void **state)
{
    static const struct query_text text = { "many_parameters", QUERY_SHAPE_ONE, "SELECT 1" };
    struct db_param params[DB_PARAMS_MAX + 1] = { 0 };
    struct db *db = take(pool);
    struct err e = { 0 };
    (void)state;

    assert_int_equal(statement_run(db, NULL, &text, NULL, params, DB_PARAMS_MAX + 1, NULL, &e), ERR_INTERNAL);

    assert_int_equal(run_text(db, NULL, QUERY_SHAPE_ONE, "SELECT 1", &e), 0);
    db_give(db);
}

/* --- scope --- */

static void a_scope_ends_with_its_statement(void **state)
{
    struct db *db = take(pool);
    (void)state;

    assert_string_equal(scope_of(db, "shop", NULL), "shop");

    assert_string_equal(scope_of(db, NULL, NULL), "");
    assert_string_equal(scope_of(db, "blog", NULL), "blog");
    assert_string_equal(scope_of(db, NULL, NULL), "");
    db_give(db);
}

static void a_failed_statement_leaves_a_usable_connection_without_scope(void **state)
{
    struct db *db = take(pool);
    struct err e = { 0 };
    (void)state;

    assert_int_equal(run_text(db, "shop", QUERY_SHAPE_ONE, "SELECT 1/0", &e), ERR_INVALID);
    assert_int_equal(run_text(db, "shop", QUERY_SHAPE_ONE, "SELECT nonsense", &e), ERR_INTERNAL);

    assert_string_equal(scope_of(db, NULL, NULL), "");
    assert_string_equal(scope_of(db, "blog", NULL), "blog");
    db_give(db);
}

static void what_a_failed_scoped_statement_did_is_undone(void **state)
{
    struct db *db = take(pool);
    struct err e = { 0 };
    (void)state;
    harness_do(pool, "CREATE TABLE public.deferred (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)");

    /* Fails only when the Sync commits. */
    int code = run_text(db, "shop", QUERY_SHAPE_NONE, "INSERT INTO public.deferred VALUES (7), (7)", &e);

    assert_int_equal(code, ERR_INVALID);
    assert_string_equal(e.detail, "23505");
    assert_string_equal(scope_of(db, "blog", NULL), "blog");
    db_give(db);
    assert_int_equal(harness_number(pool, NULL, "SELECT count(*) AS n FROM public.deferred"), 0);
}

struct scoped_thread {
    const char *app;
    int wrong;
};

static void *run_scoped(void *context)
{
    struct scoped_thread *t = context;

    for (int i = 0; i < 100; i++) {
        AUTO_DB struct db *db = NULL;
        AUTO_ROWS struct db_rows *rows = NULL;
        struct err e = { 0 };
        if (db_take(pool, &db, &e) || statement_run(db, t->app, &show_scope, NULL, NULL, 0, &rows, &e) ||
            strcmp(db_get(rows, 0, "scope"), t->app) != 0)
            t->wrong++;
    }
    return NULL;
}

static void threads_on_one_pool_never_see_each_others_scope(void **state)
{
    struct scoped_thread work[] = { { "a", 0 }, { "b", 0 }, { "c", 0 }, { "d", 0 }, { "e", 0 }, { "f", 0 } };
    enum { COUNT = sizeof work / sizeof *work };
    pthread_t threads[COUNT];
    (void)state;

    for (int i = 0; i < COUNT; i++)
        pthread_create(&threads[i], NULL, run_scoped, &work[i]);
    for (int i = 0; i < COUNT; i++)
        pthread_join(threads[i], NULL);

    for (int i = 0; i < COUNT; i++)
        assert_int_equal(work[i].wrong, 0);
}

/* --- prepared statements that the server forgot --- */

static void statements_are_prepared_again_after_discard_all(void **state)
{
    struct db *db = take(pool);
    struct err e = { 0 };
    (void)state;
    show_scope_prepared = false;
    assert_string_equal(scope_of(db, "shop", &show_scope_prepared), "shop");
    assert_true(show_scope_prepared);
    assert_int_equal(script_run(db, "t", "DISCARD ALL", &e), 0);

    assert_string_equal(scope_of(db, "shop", &show_scope_prepared), "shop");

    assert_true(show_scope_prepared);
    db->discard = true;
    db_give(db);
}

static void one_deallocated_statement_is_prepared_again(void **state)
{
    struct db *db = take(pool);
    struct err e = { 0 };
    (void)state;
    show_scope_prepared = false;
    assert_string_equal(scope_of(db, "shop", &show_scope_prepared), "shop");
    assert_int_equal(script_run(db, "t", "DEALLOCATE test_show_scope", &e), 0);

    assert_string_equal(scope_of(db, "shop", &show_scope_prepared), "shop");

    show_scope_prepared = false; /* and one that is there without our knowing */
    assert_string_equal(scope_of(db, "shop", &show_scope_prepared), "shop");
    db->discard = true;
    db_give(db);
}

static void a_forgotten_statement_in_a_transaction_is_a_conflict_and_works_the_next_time(void **state)
{
    struct db *db = take(pool);
    struct err e = { 0 };
    (void)state;
    show_scope_prepared = false;
    scope_of(db, "shop", &show_scope_prepared);
    assert_int_equal(script_run(db, "t", "DISCARD ALL", &e), 0);

    assert_int_equal(db_begin(db, "shop", &e), 0); /* prepares the scope's statement again by itself */
    assert_int_equal(statement_run(db, "shop", &show_scope, &show_scope_prepared, NULL, 0, NULL, &e), ERR_CONFLICT);
    db_rollback(db);
    assert_int_equal(db_begin(db, "shop", &e), 0);

    assert_string_equal(scope_of(db, "shop", &show_scope_prepared), "shop");
    assert_int_equal(db_commit(db, &e), 0);
    db->discard = true;
    db_give(db);
}

static void a_plan_outdated_by_a_migration_is_transient_and_then_made_anew(void **state)
{
    static const struct query_text all = { "test_all_of_plan", QUERY_SHAPE_MANY, "SELECT * FROM public.plan" };
    bool prepared = false;
    struct err e = { 0 };
    (void)state;
    harness_do(pool, "CREATE TABLE public.plan (n int)");
    struct db *db = take(pool);
    assert_int_equal(statement_run(db, NULL, &all, &prepared, NULL, 0, NULL, &e), 0);
    harness_do(pool, "ALTER TABLE public.plan ADD COLUMN m int");

    assert_int_equal(statement_run(db, NULL, &all, &prepared, NULL, 0, NULL, &e), ERR_TRANSIENT);

    assert_string_equal(e.detail, "0A000");
    db_give(db);
    db = take(pool);
    prepared = false;
    assert_int_equal(statement_run(db, NULL, &all, &prepared, NULL, 0, NULL, &e), 0);
    db->discard = true;
    db_give(db);
}

/* --- errors --- */

static void each_class_of_sqlstate_says_what_to_do(void **state)
{
    static const struct {
        const char *sqlstate;
        enum err_code code;
    } cases[] = { { "40001", ERR_CONFLICT },  { "40P01", ERR_CONFLICT },  { "55P03", ERR_CONFLICT },
                  { "42501", ERR_DENIED },    { "22003", ERR_INVALID },   { "23514", ERR_INVALID },
                  { "53200", ERR_TRANSIENT }, { "57P01", ERR_TRANSIENT }, { "P0001", ERR_INVALID },
                  { "P0002", ERR_NOT_FOUND }, { "XX000", ERR_INTERNAL },  { "42P01", ERR_INTERNAL } };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[160];
        struct err e = { 0 };
        snprintf(sql, sizeof sql, "DO $$ BEGIN RAISE 'no' USING ERRCODE = '%s'; END $$", cases[i].sqlstate);

        assert_int_equal(harness_try(pool, "shop", sql, &e), cases[i].code);

        assert_string_equal(e.detail, cases[i].sqlstate);
    }
}

static void no_error_carries_a_value(void **state)
{
    static const char *const statements[] = {
        "SELECT 'hush'::text::int",
        "SELECT 'hush'::text::timestamptz",
        "SELECT 'hush'::text::json",
        "INSERT INTO public.secret VALUES ('hush'), ('hush')",
        "INSERT INTO public.secret VALUES ('x hush')",
    };
    (void)state;
    harness_do(pool, "CREATE TABLE public.secret (t text PRIMARY KEY CHECK (t NOT LIKE 'x%'))");

    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        struct err e = { 0 };

        assert_int_equal(harness_try(pool, "shop", statements[i], &e), ERR_INVALID);

        assert_null(strstr(e.message, "hush"));
        assert_null(strstr(e.hint, "hush"));
        assert_non_null(strstr(e.message, "of a test for app shop as superuser"));
    }
}

static void our_own_raise_brings_its_message_and_hint(void **state)
{
    struct err e = { 0 };
    (void)state;

    harness_try(pool, NULL, "DO $$ BEGIN RAISE 'the quota is used up' USING HINT = 'Raise it.'; END $$", &e);

    assert_int_equal(e.code, ERR_INVALID);
    assert_non_null(strstr(e.message, "the quota is used up"));
    assert_string_equal(e.hint, "Raise it.");
}

/* --- transactions --- */

static void a_transaction_is_under_one_scope_and_ends_with_it(void **state)
{
    struct db *db = take(pool);
    struct err e = { 0 };
    (void)state;

    assert_int_equal(db_begin(db, "shop", &e), 0);
    assert_string_equal(scope_of(db, "shop", NULL), "shop");
    assert_string_equal(scope_of(db, "shop", NULL), "shop");
    assert_int_equal(run_text(db, "blog", QUERY_SHAPE_ONE, "SELECT 1", &e), ERR_INTERNAL);
    assert_int_equal(run_text(db, NULL, QUERY_SHAPE_ONE, "SELECT 1", &e), ERR_INTERNAL);
    assert_int_equal(db_begin(db, "shop", &e), ERR_INTERNAL);
    assert_int_equal(db_commit(db, &e), 0);

    assert_string_equal(scope_of(db, NULL, NULL), "");
    db_give(db);
}

static void a_commit_after_a_failed_statement_is_a_conflict(void **state)
{
    struct db *db = take(pool);
    struct err e = { 0 };
    (void)state;
    assert_int_equal(db_begin(db, "shop", &e), 0);
    assert_int_equal(run_text(db, "shop", QUERY_SHAPE_ONE, "SELECT 1/0", &e), ERR_INVALID);

    assert_int_equal(db_commit(db, &e), ERR_CONFLICT);

    assert_string_equal(scope_of(db, NULL, NULL), "");
    db_give(db);
}

static void a_connection_given_back_in_a_transaction_is_rolled_back(void **state)
{
    struct err e = { 0 };
    (void)state;
    harness_do(pool, "CREATE TABLE public.given (n int)");
    struct db *db = take(pool);
    int64_t pid = backend_pid(db);
    assert_int_equal(db_begin(db, NULL, &e), 0);
    assert_int_equal(run_text(db, NULL, QUERY_SHAPE_NONE, "INSERT INTO public.given VALUES (1)", &e), 0);
    assert_int_equal(run_text(db, NULL, QUERY_SHAPE_ONE, "SELECT 1/0", &e), ERR_INVALID);

    db_give(db);

    db = take(pool);
    assert_int_equal(backend_pid(db), pid);
    assert_int_equal(db_begin(db, "shop", &e), 0);
    db_give(db);
    assert_int_equal(harness_number(pool, NULL, "SELECT count(*) AS n FROM public.given"), 0);
}

static void a_commit_whose_answer_is_lost_says_that_its_outcome_is_unknown(void **state)
{
    struct db *db = take(pool);
    int64_t pid = backend_pid(db);
    struct err e = { 0 };
    (void)state;
    assert_int_equal(db_begin(db, "shop", &e), 0);
    end_backend(pid);

    assert_int_equal(db_commit(db, &e), ERR_TRANSIENT);

    assert_string_equal(e.detail, "08007");
    db_give(db);
}

/* --- notifications --- */

static void a_wait_ends_with_a_notification(void **state)
{
    struct db *db = take(pool);
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
    struct db *db = take(pool);
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
    struct db *db = take(pool);
    bool notified = false;
    struct err e = { 0 };
    (void)state;
    assert_int_equal(db_listen(db, "berth_test", &e), 0);
    end_backend(backend_pid(db));

    assert_int_equal(db_wait(db, 10000, -1, &notified, &e), ERR_TRANSIENT);

    db_give(db);
}

static void a_channel_that_would_need_quoting_is_refused(void **state)
{
    struct db *db = take(pool);
    struct err e = { 0 };
    (void)state;

    assert_int_equal(db_listen(db, "a\"; DROP TABLE apps", &e), ERR_INTERNAL);
    assert_int_equal(db_listen(db, "", &e), ERR_INTERNAL);
    assert_int_equal(db_listen(db, LONG_NAME, &e), ERR_INTERNAL);

    db_give(db);
}

static void a_connection_that_listened_hears_nothing_after_it_was_given_back(void **state)
{
    struct db *db = take(pool);
    bool notified = true;
    struct err e = { 0 };
    (void)state;
    int64_t pid = backend_pid(db);
    assert_int_equal(db_listen(db, "berth_test", &e), 0);
    db_give(db);
    db = take(pool);
    assert_int_equal(backend_pid(db), pid);
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
        cmocka_unit_test(a_bad_connection_string_is_refused_without_being_quoted),
        cmocka_unit_test(a_postgres_that_is_down_is_transient_and_not_waited_for_beyond_the_time),
        cmocka_unit_test(an_exhausted_pool_times_out_and_says_so),
        cmocka_unit_test(a_connection_given_back_wakes_who_waits_for_one),
        cmocka_unit_test(a_session_has_our_settings_and_name),
        cmocka_unit_test(a_connection_that_ended_while_idle_is_replaced_unnoticed),
        cmocka_unit_test(a_connection_lost_in_use_is_transient_and_replaced),
        cmocka_unit_test(a_read_only_server_is_transient_and_the_connection_replaced),
        cmocka_unit_test(a_statement_over_its_time_is_transient_and_the_connection_stays),
        cmocka_unit_test(every_type_of_parameter_arrives_and_comes_back),
        cmocka_unit_test(a_statement_that_breaks_its_shape_is_an_error),
        cmocka_unit_test(too_many_parameters_are_refused_before_anything_is_sent),
        cmocka_unit_test(a_scope_ends_with_its_statement),
        cmocka_unit_test(a_failed_statement_leaves_a_usable_connection_without_scope),
        cmocka_unit_test(what_a_failed_scoped_statement_did_is_undone),
        cmocka_unit_test(threads_on_one_pool_never_see_each_others_scope),
        cmocka_unit_test(statements_are_prepared_again_after_discard_all),
        cmocka_unit_test(one_deallocated_statement_is_prepared_again),
        cmocka_unit_test(a_forgotten_statement_in_a_transaction_is_a_conflict_and_works_the_next_time),
        cmocka_unit_test(a_plan_outdated_by_a_migration_is_transient_and_then_made_anew),
        cmocka_unit_test(each_class_of_sqlstate_says_what_to_do),
        cmocka_unit_test(no_error_carries_a_value),
        cmocka_unit_test(our_own_raise_brings_its_message_and_hint),
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
