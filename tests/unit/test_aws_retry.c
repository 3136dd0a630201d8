/* What is tried again, how often, and after how long. */
#include "core/aws/aws.h"
#include "core/base/log.h"
#include "tests/unit/aws_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define THROTTLED "{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}"

static void answer(struct aws_fixture *f, int status, const char *headers, const char *body)
{
    fake_expect(f->fake, "POST", NULL, NULL);
    fake_reply(f->fake, status, headers, body);
}

static void an_error_that_wont_change_is_asked_once(void **state)
{
    struct aws_fixture *f = *state;
    answer(f, 400, NULL, "{\"__type\":\"InvalidParameterException\",\"message\":\"no\"}");

    assert_int_equal(aws_fixture_call(f, &ECS, "DescribeServices"), ERR_INVALID);

    fake_done(f->fake);
    assert_int_equal(f->time.sleeps, 0);
}

static void a_throttled_call_is_given_up_after_three_tries_and_says_so(void **state)
{
    struct aws_fixture *f = *state;
    for (int i = 0; i < AWS_TRIES_MAX; i++)
        answer(f, 400, "x-amzn-requestid: r-9", THROTTLED);

    assert_int_equal(aws_fixture_call(f, &ECS, "DescribeServices"), ERR_THROTTLED);

    fake_done(f->fake);
    assert_int_equal(f->time.sleeps, AWS_TRIES_MAX - 1);
    assert_string_equal(f->e.detail, "ThrottlingException");
    assert_non_null(strstr(f->e.message, "3 tries"));
    assert_non_null(strstr(f->e.message, "r-9"));
}

static void a_call_that_recovers_is_a_success(void **state)
{
    struct aws_fixture *f = *state;
    answer(f, 500, NULL, "");
    fake_expect(f->fake, "POST", NULL, NULL);
    fake_fail(f->fake, ERR_TRANSIENT, "CURLE_RECV_ERROR");
    answer(f, 200, NULL, "{}");

    assert_int_equal(aws_fixture_call(f, &ECS, "DescribeServices"), 0);

    fake_done(f->fake);
}

static void a_broken_trust_of_the_peer_is_not_tried_again(void **state)
{
    struct aws_fixture *f = *state;
    fake_expect(f->fake, "POST", NULL, NULL);
    fake_fail(f->fake, ERR_INVALID, "CURLE_PEER_FAILED_VERIFICATION");

    assert_int_equal(aws_fixture_call(f, &ECS, "DescribeServices"), ERR_INVALID);

    fake_done(f->fake);
    assert_non_null(strstr(f->e.message, "ecs DescribeServices"));
}

static void waits_grow_and_stay_below_their_bound(void **state)
{
    struct aws_fixture *f = *state;
    int64_t most[2] = { 0, 0 };

    for (int round = 0; round < 40; round++) {
        f->time.sleeps = 0;
        answer(f, 503, NULL, "");
        answer(f, 503, NULL, "");
        answer(f, 200, NULL, "{}");
        assert_int_equal(aws_fixture_call(f, &ECS, "X"), 0);
        for (int i = 0; i < 2; i++)
            most[i] = f->time.slept_ms[i] > most[i] ? f->time.slept_ms[i] : most[i];
    }

    assert_in_range(most[0], 500, 1000);
    assert_in_range(most[1], 1001, 2000);
}

