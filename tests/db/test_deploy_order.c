/* Latest wins, on a real Postgres: which release takes which one's place, by the order of arrival first and by the branch's head in the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/deploy/operation.h"
#include "tests/db/releases.h"

/* An operator goes back to v`to`; 0: the one that was live before. The new release's number. */
static int rollback(int to)
{
    struct err e = { 0 };
    int made = 0;

    assert_int_equal(operation_rollback(admin, "shop", "ann", &to, &made, &e), 0);
    return made;
}

/* Latest wins */

static void a_push_takes_the_place_of_those_that_are_queued(void **state)
{
    (void)state;
    push(SHA_A);
    assert_int_equal(claim(), 1);
    go_to(1, "rollout");
    push(SHA_B);

    push(SHA_C);

    STATE(1, "running");
    STATE(2, "superseded");
    STATE(3, "queued");
    HOLDS("EXISTS (SELECT FROM berth.release_events WHERE release = 2 AND kind = 'superseded'"
          " AND message = 'Superseded by v3.')");
    HOLDS("EXISTS (SELECT FROM berth.releases WHERE number = 2 AND halt_by = 3 AND finished_at IS NOT NULL)");
}

static void a_push_halts_one_that_has_not_come_to_its_rollout(void **state)
{
    static const char *const steps[] = { "source", "identity", "build", "route" };
    (void)state;

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int release = (int)i * 2 + 1;
        sql("UPDATE berth.releases SET state = 'failed', finished_at = now() WHERE state = 'running';"
            "UPDATE berth.releases SET state = 'cancelled', finished_at = now() WHERE state = 'queued'");
        push(SHA_A);
        assert_int_equal(claim(), release);
        go_to(release, steps[i]);
        sql("UPDATE berth.releases SET run_after = now() + interval '1 hour' WHERE state = 'running'");
        push(SHA_B);
        HOLDS("EXISTS (SELECT FROM berth.releases WHERE state = 'running' AND halt = 'supersede'"
              " AND halt_by = number + 1 AND run_after <= now())");
    }
}

static void one_in_its_rollout_finishes_first(void **state)
{
    (void)state;
    push(SHA_A);
    assert_int_equal(claim(), 1);
    go_to(1, "rollout");

    push(SHA_B);

    HOLDS("EXISTS (SELECT FROM berth.releases WHERE number = 1 AND state = 'running' AND halt IS NULL)");
    assert_int_equal(claim(), 0);
    go_live(1);
    assert_int_equal(claim(), 2);
}

/* The worker goes on to the next step in the very moment. */
static void a_halted_release_does_not_come_to_its_rollout(void **state)
{
    struct db_pool *workers = harness_pool(database, HARNESS_WORKER, 1);
    AUTO_ROWS struct db_rows *rows = NULL;
    struct err e = { 0 };
    (void)state;
    push(SHA_A);
    assert_int_equal(claim(), 1);
    go_to(1, "route");
    push(SHA_B);

    assert_int_equal(db_query_once(workers, "shop", QUERY_RELEASE_NEXT_STEP, &rows, &e, db_text("shop"), db_int(1),
                                   db_int(number("SELECT lease_token AS n FROM berth.releases WHERE number = 1")),
                                   db_text("rollout"), db_int(1000), db_text("route"), db_text("Done.")),
                     0);

    assert_int_equal(db_count(rows), 1);
    db_pool_free(workers);
    HOLDS("EXISTS (SELECT FROM berth.releases WHERE number = 1 AND step = 'route')");
    HOLDS("NOT EXISTS (SELECT FROM berth.release_events WHERE release = 1 AND kind = 'done')");
}

static void a_commit_may_come_back_when_its_release_was_superseded_or_cancelled(void **state)
{
    static const char *const ends[] = { "superseded", "cancelled", "failed" };
    (void)state;

    for (int i = 0; i < 3; i++) {
        push(SHA_A);
        assert_int_equal(claim(), i + 1);
        end(i + 1, ends[i]);
    }
    push_live(SHA_A, 4);
    push(SHA_A);

    assert_int_equal(number("SELECT count(*) AS n FROM berth.releases"), 4);
}

