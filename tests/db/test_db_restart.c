/* Postgres restarts while berth goes on. The server is this program's alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "core/db/internal.h"
#include "tests/db/harness.h"

static struct harness_database *database;

static const struct query_text one = { "test_one", QUERY_SHAPE_ONE, "SELECT 1 AS n" };

static void idle_connections_are_replaced_after_a_restart_and_statements_prepared_again(void **state)
{
    struct db_pool *pool = harness_pool(database, HARNESS_HOOKS, 1);
    AUTO_ROWS struct db_rows *rows = NULL;
    struct err e = { 0 };
    (void)state;
    assert_int_equal(db_run_once(pool, "shop", QUERY_APP_DIRECTORY, NULL, 0, NULL, &e), 0);

    harness_server_restart();

    assert_int_equal(db_run_once(pool, "shop", QUERY_APP_DIRECTORY, NULL, 0, &rows, &e), 0);
    db_pool_free(pool);
}

static void a_transaction_cut_by_a_restart_is_transient_and_the_next_one_works(void **state)
{
    struct db_pool *pool = harness_pool(database, HARNESS_HOOKS, 1);
    struct db *db = NULL;
    struct err e = { 0 };
    (void)state;
    assert_int_equal(db_take(pool, &db, &e), 0);
    assert_int_equal(db_begin(db, "shop", &e), 0);

    harness_server_restart();

    assert_int_equal(statement_run(db, "shop", &one, NULL, NULL, 0, NULL, &e), ERR_TRANSIENT);
    assert_int_equal(db_commit(db, &e), ERR_TRANSIENT);
    assert_string_equal(e.detail, "08006"); /* not 08007: this commit was never sent */
    db_give(db);
    assert_int_equal(db_take(pool, &db, &e), 0);
    assert_int_equal(db_begin(db, "shop", &e), 0);
    assert_int_equal(statement_run(db, "shop", &one, NULL, NULL, 0, NULL, &e), 0);
    assert_int_equal(db_commit(db, &e), 0);
    db_give(db);
    db_pool_free(pool);
}

static void a_server_process_that_hangs_is_given_up_and_the_next_statement_works(void **state)
{
    static const struct query_text pid_of = { "test_pid", QUERY_SHAPE_ONE, "SELECT pg_backend_pid() AS pid" };
    const struct db_pool_options options = { .conninfo = harness_conninfo(database, HARNESS_HOOKS),
                                             .name = "hooks",
                                             .size = 1,
                                             .take_timeout_ms = 2000,
                                             .statement_timeout_ms = 100 };
    struct db_pool *pool = NULL;
    struct db *db = NULL;
    AUTO_ROWS struct db_rows *rows = NULL;
    struct err e = { 0 };
    (void)state;
    assert_int_equal(db_pool_new(&options, &pool, &e), 0);
    assert_int_equal(db_take(pool, &db, &e), 0);
    assert_int_equal(statement_run(db, NULL, &pid_of, NULL, NULL, 0, &rows, &e), 0);
    pid_t server = (pid_t)db_get_int(rows, 0, "pid");

    kill(server, SIGSTOP);
    assert_int_equal(statement_run(db, NULL, &one, NULL, NULL, 0, NULL, &e), ERR_TRANSIENT);
    db_give(db);
    int later = db_run_once(pool, "shop", QUERY_APP_DIRECTORY, NULL, 0, NULL, &e);
    kill(server, SIGCONT);

    assert_non_null(strstr(e.message, "has not answered within 1100 ms"));
    assert_string_equal(e.detail, "08006");
    assert_int_equal(later, 0);
    db_pool_free(pool);
}

struct load {
    struct db_pool *pool;
    atomic_bool stop;
    atomic_int done, transient, other;
};

static void *load_run(void *context)
{
    struct load *load = context;

    while (!atomic_load(&load->stop)) {
        AUTO_DB struct db *db = NULL;
        struct err e = { 0 };
        int code = db_take(load->pool, &db, &e);
        if (!code)
            code = statement_run(db, "shop", &one, NULL, NULL, 0, NULL, &e);
        if (!code)
            atomic_fetch_add(&load->done, 1);
        else if (code == ERR_TRANSIENT)
            atomic_fetch_add(&load->transient, 1);
        else
            atomic_fetch_add(&load->other, 1);
    }
    return NULL;
}

static void under_load_a_restart_costs_only_transient_errors(void **state)
{
    enum { THREADS = 8 };
    struct load load = { .pool = harness_pool(database, HARNESS_HOOKS, 4) };
    pthread_t threads[THREADS];
    (void)state;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, load_run, &load);
    usleep(200 * 1000);

    harness_server_restart();

    int before = atomic_load(&load.done);
    for (int waited = 0; atomic_load(&load.done) < before + 100 && waited < 100; waited++)
        usleep(100 * 1000);
    int after = atomic_load(&load.done);
    atomic_store(&load.stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    print_message("%d done, %d transient errors\n", after, atomic_load(&load.transient));
    assert_true(after >= before + 100);
    assert_int_equal(atomic_load(&load.other), 0);
    assert_true(atomic_load(&load.transient) <=
                2 * THREADS); /* the server was away for a moment that db_take waits out */
    db_pool_free(load.pool);
}

static int setup(void **state)
{
    (void)state;
    database = harness_database_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_database_free(database);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_connections_are_replaced_after_a_restart_and_statements_prepared_again),
        cmocka_unit_test(a_transaction_cut_by_a_restart_is_transient_and_the_next_one_works),
        cmocka_unit_test(a_server_process_that_hangs_is_given_up_and_the_next_statement_works),
        cmocka_unit_test(under_load_a_restart_costs_only_transient_errors),
    };

    (void)argc;
    harness_own_server(argv);
    return cmocka_run_group_tests(tests, setup, teardown);
}
