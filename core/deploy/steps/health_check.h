/*
 * health_check - what the load balancer asks of an app's tasks, and how a release changes it without ending the tasks of the one that is live.
 *
 * Old and new tasks stand in one target group, which makes one check, and ECS ends a task that fails it: with the new path the old tasks would be ended while the new
 * ones start, with the old path the new ones might never be let in. So until the release's own tasks are asked for, the path stays that of what is live. Right after, it is the
 * new one, asked for so seldom (spec_health_check_patient) that a new task comes in by answering it, but an old one isn't given up within SPEC_PATIENCE_S; ECS starts tasks
 * slower than this call is made, and leaves a young one alone for the grace period. By the end of that time the rollout is done, and the check as quick as ever; or the release
 * was taken back, and the path is that of what is live. This needs a worker that runs: without one for as long, a rollout that came to nothing would end the old tasks too.
 *
 * Each call asks AWS only when another check is on record, and is safe to repeat. Private to core/deploy's steps.
 */
#ifndef BERTH_DEPLOY_HEALTH_CHECK_H
#define BERTH_DEPLOY_HEALTH_CHECK_H

#include "core/deploy/steps/step.h"

/* The app whose check the tasks in service pass: as the live release runs it, or, while nothing is live, as this one does. */
int health_check_of_live(struct step_run *run, struct app *out, struct err *e);

int health_check_begin(struct step_run *run, struct err *e);  /* this release's tasks are asked for */
int health_check_settle(struct step_run *run, struct err *e); /* they are the only ones */
/* They are taken back. alone: they may be all that is in service until then, so an old path that they don't answer must not end them at once either. */
int health_check_return(struct step_run *run, const struct app *live, bool alone, struct err *e);

/* Between begin and settle, of a release that changes it. */
int health_check_is_changing(struct step_run *run, bool *changing, struct err *e);

/* For the step route, which makes the group: the call alone; and what the group's record says when this app's check is in force. */
int health_check_put(struct step_run *run, const char *group_name, const char *group_arn, const json_object *check,
                     struct err *e);
const char *health_check_hash(const struct step_run *run, const struct app *app);

#endif
