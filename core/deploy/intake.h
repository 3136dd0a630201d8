/*
 * intake - a proven delivery becomes a stored one, and perhaps a release, exactly once.
 *
 * One durable statement; the rules are in berth.take_delivery (sql/migrations). When this returns 0 the delivery is committed. Workers are
 * woken by NOTIFY berth_releases, sent by a thread of its own for many commits at once (a NOTIFY in each transaction would make commits queue).
 */
#ifndef BERTH_DEPLOY_INTAKE_H
#define BERTH_DEPLOY_INTAKE_H

#include "core/db/db.h"
#include "core/github/event.h"

enum intake_outcome {
    INTAKE_ACCEPTED,   /* a release was made */
    INTAKE_IGNORED,    /* nothing to deploy: reason says why */
    INTAKE_DUPLICATE,  /* this delivery, this body or this commit was taken in before: release says as what */
    INTAKE_PAUSED,     /* the app takes no pushes now: its branch is looked at when it is resumed */
    INTAKE_LIMITED,    /* the app's bucket is empty: its branch is looked at when it has refilled, after wait_ms */
    INTAKE_OVER_QUOTA, /* a quota refuses it: its branch is looked at when there is room */
    INTAKE_OTHER_REPOSITORY, /* nothing stored: the app is built from another repository */
    INTAKE_UNKNOWN,          /* nothing stored: the app is gone */
    INTAKE_OUTCOME_COUNT
};

struct delivery {
    const char *app;
    const char *id;   /* X-GitHub-Delivery */
    const char *body; /* raw */
    size_t body_len;
    const uint8_t *body_sha256; /* HASH_SIZE bytes */
    const struct github_event *event;
};

struct intake_answer {
    enum intake_outcome outcome;
    const char *reason; /* for a person; in mem, as are the texts below */
    const char *hint;   /* what can be done about it, or a warning that a quota is near; NULL: none */
    int release;        /* 0: none */
    int64_t wait_ms;    /* until the same push could be taken; -1: not known */
    struct {
        int64_t burst, per_hour, tokens; /* burst 0: the bucket was not asked */
    } bucket;
    struct {
        const char *name; /* "cpu_units": the one that refuses, or is near its limit; NULL: none */
        int64_t used, needed, limit;
    } quota;
};

struct intake; /* one per process; owns the waking thread */
int intake_new(struct db_pool *hooks, struct intake **out, struct err *e);
void intake_free(struct intake *intake);

int intake_take(struct intake *intake, const struct delivery *delivery, struct arena *mem, struct intake_answer *out,
                struct err *e);

const char *intake_outcome_name(enum intake_outcome outcome); /* "accepted" */

#endif
