/* The step route: a target group and a rule of the app's own, whatever others have put on the listener. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/db/step_harness.h"

#define GROUP_1 "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/berth-shop-1/1111111111111111"
#define GROUP_2 "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/berth-shop-2/2222222222222222"
#define RULE_1 "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener-rule/app/berth/0/0/1111111111111111"
#define RULE_2 "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener-rule/app/berth/0/0/2222222222222222"
#define SECOND_LISTENER STEP_LISTENER "2"

#define GROUP_XML(arn, vpc)                                                                                            \
    "<TargetGroups><member><TargetGroupArn>" arn "</TargetGroupArn><VpcId>" vpc "</VpcId><TargetType>ip</TargetType>"  \
    "</member></TargetGroups>"
#define TAGS_XML(app)                                                                                                  \
    "<TagDescriptions><member><Tags><member><Key>berth:app</Key><Value>" app                                           \
    "</Value></member></Tags></member></TagDescriptions>"
#define RULE_XML(arn, priority, host)                                                                                  \
    "<member><RuleArn>" arn "</RuleArn><Priority>" priority                                                            \
    "</Priority><Conditions><member><Field>host-header</Field>"                                                        \
    "<HostHeaderConfig><Values><member>" host "</member></Values></HostHeaderConfig></member></Conditions></member>"
#define DEFAULT_RULE "<member><RuleArn>default</RuleArn><Priority>default</Priority><Conditions/></member>"

static const char no_rules[] = "<Rules>" DEFAULT_RULE "</Rules>";
static const char created_rule[] = "<Rules>" RULE_XML(RULE_1, "1", "shop.apps.example.test") "</Rules>";

static int run_route(struct step_harness *h, struct err *e)
{
    enum step_answer answer = STEP_WAIT;

    *e = (struct err){ 0 };
    if (route_ensure(&h->run, &answer, e))
        return e->code;
    assert_int_equal(answer, STEP_DONE);
    return 0;
}

static void expect_new_group(struct step_harness *h)
{
    step_refuse(h, "DescribeTargetGroups", "berth-shop-1", "TargetGroupNotFound",
                "One or more target groups not found");
    step_expect(h, "CreateTargetGroup", "berth-shop-1", GROUP_XML(GROUP_1, "vpc-1"));
    step_expect(h, "ModifyTargetGroupAttributes", "deregistration_delay", "");
}

static void expect_all_new(struct step_harness *h)
{
    expect_new_group(h);
    step_expect(h, "DescribeRules", NULL, no_rules);
    step_expect(h, "CreateRule", "Priority=1&", created_rule);
}

static void a_target_group_of_another_app_is_refused(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    step_expect(&h, "DescribeTargetGroups", "berth-shop-1", GROUP_XML(GROUP_1, "vpc-1"));
    step_expect(&h, "DescribeTags", NULL, TAGS_XML("blog"));

    assert_int_equal(run_route(&h, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "target group berth-shop-1 exists, but it is tagged berth:app=blog"));
    step_close(&h);
}

static void a_rule_for_our_host_that_is_not_ours_is_refused(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    step_reload(&h, 7);
    expect_new_group(&h);
    step_expect(&h, "DescribeRules", NULL,
                "<Rules>" RULE_XML(RULE_2, "40", "Shop.Apps.Example.Test") DEFAULT_RULE "</Rules>");
    step_expect(&h, "DescribeTags", NULL, "<TagDescriptions><member><Tags/></member></TagDescriptions>");

    assert_int_equal(run_route(&h, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "listener rule for shop.apps.example.test"));
    assert_non_null(strstr(e.message, RULE_2));
    step_close(&h);
}

static void a_taken_priority_is_marked_foreign_and_the_next_one_used(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_new_group(&h);
    step_expect(&h, "DescribeRules", NULL,
                "<Rules>" RULE_XML(RULE_2, "1", "old.example.test") RULE_XML(RULE_2, "2", "older.example.test")
                    DEFAULT_RULE "</Rules>");
    step_expect(&h, "CreateRule", "Priority=3&", created_rule);

    assert_int_equal(run_route(&h, &e), 0);

    assert_true(step_holds(
        &h,
        "(SELECT array_agg(priority ORDER BY priority) = '{1,2}' FROM berth.listener_slots WHERE app_name IS NULL)"));
    assert_true(step_holds(&h, "(SELECT priority = 3 FROM berth.listener_slots WHERE app_name = 'shop')"));
    step_close(&h);
}

static void a_priority_taken_in_between_is_looked_at_again(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_new_group(&h);
    step_expect(&h, "DescribeRules", NULL, no_rules);
    step_refuse(&h, "CreateRule", "Priority=1&", "PriorityInUse", "Priority '1' is currently in use");
    step_expect(&h, "DescribeRules", NULL,
                "<Rules>" RULE_XML(RULE_2, "1", "other.example.test") DEFAULT_RULE "</Rules>");
    step_expect(&h, "CreateRule", "Priority=2&", created_rule);

    assert_int_equal(run_route(&h, &e), 0);
    step_close(&h);
}

static void a_rule_whose_answer_was_lost_is_found_by_its_host(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_new_group(&h);
    step_expect(&h, "DescribeRules", NULL, no_rules);
    step_lose(&h, "CreateRule", "Priority=1&");
    step_expect(&h, "DescribeRules", NULL, created_rule);
    step_expect(&h, "DescribeTags", NULL, TAGS_XML("shop"));
    step_expect(&h, "ModifyRule", NULL, "");

    assert_int_equal(run_route(&h, &e), ERR_TRANSIENT);
    step_reload(&h, 2);

    assert_int_equal(run_route(&h, &e), 0);
    assert_true(step_holds(&h, "(SELECT arn = '" RULE_1 "' FROM berth.resources WHERE kind = 'listener_rule')"));
    assert_true(step_holds(&h, "(SELECT count(*) = 1 FROM berth.listener_slots)"));
    step_close(&h);
}

static void full_listeners_are_a_quota_with_figures(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_new_group(&h);
    step_sql(&h, "INSERT INTO berth.listener_slots (listener_arn, priority) SELECT '" STEP_LISTENER
                 "', generate_series(1, 90)");

    assert_int_equal(run_route(&h, &e), ERR_QUOTA);

    assert_non_null(strstr(e.message, "90 of 90"));
    assert_non_null(strstr(e.hint, "[platform] listeners"));
    step_close(&h);
}

static void a_full_listener_leaves_the_next_one(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    h.listeners[1] = SECOND_LISTENER;
    h.settings.listeners.count = 2;
    step_sql(&h, "INSERT INTO berth.listener_slots (listener_arn, priority) SELECT '" STEP_LISTENER
                 "', generate_series(1, 90)");
    expect_new_group(&h);
    step_expect(&h, "DescribeRules", NULL, no_rules);
    step_expect(&h, "CreateRule", "Priority=1&", created_rule);

    assert_int_equal(run_route(&h, &e), 0);

    assert_true(step_asked(&h, 4, "ListenerArn=" SECOND_LISTENER "&"));
    step_close(&h);
}

static void a_first_route_is_five_calls(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_all_new(&h);

    assert_int_equal(run_route(&h, &e), 0);

    assert_true(step_asked(&h, 1, "HealthCheckPath=/healthz&"));
    assert_true(step_asked(&h, 1, "Tags.member.1.Key=berth:app&Tags.member.1.Value=shop"));
    assert_true(step_asked(&h, 2, "Attributes.member.1.Value=30"));
    assert_true(step_asked(&h, 4, "Conditions.member.1.HostHeaderConfig.Values.member.1=shop.apps.example.test"));
    assert_true(step_asked(&h, 4, "Tags.member.1.Value=shop"));
    step_close(&h);
}

static void an_unchanged_route_asks_aws_for_nothing(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_all_new(&h);
    assert_int_equal(run_route(&h, &e), 0);
    step_reload(&h, 1);

    assert_int_equal(run_route(&h, &e), 0);

    assert_int_equal(fake_count(h.fake), 5);
    step_close(&h);
}

static void another_port_changes_no_route(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_all_new(&h);
    assert_int_equal(run_route(&h, &e), 0);
    step_sql(&h, "UPDATE berth.apps SET port = 3000");
    step_reload(&h, 1);

    assert_int_equal(run_route(&h, &e), 0);
    step_close(&h);
}

static void another_health_check_changes_the_target_group_alone(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_all_new(&h);
    assert_int_equal(run_route(&h, &e), 0);
    step_sql(&h, "UPDATE berth.apps SET health_check_path = '/ready'");
    step_reload(&h, 1);
    step_expect(&h, "DescribeTargetGroups", "berth-shop-1", GROUP_XML(GROUP_1, "vpc-1"));
    step_expect(&h, "DescribeTags", NULL, TAGS_XML("shop"));
    step_expect(&h, "ModifyTargetGroup", "HealthCheckPath=%2Fready", "");
    step_expect(&h, "ModifyTargetGroupAttributes", NULL, "");

    assert_int_equal(run_route(&h, &e), 0);
    step_close(&h);
}

static void another_vpc_makes_the_next_generation_and_moves_the_rule(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_all_new(&h);
    assert_int_equal(run_route(&h, &e), 0);
    h.settings.vpc = "vpc-2";
    step_expect(&h, "DescribeTargetGroups", "berth-shop-1", GROUP_XML(GROUP_1, "vpc-1"));
    step_expect(&h, "DescribeTags", NULL, TAGS_XML("shop"));
    step_refuse(&h, "DescribeTargetGroups", "berth-shop-2", "TargetGroupNotFound", "not found");
    step_expect(&h, "CreateTargetGroup", "berth-shop-2", GROUP_XML(GROUP_2, "vpc-2"));
    step_expect(&h, "ModifyTargetGroupAttributes", NULL, "");
    step_expect(&h, "ModifyRule", "2222222222222222", "");

    assert_int_equal(run_route(&h, &e), 0);

    assert_true(step_holds(&h, "(SELECT name = 'berth-shop-2' FROM berth.resources WHERE kind = 'target_group')"));
    step_close(&h);
}

static void a_rule_that_somebody_deleted_is_made_again(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_all_new(&h);
    assert_int_equal(run_route(&h, &e), 0);
    h.settings.domain = "apps.example.org";
    step_refuse(&h, "ModifyRule", "shop.apps.example.org", "RuleNotFound", "One or more rules not found");
    step_expect(&h, "DescribeRules", NULL, no_rules);
    step_expect(&h, "CreateRule", "Priority=1&", "<Rules>" RULE_XML(RULE_2, "1", "shop.apps.example.org") "</Rules>");

    assert_int_equal(run_route(&h, &e), 0);

    assert_true(step_holds(&h, "(SELECT arn = '" RULE_2 "' FROM berth.resources WHERE kind = 'listener_rule')"));
    step_close(&h);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_group_of_another_app_is_refused),
        cmocka_unit_test(a_rule_for_our_host_that_is_not_ours_is_refused),
        cmocka_unit_test(a_taken_priority_is_marked_foreign_and_the_next_one_used),
        cmocka_unit_test(a_priority_taken_in_between_is_looked_at_again),
        cmocka_unit_test(a_rule_whose_answer_was_lost_is_found_by_its_host),
        cmocka_unit_test(full_listeners_are_a_quota_with_figures),
        cmocka_unit_test(a_full_listener_leaves_the_next_one),
        cmocka_unit_test(a_first_route_is_five_calls),
        cmocka_unit_test(an_unchanged_route_asks_aws_for_nothing),
        cmocka_unit_test(another_port_changes_no_route),
        cmocka_unit_test(another_health_check_changes_the_target_group_alone),
        cmocka_unit_test(another_vpc_makes_the_next_generation_and_moves_the_rule),
        cmocka_unit_test(a_rule_that_somebody_deleted_is_made_again),
    };
    (void)argc;

    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
