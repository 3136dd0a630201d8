/*
 * move - how a release gets from one state to the next, under the lease of who moves it.
 *
 * Each is one statement that names the lease's token: *held false says that another worker has the release by now, and nothing was changed. Each but
 * MOVE_NEXT gives the lease up. A move that the table of release_state.h doesn't have is a bug: ERR_INTERNAL. A release that is to be halted stays at its step
 * whatever MOVE_NEXT says, and does not wait.
 */
#ifndef BERTH_DEPLOY_MOVE_H
#define BERTH_DEPLOY_MOVE_H

#include "core/deploy/release.h"

enum move_kind {
    MOVE_NEXT,      /* this step is done: on to `next` under the same lease */
    MOVE_WAIT,      /* look again after delay_ms */
    MOVE_RETRY,     /* try again after delay_ms because of error */
    MOVE_FAIL,      /* the end, because of error */
    MOVE_SUPERSEDE, /* the end: a newer release takes its place */
    MOVE_CANCEL,    /* the end: an operator asked for it */
    MOVE_LET_GO,    /* any worker may go on at once */
    MOVE_KIND_COUNT
};

struct move {
    enum move_kind kind;
    enum step_name next;
    int64_t lease_ms;      /* MOVE_NEXT */
    int64_t delay_ms;      /* MOVE_WAIT, MOVE_RETRY */
    int64_t at_most_ms;    /* MOVE_WAIT: however long the poller sees no change */
    const char *waits_for; /* MOVE_WAIT: what the poller watches for it: "build", "service"; NULL: nothing */
    const char *message;   /* of the timeline, or the error */
    const char *hint;      /* NULL: none */
};

int move_release(struct db *db, const struct release *release, const struct move *move, bool *held, struct err *e);

#endif
