/* One call in each protocol: what is sent, where, and what of the reply is handed on. */
#include "core/aws/client.h"
#include "tests/unit/aws_fixture.h"

#define QUERY_REPLY(operation, inner)                                                                                  \
    "<" operation "Response><" operation "Result>" inner "</" operation                                                \
    "Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></" operation "Response>"

/* Sends ask and gives the reply back as text; fails the test unless it is a success. */
static const char *call(struct aws_fixture *f, const struct aws_service *service, const char *operation,
                        json_object *ask)
{
    AUTO_JSON json_object *owned = ask;
    AUTO_JSON json_object *reply = NULL;

    if (aws_call(f->aws, service, operation, owned, &reply, &f->e))
        fail_msg("%s", f->e.message);
    return json_to_text(reply, f->mem);
}

static void expect(struct aws_fixture *f, const char *url, const char *body_part, const char *reply)
{
    fake_expect(f->fake, "POST", url, body_part);
    fake_reply(f->fake, 200, NULL, reply);
}

static void missing_credentials_are_named(void **state)
{
    static const char *const names[] = { "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY" };
    struct aws_fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        aws_fixture_environment();
        setenv(names[i], "", 1);
        assert_int_equal(aws_fixture_open(f, "eu-west-1"), ERR_INVALID);
        assert_non_null(strstr(f->e.message, names[i]));
        assert_true(f->e.hint[0]);
    }
}

static void a_missing_or_odd_region_is_refused(void **state)
{
    static const char *const odd[] = { "eu west", "eu-west-1.evil.example", "EU-WEST-1", "a@b",
                                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
    struct aws_fixture *f = *state;

    assert_int_equal(aws_fixture_open(f, NULL), ERR_INVALID);
    assert_non_null(strstr(f->e.hint, "AWS_REGION"));
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_int_equal(aws_fixture_open(f, odd[i]), ERR_INVALID);
}

static void the_region_comes_from_the_environment_when_not_given(void **state)
{
    struct aws_fixture *f = *state;

    setenv("AWS_DEFAULT_REGION", "us-west-2", 1);
    assert_int_equal(aws_fixture_open(f, NULL), 0);
    assert_string_equal(aws_region(f->aws), "us-west-2");

    setenv("AWS_REGION", "eu-north-1", 1);
    assert_int_equal(aws_fixture_open(f, NULL), 0);
    assert_string_equal(aws_region(f->aws), "eu-north-1");
}

static void a_wrong_endpoint_address_is_refused_at_the_start_and_named(void **state)
{
    static const char *const wrong[] = { "127.0.0.1:5000",         "ftp://host",       "http://",
                                         "https://user:pass@host", "http://host/?a=b", "http://host x",
                                         "http://127.0.0.1:" };
    struct aws_fixture *f = *state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("AWS_ENDPOINT_URL_ECS", wrong[i], 1);
        assert_int_equal(aws_fixture_open(f, "eu-west-1"), ERR_INVALID);
        assert_non_null(strstr(f->e.message, "AWS_ENDPOINT_URL_ECS"));
        assert_null(strstr(f->e.message, "pass"));
    }
    unsetenv("AWS_ENDPOINT_URL_ECS");
}

static void a_reply_that_cannot_be_read_is_transient(void **state)
{
    struct aws_fixture *f = *state;
    expect(f, NULL, NULL, "{\"half\":");
    expect(f, NULL, NULL, "<GetRoleResponse><GetRoleRes");

    assert_int_equal(aws_fixture_call(f, &ECS, "X"), ERR_TRANSIENT);
    assert_non_null(strstr(f->e.message, "ecs X"));
    assert_int_equal(aws_fixture_call(f, &IAM, "GetRole"), ERR_TRANSIENT);

    fake_done(f->fake);
}

static void a_rest_service_is_no_business_of_aws_call(void **state)
{
    struct aws_fixture *f = *state;

    assert_int_equal(aws_fixture_call(f, &S3, "ListBuckets"), ERR_INTERNAL);
}

static void parameters_deeper_than_any_service_has_are_refused(void **state)
{
    struct aws_fixture *f = *state;
    AUTO_JSON json_object *ask = json_build("{s:s}", "A", "b");
    for (int i = 0; i < JSON_DEPTH_MAX + 2; i++)
        ask = json_build("{s:o}", "A", ask);

    assert_int_equal(aws_call(f->aws, &IAM, "X", ask, NULL, &f->e), ERR_INVALID);

    fake_done(f->fake);
}

