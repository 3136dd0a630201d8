/* What the worker's role or user may do, asked of IAM's simulator: docs/aws-permissions.md, action by action. */
#include <string.h>

#include "core/base/buf.h"
#include "core/base/text.h"
#include "core/doctor/doctor_parts.h"

enum { ACTIONS_MAX = 12 };

/* One question: these actions on that resource. %P, %R, %A, %B, %C stand for partition, region, account, bucket, cluster; %L for the boundary, %T for GitHub's token. */
struct grant {
    const char *sid, *resource;
    const char *actions[ACTIONS_MAX];
};

/* A test holds both tables against the document's policies. */
/* clang-format off */
static const struct grant to_deploy[] = {
    { "StoreSources", "arn:%P:s3:::%B/tenants/doctor/0.zip", { "s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload" } },
    { "LookIntoTheBucket", "arn:%P:s3:::%B", { "s3:ListBucket", "s3:GetBucketVersioning" } },
    { "ReadGitHubToken", "%T", { "secretsmanager:GetSecretValue" } },
    { "TenantLogGroups", "arn:%P:logs:%R:%A:log-group:/berth/doctor:*", { "logs:CreateLogGroup", "logs:TagResource", "logs:ListTagsForResource", "logs:PutRetentionPolicy", "logs:GetLogEvents" } },
    { "TenantRepositories", "arn:%P:ecr:%R:%A:repository/berth/doctor", { "ecr:CreateRepository", "ecr:TagResource", "ecr:ListTagsForResource", "ecr:PutImageTagMutability", "ecr:PutImageScanningConfiguration", "ecr:DescribeImages", "ecr:BatchDeleteImage" } },
    { "TenantRolesWithinTheBoundary", "arn:%P:iam::%A:role/berth-doctor-task", { "iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary" } },
    { "TenantRoles", "arn:%P:iam::%A:role/berth-doctor-task", { "iam:GetRole", "iam:TagRole", "iam:UpdateAssumeRolePolicy" } },
    { "HandRolesToTheirServices", "arn:%P:iam::%A:role/berth-doctor-task", { "iam:PassRole" } },
    { "ReadTheBoundary", "%L", { "iam:GetPolicy" } },
    { "FirstUseOfEcs", "arn:%P:iam::%A:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS", { "iam:CreateServiceLinkedRole" } },
    { "TenantBuilds", "arn:%P:codebuild:%R:%A:project/berth-doctor", { "codebuild:CreateProject", "codebuild:UpdateProject", "codebuild:BatchGetProjects", "codebuild:StartBuild", "codebuild:StopBuild", "codebuild:BatchGetBuilds", "codebuild:ListBuildsForProject" } },
    { "TenantRoutes", "arn:%P:elasticloadbalancing:%R:%A:targetgroup/berth-doctor-1/0123456789abcdef", { "elasticloadbalancing:CreateTargetGroup" } },
    { "TenantRoutes", "arn:%P:elasticloadbalancing:%R:%A:listener/app/berth/0123456789abcdef/0123456789abcdef", { "elasticloadbalancing:CreateRule" } },
    { "ChangeTenantRoutes", "arn:%P:elasticloadbalancing:%R:%A:targetgroup/berth-doctor-1/0123456789abcdef", { "elasticloadbalancing:ModifyTargetGroup", "elasticloadbalancing:ModifyTargetGroupAttributes" } },
    { "ChangeTenantRoutes", "arn:%P:elasticloadbalancing:%R:%A:listener-rule/app/berth/0123456789abcdef/0123456789abcdef/0123456789abcdef", { "elasticloadbalancing:ModifyRule" } },
    { "TagWhatIsMade", "arn:%P:elasticloadbalancing:%R:%A:targetgroup/berth-doctor-1/0123456789abcdef", { "elasticloadbalancing:AddTags" } },
    { "TenantServices", "arn:%P:ecs:%R:%A:service/%C/berth-doctor", { "ecs:CreateService", "ecs:UpdateService", "ecs:DescribeServices", "ecs:ListServiceDeployments", "ecs:TagResource" } },
    { "TenantServices", "arn:%P:ecs:%R:%A:service-revision/%C/berth-doctor/1", { "ecs:DescribeServiceRevisions" } },
    { "TenantServices", "arn:%P:ecs:%R:%A:task/%C/0123456789abcdef", { "ecs:DescribeTasks" } },
    { "TenantServices", "arn:%P:ecs:%R:%A:cluster/%C", { "ecs:DescribeClusters" } },
    { "TenantServices", "arn:%P:ecs:%R:%A:task-definition/berth-doctor:1", { "ecs:RegisterTaskDefinition" } },
    { "RetireTaskDefinitions", "*", { "ecs:DeregisterTaskDefinition" } },
    { "TenantTasks", "*", { "ecs:ListTasks" } },
    { "WhatHasNoResourceToName", "*", { "ecs:ListTaskDefinitions", "ecs:DescribeTaskDefinition", "elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeTags", "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups" } },
};
static const struct grant to_remove[] = {
    { "RemoveTenants", "arn:%P:ecs:%R:%A:service/%C/berth-doctor", { "ecs:DeleteService" } },
    { "RemoveTenants", "arn:%P:ecs:%R:%A:task-definition/berth-doctor:1", { "ecs:DeleteTaskDefinitions" } },
    { "RemoveTenants", "arn:%P:elasticloadbalancing:%R:%A:listener-rule/app/berth/0123456789abcdef/0123456789abcdef/0123456789abcdef", { "elasticloadbalancing:DeleteRule" } },
    { "RemoveTenants", "arn:%P:elasticloadbalancing:%R:%A:targetgroup/berth-doctor-1/0123456789abcdef", { "elasticloadbalancing:DeleteTargetGroup" } },
    { "RemoveTenants", "arn:%P:codebuild:%R:%A:project/berth-doctor", { "codebuild:DeleteProject" } },
    { "RemoveTenants", "arn:%P:ecr:%R:%A:repository/berth/doctor", { "ecr:DeleteRepository" } },
    { "RemoveTenants", "arn:%P:logs:%R:%A:log-group:/berth/doctor:*", { "logs:DeleteLogGroup" } },
    { "RemoveTenants", "arn:%P:iam::%A:role/berth-doctor-task", { "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:DeleteRole" } },
    { "RemoveTenants", "arn:%P:secretsmanager:%R:%A:secret:berth/hooks/doctor-AbCdEf", { "secretsmanager:DeleteSecret" } },
    { "RemoveSources", "arn:%P:s3:::%B/tenants/doctor/0.zip", { "s3:DeleteObjectVersion" } },
    { "FindSources", "arn:%P:s3:::%B", { "s3:ListBucketVersions" } },
    { "FindWhatIsLeft", "arn:%P:s3:::%B", { "s3:ListBucketMultipartUploads" } },
    { "FindWhatIsLeft", "arn:%P:ecr:%R:%A:repository/berth/doctor", { "ecr:DescribeRepositories" } },
    { "FindWhatIsLeft", "arn:%P:iam::%A:role/berth-doctor-task", { "iam:ListRolePolicies", "iam:ListAttachedRolePolicies" } },
    { "FindWhatIsLeft", "arn:%P:secretsmanager:%R:%A:secret:berth/hooks/doctor-AbCdEf", { "secretsmanager:DescribeSecret" } },
    { "FindLogGroups", "*", { "logs:DescribeLogGroups" } },
};
/* clang-format on */