static void aws_may_ask_for_a_longer_wait_within_bounds(void **state)
{
    struct aws_fixture *f = *state;
    static const struct {
        const char *headers;
        int64_t least, most;
    } cases[] = {
        { "x-amz-retry-after: 1500", 1500, 1500 },
        { "x-amz-retry-after: 999999999", 5000, 6000 },
        { "x-amz-retry-after: 0", 0, 1000 },
        { "x-amz-retry-after: soon", 0, 1000 },
        { "retry-after: 3", 3000, 3000 },
        { "retry-after: 86400", AWS_BACKOFF_MAX_MS, AWS_BACKOFF_MAX_MS },
        { "retry-after: Mon, 23 Nov 2026 10:00:00 GMT", 0, 1000 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f->time.sleeps = 0;
        answer(f, 503, cases[i].headers, "");
        answer(f, 200, NULL, "{}");
        assert_int_equal(aws_fixture_call(f, &ECS, "X"), 0);
        assert_in_range(f->time.slept_ms[0], cases[i].least, cases[i].most);
    }
}

static void a_process_that_keeps_failing_stops_trying_again(void **state)
{
    struct aws_fixture *f = *state;

    for (int call = 0; call < 50; call++) { /* 2 retries of 5 tokens each: 500 tokens */
        for (int i = 0; i < AWS_TRIES_MAX; i++)
            answer(f, 503, NULL, "");
        assert_int_equal(aws_fixture_call(f, &ECS, "X"), ERR_TRANSIENT);
    }
    answer(f, 503, NULL, "");
    assert_int_equal(aws_fixture_call(f, &ECS, "X"), ERR_TRANSIENT);

    fake_done(f->fake);
}

static void timeouts_cost_twice_as_much(void **state)
{
    struct aws_fixture *f = *state;

    for (int call = 0; call < 25; call++) {
        for (int i = 0; i < AWS_TRIES_MAX; i++) {
            fake_expect(f->fake, "POST", NULL, NULL);
            fake_fail(f->fake, ERR_TRANSIENT, "CURLE_OPERATION_TIMEDOUT");
        }
        assert_int_equal(aws_fixture_call(f, &ECS, "X"), ERR_TRANSIENT);
    }
    answer(f, 503, NULL, "");
    assert_int_equal(aws_fixture_call(f, &ECS, "X"), ERR_TRANSIENT);

    fake_done(f->fake);
}

static void successes_give_retries_back(void **state)
{
    struct aws_fixture *f = *state;
    for (int call = 0; call < 50; call++) {
        for (int i = 0; i < AWS_TRIES_MAX; i++)
            answer(f, 503, NULL, "");
        aws_fixture_call(f, &ECS, "X");
    }

    for (int i = 0; i < 5; i++) {
        answer(f, 200, NULL, "{}");
        assert_int_equal(aws_fixture_call(f, &ECS, "X"), 0);
    }
    answer(f, 503, NULL, "");
    answer(f, 200, NULL, "{}");

    assert_int_equal(aws_fixture_call(f, &ECS, "X"), 0);
    fake_done(f->fake);
}

static void a_skewed_clock_is_corrected_once_and_for_all_calls(void **state)
{
    struct aws_fixture *f = *state;
    answer(f, 403, "date: Mon, 23 Nov 2026 10:00:00 GMT",
           "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired: 20261123T090000Z is now earlier "
           "than\"}");
    answer(f, 200, NULL, "{}");
    answer(f, 200, NULL, "{}");

    assert_int_equal(aws_fixture_call(f, &ECS, "X"), 0);
    assert_int_equal(aws_fixture_call(f, &ECS, "X"), 0);

    fake_done(f->fake);
    assert_string_equal(fake_header(f->fake, 0, "x-amz-date"), "20261123T090000Z");
    assert_string_equal(fake_header(f->fake, 1, "x-amz-date"), "20261123T100000Z");
    assert_string_equal(fake_header(f->fake, 2, "x-amz-date"), "20261123T100000Z");
    assert_int_equal(f->time.sleeps, 0);
}

static void a_clock_that_is_still_refused_is_a_persons_affair(void **state)
{
    struct aws_fixture *f = *state;
    answer(f, 403, "date: Mon, 23 Nov 2026 10:00:00 GMT", "{\"__type\":\"RequestTimeTooSkewed\"}");
    answer(f, 403, "date: Mon, 23 Nov 2026 12:00:00 GMT", "{\"__type\":\"RequestTimeTooSkewed\"}");

    assert_int_equal(aws_fixture_call(f, &ECS, "X"), ERR_DENIED);

    fake_done(f->fake);
    assert_non_null(strstr(f->e.hint, "clock"));
}

static void an_hour_passes(void *context, const char *service, const char *operation, int status)
{
    struct aws_fixture *f = context;
    (void)service, (void)operation;

    if (status == 403)
        f->time.now_ms += 3600 * 1000;
}

/* As when the machine sleeps, or another thread has corrected the clock meanwhile: by now the clock is right. */
static void a_request_that_was_late_is_signed_anew_though_the_clock_is_right(void **state)
{
    struct aws_fixture *f = *state;
    answer(f, 403, "date: Mon, 23 Nov 2026 10:00:00 GMT", "{\"__type\":\"InvalidSignatureException\"}");
    answer(f, 200, NULL, "{}");
    aws_observe(f->aws, an_hour_passes, f);

    assert_int_equal(aws_fixture_call(f, &ECS, "X"), 0);

    fake_done(f->fake);
    assert_string_equal(fake_header(f->fake, 1, "x-amz-date"), "20261123T100000Z");
}

static void a_wrong_secret_is_not_mistaken_for_a_skewed_clock(void **state)
{
    struct aws_fixture *f = *state;
    answer(f, 403, "date: Mon, 23 Nov 2026 09:01:00 GMT",
           "{\"__type\":\"InvalidSignatureException\",\"message\":\"no match\"}");

    assert_int_equal(aws_fixture_call(f, &ECS, "X"), ERR_DENIED);

    fake_done(f->fake);
    assert_non_null(strstr(f->e.hint, "AWS_SECRET_ACCESS_KEY"));
}

struct seen {
    int calls;
    int statuses[4];
};

static void see(void *context, const char *service, const char *operation, int status)
{
    struct seen *seen = context;

    assert_string_equal(service, "ecs");
    assert_string_equal(operation, "X");
    seen->statuses[seen->calls++] = status;
}

static void an_observer_sees_each_request_with_its_status(void **state)
{
    struct aws_fixture *f = *state;
    struct seen seen = { 0 };
    fake_expect(f->fake, "POST", NULL, NULL);
    fake_fail(f->fake, ERR_TRANSIENT, "CURLE_RECV_ERROR");
    answer(f, 503, NULL, "");
    answer(f, 200, NULL, "{}");
    aws_observe(f->aws, see, &seen);

    assert_int_equal(aws_fixture_call(f, &ECS, "X"), 0);

    assert_int_equal(seen.calls, 3);
    assert_int_equal(seen.statuses[0], 0);
    assert_int_equal(seen.statuses[1], 503);
    assert_int_equal(seen.statuses[2], 200);
}

static void the_log_has_the_call_and_none_of_its_parameters(void **state)
{
    struct aws_fixture *f = *state;
    AUTO_JSON json_object *ask = json_build("{s:s}", "SecretString", "hunter2");
    char text[2048] = { 0 };
    int ends[2];
    answer(f, 200, "x-amzn-requestid: r-1", "{\"SecretString\":\"hunter2\"}");
    assert_int_equal(pipe(ends), 0);
    log_setup(LOG_DEBUG, LOG_LOGFMT);
    log_to(ends[1]);

    int failure = aws_call(f->aws, &SECRETSMANAGER, "PutSecretValue", ask, NULL, &f->e);

    log_setup(LOG_INFO, LOG_LOGFMT);
    log_to(STDERR_FILENO);
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    close(ends[0]);
    assert_int_equal(failure, 0);
    assert_non_null(strstr(text, "operation=PutSecretValue"));
    assert_non_null(strstr(text, "r-1"));
    assert_null(strstr(text, "hunter2"));
    assert_null(strstr(text, AWS_FIXTURE_SECRET));
}

enum { THREADS = 8, CALLS_EACH = 20 };

static void *call_often(void *context)
{
    struct aws_fixture *f = context;
    intptr_t failures = 0;

    for (int i = 0; i < CALLS_EACH; i++) {
        struct err e;
        if (aws_call(f->aws, &ECS, "X", NULL, NULL, &e))
            failures++;
    }
    return (void *)failures;
}

static void many_threads_share_one_client(void **state)
{
    struct aws_fixture *f = *state;
    pthread_t threads[THREADS];
    void *failures;
    for (int i = 0; i < THREADS * CALLS_EACH; i++)
        answer(f, 200, NULL, "{}");

    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, f), 0);

    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &failures);
        assert_null(failures);
    }
    fake_done(f->fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AWS_TEST(an_error_that_wont_change_is_asked_once),
        AWS_TEST(a_throttled_call_is_given_up_after_three_tries_and_says_so),
        AWS_TEST(a_broken_trust_of_the_peer_is_not_tried_again),
        AWS_TEST(a_process_that_keeps_failing_stops_trying_again),
        AWS_TEST(timeouts_cost_twice_as_much),
        AWS_TEST(a_clock_that_is_still_refused_is_a_persons_affair),
        AWS_TEST(a_wrong_secret_is_not_mistaken_for_a_skewed_clock),
        AWS_TEST(a_call_that_recovers_is_a_success),
        AWS_TEST(waits_grow_and_stay_below_their_bound),
        AWS_TEST(aws_may_ask_for_a_longer_wait_within_bounds),
        AWS_TEST(successes_give_retries_back),
        AWS_TEST(a_skewed_clock_is_corrected_once_and_for_all_calls),
        AWS_TEST(a_request_that_was_late_is_signed_anew_though_the_clock_is_right),
        AWS_TEST(an_observer_sees_each_request_with_its_status),
        AWS_TEST(the_log_has_the_call_and_none_of_its_parameters),
        AWS_TEST(many_threads_share_one_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
