#include "core/deploy/steps/task_definition.h"

#include <string.h>

#include "core/base/log.h"
#include "core/deploy/estate/ownership.h"
#include "core/deploy/steps/step_scope.h"
#include "core/tenant/names.h"

enum { LIST_LATE_MS = 10000 }; /* so long a list of ECS may not show what was just made */

static json_object *pair(const char *name, const char *value)
{
    return json_build("{s:s, s:s}", "name", name, "value", value);
}

/* Without non-blocking, a slow CloudWatch Logs would stop the app's own writes. */
static json_object *log_configuration(struct step_run *run)
{
    return json_build("{s:s, s:{s:s, s:s, s:s, s:s, s:s}}", "logDriver", "awslogs", "options", "awslogs-group",
                      name_log_group(run->mem, run->app.name), "awslogs-region", aws_region(run->aws),
                      "awslogs-stream-prefix", LOG_PREFIX_APP, "mode", "non-blocking", "max-buffer-size", "10m");
}

static json_object *port_mappings(const struct step_run *run)
{
    return json_build("[{s:i, s:s}]", "containerPort", run->app.port, "protocol", "tcp");
}

static json_object *container(struct step_run *run)
{
    const struct policy_scope scope = step_scope(run);
    const char *image =
        arena_printf(run->mem, "%s@%s", policy_repository_uri(&scope, run->mem), run->release.image_digest);
    json_object *environment = json_build("[o, o, o, o]", pair("PORT", arena_printf(run->mem, "%d", run->app.port)),
                                          pair("BERTH_APP", run->app.name),
                                          pair("BERTH_RELEASE", arena_printf(run->mem, "%d", run->release.number)),
                                          pair("BERTH_COMMIT", run->release.commit_sha));

    /* The init process reaps what the app leaves behind and passes signals on, so a stop doesn't wait for its 30 seconds. */
    return json_build("{s:s, s:s, s:b, s:o, s:o, s:o, s:{s:b}}", "name", CONTAINER_NAME, "image", image, "essential", 1,
                      "portMappings", port_mappings(run), "environment", environment, "logConfiguration",
                      log_configuration(run), "linuxParameters", "initProcessEnabled", 1);
}

static const char *role_arn(const struct step_run *run, const char *role)
{
    return arena_printf(run->mem, "arn:%s:iam::%s:role/%s", run->partition, run->account, role);
}

static json_object *definition(struct step_run *run)
{
    const char *app = run->app.name;
    json_object *tags = ownership_tags_lower(app);
    json_object *ask =
        json_build("{s:s, s:[s], s:s, s:{s:s, s:s}, s:[o]}", "family", name_task_family(run->mem, app),
                   "requiresCompatibilities", "FARGATE", "networkMode", "awsvpc", "runtimePlatform", "cpuArchitecture",
                   "X86_64", "operatingSystemFamily", "LINUX", "containerDefinitions", container(run));

    json_put(ask, "cpu", json_text(arena_printf(run->mem, "%d", run->app.cpu_units)));
    json_put(ask, "memory", json_text(arena_printf(run->mem, "%d", run->app.memory_mib)));
    json_put(ask, "taskRoleArn", json_text(role_arn(run, name_task_role(run->mem, app))));
    json_put(ask, "executionRoleArn", json_text(role_arn(run, name_execution_role(run->mem, app))));
    json_append(
        tags, json_build("{s:s, s:s}", "key", TAG_RELEASE, "value", arena_printf(run->mem, "%d", run->release.number)));
    json_put(ask, "tags", tags);
    return ask;
}

/* What of a described task definition makes another one of it; the rest is ECS's own to say. */
static const char *const carried[] = {
    "family",
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "containerDefinitions",
    "volumes",
    "placementConstraints",
    "cpu",
    "memory",
    "requiresCompatibilities",
    "runtimePlatform",
    "ephemeralStorage",
};

static void give(json_object *environment, const char *name, const char *value)
{
    json_object *found = item_find(environment, "/name", name);

    if (found)
        json_put(found, "value", json_text(value));
}

/* The app is told which release it runs as. Size and port are the same as ever, unless the release gone back to is from before they were fixed on it: then they are what the
 * quotas and the load balancer were told. Everything else stays as it was. */
static void fit_to_release(struct step_run *run, json_object *copy)
{
    const char *port = arena_printf(run->mem, "%d", run->app.port);
    json_object *containers = json_at(copy, "/containerDefinitions");

    json_put(copy, "cpu", json_text(arena_printf(run->mem, "%d", run->app.cpu_units)));
    json_put(copy, "memory", json_text(arena_printf(run->mem, "%d", run->app.memory_mib)));
    for (size_t i = 0; i < json_length(containers); i++) {
        json_object *one = json_item(containers, i);
        const char *name = json_find_text(one, "/name", run->mem);
        give(json_at(one, "/environment"), "BERTH_RELEASE", arena_printf(run->mem, "%d", run->release.number));
        if (!name || strcmp(name, CONTAINER_NAME) != 0)
            continue;
        give(json_at(one, "/environment"), "PORT", port);
        json_put(one, "portMappings", port_mappings(run));
    }
}

