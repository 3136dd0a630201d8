/* The documents that a tenant is bound by: nobody else's things, and no shell that a pusher reaches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <fnmatch.h>

#include <cmocka.h>

#include "core/deploy/steps/policies.h"

static const struct policy_scope shop = {
    .partition = "aws", .region = "eu-central-1", .account = "123456789012", .app = "shop", .bucket = "sources"
};
static const struct build_environment environment = { .image = "aws/codebuild/x:1",
                                                      .compute = "BUILD_GENERAL1_SMALL",
                                                      .role_arn = "arn:aws:iam::123456789012:role/berth-shop-build" };

/* IAM's limit on all inline policies of a role, white space not counted: "IAM and AWS STS quotas". */
enum { INLINE_POLICY_MAX = 10240, TRUST_POLICY_MAX = 2048, POLICIES = 2 };

static json_object *policy(const struct policy_scope *scope, int number)
{
    return number == 0 ? policy_execution(scope) : policy_build(scope);
}

static void no_statement_names_a_resource_of_another_app(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    (void)state;

    for (int number = 0; number < POLICIES; number++) {
        AUTO_JSON json_object *document = policy(&shop, number);
        const json_object *statements = json_at(document, "/Statement");
        assert_true(json_length(statements) >= 4);
        for (size_t i = 0; i < json_length(statements); i++) {
            const char *resource = json_find_text(json_item(statements, i), "/Resource", mem);
            const char *action = json_find_text(json_item(statements, i), "/Action/0", mem);
            assert_non_null(resource);
            if (strcmp(action, "ecr:GetAuthorizationToken") == 0)
                assert_string_equal(resource, "*");
            else
                assert_true(strstr(resource, "/shop") && strncmp(resource, "arn:aws:", 8) == 0);
        }
    }
}

static void no_resource_of_one_app_fits_a_longer_apps_name(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct policy_scope longer = shop;
    (void)state;
    longer.app = "shop2";

    for (int number = 0; number < POLICIES; number++) {
        AUTO_JSON json_object *mine = policy(&shop, number), *other = policy(&longer, number);
        for (size_t i = 0; i < json_length(json_at(mine, "/Statement")); i++) {
            const char *pattern = json_find_text(json_item(json_at(mine, "/Statement"), i), "/Resource", mem);
            const char *resource = json_find_text(json_item(json_at(other, "/Statement"), i), "/Resource", mem);
            /* IAM's wildcards cross slashes, as fnmatch's do without a flag. */
            if (strcmp(pattern, "*") != 0)
                assert_int_equal(fnmatch(pattern, resource, 0), FNM_NOMATCH);
        }
    }
}

static void no_statement_has_a_wildcard_action(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    (void)state;

    for (int number = 0; number < POLICIES; number++) {
        AUTO_JSON json_object *document = policy(&shop, number);
        for (size_t i = 0; i < json_length(json_at(document, "/Statement")); i++) {
            const json_object *actions = json_at(json_item(json_at(document, "/Statement"), i), "/Action");
            assert_true(json_length(actions) > 0);
            for (size_t j = 0; j < json_length(actions); j++)
                assert_null(strchr(json_find_text(json_item(actions, j), "", mem), '*'));
        }
    }
}

static void the_longest_app_fits_iam(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    const struct policy_scope longest = {
        .partition = "aws-us-gov",
        .region = "ap-southeast-4",
        .account = "123456789012",
        .app = "a123456789012345678901",
        .bucket = "a-bucket-whose-name-is-as-long-as-s3-lets-it-be-sixty-three-chars",
    };
    AUTO_JSON json_object *tasks = policy_trust_tasks(&longest), *builds = policy_trust_builds(&longest);
    (void)state;

    for (int number = 0; number < POLICIES; number++) {
        AUTO_JSON json_object *document = policy(&longest, number);
        assert_true(strlen(json_to_text(document, mem)) <= INLINE_POLICY_MAX);
    }
    assert_true(strlen(json_to_text(tasks, mem)) <= TRUST_POLICY_MAX);
    assert_true(strlen(json_to_text(builds, mem)) <= TRUST_POLICY_MAX);
}

