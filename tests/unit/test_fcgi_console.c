/* Links to AWS's console: by kind, region and partition; none for what is no ARN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fcgi/admin_app.h"

#define ACCOUNT ":eu-central-1:123456789012:"

static const char *url(struct arena *mem, const char *kind, const char *name, const char *arn)
{
    return console_url(&(struct resource_row){ kind, name, arn }, mem);
}

static void each_kind_of_resource_has_its_place_in_the_console(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();

    (void)state;
    assert_string_equal(url(mem, "service", "berth-shop", "arn:aws:ecs" ACCOUNT "service/main/berth-shop"),
                        "https://eu-central-1.console.aws.amazon.com/ecs/v2/clusters/main/services/berth-shop/"
                        "health?region=eu-central-1");
    assert_string_equal(url(mem, "repository", "berth/shop", "arn:aws:ecr" ACCOUNT "repository/berth/shop"),
                        "https://eu-central-1.console.aws.amazon.com/ecr/repositories/private/123456789012/"
                        "berth%2Fshop?region=eu-central-1");
    assert_string_equal(url(mem, "build_project", "berth-shop", "arn:aws:codebuild" ACCOUNT "project/berth-shop"),
                        "https://eu-central-1.console.aws.amazon.com/codesuite/codebuild/123456789012/projects/"
                        "berth-shop/history?region=eu-central-1");
    assert_string_equal(url(mem, "log_group", "/berth/shop", "arn:aws:logs" ACCOUNT "log-group:/berth/shop"),
                        "https://eu-central-1.console.aws.amazon.com/cloudwatch/"
                        "home?region=eu-central-1#logsV2:log-groups/log-group/%252Fberth%252Fshop");
    assert_string_equal(
        url(mem, "target_group", "n", "arn:aws:elasticloadbalancing" ACCOUNT "targetgroup/n/1"),
        "https://eu-central-1.console.aws.amazon.com/ec2/home?region=eu-central-1#TargetGroup:targetGroupArn="
        "arn%3Aaws%3Aelasticloadbalancing%3Aeu-central-1%3A123456789012%3Atargetgroup%2Fn%2F1");
    assert_string_equal(
        url(mem, "listener_rule", "n", "arn:aws:elasticloadbalancing" ACCOUNT "listener-rule/app/n/1"),
        "https://eu-central-1.console.aws.amazon.com/ec2/home?region=eu-central-1#ListenerRuleDetails:ruleArn="
        "arn%3Aaws%3Aelasticloadbalancing%3Aeu-central-1%3A123456789012%3Alistener-rule%2Fapp%2Fn%2F1");
}

static void roles_have_no_region(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();

    (void)state;
    assert_string_equal(
        url(mem, "task_role", "berth-shop-task", "arn:aws:iam::123456789012:role/berth/berth-shop-task"),
        "https://console.aws.amazon.com/iam/home#/roles/details/berth-shop-task");
}

static void other_partitions_have_other_consoles(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();

    (void)state;
    assert_string_equal(
        url(mem, "service", "s", "arn:aws-cn:ecs:cn-north-1:1:service/c/s"),
        "https://cn-north-1.console.amazonaws.cn/ecs/v2/clusters/c/services/s/health?region=cn-north-1");
    assert_string_equal(url(mem, "build_role", "r", "arn:aws-us-gov:iam::1:role/r"),
                        "https://console.amazonaws-us-gov.com/iam/home#/roles/details/r");
}

static void what_is_no_arn_or_of_a_kind_or_partition_not_known_has_no_link(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    static const char *const arns[] = { "",
                                        "arn",
                                        "arn:aws:ecs:eu-central-1:1",
                                        "arn:aws:ecs:eu-central-1:1:",
                                        "arn:elsewhere:ecs:eu-central-1:1:service/c/s",
                                        "javascript:a:b:c:d:e",
                                        "arn:aws:ecs::1:service/c/s" };

    (void)state;
    for (size_t i = 0; i < sizeof arns / sizeof *arns; i++)
        assert_string_equal(url(mem, "service", "s", arns[i]), "");
    assert_string_equal(url(mem, "volume", "v", "arn:aws:ec2" ACCOUNT "volume/v"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_resource_has_its_place_in_the_console),
        cmocka_unit_test(roles_have_no_region),
        cmocka_unit_test(other_partitions_have_other_consoles),
        cmocka_unit_test(what_is_no_arn_or_of_a_kind_or_partition_not_known_has_no_link),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
