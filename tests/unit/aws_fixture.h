/*
 * aws_fixture - a struct aws over a scripted transport and a clock that stands still, with credentials of nobody.
 */
#ifndef BERTH_TESTS_AWS_FIXTURE_H
#define BERTH_TESTS_AWS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/aws/aws.h"
#include "tests/unit/support_clock.h"
#include "tests/unit/support_transport.h"

/* 2026-11-23T09:00:00Z */
#define AWS_FIXTURE_NOW INT64_C(1795424400000)
#define AWS_FIXTURE_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define AWS_FIXTURE_TOKEN "IQoJb3JpZ2luX2VjEXAMPLETOKEN=="

struct aws_fixture {
    struct fake_transport *fake;
    struct fake_clock time;
    struct clock clock;
    struct aws *aws;
    struct arena *mem;
    struct err e;
};

static inline void aws_fixture_environment(void)
{
    static const char *const unset[] = { "AWS_REGION",       "AWS_DEFAULT_REGION",   "AWS_SESSION_TOKEN",
                                         "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECS", "AWS_ENDPOINT_URL_S3" };

    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++)
        unsetenv(unset[i]);
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", AWS_FIXTURE_SECRET, 1);
    setenv("AWS_SESSION_TOKEN", AWS_FIXTURE_TOKEN, 1);
}

static inline int aws_fixture_open(struct aws_fixture *f, const char *region)
{
    struct aws_options options = { .region = region, .transport = fake_http(f->fake), .clock = &f->clock };

    aws_free(f->aws);
    f->aws = NULL;
    return aws_new(&options, &f->aws, &f->e);
}

static inline int aws_fixture_start(void **state)
{
    struct aws_fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    aws_fixture_environment();
    f->fake = fake_new();
    f->time.now_ms = AWS_FIXTURE_NOW;
    f->clock = fake_clock_of(&f->time);
    f->mem = arena_new();
    assert_int_equal(aws_fixture_open(f, "eu-west-1"), 0);
    *state = f;
    return 0;
}

static inline int aws_fixture_stop(void **state)
{
    struct aws_fixture *f = *state;

    aws_free(f->aws);
    fake_free(f->fake);
    arena_free(f->mem);
    free(f);
    return 0;
}

/* A call without parameters, whose reply is dropped. */
static inline int aws_fixture_call(struct aws_fixture *f, const struct aws_service *service, const char *operation)
{
    AUTO_JSON json_object *reply = NULL;

    return aws_call(f->aws, service, operation, NULL, &reply, &f->e);
}

#define AWS_TEST(name) cmocka_unit_test_setup_teardown(name, aws_fixture_start, aws_fixture_stop)

#endif
