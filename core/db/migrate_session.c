/* What migrations say to Postgres. These statements are not in sql/queries because they run before there is a schema. */
#include <libpq-fe.h>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/db/internal.h"

/* One berth migrates a database at a time; any number would do, it only must not change. */
#define LOCK_KEY "7310868735422210632"

enum { LOCK_POLL_MS = 200 };

static const struct query_text owner_status = {
    "migrate_owner_status", QUERY_SHAPE_ONE,
    "SELECT to_regrole('berth_owner') IS NOT NULL AND to_regnamespace('berth') IS NOT NULL AS bootstrapped,"
    "       EXISTS (SELECT FROM pg_roles WHERE rolname = 'berth_owner' AND pg_has_role(oid, 'MEMBER')) AS member,"
    "       current_user AS login"
};
static const struct query_text become_owner = { "migrate_become_owner", QUERY_SHAPE_NONE, "SET ROLE berth_owner" };
static const struct query_text try_lock = { "migrate_lock", QUERY_SHAPE_ONE,
                                            "SELECT pg_try_advisory_lock(" LOCK_KEY ") AS locked" };
static const struct query_text find_table = { "migrate_find_table", QUERY_SHAPE_ONE,
                                              "SELECT to_regclass('berth.schema_migrations') IS NOT NULL AS there" };
static const struct query_text create_table = {
    "migrate_create_table", QUERY_SHAPE_NONE,
    "CREATE TABLE IF NOT EXISTS berth.schema_migrations (version int PRIMARY KEY, name text NOT NULL,"
    " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
};
static const struct query_text read_table = {
    "migrate_read_table", QUERY_SHAPE_MANY,
    "SELECT version, name, checksum, to_char(applied_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS applied_at"
    " FROM berth.schema_migrations ORDER BY version"
};
static const struct query_text set_lock_timeout = { "migrate_lock_timeout", QUERY_SHAPE_ONE,
                                                    "SELECT set_config('lock_timeout', $1::text, false)" };
static const struct query_text record = {
    "migrate_record", QUERY_SHAPE_NONE,
    "INSERT INTO berth.schema_migrations (version, name, checksum) VALUES ($1::int, $2, $3)"
};

static int run(struct db *db, const struct query_text *text, struct db_rows **rows, struct err *e)
{
    return statement_run(db, NULL, text, NULL, NULL, 0, rows, e);
}

static int owner_become(struct db *db, bool must_own, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (run(db, &owner_status, &rows, e))
        return e->code;
    if (must_own && !db_get_bool(rows, 0, "bootstrapped")) {
        err_set(e, ERR_NOT_FOUND, "the database has no role berth_owner or no schema berth yet");
        return err_hint(e, "Run sql/bootstrap.sql in it once, as a Postgres administrator: "
                           "psql --set ON_ERROR_STOP=1 --file sql/bootstrap.sql.");
    }
    if (must_own && !db_get_bool(rows, 0, "member")) {
        err_set(e, ERR_DENIED, "the login %s may not become berth_owner, who owns the schema",
                db_get(rows, 0, "login"));
        return err_hint(e,
                        "Migrate with the login berth_migrate, or let an administrator run: GRANT berth_owner TO %s.",
                        db_get(rows, 0, "login"));
    }
    return db_get_bool(rows, 0, "member") ? run(db, &become_owner, NULL, e) : 0;
}

int migrate_session_open(struct db_pool *owner, bool must_own, struct db **out, struct err *e)
{
    AUTO_DB struct db *db = NULL;

    if (db_take(owner, &db, e))
        return e->code;
    db->discard = true; /* the role, the lock and the time limits end with the connection */
    if (owner_become(db, must_own, e))
        return e->code;
    *out = db;
    db = NULL;
    return 0;
}

int migrate_lock(struct db *db, int64_t others_ms, struct err *e)
{
    int64_t deadline_ms = clock_monotonic_ms(&clock_system) + others_ms;

    /* Polled: who waits for a lock within a statement holds a snapshot, which CREATE INDEX CONCURRENTLY waits for in turn. */
    for (;;) {
        AUTO_ROWS struct db_rows *rows = NULL;
        if (run(db, &try_lock, &rows, e))
            return e->code;
        if (db_get_bool(rows, 0, "locked"))
            return 0;
        if (clock_monotonic_ms(&clock_system) >= deadline_ms)
            break;
        clock_sleep_ms(&clock_system, LOCK_POLL_MS);
    }
    err_set(e, ERR_CONFLICT, "another `berth migrate` has been at work for more than %d s", (int)(others_ms / 1000));
    return err_hint(
        e, "Let it finish, then run this again. Who it is: SELECT pid FROM pg_locks WHERE locktype = 'advisory'.");
}

int migrate_table_ensure(struct db *db, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (run(db, &find_table, &rows, e))
        return e->code;
    return db_get_bool(rows, 0, "there") ? 0 : run(db, &create_table, NULL, e);
}

int migrate_table_read(struct db *db, struct db_rows **out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (run(db, &find_table, &rows, e))
        return e->code;
    return db_get_bool(rows, 0, "there") ? run(db, &read_table, out, e) : 0;
}

static int record_applied(struct db *db, const struct migration *migration, struct err *e)
{
    const struct db_param params[] = { db_int(migration->version), db_text(migration->name),
                                       db_text(migration->checksum) };

    return statement_run(db, NULL, &record, NULL, params, sizeof params / sizeof *params, NULL, e);
}

/* A script that ends our transaction itself would record a half-done migration as applied. */
static int still_in_transaction(struct db *db, struct err *e)
{
    if (PQtransactionStatus(db->conn) == PQTRANS_INTRANS)
        return 0;
    err_set(e, ERR_INVALID, "it ends the transaction that it runs in");
    return err_hint(
        e, "Remove COMMIT and ROLLBACK from the file; `-- no-transaction` as its first line runs it without one.");
}

static int apply_in_transaction(struct db *db, const struct migration *migration, struct err *e)
{
    if (db_begin(db, NULL, e))
        return e->code;
    if (script_run(db, migration->name, migration->sql, e) || still_in_transaction(db, e) ||
        record_applied(db, migration, e)) {
        db_rollback(db);
        return e->code;
    }
    return db_commit(db, e);
}

static int apply_alone(struct db *db, const struct migration *migration, struct err *e)
{
    if (script_run(db, migration->name, migration->sql, e)) {
        if (!*e->hint)
            err_hint(e, "It ran without a transaction: look for what it left behind (an INVALID index) before running "
                        "it again.");
        return e->code;
    }
    return record_applied(db, migration, e);
}

int migrate_apply(struct db *db, const struct migration *migration, int lock_timeout_ms, struct err *e)
{
    const struct db_param timeout = db_int(lock_timeout_ms);

    if (statement_run(db, NULL, &set_lock_timeout, NULL, &timeout, 1, NULL, e))
        return e->code;
    if (text_starts(migration->sql, "-- no-transaction\n"))
        return apply_alone(db, migration, e);
    return apply_in_transaction(db, migration, e);
}