static void a_push_leaves_a_rollback_alone_and_goes_after_it(void **state)
{
    (void)state;
    push_live(SHA_A, 1);
    push_live(SHA_B, 2);
    assert_int_equal(rollback(0), 3);
    push(SHA_C);
    STATE(3, "queued");

    assert_int_equal(claim(), 3);
    push(SHA_A);

    HOLDS("EXISTS (SELECT FROM berth.releases WHERE number = 3 AND state = 'running' AND halt IS NULL)");
    STATE(4, "superseded");
    STATE(5, "queued");
}

static void expect_claim(const char *app)
{
    if (number(arena_printf(mem, "SELECT count(*) AS n FROM berth.claim('test', 60000) WHERE app_name = '%s'", app)) !=
        1)
        fail_msg("it was not the turn of %s", app);
}

/* An app that is pushed to again and again keeps its place in the queue, and takes nobody else's. */
static void an_app_that_is_pushed_to_all_the_time_starves_nobody_nor_itself(void **state)
{
    (void)state;
    sql("INSERT INTO berth.apps (app_name, repository, repository_id, webhook_policy) SELECT 'app-' || i, 'acme/app-' "
        "|| "
        "i, 10 + i, 'github' FROM generate_series(1, 5) i");
    push(SHA_A);
    for (int i = 1; i <= 5; i++)
        push_to(arena_printf(mem, "app-%d", i), SHA_A);
    push(SHA_B);
    push(SHA_C);

    expect_claim("shop");
    for (int i = 1; i <= 5; i++) {
        sql("UPDATE berth.releases SET run_after = clock_timestamp() + interval '1 hour', lease_until = NULL,"
            " lease_token = NULL WHERE app_name = 'shop' AND state = 'running' AND halt IS NULL"); /* it waits for AWS; the push ends that */
        push(i % 2 ? SHA_A : SHA_B);
        expect_claim(arena_printf(mem, "app-%d", i));
    }
    expect_claim("shop");
}

/* The branch's head decides */

static const char *follow(int release, const char *head, bool fresh)
{
    struct db_pool *workers = harness_pool(database, HARNESS_WORKER, 1);
    AUTO_ROWS struct db_rows *rows = NULL;
    struct err e = { 0 };
    char *verdict;

    int64_t token = number(arena_printf(mem, "SELECT lease_token AS n FROM berth.releases WHERE number = %d", release));
    if (db_query_once(workers, "shop", QUERY_RELEASE_FOLLOW_HEAD, &rows, &e, db_text("shop"), db_int(release),
                      db_int(token), db_text(head), db_bool(fresh)))
        fail_msg("%s", e.message);
    verdict = db_get_copy(rows, 0, "verdict", mem);
    db_pool_free(workers);
    return verdict;
}

static void the_head_s_own_release_goes_on_and_so_does_one_whose_head_nobody_has(void **state)
{
    (void)state;
    push(SHA_A);
    assert_int_equal(claim(), 1);

    assert_string_equal(follow(1, SHA_A, true), "go_on");
    assert_string_equal(follow(1, SHA_B, true), "go_on");
}

static void an_older_push_that_comes_late_gives_way_to_the_head_that_is_live(void **state)
{
    (void)state;
    push_live(SHA_B, 1);
    push(SHA_A);
    assert_int_equal(claim(), 2);
    assert_string_equal(follow(2, SHA_B, true), "wait"); /* GitHub may not show A yet */

    assert_string_equal(follow(2, SHA_B, false), "superseded");

    STATE(2, "superseded");
    HOLDS("EXISTS (SELECT FROM berth.release_events WHERE release = 2 AND kind = 'superseded'"
          " AND message = 'Superseded: the branch main is at bbbbbbb, which v1 is of.')");
    assert_int_equal(number("SELECT last_release AS n FROM berth.apps"), 2);
}

static void the_head_that_gave_way_to_a_late_older_push_is_deployed_after_all(void **state)
{
    (void)state;
    push(SHA_B);
    push(SHA_A);
    STATE(1, "superseded");
    assert_int_equal(claim(), 2);

    assert_string_equal(follow(2, SHA_B, false), "superseded");

    STATE(2, "superseded");
    HOLDS("EXISTS (SELECT FROM berth.releases WHERE number = 3 AND state = 'queued' AND commit_sha = '" SHA_B "'"
          " AND kind = 'push')");
    assert_int_equal(claim(), 3);
    assert_string_equal(follow(3, SHA_B, true), "go_on");
}

