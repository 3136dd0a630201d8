#include "core/db/migrate.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/db/internal.h"

/* What the database and this binary say together, in the order of versions. */
struct comparison {
    struct migration_status *items;
    size_t count;
};

static const char *const state_names[MIGRATION_STATE_COUNT] = {
    [MIGRATION_APPLIED] = "applied",
    [MIGRATION_PENDING] = "pending",
    [MIGRATION_CHANGED] = "changed",
    [MIGRATION_UNKNOWN] = "unknown",
};

const char *migration_state_name(enum migration_state state)
{
    return state_names[state];
}

static struct migration_status known(const struct migration *m, const struct db_rows *rows, size_t row,
                                     struct arena *mem)
{
    bool same = strcmp(db_get(rows, row, "checksum"), m->checksum) == 0;

    return (struct migration_status){ m->version, m->name, same ? MIGRATION_APPLIED : MIGRATION_CHANGED,
                                      db_get_copy(rows, row, "applied_at", mem) };
}

static struct migration_status unknown(const struct db_rows *rows, size_t row, struct arena *mem)
{
    return (struct migration_status){ (int)db_get_int(rows, row, "version"), db_get_copy(rows, row, "name", mem),
                                      MIGRATION_UNKNOWN, db_get_copy(rows, row, "applied_at", mem) };
}

/* Both are sorted by version. */
static struct comparison compare(const struct migration *all, size_t count, const struct db_rows *rows,
                                 struct arena *mem)
{
    size_t applied = db_count(rows);
    struct comparison both = { arena_array(mem, count + applied + 1, sizeof *both.items), 0 };
    size_t i = 0;
    size_t row = 0;

    while (i < count || row < applied) {
        struct migration_status *item = &both.items[both.count++];
        int64_t version = row < applied ? db_get_int(rows, row, "version") : INT64_MAX;
        if (i < count && all[i].version == version)
            *item = known(&all[i++], rows, row++, mem);
        else if (i < count && all[i].version < version)
            *item = (struct migration_status){ all[i].version, all[i].name, MIGRATION_PENDING, NULL }, i++;
        else
            *item = unknown(rows, row++, mem);
    }
    return both;
}

static int compare_with(struct db *db, const struct migration *all, size_t count, struct arena *mem,
                        struct comparison *out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (migrate_table_read(db, &rows, e))
        return e->code;
    *out = compare(all, count, rows, mem);
    return 0;
}

/* Nothing may be applied over a history that isn't ours. */
static int refuse_foreign(const struct comparison *both, struct err *e)
{
    for (size_t i = 0; i < both->count; i++) {
        const struct migration_status *item = &both->items[i];
        if (item->state == MIGRATION_CHANGED) {
            err_set(e, ERR_CONFLICT, "migration %s was applied on %s, but this berth has other text under that name",
                    item->name, item->applied_at);
            return err_hint(e,
                            "A migration is never edited after it was applied: restore the file as it was, and put the "
                            "change in a new one.");
        }
        if (item->state == MIGRATION_UNKNOWN) {
            err_set(e, ERR_CONFLICT, "the database has migration %s (applied on %s), which this berth doesn't have",
                    item->name, item->applied_at);
            return err_hint(e,
                            "The database was migrated by a newer berth: install that one or a later one. To go back, "
                            "restore a backup from before.");
        }
    }
    return 0;
}

int migrate_status(struct db_pool *owner, const struct migration *all, size_t count, struct arena *mem,
                   struct migration_status **out, size_t *out_count, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    struct comparison both = { 0 };

    if (migrate_session_open(owner, false, &db, e) || compare_with(db, all, count, mem, &both, e))
        return e->code;
    *out = both.items;
    *out_count = both.count;
    return 0;
}

int migrate_verify(struct db_pool *owner, const struct migration *all, size_t count, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    AUTO_ARENA struct arena *mem = arena_new();
    struct comparison both = { 0 };

    if (migrate_session_open(owner, false, &db, e) || compare_with(db, all, count, mem, &both, e) ||
        refuse_foreign(&both, e))
        return e->code;
    for (size_t i = 0; i < both.count; i++)
        if (both.items[i].state == MIGRATION_PENDING) {
            err_set(e, ERR_CONFLICT, "migration %s is not applied to the database", both.items[i].name);
            return err_hint(e, "Run `berth migrate up`.");
        }
    return 0;
}

/* A lock that somebody holds is asked for again and again, shortly: to wait long in its queue would stop all who come after. */
static int apply_patiently(struct db *db, const struct migration *migration, const struct migrate_patience *patience,
                           struct err *e)
{
    int64_t pause_ms = patience->pause_ms;
    int code = migrate_apply(db, migration, patience->lock_timeout_ms, e);

    for (int tries = 1; code == ERR_CONFLICT && err_is(e, "55P03") && tries < patience->tries; tries++) {
        clock_sleep_ms(&clock_system, pause_ms);
        pause_ms = pause_ms * 2 < patience->pause_most_ms ? pause_ms * 2 : patience->pause_most_ms;
        code = migrate_apply(db, migration, patience->lock_timeout_ms, e);
    }
    return code ? err_context(e, "migration %s", migration->name) : 0;
}

static const struct migration *migration_of(const struct migration *all, int version)
{
    while (all->version != version)
        all++;
    return all;
}

int migrate_up_with(struct db_pool *owner, const struct migration *all, size_t count,
                    const struct migrate_patience *patience,
                    void (*report)(void *context, const struct migration *done), void *context, int *applied,
                    struct err *e)
{
    AUTO_DB struct db *db = NULL;
    AUTO_ARENA struct arena *mem = arena_new();
    struct comparison both = { 0 };

    *applied = 0; /* counts also what was done before a failure */
    if (migrate_session_open(owner, true, &db, e) || migrate_lock(db, patience->others_ms, e) ||
        migrate_table_ensure(db, e) || compare_with(db, all, count, mem, &both, e) || refuse_foreign(&both, e))
        return e->code;
    for (size_t i = 0; i < both.count; i++) {
        if (both.items[i].state != MIGRATION_PENDING)
            continue;
        const struct migration *pending = migration_of(all, both.items[i].version);
        if (apply_patiently(db, pending, patience, e))
            return e->code;
        (*applied)++;
        if (report)
            report(context, pending);
    }
    return 0;
}

int migrate_up(struct db_pool *owner, const struct migration *all, size_t count,
               void (*report)(void *context, const struct migration *done), void *context, int *applied, struct err *e)
{
    static const struct migrate_patience patience = { .lock_timeout_ms = 2000,
                                                      .tries = 12,
                                                      .pause_ms = 250,
                                                      .pause_most_ms = 5000,
                                                      .others_ms = INT64_C(15) * 60 * 1000 };

    return migrate_up_with(owner, all, count, &patience, report, context, applied, e);
}
