/* Build projects, image repositories, log groups and roles: what the identity step makes. */
#include <string.h>

#include "core/base/text.h"
#include "core/deploy/estate/estate_kinds.h"
#include "core/deploy/estate/ownership.h"
#include "core/tenant/names.h"

enum { PROJECTS_DESCRIBED_MAX = 100 };

static const struct aws_paging paged_projects = { "projects", "nextToken", "nextToken" };
static const struct aws_paging paged_repositories = { "repositories", "nextToken", "nextToken" };
static const struct aws_paging paged_log_groups = { "logGroups", "nextToken", "nextToken" };
static const struct aws_paging paged_roles = { "Roles", "Marker", "Marker" };
static const struct aws_paging paged_policies = { "PolicyNames", "Marker", "Marker" };
static const struct aws_paging paged_attached = { "AttachedPolicies", "Marker", "Marker" };

/* Build projects */

static int projects_describe(struct estate_place *place, const json_object *names, const char *app, struct estate *out,
                             struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:O}", "names", names), *reply = NULL;

    if (json_length(names) == 0)
        return 0;
    if (estate_read(place, &CODEBUILD, "BatchGetProjects", ask, &reply, e))
        return e->code;
    for (size_t i = 0; i < json_length(json_at(reply, "/projects")); i++) {
        json_object *project = json_item(json_at(reply, "/projects"), i);
        struct estate_thing thing = { .kind = ESTATE_BUILD_PROJECT, .is = project };
        if (json_read_text(project, "/name", place->mem, &thing.name, e) ||
            json_read_text(project, "/arn", place->mem, &thing.arn, e))
            return e->code;
        thing.owner = tag_find(json_at(project, "/tags"), NAMES_TAG_APP, place->mem);
        if (app || thing.owner)
            estate_add(place, out, &thing);
    }
    return 0;
}

int estate_find_project(struct estate_place *place, const char *app, struct estate *out, struct err *e)
{
    AUTO_JSON json_object *ask = json_new_object(), *names = NULL, *some = json_new_array();

    if (app) {
        json_append(some, json_text(name_build_project(place->mem, app)));
        return projects_describe(place, some, app, out, e);
    }
    if (estate_read_paged(place, &CODEBUILD, "ListProjects", ask, &paged_projects, &names, e))
        return e->code;
    for (size_t i = 0; i < json_length(names); i++) {
        const char *name = json_find_text(json_item(names, i), "", place->mem);
        if (name && text_starts(name, "berth-"))
            json_append(some, json_text(name));
        if (json_length(some) == PROJECTS_DESCRIBED_MAX || i + 1 == json_length(names)) {
            if (projects_describe(place, some, NULL, out, e))
                return e->code;
            json_drop(some);
            some = json_new_array();
        }
    }
    return 0;
}

int estate_remove_project(struct estate_place *place, const struct estate_thing *thing, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "name", thing->name);

    return estate_ask(place, &CODEBUILD, "DeleteProject", ask, "ResourceNotFoundException", e);
}

/* What has its tags asked for by ARN: image repositories and log groups. */
static int add_tagged(struct estate_place *place, const struct aws_service *service, struct estate_thing *thing,
                      const char *app, struct estate *out, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "resourceArn", thing->arn), *reply = NULL;

    if (estate_read(place, service, "ListTagsForResource", ask, &reply, e))
        return e->code == ERR_NOT_FOUND ? 0 : (int)e->code; /* it went meanwhile */
    thing->owner = tag_find(json_at(reply, "/tags"), NAMES_TAG_APP, place->mem);
    if (app || thing->owner)
        estate_add(place, out, thing);
    return 0;
}

/* Image repositories */

int estate_find_repository(struct estate_place *place, const char *app, struct estate *out, struct err *e)
{
    AUTO_JSON json_object *ask = json_new_object(), *all = NULL;

    if (app)
        json_put(ask, "repositoryNames", json_build("[s]", name_repository(place->mem, app)));
    if (estate_read_paged(place, &ECR, "DescribeRepositories", ask, &paged_repositories, &all, e))
        return err_is(e, "RepositoryNotFoundException") ? 0 : (int)e->code;
    for (size_t i = 0; i < json_length(all); i++) {
        struct estate_thing thing = { .kind = ESTATE_REPOSITORY, .is = json_item(all, i) };
        if (json_read_text(thing.is, "/repositoryName", place->mem, &thing.name, e) ||
            json_read_text(thing.is, "/repositoryArn", place->mem, &thing.arn, e))
            return e->code;
        if (text_starts(thing.name, "berth/") && add_tagged(place, &ECR, &thing, app, out, e))
            return e->code;
    }
    return 0;
}

int estate_remove_repository(struct estate_place *place, const struct estate_thing *thing, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s, s:b}", "repositoryName", thing->name, "force", 1);

    return estate_ask(place, &ECR, "DeleteRepository", ask, "RepositoryNotFoundException", e);
}

