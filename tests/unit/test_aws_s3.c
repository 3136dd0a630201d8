/* Objects: one PutObject or a multipart upload, and what is left behind when it fails. */
#include "core/aws/s3.h"
#include "core/base/hash.h"
#include "tests/unit/aws_fixture.h"

#define HOST "https://bucket.s3.eu-west-1.amazonaws.com"
#define KEY HOST "/tenants/shop/a.zip"
#define BEGUN "<InitiateMultipartUploadResult><UploadId>up/1+2</UploadId></InitiateMultipartUploadResult>"
#define COMPLETED "<CompleteMultipartUploadResult><ETag>&quot;whole-2&quot;</ETag></CompleteMultipartUploadResult>"
#define ERROR(code) "<Error><Code>" code "</Code><Message>words</Message><RequestId>r-xml</RequestId></Error>"

static void expect(struct aws_fixture *f, const char *method, const char *url, int status, const char *headers,
                   const char *body)
{
    fake_expect(f->fake, method, url, NULL);
    fake_reply(f->fake, status, headers, body);
}

/* Adds so many bytes in pieces, as a download brings them. */
static int add_bytes(struct aws_fixture *f, struct s3_upload *upload, size_t len)
{
    static const char piece[48 * 1024 + 7] = "PK";

    while (len > 0) {
        size_t now = len < sizeof piece ? len : sizeof piece;
        if (s3_upload_add(upload, piece, now, &f->e))
            return f->e.code;
        len -= now;
    }
    return 0;
}

static struct s3_upload *begin(struct aws_fixture *f)
{
    return s3_upload_new(f->aws, "bucket", "tenants/shop/a.zip", "application/zip");
}

static void expect_begin_and_first_part(struct aws_fixture *f)
{
    expect(f, "POST", KEY "[?]uploads=", 200, NULL, BEGUN);
    expect(f, "PUT", KEY "[?]partNumber=1&uploadId=up%2F1%2B2", 200, "etag: \"p1\"", "");
}

static void a_denied_put_fails_with_bucket_key_and_action(void **state)
{
    struct aws_fixture *f = *state;
    struct s3_object object;
    expect(f, "PUT", KEY, 403, NULL, ERROR("AccessDenied"));
    struct s3_upload *upload = begin(f);

    assert_int_equal(add_bytes(f, upload, 10), 0);
    assert_int_equal(s3_upload_end(upload, f->mem, &object, &f->e), ERR_DENIED);

    s3_upload_free(upload);
    fake_done(f->fake);
    assert_non_null(strstr(f->e.message, "s3://bucket/tenants/shop/a.zip"));
    assert_non_null(strstr(f->e.hint, "s3:PutObject"));
}

static void a_part_that_keeps_failing_aborts_the_upload(void **state)
{
    struct aws_fixture *f = *state;
    struct s3_object object;
    expect_begin_and_first_part(f);
    for (int i = 0; i < AWS_TRIES_MAX; i++)
        expect(f, "PUT", KEY "[?]partNumber=2&*", 503, NULL, ERROR("SlowDown"));
    expect(f, "DELETE", KEY "[?]uploadId=up%2F1%2B2", 204, NULL, "");
    struct s3_upload *upload = begin(f);

    assert_int_equal(add_bytes(f, upload, S3_PART_BYTES + 1), 0);
    assert_int_equal(s3_upload_end(upload, f->mem, &object, &f->e), ERR_THROTTLED);
    s3_upload_free(upload);

    fake_done(f->fake);
}

static void an_upload_that_is_not_ended_is_aborted(void **state)
{
    struct aws_fixture *f = *state;
    expect_begin_and_first_part(f);
    expect(f, "DELETE", KEY "[?]uploadId=up%2F1%2B2", 204, NULL, "");
    struct s3_upload *upload = begin(f);

    assert_int_equal(add_bytes(f, upload, S3_PART_BYTES + 1), 0);
    s3_upload_free(upload);

    fake_done(f->fake);
}

static void a_small_upload_that_is_not_ended_asks_nothing(void **state)
{
    struct aws_fixture *f = *state;
    struct s3_upload *upload = begin(f);

    assert_int_equal(add_bytes(f, upload, S3_PART_BYTES), 0);
    s3_upload_free(upload);
    s3_upload_free(NULL);

    fake_done(f->fake);
}

