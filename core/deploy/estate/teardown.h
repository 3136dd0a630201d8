/*
 * teardown - takes an app away: everything it has on AWS, in the reverse order of its making, and then its name.
 *
 * Starting one is a transaction of the admin login: from then on the app takes no pushes, its queued releases are cancelled and the running one is halted.
 * Workers carry it out under a lease, which every call to AWS keeps to (see lease.h), step by step. Each step looks at what is there, removes what is the app's by
 * tag, and looks again: only what AWS says is absent loses its row in resources. So a teardown may end and begin again at any point, and each try does what is
 * left. There are no intents: a removal that was asked for twice is a success, and whoever repeats a step looks first anyway.
 * History (releases, timeline, audit log) stays; the name can be given to a new app, whose releases' numbers go on.
 */
#ifndef BERTH_DEPLOY_TEARDOWN_H
#define BERTH_DEPLOY_TEARDOWN_H

#include "core/deploy/estate/estate.h"
#include "core/deploy/turn.h"

enum teardown_state { TEARDOWN_NONE, TEARDOWN_RUNNING, TEARDOWN_DONE, TEARDOWN_FAILED };

struct teardown {
    enum teardown_state state;
    const char *step;
    int attempt, waits;
    int64_t lease_token, step_age_ms;
    const char *error, *hint; /* why it failed, or why it is tried again; NULL: nothing is wrong */
    const char *started_by, *started_at, *finished_at;
};

/* As the admin login. *begun false: one is under way already. ERR_NOT_FOUND: no such app, or it was destroyed. */
int teardown_start(struct db *db, const char *app, const char *actor, bool *begun, struct err *e);
/* The same of what a name has on AWS that this database has no app of. */
int teardown_start_unknown(struct db *db, const char *app, const char *actor, bool *begun, struct err *e);
int teardown_find(struct db *db, const char *app, struct arena *mem, struct teardown *out, struct err *e);

/* What a teardown would meet: what is on record, and what AWS has. */
enum teardown_standing {
    TEARDOWN_RECORDED,   /* on record, or of a kind that has a fixed place and no record; and on AWS */
    TEARDOWN_UNRECORDED, /* on AWS and tagged as the app's, but not on record */
    TEARDOWN_ABSENT,     /* on record, but not on AWS */
    TEARDOWN_NOT_OURS    /* of the app's name, but not tagged so: it is left alone */
};
struct teardown_item {
    const char *kind, *name, *arn;
    enum teardown_standing standing;
    int count; /* of archives and task definitions, which are counted */
};
int teardown_plan(struct db *db, struct estate_place *place, const char *app, struct teardown_item **out, size_t *count,
                  struct err *e);

/* A worker's turn: leases a teardown that is due and takes it as far as it goes. *taken as in turn_take. */
int teardown_take(struct turn_place *place, const char *worker_name, bool *taken, struct err *e);

#endif
