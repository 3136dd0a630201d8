/*
 * rollout - the release's task definition, the service on it, and the watch until ECS says that it is steady.
 *
 * Whose deployment is the service's primary is what counts: a failed one leaves DescribeServices after a while, so that it can't be seen is not success. ECS's circuit
 * breaker goes back to the last deployment that completed; a first release has none, so its service is scaled to nothing. What ECS doesn't give up by itself
 * is given up here after ROLLOUT_GIVE_UP_MS.
 *
 * A worker that froze in the middle of UpdateService may send it when it wakes, long after others have rolled out newer releases. So whoever finds an older release of
 * this app as the primary, without ECS having gone back to it by itself, puts its own in its place again; the step live looks once more right before it commits.
 */
#include <string.h>

#include "core/base/text.h"
#include "core/deploy/estate/ownership.h"
#include "core/deploy/steps/failure_notes.h"
#include "core/deploy/steps/health_check.h"
#include "core/deploy/steps/put_back.h"
#include "core/deploy/steps/rollout_reason.h"
#include "core/deploy/steps/specs.h"
#include "core/deploy/steps/step_scope.h"
#include "core/deploy/steps/task_definition.h"
#include "core/tenant/names.h"

enum {
    ROLLOUT_GIVE_UP_MS = 15 * 60 * 1000,
    ROLLOUT_CHANGING_MS = (SPEC_PATIENCE_S - 60) * 1000, /* with a minute to take it back in */
    TASKS_DESCRIBED_MAX = 100,                           /* DescribeTasks' limit */
    DEPLOYMENTS_LISTED_MAX = 100,                        /* ListServiceDeployments' */
    REVISIONS_DESCRIBED_MAX = 20,                        /* DescribeServiceRevisions' */
    STALE_LOOKS_MAX = 8, /* looks, half a minute, for which DescribeServices may not know our deployment yet */
    UPDATES_MAX = 6      /* UpdateService calls of one release, before somebody else must be at work */
};

static int keep_deployment(struct step_run *run, const json_object *reply, struct err *e)
{
    const json_object *primary = item_find(json_at(reply, "/service/deployments"), "/status", "PRIMARY");
    struct release_facts facts = { 0 };

    if (json_read_text(primary, "/id", run->mem, &facts.ecs_deployment_id, e) || release_set(run, &facts, e))
        return e->code;
    run->waits_for = WAITS_FOR_SERVICE;
    return step_note(run, "info", e, "Rolling out %d %s.", run->app.tasks, run->app.tasks == 1 ? "task" : "tasks");
}

/* The deployment goes on record last, so that what goes with it is made by whoever comes next if this one does not. */
static int record_service(struct step_run *run, const json_object *reply, const char *hash, struct err *e)
{
    const char *arn;

    if (health_check_begin(run, e) || json_read_text(reply, "/service/serviceArn", run->mem, &arn, e) ||
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

    if (step_read(run, &ECS, "DescribeServices", ask, &found, e) ||
        ownership_require(json_at(found, "/services/0/tags"), arena_printf(run->mem, "ECS service %s", name),
                          run->app.name, e))
        return step_not_shown(run, e);
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

static int service_describe(struct step_run *run, json_object **service, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s, s:[s]}", "cluster", run->settings->cluster, "services",
                                            name_service(run->mem, run->app.name));
    AUTO_JSON json_object *reply = NULL;

    if (step_read(run, &ECS, "DescribeServices", ask, &reply, e))
        return e->code;
    *service = json_hold(json_at(reply, "/services/0"));
    return 0;
}

static const json_object *primary_of(const json_object *service)
{
    return item_find(json_at(service, "/deployments"), "/status", "PRIMARY");
}

static bool is_active(const json_object *service, struct arena *mem)
{
    const char *status = json_find_text(service, "/status", mem);

    return status && strcmp(status, "ACTIVE") == 0;
}

static bool is_ours(const struct step_run *run, const json_object *primary)
{
    const char *definition = json_find_text(primary, "/taskDefinition", run->mem);

    return definition && strcmp(definition, run->release.task_definition_arn) == 0;
}

