/*
 * step_scope - the policy scope of a step's run, and errors that only mean "not yet".
 *
 * Private to core/deploy's steps.
 */
#ifndef BERTH_DEPLOY_STEP_SCOPE_H
#define BERTH_DEPLOY_STEP_SCOPE_H

#include "core/deploy/policies.h"
#include "core/deploy/step.h"

static inline struct policy_scope step_scope(const struct step_run *run)
{
    return (struct policy_scope){ .partition = run->partition,
                                  .region = aws_region(run->aws),
                                  .account = run->account,
                                  .app = run->app.name,
                                  .bucket = run->settings->bucket };
}

/* Whether an earlier run of this step ended without an answer of its own, so that what it asked must be looked up before it is asked again. */
static inline bool step_was_tried(const struct step_run *run)
{
    return run->release.attempt > 1;
}

/*
 * A role that was just made isn't believed at once: a service answers that it can't assume it, or that it isn't valid. That passes, and so does the first use of ECS
 * in an account, which makes a service-linked role. Such a refusal becomes ERR_TRANSIENT; any other error stays as it is. Returns e->code.
 */
int step_role_may_be_fresh(struct err *e);

#endif
