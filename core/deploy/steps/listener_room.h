/*
 * listener_room - how many listener rules berth makes on a listener, how many there are, and which app has which priority.
 *
 * AWS counts by load balancer: 100 rules besides the default one (adjustable) and 100 target groups (not adjustable), "Quotas for your Application Load
 * Balancers". berth fills a listener to LISTENER_ROOM, so that ten are left for what isn't its own and for a target group that takes another's place.
 */
#ifndef BERTH_DEPLOY_LISTENER_ROOM_H
#define BERTH_DEPLOY_LISTENER_ROOM_H

#include "core/db/db.h"

enum { LISTENER_ROOM = 90, LISTENER_LIMIT = 100 };

struct listener_room {
    const char *arn;
    int taken; /* slots, of LISTENER_ROOM */
    int apps;  /* of those, berth's apps'; the others are somebody else's */
};

/* Of each listener that has a slot, by ARN. */
int listener_rooms(struct db *db, struct arena *mem, struct listener_room **out, size_t *count, struct err *e);

struct listener_slot {
    const char *listener_arn;
    int priority;
    const char *app;   /* NULL: not berth's */
    const char *state; /* of the app */
    const char *host;  /* NULL: nothing is live */
    const char *taken_at;
};

struct listener_slot_page {
    const char *only_listener, *only_app; /* NULL: all */
    const char *after_listener;           /* of the last row shown, with its priority; NULL: from the first */
    int after_priority;
    int limit;
};

int listener_slots(struct db *db, const struct listener_slot_page *page, struct arena *mem, struct listener_slot **out,
                   size_t *count, struct err *e);

#endif