/* Whether this release has asked ECS for a deployment, answered or not. */
static int was_deployed(struct step_run *run, bool *asked, struct err *e)
{
    int64_t creates = 0, updates = 0;

    if (step_times_asked(run, "ecs:CreateService", &creates, e) ||
        step_times_asked(run, "ecs:UpdateService", &updates, e))
        return e->code;
    *asked = creates + updates > 0;
    return 0;
}

/* What an earlier run deployed whose answer was lost, as CreateService and UpdateService would have answered; NULL: nothing. */
static int find_deployed(struct step_run *run, json_object **reply, struct err *e)
{
    AUTO_JSON json_object *service = NULL;
    bool asked = false;

    if (was_deployed(run, &asked, e))
        return e->code;
    if (!asked)
        return 0;
    if (service_describe(run, &service, e))
        return e->code;
    if (is_active(service, run->mem) && is_ours(run, primary_of(service)))
        *reply = json_build("{s:O}", "service", service);
    return 0;
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
    settings = spec_service(run->settings, &run->app, group.arn);
    hash = spec_hash(run->mem, settings);
    current = service.spec_hash && strcmp(service.spec_hash, hash) == 0;
    if (step_was_tried(run) && find_deployed(run, &reply, e))
        return e->code;
    if (reply)
        return record_service(run, reply, hash, e);
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

    if (step_read_paged(run, &ECS, "ListTasks", list, "taskArns", "nextToken", "nextToken", &arns, e))
        return e->code;
    for (size_t i = 0; i < json_length(arns) && i < TASKS_DESCRIBED_MAX; i++)
        json_append(some, json_hold(json_item(arns, i)));
    if (json_length(some) == 0)
        return 0;
    ask = json_build("{s:s, s:O}", "cluster", run->settings->cluster, "tasks", some);
    if (step_read(run, &ECS, "DescribeTasks", ask, tasks, e))
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
    return app_log_tail(run, slash ? slash + 1 : arn, &failure->log, e);
}

/* Back to what was live, or to no tasks: for a rollout that ECS has not ended by itself in a way that leaves visitors served. */
static int withdraw(struct step_run *run, const struct deployment *live, struct err *e)
{
    return !put_back_service(run, live, NULL, e) || is_gone(e) ? 0 : (int)e->code;
}

/* What the load balancer says of a target that fails its health checks now; NULL: of none. */
static int read_target_health(struct step_run *run, struct rollout_failure *failure, struct err *e)
{
    AUTO_JSON json_object *ask = NULL, *reply = NULL;
    struct resource group;

    if (resource_find(run, RESOURCE_TARGET_GROUP, &group, e))
        return e->code;
    if (!group.arn)
        return 0;
    ask = json_build("{s:s}", "TargetGroupArn", group.arn);
    if (step_read(run, &ELBV2, "DescribeTargetHealth", ask, &reply, e))
        return e->code;
    failure->health =
        json_find_text(item_find(json_at(reply, "/TargetHealthDescriptions"), "/TargetHealth/State", "unhealthy"),
                       "/TargetHealth/Description", run->mem);
    return 0;
}

/* Ends the release with the reason. gone_back_to: the task definition that ECS goes back to by itself, NULL: it doesn't. That is of what last became steady, which need not
 * be what is live: a release that was cancelled right before may be it. */
static int fail(struct step_run *run, const char *said, const char *gone_back_to, struct err *e)
{
    AUTO_JSON json_object *tasks = NULL;
    struct rollout_failure failure = { .app = &run->app, .said = said };
    struct deployment live;
    bool is_back;

    if (deployment_find(run->db, run->app.name, run->mem, &live, e))
        return e->code;
    failure.live_release = live.release;
    /* What we may not read doesn't keep the rest from being told. */
    if ((find_stopped_task(run, &tasks, &failure, e) || read_task_log(run, &failure, e) ||
         read_target_health(run, &failure, e)) &&
        err_may_retry(e))
        return e->code;
    is_back = gone_back_to && live.release && strcmp(gone_back_to, live.task_definition_arn) == 0;
    if (is_back ? put_back_surroundings(run, &live, e) : withdraw(run, &live, e))
        return e->code;
    run->cleared = true;
    if (failure_note_tasks(run, tasks, e) || failure_note_log(run, "app log", &failure.log, e))
        return e->code;
    return rollout_reason(&failure, e);
}

