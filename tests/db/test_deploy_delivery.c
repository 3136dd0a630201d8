/* Deliveries on a real Postgres: their list page by page, running one again by today's rules, and how long they are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/deploy/delivery.h"
#include "tests/db/releases.h"

static struct db_pool *worker;
static const struct settings kept = { .delivery_body_days = 30, .delivery_days = 90 };

static int open_worker(void **state)
{
    open_all(state);
    worker = harness_pool(database, HARNESS_WORKER, 2);
    return 0;
}

static int close_worker(void **state)
{
    db_pool_free(worker);
    return close_all(state);
}

/* A push of main as GitHub words it, stored as it came to outcome. */
static void store(const char *id, const char *sha, const char *outcome, const char *age)
{
    sql(arena_printf(mem,
                     "INSERT INTO berth.deliveries (app_name, delivery_id, event, outcome, reason, body_sha256, body,"
                     " branch, commit_sha, commit_title, pushed_by, received_at)"
                     " SELECT 'shop', '%s', 'push', '%s', 'as it was', sha256(b::bytea), b::bytea, 'main', '%s',"
                     " 'Title', 'mara', now() - interval '%s' FROM (SELECT '{\"ref\":\"refs/heads/main\","
                     "\"before\":\"%s\",\"after\":\"%s\",\"deleted\":false,\"forced\":false,\"created\":false,"
                     "\"repository\":{\"id\":1,\"full_name\":\"acme/shop\"},\"pusher\":{\"name\":\"mara\"},"
                     "\"head_commit\":{\"id\":\"%s\",\"message\":\"Title\",\"added\":[],\"removed\":[],"
                     "\"modified\":[\"docs/a.md\"]},\"commits\":[{\"id\":\"%s\",\"message\":\"Title\",\"added\":[],"
                     "\"removed\":[],\"modified\":[\"docs/a.md\"]}]}' AS b) made",
                     id, outcome, sha, age, SHA_C, sha, sha, sha));
}

static struct delivery_rerun run(const char *id)
{
    struct delivery_rerun rerun = { 0 };
    struct err e = { 0 };

    if (delivery_run_again(admin, "shop", id, "ines", mem, &rerun, &e))
        fail_msg("%s (%s)", e.message, e.detail);
    return rerun;
}

/* Failures */

static void an_unknown_delivery_says_where_to_look(void **state)
{
    struct delivery_rerun rerun = { 0 };
    struct err e = { 0 };
    (void)state;

    assert_int_equal(delivery_run_again(admin, "shop", "nowhere", "ines", mem, &rerun, &e), ERR_NOT_FOUND);

    assert_non_null(strstr(e.message, "nowhere"));
    assert_non_null(strstr(e.hint, "Recent Deliveries"));
    HOLDS("NOT EXISTS (SELECT FROM berth.audit_log WHERE action = 'delivery.run_again')");
}

static void an_app_that_is_being_deleted_runs_nothing_again(void **state)
{
    struct delivery_rerun rerun = { 0 };
    struct err e = { 0 };
    (void)state;
    store("d-x", SHA_A, "limited", "1 minute");
    sql("UPDATE berth.apps SET state = 'deleting' WHERE app_name = 'shop'");

    assert_int_equal(delivery_run_again(admin, "shop", "d-x", "ines", mem, &rerun, &e), ERR_CONFLICT);

    HOLDS("NOT EXISTS (SELECT FROM berth.releases)");
}

static void a_destroyed_app_runs_nothing_again_and_says_how_it_is_made_anew(void **state)
{
    struct delivery_rerun rerun = { 0 };
    struct err e = { 0 };
    (void)state;
    store("d-x", SHA_A, "limited", "1 minute");
    sql("UPDATE berth.apps SET state = 'deleted' WHERE app_name = 'shop'");

    assert_int_equal(delivery_run_again(admin, "shop", "d-x", "ines", mem, &rerun, &e), ERR_CONFLICT);

    assert_non_null(strstr(e.message, "shop was destroyed"));
    assert_non_null(strstr(e.hint, "berth apps create shop"));
    HOLDS("NOT EXISTS (SELECT FROM berth.releases)");
}

