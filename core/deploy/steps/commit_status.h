/*
 * commit_status - tells GitHub how a release fares, as the commit's status "berth/{app}".
 *
 * Only with a token; without one nothing is asked. GitHub's refusal never fails a release: it is logged, and said in the timeline.
 */
#ifndef BERTH_DEPLOY_COMMIT_STATUS_H
#define BERTH_DEPLOY_COMMIT_STATUS_H

#include "core/deploy/steps/step.h"

/* url: where the status leads; NULL: nowhere. */
void commit_status_tell(struct step_run *run, enum github_status status, const char *url, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
