/*
 * summary - what an operator wants to see of apps at a glance, for the command and the page alike. As the admin login, which sees every app.
 */
#ifndef BERTH_DEPLOY_SUMMARY_H
#define BERTH_DEPLOY_SUMMARY_H

#include "core/deploy/release.h"

struct app_summary {
    const char *app, *repository, *branch, *state; /* of the app: "active", ... */
    int live_release;                              /* 0: nothing is live yet */
    const char *live_commit, *live_title, *live_by, *live_since, *host; /* NULL then */
    int newest_release;                            /* 0: no push yet */
    const char *newest_state, *newest_step, *newest_error;
    const char *newest_at; /* when it ended, or was made */
    const char *last;      /* JSON: the last ten, oldest first, [{"number", "state", "kind"}]; NULL: none */
};

/* By name. limit rows after the app named `after` (NULL: from the first). */
int app_summaries(struct db *db, const char *after, int limit, struct arena *mem, struct app_summary **out, size_t *count,
                  struct err *e);

struct resource_row {
    const char *kind, *name, *arn;
};

int app_resources(struct db *db, const char *app, struct arena *mem, struct resource_row **out, size_t *count,
                  struct err *e);

#endif