static void a_delivery_of_another_repository_is_refused(void **state)
{
    struct delivery_rerun rerun = { 0 };
    struct err e = { 0 };
    (void)state;
    store("d-x", SHA_A, "limited", "1 minute");
    sql("UPDATE berth.apps SET repository_id = 8 WHERE app_name = 'shop'");

    assert_int_equal(delivery_run_again(admin, "shop", "d-x", "ines", mem, &rerun, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "acme/shop"));
    HOLDS("NOT EXISTS (SELECT FROM berth.releases)");
}

static void a_place_that_is_none_is_refused(void **state)
{
    struct delivery_list list;
    struct delivery_page page = { .after = "17", .limit = 10 };
    struct err e = { 0 };
    AUTO_DB struct db *db = harness_take(admin);
    (void)state;

    assert_int_equal(delivery_list(db, &page, mem, &list, &e), ERR_INVALID);
}

static void a_delivery_of_another_app_is_not_found_and_not_listed(void **state)
{
    struct delivery_entry entry;
    struct delivery_list list;
    struct delivery_page page = { .app = "other", .limit = 10 };
    struct delivery_rerun rerun = { 0 };
    struct err e = { 0 }, of_run = { 0 };
    AUTO_DB struct db *db = harness_take(admin);
    (void)state;
    store("d-x", SHA_A, "limited", "1 minute");
    sql("INSERT INTO berth.apps (app_name, repository, repository_id, webhook_policy) VALUES ('other', 'acme/other', "
        "2, "
        "'github')");

    assert_int_equal(delivery_get(db, "other", "d-x", mem, &entry, &e), ERR_NOT_FOUND);
    assert_int_equal(delivery_run_again(admin, "other", "d-x", "ines", mem, &rerun, &of_run), ERR_NOT_FOUND);
    e = (struct err){ 0 };
    assert_int_equal(delivery_list(db, &page, mem, &list, &e), 0);

    assert_int_equal(list.count, 0);
    HOLDS("NOT EXISTS (SELECT FROM berth.releases)");
}

/* Running again */

static void a_limited_push_that_is_run_again_becomes_a_release_with_its_audit_row(void **state)
{
    (void)state;
    store("d-x", SHA_A, "limited", "1 minute");

    struct delivery_rerun rerun = run("d-x");

    assert_false(rerun.looked);
    assert_int_equal(rerun.outcome, DELIVERY_ACCEPTED);
    assert_int_equal(rerun.release, 1);
    HOLDS("EXISTS (SELECT FROM berth.releases WHERE number = 1 AND commit_sha = '" SHA_A "' AND delivery_id = 'd-x')");
    HOLDS("(SELECT actor = 'ines' AND app_name = 'shop' AND before->>'outcome' = 'limited' AND after->>'outcome' = "
          "'accepted' FROM berth.audit_log WHERE action = 'delivery.run_again')");
    HOLDS("EXISTS (SELECT FROM berth.deliveries WHERE delivery_id = 'd-x' AND outcome = 'accepted' AND release = 1)");
}

static void it_is_judged_by_the_path_filter_of_today(void **state)
{
    (void)state;
    store("d-x", SHA_A, "accepted", "1 minute");
    sql("UPDATE berth.apps SET path_filter = 'src/**' WHERE app_name = 'shop'");

    struct delivery_rerun rerun = run("d-x");

    assert_int_equal(rerun.outcome, DELIVERY_IGNORED);
    assert_int_equal(rerun.release, 0);
    HOLDS("NOT EXISTS (SELECT FROM berth.releases)");
}

static void it_is_judged_by_the_quota_of_today(void **state)
{
    (void)state;
    store("d-x", SHA_A, "accepted", "1 minute");
    sql("INSERT INTO berth.quotas (app_name, releases_per_hour) VALUES ('shop', 0)");

    struct delivery_rerun rerun = run("d-x");

    assert_int_equal(rerun.outcome, DELIVERY_OVER_QUOTA);
    assert_non_null(rerun.reason);
    HOLDS("NOT EXISTS (SELECT FROM berth.releases)");
}

