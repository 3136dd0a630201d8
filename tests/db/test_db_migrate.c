/* Migrations: applied once, by one at a time, wholly or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/db/internal.h"
#include "core/db/migrate.h"
#include "tests/db/harness.h"

#define SUM_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SUM_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const struct migration two[] = {
    { 1, "0001_first", "CREATE TABLE berth.first (n int);\nINSERT INTO berth.first VALUES (1);\n", SUM_A },
    { 2, "0002_second", "ALTER TABLE berth.first ADD COLUMN m int;\n", SUM_A },
};

struct world {
    struct harness_database *database;
    struct db_pool *owner, *superuser;
};

static int64_t number(const struct world *w, const char *sql)
{
    return harness_number(w->superuser, NULL, sql);
}

static int up(const struct world *w, const struct migration *all, size_t count, int *applied, struct err *e)
{
    return migrate_up(w->owner, all, count, NULL, NULL, applied, e);
}

static void count_report(void *context, const struct migration *done)
{
    (void)done;
    ++*(int *)context;
}

static void a_fresh_database_gets_all_of_them_and_a_second_run_does_nothing(void **state)
{
    const struct world *w = *state;
    struct err e = { 0 };
    int applied = 0;
    int reported = 0;

    assert_int_equal(migrate_up(w->owner, two, 2, count_report, &reported, &applied, &e), 0);
    assert_int_equal(applied, 2);
    assert_int_equal(reported, 2);
    assert_int_equal(up(w, two, 2, &applied, &e), 0);

    assert_int_equal(applied, 0);
    assert_int_equal(number(w, "SELECT count(*) AS n FROM berth.schema_migrations"), 2);
    assert_int_equal(number(w, "SELECT count(*) AS n FROM berth.first"), 1);
    assert_int_equal(migrate_verify(w->owner, two, 2, &e), 0);
}

static void what_is_made_belongs_to_berth_owner(void **state)
{
    const struct world *w = *state;
    struct err e = { 0 };
    int applied = 0;

    assert_int_equal(up(w, two, 2, &applied, &e), 0);

    assert_int_equal(
        number(w, "SELECT count(*) AS n FROM pg_tables WHERE schemaname = 'berth' AND tableowner <> 'berth_owner'"), 0);
    assert_int_equal(number(w, "SELECT count(*) AS n FROM pg_tables WHERE schemaname = 'berth'"), 2);
}

static void the_embedded_migrations_apply_and_verify(void **state)
{
    const struct world *w = *state;
    struct err e = { 0 };
    int applied = 0;

    assert_int_equal(migrate_verify(w->owner, migrations_embedded, migrations_embedded_count, &e), ERR_CONFLICT);
    assert_non_null(strstr(e.hint, "migrate up"));
    assert_int_equal(up(w, migrations_embedded, migrations_embedded_count, &applied, &e), 0);

    assert_int_equal(applied, migrations_embedded_count);
    assert_true(applied > 0);
    assert_int_equal(migrate_verify(w->owner, migrations_embedded, migrations_embedded_count, &e), 0);
}

static void a_changed_file_is_refused_and_nothing_applied(void **state)
{
    const struct world *w = *state;
    struct migration changed[2] = { two[0], two[1] };
    struct err e = { 0 };
    int applied = 0;
    assert_int_equal(up(w, two, 1, &applied, &e), 0);
    memcpy(changed[0].checksum, SUM_B, sizeof changed[0].checksum);

    assert_int_equal(up(w, changed, 2, &applied, &e), ERR_CONFLICT);

    assert_int_equal(applied, 0);
    assert_non_null(strstr(e.message, "0001_first"));
    assert_true(*e.hint);
    assert_int_equal(migrate_verify(w->owner, changed, 2, &e), ERR_CONFLICT);
    assert_int_equal(number(w, "SELECT count(*) AS n FROM berth.schema_migrations"), 1);
}

static void a_database_newer_than_the_binary_is_refused(void **state)
{
    const struct world *w = *state;
    struct err e = { 0 };
    int applied = 0;
    assert_int_equal(up(w, two, 2, &applied, &e), 0);

    assert_int_equal(up(w, two, 1, &applied, &e), ERR_CONFLICT);

    assert_non_null(strstr(e.message, "0002_second"));
    assert_non_null(strstr(e.hint, "newer"));
    assert_int_equal(migrate_verify(w->owner, two, 1, &e), ERR_CONFLICT);
}

static void a_file_missing_from_the_middle_is_refused(void **state)
{
    const struct world *w = *state;
    struct err e = { 0 };
    int applied = 0;
    assert_int_equal(up(w, two, 2, &applied, &e), 0);

    assert_int_equal(up(w, &two[1], 1, &applied, &e), ERR_CONFLICT);

    assert_non_null(strstr(e.message, "0001_first"));
}

static void the_status_tells_applied_pending_changed_and_unknown(void **state)
{
    const struct world *w = *state;
    struct migration other[3] = { two[0], { 3, "0003_third", "SELECT 1", SUM_A } };
    AUTO_ARENA struct arena *mem = arena_new();
    struct migration_status *status = NULL;
    size_t count = 0;
    struct err e = { 0 };
    int applied = 0;
    assert_int_equal(migrate_status(w->owner, two, 2, mem, &status, &count, &e), 0);
    assert_int_equal(count, 2);
    assert_int_equal(status[0].state, MIGRATION_PENDING);
    assert_null(status[0].applied_at);
    assert_int_equal(up(w, two, 2, &applied, &e), 0);
    memcpy(other[0].checksum, SUM_B, sizeof other[0].checksum);

    assert_int_equal(migrate_status(w->owner, other, 2, mem, &status, &count, &e), 0);

    assert_int_equal(count, 3);
    assert_string_equal(migration_state_name(status[0].state), "changed");
    assert_string_equal(migration_state_name(status[1].state), "unknown");
    assert_string_equal(status[1].name, "0002_second");
    assert_int_equal(strlen(status[1].applied_at), strlen("2026-01-01T00:00:00.000Z"));
    assert_string_equal(migration_state_name(status[2].state), "pending");
    assert_int_equal(migrate_status(w->owner, two, 2, mem, &status, &count, &e), 0);
    assert_string_equal(migration_state_name(status[0].state), "applied");
}

static void a_failing_migration_leaves_nothing_and_says_which_line(void **state)
{
    const struct world *w = *state;
    const struct migration failing[] = {
        two[0],
        { 2, "0002_bad", "-- ü comes first\nCREATE TABLE berth.half (n int);\nSELECT nonsense;\n", SUM_A },
    };
    struct err e = { 0 };
    int applied = 0;

    assert_int_equal(up(w, failing, 2, &applied, &e), ERR_INTERNAL);

    assert_int_equal(applied, 1);
    assert_non_null(strstr(e.message, "0002_bad"));
    assert_non_null(strstr(e.message, "line 3"));
    assert_int_equal(number(w, "SELECT count(*) AS n FROM pg_tables WHERE tablename = 'half'"), 0);
    assert_int_equal(number(w, "SELECT count(*) AS n FROM berth.schema_migrations"), 1);
    assert_int_equal(up(w, two, 2, &applied, &e), 0);
    assert_int_equal(applied, 1);
}

static void a_migration_that_commits_by_itself_is_refused(void **state)
{
    const struct world *w = *state;
    const struct migration commits = { 1, "0001_commits", "CREATE TABLE berth.t (n int);\nCOMMIT;\n", SUM_A };
    struct err e = { 0 };
    int applied = 0;

    assert_int_equal(up(w, &commits, 1, &applied, &e), ERR_INVALID);

    assert_int_equal(number(w, "SELECT count(*) AS n FROM berth.schema_migrations"), 0);
    assert_non_null(strstr(e.hint, "COMMIT"));
}

static void the_marker_runs_a_file_without_a_transaction(void **state)
{
    const struct world *w = *state;
    const struct migration alone[] = {
        two[0],
        { 2, "0002_index", "-- no-transaction\nCREATE INDEX CONCURRENTLY first_n ON berth.first (n);\n", SUM_A },
    };
    const struct migration without[] = {
        two[0], alone[1], { 3, "0003_index", "CREATE INDEX CONCURRENTLY first_n2 ON berth.first (n);\n", SUM_A }
    };
    struct err e = { 0 };
    int applied = 0;

    assert_int_equal(up(w, alone, 2, &applied, &e), 0);
    assert_int_equal(applied, 2);

    assert_int_equal(number(w, "SELECT count(*) AS n FROM pg_indexes WHERE indexname = 'first_n'"), 1);
    assert_true(up(w, without, 3, &applied, &e) != 0); /* so the marker is what made it work */
}

