/* The installation's options: what is wrong is refused with its name, what is missing is listed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/deploy/settings.h"

#define LISTENER                                                                                                       \
    "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/berth/50dc6c495c0c9188/f2f7dc8efc522ab2"

static int forget_environment(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_count; i++)
        unsetenv(settings_table[i].environment);
    unsetenv("BERTH_CONFIG");
    return 0;
}

static int load_with(const char *name, const char *value, struct loaded_settings *out, struct arena *mem, struct err *e)
{
    int code;

    setenv(name, value, 1);
    code = settings_load(NULL, mem, out, e);
    unsetenv(name);
    return code;
}

static void a_value_of_the_wrong_shape_is_refused_with_its_name(void **state)
{
    static const struct {
        const char *name, *value, *named;
    } bad[] = {
        { "BERTH_PLATFORM_DOMAIN", "apps", "domain" },
        { "BERTH_PLATFORM_DOMAIN", "Apps.example.com", "domain" },
        { "BERTH_PLATFORM_DOMAIN", "apps..example.com", "domain" },
        { "BERTH_PLATFORM_DOMAIN", "-a.example.com", "domain" },
        { "BERTH_PLATFORM_DOMAIN", "apps.example.com.", "domain" },
        { "BERTH_PLATFORM_DOMAIN",
          "a234567890123456789012345678901234567890.a234567890123456789012345678901234567890.a2345678901234567890.com."
          "eu",
          "domain" },
        { "BERTH_PLATFORM_CLUSTER", "my cluster", "cluster" },
        { "BERTH_PLATFORM_BUCKET", "My_Bucket", "bucket" },
        { "BERTH_PLATFORM_VPC", "sg-0123456789abcdef0", "vpc" },
        { "BERTH_PLATFORM_VPC", "vpc-123", "vpc" },
        { "BERTH_PLATFORM_SECURITY_GROUP", "sg-0123456789abcdefg", "security_group" },
        { "BERTH_PLATFORM_SUBNETS", "subnet-0123456789abcdef0,subnet-x", "subnets" },
        { "BERTH_PLATFORM_LISTENERS", "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/b/1",
          "listeners" },
        { "BERTH_PLATFORM_LISTENERS", LISTENER "," LISTENER, "twice" },
        { "BERTH_PLATFORM_LISTENERS", "arn:aws:elasticloadbalancing::123456789012:listener/app/b/1/2", "listeners" },
        { "BERTH_PLATFORM_PERMISSIONS_BOUNDARY", "arn:aws:iam::123456789012:role/x", "permissions_boundary" },
        { "BERTH_PLATFORM_PERMISSIONS_BOUNDARY", "berth-boundary", "permissions_boundary" },
        { "BERTH_PLATFORM_LOG_RETENTION_DAYS", "31", "log_retention_days" },
        { "BERTH_PLATFORM_BUILD_COMPUTE", "SMALL", "build_compute" },
        { "BERTH_PLATFORM_BUILD_IMAGE", "a b", "build_image" },
        { "BERTH_AWS_REGION", "EU Central", "region" },
        { "BERTH_GITHUB_API_URL", "https://api.github.com/", "api_url" },
        { "BERTH_GITHUB_API_URL", "http://ghe.example.com/api/v3", "https" },
        { "BERTH_GITHUB_API_URL", "https://user:pw@api.github.com", "api_url" },
        { "BERTH_GITHUB_API_URL", "http://127.0.0.1.example.com", "https" },
        { "BERTH_GITHUB_TOKEN_SECRET", "has space", "token_secret" },
        { "BERTH_HOOKS_URL", "berth.example.com", "url" },
        { "BERTH_HOOKS_BODY_MAX", "26214401", "BODY_MAX" },
        { "BERTH_WORKER_LEASE_S", "1", "LEASE_S" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        AUTO_ARENA struct arena *mem = arena_new();
        struct loaded_settings got = { 0 };
        struct err e = { 0 };
        if (load_with(bad[i].name, bad[i].value, &got, mem, &e) != ERR_INVALID || !strstr(e.message, bad[i].named))
            fail_msg("%s=%s gave %d: %s", bad[i].name, bad[i].value, e.code, e.message);
    }
}

static void values_as_aws_gives_them_are_taken(void **state)
{
    static const char *const good[][2] = {
        { "BERTH_PLATFORM_DOMAIN", "apps.example.com" },
        { "BERTH_PLATFORM_VPC", "vpc-0123456789abcdef0" },
        { "BERTH_PLATFORM_VPC", "vpc-1234abcd" },
        { "BERTH_PLATFORM_SUBNETS", "subnet-0123456789abcdef0, subnet-0123456789abcdef1" },
        { "BERTH_PLATFORM_LISTENERS", LISTENER },
        { "BERTH_PLATFORM_PERMISSIONS_BOUNDARY", "arn:aws:iam::123456789012:policy/berth/boundary" },
        { "BERTH_PLATFORM_PERMISSIONS_BOUNDARY", "arn:aws-cn:iam::aws:policy/PowerUserAccess" },
        { "BERTH_GITHUB_API_URL", "https://ghe.example.com/api/v3" },
        { "BERTH_GITHUB_API_URL", "http://127.0.0.1:8080" },
        { "BERTH_GITHUB_API_URL", "http://github.localhost:8080" },
        { "BERTH_GITHUB_TOKEN_SECRET", "berth/github-token" },
        { "BERTH_HOOKS_URL", "https://berth.example.com" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        AUTO_ARENA struct arena *mem = arena_new();
        struct loaded_settings got = { 0 };
        struct err e = { 0 };
        if (load_with(good[i][0], good[i][1], &got, mem, &e))
            fail_msg("%s=%s: %s", good[i][0], good[i][1], e.message);
    }
}

static void a_connection_string_is_never_shown(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct loaded_settings got = { 0 };
    struct err e = { 0 };
    int shown = 0;
    (void)state;

    assert_int_equal(load_with("BERTH_DATABASE_WORKER", "host=db password=hunter2", &got, mem, &e), 0);

    assert_string_equal(got.settings.database_worker, "host=db password=hunter2");
    for (size_t i = 0; i < settings_count; i++)
        if (got.values[i].text && strstr(got.values[i].text, "hunter2"))
            shown++;
    assert_int_equal(shown, 0);
}

static void a_file_s_values_and_their_lines_are_known(void **state)
{
    char path[] = "/tmp/berth-settings-XXXXXX";
    static const char text[] = "[worker]\nthreads = 7\n\n[platform]\ndomain = apps.example.com\n";
    AUTO_ARENA struct arena *mem = arena_new();
    struct loaded_settings got = { 0 };
    struct err e = { 0 };
    int fd = mkstemp(path);
    (void)state;
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    setenv("BERTH_CONFIG", path, 1);

    int code = settings_load(NULL, mem, &got, &e);
    unlink(path);

    assert_int_equal(code, 0);
    assert_string_equal(got.path, path);
    assert_int_equal(got.settings.worker_threads, 7);
    assert_int_equal(got.settings.worker_lease_s, 30);
    assert_string_equal(got.settings.domain, "apps.example.com");
}

static void everything_missing_of_the_platform_is_listed_at_once(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct loaded_settings got = { 0 };
    struct err e = { 0 };
    (void)state;
    assert_int_equal(load_with("BERTH_PLATFORM_DOMAIN", "apps.example.com", &got, mem, &e), 0);

    assert_int_equal(settings_require_platform(&got.settings, &e), ERR_INVALID);

    assert_non_null(
        strstr(e.message, "cluster, bucket, vpc, subnets, security_group, listeners, permissions_boundary"));
    assert_null(strstr(e.message, "domain"));
}

static void every_option_can_be_set_by_its_environment_name(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    (void)state;

    for (size_t i = 0; i < settings_count; i++) {
        const struct config_option *option = &settings_table[i];
        char *expected = arena_printf(mem, "BERTH_%s_%s", option->section, option->key);
        for (char *c = expected; *c; c++)
            if (*c >= 'a' && *c <= 'z')
                *c = (char)(*c - 'a' + 'A');
        assert_string_equal(option->environment, expected);
        assert_true(option->help && option->help[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_value_of_the_wrong_shape_is_refused_with_its_name, forget_environment),
        cmocka_unit_test_setup(values_as_aws_gives_them_are_taken, forget_environment),
        cmocka_unit_test_setup(a_connection_string_is_never_shown, forget_environment),
        cmocka_unit_test_setup(a_file_s_values_and_their_lines_are_known, forget_environment),
        cmocka_unit_test_setup(everything_missing_of_the_platform_is_listed_at_once, forget_environment),
        cmocka_unit_test_setup(every_option_can_be_set_by_its_environment_name, forget_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
