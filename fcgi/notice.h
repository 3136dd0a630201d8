/*
 * notice - what the page says after a change was made: "v7 is on its way, with v5's image."
 *
 * A change ends in a redirect, so what it did travels in the address: an enumerated name and checked values, never a text, or a crafted link could write on the page.
 * A new notice is a row in notice.c's table and a name here.
 */
#ifndef BERTH_FCGI_NOTICE_H
#define BERTH_FCGI_NOTICE_H

#include "core/deploy/release_numbers.h"
#include "fcgi/request.h"

enum notice {
    NOTICE_NONE,
    NOTICE_ROLLED_BACK,     /* release, to */
    NOTICE_DEPLOYED,        /* release */
    NOTICE_CANCELLED,       /* release */
    NOTICE_ALL_CANCELLED,   /* all */
    NOTICE_DESTROYING,      /* app */
    NOTICE_DESTROY_GOES_ON, /* app */
    NOTICE_RUN_ACCEPTED,    /* release */
    NOTICE_RUN_JUDGED,      /* of a delivery: what came of it is on its page */
    NOTICE_RUN_LOOKED,      /* app */
    NOTICE_DOCTOR_BEGUN,
    NOTICE_DOCTOR_RECENT,
    NOTICE_SETTINGS_SAVED,
    NOTICE_SETTINGS_SAME,
    NOTICE_SETTINGS_DEPLOYED, /* release */
    NOTICE_LIMITS_SAVED,      /* app */
    NOTICE_LIMITS_SAME,
    NOTICE_DEFAULTS_SAVED,
    NOTICE_PAUSED,        /* app */
    NOTICE_RESUMED,       /* app */
    NOTICE_RESUMED_LOOKS, /* app */
    NOTICE_COUNT
};

/* What the sentence needs of these; the rest 0 or NULL. */
struct notice_values {
    int release;                /* v=7 */
    int to;                     /* to=5 */
    struct release_numbers all; /* all=7,8 */
    const char *app;
};

/* "/apps/shop?done=rolled-back&v=7&to=5"; path may have a query already. */
const char *notice_url(const char *path, enum notice notice, const struct notice_values *values, struct arena *mem);

/* The sentence that the request's query asks for; "" for none, or for values that aren't as they should be. */
const char *notice_of(struct request *request);

#endif
