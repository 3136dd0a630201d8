/*
 * rollout - the release's task definition, the service on it, and the watch until ECS says that it is steady.
 *
 * Whose deployment is the service's primary is what counts: a failed one leaves DescribeServices after a while, so that it can't be seen is not success. ECS's circuit
 * breaker goes back to the last deployment that completed; a first release has none, so its service is scaled to nothing. What ECS doesn't give up by itself
 * is given up here after ROLLOUT_GIVE_UP_MS.
 */
#include <string.h>

#include "core/base/text.h"
#include "core/deploy/ownership.h"
#include "core/deploy/rollout_reason.h"
#include "core/deploy/step_scope.h"
#include "core/deploy/task_definition.h"
#include "core/tenant/names.h"

enum {
    BREAKER_FAILURES = 3,
    GRACE_S = 60, /* how long after its start a task may fail its health checks */
    ROLLOUT_GIVE_UP_MS = 15 * 60 * 1000,
    TASKS_DESCRIBED_MAX = 100 /* DescribeTasks' limit */
};

/* What a service is, but for its task definition and count: CreateService's and UpdateService's common parameters. */
static json_object *service_settings(struct step_run *run, const char *target_group_arn)
{
    const struct settings *settings = run->settings;
    json_object *subnets = json_new_array();
    json_object *ask;

    for (size_t i = 0; i < settings->subnets.count; i++)
        json_append(subnets, json_text(settings->subnets.items[i]));
    /* While it rolls out an app has twice its tasks. The breaker's own defaults would take up to 200 failures, and forget them at each healthy task. */
    ask = json_build("{s:{s:i, s:i, s:{s:b, s:b, s:b, s:{s:s, s:i}}}, s:{s:{s:o, s:[s], s:s}}}",
                     "deploymentConfiguration", "minimumHealthyPercent", 100, "maximumPercent", 200,
                     "deploymentCircuitBreaker", "enable", 1, "rollback", 1, "resetOnHealthyTask", 0,
                     "thresholdConfiguration", "type", "COUNT", "value", BREAKER_FAILURES, "networkConfiguration",
                     "awsvpcConfiguration", "subnets", subnets, "securityGroups", settings->security_group,
                     "assignPublicIp", settings->assign_public_ip ? "ENABLED" : "DISABLED");
    json_put(ask, "loadBalancers",
             json_build("[{s:s, s:s, s:i}]", "targetGroupArn", target_group_arn, "containerName", CONTAINER_NAME,
                        "containerPort", run->app.port));
    json_put(ask, "healthCheckGracePeriodSeconds", json_number(GRACE_S));
    json_put(ask, "propagateTags", json_text("TASK_DEFINITION"));
    json_put(ask, "enableECSManagedTags", json_build("b", 1));
    return ask;
}

static int keep_deployment(struct step_run *run, const json_object *reply, struct err *e)
{
    const json_object *primary = item_find(json_at(reply, "/service/deployments"), "/status", "PRIMARY");
    struct release_facts facts = { 0 };

    if (json_read_text(primary, "/id", run->mem, &facts.ecs_deployment_id, e) || release_set(run, &facts, e))
        return e->code;
    return step_note(run, "info", e, "Rolling out %d %s", run->app.tasks, run->app.tasks == 1 ? "task" : "tasks");
}

static int record_service(struct step_run *run, const json_object *reply, const char *hash, struct err *e)
{
    const char *arn;

    if (json_read_text(reply, "/service/serviceArn", run->mem, &arn, e) ||
        resource_record(run, RESOURCE_SERVICE, name_service(run->mem, run->app.name), arn, hash, e))
        return e->code;
    return keep_deployment(run, reply, e);
}

/* settings NULL: they are as recorded. */
static int service_update(struct step_run *run, const json_object *settings, json_object **reply, struct err *e)
{
    const char *name = name_service(run->mem, run->app.name);
    AUTO_JSON json_object *ask =
        json_build("{s:s, s:s, s:s, s:i}", "cluster", run->settings->cluster, "service", name, "taskDefinition",
                   run->release.task_definition_arn, "desiredCount", run->app.tasks);

    for (struct json_member m = json_first(settings); m.name; m = json_next(m))
        json_put(ask, m.name, json_hold(m.value));
    return step_call(run, &ECS, "UpdateService", name, ask, reply, e) ? step_not_yet(e) : 0;
}

/* Under the wanted name there is a service that this call didn't make: it is ours by its tag, or refused. */
static int service_adopt(struct step_run *run, const json_object *settings, json_object **reply, struct err *e)
{
    const char *name = name_service(run->mem, run->app.name);
    AUTO_JSON json_object *ask =
        json_build("{s:s, s:[s], s:[s]}", "cluster", run->settings->cluster, "services", name, "include", "TAGS");
    AUTO_JSON json_object *found = NULL;

    if (aws_call(run->aws, &ECS, "DescribeServices", ask, &found, e) ||
        ownership_require(json_at(found, "/services/0/tags"), arena_printf(run->mem, "ECS service %s", name),
                          run->app.name, e))
        return e->code;
    return service_update(run, settings, reply, e);
}

