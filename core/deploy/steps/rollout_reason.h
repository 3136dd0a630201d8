/*
 * rollout_reason - why a rollout failed, for the person who pushed: from a task that stopped and the end of its log.
 *
 * Pure. Sets e to ERR_INVALID with one sentence and a hint that can be followed now; the hint ends with what visitors get meanwhile.
 */
#ifndef BERTH_DEPLOY_ROLLOUT_REASON_H
#define BERTH_DEPLOY_ROLLOUT_REASON_H

#include "core/base/json.h"
#include "core/deploy/steps/build_log.h"
#include "core/tenant/app.h"

struct rollout_failure {
    const struct app *app;
    int live_release;        /* what visitors get; 0: nothing */
    const char *said;        /* ECS's own words on the deployment; NULL: none */
    const char *health;      /* what the load balancer says of a target that fails its health checks; NULL: of none */
    const json_object *task; /* that stopped, as DescribeTasks shows it; NULL: none did */
    struct log_page log;     /* of that task */
};

int rollout_reason(const struct rollout_failure *failure, struct err *e);

/* Whether a stopped task tells why a rollout failed: it stopped by itself or was unhealthy, not because others took its place. */
bool rollout_task_tells(const json_object *task);

#endif
