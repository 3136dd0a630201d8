/* The guard of calls that change AWS: asked before each try, and nothing is sent when it refuses. */
#include "core/aws/s3.h"
#include "tests/unit/aws_fixture.h"

struct gate {
    int asked, allowed; /* refuses after so many */
    int timeout_ms;     /* of the last try */
};

static int may_send(void *context, int timeout_ms, struct err *e)
{
    struct gate *gate = context;

    gate->timeout_ms = timeout_ms;
    if (gate->asked++ < gate->allowed)
        return 0;
    err_set(e, ERR_CONFLICT, "the lease is lost");
    return err_detail(e, "lease");
}

static struct aws_guard guard_of(struct gate *gate)
{
    return (struct aws_guard){ .may_send = may_send, .context = gate };
}

static int call(struct aws_fixture *f, const struct aws_guard *guard)
{
    f->e = (struct err){ 0 };
    return aws_call_guarded(f->aws, guard, &ECS, "UpdateService", NULL, NULL, &f->e);
}

static void what_the_guard_refuses_is_not_sent(void **state)
{
    struct aws_fixture *f = *state;
    struct gate gate = { 0 };
    struct aws_guard guard = guard_of(&gate);

    assert_int_equal(call(f, &guard), ERR_CONFLICT);

    assert_int_equal(fake_count(f->fake), 0);
    assert_string_equal(f->e.detail, "lease");
}

static void a_second_try_that_the_guard_refuses_is_not_sent(void **state)
{
    struct aws_fixture *f = *state;
    struct gate gate = { .allowed = 1 };
    struct aws_guard guard = guard_of(&gate);
    fake_expect(f->fake, "POST", NULL, NULL);
    fake_reply(f->fake, 500, NULL, "");

    assert_int_equal(call(f, &guard), ERR_CONFLICT);

    fake_done(f->fake);
    assert_int_equal(gate.asked, 2);
}

static void the_guard_is_asked_before_each_try(void **state)
{
    struct aws_fixture *f = *state;
    struct gate gate = { .allowed = 9 };
    struct aws_guard guard = guard_of(&gate);
    fake_expect(f->fake, "POST", NULL, NULL);
    fake_reply(f->fake, 503, NULL, "");
    fake_expect(f->fake, "POST", NULL, NULL);
    fake_reply(f->fake, 200, NULL, "{}");

    assert_int_equal(call(f, &guard), 0);

    fake_done(f->fake);
    assert_int_equal(gate.asked, 2);
    assert_int_equal(gate.timeout_ms, AWS_CALL_TIMEOUT_MS);
}

static void no_try_is_given_longer_than_the_guard_says(void **state)
{
    struct aws_fixture *f = *state;
    struct gate gate = { .allowed = 1 };
    struct aws_guard guard = guard_of(&gate);
    guard.timeout_max_ms = 1500;
    fake_expect(f->fake, "POST", NULL, NULL);
    fake_reply(f->fake, 200, NULL, "{}");

    assert_int_equal(call(f, &guard), 0);

    assert_int_equal(gate.timeout_ms, 1500);
}

static void an_upload_asks_before_each_part(void **state)
{
    static const char begun[] = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    struct aws_fixture *f = *state;
    struct gate gate = { .allowed = 2 };
    struct aws_guard guard = guard_of(&gate);
    struct s3_upload *upload = s3_upload_new(f->aws, "sources", "key", "application/zip");
    char *bytes = calloc(1, S3_PART_BYTES);
    int code = 0;
    s3_upload_guard(upload, &guard);
    fake_expect(f->fake, "POST", "*uploads=*", NULL);
    fake_reply(f->fake, 200, NULL, begun);
    fake_expect(f->fake, "PUT", "*partNumber=1*", NULL);
    fake_reply(f->fake, 200, "etag: \"1\"\n", "");
    fake_expect(f->fake, "DELETE", NULL, NULL); /* its own upload is given up, lease or not */
    fake_reply(f->fake, 204, NULL, "");

    for (int i = 0; i < 3 && !code; i++)
        code = s3_upload_add(upload, bytes, S3_PART_BYTES, &f->e);
    s3_upload_free(upload);

    assert_int_equal(code, ERR_CONFLICT);
    assert_int_equal(gate.asked, 3);
    fake_done(f->fake);
    free(bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, aws_fixture_start, aws_fixture_stop)
    const struct CMUnitTest tests[] = {
        TEST(what_the_guard_refuses_is_not_sent), TEST(a_second_try_that_the_guard_refuses_is_not_sent),
        TEST(the_guard_is_asked_before_each_try), TEST(no_try_is_given_longer_than_the_guard_says),
        TEST(an_upload_asks_before_each_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
