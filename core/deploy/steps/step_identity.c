/*
 * identity - what belongs to the app alone: log group, image repository, three roles and the build project.
 *
 * Each is created, or, when AWS says that it is there already, looked at: it must be tagged as the app's, and is then brought up to date. So a first release makes
 * one call for most of them, a lost answer does no harm, and a recorded thing of the wanted spec hash costs none.
 */
#include <string.h>

#include "core/deploy/estate/ownership.h"
#include "core/deploy/steps/step_scope.h"
#include "core/tenant/names.h"

/* Whether the wanted spec is what the thing was last made from; found gets the record. */
static int is_current(struct step_run *run, enum resource_kind kind, const char *hash, struct resource *found,
                      bool *current, struct err *e)
{
    if (resource_find(run, kind, found, e))
        return e->code;
    *current = found->spec_hash && strcmp(found->spec_hash, hash) == 0;
    return 0;
}

/* Creates a thing. An error with the given code means that it is there already: *exists, and no error. */
static int create(struct step_run *run, const struct aws_service *service, const char *operation, const char *name,
                  json_object *ask, const char *exists_code, json_object **reply, bool *exists, struct err *e)
{
    *exists = false;
    if (!step_call(run, service, operation, name, ask, reply, e))
        return 0;
    if (!err_is(e, exists_code))
        return e->code;
    *exists = true;
    return 0;
}

/* Log group */

static int log_group_require_ours(struct step_run *run, const char *name, const char *arn, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "resourceArn", arn);
    AUTO_JSON json_object *reply = NULL;

    if (step_read(run, &LOGS, "ListTagsForResource", ask, &reply, e) ||
        ownership_require(json_at(reply, "/tags"), arena_printf(run->mem, "log group %s", name), run->app.name, e))
        return step_not_shown(run, e);
    return 0;
}

static int log_group_create(struct step_run *run, const char *name, const char *arn, struct err *e)
{
    AUTO_JSON json_object *ask =
        json_build("{s:s, s:o}", "logGroupName", name, "tags", ownership_tags_map(run->app.name));
    bool exists;

    if (create(run, &LOGS, "CreateLogGroup", name, ask, "ResourceAlreadyExistsException", NULL, &exists, e))
        return e->code;
    return exists ? log_group_require_ours(run, name, arn, e) : 0;
}

static int log_group_ensure(struct step_run *run, struct err *e)
{
    const char *name = name_log_group(run->mem, run->app.name);
    const char *arn = arena_printf(run->mem, "arn:%s:logs:%s:%s:log-group:%s", run->partition, aws_region(run->aws),
                                   run->account, name);
    AUTO_JSON json_object *retention =
        json_build("{s:s, s:I}", "logGroupName", name, "retentionInDays", run->settings->log_retention_days);
    const char *hash = spec_hash(run->mem, retention);
    struct resource found = { 0 };
    bool current = false;

    if (is_current(run, RESOURCE_LOG_GROUP, hash, &found, &current, e))
        return e->code;
    if (current)
        return 0;
    if (log_group_create(run, name, arn, e) || step_call(run, &LOGS, "PutRetentionPolicy", name, retention, NULL, e))
        return e->code;
    return resource_record(run, RESOURCE_LOG_GROUP, name, arn, hash, e);
}

/* Image repository */

static int repository_update(struct step_run *run, const char *name, const char *arn, struct err *e)
{
    AUTO_JSON json_object *by_arn = json_build("{s:s}", "resourceArn", arn);
    AUTO_JSON json_object *immutable =
        json_build("{s:s, s:s}", "repositoryName", name, "imageTagMutability", "IMMUTABLE");
    AUTO_JSON json_object *scan =
        json_build("{s:s, s:{s:b}}", "repositoryName", name, "imageScanningConfiguration", "scanOnPush", 1);
    AUTO_JSON json_object *reply = NULL;

    if (step_read(run, &ECR, "ListTagsForResource", by_arn, &reply, e) ||
        ownership_require(json_at(reply, "/tags"), arena_printf(run->mem, "image repository %s", name), run->app.name,
                          e))
        return step_not_shown(run, e);
    if (step_call(run, &ECR, "PutImageTagMutability", name, immutable, NULL, e) ||
        step_call(run, &ECR, "PutImageScanningConfiguration", name, scan, NULL, e))
        return step_not_shown(run, e);
    return 0;
}

