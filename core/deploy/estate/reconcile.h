/*
 * reconcile - what berth thinks against what AWS has: what is missing, was changed, is left over, and which listener priorities are really taken.
 *
 * Looking changes nothing. It goes through AWS page by page, one call at a time. An app that has a release or its teardown on its way is not compared: what
 * it has changes at this moment. Fixing never touches what isn't tagged as the app's; it takes the ways that are there: what is missing or was changed is made anew by
 * a release of what is live, what a destroyed app left goes by its teardown. Between the look and the fix releases go on: under the app's lock the record is read
 * once more, and what has been taken up by then is left alone.
 */
#ifndef BERTH_DEPLOY_RECONCILE_H
#define BERTH_DEPLOY_RECONCILE_H

#include "core/db/db.h"
#include "core/deploy/estate/estate.h"

enum finding_kind {
    FINDING_MISSING,      /* on record, not on AWS */
    FINDING_CHANGED,      /* on AWS, but not as berth made it */
    FINDING_EXTRA_POLICY, /* a role has a policy that berth didn't give it */
    FINDING_ORPHANED,     /* tagged as an app's, but the app is gone, or doesn't know of it */
    FINDING_UNKNOWN,      /* tagged as that of an app which this database never had: another installation's, perhaps */
    FINDING_SLOT_FREE,    /* a priority is kept for a rule that isn't there */
    FINDING_SLOT_TAKEN,   /* a rule has a priority that no slot says is taken */
    FINDING_KIND_COUNT
};

struct finding {
    enum finding_kind kind;
    const char *app; /* NULL: none of ours */
    const char *what, *name, *arn;
    const char *detail; /* one sentence's end: "its health check path is /x, not /healthz" */
    const char *hint;   /* what a person can do where berth won't, or didn't; NULL: --fix does it */
    enum estate_kind thing;
    const char *owner, *state; /* as of estate_thing */
    bool app_gone;             /* it was destroyed, or this database never had it */
    const char *resource;      /* its kind in the table resources; NULL: none */
    int priority;              /* of the slot findings; arn is the listener's */
    const char *fixed;         /* what was done, or why there is nothing to do by now; NULL: it is left */
};

struct findings {
    struct finding *items;
    size_t count, room;
    const char **busy; /* apps that were not compared */
    size_t busy_count;
    size_t apps; /* that were */
};

/* As the admin login. only NULL: all apps. ERR_NOT_FOUND: there is neither such an app nor anything tagged so. */
int reconcile_look(struct db *db, struct estate_place *place, const char *only, struct findings *out, struct err *e);

/* Does what can be done about each and says so in it. named: the operator named the app, so that what is tagged as an unknown app's goes too. */
int reconcile_fix(struct db *db, struct estate_place *place, struct findings *found, bool named, const char *actor,
                  struct err *e);

const char *finding_kind_name(enum finding_kind kind); /* "missing" */

#endif
