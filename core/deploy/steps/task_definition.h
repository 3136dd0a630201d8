/*
 * task_definition - what a release's tasks are: its image by digest, size and port as fixed on it, the app's roles and log group.
 */
#ifndef BERTH_DEPLOY_TASK_DEFINITION_H
#define BERTH_DEPLOY_TASK_DEFINITION_H

#include "core/deploy/steps/step.h"

#define TAG_RELEASE "berth:release"

/* Registers the release's task definition, or finds the one that an earlier run registered, and records its ARN. */
int task_definition_ensure(struct step_run *run, struct err *e);

/* For a release that ends in its rollout: what was registered without the answer having been recorded goes on record, so that it is removed with the release's image. */
void task_definition_recall(struct step_run *run);

#endif
