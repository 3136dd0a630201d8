/*
 * summary - what an operator wants to see of apps at a glance, for the command and the page alike. As the admin login, which sees every app.
 */
#ifndef BERTH_DEPLOY_SUMMARY_H
#define BERTH_DEPLOY_SUMMARY_H

#include "core/deploy/release.h"

/* Where an app is, in one word. */
enum app_condition {
    APP_FAILED,     /* its newest release failed */
    APP_OVER_QUOTA, /* its newest push was refused by a quota, or it uses more than one allows */
    APP_MOVING,     /* a release of it is on its way */
    APP_QUEUED,     /* its newest release waits */
    APP_PAUSED,     /* or is going away: no push is taken */
    APP_LIVE,
    APP_NONE, /* nothing of it is live, and nothing is on its way */
    APP_CONDITION_COUNT
};

const char *app_condition_name(enum app_condition condition); /* "failed" */
bool app_condition_parse(const char *name, enum app_condition *out);

/* What it uses of a quota now; while a rollout is under way, the old tasks and the new ones. */
struct app_use {
    int64_t used, limit;
    int64_t rolling; /* the share of used that the rollout has */
};

struct app_summary {
    const char *app, *repository, *branch, *state; /* of the app: "active", ... */
    enum app_condition condition;
    int rank;         /* with changed and app: its place in the order of who needs an operator */
    int64_t changed;  /* microseconds since 1970 */
    int live_release; /* 0: nothing is live yet */
    const char *live_commit, *live_title, *live_by, *live_since, *host; /* NULL then; title and by may be anyway */
    int newest_release;                                                 /* 0: no push yet */
    const char *newest_state, *newest_step, *newest_error;
    const char *newest_at; /* when it ended, or was made */
    int moving_release;    /* the one on its way; a newer one may wait behind it; 0: none */
    const char *moving_step, *moving_since;
    const char *refused_at;            /* when a push was refused by a quota and is still owed; NULL: none was */
    const char *paused_by, *paused_at; /* NULL: it isn't paused, or the audit log doesn't tell */
    int live_tasks;
    struct app_use cpu_units, memory_mib;
    const char *last; /* JSON: the last ten, oldest first, [{"number", "state", "kind"}]; NULL: none */
};

/* Which apps, from where on. */
struct summary_page {
    bool by_name;                   /* or: failed, over quota, moving, queued, paused, then by last change */
    const enum app_condition *only; /* NULL: all */
    const char *after_app;          /* the last one shown before, with its rank and changed; NULL: from the first */
    int after_rank;
    int64_t after_changed;
    int limit;
    bool deleted; /* those too that were destroyed */
    const char
        *search; /* only what has this in its name, repository or host, or as its live commit's beginning; NULL: all */
};

/*
 * The place after the last row shown is told by that row's own values: rows that keep their place are shown once, whatever comes and goes
 * among them meanwhile.
 */
int app_summaries(struct db *db, const struct summary_page *page, struct arena *mem, struct app_summary **out,
                  size_t *count, struct err *e);

/* Of the apps that the page's search finds: how many there are in each condition. */
struct app_counts {
    int64_t all;
    int64_t of[APP_CONDITION_COUNT];
};

/* Both in one statement, whose cost grows with the number of apps and not with that of their releases. */
int app_overview(struct db *db, const struct summary_page *page, struct arena *mem, struct app_summary **out,
                 size_t *count, struct app_counts *counts, struct err *e);

/* What the page of one app tells besides its settings. */
struct app_standing {
    const char *created_at, *created_by; /* by NULL: the audit log doesn't tell */
    int last_release;
    int before; /* the last release of an app of the same name that was destroyed; 0: none */
    const char *paused_by, *paused_at;
    const char
        *owed; /* why the branch's head is to be looked at again: "limited", "over_quota", "paused"; NULL: it isn't */
    const char *owed_at, *due_at; /* due NULL: when an operator makes room or resumes it */
    const char *
        refusal; /* of over_quota: "CPU units: 4,096 of 4,096 in use, a rollout needs 4,096 more"; NULL: there is room by now */
};
int app_standing(struct db *db, const char *app, struct arena *mem, struct app_standing *out, struct err *e);

/* One quota of one app, counted exactly. */
struct app_quota {
    const char *name, *title; /* "cpu_units", "CPU units" */
    int64_t used, limit;
    int64_t rolling; /* as in app_use */
    int64_t base;    /* what stays when the next release comes to its rollout */
};
int app_quotas(struct db *db, const char *app, struct arena *mem, struct app_quota **out, size_t *count, struct err *e);

struct resource_row {
    const char *kind, *name, *arn;
};

int app_resources(struct db *db, const char *app, struct arena *mem, struct resource_row **out, size_t *count,
                  struct err *e);

#endif
