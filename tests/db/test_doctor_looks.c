/* What the doctor finds in a database: the whole run, with nothing but Postgres to be reached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/doctor/doctor.h"
#include "tests/db/harness.h"

struct fixture {
    struct harness_database *database;
    struct db_pool *super;
    struct arena *mem;
    struct doctor_check *checks;
    size_t count;
};

/* Nothing but Postgres is there. */
static int refuse(void *context, const struct http_request *request, struct arena *mem, struct http_reply *reply,
                  struct err *e)
{
    (void)context, (void)request, (void)mem, (void)reply;
    err_set(e, ERR_TRANSIENT, "nobody answers");
    return err_detail(e, "CURLE_COULDNT_CONNECT");
}

static void set_login(const struct fixture *f, const char *variable, enum harness_login login)
{
    setenv(variable, harness_conninfo(f->database, login), 1);
}

static void examine(struct fixture *f)
{
    const struct doctor_options options = { .transport = { .send = refuse } };
    struct err e = { 0 };

    assert_int_equal(doctor_run(&options, f->mem, &f->checks, &f->count, &e), 0);
}

static const struct doctor_check *check_of(const struct fixture *f, const char *id)
{
    for (size_t i = 0; i < f->count; i++)
        if (!strcmp(f->checks[i].id, id))
            return &f->checks[i];
    fail_msg("there is no check %s", id);
    return NULL;
}

static void assert_told(const struct fixture *f, const char *id, enum doctor_verdict verdict, const char *told)
{
    const struct doctor_check *check = check_of(f, id);

    if (check->verdict != verdict || !strstr(check->told, told))
        fail_msg("%s is %s: %s", id, doctor_verdict_name(check->verdict), check->told);
    if (verdict == DOCTOR_FAILED)
        assert_non_null(check->hint);
}

static void a_database_as_berth_makes_it_is_well(void **state)
{
    struct fixture *f = *state;

    examine(f);

    assert_told(f, "database_owner", DOCTOR_OK, "berth_migrate");
    assert_told(f, "database_hooks", DOCTOR_OK, "berth_hooks");
    assert_told(f, "database_worker", DOCTOR_OK, "berth_worker");
    assert_told(f, "database_admin", DOCTOR_OK, "berth_admin");
    assert_told(f, "row_security", DOCTOR_OK, "all");
    assert_told(f, "migrations", DOCTOR_OK, "unchanged");
    assert_told(f, "clock_database", DOCTOR_OK, "agree");
    assert_told(f, "releases", DOCTOR_OK, "None");
    assert_told(f, "teardowns", DOCTOR_OK, "None");
}

static void a_login_that_is_a_superuser_is_refused(void **state)
{
    struct fixture *f = *state;
    set_login(f, "BERTH_DATABASE_WORKER", HARNESS_SUPERUSER);

    examine(f);

    assert_told(f, "database_worker", DOCTOR_FAILED, "is a superuser");
    assert_told(f, "database_hooks", DOCTOR_OK, "berth_hooks");
}

static void a_login_that_is_another_ones_is_refused(void **state)
{
    struct fixture *f = *state;
    set_login(f, "BERTH_DATABASE_HOOKS", HARNESS_ADMIN);

    examine(f);

    assert_told(f, "database_hooks", DOCTOR_FAILED, "signs in as berth_admin, which is not berth_hooks");
}

static void a_table_whose_row_security_is_off_or_not_forced_is_named(void **state)
{
    struct fixture *f = *state;
    harness_do(f->super, "ALTER TABLE berth.releases DISABLE ROW LEVEL SECURITY; "
                         "ALTER TABLE berth.apps NO FORCE ROW LEVEL SECURITY");

    examine(f);

    assert_told(f, "row_security", DOCTOR_FAILED, "berth.apps (not forced), berth.releases (not enabled)");
}

static void a_migration_that_is_missing_or_changed_is_told(void **state)
{
    struct fixture *f = *state;
    harness_do(f->super, "UPDATE berth.schema_migrations SET checksum = 'x' WHERE version = 1");

    examine(f);

    assert_told(f, "migrations", DOCTOR_FAILED, "0001_schema");
    harness_do(f->super, "DELETE FROM berth.schema_migrations");
    examine(f);
    assert_told(f, "migrations", DOCTOR_FAILED, "not applied");
}

static void a_release_that_nobody_takes_fails_without_a_worker_and_warns_with_one(void **state)
{
    struct fixture *f = *state;
    harness_do(f->super, "INSERT INTO berth.apps (app_name, repository, webhook_policy) VALUES ('shop', 'a/b', "
                         "'github'), ('busy', 'a/b', 'github');"
                         "INSERT INTO berth.releases (app_name, number, kind, commit_sha, run_after) "
                         "VALUES ('shop', 7, 'push', repeat('a', 40), now() - interval '3 minutes')");

    examine(f);

    assert_told(f, "workers", DOCTOR_FAILED, "1 wait, the oldest is shop v7");
    harness_do(f->super, "INSERT INTO berth.releases (app_name, number, kind, state, commit_sha, lease_token, "
                         "lease_until, leased_by) VALUES ('busy', 1, 'push', 'running', repeat('a', 40), 1, now() + "
                         "interval '1 minute', 'w')");
    examine(f);
    assert_told(f, "workers", DOCTOR_WARNING, "at work on 1");
}

