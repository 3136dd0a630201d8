#include "core/deploy/steps/put_back.h"

#include "core/deploy/steps/health_check.h"
#include "core/deploy/steps/specs.h"
#include "core/tenant/names.h"

static int read_live(struct step_run *run, const struct deployment *live, struct app *out, struct err *e)
{
    *out = run->app;
    return live->release ? release_app(run->db, run->app.name, live->release, run->mem, out, e) : 0;
}

/* Which of its settings the service has after this isn't worth finding out: the next release gives all that it wants of it. */
static int forget_settings(struct step_run *run, struct err *e)
{
    struct resource service;

    if (resource_find(run, RESOURCE_SERVICE, &service, e))
        return e->code;
    return service.arn ? resource_record(run, RESOURCE_SERVICE, service.name, service.arn, "", e) : 0;
}

static int surround(struct step_run *run, const struct deployment *live, const struct app *was, bool alone,
                    struct err *e)
{
    if (live->release == 0)
        return 0;
    return health_check_return(run, was, alone, e) || forget_settings(run, e) ? (int)e->code : 0;
}

int put_back_surroundings(struct step_run *run, const struct deployment *live, struct err *e)
{
    struct app was;

    return read_live(run, live, &was, e) ? (int)e->code : surround(run, live, &was, false, e);
}

/* ECS refuses a task definition without the port that the load balancer is to reach. */
static int put_port(struct step_run *run, const struct app *was, json_object *ask, struct err *e)
{
    struct resource group;

    if (was->port == run->app.port)
        return 0;
    if (resource_find(run, RESOURCE_TARGET_GROUP, &group, e))
        return e->code;
    json_put(ask, "loadBalancers", spec_load_balancers(was, group.arn));
    return 0;
}

int put_back_service(struct step_run *run, const struct deployment *live, json_object **reply, struct err *e)
{
    const char *name = name_service(run->mem, run->app.name);
    /* A rollout that is cancelled, or is all but live, may have ended well; any other has left tasks of what was live. */
    bool alone = run->release.halt != HALT_NONE || run->release.step == STEP_LIVE;
    AUTO_JSON json_object *ask = NULL;
    struct app was;

    if (read_live(run, live, &was, e) || surround(run, live, &was, alone, e))
        return e->code;
    ask = json_build("{s:s, s:s, s:i, s:s}", "cluster", run->settings->cluster, "service", name, "desiredCount",
                     live->release ? was.tasks : 0, "taskDefinition", live->task_definition_arn);
    if (put_port(run, &was, ask, e))
        return e->code;
    return step_call(run, &ECS, "UpdateService", name, ask, reply, e);
}
