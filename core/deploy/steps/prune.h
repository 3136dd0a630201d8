/*
 * prune - removes the images and task definitions that no release needs any more: all but those of the last PRUNE_KEPT live ones, which a rollback may ask for.
 *
 * ECR's own lifecycle rules can't know which image runs. A cheap part of the step live: at most 20 releases a time, and what fails is left for the next time.
 * A release is retired first, so that no rollback goes back to it, then its images go, then its task definition, and then it is noted as pruned. Images that builds pushed
 * and nobody recorded (of a build that was stopped, say) go by their tags, when their build can't run any more.
 */
#ifndef BERTH_DEPLOY_PRUNE_H
#define BERTH_DEPLOY_PRUNE_H

#include "core/deploy/steps/step.h"

enum { PRUNE_KEPT = 10 };

void prune(struct step_run *run);

#endif
