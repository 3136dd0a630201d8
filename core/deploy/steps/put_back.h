/*
 * put_back - a rollout is taken back: the service runs what is live again, as that release ran it, or, for a first release, no tasks.
 *
 * Safe to repeat: a service that is on this task definition already gets no new deployment. Private to core/deploy's steps.
 */
#ifndef BERTH_DEPLOY_PUT_BACK_H
#define BERTH_DEPLOY_PUT_BACK_H

#include "core/deploy/steps/step.h"

/* live: what is live; release 0: nothing is. *reply: UpdateService's; NULL: not wanted. */
int put_back_service(struct step_run *run, const struct deployment *live, json_object **reply, struct err *e);

/* What goes with it: where ECS itself has gone back to the tasks that were live, and once they are the only ones again. */
int put_back_surroundings(struct step_run *run, const struct deployment *live, struct err *e);

#endif
