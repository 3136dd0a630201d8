/* An app's settings in Postgres: changed all or nothing and with their audit row, by two operators at once, against the quotas; pausing and resuming. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "core/tenant/app.h"
#include "tests/db/harness.h"

enum { WRITERS = 8 };

static struct harness_database *database;
static struct db_pool *superuser, *admin;
static struct arena *mem;
static struct app_update done;

static void sql(const char *text)
{
    harness_do(superuser, text);
}

static int64_t number(const char *text)
{
    return harness_number(superuser, NULL, text);
}

#define HOLDS(condition) assert_int_equal(number("SELECT coalesce((" condition ")::int, 0) AS n"), 1)
#define NOTHING_IS_WRITTEN HOLDS("(SELECT count(*) FROM berth.audit_log) = 0")

static int set_up(void **state)
{
    (void)state;
    mem = arena_new();
    sql("TRUNCATE berth.apps CASCADE; TRUNCATE berth.audit_log;"
        "DELETE FROM berth.default_limits; INSERT INTO berth.default_limits DEFAULT VALUES;"
        "INSERT INTO berth.apps (app_name, repository, webhook_policy, health_check_path, cpu_units, memory_mib, tasks)"
        " VALUES ('shop', 'acme/shop', 'github', '/healthz', 512, 1024, 2)");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(mem);
    return 0;
}

static int update_all(const struct app_edit *edits, size_t count, struct err *e)
{
    return app_update(admin, "shop", "ann", edits, count, mem, &done, e);
}

static int update(enum app_setting setting, const char *to, const char *was, struct err *e)
{
    const struct app_edit edit = { setting, to, was };

    return update_all(&edit, 1, e);
}

static void set(enum app_setting setting, const char *to)
{
    struct err e = { 0 };

    if (update(setting, to, NULL, &e))
        fail_msg("%s", e.message);
}

/* ---- Refusals ---- */