static void two_processes_at_once_apply_each_migration_once(void **state)
{
    const struct world *w = *state;
    const struct migration slow[] = {
        { 1, "0001_slow", "CREATE TABLE berth.slow (n int); INSERT INTO berth.slow VALUES (1); SELECT pg_sleep(0.3);",
          SUM_A },
        { 2, "0002_slow", "INSERT INTO berth.slow VALUES (2); SELECT pg_sleep(0.3);", SUM_A },
    };
    enum { PROCESSES = 4 };
    pid_t pids[PROCESSES];
    int total = 0;

    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            struct db_pool *own = harness_pool(w->database, HARNESS_OWNER, 1);
            struct err e = { 0 };
            int applied = 0;
            int code = migrate_up(own, slow, 2, NULL, NULL, &applied, &e);
            _exit(code ? 100 : applied);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;
        waitpid(pids[i], &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 2);
        total += WEXITSTATUS(status);
    }

    assert_int_equal(total, 2);
    assert_int_equal(number(w, "SELECT count(*) AS n FROM berth.slow"), 2);
}

/* Holds a lock on berth.first for some time. */
struct holder {
    struct db_pool *superuser;
    const char *sql;
};

static void *hold(void *context)
{
    const struct holder *holder = context;

    harness_do(holder->superuser, holder->sql);
    return NULL;
}

