/* Limits in Postgres: read with what is used, changed all or nothing, by two operators at once, and what a change does to buckets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/tenant/limit.h"
#include "tests/db/harness.h"

static struct harness_database *database;
static struct db_pool *superuser, *admin;
static struct arena *mem;
static struct limit_conflict conflicts[LIMIT_COUNT];
static size_t conflict_count;

static void sql(const char *text)
{
    harness_do(superuser, text);
}

static int64_t number(const char *text)
{
    return harness_number(superuser, NULL, text);
}

#define HOLDS(condition) assert_int_equal(number("SELECT coalesce((" condition ")::int, 0) AS n"), 1)

static int set_up(void **state)
{
    (void)state;
    mem = arena_new();
    sql("TRUNCATE berth.apps CASCADE; TRUNCATE berth.audit_log;"
        "DELETE FROM berth.default_limits; INSERT INTO berth.default_limits DEFAULT VALUES;"
        "INSERT INTO berth.apps (app_name, repository, webhook_policy, cpu_units, memory_mib, tasks)"
        " VALUES ('shop', 'acme/shop', 'github', 512, 1024, 2), ('cellar', 'acme/cellar', 'github', 256, 512, 1)");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(mem);
    return 0;
}

static struct limits read(const char *app)
{
    struct db *db = harness_take(admin);
    struct limits limits = { 0 };
    struct err e = { 0 };

    if (limits_read(db, app, mem, &limits, &e))
        fail_msg("%s", e.message);
    db_give(db);
    return limits;
}

static int set_as(const char *app, const char *actor, enum limit limit, int64_t value, int64_t was, struct err *e)
{
    const struct limit_edit edit = { limit, value, was };

    return limits_set(admin, app, actor, &edit, 1, mem, conflicts, &conflict_count, e);
}

static void set(const char *app, enum limit limit, int64_t value)
{
    struct err e = { 0 };

    if (set_as(app, "ann", limit, value, LIMIT_UNSEEN, &e))
        fail_msg("%s", e.message);
}

/* ---- Reading ---- */

static void an_app_without_numbers_of_its_own_has_the_defaults(void **state)
{
    (void)state;

    struct limits limits = read("shop");

    for (int i = 0; i < LIMIT_COUNT; i++) {
        assert_int_equal(limits.of[i].own, LIMIT_DEFAULT);
        assert_int_equal(limits.of[i].in_force, limits.of[i].standard);
        assert_int_equal(limits.of[i].used, 0);
    }
    assert_int_equal(limits.of[LIMIT_CPU_UNITS].in_force, 16384);
    assert_int_equal(limits.tokens, 120);
    assert_int_equal(limits.next_ms, 0);
    assert_int_equal(limits.cpu_units, 512);
    assert_int_equal(limits.tasks, 2);
    assert_int_equal(limits.promised_cpu_units, 2 * 16384);
    assert_null(limits.changed_by);
    assert_null(limits.owed);
}

static void an_app_that_is_not_there_is_not_found(void **state)
{
    struct db *db = harness_take(admin);
    struct limits limits;
    struct err e = { 0 };
    (void)state;

    assert_int_equal(limits_read(db, "nobody", mem, &limits, &e), ERR_NOT_FOUND);
    sql("UPDATE berth.apps SET state = 'deleted' WHERE app_name = 'shop'");
    assert_int_equal(limits_read(db, "shop", mem, &limits, &e), ERR_NOT_FOUND);
    db_give(db);
    assert_int_equal(set_as("nobody", "ann", LIMIT_TASKS, 1, LIMIT_UNSEEN, &e), ERR_NOT_FOUND);
    assert_int_equal(set_as("shop", "ann", LIMIT_TASKS, 1, LIMIT_UNSEEN, &e), ERR_NOT_FOUND);

    HOLDS("(SELECT count(*) FROM berth.audit_log) = 0");
}

