/* Credentials that a stranger's program prints must not be quoted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/deploy/steps/log_mask.h"

static void assert_masked(const char *line, const char *shown)
{
    AUTO_ARENA struct arena *mem = arena_new();

    assert_string_equal(log_mask(mem, line), shown);
}

static void credentials_of_aws_are_masked(void **state)
{
    (void)state;

    assert_masked("using AKIAIOSFODNN7EXAMPLE now", "using *** now");
    assert_masked("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AWS_SECRET_ACCESS_KEY=***");
    assert_masked("aws_session_token: \"IQoJb3JpZ2luX2Vj\", next", "aws_session_token: \"***\", next");
}

static void tokens_of_known_services_are_masked(void **state)
{
    (void)state;

    assert_masked("clone with ghp_0123456789abcdefghijABCDEFGHIJ012345 ok", "clone with *** ok");
    assert_masked("npm_abcdefghijklmnopqrstuvwxyz0123456789", "***");
    assert_masked("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N", "jwt ***");
    assert_masked("//npm.example.test/:_authToken=abc def", "//npm.example.test/:_authToken=*** def");
}

static void a_password_in_a_url_is_masked_and_the_host_stays(void **state)
{
    (void)state;

    assert_masked("connect postgres://shop:hunter2@db.example.test/shop failed",
                  "connect postgres://shop:***@db.example.test/shop failed");
}

static void an_authorization_header_is_masked(void **state)
{
    (void)state;

    assert_masked("Authorization: Bearer abc.def", "Authorization: Bearer ***");
    assert_masked("> authorization: Basic dXNlcjpwYXNz", "> authorization: Basic ***");
}

static void every_secret_of_a_line_is_masked(void **state)
{
    (void)state;

    assert_masked("password=a token=b API_KEY: c", "password=*** token=*** API_KEY: ***");
}

static void a_line_without_secrets_is_untouched(void **state)
{
    (void)state;

    assert_masked("npm ERR! Missing: bwip-js@4.5.1 from lock file", "npm ERR! Missing: bwip-js@4.5.1 from lock file");
    assert_masked("sha256:1111111111111111111111111111111111111111111111111111111111111111",
                  "sha256:1111111111111111111111111111111111111111111111111111111111111111");
    assert_masked("", "");
}

static void colours_and_control_characters_are_dropped(void **state)
{
    (void)state;

    assert_masked("\033[31mred\033[0m\n", "red");
    assert_masked("a\tb\x07"
                  "c",
                  "a b c");
    assert_masked("pass\033[1mword=\033[0mx", "password=***");
}

static void a_line_of_any_length_is_cut(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    char *line = arena_alloc(mem, 100000);
    (void)state;
    memset(line, 'x', 99999);

    assert_int_equal(strlen(log_mask(mem, line)), LOG_LINE_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials_of_aws_are_masked),
        cmocka_unit_test(tokens_of_known_services_are_masked),
        cmocka_unit_test(a_password_in_a_url_is_masked_and_the_host_stays),
        cmocka_unit_test(an_authorization_header_is_masked),
        cmocka_unit_test(every_secret_of_a_line_is_masked),
        cmocka_unit_test(a_line_without_secrets_is_untouched),
        cmocka_unit_test(colours_and_control_characters_are_dropped),
        cmocka_unit_test(a_line_of_any_length_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
