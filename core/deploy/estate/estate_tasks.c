/* Builds, services and task definitions: what runs. */
#include <string.h>

#include "core/deploy/estate/estate_kinds.h"
#include "core/deploy/estate/ownership.h"
#include "core/tenant/names.h"

enum { SERVICES_DESCRIBED_MAX = 10, BUILDS_DESCRIBED_MAX = 100 };

static const struct aws_paging paged_services = { "serviceArns", "nextToken", "nextToken" };
static const struct aws_paging paged_definitions = { "taskDefinitionArns", "nextToken", "nextToken" };
static const struct aws_paging paged_families = { "families", "nextToken", "nextToken" };

/* Builds */

static int running_builds(struct estate_place *place, const char *project, json_object **running, struct err *e)
{
    AUTO_JSON json_object *list = json_build("{s:s, s:s}", "projectName", project, "sortOrder", "DESCENDING");
    AUTO_JSON json_object *ids = NULL, *by_id = NULL, *reply = NULL, *found = json_new_array();

    *running = NULL;
    /* The newest page: builds of a project begin one after the other, so one that runs is not behind a hundred that ended. */
    if (estate_read(place, &CODEBUILD, "ListBuildsForProject", list, &ids, e))
        return err_is(e, "ResourceNotFoundException") ? 0 : (int)e->code;
    if (json_length(json_at(ids, "/ids")) == 0)
        return 0;
    by_id = json_build("{s:O}", "ids", json_at(ids, "/ids"));
    if (estate_read(place, &CODEBUILD, "BatchGetBuilds", by_id, &reply, e))
        return e->code;
    for (size_t i = 0; i < json_length(json_at(reply, "/builds")); i++) {
        json_object *build = json_item(json_at(reply, "/builds"), i);
        const char *status = json_find_text(build, "/buildStatus", place->mem);
        if (status && strcmp(status, "IN_PROGRESS") == 0)
            json_append(found, json_hold(build));
    }
    *running = json_hold(found);
    return 0;
}

int estate_stop_builds(struct estate_place *place, const char *app, size_t *left, struct err *e)
{
    AUTO_ESTATE struct estate project = { 0 };
    AUTO_JSON json_object *running = NULL;

    *left = 0;
    if (estate_find_project(place, app, &project, e))
        return e->code;
    /* A project of that name that isn't the app's has builds that aren't either. */
    if (project.count == 0 || !project.things[0].owner || strcmp(project.things[0].owner, app) != 0)
        return 0;
    if (running_builds(place, project.things[0].name, &running, e))
        return e->code;
    for (size_t i = 0; i < json_length(running); i++) {
        const char *id = json_find_text(json_item(running, i), "/id", place->mem);
        AUTO_JSON json_object *ask = json_build("{s:s}", "id", id);
        if (estate_ask(place, &CODEBUILD, "StopBuild", ask, "ResourceNotFoundException", e))
            return e->code;
    }
    *left = json_length(running);
    return 0;
}

/* Services */

static int services_describe(struct estate_place *place, const json_object *names, const char *app, struct estate *out,
                             struct err *e)
{
    AUTO_JSON json_object *ask =
        json_build("{s:s, s:O, s:[s]}", "cluster", place->settings->cluster, "services", names, "include", "TAGS");
    AUTO_JSON json_object *reply = NULL;

    if (estate_read(place, &ECS, "DescribeServices", ask, &reply, e))
        return e->code;
    for (size_t i = 0; i < json_length(json_at(reply, "/services")); i++) {
        json_object *service = json_item(json_at(reply, "/services"), i);
        struct estate_thing thing = { .kind = ESTATE_SERVICE, .is = service };
        if (json_read_text(service, "/serviceName", place->mem, &thing.name, e) ||
            json_read_text(service, "/serviceArn", place->mem, &thing.arn, e) ||
            json_read_text(service, "/status", place->mem, &thing.state, e))
            return e->code;
        thing.owner = tag_find(json_at(service, "/tags"), NAMES_TAG_APP, place->mem);
        if (strcmp(thing.state, "INACTIVE") != 0 && (app || thing.owner))
            estate_add(place, out, &thing);
    }
    return 0;
}

int estate_find_service(struct estate_place *place, const char *app, struct estate *out, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "cluster", place->settings->cluster);
    AUTO_JSON json_object *names = NULL;

    if (app) {
        names = json_build("[s]", name_service(place->mem, app));
        return services_describe(place, names, app, out, e);
    }
    if (estate_read_paged(place, &ECS, "ListServices", ask, &paged_services, &names, e))
        return e->code;
    for (size_t from = 0; from < json_length(names); from += SERVICES_DESCRIBED_MAX) {
        AUTO_JSON json_object *some = json_new_array();
        for (size_t i = from; i < json_length(names) && i < from + SERVICES_DESCRIBED_MAX; i++)
            json_append(some, json_hold(json_item(names, i)));
        if (services_describe(place, some, NULL, out, e))
            return e->code;
    }
    return 0;
}

