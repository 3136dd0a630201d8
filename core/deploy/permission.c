#include "core/deploy/permission.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"

/* The first that fits. A test holds it against docs/aws-permissions.md. */
/* clang-format off */
static const struct { const char *action, *sid; } rows[] = {
    { "s3:PutObject", "StoreSources" }, { "s3:GetObject", "StoreSources" }, { "s3:AbortMultipartUpload", "StoreSources" },
    { "s3:ListBucket", "LookIntoTheBucket" }, { "s3:GetBucketVersioning", "LookIntoTheBucket" },
    { "s3:DeleteObjectVersion", "RemoveSources" }, { "s3:ListBucketVersions", "FindSources" },
    { "s3:ListBucketMultipartUploads", "FindWhatIsLeft" },
    { "secretsmanager:GetSecretValue", "ReadGitHubToken" },
    { "secretsmanager:DeleteSecret", "RemoveTenants" }, { "secretsmanager:DescribeSecret", "FindWhatIsLeft" },
    { "logs:DeleteLogGroup", "RemoveTenants" }, { "logs:DescribeLogGroups", "FindLogGroups" },
    { "logs:*", "TenantLogGroups" },
    { "ecr:DeleteRepository", "RemoveTenants" }, { "ecr:DescribeRepositories", "FindWhatIsLeft" },
    { "ecr:*", "TenantRepositories" },
    { "iam:CreateRole", "TenantRolesWithinTheBoundary" }, { "iam:PutRolePolicy", "TenantRolesWithinTheBoundary" },
    { "iam:PutRolePermissionsBoundary", "TenantRolesWithinTheBoundary" },
    { "iam:GetRole", "TenantRoles" }, { "iam:TagRole", "TenantRoles" }, { "iam:UpdateAssumeRolePolicy", "TenantRoles" },
    { "iam:DeleteRole", "RemoveTenants" }, { "iam:DeleteRolePolicy", "RemoveTenants" }, { "iam:DetachRolePolicy", "RemoveTenants" },
    { "iam:ListRolePolicies", "FindWhatIsLeft" }, { "iam:ListAttachedRolePolicies", "FindWhatIsLeft" },
    { "iam:PassRole", "HandRolesToTheirServices" },
    { "iam:GetPolicy", "ReadTheBoundary" },
    { "iam:CreateServiceLinkedRole", "FirstUseOfEcs" },
    { "codebuild:DeleteProject", "RemoveTenants" },
    { "codebuild:*", "TenantBuilds" },
    { "elasticloadbalancing:AddTags", "TagWhatIsMade" },
    { "elasticloadbalancing:Describe*", "WhatHasNoResourceToName" },
    { "elasticloadbalancing:Modify*", "ChangeTenantRoutes" },
    { "elasticloadbalancing:Delete*", "RemoveTenants" },
    { "elasticloadbalancing:*", "TenantRoutes" },
    { "ecs:ListTasks", "TenantTasks" },
    { "ecs:ListTaskDefinitions", "WhatHasNoResourceToName" }, { "ecs:DescribeTaskDefinition", "WhatHasNoResourceToName" },
    { "ecs:DeregisterTaskDefinition", "RetireTaskDefinitions" },
    { "ecs:DeleteService", "RemoveTenants" }, { "ecs:DeleteTaskDefinitions", "RemoveTenants" },
    { "ecs:*", "TenantServices" },
    { "ec2:Describe*", "WhatHasNoResourceToName" },
};
/* clang-format on */

const char *permission_statement(const char *action)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (fnmatch(rows[i].action, action, 0) == 0)
            return rows[i].sid;
    return NULL;
}

/* What stands between two texts of AWS's words, up to a space, a quote or the end; NULL: not said. */
static const char *said(struct arena *mem, const char *message, const char *before)
{
    const char *at = strstr(message, before);
    size_t len;

    if (!at)
        return NULL;
    at += strlen(before);
    len = strcspn(at, " \"");
    while (len > 0 && strchr(".,", at[len - 1])) /* the end of AWS's sentence */
        len--;
    return len ? arena_copy_n(mem, at, len) : NULL;
}

void permission_hint(struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    const char *who = said(mem, e->message, "User: ");
    const char *action = said(mem, e->message, "not authorized to perform: ");
    const char *resource = said(mem, e->message, "on resource: ");
    const char *sid = action ? permission_statement(action) : NULL;

    if (e->code != ERR_DENIED || !sid || strstr(e->message, "explicit deny"))
        return;
    err_hint(e,
             "%s may not %s%s%s: add the statement %s of docs/aws-permissions.md to its policy, at least "
             "{\"Sid\":\"%s\",\"Effect\":\"Allow\",\"Action\":\"%s\",\"Resource\":\"%s\"}; then try again.",
             who ? who : "The worker's identity", action, resource ? " on " : "", resource ? resource : "", sid, sid,
             action, resource ? resource : "*");
}
