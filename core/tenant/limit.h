/*
 * limit - what an app may use: quotas (what it may hold at one time, or use in one) and rate limits (how often it may be pushed to).
 *
 * An app has a number of its own for a limit, or the default is in force. They are held in Postgres, where pushes are taken in (berth.admit_release and
 * berth.rate_use in sql/migrations/0002_limits.sql): an edit is in force from the next request on, everywhere. Here are their table, reading, changing, and what an
 * edit would do. The page and the command only translate.
 */
#ifndef BERTH_TENANT_LIMIT_H
#define BERTH_TENANT_LIMIT_H

#include "core/db/db.h"

enum limit {
    LIMIT_CPU_UNITS, /* of all tasks together; while a rollout is under way the old and the new ones, as ECS runs both */
    LIMIT_MEMORY_MIB,
    LIMIT_TASKS,
    LIMIT_CONCURRENT_BUILDS,
    LIMIT_BUILD_MINUTES, /* in a month, by UTC; a build that has begun a minute has used it */
    LIMIT_RELEASES_PER_HOUR,
    LIMIT_IMAGE_MIB,
    LIMIT_PUSHES_BURST, /* the bucket's size */
    LIMIT_PUSHES_PER_HOUR,
    LIMIT_COUNT
};

struct limit_info {
    const char *name;    /* "cpu_units": a field's name, a command's word, the column's name */
    const char *title;   /* "CPU units" */
    const char *note;    /* "1,024 is one vCPU"; a line beside the title */
    const char *unit;    /* after a number: "MiB"; "" when the title says it */
    int64_t least, most; /* as the database has them */
    bool rate;           /* of the bucket; otherwise a quota */
};
const struct limit_info *limit_info(enum limit limit);
bool limit_find(const char *name, enum limit *out);

enum { LIMIT_DEFAULT = -1, LIMIT_UNSEEN = -2 };

struct limit_state {
    int64_t used;      /* now; of pushes_burst the tokens that are gone */
    int64_t base;      /* what of it stays when the next release comes to its rollout */
    int64_t in_force;  /* the app's own, or else the default */
    int64_t own;       /* LIMIT_DEFAULT: none */
    int64_t standard;  /* the default */
    int64_t followers; /* of the defaults: of how many apps it is in force */
};

enum limit_level { LIMIT_FREE, LIMIT_NEAR /* from 80% */, LIMIT_FULL, LIMIT_LEVEL_COUNT };
enum limit_level limit_level(const struct limit_state *state);
const char *limit_level_word(enum limit_level level);   /* "", "near", "full" */
int limit_percent(const struct limit_state *state);     /* rounded down; of a limit of 0: 100 */
const char *limit_number(struct arena *mem, int64_t n); /* "4,096" */

/* All limits of one app, as of one moment. */
struct limits {
    struct limit_state of[LIMIT_COUNT];
    int64_t tokens;  /* in the bucket: whole ones */
    int64_t wait_ms; /* until there is one; 0: there is */
    int64_t next_ms; /* until there is one more than now; 0: it is full */
    int64_t full_ms; /* until it is full */

    int cpu_units, memory_mib,
        tasks;                  /* what the app's next release takes: a task's size, and how many; 0 of the defaults */
    int64_t now_ms;             /* the database's clock, ms since 1970 UTC */
    int64_t promised_cpu_units; /* the CPU units that all apps' quotas come to */
    int64_t apps;               /* so many of them */

    const char *changed_by; /* the newest change of these limits in the audit log; NULL: none */
    int64_t changed_at_ms;
    const char
        *owed; /* why the branch's head is to be looked at again: "limited", "over_quota", "paused"; NULL: it isn't */
    int64_t owed_at_ms; /* when; 0: when an operator makes room */
    const char *
        refusal; /* of over_quota: "CPU units: 4,096 of 4,096 in use, a rollout needs 4,096 more"; NULL: there is room by now */
};

/* As the admin login. app NULL: the defaults (nothing is used, own is LIMIT_DEFAULT). ERR_NOT_FOUND: no such app, or it was destroyed. */
int limits_read(struct db *db, const char *app, struct arena *mem, struct limits *out, struct err *e);

/*
 * A field's or a command's text: digits, or "default" (LIMIT_DEFAULT). ERR_INVALID's message is a whole sentence that tells the right value:
 * "Write whole MiB without a unit: 8 GiB is 8192." It says nothing of the limit's name, which stands beside it.
 */
int limit_parse(enum limit limit, const char *text, int64_t *out, struct err *e);

struct limit_edit {
    enum limit limit;
    int64_t value; /* LIMIT_DEFAULT: back to the default; not for the defaults themselves */
    int64_t
        was; /* the app's own value (of the defaults: the value) that its author saw; LIMIT_DEFAULT: none; LIMIT_UNSEEN: not compared */
};

struct limit_conflict {
    enum limit limit;
    int64_t was, now;
    const char *by; /* who changed it, by the audit log; NULL: not told there */
    int64_t at_ms;
};

/*
 * Changes all or nothing, with one row of the audit log (before, after), in one transaction; what is so already is no change, and a save without any writes
 * nothing. app NULL: the defaults. At most one edit a limit. What the bucket was drawn by is kept; what waits for room is looked at at once. ERR_CONFLICT: somebody
 * changed a value after its author saw it: *conflicts tells which, and nothing is written. ERR_NOT_FOUND: no such app. ERR_INVALID: a value out of bounds.
 */
int limits_set(struct db_pool *admin, const char *app, const char *actor, const struct limit_edit *edits, size_t count,
               struct arena *mem, struct limit_conflict conflicts[LIMIT_COUNT], size_t *conflict_count, struct err *e);

/* ---- What an edit does, before it is saved. Pure ---- */

/* *now as it would be with the edits. */
void limits_with(const struct limits *now, const struct limit_edit *edits, size_t count, struct limits *out);

/*
 * One limit's row. lead is what to stress, rest goes on from it; the two with a space between are a sentence:
 * "Room for a rollout of 4 tasks" "of 512 units; today 3." Both "" when there is nothing to say: a row without an edit speaks only when its limit is near.
 */
struct limit_effect {
    const char *lead, *rest;
    const char *use;        /* "66% then 50%"; "" without an edit of this limit or when nothing is used */
    enum limit_level level; /* as it would be */
    bool changed;           /* the number in force */
};
void limit_effect(const struct limits *now, const struct limits *then, enum limit limit, struct arena *mem,
                  struct limit_effect *out);

/* What the edits mean together: "Right now", "During a rollout", "Pushes that wait", "All apps together", each with a sentence. */
enum { LIMIT_SUMS = 4 };
struct limit_sum {
    const char *title;
    const char *text; /* "": nothing to say (of the defaults) */
};
void limit_sums(const struct limits *now, const struct limits *then, struct arena *mem,
                struct limit_sum out[LIMIT_SUMS]);

/* ---- The bucket in an answer's headers (draft-ietf-httpapi-ratelimit-headers, and the older three of the same meaning) ---- */

struct limit_headers {
    const char *policy;    /* RateLimit-Policy: "pushes";q=10;w=600 */
    const char *state;     /* RateLimit: "pushes";r=0;t=60 */
    const char *limit;     /* RateLimit-Limit */
    const char *remaining; /* RateLimit-Remaining */
    const char *reset;     /* RateLimit-Reset, s */
};
void limit_headers(struct arena *mem, int64_t burst, int64_t per_hour, int64_t tokens, int64_t wait_ms,
                   struct limit_headers *out);

#endif
