#include "core/deploy/test_points.h"

#ifdef BERTH_TEST_POINTS

#include <stdio.h>
#include <string.h>

enum { ACTIONS_MAX = 24 };

/* clang-format off */
static const struct {
    const char *scope;
    const char *calls[ACTIONS_MAX];
    const char *commits[ACTIONS_MAX];
} rows[] = {
    { "source",   { "PutObject" },
                  { "facts", "note", "lease", "move" } },
    { "identity", { "CreateLogGroup", "PutRetentionPolicy", "CreateRepository", "PutImageTagMutability", "PutImageScanningConfiguration",
                    "CreateRole", "PutRolePolicy", "PutRolePermissionsBoundary", "UpdateAssumeRolePolicy", "CreateProject", "UpdateProject" },
                  { "resource", "note", "lease", "move" } },
    { "build",    { "StartBuild", "StopBuild" },
                  { "facts", "note", "lease", "move" } },
    { "route",    { "CreateTargetGroup", "ModifyTargetGroup", "ModifyTargetGroupAttributes", "CreateRule", "ModifyRule" },
                  { "resource", "note", "lease", "move" } },
    { "rollout",  { "RegisterTaskDefinition", "CreateService", "UpdateService", "ModifyTargetGroup" },
                  { "facts", "resource", "note", "lease", "move" } },
    { "live",     { "UpdateService", "ModifyTargetGroup", "BatchDeleteImage", "DeregisterTaskDefinition" },
                  { "facts", "resource", "note", "lease", "move", "pruned", "go_live" } },
    { "worker",   { NULL }, { "claim" } },
    /* No intents: each removal is a point of its own, before it is asked for and after. */
    { "teardown", { NULL },
                  { "claim", "lease", "move", "forget", "StopBuild", "DeleteService", "DeleteRule", "DeleteTargetGroup", "DeregisterTaskDefinition",
                    "DeleteTaskDefinitions", "DeleteProject", "DeleteRepository", "DeleteLogGroup", "DeleteRolePolicy", "DetachRolePolicy", "DeleteRole",
                    "DeleteObject", "AbortMultipartUpload", "DeleteSecret" } },
    { "poller",   { NULL }, { "wake" } },
};
/* clang-format on */

static const char *const call_moments[] = { "before_intent", "after_intent", "after_call", "after_answer", NULL };
static const char *const commit_moments[] = { "before", "after", NULL };

/* Tells each name until `tell` has seen enough (true). */
static bool each_of(const char *scope, const char *const *actions, const char *const *moments,
                    bool (*tell)(const char *name, const void *context), const void *context)
{
    char name[128];

    for (int i = 0; i < ACTIONS_MAX && actions[i]; i++)
        for (const char *const *moment = moments; *moment; moment++) {
            snprintf(name, sizeof name, "%s.%s.%s", scope, actions[i], *moment);
            if (tell(name, context))
                return true;
        }
    return false;
}

static bool each(bool (*tell)(const char *name, const void *context), const void *context)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (each_of(rows[i].scope, rows[i].calls, call_moments, tell, context) ||
            each_of(rows[i].scope, rows[i].commits, commit_moments, tell, context))
            return true;
    return false;
}

static bool is_it(const char *name, const void *context)
{
    return strcmp(name, context) == 0;
}

bool test_points_list_has(const char *name)
{
    return each(is_it, name);
}

static bool print(const char *name, const void *context)
{
    (void)context;
    puts(name);
    return false;
}

void test_points_print(void)
{
    each(print, NULL);
}

#else

typedef int test_points_is_nothing_here; /* a file without a declaration is not C */

#endif
