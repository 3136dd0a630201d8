/*
 * delivery - the proven deliveries that berth took in, for people; and running one again.
 *
 * As the admin login. What GitHub sent is kept for [hooks] delivery_body_days, and what became of it for delivery_days (the worker deletes what is older, in batches): as long
 * a redelivery is known for one. Texts from a delivery (branch, title, pusher) are a stranger's.
 */
#ifndef BERTH_DEPLOY_DELIVERY_H
#define BERTH_DEPLOY_DELIVERY_H

#include "core/db/db.h"
#include "core/deploy/settings.h"

enum delivery_outcome {
    DELIVERY_ACCEPTED,
    DELIVERY_IGNORED,
    DELIVERY_DUPLICATE,
    DELIVERY_LIMITED,
    DELIVERY_OVER_QUOTA,
    DELIVERY_PAUSED,
    DELIVERY_OUTCOME_COUNT
};
const char *delivery_outcome_name(enum delivery_outcome outcome); /* "over_quota" */
bool delivery_outcome_parse(const char *name, enum delivery_outcome *out);

struct delivery_entry {
    const char *app, *id, *event;
    enum delivery_outcome outcome;
    const char *reason;                                         /* for a person */
    int release;                                                /* 0: none */
    const char *branch, *commit_sha, *commit_title, *pushed_by; /* NULL where the event has none */
    const char *received_at;                                    /* ISO 8601, UTC */
    bool has_body;                                              /* it can be judged anew as it came */
    const char *cursor;                                         /* its place in the list, for delivery_page.after */
};

enum { DELIVERY_PAGE_MAX = 200, DELIVERY_WINDOW = 5000, DELIVERY_SEARCH_MAX = 100 };

/* Which ones. */
struct delivery_page {
    const char *app;                      /* NULL: of every app */
    const enum delivery_outcome *outcome; /* NULL: whatever came of it */
    const char *search;                   /* in commit, title, pusher and id, whatever the case; NULL or "": all */
    const char *after;                    /* a cursor; NULL: from the newest */
    int limit;                            /* 1 to DELIVERY_PAGE_MAX */
};
struct delivery_list {
    struct delivery_entry *entries; /* newest first */
    size_t count;
    const char *
        more; /* the cursor to go on from; NULL: there are none further. With outcome or search at most DELIVERY_WINDOW are looked through at
                         once, so there may be more although fewer than limit were found */
};
/* ERR_INVALID: after is no cursor, or the search is too long. */
int delivery_list(struct db *db, const struct delivery_page *page, struct arena *mem, struct delivery_list *out,
                  struct err *e);

/* What came of the deliveries of the last 24 hours. app NULL: of all. */
struct delivery_counts {
    int64_t all, of[DELIVERY_OUTCOME_COUNT];
    bool capped; /* there were more than DELIVERY_WINDOW: these are the newest so many */
};
int delivery_count(struct db *db, const char *app, struct delivery_counts *out, struct err *e);

/* ERR_NOT_FOUND says what to do. */
int delivery_get(struct db *db, const char *app, const char *id, struct arena *mem, struct delivery_entry *out,
                 struct err *e);

/* What running one again came to. */
struct delivery_rerun {
    bool looked; /* its body is no longer kept: the branch's head is looked at instead, and nothing below is set */
    enum delivery_outcome outcome;
    const char *reason, *hint; /* hint NULL: none */
    int release;
};
/*
 * Judges the stored delivery anew, as if it came now and never had: by today's branch, path filter, rate limit and quotas. With its audit row ("delivery.run_again") in the same
 * transaction; wakes the workers. ERR_CONFLICT: the app is being deleted; ERR_INVALID: the delivery is of another repository than the app's.
 */
int delivery_run_again(struct db_pool *admin, const char *app, const char *id, const char *actor, struct arena *mem,
                       struct delivery_rerun *out, struct err *e);

/* Deletes one batch of what is kept no longer. As the worker's login. *more: there may be more. */
int delivery_expire(struct db_pool *worker, const struct settings *settings, bool *more, struct err *e);

#endif
