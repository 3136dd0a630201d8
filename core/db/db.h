/*
 * db - Postgres: connections, prepared statements, scope, transactions.
 *
 * Every statement is a file in sql/queries/, known here as QUERY_<NAME> (generated), prepared by name on first use on each
 * connection. A statement runs under the scope of one app (row-level security sees berth.app_name), or under none with app NULL.
 * Outside a transaction the scope is set in the same round trip as the statement and ends with it.
 *
 * Errors by SQLSTATE (in e->detail): 40xxx and 55P03 ERR_CONFLICT (whole transaction again); 08, 53, 57, 25006 ERR_TRANSIENT, and the
 * connection is replaced when next taken (not after 57014, a statement's time limit); 26000 is prepared again, once, by itself (in a
 * transaction it can't be: ERR_CONFLICT); 0A000, a cached plan that a migration outdated, as 08; 42501 ERR_DENIED; 22, 23 ERR_INVALID;
 * P0001, our own RAISE, ERR_INVALID with its message and hint, P0002 ERR_NOT_FOUND; else ERR_INTERNAL. A connection lost during COMMIT
 * is ERR_TRANSIENT with 08007: whether it was committed isn't known. No message carries a parameter's value.
 */
#ifndef BERTH_DB_DB_H
#define BERTH_DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "queries.h" /* generated: enum query */

/* A pool of connections under one login. Safe from any thread. */
struct db_pool;
struct db_pool_options {
    const char *conninfo; /* libpq's, may hold a password: never logged */
    const char *name;     /* of the login, for messages and application_name: "hooks", "worker", "admin", "owner" */
    int size;             /* connections at most */
    int take_timeout_ms;  /* how long db_take waits for one, and for Postgres to come back */
    int statement_timeout_ms; /* a statement that takes longer is ended by Postgres (57014), and a server that doesn't even do that is given up a
                                 second later (08006); 0: none */
};
int db_pool_new(const struct db_pool_options *options, struct db_pool **out, struct err *e); /* connects lazily */
void db_pool_free(struct db_pool *pool); /* every connection must be back; NULL is fine */

/* One connection, for one thread at a time. db_give is safe in the middle of a failed transaction (it is rolled back). */
struct db;
int db_take(struct db_pool *pool, struct db **out, struct err *e);
void db_give(struct db *db); /* NULL is fine */
void db_cleanup(struct db **db);
#define AUTO_DB __attribute__((cleanup(db_cleanup)))

/* Parameters, in the statement's order. Texts and bytes are borrowed until the call returns. */
struct db_param {
    enum { DB_NULL, DB_TEXT, DB_INT, DB_BOOL, DB_BYTES } type;
    const void *bytes;
    size_t len;
    int64_t number;
};
struct db_param db_text(const char *text); /* NULL is SQL's null */
struct db_param db_int(int64_t number);
struct db_param db_bool(bool truth);
struct db_param db_bytes(const void *bytes, size_t len); /* bytea, sent binary */
struct db_param db_null(void);

/* Rows of an answer. Columns by name; a column that the statement doesn't have is a bug and ends the process. */
struct db_rows;
void db_rows_cleanup(struct db_rows **rows);
#define AUTO_ROWS __attribute__((cleanup(db_rows_cleanup)))
size_t db_count(const struct db_rows *rows);                                    /* rows; 0 for NULL */
const char *db_get(const struct db_rows *rows, size_t row, const char *column); /* borrowed text; NULL is null */
int64_t db_get_int(const struct db_rows *rows, size_t row, const char *column); /* 0 for null */
bool db_get_bool(const struct db_rows *rows, size_t row, const char *column);   /* false for null */
char *db_get_copy(const struct db_rows *rows, size_t row, const char *column, struct arena *mem); /* NULL for null */
int64_t db_affected(const struct db_rows *rows);                                                  /* rows changed */

/*
 * Runs a statement. rows may be NULL. The file's shape is checked: `-- one` gives exactly one row (ERR_NOT_FOUND for none),
 * `-- maybe` none or one, `-- many` any number, `-- none` no rows.
 */
int db_run(struct db *db, const char *app, enum query query, const struct db_param *params, size_t count,
           struct db_rows **rows, struct err *e);

/* db_query(db, "shop", QUERY_APP_FIND, &rows, e, db_text("shop")); at least one parameter. */
#define db_query(db, app, query, rows, e, ...)                                                                         \
    db_run(db, app, query, (const struct db_param[]){ __VA_ARGS__ },                                                   \
           sizeof((const struct db_param[]){ __VA_ARGS__ }) / sizeof(struct db_param), rows, e)

/* Takes a connection, runs one statement, gives it back. */
int db_run_once(struct db_pool *pool, const char *app, enum query query, const struct db_param *params, size_t count,
                struct db_rows **rows, struct err *e);
#define db_query_once(pool, app, query, rows, e, ...)                                                                  \
    db_run_once(pool, app, query, (const struct db_param[]){ __VA_ARGS__ },                                            \
                sizeof((const struct db_param[]){ __VA_ARGS__ }) / sizeof(struct db_param), rows, e)

/* A transaction under one scope; within it every db_run must name that same app. */
int db_begin(struct db *db, const char *app, struct err *e);
int db_commit(struct db *db, struct err *e);
void db_rollback(struct db *db);

/* Waits for a NOTIFY on a channel that this connection listens to: *notified, or the timeout. wake_fd (or -1) ends the wait when readable. */
int db_listen(struct db *db, const char *channel, struct err *e);
int db_wait(struct db *db, int timeout_ms, int wake_fd, bool *notified, struct err *e);

#endif
