/*
 * halt - ends a release before its time: superseded by a newer one, or cancelled by an operator.
 *
 * Whoever wants it so sets releases.halt (sql/migrations, operation.c); the release's worker sees it before each step and carries it out here, under the same lease
 * and by the same rules as a step, so that another worker can go on at any point: until the rollout its build is stopped; from the rollout on the service is put back on what
 * was live, or, for a first release, to no tasks, and watched until it is steady.
 */
#ifndef BERTH_DEPLOY_HALT_H
#define BERTH_DEPLOY_HALT_H

#include "core/deploy/move.h"
#include "core/deploy/steps/step.h"

enum {
    HALT_BUILD_PATIENCE_MS =
        60 * 1000,                    /* a build that can't be stopped keeps nobody waiting for longer: it harms none */
    HALT_GIVE_UP_MS = 15 * 60 * 1000, /* a service that isn't steady by then: the release fails, and says so */
};

/* DONE: nothing of the release's is under way any more. */
int halt_ensure(struct step_run *run, enum step_answer *answer, struct err *e);

/* What follows from it. */
struct move halt_next_move(struct step_run *run, enum step_answer answer, const struct err *e);

#endif
