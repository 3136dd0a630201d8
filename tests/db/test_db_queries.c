/* Every statement of sql/queries fits the schema that the migrations make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/db/internal.h"
#include "tests/db/harness.h"

static struct harness_database *database;

static void each_query_prepares_on_a_freshly_migrated_database(void **state)
{
    AUTO_DB struct db *db = NULL;
    struct err e = { 0 };
    int refused = 0;
    assert_int_equal(db_take(*state, &db, &e), 0);

    for (int i = 0; i < QUERY_COUNT; i++) {
        AUTO_BUF struct buf command = { 0 };
        buf_printf(&command, "PREPARE %s AS\n", query_texts[i].name);
        buf_add_text(&command, query_texts[i].sql);
        if (script_run(db, query_texts[i].name, buf_text(&command), &e)) {
            print_error("%s\n", e.message);
            refused++;
        }
    }

    assert_true(QUERY_COUNT > 0);
    assert_int_equal(refused, 0);
}

static int setup(void **state)
{
    database = harness_database_new();
    *state = harness_pool(database, HARNESS_ADMIN, 1);
    return 0;
}

static int teardown(void **state)
{
    db_pool_free(*state);
    harness_database_free(database);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_query_prepares_on_a_freshly_migrated_database) };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, setup, teardown);
}