static void the_defaults_tell_for_how_many_apps_each_is_in_force(void **state)
{
    (void)state;
    set("shop", LIMIT_CPU_UNITS, 4096);
    set("cellar", LIMIT_PUSHES_BURST, 7);

    struct limits limits = read(NULL);

    assert_int_equal(limits.of[LIMIT_CPU_UNITS].followers, 1);
    assert_int_equal(limits.of[LIMIT_PUSHES_BURST].followers, 1);
    assert_int_equal(limits.of[LIMIT_TASKS].followers, 2);
    assert_int_equal(limits.promised_cpu_units, 4096 + 16384);
}

/* ---- Changing ---- */

static void a_change_is_in_force_and_in_the_audit_log_with_before_and_after(void **state)
{
    (void)state;
    set("shop", LIMIT_CPU_UNITS, 4096);
    set("shop", LIMIT_CPU_UNITS, 8192);

    struct limits limits = read("shop");

    assert_int_equal(limits.of[LIMIT_CPU_UNITS].own, 8192);
    assert_int_equal(limits.of[LIMIT_CPU_UNITS].in_force, 8192);
    assert_string_equal(limits.changed_by, "ann");
    assert_true(limits.now_ms - limits.changed_at_ms < 60000);
    HOLDS("(SELECT count(*) FROM berth.audit_log WHERE app_name = 'shop' AND actor = 'ann' AND action = 'limits.set') "
          "= 2");
    HOLDS("(SELECT before FROM berth.audit_log ORDER BY id LIMIT 1) = '{\"cpu_units\": \"default\"}'");
    HOLDS("(SELECT before FROM berth.audit_log ORDER BY id DESC LIMIT 1) = '{\"cpu_units\": 4096}'");
    HOLDS("(SELECT after FROM berth.audit_log ORDER BY id DESC LIMIT 1) = '{\"cpu_units\": 8192}'");
    HOLDS("(SELECT cpu_units IS NULL FROM berth.quotas WHERE app_name = 'cellar') IS NOT FALSE");
}

static void default_gives_an_app_back_to_the_default(void **state)
{
    (void)state;
    set("shop", LIMIT_TASKS, 3);
    set("shop", LIMIT_TASKS, LIMIT_DEFAULT);
    set(NULL, LIMIT_TASKS, 33);

    assert_int_equal(read("shop").of[LIMIT_TASKS].in_force, 33);
    assert_int_equal(read("shop").of[LIMIT_TASKS].own, LIMIT_DEFAULT);
    HOLDS("(SELECT count(*) FROM berth.audit_log WHERE app_name IS NULL AND action = 'limits.set') = 1");
}

static void what_is_so_already_writes_nothing(void **state)
{
    (void)state;
    set("shop", LIMIT_TASKS, 3);
    set("shop", LIMIT_TASKS, 3);
    set(NULL, LIMIT_TASKS, 20);

    HOLDS("(SELECT count(*) FROM berth.audit_log) = 1");
}

static void a_value_out_of_bounds_is_refused_with_all_the_others(void **state)
{
    const struct limit_edit edits[] = { { LIMIT_CPU_UNITS, 4096, LIMIT_UNSEEN },
                                        { LIMIT_PUSHES_BURST, 0, LIMIT_UNSEEN } };
    struct err e = { 0 };
    (void)state;

    assert_int_equal(limits_set(admin, "shop", "ann", edits, 2, mem, conflicts, &conflict_count, &e), ERR_INVALID);
    assert_int_equal(read("shop").of[LIMIT_CPU_UNITS].own, LIMIT_DEFAULT);
    assert_int_equal(set_as(NULL, "ann", LIMIT_TASKS, LIMIT_DEFAULT, LIMIT_UNSEEN, &e), ERR_INVALID);

    HOLDS("(SELECT count(*) FROM berth.audit_log) = 0");
}