int rollout_abandon(struct step_run *run, struct err *e)
{
    struct deployment live;
    bool asked = false;

    if (was_deployed(run, &asked, e))
        return e->code;
    if (!asked) {
        task_definition_recall(run);
        return 0;
    }
    if (deployment_find(run->db, run->app.name, run->mem, &live, e) || withdraw(run, &live, e))
        return e->code;
    if (live.release)
        return step_note(run, "info", e, "v%d is put back.", live.release);
    return step_note(run, "info", e, "The service is scaled down to no tasks.");
}

/* Replaced: the service's primary deployment is of another task definition */

/* Of these service deployments, from the first on as many as can be asked for at once: the revision that was ours; NULL: none. */
static int find_ours(struct step_run *run, const json_object *deployments, size_t first, const char **revision,
                     struct err *e)
{
    AUTO_JSON json_object *arns = json_new_array(), *ask = NULL, *reply = NULL;

    for (size_t i = first; i < json_length(deployments) && i < first + REVISIONS_DESCRIBED_MAX; i++)
        json_append(arns, json_hold(json_at(json_item(deployments, i), "/targetServiceRevisionArn")));
    ask = json_build("{s:O}", "serviceRevisionArns", arns);
    if (step_read(run, &ECS, "DescribeServiceRevisions", ask, &reply, e))
        return e->code;
    *revision = json_find_text(
        item_find(json_at(reply, "/serviceRevisions"), "/taskDefinition", run->release.task_definition_arn),
        "/serviceRevisionArn", run->mem);
    return 0;
}

/* *rolled_back: ECS's breaker has taken our deployment back; *said: in its words. What is asked for doesn't depend on our clock. */
static int find_rollback(struct step_run *run, bool *rolled_back, const char **said, struct err *e)
{
    AUTO_JSON json_object *ask =
        json_build("{s:s, s:s, s:i, s:[s,s,s,s]}", "cluster", run->settings->cluster, "service",
                   name_service(run->mem, run->app.name), "maxResults", DEPLOYMENTS_LISTED_MAX, "status",
                   "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED");
    AUTO_JSON json_object *reply = NULL;
    const json_object *all;
    const char *ours = NULL;

    if (step_read(run, &ECS, "ListServiceDeployments", ask, &reply, e))
        return e->code;
    all = json_at(reply, "/serviceDeployments"); /* the newest are first */
    for (size_t i = 0; i < json_length(all) && !ours; i += REVISIONS_DESCRIBED_MAX)
        if (find_ours(run, all, i, &ours, e))
            return e->code;
    *rolled_back = ours != NULL;
    *said = ours ? json_find_text(item_find(all, "/targetServiceRevisionArn", ours), "/statusReason", run->mem) : NULL;
    return 0;
}

/* The release before this one that a task definition is of; 0: none of the app's. */
static int find_older(struct step_run *run, const char *definition, int *older, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(run->db, run->app.name, QUERY_RELEASE_OF_TASK_DEFINITION, &rows, e, db_text(run->app.name),
                 db_text(definition)))
        return e->code;
    *older = db_count(rows) ? (int)db_get_int(rows, 0, "number") : 0;
    if (*older > run->release.number)
        *older = 0;
    return 0;
}

static int put_right(struct step_run *run, int older, struct err *e)
{
    AUTO_JSON json_object *settings = NULL, *reply = NULL;
    struct resource group;

    if (resource_find(run, RESOURCE_TARGET_GROUP, &group, e))
        return e->code;
    settings = spec_service(run->settings, &run->app, group.arn);
    if (step_note(run, "retry", e, "Somebody put v%d in the place of v%d: rolling v%d out again.", older,
                  run->release.number, run->release.number) ||
        service_update(run, settings, &reply, e))
        return e->code;
    return keep_deployment(run, reply, e);
}