static void it_is_judged_by_the_rate_limit_of_today_and_spends_a_token_of_it(void **state)
{
    (void)state;
    store("d-x", SHA_A, "limited", "2 minutes");
    store("d-y", SHA_B, "limited", "1 minute");
    sql("INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour) VALUES ('shop', 1, 1)");

    struct delivery_rerun first = run("d-x");
    struct delivery_rerun second = run("d-y");

    assert_int_equal(first.outcome, DELIVERY_ACCEPTED);
    assert_int_equal(second.outcome, DELIVERY_LIMITED);
    HOLDS("(SELECT count(*) = 1 FROM berth.releases)");
    HOLDS("EXISTS (SELECT FROM berth.looks WHERE app_name = 'shop' AND reason = 'limited')");
}

static void without_what_github_sent_the_branch_is_looked_at(void **state)
{
    (void)state;
    store("d-x", SHA_A, "limited", "40 days");
    sql("UPDATE berth.deliveries SET body = NULL");

    struct delivery_rerun rerun = run("d-x");

    assert_true(rerun.looked);
    HOLDS("EXISTS (SELECT FROM berth.looks WHERE app_name = 'shop' AND reason = 'asked' AND run_after <= now())");
    HOLDS("EXISTS (SELECT FROM berth.audit_log WHERE action = 'delivery.run_again')");
}

/* The list */

static void pages_are_complete_though_all_came_at_one_time(void **state)
{
    struct delivery_list list = { 0 };
    struct delivery_page page = { .app = "shop", .limit = 3 };
    struct err e = { 0 };
    AUTO_DB struct db *db = harness_take(admin);
    int seen = 0;
    (void)state;
    for (int i = 0; i < 8; i++)
        store(arena_printf(mem, "d-%02d", i), SHA_A, "ignored", "1 minute");
    sql("UPDATE berth.deliveries SET received_at = '2026-03-01T10:00:00Z'");

    do {
        assert_int_equal(delivery_list(db, &page, mem, &list, &e), 0);
        for (size_t i = 0; i < list.count; i++)
            assert_string_equal(list.entries[i].id, arena_printf(mem, "d-%02d", 7 - seen++));
        page.after = list.more;
    } while (list.more);

    assert_int_equal(seen, 8);
}

static void a_search_finds_by_title_whatever_the_case_and_takes_no_pattern(void **state)
{
    struct delivery_list list = { 0 };
    struct delivery_page page = { .search = "tITLE", .limit = 10 };
    struct err e = { 0 };
    AUTO_DB struct db *db = harness_take(admin);
    (void)state;
    store("d-x", SHA_A, "ignored", "1 minute");

    assert_int_equal(delivery_list(db, &page, mem, &list, &e), 0);
    assert_int_equal(list.count, 1);
    page.search = "T%e";
    assert_int_equal(delivery_list(db, &page, mem, &list, &e), 0);
    assert_int_equal(list.count, 0);
}

static void the_day_is_counted_by_outcome(void **state)
{
    struct delivery_counts counts;
    struct err e = { 0 };
    AUTO_DB struct db *db = harness_take(admin);
    (void)state;
    store("d-1", SHA_A, "limited", "1 hour");
    store("d-2", SHA_A, "limited", "23 hours");
    store("d-3", SHA_A, "ignored", "25 hours");

    assert_int_equal(delivery_count(db, NULL, &counts, &e), 0);

    assert_int_equal(counts.all, 2);
    assert_int_equal(counts.of[DELIVERY_LIMITED], 2);
    assert_false(counts.capped);
}

/* That many, a second apart. */
static void store_many(int count, const char *outcome)
{
    sql(arena_printf(mem,
                     "INSERT INTO berth.deliveries (app_name, delivery_id, event, outcome, reason, body_sha256, body, "
                     "received_at) SELECT 'shop', '%s-' || i, 'push', '%s', 'r', sha256('b'), 'b', now() - i * "
                     "interval '1 second' FROM generate_series(1, %d) i",
                     outcome, outcome, count));
}

