/*
 * audit - who changed what: reading the audit log, which is only ever added to, in the transaction of the change itself.
 *
 * As the admin login, which sees every app's.
 */
#ifndef BERTH_DEPLOY_AUDIT_H
#define BERTH_DEPLOY_AUDIT_H

#include "core/base/buf.h"
#include "core/db/db.h"

enum { AUDIT_PAGE_MAX = 1000 };

struct audit_entry {
    int64_t id;                 /* its place in the list, for audit_page.after */
    const char *at;             /* ISO 8601, UTC */
    const char *actor;          /* who */
    const char *action;         /* "app.update" */
    const char *app;            /* NULL: of the whole installation */
    const char *before, *after; /* JSON objects; NULL: none */
};

/* Which ones; NULL and 0 leave it open. */
struct audit_page {
    const char *app, *actor;   /* exactly */
    const char *action;        /* exactly, or with a dot at its end all that begin so: "app." */
    const char *since, *until; /* ISO 8601, from and before; a day alone is its beginning in UTC */
    int64_t after;             /* id of the last one that was shown; 0: from the newest */
    int limit;                 /* 1 to AUDIT_PAGE_MAX */
};
/* Newest first. *more: there are further ones. ERR_INVALID: since or until is no time. */
int audit_list(struct db *db, const struct audit_page *page, struct arena *mem, struct audit_entry **out, size_t *count,
               bool *more, struct err *e);

/* Who is in the log, and what they did, for the choices of a filter. At most AUDIT_PAGE_MAX each, by name. */
int audit_choices(struct db *db, struct arena *mem, const char ***actors, size_t *actor_count, const char ***actions,
                  size_t *action_count, struct err *e);

/* One page as CSV (RFC 4180), with a line of headings when asked; no cell of it is taken for a formula. */
void audit_csv(const struct audit_entry *entries, size_t count, bool headings, struct buf *out);

#endif
