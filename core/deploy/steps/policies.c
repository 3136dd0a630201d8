#include "core/deploy/steps/policies.h"

#include <string.h>

#include "core/deploy/estate/ownership.h"
#include "core/tenant/names.h"

static json_object *document(json_object *statements)
{
    return json_build("{s:s, s:o}", "Version", "2012-10-17", "Statement", statements);
}

static json_object *allow(const char *sid, json_object *actions, json_object *resource)
{
    return json_build("{s:s, s:s, s:o, s:o}", "Sid", sid, "Effect", "Allow", "Action", actions, "Resource", resource);
}

static json_object *trust(const struct policy_scope *scope, const char *principal, const char *match,
                          const char *source)
{
    json_object *statement =
        json_build("{s:s, s:{s:s}, s:s, s:{s:{s:s}}}", "Effect", "Allow", "Principal", "Service", principal, "Action",
                   "sts:AssumeRole", "Condition", "StringEquals", "aws:SourceAccount", scope->account);
    json_object *condition = json_at(statement, "/Condition");

    /* Two keys under one operator are one object; under two operators two. */
    if (strcmp(match, "StringEquals") == 0)
        json_put(json_at(condition, "/StringEquals"), "aws:SourceArn", json_text(source));
    else
        json_put(condition, match, json_build("{s:s}", "aws:SourceArn", source));
    return document(json_build("[o]", statement));
}

json_object *policy_trust_tasks(const struct policy_scope *scope)
{
    AUTO_ARENA struct arena *mem = arena_new();

    /* A task's ARN ends in an id that isn't known before, and AWS doesn't let a trust policy name one cluster. */
    return trust(scope, "ecs-tasks.amazonaws.com", "ArnLike",
                 arena_printf(mem, "arn:%s:ecs:%s:%s:*", scope->partition, scope->region, scope->account));
}

json_object *policy_trust_builds(const struct policy_scope *scope)
{
    AUTO_ARENA struct arena *mem = arena_new();

    return trust(scope, "codebuild.amazonaws.com", "StringEquals",
                 arena_printf(mem, "arn:%s:codebuild:%s:%s:project/%s", scope->partition, scope->region, scope->account,
                              name_build_project(mem, scope->app)));
}

static json_object *repository_arn(const struct policy_scope *scope, struct arena *mem)
{
    return json_text(arena_printf(mem, "arn:%s:ecr:%s:%s:repository/%s", scope->partition, scope->region,
                                  scope->account, name_repository(mem, scope->app)));
}

static json_object *sign_in_to_registry(void)
{
    return allow("SignInToRegistry", json_build("[s]", "ecr:GetAuthorizationToken"), json_text("*"));
}

static const char *log_group_arn(const struct policy_scope *scope, struct arena *mem)
{
    return arena_printf(mem, "arn:%s:logs:%s:%s:log-group:%s", scope->partition, scope->region, scope->account,
                        name_log_group(mem, scope->app));
}

/* AWS documents CreateLogStream for a group and refuses it by a stream's ARN: this form fits both. */
static json_object *open_own_logs(const struct policy_scope *scope, struct arena *mem)
{
    return allow("OpenOwnLogs", json_build("[s]", "logs:CreateLogStream"),
                 json_text(arena_printf(mem, "%s:*", log_group_arn(scope, mem))));
}

static json_object *write_own_logs(const struct policy_scope *scope, const char *prefix, struct arena *mem)
{
    return allow("WriteOwnLogs", json_build("[s]", "logs:PutLogEvents"),
                 json_text(arena_printf(mem, "%s:log-stream:%s/*", log_group_arn(scope, mem), prefix)));
}

json_object *policy_execution(const struct policy_scope *scope)
{
    AUTO_ARENA struct arena *mem = arena_new();
    json_object *pull = allow(
        "PullOwnImages",
        json_build("[s, s, s]", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
        repository_arn(scope, mem));
    /* Secrets Manager ends an ARN with a hyphen and six characters of its own. */
    json_object *config =
        allow("ReadOwnConfig", json_build("[s]", "secretsmanager:GetSecretValue"),
              json_text(arena_printf(mem, "arn:%s:secretsmanager:%s:%s:secret:%s-??????", scope->partition,
                                     scope->region, scope->account, name_config_secret(mem, scope->app))));

    return document(json_build("[o, o, o, o, o]", sign_in_to_registry(), pull, open_own_logs(scope, mem),
                               write_own_logs(scope, LOG_PREFIX_APP, mem), config));
}

json_object *policy_build(const struct policy_scope *scope)
{
    AUTO_ARENA struct arena *mem = arena_new();
    json_object *source =
        allow("ReadOwnSource", json_build("[s, s]", "s3:GetObject", "s3:GetObjectVersion"),
              json_text(arena_printf(mem, "arn:%s:s3:::%s/tenants/%s/*", scope->partition, scope->bucket, scope->app)));
    json_object *push =
        allow("PushOwnImages",
              json_build("[s, s, s, s, s, s]", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage",
                         "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"),
              repository_arn(scope, mem));

    return document(json_build("[o, o, o, o, o]", source, sign_in_to_registry(), push, open_own_logs(scope, mem),
                               write_own_logs(scope, LOG_PREFIX_BUILD, mem)));
}

const char *policy_repository_uri(const struct policy_scope *scope, struct arena *mem)
{
    const char *suffix = strcmp(scope->partition, "aws-cn") == 0 ? "amazonaws.com.cn" : "amazonaws.com";

    return arena_printf(mem, "%s.dkr.ecr.%s.%s/%s", scope->account, scope->region, suffix,
                        name_repository(mem, scope->app));
}
