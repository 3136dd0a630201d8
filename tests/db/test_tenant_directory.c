/* The apps that a responder knows in memory: told of changes at once, and kept while Postgres is away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/tenant/directory.h"
#include "tests/db/harness.h"

static struct harness_database *database;
static struct db_pool *superuser, *hooks;
static struct directory *directory;

#define INSERT "INSERT INTO berth.apps (app_name, repository, webhook_policy) VALUES "

static int open_directory(void **state)
{
    struct err e = { 0 };

    (void)state;
    harness_do(superuser, "TRUNCATE berth.apps CASCADE");
    return directory_new(hooks, &directory, &e);
}

static int close_directory(void **state)
{
    (void)state;
    directory_free(directory);
    return 0;
}

static bool knows_within(const char *app, bool wanted, int limit_ms)
{
    int64_t until = clock_monotonic_ms(&clock_system) + limit_ms;
    struct directory_entry entry;

    while (clock_monotonic_ms(&clock_system) < until) {
        if (directory_ready(directory) && directory_find(directory, app, &entry) == wanted)
            return true;
        clock_sleep_ms(&clock_system, 10);
    }
    return false;
}

static void names_that_no_app_has_are_not_found(void **state)
{
    static const char *const names[] = { "", "sho", "shopp", "SHOP", "a-name-that-is-longer-than-any-app's-can-be" };
    struct directory_entry entry;
    (void)state;
    harness_do(superuser, INSERT "('shop', 'acme/shop', 'github')");
    assert_true(knows_within("shop", true, 3000));

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_false(directory_find(directory, names[i], &entry));
}

static void a_new_app_is_known_long_before_the_timer_would_find_it(void **state)
{
    struct directory_entry entry = { 0 };
    (void)state;
    assert_true(knows_within("shop", false, 3000));

    harness_do(superuser, INSERT "('shop', 'acme/shop', 'signed'), ('cellar', 'acme/cellar', 'github')");

    assert_true(knows_within("shop", true, 2000));
    assert_true(directory_find(directory, "shop", &entry));
    assert_int_equal(entry.policy, WEBHOOK_SIGNED);
    assert_true(directory_find(directory, "cellar", &entry));
    assert_int_equal(entry.policy, WEBHOOK_GITHUB);
}

static void an_app_that_is_being_deleted_is_forgotten(void **state)
{
    (void)state;
    harness_do(superuser, INSERT "('shop', 'acme/shop', 'github')");
    assert_true(knows_within("shop", true, 3000));

    harness_do(superuser, "UPDATE berth.apps SET state = 'deleting'");

    assert_true(knows_within("shop", false, 2000));
}

static void a_lost_connection_is_made_anew(void **state)
{
    (void)state;
    harness_do(superuser, INSERT "('shop', 'acme/shop', 'github')");
    assert_true(knows_within("shop", true, 3000));

    harness_do(superuser, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'berth_hooks' AND "
                          "datname = current_database()");
    harness_do(superuser, INSERT "('cellar', 'acme/cellar', 'github')");

    assert_true(knows_within("cellar", true, 5000));
    assert_true(knows_within("shop", true, 100));
}

static void the_known_apps_stay_while_the_database_refuses(void **state)
{
    (void)state;
    harness_do(superuser, INSERT "('shop', 'acme/shop', 'github')");
    assert_true(knows_within("shop", true, 3000));
    harness_do(superuser,
               "REVOKE EXECUTE ON FUNCTION berth.app_directory() FROM berth_hooks; UPDATE berth.apps SET branch = 'x'");

    clock_sleep_ms(&clock_system, 300);

    assert_true(directory_ready(directory));
    assert_true(knows_within("shop", true, 100));
    harness_do(superuser, "GRANT EXECUTE ON FUNCTION berth.app_directory() TO berth_hooks");
}

static void many_apps_are_all_found(void **state)
{
    char name[APP_NAME_MAX + 1];
    struct directory_entry entry;
    (void)state;

    harness_do(superuser, INSERT "('last', 'acme/last', 'github')");
    harness_do(superuser, "INSERT INTO berth.apps (app_name, repository, webhook_policy)"
                          " SELECT 'app-' || n, 'acme/app-' || n, 'github' FROM generate_series(1, 2000) n");
    assert_true(knows_within("app-2000", true, 3000));

    for (int i = 1; i <= 2000; i++) {
        snprintf(name, sizeof name, "app-%d", i);
        assert_true(directory_find(directory, name, &entry));
        assert_string_equal(entry.name, name);
    }
}

static int open_all(void **state)
{
    (void)state;
    database = harness_database_new();
    superuser = harness_pool(database, HARNESS_SUPERUSER, 1);
    hooks = harness_pool(database, HARNESS_HOOKS, 2);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    db_pool_free(hooks);
    db_pool_free(superuser);
    harness_database_free(database);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_directory, close_directory)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(names_that_no_app_has_are_not_found),
        TEST(a_new_app_is_known_long_before_the_timer_would_find_it),
        TEST(an_app_that_is_being_deleted_is_forgotten),
        TEST(a_lost_connection_is_made_anew),
        TEST(the_known_apps_stay_while_the_database_refuses),
        TEST(many_apps_are_all_found),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, open_all, close_all);
}
