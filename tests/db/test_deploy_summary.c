/* The overview's order, its pages and its counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/deploy/summary.h"
#include "tests/db/harness.h"

struct fixture {
    struct harness_database *database;
    struct db_pool *super, *admin;
    struct arena *mem;
};

static void make_app(struct fixture *f, const char *name, const char *state)
{
    AUTO_BUF struct buf sql = { 0 };

    buf_printf(&sql,
               "INSERT INTO berth.apps (app_name, repository, webhook_policy, state, created_at) VALUES ('%s', 'a/b', "
               "'github', '%s', '2026-01-01Z')",
               name, state);
    harness_do(f->super, buf_text(&sql));
}

/* Made `age_s` seconds before a fixed moment; it ended, where it did, then too. */
static void make_release(struct fixture *f, const char *app, int number, const char *state, int age_s)
{
    bool ended = strcmp(state, "running") != 0 && strcmp(state, "queued") != 0;
    AUTO_BUF struct buf sql = { 0 };

    buf_printf(&sql,
               "INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, created_at, finished_at) "
               "SELECT '%s', %d, 'push', '%s', 'build', repeat('a', 40), t, CASE WHEN %s THEN t END "
               "FROM (SELECT timestamptz '2026-06-15Z' - interval '%d s' AS t) at",
               app, number, state, ended ? "true" : "false", age_s);
    buf_printf(&sql, "; UPDATE berth.apps SET last_release = %d WHERE app_name = '%s' AND last_release < %d", number,
               app, number);
    harness_do(f->super, buf_text(&sql));
}

static void make_live(struct fixture *f, const char *app, int release)
{
    AUTO_BUF struct buf sql = { 0 };

    buf_printf(&sql,
               "INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host) "
               "VALUES ('%s', %d, "
               "repeat('a', 40), 'sha256:0', 'arn', '%s.example.org')",
               app, release, app);
    harness_do(f->super, buf_text(&sql));
}

/* "failed-old failed-new ..." */
static const char *names(struct fixture *f, const struct summary_page *page, struct app_summary **out, size_t *count)
{
    AUTO_BUF struct buf names = { 0 };
    AUTO_DB struct db *db = harness_take(f->admin);
    struct err e = { 0 };

    if (app_summaries(db, page, f->mem, out, count, &e))
        fail_msg("%s", e.message);
    for (size_t i = 0; i < *count; i++)
        buf_printf(&names, "%s%s", i ? " " : "", (*out)[i].app);
    return arena_copy(f->mem, buf_text(&names));
}

static struct app_summary *one(struct fixture *f, const char *app)
{
    struct summary_page page = { .by_name = true, .limit = 500 };
    struct app_summary *all = NULL;
    size_t count = 0;

    names(f, &page, &all, &count);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(all[i].app, app))
            return &all[i];
    fail_msg("%s is not listed", app);
    return NULL;
}

static void make_one_of_each(struct fixture *f)
{
    make_app(f, "a-live-old", "active");
    make_release(f, "a-live-old", 1, "live", 900);
    make_live(f, "a-live-old", 1);
    make_app(f, "b-live-new", "active");
    make_release(f, "b-live-new", 1, "live", 10);
    make_live(f, "b-live-new", 1);
    make_app(f, "c-paused", "paused");
    make_release(f, "c-paused", 1, "failed", 5);
    make_app(f, "d-queued", "active");
    make_release(f, "d-queued", 1, "queued", 5);
    make_app(f, "e-moving", "active");
    make_release(f, "e-moving", 1, "running", 50);
    make_release(f, "e-moving", 2, "queued", 5);
    make_app(f, "f-failed-old", "active");
    make_release(f, "f-failed-old", 1, "failed", 500);
    make_app(f, "g-failed-new", "active");
    make_release(f, "g-failed-new", 1, "live", 700);
    make_live(f, "g-failed-new", 1);
    make_release(f, "g-failed-new", 2, "failed", 400);
    make_app(f, "h-none", "active");
}

static void who_needs_an_operator_comes_first(void **state)
{
    struct fixture *f = *state;
    struct summary_page page = { .limit = 100 };
    struct app_summary *all = NULL;
    size_t count = 0;
    make_one_of_each(f);

    const char *order = names(f, &page, &all, &count);

    assert_string_equal(order, "g-failed-new f-failed-old e-moving d-queued c-paused b-live-new a-live-old h-none");
}