static void an_upload_that_failed_takes_no_more_and_cannot_end(void **state)
{
    struct aws_fixture *f = *state;
    struct s3_object object;
    expect(f, "POST", KEY "[?]uploads=", 403, NULL, ERROR("AccessDenied"));
    struct s3_upload *upload = begin(f);

    assert_int_equal(add_bytes(f, upload, S3_PART_BYTES + 1), ERR_DENIED);
    assert_int_equal(add_bytes(f, upload, 1), ERR_INTERNAL);
    assert_int_equal(s3_upload_end(upload, f->mem, &object, &f->e), ERR_INTERNAL);
    s3_upload_free(upload);

    fake_done(f->fake);
}

static void an_error_inside_a_success_is_an_error_and_tried_again(void **state)
{
    struct aws_fixture *f = *state;
    struct s3_object object;
    expect_begin_and_first_part(f);
    expect(f, "PUT", KEY "[?]partNumber=2&*", 200, "etag: \"p2\"", "");
    expect(f, "POST", KEY "[?]uploadId=*", 200, NULL, "<?xml version=\"1.0\"?>\n   " ERROR("InternalError"));
    expect(f, "POST", KEY "[?]uploadId=*", 200, "x-amz-version-id: v1", COMPLETED);
    struct s3_upload *upload = begin(f);

    assert_int_equal(add_bytes(f, upload, S3_PART_BYTES + 1), 0);
    assert_int_equal(s3_upload_end(upload, f->mem, &object, &f->e), 0);
    s3_upload_free(upload);

    fake_done(f->fake);
    assert_string_equal(object.version_id, "v1");
}

static void a_completion_whose_answer_was_lost_is_found_by_its_object(void **state)
{
    struct aws_fixture *f = *state;
    struct s3_object object;
    expect_begin_and_first_part(f);
    expect(f, "PUT", KEY "[?]partNumber=2&*", 200, "etag: \"p2\"", "");
    fake_expect(f->fake, "POST", KEY "[?]uploadId=*", NULL);
    fake_fail(f->fake, ERR_TRANSIENT, "CURLE_RECV_ERROR");
    expect(f, "POST", KEY "[?]uploadId=*", 404, NULL, ERROR("NoSuchUpload"));
    expect(f, "HEAD", KEY, 200, "content-length: 8388609\netag: \"whole-2\"\nx-amz-version-id: v7", "");
    struct s3_upload *upload = begin(f);

    assert_int_equal(add_bytes(f, upload, S3_PART_BYTES + 1), 0);
    assert_int_equal(s3_upload_end(upload, f->mem, &object, &f->e), 0);
    s3_upload_free(upload);

    fake_done(f->fake);
    assert_string_equal(object.version_id, "v7");
}

static void anothers_object_is_not_taken_for_ours(void **state)
{
    struct aws_fixture *f = *state;
    struct s3_object object;
    expect_begin_and_first_part(f);
    expect(f, "PUT", KEY "[?]partNumber=2&*", 200, "etag: \"p2\"", "");
    expect(f, "POST", KEY "[?]uploadId=*", 404, NULL, ERROR("NoSuchUpload"));
    expect(f, "HEAD", KEY, 200, "content-length: 8388608\netag: \"whole-2\"", "");
    expect(f, "DELETE", KEY "[?]uploadId=*", 404, NULL, ERROR("NoSuchUpload"));
    struct s3_upload *upload = begin(f);

    assert_int_equal(add_bytes(f, upload, S3_PART_BYTES + 1), 0);
    assert_int_equal(s3_upload_end(upload, f->mem, &object, &f->e), ERR_NOT_FOUND);
    s3_upload_free(upload);

    fake_done(f->fake);
}

