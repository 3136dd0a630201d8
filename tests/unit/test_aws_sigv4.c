/* Signing, stage by stage, against what botocore made of the same requests (tests/unit/sigv4_cases.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/aws/sigv4.h"
#include "core/base/json.h"

enum { HEADERS_MAX = 16, FIXTURE_BYTES_MAX = 1024 * 1024 };

static json_object *read_fixture(struct arena *mem)
{
    FILE *file = fopen(SOURCE_DIR "/tests/fixtures/sigv4_cases.json", "r");
    char *text = arena_alloc(mem, FIXTURE_BYTES_MAX);
    json_object *cases = NULL;
    struct err e;
    size_t len;

    assert_non_null(file);
    len = fread(text, 1, FIXTURE_BYTES_MAX, file);
    fclose(file);
    assert_int_equal(json_parse(text, len, &cases, &e), 0);
    assert_true(json_length(cases) > 80);
    return cases;
}

static struct sigv4_request request_of(const json_object *one, struct http_header *headers, struct arena *mem)
{
    const json_object *sent = json_at(one, "/headers");

    assert_true(json_length(sent) <= HEADERS_MAX);
    for (size_t i = 0; i < json_length(sent); i++)
        headers[i] = (struct http_header){ json_find_text(json_item(sent, i), "/0", mem),
                                           json_find_text(json_item(sent, i), "/1", mem) };
    return (struct sigv4_request){ .method = json_find_text(one, "/method", mem),
                                   .path = json_find_text(one, "/path", mem),
                                   .query = json_find_text(one, "/query", mem),
                                   .headers = headers,
                                   .header_count = json_length(sent),
                                   .payload_hash = json_find_text(one, "/payload_hash", mem) };
}

static struct sigv4_scope scope_of(const json_object *one, struct arena *mem)
{
    struct sigv4_scope scope = { json_find_text(one, "/region", mem), json_find_text(one, "/service", mem), "" };

    snprintf(scope.amz_date, sizeof scope.amz_date, "%s", json_find_text(one, "/date", mem));
    return scope;
}

static void check_case(const json_object *one, struct arena *mem)
{
    AUTO_SECRET struct secret *secret = secret_from_text(json_find_text(one, "/secret", mem));
    bool s3 = json_find_bool(one, "/s3", false);
    struct sigv4_style style = { .normalize_path = !s3, .double_encode_path = !s3 };
    struct http_header headers[HEADERS_MAX];
    struct sigv4_request request = request_of(one, headers, mem);
    struct sigv4_scope scope = scope_of(one, mem);
    char signature[HASH_HEX_SIZE];

    char *canonical = sigv4_canonical_request(mem, &request, style);
    assert_string_equal(canonical, json_find_text(one, "/canonical_request", mem));

    char *to_sign = sigv4_string_to_sign(mem, canonical, &scope);
    assert_string_equal(to_sign, json_find_text(one, "/string_to_sign", mem));

    sigv4_signature(secret, &scope, to_sign, signature);
    assert_string_equal(signature, json_find_text(one, "/signature", mem));

    assert_string_equal(sigv4_authorization(mem, &request, style, &scope, "AKIDEXAMPLE", secret),
                        json_find_text(one, "/authorization", mem));
}

static void every_stage_is_what_botocore_makes_of_the_same_request(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *cases = read_fixture(mem);
    (void)state;

    for (size_t i = 0; i < json_length(cases); i++)
        check_case(json_item(cases, i), mem);
}

static void a_query_signs_the_same_however_it_was_escaped(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct http_header host = { "Host", "h" };
    struct sigv4_request strict = { "GET", "/", "%7E=%2B&a=%C3%A9", &host, 1, "x" };
    struct sigv4_request loose = { "GET", "/", "a=%c3%a9&~=+", &host, 1, "x" };
    struct sigv4_style style = { true, true };
    (void)state;

    const char *one = sigv4_canonical_request(mem, &strict, style);
    const char *other = sigv4_canonical_request(mem, &loose, style);

    assert_string_equal(one, other);
    assert_non_null(strstr(one, "\na=%C3%A9&~=%2B\n"));
}

static void a_broken_escape_is_signed_as_the_text_it_is(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct http_header host = { "Host", "h" };
    struct sigv4_request request = { "GET", "/", "a=%zz&b=%4&c=%&d=%00", &host, 1, "x" };
    (void)state;

    const char *canonical = sigv4_canonical_request(mem, &request, (struct sigv4_style){ true, true });

    assert_non_null(strstr(canonical, "\na=%25zz&b=%254&c=%25&d=%2500\n"));
}

static void another_secret_date_region_or_service_gives_another_signature(void **state)
{
    AUTO_SECRET struct secret *secret = secret_from_text("one");
    AUTO_SECRET struct secret *other = secret_from_text("two");
    struct sigv4_scope scopes[] = { { "eu-west-1", "ecs", "20240229T000000Z" },
                                    { "eu-west-1", "ecs", "20240301T000000Z" },
                                    { "eu-west-2", "ecs", "20240229T000000Z" },
                                    { "eu-west-1", "ecr", "20240229T000000Z" } };
    char first[HASH_HEX_SIZE], next[HASH_HEX_SIZE];
    (void)state;

    sigv4_signature(secret, &scopes[0], "same", first);

    for (size_t i = 1; i < sizeof scopes / sizeof *scopes; i++) {
        sigv4_signature(secret, &scopes[i], "same", next);
        assert_string_not_equal(first, next);
    }
    sigv4_signature(other, &scopes[0], "same", next);
    assert_string_not_equal(first, next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_escape_is_signed_as_the_text_it_is),
        cmocka_unit_test(another_secret_date_region_or_service_gives_another_signature),
        cmocka_unit_test(a_query_signs_the_same_however_it_was_escaped),
        cmocka_unit_test(every_stage_is_what_botocore_makes_of_the_same_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