static void by_name_is_by_name(void **state)
{
    struct fixture *f = *state;
    struct summary_page page = { .by_name = true, .limit = 3, .after_app = "c-paused" };
    struct app_summary *all = NULL;
    size_t count = 0;
    make_one_of_each(f);

    assert_string_equal(names(f, &page, &all, &count), "d-queued e-moving f-failed-old");
}

static void an_app_with_a_release_on_its_way_is_moving_though_a_newer_one_waits(void **state)
{
    struct fixture *f = *state;
    make_one_of_each(f);

    struct app_summary *moving = one(f, "e-moving");

    assert_int_equal(moving->condition, APP_MOVING);
    assert_int_equal(moving->moving_release, 1);
    assert_string_equal(moving->moving_step, "build");
    assert_int_equal(moving->newest_release, 2);
}

static void what_is_not_there_is_null_or_0(void **state)
{
    struct fixture *f = *state;
    make_app(f, "bare", "active");
    make_app(f, "gone", "active");
    make_release(f, "gone", 1, "cancelled", 5);

    struct app_summary *bare = one(f, "bare");
    struct app_summary *gone = one(f, "gone");

    assert_int_equal(bare->condition, APP_NONE);
    assert_int_equal(bare->live_release, 0);
    assert_int_equal(bare->newest_release, 0);
    assert_null(bare->live_commit);
    assert_null(bare->newest_at);
    assert_null(bare->last);
    assert_int_equal(gone->condition, APP_NONE);
    assert_string_equal(gone->last, "[{\"number\" : 1, \"state\" : \"cancelled\", \"kind\" : \"push\"}]");
}

static void the_last_ten_are_the_newest_ten_oldest_first(void **state)
{
    struct fixture *f = *state;
    make_app(f, "shop", "active");
    for (int i = 1; i <= 12; i++)
        make_release(f, "shop", i, "failed", 100 - i);

    const char *last = one(f, "shop")->last;

    assert_non_null(strstr(last, "[{\"number\" : 3,"));
    assert_non_null(strstr(last, "{\"number\" : 12, \"state\" : \"failed\", \"kind\" : \"push\"}]"));
}

/* Each page begins after the last row of the one before; *pages: how many had rows. */
static const char *page_through(struct fixture *f, int limit, int *pages)
{
    AUTO_BUF struct buf seen = { 0 };
    struct summary_page page = { .limit = limit };
    struct app_summary *all = NULL;
    size_t count = 1;

    for (*pages = 0;; (*pages)++) {
        const char *some = names(f, &page, &all, &count);
        if (count == 0)
            return arena_copy(f->mem, buf_text(&seen));
        buf_printf(&seen, "%s%s", *pages ? " " : "", some);
        page.after_app = all[count - 1].app;
        page.after_rank = all[count - 1].rank;
        page.after_changed = all[count - 1].changed;
    }
}

static void pages_join_to_the_whole_without_a_gap_or_a_repeat(void **state)
{
    struct fixture *f = *state;
    struct summary_page whole_page = { .limit = 1000 };
    struct app_summary *all = NULL;
    size_t count = 0;
    int pages = 0;
    make_one_of_each(f);
    /* Many that changed at the same moment: only the name tells them apart. */
    harness_do(f->super, "INSERT INTO berth.apps (app_name, repository, webhook_policy, created_at) "
                         "SELECT 'same' || i, 'a/b', 'github', '2026-01-01Z' FROM generate_series(1, 30) i");
    const char *whole = names(f, &whole_page, &all, &count);

    for (int limit = 1; limit <= 40; limit++)
        assert_string_equal(page_through(f, limit, &pages), whole);

    assert_int_equal(count, 38);
    assert_int_equal(pages, 1);
}

static void a_row_that_moves_to_the_front_meanwhile_takes_no_other_row_along(void **state)
{
    struct fixture *f = *state;
    struct summary_page page = { .limit = 4 };
    struct app_summary *all = NULL;
    size_t count = 0;
    make_one_of_each(f);
    assert_string_equal(names(f, &page, &all, &count), "g-failed-new f-failed-old e-moving d-queued");
    page.after_app = all[3].app;
    page.after_rank = all[3].rank;
    page.after_changed = all[3].changed;

    /* The very row that the second page begins after, and one that it would have shown. */
    harness_do(f->super,
               "UPDATE berth.releases SET state = 'failed', finished_at = '2026-06-16Z' WHERE app_name = 'd-queued'");
    make_release(f, "b-live-new", 2, "failed", 1);

    assert_string_equal(names(f, &page, &all, &count), "c-paused a-live-old h-none");
}

