/* What berth stands on, checked before a worker begins: everything that is wrong is told at once, each with what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/deploy/worker.h"
#include "tests/unit/support_transport.h"

#define BOUNDARY "arn:aws:iam::123456789012:policy/berth-boundary"

static const char *listeners[] = { "arn:listener-1" };
static const char *subnets[] = { "subnet-a", "subnet-b" };
static const struct settings settings = { .cluster = "berth",
                                          .bucket = "sources",
                                          .vpc = "vpc-1",
                                          .subnets = { subnets, 2 },
                                          .security_group = "sg-1",
                                          .listeners = { listeners, 1 },
                                          .permissions_boundary = BOUNDARY };

/* What each part answers; a test changes what it is about. */
struct parts {
    const char *account, *cluster_status, *versioning, *protocol, *listener_vpc, *zone_b, *subnet_vpc, *group_vpc;
    bool lacks_listener, lacks_subnet, lacks_group, lacks_boundary, lacks_bucket;
};
static const struct parts good = { "123456789012",  "ACTIVE", "Enabled", "HTTPS", "vpc-1",
                                   "eu-central-1b", "vpc-1",  "vpc-1",   false,   false,
                                   false,           false,    false };

static void answer(struct fake_transport *fake, struct arena *mem, const char *url, bool lacks, const char *code,
                   const char *body)
{
    fake_expect(fake, NULL, url, NULL);
    if (lacks)
        fake_reply(fake, 400, NULL,
                   arena_printf(mem,
                                "<ErrorResponse><Error><Code>%s</Code><Message>no</Message></Error></ErrorResponse>",
                                code));
    else
        fake_reply(fake, 200, NULL, body);
}

static void script_network(struct fake_transport *fake, struct arena *mem, const struct parts *parts)
{
    static const char subnet[] =
        "<R><subnetSet><item><vpcId>%s</vpcId><availabilityZone>%s</availabilityZone></item></subnetSet></R>";

    answer(fake, mem, "https://ec2.*", parts->lacks_subnet, "InvalidSubnetID.NotFound",
           arena_printf(mem, subnet, parts->subnet_vpc, "eu-central-1a"));
    answer(fake, mem, "https://ec2.*", false, NULL, arena_printf(mem, subnet, "vpc-1", parts->zone_b));
    answer(fake, mem, "https://ec2.*", parts->lacks_group, "InvalidGroup.NotFound",
           arena_printf(mem, "<R><securityGroupInfo><item><vpcId>%s</vpcId></item></securityGroupInfo></R>",
                        parts->group_vpc));
}

static void script(struct fake_transport *fake, struct arena *mem, const struct parts *parts)
{
    answer(fake, mem, "https://sts.*", false, NULL,
           arena_printf(mem, "<R><GetCallerIdentityResult><Account>%s</Account></GetCallerIdentityResult></R>",
                        parts->account));
    fake_expect(fake, "POST", "https://ecs.*", "berth");
    fake_reply(fake, 200, NULL, arena_printf(mem, "{\"clusters\":[{\"status\":\"%s\"}]}", parts->cluster_status));
    fake_expect(fake, "GET", "https://sources.s3.*versioning*", NULL);
    if (parts->lacks_bucket)
        fake_reply(fake, 404, NULL, "<Error><Code>NoSuchBucket</Code><Message>no</Message></Error>");
    else
        fake_reply(fake, 200, NULL,
                   arena_printf(mem, "<VersioningConfiguration><Status>%s</Status></VersioningConfiguration>",
                                parts->versioning));
    answer(fake, mem, "https://elasticloadbalancing.*", parts->lacks_listener, "ListenerNotFound",
           arena_printf(mem,
                        "<R><DescribeListenersResult><Listeners><member><Protocol>%s</Protocol><LoadBalancerArn>arn:lb"
                        "</LoadBalancerArn></member></Listeners></DescribeListenersResult></R>",
                        parts->protocol));
    if (!parts->lacks_listener)
        answer(fake, mem, "https://elasticloadbalancing.*", false, NULL,
               arena_printf(
                   mem,
                   "<R><DescribeLoadBalancersResult><LoadBalancers><member><VpcId>%s</VpcId></member></LoadBalancers>"
                   "</DescribeLoadBalancersResult></R>",
                   parts->listener_vpc));
    script_network(fake, mem, parts);
    answer(fake, mem, "https://iam.*", parts->lacks_boundary, "NoSuchEntity", "<R><GetPolicyResult/></R>");
}

