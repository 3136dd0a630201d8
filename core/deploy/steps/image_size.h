/*
 * image_size - how large an app's images are, as ECR has them: what its quota of image storage counts.
 *
 * Asked once an image, right after its build; one that was not told then (ECR shows a new image late, or the call failed) is asked for again before a release goes
 * live. A cheap part of those steps: what fails is said in the log, and is left for the next time.
 */
#ifndef BERTH_DEPLOY_IMAGE_SIZE_H
#define BERTH_DEPLOY_IMAGE_SIZE_H

#include "core/deploy/steps/step.h"

enum { IMAGE_SIZES_AT_ONCE = 5 };

/* Of at most so many images of the app whose size isn't known, the newest first. Asks AWS nothing when all are. */
void image_size_learn(struct step_run *run);

#endif
