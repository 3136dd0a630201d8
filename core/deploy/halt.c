#include "core/deploy/halt.h"

#include <string.h>

#include "core/base/hash.h"
#include "core/deploy/estate/ownership.h"
#include "core/deploy/pipeline.h"
#include "core/deploy/steps/put_back.h"
#include "core/deploy/steps/step_scope.h"
#include "core/deploy/steps/task_definition.h"
#include "core/tenant/names.h"

enum {
    LOST_BUILD_MS = 15 * 1000, /* so long a build whose start was not answered may be missing from CodeBuild's list */
    LOOK_MS = 1000,
    LOOK_LATER_MS = 5000, /* once it has taken a minute */
    MINUTE_MS = 60 * 1000
};

/* The build */

/* Whether a build was asked for whose answer was lost, and that CodeBuild may yet show. */
static int may_appear(struct step_run *run, bool *may, struct err *e)
{
    *may = false;
    if (run->release.halt_age_ms >= LOST_BUILD_MS)
        return 0;
    return step_left_open(run, "codebuild:StartBuild", NULL, 0, may, e);
}

/* A build whose start was not answered goes on record first, so that it is looked for once. */
static int find_build(struct step_run *run, const char **id, struct err *e)
{
    struct release_facts facts = { 0 };

    *id = run->release.build_id;
    if ((*id && **id) || run->release.build_attempt == 0)
        return 0;
    if (build_find(run, &facts.build_id, e))
        return e->code;
    *id = facts.build_id;
    return *id ? release_set(run, &facts, e) : 0;
}

static int halt_build(struct step_run *run, enum step_answer *answer, struct err *e)
{
    const char *id = NULL;
    bool may = false;

    if (find_build(run, &id, e))
        return e->code;
    *answer = STEP_DONE;
    if (id && *id)
        return build_abandon(run, e);
    if (may_appear(run, &may, e))
        return e->code;
    if (may)
        *answer = STEP_WAIT;
    return 0;
}

/* The service */

static bool is_gone(const struct err *e)
{
    return err_is(e, "ServiceNotFoundException") || err_is(e, "ServiceNotActiveException");
}

static int record_put_back(struct step_run *run, const struct deployment *live, const json_object *reply, struct err *e)
{
    const json_object *primary = item_find(json_at(reply, "/service/deployments"), "/status", "PRIMARY");
    AUTO_ROWS struct db_rows *rows = NULL;
    const char *id;

    if (json_read_text(primary, "/id", run->mem, &id, e) ||
        db_query(run->db, run->app.name, QUERY_RELEASE_PUT_BACK, &rows, e, db_text(run->app.name),
                 db_int(run->release.number), db_int(run->release.lease_token), db_text(id)))
        return e->code;
    if (db_count(rows) == 0)
        return err_set(e, ERR_CONFLICT, "another worker has taken over release v%d of %s", run->release.number,
                       run->app.name);
    if (run->release.halt_deployment_id)
        return 0; /* it was told before */
    return live->release ? step_note(run, "info", e, "Putting v%d back.", live->release)
                         : step_note(run, "info", e, "Scaling the service down to no tasks.");
}

static int put_back(struct step_run *run, const struct deployment *live, enum step_answer *answer, struct err *e)
{
    const char *name = name_service(run->mem, run->app.name);
    AUTO_JSON json_object *reply = NULL;

    *answer = STEP_WAIT;
    if (!put_back_service(run, live, &reply, e))
        return record_put_back(run, live, reply, e);
    if (!is_gone(e))
        return e->code;
    if (live->release) {
        err_set(e, ERR_INVALID, "v%d can't be put back: ECS service %s is gone", live->release, name);
        return err_hint(e, "Somebody deleted it. `berth rollback %s v%d` makes it anew.", run->app.name, live->release);
    }
    *answer = STEP_DONE;
    return 0;
}

static bool is_scaled_down(const json_object *reply)
{
    return json_find_int(reply, "/services/0/desiredCount", -1) == 0 &&
           json_find_int(reply, "/services/0/runningCount", -1) == 0 &&
           json_find_int(reply, "/services/0/pendingCount", -1) == 0;
}