/* By force: its tasks are stopped, without its count being set to nothing first. */
int estate_remove_service(struct estate_place *place, const struct estate_thing *thing, struct err *e)
{
    AUTO_JSON json_object *ask =
        json_build("{s:s, s:s, s:b}", "cluster", place->settings->cluster, "service", thing->name, "force", 1);

    if (strcmp(thing->state, "DRAINING") == 0)
        return 0;
    if (estate_ask(place, &ECS, "DeleteService", ask, "ServiceNotFoundException", e))
        return err_is(e, "ServiceNotActiveException") ? 0 : (int)e->code;
    return 0;
}

/* Task definitions */

static int definition_add(struct estate_place *place, const char *arn, const char *family, struct estate *out,
                          struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s, s:[s]}", "taskDefinition", arn, "include", "TAGS");
    AUTO_JSON json_object *reply = NULL;
    struct estate_thing thing = { .kind = ESTATE_TASK_DEFINITION, .arn = arn };
    const char *found;

    /* ECS has no code of its own for a task definition that isn't there. */
    if (estate_read(place, &ECS, "DescribeTaskDefinition", ask, &reply, e))
        return err_is(e, "ClientException") && strstr(e->message, "Unable to describe") ? 0 : (int)e->code;
    if (json_read_text(reply, "/taskDefinition/family", place->mem, &found, e) ||
        json_read_text(reply, "/taskDefinition/status", place->mem, &thing.state, e))
        return e->code;
    if (strcmp(found, family) != 0 || strcmp(thing.state, "DELETE_IN_PROGRESS") == 0)
        return 0;
    thing.owner = tag_find(json_at(reply, "/tags"), NAMES_TAG_APP, place->mem);
    thing.name =
        arena_printf(place->mem, "%s:%lld", family, (long long)json_find_int(reply, "/taskDefinition/revision", 0));
    estate_add(place, out, &thing);
    return 0;
}

static int definitions_of(struct estate_place *place, const char *family, const char *status, struct estate *out,
                          struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s, s:s}", "familyPrefix", family, "status", status);
    AUTO_JSON json_object *arns = NULL;

    if (estate_read_paged(place, &ECS, "ListTaskDefinitions", ask, &paged_definitions, &arns, e))
        return e->code;
    for (size_t i = 0; i < json_length(arns); i++)
        if (definition_add(place, json_find_text(json_item(arns, i), "", place->mem), family, out, e))
            return e->code;
    return 0;
}

/* Of all apps, one revision of each family is enough to tell whose it is. */
static int families_list(struct estate_place *place, struct estate *out, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s, s:s}", "familyPrefix", "berth-", "status", "ACTIVE");
    AUTO_JSON json_object *families = NULL;

    if (estate_read_paged(place, &ECS, "ListTaskDefinitionFamilies", ask, &paged_families, &families, e))
        return e->code;
    for (size_t i = 0; i < json_length(families); i++) {
        const char *family = json_find_text(json_item(families, i), "", place->mem);
        size_t before = out->count;
        if (definition_add(place, family, family, out, e))
            return e->code;
        if (out->count > before && !out->things[before].owner)
            out->count = before;
    }
    return 0;
}

int estate_find_task_definitions(struct estate_place *place, const char *app, struct estate *out, struct err *e)
{
    const char *family;

    if (!app)
        return families_list(place, out, e);
    family = name_task_family(place->mem, app);
    if (definitions_of(place, family, "ACTIVE", out, e) || definitions_of(place, family, "INACTIVE", out, e))
        return e->code;
    return 0;
}

int estate_remove_task_definition(struct estate_place *place, const struct estate_thing *thing, struct err *e)
{
    AUTO_JSON json_object *one = json_build("{s:s}", "taskDefinition", thing->arn);
    AUTO_JSON json_object *ask = json_build("{s:[s]}", "taskDefinitions", thing->arn), *reply = NULL;
    const char *reason;

    if (strcmp(thing->state, "ACTIVE") == 0 && estate_ask(place, &ECS, "DeregisterTaskDefinition", one, NULL, e))
        return e->code;
    if (estate_change(place, &ECS, "DeleteTaskDefinitions", ask, &reply, e))
        return e->code;
    if (json_length(json_at(reply, "/failures")) == 0)
        return 0;
    reason = json_find_text(reply, "/failures/0/reason", place->mem);
    return err_set(e, ERR_CONFLICT, "Task definition %s was not deleted: %s", thing->name,
                   reason ? reason : "no reason");
}
