/* An installation that has been at work is migrated: what it has goes on as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/db/migrate.h"
#include "tests/db/harness.h"

struct world {
    struct harness_database *database;
    struct db_pool *owner, *superuser;
};

static int64_t number(const struct world *w, const char *sql)
{
    return harness_number(w->superuser, NULL, sql);
}

static void migrate_to(const struct world *w, size_t count)
{
    struct err e = { 0 };
    int applied = 0;

    if (migrate_up(w->owner, migrations_embedded, count, NULL, NULL, &applied, &e))
        fail_msg("%s", e.message);
}

#define APP(name, tasks, cpu, memory, state)                                                                           \
    "('" name "', 'acme/" name "', 1, 'github', " tasks ", " cpu ", " memory ", '" state "')"

static void an_app_larger_than_the_default_quotas_gets_its_own_and_goes_on(void **state)
{
    const struct world *w = *state;
    migrate_to(w, 1);
    harness_do(
        w->superuser,
        "INSERT INTO berth.apps (app_name, repository, repository_id, webhook_policy, tasks, cpu_units, memory_mib, "
        "state)"
        " VALUES " APP("large", "30", "4096", "8192", "active") ", " APP("small", "1", "256", "512", "active") ", " APP(
            "gone", "30", "4096", "8192",
            "deleted") ";"
                       "INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, image_digest, "
                       "task_definition_arn, finished_at)"
                       " VALUES ('large', 1, 'push', 'live', 'live', repeat('a', 40), 'sha256:' || repeat('0', 64), "
                       "'arn:task', now());"
                       "INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, "
                       "task_definition_arn, host)"
                       " VALUES ('large', 1, repeat('a', 40), 'sha256:' || repeat('0', 64), 'arn:task', 'h');"
                       "UPDATE berth.apps SET last_release = 1 WHERE app_name = 'large'");

    migrate_to(w, migrations_embedded_count);

    assert_int_equal(number(w, "SELECT count(*) AS n FROM berth.quotas"), 1);
    assert_int_equal(number(w, "SELECT cpu_units AS n FROM berth.quotas WHERE app_name = 'large'"), 2 * 30 * 4096);
    assert_int_equal(number(w, "SELECT memory_mib AS n FROM berth.quotas WHERE app_name = 'large'"), 2 * 30 * 8192);
    assert_int_equal(number(w, "SELECT tasks AS n FROM berth.quotas WHERE app_name = 'large'"), 60);
    assert_int_equal(number(w, "SELECT used AS n FROM berth.quota_use('large') WHERE quota = 'cpu_units'"), 30 * 4096);
    assert_int_equal(
        number(
            w,
            "SELECT (outcome = 'accepted')::int AS n FROM berth.intake('large', 'd-1', 'push', NULL, sha256('1'), '{}',"
            " 'acme/large', 1, 'main', repeat('b', 40), 'Title', 'mara')"),
        1);
}

static void a_quota_that_the_default_is_enough_for_stays_the_default(void **state)
{
    const struct world *w = *state;
    migrate_to(w, 1);
    harness_do(w->superuser, "INSERT INTO berth.apps (app_name, repository, repository_id, webhook_policy, tasks, "
                             "cpu_units, memory_mib, state)"
                             " VALUES " APP("wide", "15", "256", "512", "active"));

    migrate_to(w, migrations_embedded_count);

    assert_int_equal(number(w, "SELECT tasks AS n FROM berth.quotas WHERE app_name = 'wide'"), 30);
    assert_int_equal(number(w, "SELECT count(*) AS n FROM berth.quotas WHERE cpu_units IS NULL AND memory_mib IS NULL"),
                     1);
}

static int open_world(void **state)
{
    static struct world w;

    w.database = harness_database_unmigrated();
    w.owner = harness_pool(w.database, HARNESS_OWNER, 2);
    w.superuser = harness_pool(w.database, HARNESS_SUPERUSER, 2);
    *state = &w;
    return 0;
}

static int close_world(void **state)
{
    struct world *w = *state;

    db_pool_free(w->owner);
    db_pool_free(w->superuser);
    harness_database_free(w->database);
    return 0;
}

int main(int argc, char **argv)
{
    (void)argc;
    harness_server(argv);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_app_larger_than_the_default_quotas_gets_its_own_and_goes_on, open_world,
                                        close_world),
        cmocka_unit_test_setup_teardown(a_quota_that_the_default_is_enough_for_stays_the_default, open_world,
                                        close_world),
    };
    return cmocka_run_group_tests_name("db/upgrade", tests, NULL, NULL);
}
