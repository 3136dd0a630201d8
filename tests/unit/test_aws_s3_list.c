/* What a bucket keeps under a prefix, as ListObjectVersions and ListMultipartUploads tell it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/aws/s3.h"
#include "tests/unit/support_transport.h"

struct fixture {
    struct fake_transport *fake;
    struct aws *aws;
    struct arena *mem;
    struct s3_kept *kept;
    size_t count;
    struct err e;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->fake = fake_new();
    f->mem = arena_new();
    struct aws_options options = { .region = "eu-central-1", .transport = fake_http(f->fake), .tries = 1 };
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-secret", 1);
    unsetenv("AWS_SESSION_TOKEN");
    unsetenv("AWS_ENDPOINT_URL");
    assert_int_equal(aws_new(&options, &f->aws, &f->e), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    fake_done(f->fake);
    aws_free(f->aws);
    fake_free(f->fake);
    arena_free(f->mem);
    free(f);
    return 0;
}

static void reply(struct fixture *f, const char *url, const char *body)
{
    fake_expect(f->fake, "GET", url, NULL);
    fake_reply(f->fake, 200, NULL, body);
}

static int versions(struct fixture *f)
{
    return s3_list_versions(f->aws, NULL, "sources", "tenants/shop/", f->mem, &f->kept, &f->count, &f->e);
}

static void a_denied_listing_names_the_bucket_and_the_permission(void **state)
{
    struct fixture *f = *state;
    fake_expect(f->fake, "GET", NULL, NULL);
    fake_reply(f->fake, 403, NULL, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>");

    assert_int_equal(versions(f), ERR_DENIED);

    assert_non_null(strstr(f->e.message, "s3://sources"));
    assert_non_null(strstr(f->e.hint, "s3:ListBucketVersions"));
}

static void a_version_without_its_id_is_refused(void **state)
{
    struct fixture *f = *state;
    reply(f, NULL, "<ListVersionsResult><Version><Key>tenants/shop/a.zip</Key></Version></ListVersionsResult>");

    assert_int_not_equal(versions(f), 0);
}

static void nothing_kept_is_an_empty_list(void **state)
{
    struct fixture *f = *state;
    reply(f, "https://sources.s3.*&prefix=tenants%2Fshop%2F&versions=",
          "<ListVersionsResult><Name>sources</Name><IsTruncated>false</IsTruncated></ListVersionsResult>");

    assert_int_equal(versions(f), 0);

    assert_int_equal(f->count, 0);
}

static void one_version_and_several_delete_markers_are_all_found(void **state)
{
    struct fixture *f = *state;
    reply(f, NULL,
          "<ListVersionsResult><DeleteMarker><Key>k1</Key><VersionId>m1</VersionId></DeleteMarker>"
          "<Version><Key>k1</Key><VersionId>v1</VersionId></Version>"
          "<DeleteMarker><Key>k2</Key><VersionId>m2</VersionId></DeleteMarker></ListVersionsResult>");

    assert_int_equal(versions(f), 0);

    assert_int_equal(f->count, 3);
    assert_string_equal(f->kept[0].id, "v1");
    assert_string_equal(f->kept[1].id, "m1");
    assert_string_equal(f->kept[2].key, "k2");
}

static void an_upload_that_went_meanwhile_is_aborted(void **state)
{
    struct fixture *f = *state;
    fake_expect(f->fake, "DELETE", "*?uploadId=u%2F1", NULL);
    fake_reply(f->fake, 404, NULL, "<Error><Code>NoSuchUpload</Code><Message>gone</Message></Error>");

    assert_int_equal(s3_abort_upload(f->aws, NULL, "sources", "tenants/shop/a.zip", "u/1", &f->e), 0);
}

static void folders_are_read_page_by_page(void **state)
{
    struct fixture *f = *state;
    AUTO_JSON json_object *folders = NULL;
    reply(f, "*?delimiter=%2F&max-keys=*",
          "<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>tenants/a/</NextKeyMarker>"
          "<CommonPrefixes><Prefix>tenants/a/</Prefix></CommonPrefixes></ListVersionsResult>");
    reply(f, "*&key-marker=tenants%2Fa%2F&*",
          "<ListVersionsResult><IsTruncated>false</IsTruncated><CommonPrefixes><Prefix>tenants/b/</Prefix></"
          "CommonPrefixes>"
          "<CommonPrefixes><Prefix>tenants/c/</Prefix></CommonPrefixes></ListVersionsResult>");

    assert_int_equal(s3_list_folders(f->aws, "sources", "tenants/", &folders, &f->e), 0);

    assert_string_equal(json_to_text(folders, f->mem), "[\"tenants/a/\",\"tenants/b/\",\"tenants/c/\"]");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_denied_listing_names_the_bucket_and_the_permission),
        TEST(a_version_without_its_id_is_refused),
        TEST(nothing_kept_is_an_empty_list),
        TEST(one_version_and_several_delete_markers_are_all_found),
        TEST(an_upload_that_went_meanwhile_is_aborted),
        TEST(folders_are_read_page_by_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
