/* What waits for AWS is asked about together: the number of calls follows what waits, and one worker asks at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/base/buf.h"
#include "core/deploy/poller.h"
#include "tests/db/step_harness.h"

static struct step_harness harness;

static int set_up(void **state)
{
    (void)state;
    step_open(&harness);
    step_sql(&harness, "UPDATE berth.releases SET state = 'queued', lease_token = NULL, lease_until = NULL");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    step_close(&harness);
    return 0;
}

/* So many apps, a-1 and on, each with a release that waits since age_s. */
static void add_waiting(int count, const char *kind, int age_s)
{
    step_sql(&harness,
             arena_printf(harness.mem,
                          "INSERT INTO berth.apps (app_name, repository, webhook_policy)"
                          " SELECT 'a-' || i, 'acme/a', 'github' FROM generate_series(1, %d) i;"
                          "INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, build_id,"
                          " ecs_deployment_id, waits_for, poll_after, run_after, step_started_at)"
                          " SELECT 'a-' || i, 1, 'push', 'running', 'build', repeat('a', 40), 'berth-a-' || i || ':1',"
                          " 'ecs-svc/' || i, '%s', now(), now() + interval '1 minute', now() - interval '%d seconds'"
                          " FROM generate_series(1, %d) i",
                          count, kind, age_s, count));
}

static const char *builds(int from, int to, int finished)
{
    struct buf AUTO_BUF text = { 0 };

    buf_add_text(&text, "{\"builds\":[");
    for (int i = from; i <= to; i++)
        buf_printf(&text, "%s{\"id\":\"berth-a-%d:1\",\"buildStatus\":\"%s\"}", i > from ? "," : "", i,
                   i == finished ? "SUCCEEDED" : "IN_PROGRESS");
    buf_add_text(&text, "]}");
    return arena_copy(harness.mem, buf_text(&text));
}

static int poll_once(const char *holder, int64_t *next_ms, struct err *e)
{
    const struct poller poller = {
        .db = harness.pool, .aws = harness.aws, .settings = &harness.settings, .holder = holder
    };

    return poller_round(&poller, next_ms, e);
}

static int64_t poll_as(const char *holder)
{
    struct err e = { 0 };
    int64_t next_ms = -1;

    if (poll_once(holder, &next_ms, &e))
        fail_msg("%s", e.message);
    return next_ms;
}

static void refuse_to_poll(enum err_code wanted)
{
    struct err e = { 0 };
    int64_t next_ms = -1;

    assert_int_equal(poll_once("a", &next_ms, &e), wanted);
}

static void nothing_is_asked_when_nothing_waits(void **state)
{
    (void)state;

    assert_int_equal(poll_as("a"), POLL_LOOK_MS);

    assert_int_equal(fake_count(harness.fake), 0);
}

static void only_one_worker_asks_at_a_time(void **state)
{
    (void)state;
    add_waiting(3, "build", 10);
    step_expect(&harness, "BatchGetBuilds", NULL, builds(1, 3, 0));

    poll_as("a");
    step_sql(&harness, "UPDATE berth.releases SET poll_after = now() WHERE waits_for IS NOT NULL");
    poll_as("b");

    assert_int_equal(fake_count(harness.fake), 1);
}

static void another_worker_asks_when_the_first_is_gone(void **state)
{
    (void)state;
    add_waiting(3, "build", 10);
    step_sql(&harness, "INSERT INTO berth.poll_leases VALUES ('build', 'dead', now() - interval '1 second')");
    step_expect(&harness, "BatchGetBuilds", NULL, builds(1, 3, 0));

    poll_as("b");

    assert_true(step_holds(&harness, "(SELECT holder = 'b' FROM berth.poll_leases)"));
}

static void a_build_that_codebuild_does_not_show_wakes_its_release(void **state)
{
    (void)state;
    add_waiting(2, "build", 10);
    step_expect(&harness, "BatchGetBuilds", NULL, builds(1, 1, 0));

    poll_as("a");

    assert_true(step_holds(
        &harness, "(SELECT run_after <= now() AND waits_for IS NULL FROM berth.releases WHERE app_name = 'a-2')"));
}