/* One run of questions. */
struct interview {
    struct look *look;
    struct aws *aws;
    const char *principal, *partition, *account, *cluster_arn;
    struct buf denied; /* "iam:PassRole (HandRolesToTheirServices), ..." */
    struct buf sids;
    size_t asked;
};

const char *doctor_principal_of(struct arena *mem, const char *caller)
{
    const char *session = strstr(caller, ":assumed-role/");
    const char *service = strstr(caller, ":sts::");

    if (strstr(caller, ":user/"))
        return caller;
    if (!session || !service)
        return NULL;
    /* arn:aws:sts::123456789012:assumed-role/NAME/SESSION. A role's path isn't in it: such a one has to be named. */
    const char *name = session + strlen(":assumed-role/");
    const char *account = service + strlen(":sts::");
    return arena_printf(mem, "%.*s:iam::%.*s:role/%.*s", (int)(service - caller), caller, (int)(session - account),
                        account, (int)strcspn(name, "/"), name);
}

static const char *token_arn(const struct interview *with, const struct settings *settings)
{
    const char *name = settings->github_token_secret;

    if (!name || text_starts(name, "arn:"))
        return name;
    return arena_printf(with->look->mem, "arn:%s:secretsmanager:%s:%s:secret:%s-AbCdEf", with->partition,
                        aws_region(with->aws), with->account, name);
}

