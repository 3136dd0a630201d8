/* Webhook secrets: what is kept, when Secrets Manager is asked again, and when it must not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tenant/hook_secret.h"
#include "tests/unit/support_clock.h"
#include "tests/unit/support_transport.h"

enum { HOUR_MS = 60 * 60 * 1000 };

/* A day the secrets of the replies are long made: "CreatedDate":1 is no rotation, 1.7E9 is one. */
static const int64_t today_ms = 1700000000000 + HOUR_MS;

struct fixture {
    struct fake_transport *fake;
    struct fake_clock time;
    struct clock clock;
    struct aws *aws;
    struct hook_secrets *cache;
    struct secret *current, *previous;
    int64_t old_until_ms;
    bool fresh;
    struct err e;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    unsetenv("AWS_SESSION_TOKEN");
    unsetenv("AWS_ENDPOINT_URL");
    f->fake = fake_new();
    f->time.now_ms = today_ms;
    f->clock = fake_clock_of(&f->time);
    assert_int_equal(aws_new(&(struct aws_options){ .region = "eu-central-1",
                                                    .transport = fake_http(f->fake),
                                                    .clock = &f->clock,
                                                    .tries = 1 },
                             &f->aws, &f->e),
                     0);
    f->cache = hook_secrets_new(f->aws, &f->clock);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    fake_done(f->fake);
    secret_free(f->current);
    secret_free(f->previous);
    hook_secrets_free(f->cache);
    aws_free(f->aws);
    fake_free(f->fake);
    free(f);
    return 0;
}

static int get(struct fixture *f, bool mismatch)
{
    secret_free(f->current);
    secret_free(f->previous);
    f->current = f->previous = NULL;
    return hook_secrets_get(f->cache, "shop", mismatch, &f->current, &f->previous, &f->fresh, &f->e);
}

static void expect_stage(struct fixture *f, const char *stage, const char *secret, const char *created)
{
    char body[256];

    fake_expect(f->fake, "POST", "https://secretsmanager.eu-central-1.amazonaws.com/*", stage);
    snprintf(body, sizeof body, "{\"SecretString\":\"%s\",\"CreatedDate\":%s}", secret, created);
    fake_reply(f->fake, 200, NULL, body);
}

static void expect_fault(struct fixture *f, const char *part, const char *code)
{
    char body[256];

    fake_expect(f->fake, "POST", NULL, part);
    snprintf(body, sizeof body, "{\"__type\":\"%s\",\"message\":\"no\"}", code);
    fake_reply(f->fake, 400, NULL, body);
}

static void a_secret_that_cannot_be_read_is_not_asked_for_again_at_once(void **state)
{
    struct fixture *f = *state;
    expect_fault(f, "berth/hooks/shop", "ResourceNotFoundException");

    assert_int_equal(get(f, false), ERR_NOT_FOUND);
    assert_int_equal(get(f, false), ERR_NOT_FOUND);
    assert_int_equal(get(f, true), ERR_NOT_FOUND);

    f->time.now_ms += 5000;
    expect_stage(f, "AWSCURRENT", "s1", "1");
    assert_int_equal(get(f, false), 0);
}

static void a_secret_without_text_is_refused(void **state)
{
    struct fixture *f = *state;
    fake_expect(f->fake, "POST", NULL, "AWSCURRENT");
    fake_reply(f->fake, 200, NULL, "{\"SecretBinary\":\"AAAA\"}");

    assert_int_equal(get(f, false), ERR_INVALID);

    assert_non_null(strstr(f->e.message, "berth/hooks/shop"));
}

static void a_failure_message_holds_no_secret(void **state)
{
    struct fixture *f = *state;
    expect_stage(f, "AWSCURRENT", "topsecret", "1.7E9");
    expect_fault(f, "AWSPREVIOUS", "AccessDeniedException");

    assert_int_equal(get(f, false), ERR_DENIED);

    assert_null(strstr(f->e.message, "topsecret"));
    assert_null(strstr(f->e.hint, "topsecret"));
}

static void mismatches_ask_again_once_per_interval(void **state)
{
    struct fixture *f = *state;
    expect_stage(f, "AWSCURRENT", "s1", "1");
    assert_int_equal(get(f, false), 0);

    expect_stage(f, "AWSCURRENT", "s2", "1");
    f->time.now_ms += 1;
    assert_int_equal(get(f, true), 0);
    assert_true(f->fresh);
    assert_string_equal(secret_bytes(f->current), "s2");
    for (int i = 0; i < 1000; i++) {
        f->time.now_ms += 20;
        assert_int_equal(get(f, true), 0);
        assert_false(f->fresh);
    }
    f->time.now_ms += HOOK_SECRET_REFRESH_MS;
    expect_stage(f, "AWSCURRENT", "s3", "1");
    assert_int_equal(get(f, true), 0);
    assert_true(f->fresh);
}

