/* Apps in Postgres: made once, with their line in the audit log; read as they were made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/tenant/app.h"
#include "tests/db/harness.h"

static struct harness_database *database;
static struct db_pool *superuser, *admin;

static const struct app shop = { .name = "shop",
                                 .repository = "acme/shop",
                                 .branch = "release/1",
                                 .policy = WEBHOOK_SIGNED,
                                 .health_check_path = "/healthz",
                                 .port = 3000,
                                 .cpu_units = 512,
                                 .memory_mib = 1024,
                                 .tasks = 2 };

static int clear(void **state)
{
    (void)state;
    harness_do(superuser, "TRUNCATE berth.apps, berth.audit_log CASCADE");
    return 0;
}

static int64_t count(const char *sql)
{
    return harness_number(superuser, NULL, sql);
}

static void a_name_that_is_taken_is_refused_and_not_audited(void **state)
{
    struct app other = shop;
    struct err e = { 0 };
    (void)state;
    other.repository = "evil/shop";
    assert_int_equal(app_create(admin, &shop, "ann", &e), 0);

    assert_int_equal(app_create(admin, &other, "eve", &e), ERR_CONFLICT);

    assert_non_null(strstr(e.message, "shop"));
    assert_int_equal(count("SELECT count(*) AS n FROM berth.apps WHERE repository = 'acme/shop'"), 1);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.audit_log"), 1);
}

static void an_app_that_fails_its_checks_never_reaches_the_database(void **state)
{
    struct app bad = shop;
    struct err e = { 0 };
    (void)state;
    bad.name = "shop'; DROP TABLE berth.apps; --";

    assert_int_equal(app_create(admin, &bad, "ann", &e), ERR_INVALID);

    assert_int_equal(count("SELECT count(*) AS n FROM berth.apps"), 0);
}

static void an_app_that_is_not_there_says_where_to_look(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct db *db = NULL;
    struct app got = { 0 };
    struct err e = { 0 };
    (void)state;
    assert_int_equal(db_take(admin, &db, &e), 0);

    assert_int_equal(app_get(db, "shop", mem, &got, &e), ERR_NOT_FOUND);

    assert_non_null(strstr(e.hint, "apps list"));
    assert_null(got.name);
    db_give(db);
}

static void an_app_is_read_as_it_was_made(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct app got = { 0 }, *list = NULL;
    size_t listed = 0;
    struct db *db = NULL;
    struct err e = { 0 };
    (void)state;

    assert_int_equal(app_create(admin, &shop, "ann", &e), 0);

    assert_int_equal(db_take(admin, &db, &e), 0);
    assert_int_equal(app_get(db, "shop", mem, &got, &e), 0);
    assert_int_equal(app_list(db, mem, &list, &listed, &e), 0);
    db_give(db);
    assert_int_equal(listed, 1);
    for (const struct app *app = &got; app; app = app == &got ? list : NULL) {
        assert_string_equal(app->name, "shop");
        assert_string_equal(app->repository, "acme/shop");
        assert_int_equal(app->repository_id, 0);
        assert_string_equal(app->branch, "release/1");
        assert_int_equal(app->policy, WEBHOOK_SIGNED);
        assert_string_equal(app->health_check_path, "/healthz");
        assert_int_equal(app->port, 3000);
        assert_int_equal(app->cpu_units, 512);
        assert_int_equal(app->memory_mib, 1024);
        assert_int_equal(app->tasks, 2);
        assert_string_equal(app->state, "active");
    }
    assert_int_equal(count("SELECT count(*) AS n FROM berth.audit_log WHERE actor = 'ann' AND action = 'app.create'"
                           " AND app_name = 'shop' AND before IS NULL AND after->>'webhook_policy' = 'signed'"),
                     1);
}

static int set_up_all(void **state)
{
    (void)state;
    database = harness_database_new();
    superuser = harness_pool(database, HARNESS_SUPERUSER, 1);
    admin = harness_pool(database, HARNESS_ADMIN, 1);
    return 0;
}

static int tear_down_all(void **state)
{
    (void)state;
    db_pool_free(superuser);
    db_pool_free(admin);
    harness_database_free(database);
    return 0;
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup(name, clear)
    const struct CMUnitTest tests[] = {
        TEST(a_name_that_is_taken_is_refused_and_not_audited),
        TEST(an_app_that_fails_its_checks_never_reaches_the_database),
        TEST(an_app_that_is_not_there_says_where_to_look),
        TEST(an_app_is_read_as_it_was_made),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
