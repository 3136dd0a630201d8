/*
 * internal - what the files of core/db share: a connection, and statements that are not in sql/queries.
 *
 * libpq's types are named by their struct tags, so that a test may include this without libpq.
 */
#ifndef BERTH_DB_INTERNAL_H
#define BERTH_DB_INTERNAL_H

#include "core/db/db.h"
#include "core/db/migrate.h"

struct pg_conn;
struct pg_result;

enum { DB_PARAMS_MAX = 40 };

struct db {
    struct db_pool *pool;
    struct db *next;      /* in the pool's list of free ones */
    struct pg_conn *conn; /* NULL: not connected */
    bool *prepared;       /* by enum query: known to this connection's server process */
    bool scope_prepared;
    int answer_ms; /* longest wait for the answer to a statement; 0: any time */
    bool late;     /* an answer did not come in that time */
    bool broken;   /* nothing more can be said on it; closed when given back */
    bool discard;  /* closed when given back, as its session was changed */
    bool listening;
    bool in_transaction;
    char *app; /* the transaction's scope; NULL: none */
};

/* connection.c */
int connection_open(struct db *db, const char *conninfo, const char *name, int statement_timeout_ms, struct err *e);
void connection_close(struct db *db);
bool connection_is_alive(struct db *db); /* one poll, no round trip */

/* pool.c */
const char *pool_name(const struct db_pool *pool);

/* Parameters in libpq's form. Points into itself: not to be copied. */
struct bound {
    const char *values[DB_PARAMS_MAX];
    int lengths[DB_PARAMS_MAX];
    int formats[DB_PARAMS_MAX];
    char numbers[DB_PARAMS_MAX][24];
    int count;
};
int bound_set(struct bound *bound, const struct db_param *params, size_t count, struct err *e);

/*
 * One statement of a round trip. With `prepared` it is a named prepared statement, made when *prepared is false; without, it is
 * sent as text.
 */
struct step {
    const struct query_text *text;
    bool *prepared;
    const struct bound *bound; /* NULL: no parameters */
    bool failed_preparing;
    struct pg_result *result; /* owned; of the execution, or of what failed before it */
};

/*
 * pipeline.c: sends the steps with one Sync (outside a transaction they are one transaction of their own) and waits for all
 * answers. Returns the first step that failed, NULL when all went well; *lost when the connection didn't last, or an answer is late.
 */
struct step *pipeline_run(struct db *db, struct step *steps, size_t count, bool *lost);
void steps_cleanup(struct step *steps, size_t count);

/*
 * statement.c: as db_run, for a statement that is not in sql/queries (its name only serves messages when prepared is NULL).
 */
int statement_run(struct db *db, const char *app, const struct query_text *text, bool *prepared,
                  const struct db_param *params, size_t count, struct db_rows **rows, struct err *e);
/* The step that sets the scope; bound must outlive it. */
int scope_step(struct db *db, const char *app, struct bound *bound, struct step *out, struct err *e);
/* Any number of commands as plain text, without results or parameters: what a migration is. */
int script_run(struct db *db, const char *name, const char *sql, struct err *e);

/* rows.c: owns the result from now on. */
struct db_rows *rows_new(struct pg_result *result, const char *query);

/* classify.c: sets e from a failed answer (NULL: the connection was lost), and marks the connection when it must be replaced. */
int classify(struct db *db, const char *query, const char *app, const struct pg_result *result, struct err *e);

/* migrate.c: how long a migration tries to get its locks. */
struct migrate_patience {
    int lock_timeout_ms; /* each try */
    int tries;
    int64_t pause_ms; /* after the first try; doubles, up to pause_most_ms */
    int64_t pause_most_ms;
    int64_t others_ms; /* how long another berth may be migrating */
};
int migrate_up_with(struct db_pool *owner, const struct migration *all, size_t count,
                    const struct migrate_patience *patience,
                    void (*report)(void *context, const struct migration *done), void *context, int *applied,
                    struct err *e);

/* migrate_session.c: a connection acting as berth_owner; db_give closes it. */
int migrate_session_open(struct db_pool *owner, bool must_own, struct db **out, struct err *e);
int migrate_lock(struct db *db, int64_t others_ms, struct err *e);
int migrate_table_ensure(struct db *db, struct err *e);
int migrate_table_read(struct db *db, struct db_rows **out, struct err *e); /* *out NULL: no such table yet */
int migrate_apply(struct db *db, const struct migration *migration, int lock_timeout_ms, struct err *e);

#endif