static int repository_ensure(struct step_run *run, struct err *e)
{
    const char *name = name_repository(run->mem, run->app.name);
    const char *arn = arena_printf(run->mem, "arn:%s:ecr:%s:%s:repository/%s", run->partition, aws_region(run->aws),
                                   run->account, name);
    /* Tags are immutable, so an image that runs can't be changed under its name. */
    AUTO_JSON json_object *ask =
        json_build("{s:s, s:s, s:{s:b}, s:o}", "repositoryName", name, "imageTagMutability", "IMMUTABLE",
                   "imageScanningConfiguration", "scanOnPush", 1, "tags", ownership_tags(run->app.name));
    const char *hash = spec_hash(run->mem, ask);
    struct resource found = { 0 };
    bool current = false, exists;

    if (is_current(run, RESOURCE_REPOSITORY, hash, &found, &current, e))
        return e->code;
    if (current)
        return 0;
    if (create(run, &ECR, "CreateRepository", name, ask, "RepositoryAlreadyExistsException", NULL, &exists, e) ||
        (exists && repository_update(run, name, arn, e)))
        return e->code;
    return resource_record(run, RESOURCE_REPOSITORY, name, arn, hash, e);
}

/* Roles */

struct role {
    enum resource_kind kind;
    const char *name;
    const char *description;
    const char *trust, *policy; /* JSON text; policy NULL: none */
};

static const char inline_policy_name[] = "berth";

static int role_update(struct step_run *run, const struct role *role, struct err *e)
{
    AUTO_JSON json_object *by_name = json_build("{s:s}", "RoleName", role->name);
    AUTO_JSON json_object *trust = json_build("{s:s, s:s}", "RoleName", role->name, "PolicyDocument", role->trust);
    AUTO_JSON json_object *boundary =
        json_build("{s:s, s:s}", "RoleName", role->name, "PermissionsBoundary", run->settings->permissions_boundary);
    AUTO_JSON json_object *reply = NULL;

    if (step_read(run, &IAM, "GetRole", by_name, &reply, e) ||
        ownership_require(json_at(reply, "/Role/Tags"), arena_printf(run->mem, "role %s", role->name), run->app.name,
                          e))
        return step_not_shown(run, e);
    if (step_call(run, &IAM, "PutRolePermissionsBoundary", role->name, boundary, NULL, e) ||
        step_call(run, &IAM, "UpdateAssumeRolePolicy", role->name, trust, NULL, e))
        return e->code;
    return 0;
}

static int role_make(struct step_run *run, const struct role *role, struct err *e)
{
    AUTO_JSON json_object *ask =
        json_build("{s:s, s:s, s:s, s:s, s:s, s:o}", "Path", "/", "RoleName", role->name, "Description",
                   role->description, "AssumeRolePolicyDocument", role->trust, "PermissionsBoundary",
                   run->settings->permissions_boundary, "Tags", ownership_tags(run->app.name));
    AUTO_JSON json_object *put = json_build("{s:s, s:s, s:s}", "RoleName", role->name, "PolicyName", inline_policy_name,
                                            "PolicyDocument", role->policy);
    bool exists;

    if (create(run, &IAM, "CreateRole", role->name, ask, "EntityAlreadyExists", NULL, &exists, e) ||
        (exists && role_update(run, role, e)))
        return e->code;
    return role->policy ? step_call(run, &IAM, "PutRolePolicy", role->name, put, NULL, e) : 0;
}