static void the_second_operator_is_told_who_changed_what_and_nothing_is_written(void **state)
{
    const struct limit_edit edits[] = { { LIMIT_CPU_UNITS, 6144, LIMIT_DEFAULT }, { LIMIT_TASKS, 9, LIMIT_DEFAULT } };
    struct err e = { 0 };
    (void)state;
    set("shop", LIMIT_CPU_UNITS, 4096);

    assert_int_equal(limits_set(admin, "shop", "mara", edits, 2, mem, conflicts, &conflict_count, &e), ERR_CONFLICT);

    assert_string_equal(e.message, "CPU units of shop was the default when you looked, and is 4,096 by now");
    assert_non_null(strstr(e.hint, "ann changed it. Nothing of yours was saved"));
    assert_int_equal(conflict_count, 1);
    assert_int_equal(conflicts[0].limit, LIMIT_CPU_UNITS);
    assert_int_equal(conflicts[0].was, LIMIT_DEFAULT);
    assert_int_equal(conflicts[0].now, 4096);
    assert_string_equal(conflicts[0].by, "ann");
    assert_true(conflicts[0].at_ms > 0);
    assert_int_equal(read("shop").of[LIMIT_TASKS].own, LIMIT_DEFAULT);
    HOLDS("(SELECT count(*) FROM berth.audit_log WHERE actor = 'mara') = 0");
}

static void an_edit_that_wants_what_is_there_by_now_is_no_conflict(void **state)
{
    struct err e = { 0 };
    (void)state;
    set("shop", LIMIT_CPU_UNITS, 4096);

    assert_int_equal(set_as("shop", "mara", LIMIT_CPU_UNITS, 4096, LIMIT_DEFAULT, &e), 0);
    assert_int_equal(set_as("shop", "mara", LIMIT_CPU_UNITS, 8192, 4096, &e), 0);
}

struct saver {
    pthread_t thread;
    int64_t value;
    int code;
};

static void *save_once(void *context)
{
    struct saver *saver = context;
    const struct limit_edit edit = { LIMIT_CPU_UNITS, saver->value, LIMIT_DEFAULT };
    AUTO_ARENA struct arena *own = arena_new();
    struct limit_conflict found[LIMIT_COUNT];
    size_t count;
    struct err e = { 0 };

    saver->code = limits_set(admin, "shop", "ann", &edit, 1, own, found, &count, &e);
    return NULL;
}