static void sixty_builds_are_one_call(void **state)
{
    (void)state;
    add_waiting(60, "build", 10);
    step_expect(&harness, "BatchGetBuilds", "berth-a-60:1", builds(1, 60, 0));

    poll_as("a");

    assert_true(step_holds(
        &harness, "(SELECT count(*) = 60 FROM berth.releases WHERE waits_for = 'build' AND run_after > now())"));
}

static void a_call_is_filled_up_with_those_that_come_next(void **state)
{
    (void)state;
    add_waiting(90, "build", 80);
    step_sql(&harness, "UPDATE berth.releases SET poll_after = now() + interval '5 seconds' WHERE waits_for IS NOT "
                       "NULL AND app_name <> 'a-7'");
    step_expect(&harness, "BatchGetBuilds", "berth-a-90:1", builds(1, 90, 0));

    poll_as("a");

    assert_true(step_holds(
        &harness,
        "(SELECT min(poll_after) > now() + interval '9 seconds' FROM berth.releases WHERE waits_for IS NOT NULL)"));
}

static void a_hundred_and_one_builds_are_two_calls(void **state)
{
    (void)state;
    add_waiting(101, "build", 10);
    step_expect(&harness, "BatchGetBuilds", NULL, builds(1, 101, 0));
    step_expect(&harness, "BatchGetBuilds", NULL, builds(1, 101, 0));

    poll_as("a");
}

static void twenty_five_services_are_three_calls(void **state)
{
    struct buf AUTO_BUF text = { 0 };
    (void)state;
    add_waiting(25, "service", 10);
    buf_add_text(&text, "{\"services\":[");
    for (int i = 1; i <= 25; i++)
        buf_printf(&text,
                   "%s{\"serviceName\":\"berth-a-%d\",\"deployments\":[{\"id\":\"ecs-svc/%d\",\"status\":\"PRIMARY\","
                   "\"rolloutState\":\"IN_PROGRESS\"}]}",
                   i > 1 ? "," : "", i, i);
    buf_add_text(&text, "]}");
    for (int i = 0; i < 3; i++)
        step_expect(&harness, "DescribeServices", "berth-a-", buf_text(&text));

    poll_as("a");

    assert_true(step_holds(&harness, "(SELECT count(*) = 25 FROM berth.releases WHERE waits_for = 'service')"));
}

static void news_wakes_the_release_that_waits_for_it_and_no_other(void **state)
{
    (void)state;
    add_waiting(60, "build", 10);
    step_expect(&harness, "BatchGetBuilds", NULL, builds(1, 60, 17));

    poll_as("a");

    assert_true(step_holds(
        &harness, "(SELECT run_after <= now() AND waits_for IS NULL FROM berth.releases WHERE app_name = 'a-17')"));
    assert_true(step_holds(
        &harness, "(SELECT count(*) = 59 FROM berth.releases WHERE waits_for = 'build' AND run_after > now())"));
}

static void a_deployment_that_is_no_longer_the_primary_wakes_its_release(void **state)
{
    (void)state;
    add_waiting(1, "service", 10);
    step_expect(&harness, "DescribeServices", NULL,
                "{\"services\":[{\"serviceName\":\"berth-a-1\",\"deployments\":[{\"id\":\"ecs-svc/other\",\"status\":"
                "\"PRIMARY\",\"rolloutState\":\"IN_PROGRESS\"}]}]}");

    poll_as("a");

    assert_true(step_holds(&harness, "(SELECT waits_for IS NULL FROM berth.releases WHERE app_name = 'a-1')"));
}

static void what_is_young_is_asked_about_sooner_than_what_is_old(void **state)
{
    static const struct {
        int age_s;
        const char *least, *most;
    } rows[] = { { 2, "0.5 seconds", "1.1 seconds" },
                 { 40, "4 seconds", "6 seconds" },
                 { 3000, "14 seconds", "16 seconds" } };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        add_waiting(1, "build", rows[i].age_s);
        step_expect(&harness, "BatchGetBuilds", NULL, builds(1, 1, 0));

        poll_as("a");

        assert_true(
            step_holds(&harness, arena_printf(harness.mem,
                                              "(SELECT poll_after - now() BETWEEN interval '%s' AND interval '%s'"
                                              " FROM berth.releases WHERE app_name = 'a-1')",
                                              rows[i].least, rows[i].most)));
        step_sql(&harness,
                 "DELETE FROM berth.releases WHERE app_name = 'a-1'; DELETE FROM berth.apps WHERE app_name = 'a-1'");
    }
}