static int role_ensure(struct step_run *run, const struct role *role, struct err *e)
{
    AUTO_JSON json_object *spec = json_build("{s:s, s:s, s:s}", "trust", role->trust, "policy", role->policy,
                                             "boundary", run->settings->permissions_boundary);
    const char *hash = spec_hash(run->mem, spec);
    const char *arn = arena_printf(run->mem, "arn:%s:iam::%s:role/%s", run->partition, run->account, role->name);
    struct resource found = { 0 };
    bool current = false;

    if (is_current(run, role->kind, hash, &found, &current, e))
        return e->code;
    if (current)
        return 0;
    if (role_make(run, role, e))
        return step_not_yet(e);
    return resource_record(run, role->kind, role->name, arn, hash, e);
}

static const char *text_of(struct step_run *run, json_object *document)
{
    AUTO_JSON json_object *taken = document;

    return json_to_text(taken, run->mem);
}

static int roles_ensure(struct step_run *run, struct err *e)
{
    const struct policy_scope scope = step_scope(run);
    const char *app = run->app.name;
    const char *tasks = text_of(run, policy_trust_tasks(&scope));
    const struct role roles[] = {
        { RESOURCE_TASK_ROLE, name_task_role(run->mem, app), "What the code of this app may do; made by berth", tasks,
          NULL },
        { RESOURCE_EXECUTION_ROLE, name_execution_role(run->mem, app),
          "Starts the tasks of this app: its image, its logs, its configuration; made by berth", tasks,
          text_of(run, policy_execution(&scope)) },
        { RESOURCE_BUILD_ROLE, name_build_role(run->mem, app), "Builds the images of this app; made by berth",
          text_of(run, policy_trust_builds(&scope)), text_of(run, policy_build(&scope)) },
    };

    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (role_ensure(run, &roles[i], e))
            return e->code;
    return 0;
}

/* Build project */

static int project_update(struct step_run *run, const char *name, json_object *project, struct err *e)
{
    AUTO_JSON json_object *by_name = json_build("{s:[s]}", "names", name);
    AUTO_JSON json_object *reply = NULL;

    if (step_read(run, &CODEBUILD, "BatchGetProjects", by_name, &reply, e) ||
        ownership_require(json_at(reply, "/projects/0/tags"), arena_printf(run->mem, "build project %s", name),
                          run->app.name, e))
        return step_not_shown(run, e);
    return step_call(run, &CODEBUILD, "UpdateProject", name, project, NULL, e);
}

static int project_ensure(struct step_run *run, struct err *e)
{
    const struct policy_scope scope = step_scope(run);
    const char *name = name_build_project(run->mem, run->app.name);
    const char *role = name_build_role(run->mem, run->app.name);
    const struct build_environment environment = {
        .image = run->settings->build_image,
        .compute = run->settings->build_compute,
        .role_arn = arena_printf(run->mem, "arn:%s:iam::%s:role/%s", run->partition, run->account, role),
    };
    AUTO_JSON json_object *project = policy_build_project(&scope, &environment);
    const char *hash = spec_hash(run->mem, project);
    const char *arn = arena_printf(run->mem, "arn:%s:codebuild:%s:%s:project/%s", run->partition, aws_region(run->aws),
                                   run->account, name);
    struct resource found = { 0 };
    bool current = false, exists;

    if (is_current(run, RESOURCE_BUILD_PROJECT, hash, &found, &current, e))
        return e->code;
    if (current)
        return 0;
    if (create(run, &CODEBUILD, "CreateProject", name, project, "ResourceAlreadyExistsException", NULL, &exists, e) ||
        (exists && project_update(run, name, project, e)))
        return step_not_yet(e);
    return resource_record(run, RESOURCE_BUILD_PROJECT, name, arn, hash, e);
}

int identity_ensure(struct step_run *run, enum step_answer *answer, struct err *e)
{
    struct resource project;

    if (resource_find(run, RESOURCE_BUILD_PROJECT, &project, e) || log_group_ensure(run, e) ||
        repository_ensure(run, e) || roles_ensure(run, e) || project_ensure(run, e))
        return e->code;
    *answer = STEP_DONE;
    if (project.arn)
        return 0;
    return step_note(run, "info", e, "%s has its own log group, image repository, roles and build project.",
                     run->app.name);
}
