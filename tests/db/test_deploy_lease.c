/* A step under its lease: nothing is sent once it may have run out, and what was sent without an answer is never taken for refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/db/step_harness.h"

#define FOREVER INT64_C(1000000000)

static struct step_harness harness;

/* A clock whose monotonic time is what a test says; at the nth reading the worker freezes for `frozen_ms`, and `meanwhile` happens. */
static struct {
    int readings, freezes_at;
    int64_t now_ms, frozen_ms;
    const char *meanwhile;
} time_of;

static int64_t fake_monotonic_ms(void *context)
{
    (void)context;
    if (++time_of.readings == time_of.freezes_at) {
        time_of.now_ms += time_of.frozen_ms;
        if (time_of.meanwhile)
            step_sql(&harness, time_of.meanwhile);
    }
    return time_of.now_ms;
}

static int64_t real_now_ms(void *context)
{
    (void)context;
    return clock_now_ms(&clock_system);
}

static void no_sleep(void *context, int64_t length)
{
    (void)context, (void)length;
}

static const struct clock fake_time = { .now_ms = real_now_ms,
                                        .monotonic_ms = fake_monotonic_ms,
                                        .sleep_ms = no_sleep };

static int set_up(void **state)
{
    (void)state;
    step_open(&harness);
    memset(&time_of, 0, sizeof time_of);
    harness.run.clock = &fake_time;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    step_close(&harness);
    return 0;
}

static int stop_a_build(struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "id", "b-1");

    *e = (struct err){ 0 };
    return step_call(&harness.run, &CODEBUILD, "StopBuild", "b-1", ask, NULL, e);
}

/* Each call is asked under this many tries; the harness gives one. */
static void give_tries(int tries)
{
    struct aws_options options = {
        .region = "eu-central-1", .transport = fake_http(harness.fake), .clock = &fake_time, .tries = tries
    };
    struct err e = { 0 };

    aws_free(harness.aws);
    assert_int_equal(aws_new(&options, &harness.aws, &e), 0);
    harness.run.aws = harness.aws;
}

static bool is_open(void)
{
    struct err e = { 0 };
    bool open = false;

    assert_int_equal(step_left_open(&harness.run, "codebuild:StopBuild", "b-1", 0, &open, &e), 0);
    return open;
}

static void a_worker_that_froze_after_its_intent_and_lost_the_release_sends_nothing(void **state)
{
    struct err e;
    (void)state;
    time_of.freezes_at = 2; /* 1: as the intent is asked for; 2: as the call is about to be sent */
    time_of.frozen_ms = harness.run.lease.length_ms + 1;
    time_of.meanwhile = "UPDATE berth.releases SET lease_token = 99, lease_until = now() + interval '1 hour'";

    assert_int_equal(stop_a_build(&e), ERR_CONFLICT);

    assert_int_equal(fake_count(harness.fake), 0);
    assert_string_equal(e.detail, LEASE_LOST);
    assert_non_null(strstr(e.message, "another worker has taken over release v1 of shop"));
}

static void a_worker_that_froze_and_still_has_the_release_renews_and_goes_on(void **state)
{
    struct err e;
    (void)state;
    step_expect(&harness, "StopBuild", "b-1", "{}");
    time_of.freezes_at = 2;
    time_of.frozen_ms = harness.run.lease.length_ms + 1;
    time_of.meanwhile = "UPDATE berth.releases SET lease_until = now() - interval '1 second'";

    assert_int_equal(stop_a_build(&e), 0);

    assert_true(step_holds(&harness, "(SELECT lease_until > now() FROM berth.releases)"));
    assert_false(is_open());
}

static void a_lease_that_always_runs_out_meanwhile_is_not_renewed_for_ever(void **state)
{
    struct err e;
    (void)state;
    harness.run.lease.length_ms = -1; /* over as soon as it is there */

    assert_int_equal(stop_a_build(&e), ERR_CONFLICT);

    assert_int_equal(fake_count(harness.fake), 0);
    assert_non_null(strstr(e.message, "runs out faster than it is renewed"));
    harness.run.lease.length_ms = 60000;
}

static void a_lease_that_outlasts_the_call_is_not_renewed_again(void **state)
{
    struct err e;
    (void)state;
    step_expect(&harness, "StopBuild", "b-1", "{}");
    time_of.freezes_at = 2;
    time_of.frozen_ms = harness.run.lease.length_ms - AWS_CALL_TIMEOUT_MS;

    assert_int_equal(stop_a_build(&e), 0);

    assert_int_equal(time_of.readings, 2); /* a renewal would have read the time once more */
}