static void of_8_operators_who_saw_the_same_one_saves(void **state)
{
    struct saver savers[8];
    int saved = 0;
    (void)state;

    for (int i = 0; i < 8; i++) {
        savers[i] = (struct saver){ .value = 100 + i };
        assert_int_equal(pthread_create(&savers[i].thread, NULL, save_once, &savers[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(savers[i].thread, NULL);
        saved += savers[i].code == 0;
        assert_true(savers[i].code == 0 || savers[i].code == ERR_CONFLICT);
    }

    assert_int_equal(saved, 1);
    HOLDS("(SELECT count(*) FROM berth.audit_log) = 1");
}

/* ---- Buckets ---- */

static void a_lowered_burst_clamps_what_was_spent(void **state)
{
    (void)state;
    sql("INSERT INTO berth.rate_limits (app_name, spent) VALUES ('shop', 100)");

    set("shop", LIMIT_PUSHES_BURST, 10);

    HOLDS("(SELECT spent = 10 FROM berth.rate_limits WHERE app_name = 'shop')");
    assert_int_equal(read("shop").tokens, 0);
    assert_in_range(read("shop").full_ms, 59000, 60000); /* ten at 600 an hour */
}

static void a_raised_burst_gives_its_tokens_at_once(void **state)
{
    (void)state;
    sql("INSERT INTO berth.rate_limits (app_name, pushes_burst, spent) VALUES ('shop', 10, 10)");
    assert_int_equal(read("shop").tokens, 0);

    set("shop", LIMIT_PUSHES_BURST, 30);

    assert_int_equal(read("shop").tokens, 20);
}

static void time_before_a_change_of_the_rate_counts_at_the_old_rate(void **state)
{
    (void)state;
    sql("INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour, spent, spent_at)"
        " VALUES ('shop', 100, 60, 100, now() - interval '10 minutes 30 s')");

    set("shop", LIMIT_PUSHES_PER_HOUR, 6000);

    assert_in_range(read("shop").tokens, 10, 14); /* at 6,000 an hour from the start it would be full */
}

static void a_changed_default_settles_the_buckets_that_it_rules_and_no_others(void **state)
{
    (void)state;
    sql("INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour, spent, spent_at)"
        " VALUES ('shop', NULL, NULL, 120, now() - interval '60 s'), ('cellar', 100, 60, 100, now() - interval '10 "
        "minutes')");

    set(NULL, LIMIT_PUSHES_PER_HOUR, 6);
    assert_in_range(read("shop").tokens, 9, 11);
    set(NULL, LIMIT_PUSHES_BURST, 20);

    assert_int_equal(read("shop").of[LIMIT_PUSHES_BURST].in_force, 20);
    assert_int_equal(read("shop").tokens, 0); /* 110 were spent: of 20 all are */
    HOLDS("(SELECT spent = 20 FROM berth.rate_limits WHERE app_name = 'shop')");
    HOLDS("(SELECT spent = 100 FROM berth.rate_limits WHERE app_name = 'cellar')");
    assert_in_range(read("cellar").tokens, 10, 11);
}

static void a_raise_hastens_the_look_that_is_owed_and_a_cut_does_not(void **state)
{
    (void)state;
    sql("INSERT INTO berth.looks (app_name, reason, owed_at, run_after) VALUES ('shop', 'over_quota', now(), "
        "'infinity'),"
        " ('cellar', 'limited', now(), now() + interval '1 hour')");

    set("shop", LIMIT_CPU_UNITS, 1024);
    HOLDS("(SELECT run_after = 'infinity' FROM berth.looks WHERE app_name = 'shop')");
    assert_string_equal(read("shop").owed, "over_quota");
    assert_int_equal(read("shop").owed_at_ms, 0);
    set("shop", LIMIT_CPU_UNITS, LIMIT_DEFAULT);

    HOLDS("(SELECT run_after <= now() FROM berth.looks WHERE app_name = 'shop')");
    HOLDS("(SELECT run_after > now() FROM berth.looks WHERE app_name = 'cellar')");
}

static void a_raised_default_hastens_every_look_but_those_of_paused_apps(void **state)
{
    (void)state;
    sql("INSERT INTO berth.looks (app_name, reason, owed_at, run_after) VALUES ('shop', 'over_quota', now(), "
        "'infinity'),"
        " ('cellar', 'paused', now(), 'infinity')");

    set(NULL, LIMIT_TASKS, 100);

    HOLDS("(SELECT run_after <= now() FROM berth.looks WHERE app_name = 'shop')");
    HOLDS("(SELECT run_after = 'infinity' FROM berth.looks WHERE app_name = 'cellar')");
}

struct raise {
    int code;
    struct err e;
    atomic_bool done;
};

static void *raise_default(void *context)
{
    struct raise *raise = context;
    const struct limit_edit edit = { LIMIT_TASKS, 100, LIMIT_UNSEEN };
    struct arena *own = arena_new();
    struct limit_conflict of_it[LIMIT_COUNT];
    size_t count = 0;

    raise->code = limits_set(admin, NULL, "ann", &edit, 1, own, of_it, &count, &raise->e);
    raise->done = true;
    arena_free(own);
    return NULL;
}

/* It was refused by the old default, and would wait for ever. */
static void a_push_that_is_judged_while_the_default_is_raised_is_looked_at_again(void **state)
{
    AUTO_DB struct db *push = harness_take(superuser);
    struct raise raise = { 0 };
    struct err e = { 0 };
    pthread_t thread;
    (void)state;
    sql("UPDATE berth.apps SET tasks = 50, repository_id = 1 WHERE app_name = 'shop'");
    assert_int_equal(db_begin(push, NULL, &e), 0);
    assert_int_equal(harness_run(push, NULL, QUERY_SHAPE_MANY,
                                 "SELECT outcome FROM berth.take_delivery('shop', 'd-1', 'push', NULL, sha256('1'), "
                                 "NULL, 'acme/shop', 1, 'main', repeat('a', 40), 'Title', 'mara', 'new', NULL)",
                                 &e),
                     0);

    assert_int_equal(pthread_create(&thread, NULL, raise_default, &raise), 0);
    while (!raise.done && number("SELECT count(*) AS n FROM pg_locks WHERE NOT granted") == 0)
        sched_yield();
    assert_int_equal(db_commit(push, &e), 0);
    pthread_join(thread, NULL);

    assert_int_equal(raise.code, 0);
    HOLDS("(SELECT reason = 'over_quota' AND run_after <= now() FROM berth.looks WHERE app_name = 'shop')");
}

/* ---- One table of limits ---- */

static void the_bounds_and_titles_here_are_those_of_the_database(void **state)
{
    (void)state;

    for (int i = 0; i < LIMIT_COUNT; i++) {
        const struct limit_info *info = limit_info((enum limit)i);
        struct err e = { 0 };
        for (int k = 0; k < 4; k++) {
            int64_t value = k == 0 ? info->least - 1 : k == 1 ? info->least : k == 2 ? info->most : info->most + 1;
            const char *table[] = { "default_limits", info->rate ? "rate_limits" : "quotas" };
            sql("INSERT INTO berth.quotas (app_name) VALUES ('shop') ON CONFLICT DO NOTHING;"
                "INSERT INTO berth.rate_limits (app_name) VALUES ('shop') ON CONFLICT DO NOTHING");
            for (int t = 0; t < 2; t++)
                assert_int_equal(harness_try(superuser, NULL,
                                             arena_printf(mem, "UPDATE berth.%s SET %s = %lld", table[t], info->name,
                                                          (long long)value),
                                             &e) == 0,
                                 k == 1 || k == 2);
        }
        if (!info->rate)
            assert_int_equal(
                number(arena_printf(mem, "SELECT (berth.quota_title('%s') = '%s')::int AS n", info->name, info->title)),
                1);
    }
}

static int open_all(void **state)
{
    (void)state;
    database = harness_database_new();
    superuser = harness_pool(database, HARNESS_SUPERUSER, 4);
    admin = harness_pool(database, HARNESS_ADMIN, 8);
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

#define LIMIT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    (void)argc;
    harness_server(argv);

    const struct CMUnitTest tests[] = {
        LIMIT_TEST(an_app_without_numbers_of_its_own_has_the_defaults),
        LIMIT_TEST(an_app_that_is_not_there_is_not_found),
        LIMIT_TEST(the_defaults_tell_for_how_many_apps_each_is_in_force),
        LIMIT_TEST(a_change_is_in_force_and_in_the_audit_log_with_before_and_after),
        LIMIT_TEST(default_gives_an_app_back_to_the_default),
        LIMIT_TEST(what_is_so_already_writes_nothing),
        LIMIT_TEST(a_value_out_of_bounds_is_refused_with_all_the_others),
        LIMIT_TEST(the_second_operator_is_told_who_changed_what_and_nothing_is_written),
        LIMIT_TEST(an_edit_that_wants_what_is_there_by_now_is_no_conflict),
        LIMIT_TEST(of_8_operators_who_saw_the_same_one_saves),
        LIMIT_TEST(a_lowered_burst_clamps_what_was_spent),
        LIMIT_TEST(a_raised_burst_gives_its_tokens_at_once),
        LIMIT_TEST(time_before_a_change_of_the_rate_counts_at_the_old_rate),
        LIMIT_TEST(a_changed_default_settles_the_buckets_that_it_rules_and_no_others),
        LIMIT_TEST(a_raise_hastens_the_look_that_is_owed_and_a_cut_does_not),
        LIMIT_TEST(a_raised_default_hastens_every_look_but_those_of_paused_apps),
        LIMIT_TEST(a_push_that_is_judged_while_the_default_is_raised_is_looked_at_again),
        LIMIT_TEST(the_bounds_and_titles_here_are_those_of_the_database),
    };
    return cmocka_run_group_tests_name("tenant/limit_store", tests, open_all, close_all);
}