static void odd_bucket_names_and_keys_are_refused_before_anything_is_sent(void **state)
{
    static const char *const buckets[] = { "", "ab", "a/b", "UPPER", "evil.example/", "a..b", ".ab", "bucket@host" };
    struct aws_fixture *f = *state;
    char *key = arena_alloc(f->mem, 1026);
    struct s3_object object;
    bool found;
    memset(key, 'k', 1025);

    for (size_t i = 0; i < sizeof buckets / sizeof *buckets; i++)
        assert_int_equal(s3_head_bucket(f->aws, buckets[i], &f->e), ERR_INVALID);
    assert_int_equal(s3_head(f->aws, "bucket", "", f->mem, &found, &object, &f->e), ERR_INVALID);
    assert_int_equal(s3_head(f->aws, "bucket", key, f->mem, &found, &object, &f->e), ERR_INVALID);

    fake_done(f->fake);
}

static void a_forbidden_head_is_denied_and_not_absent(void **state)
{
    struct aws_fixture *f = *state;
    struct s3_object object;
    bool found = true;
    expect(f, "HEAD", HOST "/k", 403, "x-amz-request-id: r-1", "");

    assert_int_equal(s3_head(f->aws, "bucket", "k", f->mem, &found, &object, &f->e), ERR_DENIED);

    assert_true(found);
    assert_non_null(strstr(f->e.hint, "s3:GetObject"));
}

static void a_wordless_refusal_of_a_head_may_be_expired_credentials(void **state)
{
    struct aws_fixture *f = *state;
    struct s3_object object;
    bool found = true;
    expect(f, "HEAD", HOST "/k", 400, "x-amz-request-id: r-1", "");

    assert_int_equal(s3_head(f->aws, "bucket", "k", f->mem, &found, &object, &f->e), ERR_DENIED);

    assert_true(aws_credentials_expired(&f->e));
    assert_non_null(strstr(f->e.hint, "AWS_SESSION_TOKEN"));
}

static void a_bucket_of_another_region_says_which(void **state)
{
    struct aws_fixture *f = *state;
    expect(f, "HEAD", HOST "/", 301, "x-amz-bucket-region: eu-north-1", "");

    assert_int_equal(s3_head_bucket(f->aws, "bucket", &f->e), ERR_INVALID);

    assert_non_null(strstr(f->e.hint, "eu-north-1"));
}

static void an_absent_object_is_a_success_that_says_so(void **state)
{
    struct aws_fixture *f = *state;
    struct s3_object object = { .bytes = 5 };
    bool found = true;
    expect(f, "HEAD", HOST "/k", 404, NULL, "");

    assert_int_equal(s3_head(f->aws, "bucket", "k", f->mem, &found, &object, &f->e), 0);

    assert_false(found);
    assert_int_equal(object.bytes, 5);
}

static void a_present_object_has_version_etag_and_size(void **state)
{
    struct aws_fixture *f = *state;
    struct s3_object object;
    bool found = false;
    expect(f, "HEAD", HOST "/k", 200, "content-length: 12345678901\netag: \"e\"\nx-amz-version-id: v1", "");

    assert_int_equal(s3_head(f->aws, "bucket", "k", f->mem, &found, &object, &f->e), 0);

    assert_true(found);
    assert_int_equal(object.bytes, 12345678901);
    assert_string_equal(object.etag, "\"e\"");
    assert_string_equal(object.version_id, "v1");
}

static void what_fits_one_part_is_one_put_with_its_hash(void **state)
{
    struct aws_fixture *f = *state;
    struct s3_object object;
    uint8_t digest[HASH_SIZE];
    char hex[HASH_HEX_SIZE];
    expect(f, "PUT", KEY, 200, "etag: \"e\"\nx-amz-version-id: v1", "");
    struct s3_upload *upload = begin(f);

    assert_int_equal(add_bytes(f, upload, S3_PART_BYTES), 0);
    assert_int_equal(s3_upload_end(upload, f->mem, &object, &f->e), 0);
    s3_upload_free(upload);

    fake_done(f->fake);
    assert_int_equal(object.bytes, S3_PART_BYTES);
    assert_int_equal(fake_body_len(f->fake, 0), S3_PART_BYTES);
    hash_sha256(fake_body(f->fake, 0), S3_PART_BYTES, digest);
    hash_hex(digest, sizeof digest, hex);
    assert_string_equal(fake_header(f->fake, 0, "x-amz-content-sha256"), hex);
    assert_string_equal(fake_header(f->fake, 0, "content-type"), "application/zip");
}