static int replaced(struct step_run *run, const json_object *service, enum step_answer *answer, struct err *e)
{
    const char *primary = json_find_text(primary_of(service), "/taskDefinition", run->mem);
    bool rolled_back = false;
    const char *said = NULL;
    int64_t updates = 0;
    int older = 0;

    *answer = STEP_WAIT;
    if (find_rollback(run, &rolled_back, &said, e))
        return e->code;
    if (rolled_back)
        return fail(run, said, primary, e);
    if (!item_find(json_at(service, "/deployments"), "/id", run->release.ecs_deployment_id) &&
        run->release.waits < STALE_LOOKS_MAX)
        return 0; /* an old answer, perhaps: our deployment isn't among those that were replaced */
    if (find_older(run, primary, &older, e) || step_times_asked(run, "ecs:UpdateService", &updates, e))
        return e->code;
    if (older && updates < UPDATES_MAX)
        return put_right(run, older, e);
    run->cleared = true; /* what runs isn't ours to take back */
    err_set(e, ERR_INVALID, "The rollout stopped: somebody else deployed %s over it, in Amazon ECS",
            primary ? primary : "something");
    return err_hint(e, "Push again to roll out v%d's commit anew.", run->release.number);
}

/* The watch */

/* What ECS doesn't end by itself is given up; a change of the health check leaves less time (see health_check.h). */
static int give_up_late(struct step_run *run, struct err *e)
{
    bool changing = false;
    int64_t most_ms;
    const char *said;

    if (health_check_is_changing(run, &changing, e))
        return e->code;
    most_ms = changing ? ROLLOUT_CHANGING_MS : ROLLOUT_GIVE_UP_MS;
    run->patience_ms = most_ms - run->release.step_age_ms;
    if (run->patience_ms > 0)
        return 0;
    said = arena_printf(run->mem, "its tasks were not steady after %d minutes", (int)(most_ms / 60000));
    if (changing)
        said = arena_printf(run->mem, "%s; each has to answer GET %s, which is the health check since this release",
                            said, run->app.health_check_path);
    return fail(run, said, NULL, e);
}

static int judge(struct step_run *run, const json_object *primary, enum step_answer *answer, struct err *e)
{
    const char *state = json_find_text(primary, "/rolloutState", run->mem);
    const char *reason = json_find_text(primary, "/rolloutStateReason", run->mem);

    *answer = STEP_WAIT;
    run->waits_for = WAITS_FOR_SERVICE;
    if (state && strcmp(state, "COMPLETED") == 0) {
        if (health_check_settle(run, e))
            return e->code;
        *answer = STEP_DONE;
        return 0;
    }
    if (state && strcmp(state, "FAILED") == 0)
        return fail(run, reason, NULL, e);
    return give_up_late(run, e);
}

/* Somebody had ECS deploy our task definition once more: that deployment is the one that counts now. */
static int follow_primary(struct step_run *run, const json_object *primary, struct err *e)
{
    struct release_facts facts = { 0 };

    if (json_read_text(primary, "/id", run->mem, &facts.ecs_deployment_id, e))
        return e->code;
    if (run->release.ecs_deployment_id && strcmp(facts.ecs_deployment_id, run->release.ecs_deployment_id) == 0)
        return 0;
    return release_set(run, &facts, e);
}

int rollout_look(struct step_run *run, enum step_answer *answer, struct err *e)
{
    AUTO_JSON json_object *service = NULL;
    const char *status;

    if (service_describe(run, &service, e))
        return e->code;
    if (!is_active(service, run->mem)) {
        status = json_find_text(service, "/status", run->mem);
        err_set(e, ERR_NOT_FOUND, "The rollout stopped: ECS shows the service %s as %s",
                name_service(run->mem, run->app.name), status ? status : "missing");
        err_hint(e, "If it stays so, somebody has deleted it: push again, and it is made anew.");
        return step_not_shown(run, e);
    }
    if (!is_ours(run, primary_of(service)))
        return replaced(run, service, answer, e);
    if (follow_primary(run, primary_of(service), e))
        return e->code;
    return judge(run, primary_of(service), answer, e);
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
        return rollout_look(run, answer, e);
    if (roles_settled(run, &settled, e))
        return e->code;
    *answer = STEP_WAIT;
    if (!settled)
        return 0;
    if (task_definition_ensure(run, e) || deploy(run, e))
        return e->code;
    return 0;
}