/* A rollback runs the old release's configuration, too: its task definition once more. *ask NULL: ECS doesn't have it any more. */
static int copy_of(struct step_run *run, const char *arn, json_object **ask, struct err *e)
{
    AUTO_JSON json_object *by_arn = json_build("{s:s}", "taskDefinition", arn);
    AUTO_JSON json_object *reply = NULL;
    json_object *tags;
    const char *number = arena_printf(run->mem, "%d", run->release.number);

    *ask = NULL;
    if (step_read(run, &ECS, "DescribeTaskDefinition", by_arn, &reply, e))
        return e->code == ERR_NOT_FOUND || err_is(e, "ClientException") ? 0 : (int)e->code;
    *ask = json_new_object();
    for (size_t i = 0; i < sizeof carried / sizeof *carried; i++) {
        json_object *part = json_get(json_at(reply, "/taskDefinition"), carried[i]);
        if (part)
            json_put(*ask, carried[i], json_hold(part));
    }
    fit_to_release(run, *ask);
    tags = ownership_tags_lower(run->app.name);
    json_append(tags, json_build("{s:s, s:s}", "key", TAG_RELEASE, "value", number));
    json_put(*ask, "tags", tags);
    return 0;
}

static int specify(struct step_run *run, json_object **ask, struct err *e)
{
    struct release old = { 0 };

    if (run->release.rollback_to) {
        if (release_get(run->db, run->app.name, run->release.rollback_to, run->mem, &old, e) ||
            (old.task_definition_arn && copy_of(run, old.task_definition_arn, ask, e)))
            return e->code;
        if (*ask)
            return 0;
        if (step_note(run, "info", e,
                      "The task definition of v%d is gone from ECS: its image runs with the app's present settings.",
                      run->release.rollback_to))
            return e->code;
    }
    *ask = definition(run);
    return 0;
}

static int keep(struct step_run *run, const char *arn, struct err *e)
{
    const struct release_facts facts = { .task_definition_arn = arn };

    return release_set(run, &facts, e);
}

/* *is_it: whether the task definition carries this release's tags. */
static int describe(struct step_run *run, const char *arn, bool *is_it, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s, s:[s]}", "taskDefinition", arn, "include", "TAGS");
    AUTO_JSON json_object *reply = NULL;
    const char *app, *number;

    if (step_read(run, &ECS, "DescribeTaskDefinition", ask, &reply, e))
        return e->code;
    app = tag_find(json_at(reply, "/tags"), NAMES_TAG_APP, run->mem);
    number = tag_find(json_at(reply, "/tags"), TAG_RELEASE, run->mem);
    *is_it = app && number && strcmp(app, run->app.name) == 0 &&
             strcmp(number, arena_printf(run->mem, "%d", run->release.number)) == 0;
    return 0;
}

/* The newest revisions are enough: releases of an app register one after the other. *arn NULL: not there. */
static int find(struct step_run *run, const char *family, const char **arn, struct err *e)
{
    enum { REVISIONS_LOOKED_AT = 3 };
    AUTO_JSON json_object *ask =
        json_build("{s:s, s:s, s:i}", "familyPrefix", family, "sort", "DESC", "maxResults", REVISIONS_LOOKED_AT);
    AUTO_JSON json_object *reply = NULL;

    *arn = NULL;
    if (step_read(run, &ECS, "ListTaskDefinitions", ask, &reply, e))
        return e->code;
    for (size_t i = 0; i < json_length(json_at(reply, "/taskDefinitionArns")) && !*arn; i++) {
        const char *one = json_find_text(json_item(json_at(reply, "/taskDefinitionArns"), i), "", run->mem);
        bool is_it = false;
        if (one && describe(run, one, &is_it, e))
            return e->code;
        if (is_it)
            *arn = one;
    }
    return 0;
}

/*
 * Asked for once, RegisterTaskDefinition makes a revision each time, so when its answer was lost and the list shows none, the list may be late: it is read again, until
 * what was made would be in it.
 */
static int wait_for_the_list(struct step_run *run, const char *family, struct err *e)
{
    bool may_appear = false;

    if (step_left_open(run, "ecs:RegisterTaskDefinition", family, LIST_LATE_MS, &may_appear, e) || !may_appear)
        return e->code;
    return err_set(e, ERR_TRANSIENT, "ECS did not answer, and whether it has registered a task definition shows later");
}

int task_definition_ensure(struct step_run *run, struct err *e)
{
    const char *family = name_task_family(run->mem, run->app.name);
    AUTO_JSON json_object *ask = NULL;
    AUTO_JSON json_object *reply = NULL;
    const char *arn = NULL;

    if (run->release.task_definition_arn)
        return 0;
    if (step_was_tried(run) && find(run, family, &arn, e))
        return e->code;
    if (arn)
        return keep(run, arn, e);
    if (wait_for_the_list(run, family, e) || specify(run, &ask, e))
        return e->code;
    if (step_call(run, &ECS, "RegisterTaskDefinition", family, ask, &reply, e))
        return step_not_yet(e);
    if (json_read_text(reply, "/taskDefinition/taskDefinitionArn", run->mem, &arn, e))
        return e->code;
    return keep(run, arn, e);
}

static int recall(struct step_run *run, struct err *e)
{
    int64_t times = 0;
    const char *arn = NULL;

    if (run->release.task_definition_arn)
        return 0;
    if (step_times_asked(run, "ecs:RegisterTaskDefinition", &times, e))
        return e->code;
    if (times > 0 && find(run, name_task_family(run->mem, run->app.name), &arn, e))
        return e->code;
    return arn ? keep(run, arn, e) : 0;
}

void task_definition_recall(struct step_run *run)
{
    struct err e = { 0 };

    if (recall(run, &e))
        log_err(LOG_WARN, "a task definition that may have been registered was not looked for", &e,
                log_text("app", run->app.name), log_int("release", run->release.number));
}
