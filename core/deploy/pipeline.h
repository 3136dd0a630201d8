/*
 * pipeline - the steps a release goes through, as a table, and how long a worker waits between two looks or tries.
 */
#ifndef BERTH_DEPLOY_PIPELINE_H
#define BERTH_DEPLOY_PIPELINE_H

#include "core/deploy/steps/step.h"

struct pipeline_step {
    const char *name;
    int (*ensure)(struct step_run *run, enum step_answer *answer, struct err *e);
    enum step_name next; /* itself: the last step, whose ensure ends the release */
    int poll_s;          /* between two looks at what takes its time, at most */
    int give_up_s;       /* from the step's beginning until the release fails */
    int (*abandon)(struct step_run *run,
                   struct err *e); /* ends what a release that fails in this step has under way; NULL: nothing can be */
};

extern const struct pipeline_step pipeline[STEP_COUNT];

/* A release that the poller watches for looks by itself only in case that nobody polls. */
enum { PIPELINE_POLLED_WAIT_MS = 60000 };

enum { PIPELINE_FIRST_WAIT_MS = 500, PIPELINE_BACKOFF_MS = 1000, PIPELINE_BACKOFF_MAX_MS = 30000 };

/* After the step has waited `waits` times: short at first, for what is quick, half as long again each time, up to poll_s. */
int64_t pipeline_wait_ms(const struct pipeline_step *step, int waits);

/* Whether the same may succeed later by itself: also once a limit was raised, or a worker with fresh credentials goes on. */
bool pipeline_may_retry(const struct err *e);

/* Before the next try: full jitter below a bound that doubles with each try. random: any number, evenly spread. */
int64_t pipeline_backoff_ms(int attempt, uint32_t random);

#endif