static int look_at_a_build(struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:[s]}", "ids", "b-1");

    *e = (struct err){ 0 };
    return step_read(&harness.run, &CODEBUILD, "BatchGetBuilds", ask, NULL, e);
}

static void a_worker_that_only_looks_keeps_its_lease(void **state)
{
    struct err e;
    (void)state;
    step_expect(&harness, "BatchGetBuilds", "b-1", "{}");
    step_sql(&harness, "UPDATE berth.releases SET lease_until = now() + interval '1 second'");
    harness.run.lease.ends_ms = harness.run.lease.length_ms / 3 * 2 - 1;

    assert_int_equal(look_at_a_build(&e), 0);

    assert_true(step_holds(&harness, "(SELECT lease_until > now() + interval '10 seconds' FROM berth.releases)"));
    assert_int_equal(harness.run.lease.ends_ms, harness.run.lease.length_ms);
}

static void a_lease_with_two_thirds_of_its_time_left_is_not_renewed_for_a_look(void **state)
{
    struct err e;
    (void)state;
    step_expect(&harness, "BatchGetBuilds", "b-1", "{}");
    step_sql(&harness, "UPDATE berth.releases SET lease_until = now() + interval '1 second'");
    harness.run.lease.ends_ms = harness.run.lease.length_ms / 3 * 2;

    assert_int_equal(look_at_a_build(&e), 0);

    assert_true(step_holds(&harness, "(SELECT lease_until < now() + interval '10 seconds' FROM berth.releases)"));
}

static void a_worker_that_lost_the_release_does_not_go_on_looking(void **state)
{
    struct err e;
    (void)state;
    step_sql(&harness, "UPDATE berth.releases SET lease_token = 99, lease_until = now() + interval '1 hour'");
    harness.run.lease.ends_ms = 0;

    assert_int_equal(look_at_a_build(&e), ERR_CONFLICT);

    assert_int_equal(fake_count(harness.fake), 0);
    assert_string_equal(e.detail, LEASE_LOST);
}

static void a_refusal_after_a_lost_answer_is_no_answer_to_the_first_try(void **state)
{
    struct err e;
    (void)state;
    give_tries(2);
    step_lose(&harness, "StopBuild", "b-1");
    step_refuse(&harness, "StopBuild", "b-1", "InvalidInputException", "no");

    assert_int_equal(stop_a_build(&e), ERR_INVALID);

    assert_true(is_open());
}

static void a_refusal_of_the_only_try_is_an_answer(void **state)
{
    struct err e;
    (void)state;
    step_refuse(&harness, "StopBuild", "b-1", "InvalidInputException", "no");

    assert_int_equal(stop_a_build(&e), ERR_INVALID);

    assert_false(is_open());
}

static void a_lease_lost_between_two_tries_leaves_the_first_open(void **state)
{
    struct err e;
    (void)state;
    give_tries(2);
    step_lose(&harness, "StopBuild", "b-1");
    /* 1: intent, 2: first try, further: aws' own; from the fourth on the worker is long asleep. */
    time_of.freezes_at = 4;
    time_of.frozen_ms = FOREVER;
    time_of.meanwhile = "UPDATE berth.releases SET lease_token = 99";

    assert_int_equal(stop_a_build(&e), ERR_CONFLICT);

    assert_int_equal(fake_count(harness.fake), 1);
    assert_true(is_open());
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_worker_that_froze_after_its_intent_and_lost_the_release_sends_nothing),
        TEST(a_worker_that_froze_and_still_has_the_release_renews_and_goes_on),
        TEST(a_lease_that_always_runs_out_meanwhile_is_not_renewed_for_ever),
        TEST(a_lease_that_outlasts_the_call_is_not_renewed_again),
        TEST(a_worker_that_only_looks_keeps_its_lease),
        TEST(a_lease_with_two_thirds_of_its_time_left_is_not_renewed_for_a_look),
        TEST(a_worker_that_lost_the_release_does_not_go_on_looking),
        TEST(a_refusal_after_a_lost_answer_is_no_answer_to_the_first_try),
        TEST(a_refusal_of_the_only_try_is_an_answer),
        TEST(a_lease_lost_between_two_tries_leaves_the_first_open),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