static void one_condition_is_listed_alone(void **state)
{
    struct fixture *f = *state;
    enum app_condition failed = APP_FAILED;
    struct summary_page page = { .only = &failed, .limit = 100 };
    struct app_summary *all = NULL;
    size_t count = 0;
    make_one_of_each(f);

    assert_string_equal(names(f, &page, &all, &count), "g-failed-new f-failed-old");
}

static void the_counts_are_what_the_lists_hold(void **state)
{
    struct fixture *f = *state;
    struct app_counts counts = { 0 };
    struct err e = { 0 };
    int64_t sum = 0;
    make_one_of_each(f);

    struct db *db = harness_take(f->admin);
    struct summary_page none = { .limit = 0 };
    struct app_summary *rows = NULL;
    size_t shown = 0;
    assert_int_equal(app_overview(db, &none, f->mem, &rows, &shown, &counts, &e), 0);
    db_give(db);

    for (int i = 0; i < APP_CONDITION_COUNT; i++) {
        enum app_condition condition = (enum app_condition)i;
        struct summary_page page = { .only = &condition, .limit = 100 };
        struct app_summary *all = NULL;
        size_t count = 0;
        names(f, &page, &all, &count);
        assert_int_equal(counts.of[i], count);
        sum += (int64_t)count;
    }
    assert_int_equal(counts.all, sum);
    assert_int_equal(counts.of[APP_FAILED], 2);
    assert_int_equal(shown, 0);
}

/* ---- Quotas ---- */

static void make_size(struct fixture *f, const char *app, int release, int cpu_units, int tasks)
{
    AUTO_BUF struct buf sql = { 0 };

    buf_printf(&sql,
               "UPDATE berth.releases SET cpu_units = %d, memory_mib = %d, tasks = %d WHERE app_name = '%s' AND "
               "number = %d; UPDATE berth.deployments SET release = release WHERE app_name = '%s'",
               cpu_units, cpu_units * 2, tasks, app, release, app);
    harness_do(f->super, buf_text(&sql));
}

static void a_rollout_counts_beside_what_is_live_as_admission_counts_it(void **state)
{
    struct fixture *f = *state;
    make_app(f, "shop", "active");
    make_release(f, "shop", 1, "live", 50);
    make_live(f, "shop", 1);
    make_release(f, "shop", 2, "running", 5);
    make_size(f, "shop", 1, 512, 2);
    make_size(f, "shop", 2, 1024, 3);

    struct app_use building = one(f, "shop")->cpu_units;
    harness_do(f->super, "UPDATE berth.releases SET step = 'rollout' WHERE number = 2");
    struct app_use rolling = one(f, "shop")->cpu_units;
    struct app_use memory = one(f, "shop")->memory_mib;

    assert_int_equal(building.used, 1024);
    assert_int_equal(building.rolling, 0);
    assert_int_equal(rolling.used, 1024 + 3072);
    assert_int_equal(rolling.rolling, 3072);
    assert_int_equal(memory.used, 2048 + 6144);
    assert_int_equal(
        rolling.used,
        harness_number(f->super, NULL, "SELECT used AS n FROM berth.quota_use('shop') WHERE quota = 'cpu_units'"));
    assert_int_equal(
        memory.used,
        harness_number(f->super, NULL, "SELECT used AS n FROM berth.quota_use('shop') WHERE quota = 'memory_mib'"));
}

static void a_push_that_a_quota_refused_makes_the_app_over_quota_whatever_else_it_does(void **state)
{
    struct fixture *f = *state;
    make_one_of_each(f);
    harness_do(f->super,
               "INSERT INTO berth.looks (app_name, reason, owed_at, run_after) VALUES "
               "('b-live-new', 'over_quota', '2026-06-15Z', 'infinity'), ('e-moving', 'over_quota', '2026-06-16Z', "
               "'infinity'), ('a-live-old', 'limited', now(), now()), ('c-paused', 'over_quota', now(), 'infinity')");
    enum app_condition over = APP_OVER_QUOTA;
    struct summary_page page = { .only = &over, .limit = 100 };
    struct app_summary *all = NULL;
    size_t count = 0;

    assert_string_equal(names(f, &page, &all, &count), "e-moving b-live-new");
    assert_string_equal(all[0].refused_at, "2026-06-16T00:00:00Z");
    assert_int_equal(one(f, "a-live-old")->condition, APP_LIVE);
    assert_int_equal(one(f, "c-paused")->condition, APP_PAUSED);
}