static void no_other_account_can_have_a_service_assume_a_role(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *tasks = policy_trust_tasks(&shop), *builds = policy_trust_builds(&shop);
    (void)state;

    assert_string_equal(
        json_to_text(tasks, mem),
        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"ecs-tasks."
        "amazonaws.com\"},"
        "\"Action\":\"sts:AssumeRole\",\"Condition\":{\"StringEquals\":{\"aws:SourceAccount\":\"123456789012\"},"
        "\"ArnLike\":{\"aws:SourceArn\":\"arn:aws:ecs:eu-central-1:123456789012:*\"}}}]}");
    assert_string_equal(
        json_to_text(builds, mem),
        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"codebuild."
        "amazonaws.com\"},"
        "\"Action\":\"sts:AssumeRole\",\"Condition\":{\"StringEquals\":{\"aws:SourceAccount\":\"123456789012\","
        "\"aws:SourceArn\":\"arn:aws:codebuild:eu-central-1:123456789012:project/berth-shop\"}}}]}");
}

/* Every variable in a command stands in double quotes, so that its value is never split or expanded. */
static void no_variable_in_the_buildspec_is_unquoted(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *spec = policy_buildspec();
    static const char *const phases[] = { "/phases/pre_build/commands", "/phases/build/commands" };
    size_t variables = 0;
    (void)state;

    for (size_t p = 0; p < 2; p++)
        for (size_t i = 0; i < json_length(json_at(spec, phases[p])); i++) {
            const char *command = json_find_text(json_item(json_at(spec, phases[p]), i), "", mem);
            bool doubled = false, single = false;
            for (; *command; command++) {
                if (*command == '"' && !single)
                    doubled = !doubled;
                else if (*command == '\'' && !doubled)
                    single = !single;
                else if (*command == '$' && !single && command[1] != '(') {
                    assert_true(doubled);
                    variables++;
                }
            }
            assert_false(doubled || single);
        }
    assert_true(variables > 5);
}

static void the_registrys_password_is_on_no_command_line(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *spec = policy_buildspec();
    const char *text = json_to_text(spec, mem);
    (void)state;

    assert_non_null(strstr(text, "--password-stdin"));
    assert_null(strstr(text, "--password "));
    assert_null(strstr(text, "-p "));
}

static void the_buildspec_is_in_the_project_and_not_in_the_repository(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *project = policy_build_project(&shop, &environment), *parsed = NULL;
    const char *buildspec = json_find_text(project, "/source/buildspec", mem);
    struct err e = { 0 };
    (void)state;

    assert_int_equal(json_parse(buildspec, strlen(buildspec), &parsed, &e), 0);
    assert_string_equal(json_find_text(parsed, "/version", mem), "0.2");
    assert_string_equal(json_find_text(parsed, "/env/exported-variables/0", mem), "IMAGE_DIGEST");
}

static void a_build_shares_no_cache(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *project = policy_build_project(&shop, &environment);
    (void)state;

    assert_string_equal(json_find_text(project, "/cache/type", mem), "NO_CACHE");
    assert_string_equal(json_find_text(project, "/artifacts/type", mem), "NO_ARTIFACTS");
    assert_string_equal(json_find_text(project, "/logsConfig/cloudWatchLogs/groupName", mem), "/berth/shop");
}

static void china_has_a_registry_of_its_own(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct policy_scope china = shop;
    (void)state;
    china.partition = "aws-cn";
    china.region = "cn-north-1";

    assert_string_equal(policy_repository_uri(&shop, mem),
                        "123456789012.dkr.ecr.eu-central-1.amazonaws.com/berth/shop");
    assert_string_equal(policy_repository_uri(&china, mem),
                        "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/berth/shop");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_statement_names_a_resource_of_another_app),
        cmocka_unit_test(no_resource_of_one_app_fits_a_longer_apps_name),
        cmocka_unit_test(no_statement_has_a_wildcard_action),
        cmocka_unit_test(the_longest_app_fits_iam),
        cmocka_unit_test(no_other_account_can_have_a_service_assume_a_role),
        cmocka_unit_test(no_variable_in_the_buildspec_is_unquoted),
        cmocka_unit_test(the_registrys_password_is_on_no_command_line),
        cmocka_unit_test(the_buildspec_is_in_the_project_and_not_in_the_repository),
        cmocka_unit_test(a_build_shares_no_cache),
        cmocka_unit_test(china_has_a_registry_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