static int service_create(struct step_run *run, const json_object *settings, json_object **reply, struct err *e)
{
    const char *name = name_service(run->mem, run->app.name);
    /* At most 36 characters: "Ensuring idempotency" in the Amazon ECS API Reference. */
    const char *token = arena_printf(run->mem, "%s-v%d", name, run->release.number);
    AUTO_JSON json_object *ask =
        json_build("{s:s, s:s, s:s, s:i, s:s, s:s, s:o}", "cluster", run->settings->cluster, "serviceName", name,
                   "taskDefinition", run->release.task_definition_arn, "desiredCount", run->app.tasks, "launchType",
                   "FARGATE", "clientToken", token, "tags", ownership_tags_lower(run->app.name));

    for (struct json_member m = json_first(settings); m.name; m = json_next(m))
        json_put(ask, m.name, json_hold(m.value));
    if (!step_call(run, &ECS, "CreateService", name, ask, reply, e))
        return 0;
    if (e->code == ERR_INVALID && strstr(e->message, "idempotent"))
        return service_adopt(run, settings, reply, e);
    return step_not_yet(e);
}

static bool is_gone(const struct err *e)
{
    return err_is(e, "ServiceNotFoundException") || err_is(e, "ServiceNotActiveException");
}

static int deploy(struct step_run *run, struct err *e)
{
    AUTO_JSON json_object *settings = NULL, *reply = NULL;
    struct resource group, service;
    const char *hash;
    bool current;

    if (resource_find(run, RESOURCE_TARGET_GROUP, &group, e) || resource_find(run, RESOURCE_SERVICE, &service, e))
        return e->code;
    settings = service_settings(run, group.arn);
    hash = spec_hash(run->mem, settings);
    current = service.spec_hash && strcmp(service.spec_hash, hash) == 0;
    if (!service.arn || service_update(run, current ? NULL : settings, &reply, e)) {
        if (service.arn && !is_gone(e))
            return e->code;
        if (service_create(run, settings, &reply, e))
            return e->code;
    }
    return record_service(run, reply, hash, e);
}

/* Failure */

/* One task of this release that stopped and tells why, with the end of its log. Without one, failure->task stays NULL. */
static int find_stopped_task(struct step_run *run, json_object **tasks, struct rollout_failure *failure, struct err *e)
{
    AUTO_JSON json_object *list = json_build("{s:s, s:s, s:s}", "cluster", run->settings->cluster, "serviceName",
                                             name_service(run->mem, run->app.name), "desiredStatus", "STOPPED");
    AUTO_JSON json_object *arns = NULL, *some = json_new_array(), *ask = NULL;

    if (aws_call_paged(run->aws, &ECS, "ListTasks", list, "taskArns", "nextToken", "nextToken", &arns, e))
        return e->code;
    for (size_t i = 0; i < json_length(arns) && i < TASKS_DESCRIBED_MAX; i++)
        json_append(some, json_hold(json_item(arns, i)));
    if (json_length(some) == 0)
        return 0;
    ask = json_build("{s:s, s:O}", "cluster", run->settings->cluster, "tasks", some);
    if (aws_call(run->aws, &ECS, "DescribeTasks", ask, tasks, e))
        return e->code;
    for (size_t i = 0; i < json_length(json_at(*tasks, "/tasks")) && !failure->task; i++) {
        const json_object *task = json_item(json_at(*tasks, "/tasks"), i);
        const char *definition = json_find_text(task, "/taskDefinitionArn", run->mem);
        if (definition && strcmp(definition, run->release.task_definition_arn) == 0 && rollout_task_tells(task))
            failure->task = task;
    }
    return 0;
}

static int read_task_log(struct step_run *run, struct rollout_failure *failure, struct err *e)
{
    const char *arn, *slash;

    if (!failure->task)
        return 0;
    if (json_read_text(failure->task, "/taskArn", run->mem, &arn, e))
        return e->code;
    slash = strrchr(arn, '/');
    return app_log_tail(run->aws, run->app.name, slash ? slash + 1 : arn, run->mem, &failure->log, e);
}

/* Back to what was live, or to no tasks: for a rollout that ECS has not ended by itself in a way that leaves visitors served. */
static int withdraw(struct step_run *run, const struct deployment *live, struct err *e)
{
    const char *name = name_service(run->mem, run->app.name);
    bool first = live->release == 0;
    AUTO_JSON json_object *ask =
        json_build("{s:s, s:s, s:i, s:s}", "cluster", run->settings->cluster, "service", name, "desiredCount",
                   first ? 0 : run->app.tasks, "taskDefinition", first ? NULL : live->task_definition_arn);

    if (!step_call(run, &ECS, "UpdateService", name, ask, NULL, e) || is_gone(e))
        return 0;
    return e->code;
}