static void a_json_call_has_target_type_and_body(void **state)
{
    struct aws_fixture *f = *state;
    expect(f, "https://ecs.eu-west-1.amazonaws.com/", NULL, "{\"services\":[]}");

    const char *reply = call(f, &ECS, "DescribeServices", json_build("{s:s}", "cluster", "main"));

    assert_string_equal(reply, "{\"services\":[]}");
    assert_string_equal(fake_body(f->fake, 0), "{\"cluster\":\"main\"}");
    assert_string_equal(fake_header(f->fake, 0, "x-amz-target"), "AmazonEC2ContainerServiceV20141113.DescribeServices");
    assert_string_equal(fake_header(f->fake, 0, "content-type"), "application/x-amz-json-1.1");
}

static void a_request_is_signed_with_the_session_token_and_never_carries_the_secret(void **state)
{
    struct aws_fixture *f = *state;
    expect(f, NULL, NULL, "{}");

    call(f, &ECR, "DescribeRepositories", NULL);

    const char *authorization = fake_header(f->fake, 0, "authorization");
    assert_int_equal(strncmp(authorization,
                             "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/eu-west-1/ecr/aws4_request, "
                             "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature=",
                             160),
                     0);
    assert_null(strstr(authorization, AWS_FIXTURE_SECRET));
    assert_string_equal(fake_header(f->fake, 0, "x-amz-security-token"), AWS_FIXTURE_TOKEN);
    assert_string_equal(fake_header(f->fake, 0, "host"), "api.ecr.eu-west-1.amazonaws.com");
    assert_string_equal(fake_body(f->fake, 0), "{}");
}

static void an_empty_json_reply_is_an_empty_object(void **state)
{
    struct aws_fixture *f = *state;
    expect(f, NULL, NULL, "");

    assert_string_equal(call(f, &LOGS, "CreateLogGroup", NULL), "{}");
}

static void a_nul_in_a_log_line_does_not_hide_the_others(void **state)
{
    struct aws_fixture *f = *state;
    expect(f, NULL, NULL, "{\"a\":\"x\\u0000y\",\"b\":\"\\\\u0000\",\"c\":\"\\\\\\u0000\"}");

    const char *reply = call(f, &LOGS, "GetLogEvents", NULL);

    assert_string_equal(reply, "{\"a\":\"x\uFFFDy\",\"b\":\"\\\\u0000\",\"c\":\"\\\\\uFFFD\"}");
}

static void a_query_call_flattens_its_parameters(void **state)
{
    struct aws_fixture *f = *state;
    expect(f, "https://elasticloadbalancing.eu-west-1.amazonaws.com/", NULL, QUERY_REPLY("CreateRule", "<Rules/>"));

    call(f, &ELBV2, "CreateRule",
         json_build("{s:s, s:[{s:s, s:[s, s]}], s:i, s:b, s:[], s:s}", "ListenerArn", "arn:a/b", "Conditions", "Field",
                    "host-header", "Values", "a.example", "b c", "Priority", 7, "Enabled", 1, "Tags", "Empty", ""));

    assert_string_equal(
        fake_body(f->fake, 0),
        "Action=CreateRule&Version=2015-12-01&ListenerArn=arn%3Aa%2Fb&Conditions.member.1.Field=host-header"
        "&Conditions.member.1.Values.member.1=a.example&Conditions.member.1.Values.member.2=b%20c"
        "&Priority=7&Enabled=true&Tags=&Empty=");
    assert_string_equal(fake_header(f->fake, 0, "content-type"), "application/x-www-form-urlencoded; charset=utf-8");
}

static void a_query_reply_is_its_result(void **state)
{
    struct aws_fixture *f = *state;
    expect(f, NULL, NULL, QUERY_REPLY("DescribeRules", "<Rules><member><Priority>1</Priority></member></Rules>"));
    expect(
        f, NULL, NULL,
        "<PutRolePolicyResponse><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PutRolePolicyResponse>");
    expect(f, NULL, NULL, QUERY_REPLY("DeleteRule", ""));

    assert_string_equal(call(f, &ELBV2, "DescribeRules", NULL), "{\"Rules\":[{\"Priority\":\"1\"}]}");
    assert_string_equal(call(f, &IAM, "PutRolePolicy", NULL), "{}");
    assert_string_equal(call(f, &ELBV2, "DeleteRule", NULL), "{}");
}

static void an_ec2_call_numbers_lists_by_their_own_name(void **state)
{
    struct aws_fixture *f = *state;
    expect(f, "https://ec2.eu-west-1.amazonaws.com/", NULL,
           "<DescribeSubnetsResponse><requestId>r</requestId><subnetSet><item><subnetId>subnet-1</subnetId></item></"
           "subnetSet></DescribeSubnetsResponse>");

    const char *reply = call(f, &EC2, "DescribeSubnets",
                             json_build("{s:[s, s], s:[{s:s, s:[s]}], s:[]}", "subnetId", "subnet-1", "subnet-2",
                                        "Filter", "Name", "vpc-id", "Value", "vpc-1", "Empty"));

    assert_string_equal(fake_body(f->fake, 0),
                        "Action=DescribeSubnets&Version=2016-11-15&SubnetId.1=subnet-1&SubnetId.2=subnet-2"
                        "&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1");
    assert_non_null(strstr(reply, "\"subnetSet\":[{\"subnetId\":\"subnet-1\"}]"));
}