static void wait_until_locked(const struct world *w)
{
    const char *sql = "SELECT count(*) AS n FROM pg_locks WHERE relation = to_regclass('berth.first')"
                      " AND mode = 'AccessExclusiveLock'";
    while (number(w, sql) == 0)
        usleep(10 * 1000);
}

static void a_locked_table_is_tried_again_until_it_is_free(void **state)
{
    const struct world *w = *state;
    const struct migrate_patience patience = { 100, 50, 50, 200, 1000 };
    struct holder holder = { w->superuser, "BEGIN; LOCK TABLE berth.first; SELECT pg_sleep(0.8); COMMIT" };
    struct err e = { 0 };
    pthread_t thread;
    int applied = 0;
    assert_int_equal(up(w, two, 1, &applied, &e), 0);
    pthread_create(&thread, NULL, hold, &holder);
    wait_until_locked(w);

    int code = migrate_up_with(w->owner, two, 2, &patience, NULL, NULL, &applied, &e);

    pthread_join(thread, NULL);
    assert_int_equal(code, 0);
    assert_int_equal(applied, 1);
}

static void a_table_that_stays_locked_is_given_up_on_with_a_hint(void **state)
{
    const struct world *w = *state;
    const struct migrate_patience patience = { 50, 3, 10, 20, 1000 };
    struct holder holder = { w->superuser, "BEGIN; LOCK TABLE berth.first; SELECT pg_sleep(1.5); COMMIT" };
    struct err e = { 0 };
    pthread_t thread;
    int applied = 0;
    assert_int_equal(up(w, two, 1, &applied, &e), 0);
    pthread_create(&thread, NULL, hold, &holder);
    wait_until_locked(w);

    int code = migrate_up_with(w->owner, two, 2, &patience, NULL, NULL, &applied, &e);

    pthread_join(thread, NULL);
    assert_int_equal(code, ERR_CONFLICT);
    assert_string_equal(e.detail, "55P03");
    assert_non_null(strstr(e.message, "0002_second"));
    assert_non_null(strstr(e.hint, "pg_locks"));
    assert_int_equal(applied, 0);
}

