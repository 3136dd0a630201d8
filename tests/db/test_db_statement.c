/* Statements: parameters, shapes, scope, preparation and errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/db/internal.h"
#include "tests/db/harness.h"

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
    struct db *db = harness_take(pool);
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
    struct db *db = harness_take(pool);
    struct err e = { 0 };
    (void)state;

    assert_int_equal(harness_run(db, NULL, QUERY_SHAPE_ONE, "SELECT 1 WHERE false", &e), ERR_NOT_FOUND);
    assert_int_equal(harness_run(db, NULL, QUERY_SHAPE_ONE, "VALUES (1), (2)", &e), ERR_INTERNAL);
    assert_int_equal(harness_run(db, NULL, QUERY_SHAPE_MAYBE, "VALUES (1), (2)", &e), ERR_INTERNAL);
    assert_int_equal(harness_run(db, NULL, QUERY_SHAPE_NONE, "VALUES (1)", &e), ERR_INTERNAL);

    assert_int_equal(harness_run(db, NULL, QUERY_SHAPE_MAYBE, "SELECT 1 WHERE false", &e), 0);
    assert_int_equal(harness_run(db, NULL, QUERY_SHAPE_MANY, "VALUES (1), (2)", &e), 0);
    db_give(db);
}

static void too_many_parameters_are_refused_before_anything_is_sent(void **state)
{
    static const struct query_text text = { "many_parameters", QUERY_SHAPE_ONE, "SELECT 1" };
    struct db_param params[DB_PARAMS_MAX + 1] = { 0 };
    struct db *db = harness_take(pool);
    struct err e = { 0 };
    (void)state;

    assert_int_equal(statement_run(db, NULL, &text, NULL, params, DB_PARAMS_MAX + 1, NULL, &e), ERR_INTERNAL);

    assert_int_equal(harness_run(db, NULL, QUERY_SHAPE_ONE, "SELECT 1", &e), 0);
    db_give(db);
}

/* --- scope --- */

static void a_scope_ends_with_its_statement(void **state)
{
    struct db *db = harness_take(pool);
    (void)state;

    assert_string_equal(scope_of(db, "shop", NULL), "shop");

    assert_string_equal(scope_of(db, NULL, NULL), "");
    assert_string_equal(scope_of(db, "blog", NULL), "blog");
    assert_string_equal(scope_of(db, NULL, NULL), "");
    db_give(db);
}

static void a_failed_statement_leaves_a_usable_connection_without_scope(void **state)
{
    struct db *db = harness_take(pool);
    struct err e = { 0 };
    (void)state;

    assert_int_equal(harness_run(db, "shop", QUERY_SHAPE_ONE, "SELECT 1/0", &e), ERR_INVALID);
    assert_int_equal(harness_run(db, "shop", QUERY_SHAPE_ONE, "SELECT nonsense", &e), ERR_INTERNAL);

    assert_string_equal(scope_of(db, NULL, NULL), "");
    assert_string_equal(scope_of(db, "blog", NULL), "blog");
    db_give(db);
}

static void what_a_failed_scoped_statement_did_is_undone(void **state)
{
    struct db *db = harness_take(pool);
    struct err e = { 0 };
    (void)state;
    harness_do(pool, "CREATE TABLE public.deferred (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)");

    /* Fails only when the Sync commits. */
    int code = harness_run(db, "shop", QUERY_SHAPE_NONE, "INSERT INTO public.deferred VALUES (7), (7)", &e);

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
    struct db *db = harness_take(pool);
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
    struct db *db = harness_take(pool);
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
    struct db *db = harness_take(pool);
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
    struct db *db = harness_take(pool);
    assert_int_equal(statement_run(db, NULL, &all, &prepared, NULL, 0, NULL, &e), 0);
    harness_do(pool, "ALTER TABLE public.plan ADD COLUMN m int");

    assert_int_equal(statement_run(db, NULL, &all, &prepared, NULL, 0, NULL, &e), ERR_TRANSIENT);

    assert_string_equal(e.detail, "0A000");
    db_give(db);
    db = harness_take(pool);
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
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, setup, teardown);
}
