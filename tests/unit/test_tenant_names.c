/* Names made from an app's name: each fits its limit, and no two apps share one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/tenant/app.h"
#include "core/tenant/names.h"

enum { GENERATION_MAX = 999, DOMAIN_MAX = 105 };

static const char longest[] = "abcdefghijklmnopqrstuv";

static const char *target_group_1(struct arena *mem, const char *app)
{
    return name_target_group(mem, app, 1);
}

static const char *target_group_2(struct arena *mem, const char *app)
{
    return name_target_group(mem, app, 2);
}

static const char *target_group_last(struct arena *mem, const char *app)
{
    return name_target_group(mem, app, GENERATION_MAX);
}

static const char *source_key(struct arena *mem, const char *app)
{
    return name_source_key(mem, app, "0123456789012345678901234567890123456789012345678901234567890123");
}

static const char *host(struct arena *mem, const char *app)
{
    char domain[DOMAIN_MAX + 1];

    memset(domain, 'd', DOMAIN_MAX);
    domain[DOMAIN_MAX] = '\0';
    return name_host(mem, app, domain);
}

/* Names of one space are unique within it: a role never meets a target group. */
enum space { IAM_ROLE, ECR, LOGS, CODEBUILD_PROJECT, TARGET_GROUP, ECS_SERVICE, ECS_FAMILY, S3_KEY, SECRET, HOST };

static const struct kind {
    const char *(*make)(struct arena *mem, const char *app);
    enum space space;
    size_t limit;
} kinds[] = {
    { name_task_role, IAM_ROLE, 64 },
    { name_execution_role, IAM_ROLE, 64 },
    { name_build_role, IAM_ROLE, 64 },
    { name_repository, ECR, 256 },
    { name_log_group, LOGS, 512 },
    { name_build_project, CODEBUILD_PROJECT, 150 },
    { target_group_1, TARGET_GROUP, 32 },
    { target_group_2, TARGET_GROUP, 32 },
    { target_group_last, TARGET_GROUP, 32 },
    { name_service, ECS_SERVICE, 255 },
    { name_task_family, ECS_FAMILY, 255 },
    { source_key, S3_KEY, 1024 },
    { name_hook_secret, SECRET, 512 },
    { name_config_secret, SECRET, 512 },
    { host, HOST, 128 },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Apps whose names look like parts of one another's resources. */
static const char *const apps[] = { "a",           "a-1",     "a-1-1",       "a-2",          "a-999", "a-task",
                                    "a-task-task", "a-build", "a-execution", "a-build-task", "apps",  "config",
                                    "apps-config", "shop",    "shop-task",   "shop-1",       longest };
enum { APPS = sizeof apps / sizeof *apps };

static void the_longest_app_name_fits_every_name_made_from_it(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    (void)state;

    assert_int_equal(strlen(longest), APP_NAME_MAX);

    for (int i = 0; i < KINDS; i++)
        assert_true(strlen(kinds[i].make(mem, longest)) <= kinds[i].limit);
}

static void no_two_apps_share_a_name_within_a_space(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    const char *names[APPS * KINDS];
    (void)state;

    for (int i = 0; i < APPS * KINDS; i++)
        names[i] = kinds[i % KINDS].make(mem, apps[i / KINDS]);

    for (int i = 0; i < APPS * KINDS; i++)
        for (int j = 0; j < i; j++)
            if (kinds[i % KINDS].space == kinds[j % KINDS].space)
                assert_string_not_equal(names[i], names[j]);
}

static void one_app_s_prefix_in_the_bucket_is_no_other_s(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    const char *shop = name_source_key(mem, "shop", "abc");
    const char *shop_1 = name_source_key(mem, "shop-1", "abc");
    (void)state;

    assert_string_equal(shop, "tenants/shop/abc.zip");

    assert_int_not_equal(strncmp(shop_1, "tenants/shop/", strlen("tenants/shop/")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_app_name_fits_every_name_made_from_it),
        cmocka_unit_test(no_two_apps_share_a_name_within_a_space),
        cmocka_unit_test(one_app_s_prefix_in_the_bucket_is_no_other_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