static void who_finds_another_at_work_for_too_long_says_so(void **state)
{
    const struct world *w = *state;
    const struct migrate_patience patience = { 100, 1, 10, 10, 300 };
    struct db *other = NULL;
    struct err e = { 0 };
    int applied = 0;
    assert_int_equal(migrate_session_open(w->owner, true, &other, &e), 0);
    assert_int_equal(migrate_lock(other, 0, &e), 0);

    assert_int_equal(migrate_up_with(w->owner, two, 2, &patience, NULL, NULL, &applied, &e), ERR_CONFLICT);

    assert_non_null(strstr(e.message, "another"));
    db_give(other);
    assert_int_equal(up(w, two, 2, &applied, &e), 0);
}

static void a_database_without_bootstrap_is_refused_with_what_to_run(void **state)
{
    struct harness_database *empty = harness_database_empty();
    struct db_pool *pool = harness_pool(empty, HARNESS_OWNER, 1);
    struct err e = { 0 };
    int applied = 0;
    (void)state;

    assert_int_equal(migrate_up(pool, two, 2, NULL, NULL, &applied, &e), ERR_NOT_FOUND);

    assert_non_null(strstr(e.hint, "bootstrap.sql"));
    db_pool_free(pool);
    harness_database_free(empty);
}

static void a_login_that_may_not_own_the_schema_is_refused(void **state)
{
    const struct world *w = *state;
    struct db_pool *hooks = harness_pool(w->database, HARNESS_HOOKS, 1);
    struct err e = { 0 };
    int applied = 0;

    assert_int_equal(migrate_up(hooks, two, 2, NULL, NULL, &applied, &e), ERR_DENIED);

    assert_non_null(strstr(e.message, "berth_hooks"));
    assert_non_null(strstr(e.hint, "berth_migrate"));
    db_pool_free(hooks);
}

static int setup(void **state)
{
    static struct world w;

    w.database = harness_database_unmigrated();
    w.owner = harness_pool(w.database, HARNESS_OWNER, 2);
    w.superuser = harness_pool(w.database, HARNESS_SUPERUSER, 3);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    db_pool_free(w->owner);
    db_pool_free(w->superuser);
    harness_database_free(w->database);
    return 0;
}

#define EACH_ON_ITS_OWN_DATABASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EACH_ON_ITS_OWN_DATABASE(a_fresh_database_gets_all_of_them_and_a_second_run_does_nothing),
        EACH_ON_ITS_OWN_DATABASE(what_is_made_belongs_to_berth_owner),
        EACH_ON_ITS_OWN_DATABASE(the_embedded_migrations_apply_and_verify),
        EACH_ON_ITS_OWN_DATABASE(a_changed_file_is_refused_and_nothing_applied),
        EACH_ON_ITS_OWN_DATABASE(a_database_newer_than_the_binary_is_refused),
        EACH_ON_ITS_OWN_DATABASE(a_file_missing_from_the_middle_is_refused),
        EACH_ON_ITS_OWN_DATABASE(the_status_tells_applied_pending_changed_and_unknown),
        EACH_ON_ITS_OWN_DATABASE(a_failing_migration_leaves_nothing_and_says_which_line),
        EACH_ON_ITS_OWN_DATABASE(a_migration_that_commits_by_itself_is_refused),
        EACH_ON_ITS_OWN_DATABASE(the_marker_runs_a_file_without_a_transaction),
        EACH_ON_ITS_OWN_DATABASE(two_processes_at_once_apply_each_migration_once),
        EACH_ON_ITS_OWN_DATABASE(a_locked_table_is_tried_again_until_it_is_free),
        EACH_ON_ITS_OWN_DATABASE(a_table_that_stays_locked_is_given_up_on_with_a_hint),
        EACH_ON_ITS_OWN_DATABASE(who_finds_another_at_work_for_too_long_says_so),
        EACH_ON_ITS_OWN_DATABASE(a_database_without_bootstrap_is_refused_with_what_to_run),
        EACH_ON_ITS_OWN_DATABASE(a_login_that_may_not_own_the_schema_is_refused),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