static void a_value_that_cannot_be_is_refused_with_all_the_others_and_named(void **state)
{
    static const struct {
        enum app_setting setting;
        const char *value, *message;
    } wrong[] = {
        { APP_CPU_UNITS, "513", "Fargate has no task of 513 CPU units with 1024 MiB of memory" },
        { APP_MEMORY_MIB, "512", "Fargate has no task of 512 CPU units with 512 MiB of memory" },
        { APP_TASKS, "-1", "Tasks is a whole number, not \"-1\"" },
        { APP_TASKS, "", "Tasks is a whole number, not \"\"" },
        { APP_TASKS, "99999999999", "Tasks is a whole number, not \"99999999999\"" },
        { APP_PORT, "0", "0 is not a port: it is 1 to 65535" },
        { APP_HEALTH_CHECK_PATH, "", "\"\" is not a path for the health check" },
        { APP_BRANCH, "a..b", "\"a..b\" is not a branch's name as git allows it" },
        { APP_PATH_FILTER, "src/\x1b", "the path patterns hold a control character" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        enum app_setting other = wrong[i].setting == APP_PORT ? APP_BRANCH : APP_PORT;
        const struct app_edit edits[] = { { other, other == APP_PORT ? "9000" : "release", NULL },
                                          { wrong[i].setting, wrong[i].value, NULL } };
        struct err e = { 0 };
        assert_int_equal(update_all(edits, 2, &e), ERR_INVALID);
        assert_int_equal(done.at_fault, wrong[i].setting);
        assert_ptr_equal(strstr(e.message, wrong[i].message), e.message);
    }
    NOTHING_IS_WRITTEN;
    HOLDS("SELECT port = 8080 AND branch = 'main' AND tasks = 2 FROM berth.apps");
}

static void a_size_that_can_be_is_not_blamed_for_what_else_is_wrong(void **state)
{
    const struct app_edit edits[] = { { APP_CPU_UNITS, "1024", NULL },
                                      { APP_MEMORY_MIB, "8192", NULL },
                                      { APP_HEALTH_CHECK_PATH, "/up and well", NULL } };
    struct err e = { 0 };
    (void)state;

    assert_int_equal(update_all(edits, 3, &e), ERR_INVALID);

    assert_int_equal(done.at_fault, APP_HEALTH_CHECK_PATH);
    NOTHING_IS_WRITTEN;
}

static void a_rollout_over_a_quota_is_refused_with_its_numbers(void **state)
{
    struct err e = { 0 };
    (void)state;
    sql("INSERT INTO berth.quotas (app_name, cpu_units) VALUES ('shop', 2048)");

    assert_int_equal(update(APP_TASKS, "3", NULL, &e), ERR_QUOTA);

    assert_string_equal(
        e.message, "CPU units: a rollout runs the old tasks and the new ones, so it needs 3,072; the quota is 2,048");
    assert_non_null(strstr(e.hint, "`berth quota set shop cpu_units=3072`"));
    assert_int_equal(done.at_fault, APP_TASKS);
    assert_false(done.changed);
    NOTHING_IS_WRITTEN;
}

static void an_app_that_is_over_its_quota_may_be_made_smaller_and_changed_otherwise(void **state)
{
    struct err e = { 0 };
    (void)state;
    sql("INSERT INTO berth.quotas (app_name, cpu_units) VALUES ('shop', 256)");

    set(APP_PORT, "9000");
    set(APP_TASKS, "1");

    assert_int_equal(update(APP_TASKS, "2", NULL, &e), ERR_QUOTA);
    HOLDS("SELECT port = 9000 AND tasks = 1 FROM berth.apps");
}

static void an_app_that_is_not_there_or_going_is_not_changed(void **state)
{
    const struct app_edit edit = { APP_TASKS, "3", NULL };
    struct err e = { 0 };
    bool changed, look;
    (void)state;

    assert_int_equal(app_update(admin, "nobody", "ann", &edit, 1, mem, &done, &e), ERR_NOT_FOUND);
    assert_int_equal(app_pause(admin, "nobody", "ann", &changed, &e), ERR_NOT_FOUND);
    sql("UPDATE berth.apps SET state = 'deleting'");
    assert_int_equal(update_all(&edit, 1, &e), ERR_CONFLICT);
    assert_string_equal(e.message, "shop is being deleted");
    assert_int_equal(app_resume(admin, "shop", "ann", &changed, &look, &e), ERR_CONFLICT);
    sql("UPDATE berth.apps SET state = 'deleted'");
    assert_int_equal(app_pause(admin, "shop", "ann", &changed, &e), ERR_CONFLICT);
    assert_string_equal(e.message, "shop was destroyed");

    NOTHING_IS_WRITTEN;
}

static void without_an_audit_row_nothing_is_changed(void **state)
{
    struct err e = { 0 };
    bool changed = false;
    (void)state;
    sql("CREATE FUNCTION public.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the disk is full'; END $$;"
        "CREATE TRIGGER full_disk BEFORE INSERT ON berth.audit_log FOR EACH ROW EXECUTE FUNCTION public.full()");

    int set_code = update(APP_TASKS, "3", NULL, &e), pause_code = app_pause(admin, "shop", "ann", &changed, &e);
    sql("DROP TRIGGER full_disk ON berth.audit_log; DROP FUNCTION public.full()");

    assert_int_not_equal(set_code, 0);
    assert_int_not_equal(pause_code, 0);
    assert_false(changed);
    assert_false(done.changed);
    HOLDS("SELECT tasks = 2 AND state = 'active' FROM berth.apps");
}

/* ---- Changing ---- */

static void a_change_is_stored_with_who_before_and_after(void **state)
{
    const struct app_edit edits[] = { { APP_CPU_UNITS, "1024", NULL },
                                      { APP_MEMORY_MIB, "2048", NULL },
                                      { APP_PATH_FILTER, " src/**   !**/*.md ", NULL } };
    struct err e = { 0 };
    (void)state;

    assert_int_equal(update_all(edits, 3, &e), 0);

    assert_true(done.changed);
    assert_int_equal(done.before.cpu_units, 512);
    assert_int_equal(done.after.memory_mib, 2048);
    HOLDS("SELECT cpu_units = 1024 AND memory_mib = 2048 AND tasks = 2 AND path_filter = 'src/** !**/*.md' FROM "
          "berth.apps");
    HOLDS("SELECT actor = 'ann' AND action = 'app.update' AND app_name = 'shop'"
          " AND before = '{\"cpu_units\": 512, \"memory_mib\": 1024, \"path_filter\": \"\"}'"
          " AND after = '{\"cpu_units\": 1024, \"memory_mib\": 2048, \"path_filter\": \"src/** !**/*.md\"}'"
          " FROM berth.audit_log");
}

static void what_is_so_already_writes_nothing(void **state)
{
    const struct app_edit edits[] = { { APP_TASKS, "2", NULL }, { APP_PATH_FILTER, "   ", NULL } };
    struct err e = { 0 };
    (void)state;

    assert_int_equal(update_all(edits, 2, &e), 0);

    assert_false(done.changed);
    NOTHING_IS_WRITTEN;
    HOLDS("SELECT updated_at = created_at FROM berth.apps");
}

static void a_try_tells_what_would_be_and_writes_nothing(void **state)
{
    const struct app_edit more = { APP_TASKS, "3", NULL }, same = { APP_TASKS, "2", NULL },
                          too_many = { APP_TASKS, "200", NULL };
    struct err e = { 0 };
    (void)state;

    assert_int_equal(app_update_try(admin, "shop", &more, 1, mem, &done, &e), 0);
    assert_true(done.changed);
    assert_int_equal(done.after.tasks, 3);
    assert_int_equal(app_update_try(admin, "shop", &same, 1, mem, &done, &e), 0);
    assert_false(done.changed);
    assert_int_equal(app_update_try(admin, "shop", &too_many, 1, mem, &done, &e), ERR_QUOTA);

    NOTHING_IS_WRITTEN;
    HOLDS("SELECT tasks = 2 FROM berth.apps");
}

static void a_changed_filter_tells_every_responder(void **state)
{
    struct db *listener = harness_take(admin);
    struct err e = { 0 };
    bool notified = false;
    (void)state;
    assert_int_equal(db_listen(listener, "berth_apps", &e), 0);

    set(APP_PATH_FILTER, "src/**");
    assert_int_equal(db_wait(listener, 5000, -1, &notified, &e), 0);
    db_give(listener);

    assert_true(notified);
}

/* ---- Two operators ---- */

static void the_second_operator_is_told_who_changed_what_and_nothing_is_written(void **state)
{
    const struct app_edit edits[] = { { APP_TASKS, "5", "2" },
                                      { APP_PORT, "9000", "8080" },
                                      { APP_BRANCH, "b", "main" } };
    struct err e = { 0 };
    (void)state;
    set(APP_TASKS, "4");
    set(APP_PORT, "7000");

    assert_int_equal(app_update(admin, "shop", "mara", edits, 3, mem, &done, &e), ERR_CONFLICT);

    assert_string_equal(e.message, "Tasks of shop is \"4\" by now, not \"2\"");
    assert_non_null(strstr(e.hint, "ann changed it at 20"));
    assert_int_equal(done.difference_count, 2);
    assert_int_equal(done.differences[1].setting, APP_PORT);
    assert_string_equal(done.differences[1].was, "8080");
    assert_string_equal(done.differences[1].now, "7000");
    assert_string_equal(done.differences[1].changed_by, "ann");
    HOLDS("SELECT tasks = 4 AND port = 7000 AND branch = 'main' FROM berth.apps");
    HOLDS("(SELECT count(*) FROM berth.audit_log WHERE actor = 'mara') = 0");
}

static void another_setting_that_was_changed_meanwhile_is_no_conflict(void **state)
{
    struct err e = { 0 };
    (void)state;
    set(APP_TASKS, "4");

    assert_int_equal(update(APP_PORT, "9000", "8080", &e), 0);

    HOLDS("SELECT tasks = 4 AND port = 9000 FROM berth.apps");
}

static void somebody_who_wanted_the_same_is_no_conflict(void **state)
{
    struct err e = { 0 };
    (void)state;
    set(APP_TASKS, "4");
    set(APP_PATH_FILTER, "src/** docs/");

    assert_int_equal(update(APP_TASKS, "4", "2", &e), 0);
    assert_false(done.changed);
    assert_int_equal(update(APP_PATH_FILTER, " src/**  docs/", "", &e), 0);
    assert_false(done.changed);

    HOLDS("(SELECT count(*) FROM berth.audit_log) = 2");
}

static void *set_tasks(void *context)
{
    AUTO_ARENA struct arena *own = arena_new();
    const int *nth = context;
    const struct app_edit edit = { APP_TASKS, arena_printf(own, "%d", 3 + *nth), "2" };
    struct app_update update_done;
    struct err e = { 0 };

    return app_update(admin, "shop", arena_printf(own, "op%d", *nth), &edit, 1, own, &update_done, &e) == 0 ? context
                                                                                                            : NULL;
}

static void of_many_at_once_who_saw_the_same_one_is_taken(void **state)
{
    pthread_t threads[WRITERS];
    int nth[WRITERS], taken = -1, count = 0;
    (void)state;

    for (int i = 0; i < WRITERS; i++) {
        nth[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, set_tasks, &nth[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        void *won = NULL;
        pthread_join(threads[i], &won);
        count += won != NULL;
        taken = won ? i : taken;
    }

    assert_int_equal(count, 1);
    assert_int_equal(number("SELECT tasks AS n FROM berth.apps"), 3 + taken);
    HOLDS("(SELECT count(*) FROM berth.audit_log) = 1");
}

/* ---- Pausing ---- */

static void a_pause_and_its_end_are_in_the_audit_log_once(void **state)
{
    struct err e = { 0 };
    bool changed = false, look = true;
    (void)state;

    assert_int_equal(app_pause(admin, "shop", "ann", &changed, &e), 0);
    assert_true(changed);
    assert_int_equal(app_pause(admin, "shop", "mara", &changed, &e), 0);
    assert_false(changed);
    HOLDS("SELECT state = 'paused' FROM berth.apps");
    assert_int_equal(app_resume(admin, "shop", "mara", &changed, &look, &e), 0);
    assert_true(changed);
    assert_false(look);
    assert_int_equal(app_resume(admin, "shop", "ann", &changed, &look, &e), 0);
    assert_false(changed);

    HOLDS("(SELECT string_agg(actor || ' ' || action || ' ' || (before->>'state') || ' ' || (after->>'state'), ', ' "
          "ORDER BY id) FROM berth.audit_log)"
          " = 'ann app.pause active paused, mara app.resume paused active'");
}

static void a_resume_makes_a_look_that_waited_due_and_wakes_the_workers(void **state)
{
    struct db *listener = harness_take(admin);
    struct err e = { 0 };
    bool changed = false, look = false, notified = false;
    (void)state;
    sql("UPDATE berth.apps SET state = 'paused';"
        "INSERT INTO berth.looks (app_name, reason, owed_at, run_after) VALUES ('shop', 'paused', now(), 'infinity')");
    assert_int_equal(db_listen(listener, "berth_releases", &e), 0);

    assert_int_equal(app_resume(admin, "shop", "ann", &changed, &look, &e), 0);
    assert_int_equal(db_wait(listener, 5000, -1, &notified, &e), 0);
    db_give(listener);

    assert_true(look);
    assert_true(notified);
    HOLDS("SELECT run_after <= now() FROM berth.looks");
}

static int open_all(void **state)
{
    (void)state;
    database = harness_database_new();
    superuser = harness_pool(database, HARNESS_SUPERUSER, 2);
    admin = harness_pool(database, HARNESS_ADMIN, WRITERS);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    db_pool_free(admin);
    db_pool_free(superuser);
    harness_database_free(database);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_value_that_cannot_be_is_refused_with_all_the_others_and_named),
        TEST(a_size_that_can_be_is_not_blamed_for_what_else_is_wrong),
        TEST(a_rollout_over_a_quota_is_refused_with_its_numbers),
        TEST(an_app_that_is_over_its_quota_may_be_made_smaller_and_changed_otherwise),
        TEST(an_app_that_is_not_there_or_going_is_not_changed),
        TEST(without_an_audit_row_nothing_is_changed),
        TEST(a_change_is_stored_with_who_before_and_after),
        TEST(what_is_so_already_writes_nothing),
        TEST(a_try_tells_what_would_be_and_writes_nothing),
        TEST(a_changed_filter_tells_every_responder),
        TEST(the_second_operator_is_told_who_changed_what_and_nothing_is_written),
        TEST(another_setting_that_was_changed_meanwhile_is_no_conflict),
        TEST(somebody_who_wanted_the_same_is_no_conflict),
        TEST(of_many_at_once_who_saw_the_same_one_is_taken),
        TEST(a_pause_and_its_end_are_in_the_audit_log_once),
        TEST(a_resume_makes_a_look_that_waited_due_and_wakes_the_workers),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests_name("tenant/app_update", tests, open_all, close_all);
}
