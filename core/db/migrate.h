/*
 * migrate - the schema's versions: embedded in the binary, numbered, checksummed, one transaction each.
 *
 * A migration file's first line may be `-- no-transaction` (CREATE INDEX CONCURRENTLY). Runs are serialised by pg_try_advisory_lock, polled
 * outside any transaction; each migration runs under lock_timeout and is tried again a few times. A file whose checksum changed after it was applied, one that is missing here but applied
 * there, or a database newer than the binary is refused with what to do.
 * Roles come from sql/bootstrap.sql, run once by a Postgres administrator.
 */
#ifndef BERTH_DB_MIGRATE_H
#define BERTH_DB_MIGRATE_H

#include "core/db/db.h"

struct migration {
    int version;
    const char *name; /* "0001_schema" */
    const char *sql;
    char checksum[65]; /* hex SHA-256 of the file */
};

enum migration_state {
    MIGRATION_APPLIED,
    MIGRATION_PENDING,
    MIGRATION_CHANGED,
    MIGRATION_UNKNOWN,
    MIGRATION_STATE_COUNT
};

struct migration_status {
    int version;
    const char *name;
    enum migration_state state;
    const char *applied_at; /* ISO 8601; NULL when pending */
};

/* The embedded ones; a test may give its own to the functions below. */
extern const struct migration migrations_embedded[];
extern const size_t migrations_embedded_count;

int migrate_status(struct db_pool *owner, const struct migration *all, size_t count, struct arena *mem,
                   struct migration_status **out, size_t *out_count, struct err *e);

/* *applied: how many were applied now. report (may be NULL) is called as each one is done. */
int migrate_up(struct db_pool *owner, const struct migration *all, size_t count,
               void (*report)(void *context, const struct migration *done), void *context, int *applied, struct err *e);

/* ERR_CONFLICT with what to do, unless each embedded migration is applied unchanged and none other is. */
int migrate_verify(struct db_pool *owner, const struct migration *all, size_t count, struct err *e);

const char *migration_state_name(enum migration_state state);

#endif