/* The resource's ARN; NULL: this installation has no such thing. */
static const char *resource_of(const struct interview *with, const char *form)
{
    const struct settings *settings = doctor_settings(with->look);
    AUTO_BUF struct buf out = { 0 };

    for (; *form; form++) {
        if (*form != '%') {
            buf_add_char(&out, *form);
            continue;
        }
        const char *part = NULL;
        switch (*++form) {
        case 'P':
            part = with->partition;
            break;
        case 'R':
            part = aws_region(with->aws);
            break;
        case 'A':
            part = with->account;
            break;
        case 'B':
            part = settings->bucket;
            break;
        case 'C':
            part = settings->cluster;
            break;
        case 'L':
            part = settings->permissions_boundary;
            break;
        default:
            part = token_arn(with, settings);
            break;
        }
        if (!part)
            return NULL;
        buf_add_text(&out, part);
    }
    return arena_copy(with->look->mem, buf_text(&out));
}

static void add_context(json_object *entries, const char *key, const char *value)
{
    json_append(entries, json_build("{s:s, s:s, s:[s]}", "ContextKeyName", key, "ContextKeyType", "string",
                                    "ContextKeyValues", value));
}

/* What the policies' conditions ask for, as it is when berth makes the call. */
static json_object *context_of(const struct interview *with)
{
    json_object *entries = json_new_array();

    add_context(entries, "aws:ResourceTag/berth:app", "doctor");
    add_context(entries, "iam:PermissionsBoundary", doctor_settings(with->look)->permissions_boundary);
    add_context(entries, "iam:PassedToService", "ecs-tasks.amazonaws.com");
    add_context(entries, "iam:AWSServiceName", "ecs.amazonaws.com");
    add_context(entries, "elasticloadbalancing:CreateAction", "CreateTargetGroup");
    add_context(entries, "ecs:cluster", with->cluster_arn);
    add_context(entries,
                "s3:"
                "prefix" /* a key, not an action */,
                "tenants/doctor/");
    return entries;
}

static void note_answers(struct interview *with, const struct grant *grant, const json_object *results)
{
    struct arena *mem = with->look->mem;

    for (size_t i = 0; i < json_length(results); i++) {
        const json_object *result = json_item(results, i);
        const char *action = json_find_text(result, "/EvalActionName", mem);
        const char *decision = json_find_text(result, "/EvalDecision", mem);
        with->asked++;
        if (!decision || !strcmp(decision, "allowed"))
            continue;
        buf_printf(&with->denied, "%s%s%s", with->denied.len ? ", " : "", action ? action : "?",
                   strcmp(decision, "explicitDeny") ? "" : " (denied explicitly)");
        if (!strstr(buf_text(&with->sids), grant->sid))
            buf_printf(&with->sids, "%s%s", with->sids.len ? ", " : "", grant->sid);
    }
}

