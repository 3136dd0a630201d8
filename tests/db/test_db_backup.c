/* A backup by pg_dump holds every row, although row security is forced on everyone; and it can be restored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/db/internal.h"
#include "core/db/migrate.h"
#include "tests/db/harness.h"
#include "tests/db/seeds.h"

enum { DEFAULT_TASKS = 77 }; /* not what a migration leaves */

static struct harness_database *original;
static char dump_file[] = "/tmp/berth-dump.XXXXXX";

/* Runs a program of Postgres's; its exit code. */
static int postgres_program(const char *name, const char *const arguments[])
{
    char path[512];
    const char *argv[16] = { name };
    int status = 0;
    pid_t pid = -1;

    snprintf(path, sizeof path, "%s/%s", getenv("BERTH_POSTGRES_BIN"), name);
    for (int i = 0; arguments[i]; i++)
        argv[i + 1] = arguments[i];
    pid = fork();
    if (pid == 0) {
        execv(path, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int64_t rows_of(struct db_pool *superuser, const char *table)
{
    char sql[128];

    snprintf(sql, sizeof sql, "SELECT count(*) AS n FROM berth.%s", table);
    return harness_number(superuser, NULL, sql);
}

static void assert_same_rows_and_row_security(struct harness_database *copy)
{
    struct db_pool *from = harness_pool(original, HARNESS_SUPERUSER, 1);
    struct db_pool *to = harness_pool(copy, HARNESS_SUPERUSER, 1);
    struct db_pool *owner = harness_pool(copy, HARNESS_OWNER, 1);
    struct db_pool *worker = harness_pool(copy, HARNESS_WORKER, 1);
    struct err e = { 0 };

    for (int i = 0; i < SEED_COUNT; i++) {
        assert_int_equal(rows_of(from, seeds[i].table), 2);
        assert_int_equal(rows_of(to, seeds[i].table), 2);
    }
    assert_int_equal(rows_of(to, "schema_migrations"), rows_of(from, "schema_migrations"));
    assert_int_equal(harness_number(to, NULL, "SELECT tasks AS n FROM berth.default_limits"), DEFAULT_TASKS);
    assert_int_equal(harness_number(to, NULL, "SELECT cpu_units AS n FROM berth.quotas WHERE app_name = 'shop'"), 4096);
    if (migrate_verify(owner, migrations_embedded, migrations_embedded_count, &e))
        fail_msg("%s", e.message);
    assert_int_equal(harness_number(worker, "shop", "SELECT count(*) AS n FROM berth.apps"), 1);
    assert_int_equal(harness_number(worker, NULL, "SELECT count(*) AS n FROM berth.apps"), 0);
    db_pool_free(from);
    db_pool_free(to);
    db_pool_free(owner);
    db_pool_free(worker);
}

static void a_dump_by_the_owner_restored_by_an_administrator_has_every_row(void **state)
{
    struct harness_database *copy = harness_database_empty();
    (void)state;

    int dumped = postgres_program("pg_dump",
                                  (const char *const[]){ "--role=berth_owner", "--enable-row-security",
                                                         "--schema=berth", "--format=custom", "--file", dump_file,
                                                         "--dbname", harness_conninfo(original, HARNESS_OWNER), NULL });
    int restored = postgres_program("pg_restore", (const char *const[]){ "--exit-on-error", "--dbname",
                                                                         harness_conninfo(copy, HARNESS_SUPERUSER),
                                                                         dump_file, NULL });

    assert_int_equal(dumped, 0);
    assert_int_equal(restored, 0);
    harness_database_bootstrap(
        copy); /* the database's own grants, and the schema's to logins, aren't in the dump of a schema */
    assert_same_rows_and_row_security(copy);
    harness_database_free(copy);
}

/* Where nobody is superuser: the schema by `berth migrate up`, the rows by the owner. COPY is not for tables with row security. */
static void rows_dumped_as_inserts_are_restored_by_the_owner_alone(void **state)
{
    struct harness_database *copy = harness_database_new();
    (void)state;

    int dumped = postgres_program("pg_dump", (const char *const[]){ "--role=berth_owner", "--enable-row-security",
                                                                    "--schema=berth", "--data-only", "--inserts",
                                                                    "--exclude-table=berth.schema_migrations",
                                                                    "--format=custom", "--file", dump_file, "--dbname",
                                                                    harness_conninfo(original, HARNESS_OWNER), NULL });
    int restored = postgres_program(
        "pg_restore", (const char *const[]){ "--exit-on-error", "--role=berth_owner", "--enable-row-security",
                                             "--dbname", harness_conninfo(copy, HARNESS_OWNER), dump_file, NULL });

    assert_int_equal(dumped, 0);
    assert_int_equal(restored, 0);
    assert_same_rows_and_row_security(copy);
    harness_database_free(copy);
}

static void a_dump_that_forgets_row_security_fails_and_leaves_no_row_out_silently(void **state)
{
    (void)state;

    int dumped = postgres_program("pg_dump", (const char *const[]){ "--role=berth_owner", "--schema=berth",
                                                                    "--format=custom", "--file", dump_file, "--dbname",
                                                                    harness_conninfo(original, HARNESS_OWNER), NULL });

    assert_true(dumped != 0);
}

static void seed(const char *app)
{
    struct db_pool *superuser = harness_pool(original, HARNESS_SUPERUSER, 1);

    for (int i = 0; i < SEED_COUNT; i++) {
        const struct query_text text = { "seed", QUERY_SHAPE_NONE, seeds[i].sql };
        const struct db_param param = db_text(app);
        AUTO_DB struct db *db = NULL;
        struct err e = { 0 };
        if (db_take(superuser, &db, &e) || statement_run(db, NULL, &text, NULL, &param, 1, NULL, &e))
            fail_msg("%s: %s", seeds[i].table, e.message);
    }
    db_pool_free(superuser);
}

static void change_a_default(void)
{
    struct db_pool *superuser = harness_pool(original, HARNESS_SUPERUSER, 1);
    char sql[80];

    snprintf(sql, sizeof sql, "UPDATE berth.default_limits SET tasks = %d", DEFAULT_TASKS);
    harness_do(superuser, sql);
    db_pool_free(superuser);
}

static int setup(void **state)
{
    int fd = mkstemp(dump_file);

    (void)state;
    if (fd < 0)
        return -1;
    close(fd);
    original = harness_database_new();
    change_a_default();
    seed("shop");
    seed("weblog");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_database_free(original);
    return unlink(dump_file);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dump_by_the_owner_restored_by_an_administrator_has_every_row),
        cmocka_unit_test(rows_dumped_as_inserts_are_restored_by_the_owner_alone),
        cmocka_unit_test(a_dump_that_forgets_row_security_fails_and_leaves_no_row_out_silently),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, setup, teardown);
}
