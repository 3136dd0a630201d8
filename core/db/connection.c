/* Connections to Postgres: made within a time limit, set up, checked. */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/db/internal.h"

enum {
    LOGIN_NAME_MAX = 32,
    ANSWER_GRACE_MS =
        1000 /* Postgres ends a statement at its time limit, unless it hangs, or a pooler has no server for us */
};

/* What holds when the operator's connection string says nothing: a dead server is noticed within half a minute. */
static const char *const fallback_keys[] = { "connect_timeout",  "keepalives_idle",  "keepalives_interval",
                                             "keepalives_count", "tcp_user_timeout", "target_session_attrs" };
static const char *const fallback_values[] = { "5", "10", "5", "3", "20000", "read-write" };
enum { FALLBACKS = sizeof fallback_keys / sizeof *fallback_keys };

/* Warnings of the server belong in our log, not on standard error as libpq writes them. */
static void notice(void *context, const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const struct db *db = context;

    log_event(severity && strcmp(severity, "WARNING") == 0 ? LOG_WARN : LOG_DEBUG, "postgres says",
              log_text("login", pool_name(db->pool)), log_text("message", text ? text : ""));
}

static PGconn *dial(const char *conninfo, const char *name)
{
    char application_name[sizeof "berth-" + LOGIN_NAME_MAX];
    const char *keys[FALLBACKS + 4] = { 0 };
    const char *values[FALLBACKS + 4] = { 0 };
    size_t n = FALLBACKS;

    snprintf(application_name, sizeof application_name, "berth-%.*s", LOGIN_NAME_MAX, name);
    memcpy(keys, fallback_keys, sizeof fallback_keys);
    memcpy(values, fallback_values, sizeof fallback_values);
    keys[n] = "dbname"; /* a whole connection string; it wins over what stands before it, and loses to what follows */
    values[n++] = conninfo;
    keys[n] = "application_name";
    values[n++] = application_name;
    keys[n] = "client_encoding";
    values[n++] = "UTF8";
    return PQconnectdbParams(keys, values, 1);
}

/*
 * By a statement and not by the start-up packet's options, which a pooler in between may refuse. No statement here is long enough to be worth compiling, and
 * before a table's first ANALYZE the planner thinks some are: that costs a second.
 */
static int set_session(struct db *db, int statement_timeout_ms, struct err *e)
{
    static const struct query_text session = {
        "set_session", QUERY_SHAPE_ONE,
        "SELECT set_config('search_path', 'berth, pg_temp', false), set_config('TimeZone', 'UTC', false), "
        "set_config('jit', 'off', false),"
        " set_config('DateStyle', 'ISO, YMD', false), set_config('standard_conforming_strings', 'on', false),"
        " set_config('statement_timeout', $1::text, false)"
    };
    const struct db_param timeout = db_int(statement_timeout_ms);

    return statement_run(db, NULL, &session, NULL, &timeout, 1, NULL, e);
}

int connection_open(struct db *db, const char *conninfo, const char *name, int statement_timeout_ms, struct err *e)
{
    char why[512];

    db->conn = dial(conninfo, name);
    if (!db->conn || PQstatus(db->conn) != CONNECTION_OK) {
        text_excerpt(db->conn ? PQerrorMessage(db->conn) : "no memory", why, sizeof why);
        connection_close(db);
        err_set(e, ERR_TRANSIENT, "connecting to Postgres as %s: %s", name, why);
        err_detail(e, "08001");
        return err_hint(
            e, "Check that Postgres is running, and the host, database, user and password of the login \"%s\".", name);
    }
    PQsetNoticeReceiver(db->conn, notice, db);
    db->answer_ms = statement_timeout_ms > 0 ? statement_timeout_ms + ANSWER_GRACE_MS : 0;
    if (set_session(db, statement_timeout_ms, e)) {
        connection_close(db);
        return e->code;
    }
    return 0;
}

void connection_close(struct db *db)
{
    PQfinish(db->conn);
    db->conn = NULL;
    db->scope_prepared = false;
    db->late = false;
    db->broken = false;
    db->discard = false;
    db->listening = false;
}

bool connection_is_alive(struct db *db)
{
    struct pollfd fd;

    if (!db->conn || db->broken || PQstatus(db->conn) != CONNECTION_OK)
        return false;
    /* Nobody asked, so what there is to read is nearly always the server's farewell; to connect anew does no harm. */
    fd = (struct pollfd){ .fd = PQsocket(db->conn), .events = POLLIN };
    return poll(&fd, 1, 0) == 0;
}
