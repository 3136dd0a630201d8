/*
 * turn - one worker thread's turn: it leases a release that is due and takes it step by step, until the release waits, ends, or another worker has it.
 *
 * Private to the worker.
 */
#ifndef BERTH_DEPLOY_TURN_H
#define BERTH_DEPLOY_TURN_H

#include <stdatomic.h>

#include "core/deploy/pipeline.h"
#include "core/deploy/worker.h"

enum { WORKER_NAME_MAX = 128 };

/* What the threads of a worker share, and a turn only reads. */
struct turn_place {
    const struct worker_options *options;
    const struct clock *clock;
    const struct pipeline_step *steps;
    const char *partition, *account; /* NULL without listeners in the settings */
    int64_t lease_ms;
    atomic_bool stopping;
};

/* *taken: there was a release, and it was dealt with, well or badly. An error: the database could not be asked for one. */
int turn_take(struct turn_place *place, const char *worker_name, bool *taken, struct err *e);

#endif