/* By the deployment's id, which UpdateService gave: a stale answer that still shows the time before everything has another. */
static int watch(struct step_run *run, const struct deployment *live, enum step_answer *answer, struct err *e)
{
    const char *name = name_service(run->mem, run->app.name);
    AUTO_JSON json_object *ask = json_build("{s:s, s:[s]}", "cluster", run->settings->cluster, "services", name);
    AUTO_JSON json_object *reply = NULL;
    const json_object *primary;
    const char *id, *state;

    if (step_read(run, &ECS, "DescribeServices", ask, &reply, e))
        return e->code;
    primary = item_find(json_at(reply, "/services/0/deployments"), "/status", "PRIMARY");
    id = json_find_text(primary, "/id", run->mem);
    state = json_find_text(primary, "/rolloutState", run->mem);
    if (!id || strcmp(id, run->release.halt_deployment_id) != 0)
        return put_back(run, live, answer, e);
    *answer = STEP_WAIT;
    if (live->release ? state && strcmp(state, "COMPLETED") == 0 : is_scaled_down(reply))
        *answer = STEP_DONE;
    if (*answer == STEP_DONE)
        return put_back_surroundings(run, live, e);
    if (live->release && state && strcmp(state, "FAILED") == 0) {
        err_set(e, ERR_INVALID, "v%d was cancelled, but v%d does not come up again: %s", run->release.number,
                live->release, json_find_text(primary, "/rolloutStateReason", run->mem));
        return err_hint(e, "`berth rollback %s` goes further back; the stopped tasks in ECS service %s say why.",
                        run->app.name, name);
    }
    return 0;
}

static int asked_for_rollout(struct step_run *run, bool *asked, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(run->db, run->app.name, QUERY_INTENT_WAS_MADE, &rows, e, db_text(run->app.name),
                 db_int(run->release.number), db_text("ecs:UpdateService"), db_text("ecs:CreateService")))
        return e->code;
    *asked = db_get_bool(rows, 0, "made");
    return 0;
}

static int halt_rollout(struct step_run *run, enum step_answer *answer, struct err *e)
{
    struct deployment live = { 0 };
    bool asked = false;

    if (asked_for_rollout(run, &asked, e) || deployment_find(run->db, run->app.name, run->mem, &live, e))
        return e->code;
    *answer = STEP_DONE;
    if (!asked) {
        task_definition_recall(run);
        return 0;
    }
    return run->release.halt_deployment_id ? watch(run, &live, answer, e) : put_back(run, &live, answer, e);
}

int halt_ensure(struct step_run *run, enum step_answer *answer, struct err *e)
{
    switch (run->release.step) {
    case STEP_BUILD:
        return halt_build(run, answer, e);
    case STEP_ROLLOUT:
    case STEP_LIVE:
        return halt_rollout(run, answer, e);
    case STEP_SOURCE:
    case STEP_IDENTITY:
    case STEP_ROUTE:
    case STEP_COUNT:
        break;
    }
    *answer = STEP_DONE;
    return 0;
}

/* What follows */

static const char *ending(struct step_run *run, const char *unstopped)
{
    const struct release *release = &run->release;
    const char *addition = unstopped ? arena_printf(run->mem, " Its build could not be stopped: %s.", unstopped) : "";

    if (release->halt == HALT_SUPERSEDE)
        return arena_printf(run->mem, "Superseded by v%d.%s", release->halt_by, addition);
    if (release->halt_deployment_id)
        return arena_printf(run->mem, "Cancelled; the service is back where it was.");
    return arena_printf(run->mem, "Cancelled.%s", addition);
}

static struct move end(struct step_run *run, const char *unstopped)
{
    return (struct move){ .kind = run->release.halt == HALT_SUPERSEDE ? MOVE_SUPERSEDE : MOVE_CANCEL,
                          .message = ending(run, unstopped) };
}

static struct move give_up(struct step_run *run, const struct err *e)
{
    return (struct move){
        .kind = MOVE_FAIL,
        .message =
            e->code ? e->message
                    : arena_printf(run->mem, "v%d was cancelled, but the service was not steady again after %d minutes",
                                   run->release.number, HALT_GIVE_UP_MS / MINUTE_MS),
        .hint = *e->hint ? e->hint
                         : arena_printf(run->mem, "`berth rollback %s` tries again to run what was live before.",
                                        run->app.name),
    };
}

struct move halt_next_move(struct step_run *run, enum step_answer answer, const struct err *e)
{
    const struct release *release = &run->release;
    bool builds = release->step == STEP_BUILD;
    bool may_retry = pipeline_may_retry(e);
    bool late = release->halt_age_ms >= (builds ? HALT_BUILD_PATIENCE_MS : HALT_GIVE_UP_MS);
    uint32_t random = 0;

    if (!e->code && (answer == STEP_DONE || (builds && late)))
        return end(run, NULL);
    if (e->code && builds && (late || !may_retry))
        return end(run, e->message);
    if (late || (e->code && !may_retry))
        return give_up(run, e);
    if (!e->code)
        return (struct move){ .kind = MOVE_WAIT,
                              .delay_ms = release->halt_age_ms < MINUTE_MS ? LOOK_MS : LOOK_LATER_MS };
    hash_random(&random, sizeof random);
    return (struct move){ .kind = MOVE_RETRY,
                          .message = e->message,
                          .hint = e->hint,
                          .delay_ms = pipeline_backoff_ms(release->attempt, random) };
}