static void an_app_that_uses_more_than_its_quota_is_over_it_and_one_at_its_limit_is_not(void **state)
{
    struct fixture *f = *state;
    make_one_of_each(f);
    make_size(f, "a-live-old", 1, 1024, 2);
    make_size(f, "b-live-new", 1, 1024, 2);
    harness_do(f->super,
               "INSERT INTO berth.quotas (app_name, cpu_units) VALUES ('a-live-old', 2047), ('b-live-new', 2048)");

    assert_int_equal(one(f, "a-live-old")->condition, APP_OVER_QUOTA);
    assert_int_equal(one(f, "b-live-new")->condition, APP_LIVE);
    assert_int_equal(one(f, "b-live-new")->cpu_units.limit, 2048);
}

/* ---- Searching ---- */

static void a_search_finds_names_repositories_hosts_and_the_live_commits_beginning(void **state)
{
    static const char *const asked[][2] = {
        { "LIVE-n", "b-live-new" },
        { "b-live-new.EXAMPLE", "b-live-new" },
        { "moving", "e-moving" },
        { "bbbb", "" },
        { "cccc", "a-live-old" },
        { "%", "" },
        { "_", "" },
        { "nothing", "" },
    };
    struct fixture *f = *state;
    make_one_of_each(f);
    harness_do(f->super, "UPDATE berth.deployments SET commit_sha = repeat('c', 40) WHERE app_name = 'a-live-old'");

    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct summary_page page = { .limit = 100, .search = asked[i][0] };
        struct app_summary *all = NULL;
        size_t count = 0;
        assert_string_equal(names(f, &page, &all, &count), asked[i][1]);
    }
}

static void the_counts_are_of_what_the_search_finds(void **state)
{
    struct fixture *f = *state;
    struct summary_page page = { .limit = 1, .search = "live" };
    struct app_counts counts = { 0 };
    struct app_summary *all = NULL;
    size_t count = 0;
    struct err e = { 0 };
    make_one_of_each(f);

    struct db *db = harness_take(f->admin);
    assert_int_equal(app_overview(db, &page, f->mem, &all, &count, &counts, &e), 0);
    db_give(db);

    assert_int_equal(counts.all, 2);
    assert_int_equal(counts.of[APP_LIVE], 2);
    assert_int_equal(counts.of[APP_FAILED], 0);
    assert_int_equal(count, 1);
}

static void times_out_of_any_range_break_no_list(void **state)
{
    struct fixture *f = *state;
    make_app(f, "odd", "active");
    make_release(f, "odd", 1, "failed", 5);

    harness_do(f->super, "UPDATE berth.releases SET finished_at = 'infinity', created_at = '-infinity'");

    assert_null(one(f, "odd")->newest_at);
    struct summary_page page = { .limit = 10 };
    struct app_summary *all = NULL;
    size_t count = 0;
    assert_string_equal(names(f, &page, &all, &count), "odd");
    harness_do(f->super, "UPDATE berth.releases SET finished_at = '0001-01-01 BC', created_at = '294275-01-01'");
    assert_string_equal(names(f, &page, &all, &count), "odd");
}

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){ .database = harness_database_new(), .mem = arena_new() };
    f.super = harness_pool(f.database, HARNESS_SUPERUSER, 1);
    f.admin = harness_pool(f.database, HARNESS_ADMIN, 1);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    db_pool_free(f->super);
    db_pool_free(f->admin);
    harness_database_free(f->database);
    arena_free(f->mem);
    return 0;
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EACH(who_needs_an_operator_comes_first),
        EACH(by_name_is_by_name),
        EACH(an_app_with_a_release_on_its_way_is_moving_though_a_newer_one_waits),
        EACH(what_is_not_there_is_null_or_0),
        EACH(the_last_ten_are_the_newest_ten_oldest_first),
        EACH(pages_join_to_the_whole_without_a_gap_or_a_repeat),
        EACH(a_row_that_moves_to_the_front_meanwhile_takes_no_other_row_along),
        EACH(one_condition_is_listed_alone),
        EACH(the_counts_are_what_the_lists_hold),
        EACH(a_rollout_counts_beside_what_is_live_as_admission_counts_it),
        EACH(a_push_that_a_quota_refused_makes_the_app_over_quota_whatever_else_it_does),
        EACH(an_app_that_uses_more_than_its_quota_is_over_it_and_one_at_its_limit_is_not),
        EACH(a_search_finds_names_repositories_hosts_and_the_live_commits_beginning),
        EACH(the_counts_are_of_what_the_search_finds),
        EACH(times_out_of_any_range_break_no_list),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