static void an_outage_keeps_what_is_known(void **state)
{
    struct fixture *f = *state;
    expect_stage(f, "AWSCURRENT", "s1", "1");
    assert_int_equal(get(f, false), 0);

    fake_expect(f->fake, "POST", NULL, "AWSCURRENT");
    fake_fail(f->fake, ERR_TRANSIENT, "CURLE_COULDNT_CONNECT");
    f->time.now_ms += HOOK_SECRET_TTL_MS;

    assert_int_equal(get(f, false), 0);
    assert_string_equal(secret_bytes(f->current), "s1");
}

static void a_secret_that_was_deleted_counts_no_more(void **state)
{
    struct fixture *f = *state;
    expect_stage(f, "AWSCURRENT", "s1", "1");
    assert_int_equal(get(f, false), 0);
    expect_fault(f, "AWSCURRENT", "ResourceNotFoundException");
    f->time.now_ms += HOOK_SECRET_TTL_MS;

    assert_int_equal(get(f, false), ERR_NOT_FOUND);
    assert_null(f->current);
}

static void a_known_secret_is_asked_for_again_when_its_time_is_over(void **state)
{
    struct fixture *f = *state;
    expect_stage(f, "AWSCURRENT", "s1", "1");
    assert_int_equal(get(f, false), 0);

    f->time.now_ms += HOOK_SECRET_TTL_MS - 1;
    assert_int_equal(get(f, false), 0);
    assert_string_equal(secret_bytes(f->current), "s1");
    f->time.now_ms += 1;
    expect_stage(f, "AWSCURRENT", "s2", "1");
    assert_int_equal(get(f, false), 0);
    assert_string_equal(secret_bytes(f->current), "s2");
}

static void while_rotating_the_one_before_comes_too(void **state)
{
    struct fixture *f = *state;
    expect_stage(f, "AWSCURRENT", "new", "1.7E9");
    expect_stage(f, "AWSPREVIOUS", "old", "1");

    assert_int_equal(get(f, false), 0);

    assert_string_equal(secret_bytes(f->current), "new");
    assert_string_equal(secret_bytes(f->previous), "old");
}

static void a_fresh_secret_has_none_before_it(void **state)
{
    struct fixture *f = *state;
    expect_stage(f, "AWSCURRENT", "new", "1700000000.25");
    expect_fault(f, "AWSPREVIOUS", "ResourceNotFoundException");

    assert_int_equal(get(f, false), 0);

    assert_null(f->previous);
}

static void a_day_after_a_rotation_the_one_before_counts_no_more(void **state)
{
    struct fixture *f = *state;
    f->time.now_ms = 1700000000000 + 24 * (int64_t)HOUR_MS;
    expect_stage(f, "AWSCURRENT", "new", "1.7E9");

    assert_int_equal(get(f, false), 0);

    assert_null(f->previous);
}

static void apps_have_entries_of_their_own(void **state)
{
    struct fixture *f = *state;
    static const char *const apps[] = { "m", "a", "z", "b" };

    for (size_t i = 0; i < 4; i++) {
        char part[64];
        struct secret *current = NULL;
        struct secret *previous = NULL;
        snprintf(part, sizeof part, "\"berth/hooks/%s\"", apps[i]);
        expect_stage(f, part, apps[i], "1");
        assert_int_equal(hook_secrets_get(f->cache, apps[i], false, &current, &previous, &f->fresh, &f->e), 0);
        assert_string_equal(secret_bytes(current), apps[i]);
        secret_free(current);
    }
    for (size_t i = 0; i < 4; i++) {
        struct secret *current = NULL;
        struct secret *previous = NULL;
        assert_int_equal(hook_secrets_get(f->cache, apps[i], false, &current, &previous, &f->fresh, &f->e), 0);
        assert_string_equal(secret_bytes(current), apps[i]);
        secret_free(current);
    }
}

/* ---- making one ---- */

static int create(struct fixture *f, bool replace)
{
    return hook_secret_create(f->aws, &f->clock, "shop", replace, &f->current, &f->old_until_ms, &f->e);
}

static void a_secret_that_is_there_is_not_replaced_unasked(void **state)
{
    struct fixture *f = *state;
    expect_fault(f, "\"Name\":\"berth/hooks/shop\"", "ResourceExistsException");

    assert_int_equal(create(f, false), ERR_CONFLICT);

    assert_null(f->current);
    assert_non_null(strstr(f->e.hint, "berth apps secret shop"));
}

static void a_secret_that_is_not_berth_s_is_never_replaced(void **state)
{
    struct fixture *f = *state;
    expect_fault(f, "\"Name\":\"berth/hooks/shop\"", "ResourceExistsException");
    fake_expect(f->fake, "POST", NULL, "berth/hooks/shop");
    fake_reply(f->fake, 200, NULL,
               "{\"Tags\":[{\"Key\":\"berth:app\",\"Value\":\"cellar\"},{\"Key\":\"x\",\"Value\":\"shop\"}]}");

    assert_int_equal(create(f, true), ERR_CONFLICT);

    assert_non_null(strstr(f->e.message, "berth:app=shop"));
}

