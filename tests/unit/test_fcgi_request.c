/* What of a request is read without a web server: its target, query, headers and length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "fcgi/request.h"

static const char *param(void *source, const char *name)
{
    const char *const *pairs = source;

    for (; *pairs; pairs += 2) {
        if (strcmp(pairs[0], name) == 0)
            return pairs[1];
    }
    return NULL;
}

static void a_path_that_could_mean_something_else_is_refused(void **state)
{
    static const char *const targets[] = { "",     "x",       "*",          "http://x/", "/%",     "/%2",
                                           "/%zz", "/a%00b",  "/%0a",       "/\x7f",     "/a%2fb", "/a%2Fb",
                                           "/%ff", "/%c0%80", "/%ed%a0%80", "/\xff" };
    AUTO_ARENA struct arena *mem = arena_new();
    struct request request = { .mem = mem };
    (void)state;

    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        request_set_target(&request, targets[i]);
        assert_null(request.path);
    }
}

static void a_path_has_a_limit(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct request request = { .mem = mem };
    char target[REQUEST_PATH_MAX + 2] = "/";
    (void)state;

    memset(target + 1, 'a', REQUEST_PATH_MAX - 1);
    request_set_target(&request, target);
    assert_non_null(request.path);
    target[REQUEST_PATH_MAX] = 'a';
    request_set_target(&request, target);
    assert_null(request.path);
}

static void a_path_is_decoded_and_a_query_kept_for_later(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct request request = { .mem = mem };
    (void)state;

    request_set_target(&request, "/a%20b/%C3%A4+c?x=1&y=%2F");

    assert_string_equal(request.path, "/a b/ä+c");
    assert_string_equal(request.query, "x=1&y=%2F");
}

static void a_malformed_parameter_is_there_but_has_no_text(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct request request = { .mem = mem };
    (void)state;

    request_set_target(&request, "/?a=%zz&b=%00&c&d=&xa=1");

    assert_true(request_has_query(&request, "a"));
    assert_null(request_query(&request, "a"));
    assert_null(request_query(&request, "b"));
    assert_string_equal(request_query(&request, "c"), "");
    assert_string_equal(request_query(&request, "d"), "");
    assert_false(request_has_query(&request, "x"));
    assert_null(request_query(&request, "x"));
}

static void parameters_are_decoded_and_the_first_counts(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct request request = { .mem = mem };
    (void)state;

    request_set_target(&request, "/?cursor=a+b%26c%3D&cursor=other&&n=7");

    assert_string_equal(request_query(&request, "cursor"), "a b&c=");
    assert_string_equal(request_query(&request, "n"), "7");
}

static void headers_are_found_by_their_usual_names(void **state)
{
    static const char *const pairs[] = {
        "HTTP_X_GITHUB_EVENT", "push", "CONTENT_TYPE", "application/json", "HTTP_CONTENT_TYPE", "spoofed", NULL
    };
    AUTO_ARENA struct arena *mem = arena_new();
    struct request request = { .mem = mem, .param = param, .source = (void *)(uintptr_t)pairs };
    (void)state;

    assert_string_equal(request_header(&request, "X-GitHub-Event"), "push");
    assert_string_equal(request_header(&request, "Content-Type"), "application/json");
    assert_null(request_header(&request, "X-GitHub-Delivery"));
}

static void a_length_is_digits_and_nothing_else(void **state)
{
    static const char *const wrong[] = {
        "-1", "+1", " 1", "1 ", "1x", "0x1", "1.0", "9223372036854775808", "99999999999999999999999"
    };
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(request_parse_length(wrong[i]), REQUEST_LENGTH_MALFORMED);
    assert_int_equal(request_parse_length(NULL), REQUEST_LENGTH_ABSENT);
    assert_int_equal(request_parse_length(""), REQUEST_LENGTH_ABSENT);
    assert_int_equal(request_parse_length("0"), 0);
    assert_int_equal(request_parse_length("26214400"), 26214400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_that_could_mean_something_else_is_refused),
        cmocka_unit_test(a_path_has_a_limit),
        cmocka_unit_test(a_path_is_decoded_and_a_query_kept_for_later),
        cmocka_unit_test(a_malformed_parameter_is_there_but_has_no_text),
        cmocka_unit_test(parameters_are_decoded_and_the_first_counts),
        cmocka_unit_test(headers_are_found_by_their_usual_names),
        cmocka_unit_test(a_length_is_digits_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
