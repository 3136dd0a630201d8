/*
 * move - how a release gets from one state to the next, under the lease of who moves it.
 *
 * Each is one statement that names the lease's token: *held false says that another worker has the release by now, and nothing was changed. Each but
 * move_next gives the lease up.
 */
#ifndef BERTH_DEPLOY_MOVE_H
#define BERTH_DEPLOY_MOVE_H

#include "core/deploy/release.h"

enum move_kind {
    MOVE_NEXT,   /* this step is done: on to `next` under the same lease */
    MOVE_WAIT,   /* look again after delay_ms */
    MOVE_RETRY,  /* try again after delay_ms because of error */
    MOVE_FAIL,   /* the end, because of error */
    MOVE_LET_GO, /* any worker may go on at once */
    MOVE_KIND_COUNT
};

struct move {
    enum move_kind kind;
    enum step_name next;
    int64_t lease_ms;    /* MOVE_NEXT */
    int64_t delay_ms;    /* MOVE_WAIT, MOVE_RETRY */
    const char *message; /* of the timeline (MOVE_NEXT), or the error */
    const char *hint;    /* NULL: none */
};

int move_release(struct db *db, const struct release *release, const struct move *move, bool *held, struct err *e);

#endif