static void a_fresh_secret_is_random_tagged_and_given_back_once(void **state)
{
    struct fixture *f = *state;
    fake_expect(f->fake, "POST", NULL, "{\"Key\":\"berth:app\",\"Value\":\"shop\"}");
    fake_reply(f->fake, 200, NULL, "{}");

    assert_int_equal(create(f, false), 0);

    assert_int_equal(secret_len(f->current), 64);
    assert_non_null(strstr(fake_body(f->fake, 0), secret_bytes(f->current)));
    assert_non_null(strstr(fake_body(f->fake, 0), "\"ClientRequestToken\":\""));
    assert_int_equal(f->old_until_ms, 0);
}

static const char being_deleted[] = "{\"__type\":\"InvalidRequestException\",\"message\":\"You can't create this "
                                    "secret because a secret with this name is already "
                                    "scheduled for deletion.\"}";

static void expect_deleted_one(struct fixture *f, const char *owner)
{
    fake_expect(f->fake, "POST", NULL, "\"Name\":\"berth/hooks/shop\"");
    fake_reply(f->fake, 400, NULL, being_deleted);
    fake_expect(f->fake, "POST", NULL, "berth/hooks/shop");
    fake_reply(f->fake, 200, NULL,
               strcmp(owner, "shop") ? "{\"Tags\":[]}" : "{\"Tags\":[{\"Key\":\"berth:app\",\"Value\":\"shop\"}]}");
}

static void a_secret_that_is_being_deleted_and_not_berth_s_is_not_brought_back(void **state)
{
    struct fixture *f = *state;
    expect_deleted_one(f, "nobody");

    assert_int_equal(create(f, true), ERR_CONFLICT);

    assert_null(f->current);
}

static void that_of_a_destroyed_app_is_brought_back_with_a_new_value(void **state)
{
    struct fixture *f = *state;
    expect_deleted_one(f, "shop");
    fake_expect(f->fake, "POST", NULL, "berth/hooks/shop");
    fake_reply(f->fake, 200, NULL, "{}");
    fake_expect(f->fake, "POST", NULL, "berth/hooks/shop");
    fake_reply(f->fake, 200, NULL, "{\"Tags\":[{\"Key\":\"berth:app\",\"Value\":\"shop\"}]}");
    fake_expect(f->fake, "POST", NULL, "SecretString");
    fake_reply(f->fake, 200, NULL, "{}");

    assert_int_equal(create(f, true), 0);

    assert_string_equal(fake_header(f->fake, 2, "x-amz-target"), "secretsmanager.RestoreSecret");
    assert_non_null(strstr(fake_body(f->fake, 4), secret_bytes(f->current)));
    assert_int_equal(f->old_until_ms, today_ms + 24 * (int64_t)HOUR_MS);
}

static void ours_is_replaced_when_asked_for(void **state)
{
    struct fixture *f = *state;
    expect_fault(f, "\"Name\":\"berth/hooks/shop\"", "ResourceExistsException");
    fake_expect(f->fake, "POST", NULL, "berth/hooks/shop");
    fake_reply(f->fake, 200, NULL, "{\"Tags\":[{\"Key\":\"berth:app\",\"Value\":\"shop\"}]}");
    fake_expect(f->fake, "POST", NULL, "SecretString");
    fake_reply(f->fake, 200, NULL, "{}");

    assert_int_equal(create(f, true), 0);

    assert_non_null(strstr(fake_body(f->fake, 2), secret_bytes(f->current)));
    assert_string_equal(fake_header(f->fake, 2, "x-amz-target"), "secretsmanager.PutSecretValue");
    assert_int_equal(f->old_until_ms, today_ms + 24 * (int64_t)HOUR_MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_secret_that_cannot_be_read_is_not_asked_for_again_at_once),
        TEST(a_secret_without_text_is_refused),
        TEST(a_failure_message_holds_no_secret),
        TEST(mismatches_ask_again_once_per_interval),
        TEST(an_outage_keeps_what_is_known),
        TEST(a_secret_that_was_deleted_counts_no_more),
        TEST(a_known_secret_is_asked_for_again_when_its_time_is_over),
        TEST(while_rotating_the_one_before_comes_too),
        TEST(a_fresh_secret_has_none_before_it),
        TEST(a_day_after_a_rotation_the_one_before_counts_no_more),
        TEST(apps_have_entries_of_their_own),
        TEST(a_secret_that_is_there_is_not_replaced_unasked),
        TEST(a_secret_that_is_not_berth_s_is_never_replaced),
        TEST(a_fresh_secret_is_random_tagged_and_given_back_once),
        TEST(a_secret_that_is_being_deleted_and_not_berth_s_is_not_brought_back),
        TEST(that_of_a_destroyed_app_is_brought_back_with_a_new_value),
        TEST(ours_is_replaced_when_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
