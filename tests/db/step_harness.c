#include "tests/db/step_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *operation, *host;
    bool query;
} hosts[] = {
    { "CreateRole", "iam.amazonaws.com", true },
    { "GetRole", "iam.amazonaws.com", true },
    { "PutRolePolicy", "iam.amazonaws.com", true },
    { "PutRolePermissionsBoundary", "iam.amazonaws.com", true },
    { "UpdateAssumeRolePolicy", "iam.amazonaws.com", true },
    { "DescribeTargetGroups", "elasticloadbalancing.*", true },
    { "DeleteTargetGroup", "elasticloadbalancing.*", true },
    { "DeleteRule", "elasticloadbalancing.*", true },
    { "CreateTargetGroup", "elasticloadbalancing.*", true },
    { "ModifyTargetGroup", "elasticloadbalancing.*", true },
    { "ModifyTargetGroupAttributes", "elasticloadbalancing.*", true },
    { "DescribeTags", "elasticloadbalancing.*", true },
    { "DescribeRules", "elasticloadbalancing.*", true },
    { "CreateRule", "elasticloadbalancing.*", true },
    { "ModifyRule", "elasticloadbalancing.*", true },
    { "CreateLogGroup", "logs.*", false },
    { "PutRetentionPolicy", "logs.*", false },
    { "GetLogEvents", "logs.*", false },
    { "CreateRepository", "api.ecr.*", false },
    { "PutImageTagMutability", "api.ecr.*", false },
    { "PutImageScanningConfiguration", "api.ecr.*", false },
    { "CreateProject", "codebuild.*", false },
    { "UpdateProject", "codebuild.*", false },
    { "BatchGetProjects", "codebuild.*", false },
    { "StartBuild", "codebuild.*", false },
    { "BatchGetBuilds", "codebuild.*", false },
    { "ListBuildsForProject", "codebuild.*", false },
    { "StopBuild", "codebuild.*", false },
    { "BatchDeleteImage", "api.ecr.*", false },
    { "DescribeImages", "api.ecr.*", false },
    { "DescribeTargetHealth", "elasticloadbalancing.*", true },
    { "StopBuild", "codebuild.*", false },
};

/* The row of an operation; ECS's, and those that two services share, have none. */
static int row_of(const char *operation)
{
    for (int i = 0; i < (int)(sizeof hosts / sizeof *hosts); i++)
        if (strcmp(hosts[i].operation, operation) == 0)
            return i;
    return -1;
}

static bool is_query(const char *operation)
{
    int row = row_of(operation);

    return row >= 0 && hosts[row].query;
}

static void expect(struct step_harness *h, const char *operation, const char *body_part)
{
    int row = row_of(operation);
    char url[128];

    snprintf(url, sizeof url, "https://%s", row >= 0 ? hosts[row].host : "*");
    if (row >= 0)
        strncat(url, "*", sizeof url - strlen(url) - 1);
    assert_true(h->expected_count < STEP_CALLS_MAX);
    h->expected[h->expected_count++] = operation;
    fake_expect(h->fake, "POST", url, body_part);
}

void step_expect(struct step_harness *h, const char *operation, const char *body_part, const char *reply)
{
    expect(h, operation, body_part);
    if (is_query(operation))
        reply = arena_printf(h->mem, "<%sResponse><%sResult>%s</%sResult></%sResponse>", operation, operation, reply,
                             operation, operation);
    fake_reply(h->fake, 200, NULL, reply);
}

void step_refuse(struct step_harness *h, const char *operation, const char *body_part, const char *code,
                 const char *message)
{
    expect(h, operation, body_part);
    if (is_query(operation))
        fake_reply(h->fake, 400, NULL,
                   arena_printf(h->mem,
                                "<ErrorResponse><Error><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>",
                                code, message));
    else
        fake_reply(h->fake, 400, NULL, arena_printf(h->mem, "{\"__type\":\"%s\",\"message\":\"%s\"}", code, message));
}

void step_lose(struct step_harness *h, const char *operation, const char *body_part)
{
    expect(h, operation, body_part);
    fake_fail(h->fake, ERR_TRANSIENT, "CURLE_RECV_ERROR");
}