static void an_empty_object_is_one_put(void **state)
{
    struct aws_fixture *f = *state;
    struct s3_object object;
    expect(f, "PUT", KEY, 200, "etag: \"e\"", "");
    struct s3_upload *upload = begin(f);

    assert_int_equal(s3_upload_end(upload, f->mem, &object, &f->e), 0);
    s3_upload_free(upload);

    fake_done(f->fake);
    assert_int_equal(object.bytes, 0);
    assert_null(object.version_id);
}

static void one_byte_more_makes_two_parts_that_are_listed(void **state)
{
    struct aws_fixture *f = *state;
    struct s3_object object;
    expect_begin_and_first_part(f);
    expect(f, "PUT", KEY "[?]partNumber=2&*", 200, "etag: \"p2\"", "");
    expect(f, "POST", KEY "[?]uploadId=*", 200, "x-amz-version-id: v1\ncontent-length: 300", COMPLETED);
    struct s3_upload *upload = begin(f);

    assert_int_equal(add_bytes(f, upload, S3_PART_BYTES + 1), 0);
    assert_int_equal(s3_upload_end(upload, f->mem, &object, &f->e), 0);
    s3_upload_free(upload);

    fake_done(f->fake);
    assert_int_equal(fake_body_len(f->fake, 1), S3_PART_BYTES);
    assert_int_equal(fake_body_len(f->fake, 2), 1);
    assert_non_null(strstr(fake_body(f->fake, 3), "<Part><PartNumber>1</PartNumber><ETag>\"p1\"</ETag></Part>"
                                                  "<Part><PartNumber>2</PartNumber><ETag>\"p2\"</ETag></Part>"));
    assert_string_equal(object.etag, "\"whole-2\"");
    assert_int_equal(object.bytes, S3_PART_BYTES + 1);
}

static void keys_are_encoded_and_dotted_or_moved_buckets_go_into_the_path(void **state)
{
    struct aws_fixture *f = *state;
    expect(f, "DELETE", HOST "/a/b%20c%2B%C3%A9[?]versionId=v%2F1", 204, NULL, "");
    expect(f, "DELETE", "https://s3.eu-west-1.amazonaws.com/my.bucket/k", 204, NULL, "");
    expect(f, "DELETE", "http://127.0.0.1:5000/bucket/k", 204, NULL, "");

    assert_int_equal(s3_delete(f->aws, NULL, "bucket", "a/b c+é", "v/1", &f->e), 0);
    assert_int_equal(s3_delete(f->aws, NULL, "my.bucket", "k", NULL, &f->e), 0);
    setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:5000", 1);
    assert_int_equal(s3_delete(f->aws, NULL, "bucket", "k", NULL, &f->e), 0);

    fake_done(f->fake);
    assert_string_equal(fake_header(f->fake, 0, "host"), "bucket.s3.eu-west-1.amazonaws.com");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AWS_TEST(a_denied_put_fails_with_bucket_key_and_action),
        AWS_TEST(a_part_that_keeps_failing_aborts_the_upload),
        AWS_TEST(an_upload_that_is_not_ended_is_aborted),
        AWS_TEST(a_small_upload_that_is_not_ended_asks_nothing),
        AWS_TEST(an_upload_that_failed_takes_no_more_and_cannot_end),
        AWS_TEST(an_error_inside_a_success_is_an_error_and_tried_again),
        AWS_TEST(a_completion_whose_answer_was_lost_is_found_by_its_object),
        AWS_TEST(anothers_object_is_not_taken_for_ours),
        AWS_TEST(odd_bucket_names_and_keys_are_refused_before_anything_is_sent),
        AWS_TEST(a_forbidden_head_is_denied_and_not_absent),
        AWS_TEST(a_wordless_refusal_of_a_head_may_be_expired_credentials),
        AWS_TEST(a_bucket_of_another_region_says_which),
        AWS_TEST(an_absent_object_is_a_success_that_says_so),
        AWS_TEST(a_present_object_has_version_etag_and_size),
        AWS_TEST(what_fits_one_part_is_one_put_with_its_hash),
        AWS_TEST(an_empty_object_is_one_put),
        AWS_TEST(one_byte_more_makes_two_parts_that_are_listed),
        AWS_TEST(keys_are_encoded_and_dotted_or_moved_buckets_go_into_the_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