static void a_release_that_is_asked_about_looks_by_itself_only_by_its_deadline(void **state)
{
    (void)state;
    add_waiting(3, "build", 10);
    step_sql(&harness, "UPDATE berth.releases SET run_after = now() + interval '2 seconds', look_by = now() + interval "
                       "'1 hour' WHERE app_name = 'a-1';"
                       "UPDATE berth.releases SET run_after = now() + interval '2 seconds', look_by = now() + interval "
                       "'5 seconds' WHERE app_name = 'a-2';"
                       "UPDATE berth.releases SET run_after = now() - interval '1 second', look_by = now() + interval "
                       "'1 hour' WHERE app_name = 'a-3'");
    step_expect(&harness, "BatchGetBuilds", NULL, builds(1, 3, 0));

    poll_as("a");

    assert_true(step_holds(
        &harness, "(SELECT run_after > now() + interval '50 seconds' FROM berth.releases WHERE app_name = 'a-1')"));
    assert_true(step_holds(
        &harness, "(SELECT run_after < now() + interval '6 seconds' FROM berth.releases WHERE app_name = 'a-2')"));
    assert_true(step_holds(
        &harness, "(SELECT run_after < now() FROM berth.releases WHERE app_name = 'a-3')")); /* told to run: a cancel */
}

static void releases_that_may_not_be_asked_about_look_by_themselves_at_once(void **state)
{
    (void)state;
    add_waiting(3, "build", 10);
    step_refuse(&harness, "BatchGetBuilds", NULL, "AccessDeniedException", "not authorized");

    refuse_to_poll(ERR_DENIED);

    assert_true(step_holds(&harness, "(SELECT count(*) = 3 FROM berth.releases WHERE waits_for IS NULL AND build_id IS "
                                     "NOT NULL AND run_after <= now())"));
}

static void while_aws_is_in_trouble_one_release_a_round_looks_by_itself(void **state)
{
    (void)state;
    add_waiting(5, "build", 10);
    step_refuse(&harness, "BatchGetBuilds", NULL, "ThrottlingException", "Rate exceeded");

    refuse_to_poll(ERR_THROTTLED);

    assert_true(step_holds(&harness, "(SELECT count(*) = 1 FROM berth.releases WHERE waits_for IS NULL AND build_id IS "
                                     "NOT NULL AND run_after <= now())"));
    assert_true(step_holds(&harness, "(SELECT count(*) = 4 FROM berth.releases WHERE waits_for = 'build')"));
}

static void services_are_asked_about_though_builds_are_not(void **state)
{
    (void)state;
    add_waiting(2, "build", 10);
    step_sql(&harness, "UPDATE berth.releases SET waits_for = 'service' WHERE app_name = 'a-2'");
    step_refuse(&harness, "BatchGetBuilds", NULL, "AccessDeniedException", "not authorized");
    step_expect(&harness, "DescribeServices", "berth-a-2", "{\"services\":[]}");

    refuse_to_poll(ERR_DENIED);

    assert_true(step_holds(&harness, "(SELECT waits_for IS NULL FROM berth.releases WHERE app_name = 'a-2')"));
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_asked_when_nothing_waits),
        TEST(only_one_worker_asks_at_a_time),
        TEST(another_worker_asks_when_the_first_is_gone),
        TEST(a_build_that_codebuild_does_not_show_wakes_its_release),
        TEST(sixty_builds_are_one_call),
        TEST(a_call_is_filled_up_with_those_that_come_next),
        TEST(a_hundred_and_one_builds_are_two_calls),
        TEST(twenty_five_services_are_three_calls),
        TEST(news_wakes_the_release_that_waits_for_it_and_no_other),
        TEST(a_deployment_that_is_no_longer_the_primary_wakes_its_release),
        TEST(a_release_that_is_asked_about_looks_by_itself_only_by_its_deadline),
        TEST(releases_that_may_not_be_asked_about_look_by_themselves_at_once),
        TEST(while_aws_is_in_trouble_one_release_a_round_looks_by_itself),
        TEST(services_are_asked_about_though_builds_are_not),
        TEST(what_is_young_is_asked_about_sooner_than_what_is_old),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