/* Ends the release with the reason. rolled_back: ECS goes back to the last completed deployment by itself. */
static int fail(struct step_run *run, const char *said, bool rolled_back, struct err *e)
{
    AUTO_JSON json_object *tasks = NULL;
    struct rollout_failure failure = { .app = &run->app, .said = said };
    struct deployment live;

    if (deployment_find(run->db, run->app.name, run->mem, &live, e))
        return e->code;
    failure.live_release = live.release;
    /* What we may not read doesn't keep the rest from being told. */
    if ((find_stopped_task(run, &tasks, &failure, e) || read_task_log(run, &failure, e)) && err_may_retry(e))
        return e->code;
    if (!rolled_back && withdraw(run, &live, e))
        return e->code;
    return rollout_reason(&failure, e);
}

/* The service's primary deployment is of another task definition: ECS has gone back, or somebody has deployed over it. */
static int fail_replaced(struct step_run *run, const char *primary, struct err *e)
{
    int64_t since_s = (clock_now_ms(run->clock) - run->release.step_age_ms) / 1000 - 60;
    AUTO_JSON json_object *ask = json_build("{s:s, s:s, s:{s:I}}", "cluster", run->settings->cluster, "service",
                                            name_service(run->mem, run->app.name), "createdAt", "after", since_s);
    AUTO_JSON json_object *reply = NULL;
    const json_object *all;

    if (aws_call(run->aws, &ECS, "ListServiceDeployments", ask, &reply, e))
        return e->code;
    all = json_at(reply, "/serviceDeployments");
    for (size_t i = 0; i < json_length(all); i++) {
        const char *status = json_find_text(json_item(all, i), "/status", run->mem);
        if (status && text_starts(status, "ROLLBACK"))
            return fail(run, json_find_text(json_item(all, i), "/statusReason", run->mem), true, e);
    }
    err_set(e, ERR_INVALID, "The rollout stopped: somebody else deployed %s over it, in Amazon ECS", primary);
    return err_hint(e, "Push again to roll out v%d's commit anew.", run->release.number);
}

/* The watch */

static int judge(struct step_run *run, const json_object *primary, enum step_answer *answer, struct err *e)
{
    const char *state = json_find_text(primary, "/rolloutState", run->mem);
    const char *reason = json_find_text(primary, "/rolloutStateReason", run->mem);

    *answer = STEP_WAIT;
    if (state && strcmp(state, "COMPLETED") == 0) {
        *answer = STEP_DONE;
        return 0;
    }
    if (state && strcmp(state, "FAILED") == 0)
        return fail(run, reason, false, e);
    if (run->release.step_age_ms < ROLLOUT_GIVE_UP_MS)
        return 0;
    return fail(run, arena_printf(run->mem, "its tasks were not steady after %d minutes", ROLLOUT_GIVE_UP_MS / 60000),
                false, e);
}

static int look(struct step_run *run, enum step_answer *answer, struct err *e)
{
    const char *name = name_service(run->mem, run->app.name);
    AUTO_JSON json_object *ask = json_build("{s:s, s:[s]}", "cluster", run->settings->cluster, "services", name);
    AUTO_JSON json_object *reply = NULL;
    const json_object *primary;
    const char *status, *definition;

    if (aws_call(run->aws, &ECS, "DescribeServices", ask, &reply, e))
        return e->code;
    status = json_find_text(reply, "/services/0/status", run->mem);
    if (!status || strcmp(status, "ACTIVE") != 0) {
        err_set(e, ERR_INVALID, "The rollout stopped: ECS service %s is %s", name, status ? status : "gone");
        return err_hint(e, "Somebody deleted it. Push again: it will be made anew.");
    }
    primary = item_find(json_at(reply, "/services/0/deployments"), "/status", "PRIMARY");
    if (json_read_text(primary, "/taskDefinition", run->mem, &definition, e))
        return e->code;
    if (strcmp(definition, run->release.task_definition_arn) != 0)
        return fail_replaced(run, definition, e);
    return judge(run, primary, answer, e);
}

/* A role that is too young shows as stopped tasks, which the breaker counts. */
static int roles_settled(struct step_run *run, bool *settled, struct err *e)
{
    struct db_rows AUTO_ROWS *rows = NULL;

    if (db_query(run->db, run->app.name, QUERY_ROLE_AGE, &rows, e, db_text(run->app.name)))
        return e->code;
    *settled = db_get_int(rows, 0, "age_ms") >= run->settings->role_settle_s * 1000;
    return 0;
}

int rollout_ensure(struct step_run *run, enum step_answer *answer, struct err *e)
{
    bool settled = false;

    if (run->release.ecs_deployment_id)
        return look(run, answer, e);
    if (roles_settled(run, &settled, e))
        return e->code;
    *answer = STEP_WAIT;
    if (!settled)
        return 0;
    if (task_definition_ensure(run, e) || deploy(run, e))
        return e->code;
    return 0;
}