/* It is one release more than was asked for, so it is none that a quota does not know of. */
static void the_head_that_is_brought_back_needs_room_as_any_release_does(void **state)
{
    (void)state;
    push(SHA_B);
    push(SHA_A);
    assert_int_equal(claim(), 2);
    sql("INSERT INTO berth.quotas (app_name, releases_per_hour) VALUES ('shop', 2)");

    assert_string_equal(follow(2, SHA_B, false), "superseded");

    STATE(2, "superseded");
    HOLDS("(SELECT count(*) FROM berth.releases) = 2");
    HOLDS("(SELECT reason = 'over_quota' AND run_after > now() + interval '59 minutes' FROM berth.looks)");
    HOLDS(
        "EXISTS (SELECT FROM berth.release_events WHERE release = 2 AND kind = 'superseded' AND message LIKE '%a quota "
        "keeps it from being deployed again: Releases an hour: 2 of 2 in use.')");
}

static void a_head_whose_place_an_operator_took_is_not_brought_back(void **state)
{
    (void)state;
    push_live(SHA_A, 1);
    push_live(SHA_C, 2);
    push(SHA_B);
    assert_int_equal(rollback(1), 4);
    STATE(3, "superseded");
    assert_int_equal(claim(), 4);
    go_live(4);
    push("dddddddddddddddddddddddddddddddddddddddd");
    assert_int_equal(claim(), 5);

    assert_string_equal(follow(5, SHA_B, false), "superseded");

    assert_int_equal(number("SELECT last_release AS n FROM berth.apps"), 5);
}

static void a_head_that_failed_stops_nobody(void **state)
{
    (void)state;
    push(SHA_B);
    assert_int_equal(claim(), 1);
    end(1, "failed");
    push(SHA_A);
    assert_int_equal(claim(), 2);

    assert_string_equal(follow(2, SHA_B, false), "go_on");
}

static void a_branch_that_is_gone_ends_its_release(void **state)
{
    (void)state;
    push(SHA_A);
    assert_int_equal(claim(), 1);
    assert_string_equal(follow(1, NULL, true), "wait");

    assert_string_equal(follow(1, NULL, false), "superseded");

    HOLDS("EXISTS (SELECT FROM berth.release_events WHERE kind = 'superseded'"
          " AND message = 'Superseded: the branch main is gone from acme/shop.')");
}

static void who_lost_the_lease_decides_nothing(void **state)
{
    struct db_pool *workers = harness_pool(database, HARNESS_WORKER, 1);
    AUTO_ROWS struct db_rows *rows = NULL;
    struct err e = { 0 };
    (void)state;
    push_live(SHA_B, 1);
    push(SHA_A);
    assert_int_equal(claim(), 2);

    assert_int_equal(db_query_once(workers, "shop", QUERY_RELEASE_FOLLOW_HEAD, &rows, &e, db_text("shop"), db_int(2),
                                   db_int(1), db_text(SHA_B), db_bool(false)),
                     0);

    assert_string_equal(db_get(rows, 0, "verdict"), "lost");
    db_pool_free(workers);
    STATE(2, "running");
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_push_takes_the_place_of_those_that_are_queued),
        TEST(a_push_halts_one_that_has_not_come_to_its_rollout),
        TEST(one_in_its_rollout_finishes_first),
        TEST(a_halted_release_does_not_come_to_its_rollout),
        TEST(a_commit_may_come_back_when_its_release_was_superseded_or_cancelled),
        TEST(a_push_leaves_a_rollback_alone_and_goes_after_it),
        TEST(an_app_that_is_pushed_to_all_the_time_starves_nobody_nor_itself),
        TEST(the_head_s_own_release_goes_on_and_so_does_one_whose_head_nobody_has),
        TEST(an_older_push_that_comes_late_gives_way_to_the_head_that_is_live),
        TEST(the_head_that_gave_way_to_a_late_older_push_is_deployed_after_all),
        TEST(the_head_that_is_brought_back_needs_room_as_any_release_does),
        TEST(a_head_whose_place_an_operator_took_is_not_brought_back),
        TEST(a_head_that_failed_stops_nobody),
        TEST(a_branch_that_is_gone_ends_its_release),
        TEST(who_lost_the_lease_decides_nothing),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, open_all, close_all);
}