static void each_partition_has_its_own_addresses(void **state)
{
    static const struct {
        const char *region, *ecs, *iam, *iam_region;
    } cases[] = {
        { "eu-west-1", "ecs.eu-west-1.amazonaws.com", "iam.amazonaws.com", "us-east-1" },
        { "cn-northwest-1", "ecs.cn-northwest-1.amazonaws.com.cn", "iam.cn-north-1.amazonaws.com.cn", "cn-north-1" },
        { "us-gov-east-1", "ecs.us-gov-east-1.amazonaws.com", "iam.us-gov.amazonaws.com", "us-gov-west-1" },
        { "eusc-de-east-1", "ecs.eusc-de-east-1.amazonaws.eu", "iam.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1" },
    };
    struct aws_fixture *f = *state;
    struct aws_endpoint endpoint;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(aws_endpoint_of(&ECS, cases[i].region, f->mem, &endpoint, &f->e), 0);
        assert_string_equal(endpoint.host, cases[i].ecs);
        assert_string_equal(endpoint.region, cases[i].region);
        assert_int_equal(aws_endpoint_of(&IAM, cases[i].region, f->mem, &endpoint, &f->e), 0);
        assert_string_equal(endpoint.host, cases[i].iam);
        assert_string_equal(endpoint.region, cases[i].iam_region);
    }
}

static void the_environment_moves_one_service_or_all(void **state)
{
    struct aws_fixture *f = *state;
    setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:5000/", 1);
    setenv("AWS_ENDPOINT_URL_ECS", "https://ecs.local:443/pre/fix/", 1);
    expect(f, "https://ecs.local/pre/fix/", NULL, "{}");
    expect(f, "http://127.0.0.1:5000/", NULL, QUERY_REPLY("GetRole", ""));

    call(f, &ECS, "X", NULL);
    call(f, &IAM, "GetRole", NULL);

    fake_done(f->fake);
    assert_string_equal(fake_header(f->fake, 0, "host"), "ecs.local");
    assert_string_equal(fake_header(f->fake, 1, "host"), "127.0.0.1:5000");
    assert_non_null(strstr(fake_header(f->fake, 1, "authorization"), "/us-east-1/iam/"));
}

static void pages_are_joined_and_the_ask_is_left_as_it_was(void **state)
{
    struct aws_fixture *f = *state;
    AUTO_JSON json_object *ask = json_build("{s:s}", "projectName", "p");
    AUTO_JSON json_object *all = NULL;
    expect(f, NULL, "{\"projectName\":\"p\"}", "{\"ids\":[\"a\",\"b\"],\"nextToken\":\"t1\"}");
    expect(f, NULL, "\"nextToken\":\"t1\"", "{\"ids\":[],\"nextToken\":\"t2\"}");
    expect(f, NULL, "\"nextToken\":\"t2\"", "{\"ids\":[\"c\"],\"nextToken\":null}");

    assert_int_equal(
        aws_call_paged(f->aws, &CODEBUILD, "ListBuildsForProject", ask, "ids", "nextToken", "nextToken", &all, &f->e),
        0);

    fake_done(f->fake);
    assert_string_equal(json_to_text(all, f->mem), "[\"a\",\"b\",\"c\"]");
    assert_string_equal(json_to_text(ask, f->mem), "{\"projectName\":\"p\"}");
}

static void a_token_that_comes_back_unchanged_is_the_end(void **state)
{
    struct aws_fixture *f = *state;
    AUTO_JSON json_object *all = NULL;
    expect(f, NULL, NULL, "{\"events\":[1],\"nextForwardToken\":\"f/1\"}");
    expect(f, NULL, "f/1", "{\"events\":[],\"nextForwardToken\":\"f/1\"}");

    assert_int_equal(
        aws_call_paged(f->aws, &LOGS, "GetLogEvents", NULL, "/events", "/nextForwardToken", "nextToken", &all, &f->e),
        0);

    fake_done(f->fake);
    assert_int_equal(json_length(all), 1);
}