static void a_day_of_more_than_the_window_is_counted_so_far_and_says_so(void **state)
{
    struct delivery_counts counts;
    struct err e = { 0 };
    AUTO_DB struct db *db = harness_take(admin);
    (void)state;
    store_many(DELIVERY_WINDOW + 1, "ignored");

    assert_int_equal(delivery_count(db, "shop", &counts, &e), 0);

    assert_true(counts.capped);
    assert_int_equal(counts.all, DELIVERY_WINDOW);
}

static void a_search_past_the_window_goes_on_where_it_stopped(void **state)
{
    struct delivery_list list = { 0 };
    struct delivery_page page = { .search = "d-x", .limit = 10 };
    struct err e = { 0 };
    AUTO_DB struct db *db = harness_take(admin);
    (void)state;
    store("d-x", SHA_A, "ignored", "10 hours");
    store_many(DELIVERY_WINDOW, "ignored");

    assert_int_equal(delivery_list(db, &page, mem, &list, &e), 0);
    assert_int_equal(list.count, 0);
    assert_non_null(list.more);
    page.after = list.more;
    assert_int_equal(delivery_list(db, &page, mem, &list, &e), 0);

    assert_int_equal(list.count, 1);
    assert_string_equal(list.entries[0].id, "d-x");
    assert_null(list.more);
}

/* Keeping */

static void what_is_too_much_for_one_batch_goes_in_several(void **state)
{
    struct err e = { 0 };
    bool more = true;
    int batches = 0;
    (void)state;
    store_many(2500, "ignored");
    sql("UPDATE berth.deliveries SET received_at = received_at - interval '91 days'");

    for (; more && batches < 10; batches++)
        assert_int_equal(delivery_expire(worker, &kept, &more, &e), 0);

    assert_true(batches > 1 && batches < 10);
    HOLDS("NOT EXISTS (SELECT FROM berth.deliveries)");
}

static void what_github_sent_goes_first_and_the_delivery_later(void **state)
{
    struct err e = { 0 };
    bool more = true;
    (void)state;
    store("d-new", SHA_A, "ignored", "29 days");
    store("d-old", SHA_A, "ignored", "31 days");
    store("d-gone", SHA_A, "ignored", "91 days");

    assert_int_equal(delivery_expire(worker, &kept, &more, &e), 0);

    assert_false(more);
    HOLDS("(SELECT body IS NOT NULL FROM berth.deliveries WHERE delivery_id = 'd-new')");
    HOLDS("(SELECT body IS NULL FROM berth.deliveries WHERE delivery_id = 'd-old')");
    HOLDS("NOT EXISTS (SELECT FROM berth.deliveries WHERE delivery_id = 'd-gone')");
}

int main(int argc, char **argv)
{
    (void)argc;
    harness_server(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_unknown_delivery_says_where_to_look, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_app_that_is_being_deleted_runs_nothing_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_delivery_of_another_repository_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_place_that_is_none_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_delivery_of_another_app_is_not_found_and_not_listed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_limited_push_that_is_run_again_becomes_a_release_with_its_audit_row, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(it_is_judged_by_the_path_filter_of_today, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_judged_by_the_quota_of_today, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_what_github_sent_the_branch_is_looked_at, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pages_are_complete_though_all_came_at_one_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_search_finds_by_title_whatever_the_case_and_takes_no_pattern, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_day_is_counted_by_outcome, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_destroyed_app_runs_nothing_again_and_says_how_it_is_made_anew, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(it_is_judged_by_the_rate_limit_of_today_and_spends_a_token_of_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_day_of_more_than_the_window_is_counted_so_far_and_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_search_past_the_window_goes_on_where_it_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_too_much_for_one_batch_goes_in_several, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_github_sent_goes_first_and_the_delivery_later, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, open_worker, close_worker);
}