static void a_release_that_is_due_for_a_moment_only_is_no_failure(void **state)
{
    struct fixture *f = *state;
    harness_do(f->super,
               "INSERT INTO berth.apps (app_name, repository, webhook_policy) VALUES ('shop', 'a/b', 'github');"
               "INSERT INTO berth.releases (app_name, number, kind, commit_sha, run_after) "
               "VALUES ('shop', 7, 'push', repeat('a', 40), now() - interval '30 seconds')");

    examine(f);

    assert_told(f, "workers", DOCTOR_WARNING, "No worker is connected");
}

static void a_release_beyond_its_steps_deadline_and_a_stopped_teardown_are_named(void **state)
{
    struct fixture *f = *state;
    harness_do(f->super,
               "INSERT INTO berth.apps (app_name, repository, webhook_policy) VALUES ('shop', 'a/b', 'github'), "
               "('blog', 'a/b', 'github');"
               "INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, step_started_at) VALUES "
               "('shop', 2, 'push', 'running', 'build', repeat('a', 40), now() - interval '1 day'), "
               "('blog', 1, 'push', 'running', 'build', repeat('a', 40), now() - interval '20 minutes');"
               "INSERT INTO berth.teardowns (app_name, state, step, error, started_by, finished_at) "
               "VALUES ('old', 'failed', 'roles', 'iam said no', 'mara', now())");

    examine(f);

    assert_told(f, "releases", DOCTOR_FAILED, "1 release runs beyond the deadline: shop v2 (in build for 1440 min");
    assert_told(f, "teardowns", DOCTOR_FAILED, "old at roles");
    assert_non_null(strstr(check_of(f, "teardowns")->told, "iam said no"));
}

static void without_the_database_what_needs_it_is_skipped_and_no_password_is_shown(void **state)
{
    struct fixture *f = *state;
    setenv("BERTH_DATABASE_ADMIN", "host=127.0.0.1 port=1 dbname=berth user=berth_admin password=hunter2", 1);

    examine(f);

    assert_told(f, "database_admin", DOCTOR_FAILED, "connecting to Postgres as admin");
    assert_told(f, "row_security", DOCTOR_SKIPPED, "admin");
    assert_told(f, "migrations", DOCTOR_OK, "unchanged");
    for (size_t i = 0; i < f->count; i++)
        assert_true(!strstr(f->checks[i].told, "hunter2") &&
                    (!f->checks[i].hint || !strstr(f->checks[i].hint, "hunter2")));
}

static void where_aws_is_optional_no_credentials_fail_nothing(void **state)
{
    struct fixture *f = *state;
    const struct doctor_options options = { .transport = { .send = refuse }, .aws_optional = true };
    struct err e = { 0 };

    assert_int_equal(doctor_run(&options, f->mem, &f->checks, &f->count, &e), 0);

    assert_told(f, "aws_identity", DOCTOR_SKIPPED, "AWS_ACCESS_KEY_ID");
    assert_told(f, "platform", DOCTOR_SKIPPED, "AWS credentials");
}

static const char *const variables[] = { "BERTH_DATABASE_OWNER", "BERTH_DATABASE_HOOKS", "BERTH_DATABASE_WORKER",
                                         "BERTH_DATABASE_ADMIN" };
enum { VARIABLES = sizeof variables / sizeof *variables };
static char *servers[VARIABLES]; /* the harness makes its connection strings of these, which tests overwrite */

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    for (size_t i = 0; i < VARIABLES; i++)
        setenv(variables[i], servers[i], 1);
    f->database = harness_database_new();
    f->super = harness_pool(f->database, HARNESS_SUPERUSER, 1);
    f->mem = arena_new();
    set_login(f, "BERTH_DATABASE_OWNER", HARNESS_OWNER);
    set_login(f, "BERTH_DATABASE_HOOKS", HARNESS_HOOKS);
    set_login(f, "BERTH_DATABASE_WORKER", HARNESS_WORKER);
    set_login(f, "BERTH_DATABASE_ADMIN", HARNESS_ADMIN);
    setenv("AWS_REGION", "eu-central-1", 1);
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("BERTH_CONFIG");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    db_pool_free(f->super);
    harness_database_free(f->database);
    arena_free(f->mem);
    free(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_login_that_is_a_superuser_is_refused),
        TEST(a_login_that_is_another_ones_is_refused),
        TEST(a_table_whose_row_security_is_off_or_not_forced_is_named),
        TEST(a_migration_that_is_missing_or_changed_is_told),
        TEST(a_release_that_nobody_takes_fails_without_a_worker_and_warns_with_one),
        TEST(a_release_that_is_due_for_a_moment_only_is_no_failure),
        TEST(a_release_beyond_its_steps_deadline_and_a_stopped_teardown_are_named),
        TEST(without_the_database_what_needs_it_is_skipped_and_no_password_is_shown),
        TEST(where_aws_is_optional_no_credentials_fail_nothing),
        TEST(a_database_as_berth_makes_it_is_well),
    };

    (void)argc;
    harness_server(argv);
    for (size_t i = 0; i < VARIABLES; i++)
        servers[i] = strdup(getenv(variables[i]));
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    for (size_t i = 0; i < VARIABLES; i++)
        free(servers[i]);
    return failures;
}