/* Log groups */

int estate_find_log_group(struct estate_place *place, const char *app, struct estate *out, struct err *e)
{
    const char *wanted = app ? name_log_group(place->mem, app) : "/berth/";
    AUTO_JSON json_object *ask = json_build("{s:s}", "logGroupNamePrefix", wanted), *all = NULL;

    if (estate_read_paged(place, &LOGS, "DescribeLogGroups", ask, &paged_log_groups, &all, e))
        return e->code;
    for (size_t i = 0; i < json_length(all); i++) {
        struct estate_thing thing = { .kind = ESTATE_LOG_GROUP, .is = json_item(all, i) };
        if (json_read_text(thing.is, "/logGroupName", place->mem, &thing.name, e))
            return e->code;
        /* DescribeLogGroups' "arn" ends in ":*", which the tag calls don't take. */
        thing.arn = arena_printf(place->mem, "arn:%s:logs:%s:%s:log-group:%s", place->partition, aws_region(place->aws),
                                 place->account, thing.name);
        if ((!app || strcmp(thing.name, wanted) == 0) && add_tagged(place, &LOGS, &thing, app, out, e))
            return e->code;
    }
    return 0;
}

int estate_remove_log_group(struct estate_place *place, const struct estate_thing *thing, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "logGroupName", thing->name);

    return estate_ask(place, &LOGS, "DeleteLogGroup", ask, "ResourceNotFoundException", e);
}

/* Roles */

static int role_find(struct estate_place *place, const char *name, const char *app, struct estate *out, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "RoleName", name), *reply = NULL;
    struct estate_thing thing = { .kind = ESTATE_ROLE, .name = name };

    if (estate_read(place, &IAM, "GetRole", ask, &reply, e))
        return err_is(e, "NoSuchEntity") ? 0 : (int)e->code;
    if (json_read_text(reply, "/Role/Arn", place->mem, &thing.arn, e))
        return e->code;
    thing.is = json_at(reply, "/Role");
    thing.owner = tag_find(json_at(reply, "/Role/Tags"), NAMES_TAG_APP, place->mem);
    if (app || thing.owner)
        estate_add(place, out, &thing);
    return 0;
}

/* ListRoles tells no tags, and can't be asked for a name's beginning. */
static int roles_list(struct estate_place *place, struct estate *out, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "PathPrefix", "/"), *all = NULL;

    if (estate_read_paged(place, &IAM, "ListRoles", ask, &paged_roles, &all, e))
        return e->code;
    for (size_t i = 0; i < json_length(all); i++) {
        const char *name = json_find_text(json_item(all, i), "/RoleName", place->mem);
        if (name && text_starts(name, "berth-") && role_find(place, name, NULL, out, e))
            return e->code;
    }
    return 0;
}

int estate_find_roles(struct estate_place *place, const char *app, struct estate *out, struct err *e)
{
    if (!app)
        return roles_list(place, out, e);
    if (role_find(place, name_task_role(place->mem, app), app, out, e) ||
        role_find(place, name_execution_role(place->mem, app), app, out, e) ||
        role_find(place, name_build_role(place->mem, app), app, out, e))
        return e->code;
    return 0;
}

/* A role goes only when it has no policies left, whoever gave them to it. */
static int policies_remove(struct estate_place *place, const char *role, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "RoleName", role);
    AUTO_JSON json_object *names = NULL, *attached = NULL;

    if (estate_read_paged(place, &IAM, "ListRolePolicies", ask, &paged_policies, &names, e))
        return e->code;
    for (size_t i = 0; i < json_length(names); i++) {
        const char *name = json_find_text(json_item(names, i), "", place->mem);
        AUTO_JSON json_object *one = json_build("{s:s, s:s}", "RoleName", role, "PolicyName", name);
        if (estate_ask(place, &IAM, "DeleteRolePolicy", one, "NoSuchEntity", e))
            return e->code;
    }
    if (estate_read_paged(place, &IAM, "ListAttachedRolePolicies", ask, &paged_attached, &attached, e))
        return e->code;
    for (size_t i = 0; i < json_length(attached); i++) {
        const char *arn = json_find_text(json_item(attached, i), "/PolicyArn", place->mem);
        AUTO_JSON json_object *one = json_build("{s:s, s:s}", "RoleName", role, "PolicyArn", arn);
        if (estate_ask(place, &IAM, "DetachRolePolicy", one, "NoSuchEntity", e))
            return e->code;
    }
    return 0;
}

int estate_remove_role(struct estate_place *place, const struct estate_thing *thing, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "RoleName", thing->name);

    if (policies_remove(place, thing->name, e))
        return err_is(e, "NoSuchEntity") ? 0 : (int)e->code;
    return estate_ask(place, &IAM, "DeleteRole", ask, "NoSuchEntity", e);
}