/* A form's body as it was before encoding. */
static char *decoded(struct arena *mem, const char *body)
{
    char *out = arena_copy(mem, body), *to = out;

    for (const char *from = body; *from; to++) {
        unsigned byte;
        if (*from == '%' && sscanf(from + 1, "%2x", &byte) == 1) {
            *to = (char)byte;
            from += 3;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
    return out;
}

bool step_asked(struct step_harness *h, size_t nth, const char *part)
{
    const char *body = fake_body(h->fake, nth);

    return strstr(is_query(h->expected[nth]) ? decoded(h->mem, body) : body, part) != NULL;
}

static void check_operation(struct step_harness *h, size_t nth)
{
    const char *wanted = h->expected[nth];
    const char *target = fake_header(h->fake, nth, "x-amz-target");

    if (is_query(wanted)) {
        assert_true(step_asked(h, nth, arena_printf(h->mem, "Action=%s&", wanted)));
        return;
    }
    assert_non_null(target);
    assert_string_equal(strrchr(target, '.') + 1, wanted);
}

/* Settings, and the arrays that they point to. */
static void give_settings(struct step_harness *h)
{
    h->listeners[0] = STEP_LISTENER;
    h->subnets[0] = "subnet-a";
    h->subnets[1] = "subnet-b";
    h->settings = (struct settings){ .domain = "apps.example.test",
                                     .cluster = "berth",
                                     .bucket = "sources",
                                     .vpc = "vpc-1",
                                     .subnets = { h->subnets, 2 },
                                     .security_group = "sg-1",
                                     .listeners = { h->listeners, 1 },
                                     .permissions_boundary = STEP_BOUNDARY,
                                     .build_image = "aws/codebuild/amazonlinux-x86_64-standard:5.0",
                                     .build_compute = "BUILD_GENERAL1_SMALL",
                                     .assign_public_ip = true,
                                     .log_retention_days = 30 };
}

static void give_aws(struct step_harness *h)
{
    struct aws_options options = { .region = "eu-central-1", .transport = fake_http(h->fake), .tries = 1 };
    struct err e = { 0 };

    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-secret", 1);
    unsetenv("AWS_SESSION_TOKEN");
    unsetenv("AWS_ENDPOINT_URL");
    assert_int_equal(aws_new(&options, &h->aws, &e), 0);
}

void step_open(struct step_harness *h)
{
    struct err e = { 0 };

    *h = (struct step_harness){ .database = harness_database_new(), .fake = fake_new(), .mem = arena_new() };
    h->owner = harness_pool(h->database, HARNESS_SUPERUSER, 1);
    h->pool = harness_pool(h->database, HARNESS_WORKER, 2);
    assert_int_equal(db_take(h->pool, &h->db, &e), 0);
    give_settings(h);
    give_aws(h);
    step_sql(h, "INSERT INTO berth.apps (app_name, repository, webhook_policy, health_check_path, last_release)"
                " VALUES ('shop', 'acme/shop', 'github', '/healthz', 1);"
                "INSERT INTO berth.releases (app_name, number, kind, state, step, attempt, lease_token, lease_until,"
                " step_started_at, commit_sha, source_version)"
                " VALUES ('shop', 1, 'push', 'running', 'source', 1, 7, now() + interval '1 hour', now(),"
                " '" STEP_COMMIT "', 'version-1')");
    h->run = (struct step_run){ .settings = &h->settings,
                                .db = h->db,
                                .aws = h->aws,
                                .clock = &clock_system,
                                .partition = "aws",
                                .account = STEP_ACCOUNT,
                                .lease = { .length_ms = 60000 } };
    step_reload(h, 1);
}

void step_reload(struct step_harness *h, int attempt)
{
    struct err e = { 0 };

    int number = h->run.release.number ? h->run.release.number : 1;

    step_sql(h, arena_printf(h->mem, "UPDATE berth.releases SET attempt = %d WHERE number = %d", attempt, number));
    h->run.mem = h->mem;
    assert_int_equal(release_app(h->db, "shop", number, h->mem, &h->run.app, &e), 0);
    assert_int_equal(release_get(h->db, "shop", number, h->mem, &h->run.release, &e), 0);
}

void step_close(struct step_harness *h)
{
    fake_done(h->fake);
    for (size_t i = 0; i < h->expected_count; i++)
        check_operation(h, i);
    db_give(h->db);
    db_pool_free(h->pool);
    db_pool_free(h->owner);
    harness_database_free(h->database);
    aws_free(h->aws);
    fake_free(h->fake);
    arena_free(h->mem);
}

void step_sql(struct step_harness *h, const char *sql)
{
    harness_do(h->owner, sql);
}

bool step_holds(struct step_harness *h, const char *condition)
{
    return harness_number(h->owner, NULL, arena_printf(h->mem, "SELECT (%s)::int AS n", condition)) == 1;
}