static struct aws *aws_over(struct fake_transport *fake)
{
    struct aws_options options = { .region = "eu-central-1", .transport = fake_http(fake), .tries = 1 };
    struct aws *aws = NULL;
    struct err e = { 0 };

    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-secret", 1);
    unsetenv("AWS_ENDPOINT_URL");
    assert_int_equal(aws_new(&options, &aws, &e), 0);
    return aws;
}

static int check(const struct parts *parts, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct fake_transport *fake = fake_new();
    struct aws *aws = aws_over(fake);
    int failure;

    *e = (struct err){ 0 };
    script(fake, mem, parts);
    failure = platform_check(aws, &settings, e);
    fake_done(fake);
    aws_free(aws);
    fake_free(fake);
    return failure;
}

static void refuses(const struct parts *parts, const char *why)
{
    struct err e;

    assert_int_equal(check(parts, &e), ERR_INVALID);
    if (!strstr(e.message, why))
        fail_msg("\"%s\" does not say \"%s\"", e.message, why);
}

static void credentials_of_another_account_are_told(void **state)
{
    struct parts parts = good;
    (void)state;
    parts.account = "210987654321";

    refuses(&parts, "The credentials are of account 210987654321, but [platform] names things of account 123456789012");
}

static void a_cluster_that_is_not_active_is_told(void **state)
{
    struct parts parts = good;
    (void)state;
    parts.cluster_status = "INACTIVE";

    refuses(&parts, "ECS cluster berth is INACTIVE: create it, or name another in [platform] cluster.");
}

static void a_bucket_without_versions_is_told(void **state)
{
    struct parts parts = good;
    (void)state;
    parts.versioning = "Suspended";

    refuses(&parts, "Bucket sources is not versioned: enable versioning");
}

static void a_bucket_that_is_not_there_is_told(void **state)
{
    struct parts parts = good;
    (void)state;
    parts.lacks_bucket = true;

    refuses(&parts, "Bucket sources is not there");
}

static void a_listener_that_speaks_http_is_told(void **state)
{
    struct parts parts = good;
    (void)state;
    parts.protocol = "HTTP";

    refuses(&parts, "Listener arn:listener-1 speaks HTTP");
}

static void a_listener_in_another_network_is_told(void **state)
{
    struct parts parts = good;
    (void)state;
    parts.listener_vpc = "vpc-9";

    refuses(&parts, "Listener arn:listener-1 is in vpc-9");
}

static void subnets_of_one_zone_are_told(void **state)
{
    struct parts parts = good;
    (void)state;
    parts.zone_b = "eu-central-1a";

    refuses(&parts, "All subnets are in eu-central-1a");
}

static void everything_that_is_missing_is_told_at_once(void **state)
{
    struct parts parts = good;
    struct err e;
    (void)state;
    parts.lacks_listener = parts.lacks_subnet = parts.lacks_group = parts.lacks_boundary = true;

    assert_int_equal(check(&parts, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "(1) Listener arn:listener-1 is not there"));
    assert_non_null(strstr(e.message, "(2) Subnet subnet-a is not there"));
    assert_non_null(strstr(e.message, "(3) Security group sg-1 is not there"));
    assert_non_null(strstr(e.message, "(4) Managed policy " BOUNDARY " is not there"));
}

static void a_missing_permission_is_an_error_of_its_own(void **state)
{
    struct fake_transport *fake = fake_new();
    struct aws *aws = aws_over(fake);
    struct err e = { 0 };
    (void)state;
    fake_expect(fake, "POST", "https://sts.*", NULL);
    fake_reply(fake, 403, NULL,
               "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>");

    assert_int_equal(platform_check(aws, &settings, &e), ERR_DENIED);

    assert_non_null(strstr(e.message, "What berth stands on can't be checked"));
    fake_done(fake);
    aws_free(aws);
    fake_free(fake);
}

static void a_platform_as_named_passes(void **state)
{
    struct err e;
    (void)state;

    assert_int_equal(check(&good, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials_of_another_account_are_told),
        cmocka_unit_test(a_cluster_that_is_not_active_is_told),
        cmocka_unit_test(a_bucket_without_versions_is_told),
        cmocka_unit_test(a_bucket_that_is_not_there_is_told),
        cmocka_unit_test(a_listener_that_speaks_http_is_told),
        cmocka_unit_test(a_listener_in_another_network_is_told),
        cmocka_unit_test(subnets_of_one_zone_are_told),
        cmocka_unit_test(everything_that_is_missing_is_told_at_once),
        cmocka_unit_test(a_missing_permission_is_an_error_of_its_own),
        cmocka_unit_test(a_platform_as_named_passes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
