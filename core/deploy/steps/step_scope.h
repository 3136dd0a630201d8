/*
 * step_scope - the policy scope of a step's run, and refusals that only mean "not yet".
 *
 * Private to core/deploy's steps.
 */
#ifndef BERTH_DEPLOY_STEP_SCOPE_H
#define BERTH_DEPLOY_STEP_SCOPE_H

#include "core/deploy/steps/policies.h"
#include "core/deploy/steps/step.h"

enum { BUILD_ATTEMPTS_MAX = 2 }; /* of a release, each with an image of its own */

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
 * AWS is not of one mind at once: a role that was just made isn't believed, a thing that was just made isn't found, and the first service of an account waits for its
 * service-linked role. A refusal that may come from that becomes ERR_TRANSIENT; any other error stays as it is. Returns e->code.
 */
int step_not_yet(struct err *e);

/*
 * What was just made may be shown late, or at first without its tags; and whether we made it isn't always known, since curl may have sent a request twice. In the first
 * tries of a step, half a minute in all, ERR_NOT_FOUND and OWNERSHIP_UNTAGGED become ERR_TRANSIENT; any other error stays as it is. Returns e->code.
 */
int step_not_shown(const struct step_run *run, struct err *e);

/* DONE: the service's primary deployment is of this release and steady. An older release in its place is replaced. */
int rollout_look(struct step_run *run, enum step_answer *answer, struct err *e);

/* The end of the step live, in one transaction. */
int live_commit(struct step_run *run, struct err *e);

/* The build that the release's present attempt started, found by its variables; *id NULL: CodeBuild shows none. */
int build_find(struct step_run *run, const char **id, struct err *e);

#endif