static int ask(struct interview *with, const struct grant *grant, struct err *e)
{
    const char *resource = resource_of(with, grant->resource);
    AUTO_JSON json_object *question = NULL;
    AUTO_JSON json_object *reply = NULL;
    json_object *actions = NULL;

    if (!resource)
        return 0;
    actions = json_new_array();
    for (size_t i = 0; i < ACTIONS_MAX && grant->actions[i]; i++)
        json_append(actions, json_text(grant->actions[i]));
    question = json_build("{s:s, s:o, s:[s], s:o}", "PolicySourceArn", with->principal, "ActionNames", actions,
                          "ResourceArns", resource, "ContextEntries", context_of(with));
    if (aws_call(with->aws, &IAM, "SimulatePrincipalPolicy", question, &reply, e))
        return e->code;
    note_answers(with, grant, json_at(reply, "/EvaluationResults"));
    return 0;
}

static void tell_unasked(struct look *look, const char *principal, const struct err *e)
{
    doctor_tell_err(look, e->code == ERR_DENIED || e->code == ERR_NOT_FOUND ? DOCTOR_SKIPPED : DOCTOR_WARNING, e);
    if (e->code == ERR_DENIED)
        doctor_advise(
            look,
            "To have this checked, add to the policy of %s: {\"Sid\":\"AskWhatTheWorkerMay\",\"Effect\":\"Allow\","
            "\"Action\":\"iam:SimulatePrincipalPolicy\",\"Resource\":\"%s\"} (docs/aws-permissions.md).",
            look->doctor->caller, principal);
    else if (e->code == ERR_NOT_FOUND)
        doctor_advise(look,
                      "There is no %s: name the worker's role or user, with its path, by berth doctor --principal ARN.",
                      principal);
}

static void tell_answers(struct interview *with, enum doctor_verdict verdict, const char *without)
{
    if (with->denied.len == 0) {
        doctor_tell(with->look, DOCTOR_OK, "%s may do all %zu actions that were asked about.", with->principal,
                    with->asked);
        return;
    }
    doctor_tell(with->look, verdict, "%s may not: %s.", with->principal, buf_text(&with->denied));
    doctor_advise(with->look,
                  "Add to its policy from docs/aws-permissions.md, where it stands ready to be pasted: %s. %s",
                  buf_text(&with->sids), without);
}

static int interview(struct interview *with, const struct grant *grants, size_t count, struct err *e)
{
    const struct settings *settings = doctor_settings(with->look);

    if (aws_arn_account(with->principal, with->look->mem, &with->partition, &with->account, e) ||
        doctor_aws(with->look, &with->aws, e))
        return e->code;
    with->cluster_arn = arena_printf(with->look->mem, "arn:%s:ecs:%s:%s:cluster/%s", with->partition,
                                     aws_region(with->aws), with->account, settings->cluster);
    for (size_t i = 0; i < count; i++)
        if (ask(with, &grants[i], e))
            return e->code;
    return 0;
}

static void look_at(struct look *look, const struct grant *grants, size_t count, enum doctor_verdict verdict,
                    const char *without)
{
    const char *named = look->doctor->options.principal;
    struct interview with = { .look = look,
                              .principal = named ? named : doctor_principal_of(look->mem, look->doctor->caller) };
    struct err e = { 0 };

    if (settings_require_platform(doctor_settings(look), &e)) {
        doctor_tell(look, DOCTOR_SKIPPED, "The section [platform] is not complete.");
    } else if (!with.principal) {
        doctor_tell(look, DOCTOR_SKIPPED, "%s is no role and no user whose policies could be asked about.",
                    look->doctor->caller);
        doctor_advise(
            look, "Name the worker's: berth doctor --principal arn:aws:iam::ACCOUNT:role/NAME. The root user may do "
                  "everything; give berth a role or user of its own.");
    } else if (interview(&with, grants, count, &e)) {
        tell_unasked(look, with.principal, &e);
    } else {
        tell_answers(&with, verdict, without);
    }
    aws_free(with.aws);
    buf_free(&with.denied);
    buf_free(&with.sids);
}

void look_permissions(struct look *look)
{
    look_at(look, to_deploy, sizeof to_deploy / sizeof *to_deploy, DOCTOR_FAILED, "Releases fail without.");
}

void look_removing(struct look *look)
{
    look_at(look, to_remove, sizeof to_remove / sizeof *to_remove, DOCTOR_WARNING,
            "Without, releases go on, and a teardown stops.");
}