static void a_page_that_fails_gives_no_half_list(void **state)
{
    struct aws_fixture *f = *state;
    AUTO_JSON json_object *all = NULL;
    expect(f, NULL, NULL, "{\"ids\":[\"a\"],\"nextToken\":\"t1\"}");
    fake_expect(f->fake, "POST", NULL, "t1");
    fake_reply(f->fake, 400, NULL, "{\"__type\":\"InvalidInputException\"}");

    assert_int_equal(
        aws_call_paged(f->aws, &CODEBUILD, "ListBuilds", NULL, "ids", "nextToken", "nextToken", &all, &f->e),
        ERR_TRANSIENT); /* what the token points at is gone: to be begun anew */

    assert_null(all);
}

static int always(void *context, int timeout_ms, struct err *e)
{
    (void)context;
    (void)timeout_ms;
    (void)e;
    return 0;
}

static void what_cannot_be_asked_twice_is_tried_again_only_when_its_rate_was_refused(void **state)
{
    struct aws_fixture *f = *state;
    const struct aws_guard once = { .may_send = always, .once = true };
    fake_expect(f->fake, "POST", NULL, NULL);
    fake_reply(f->fake, 400, NULL, "{\"__type\":\"ThrottlingException\"}");
    fake_expect(f->fake, "POST", NULL, NULL);
    fake_reply(f->fake, 500, NULL, "{\"__type\":\"ServerException\"}");

    assert_int_equal(aws_call_guarded(f->aws, &once, &ECS, "RegisterTaskDefinition", NULL, NULL, &f->e), ERR_TRANSIENT);

    fake_done(f->fake);
}

static void endless_pages_are_refused(void **state)
{
    struct aws_fixture *f = *state;
    AUTO_JSON json_object *all = NULL;
    for (int i = 0; i < AWS_PAGES_MAX; i++)
        expect(f, NULL, NULL, arena_printf(f->mem, "{\"ids\":[],\"nextToken\":\"t%d\"}", i));

    assert_int_equal(
        aws_call_paged(f->aws, &CODEBUILD, "ListBuilds", NULL, "ids", "nextToken", "nextToken", &all, &f->e),
        ERR_QUOTA);

    fake_done(f->fake);
}

static void an_arn_gives_its_partition_and_account(void **state)
{
    struct aws_fixture *f = *state;
    const char *partition = NULL, *account = NULL;

    assert_int_equal(
        aws_arn_account("arn:aws-cn:sts::123456789012:assumed-role/a:b/c", f->mem, &partition, &account, &f->e), 0);

    assert_string_equal(partition, "aws-cn");
    assert_string_equal(account, "123456789012");
}

static void what_is_no_arn_with_an_account_is_refused(void **state)
{
    static const char *const wrong[] = { "",
                                         "arn",
                                         "arn:aws:s3:::bucket",
                                         "arn:aws:iam::1",
                                         "xarn:aws:iam::1:a",
                                         "arn::iam::1:a",
                                         "arn:aws:iam::1:",
                                         "a:b:c:d:e:f" };
    struct aws_fixture *f = *state;
    const char *partition = NULL, *account = NULL;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(aws_arn_account(wrong[i], f->mem, &partition, &account, &f->e), ERR_INVALID);
    assert_null(account);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AWS_TEST(missing_credentials_are_named),
        AWS_TEST(a_missing_or_odd_region_is_refused),
        AWS_TEST(a_wrong_endpoint_address_is_refused_at_the_start_and_named),
        AWS_TEST(a_reply_that_cannot_be_read_is_transient),
        AWS_TEST(a_rest_service_is_no_business_of_aws_call),
        AWS_TEST(parameters_deeper_than_any_service_has_are_refused),
        AWS_TEST(a_page_that_fails_gives_no_half_list),
        AWS_TEST(what_cannot_be_asked_twice_is_tried_again_only_when_its_rate_was_refused),
        AWS_TEST(endless_pages_are_refused),
        AWS_TEST(what_is_no_arn_with_an_account_is_refused),
        AWS_TEST(the_region_comes_from_the_environment_when_not_given),
        AWS_TEST(a_json_call_has_target_type_and_body),
        AWS_TEST(a_request_is_signed_with_the_session_token_and_never_carries_the_secret),
        AWS_TEST(an_empty_json_reply_is_an_empty_object),
        AWS_TEST(a_nul_in_a_log_line_does_not_hide_the_others),
        AWS_TEST(a_query_call_flattens_its_parameters),
        AWS_TEST(a_query_reply_is_its_result),
        AWS_TEST(an_ec2_call_numbers_lists_by_their_own_name),
        AWS_TEST(each_partition_has_its_own_addresses),
        AWS_TEST(the_environment_moves_one_service_or_all),
        AWS_TEST(pages_are_joined_and_the_ask_is_left_as_it_was),
        AWS_TEST(a_token_that_comes_back_unchanged_is_the_end),
        AWS_TEST(an_arn_gives_its_partition_and_account),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
