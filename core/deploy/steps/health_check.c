#include "core/deploy/steps/health_check.h"

#include <string.h>

#include "core/deploy/steps/specs.h"

static const char *hash_of(const struct step_run *run, const json_object *check)
{
    AUTO_JSON json_object *spec = spec_target_group(run->settings, check);

    return spec_hash(run->mem, spec);
}

const char *health_check_hash(const struct step_run *run, const struct app *app)
{
    AUTO_JSON json_object *check = spec_health_check(app);

    return hash_of(run, check);
}

int health_check_of_live(struct step_run *run, struct app *out, struct err *e)
{
    struct deployment live;

    if (deployment_find(run->db, run->app.name, run->mem, &live, e))
        return e->code;
    *out = run->app;
    return live.release ? release_app(run->db, run->app.name, live.release, run->mem, out, e) : 0;
}

int health_check_put(struct step_run *run, const char *group_name, const char *group_arn, const json_object *check,
                     struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "TargetGroupArn", group_arn);

    for (struct json_member m = json_first(check); m.name; m = json_next(m))
        json_put(ask, m.name, json_hold(m.value));
    return step_call(run, &ELBV2, "ModifyTargetGroup", group_name, ask, NULL, e);
}

static int set(struct step_run *run, const json_object *check, struct err *e)
{
    const char *hash = hash_of(run, check);
    struct resource group;

    if (resource_find(run, RESOURCE_TARGET_GROUP, &group, e))
        return e->code;
    if (!group.arn || strcmp(group.spec_hash, hash) == 0)
        return 0;
    if (health_check_put(run, group.name, group.arn, check, e))
        return e->code;
    return resource_record(run, RESOURCE_TARGET_GROUP, group.name, group.arn, hash, e);
}

/* Whether this release's check is another than the live one's. */
static int is_new(struct step_run *run, bool *differs, struct err *e)
{
    struct app live;

    if (health_check_of_live(run, &live, e))
        return e->code;
    *differs = strcmp(live.health_check_path, run->app.health_check_path) != 0;
    return 0;
}

int health_check_begin(struct step_run *run, struct err *e)
{
    AUTO_JSON json_object *patient = spec_health_check_patient(&run->app);
    bool differs = false;

    if (is_new(run, &differs, e))
        return e->code;
    if (!differs)
        return 0;
    if (set(run, patient, e))
        return e->code;
    return step_note(run, "info", e, "The health check is GET %s from now on.", run->app.health_check_path);
}

int health_check_settle(struct step_run *run, struct err *e)
{
    AUTO_JSON json_object *check = spec_health_check(&run->app);

    return set(run, check, e);
}

/* A group that somebody deleted has no check to give back. */
int health_check_return(struct step_run *run, const struct app *live, bool alone, struct err *e)
{
    bool differs = strcmp(live->health_check_path, run->app.health_check_path) != 0;
    AUTO_JSON json_object *check = alone && differs ? spec_health_check_patient(live) : spec_health_check(live);

    return !set(run, check, e) || err_is(e, "TargetGroupNotFound") ? 0 : (int)e->code;
}

int health_check_is_changing(struct step_run *run, bool *changing, struct err *e)
{
    return is_new(run, changing, e);
}
