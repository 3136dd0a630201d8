/* What an SQLSTATE means to the caller: an error code and a hint, by table. */
#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "core/db/internal.h"

#define NOT_MIGRATED                                                                                                   \
    "The database is not migrated to this berth's schema: run `berth migrate`. (`berth migrate status` shows where "   \
    "it is.)"

/* What a SQLSTATE means to the caller. The first row whose prefix fits counts. */
static const struct rule {
    const char *prefix;
    enum err_code code;
    bool replace; /* the connection must be made anew */
    const char *hint;
} rules[] = {
    { "57014", ERR_TRANSIENT, false,
      "The statement took longer than its time limit. Look for a lock or a slow query in pg_stat_activity." },
    { "25006", ERR_TRANSIENT, true,
      "This server is read-only: a standby, or a primary that was demoted. The next try connects anew; "
      "name all hosts in the connection string so that it finds the primary." },
    { "55P03", ERR_CONFLICT, false, "Another transaction holds the lock. Try again; pg_locks shows who." },
    { "26000", ERR_CONFLICT, false, "The server lost a prepared statement; it is prepared again on the next try." },
    { "0A000", ERR_TRANSIENT, true, "If a migration has just run, the next try uses the new schema." },
    { "40", ERR_CONFLICT, false, "" },
    { "53300", ERR_TRANSIENT, true,
      "Postgres has no connection left: raise max_connections or make berth's pools smaller." },
    { "53100", ERR_TRANSIENT, true, "The disk of the database server is full: free space or grow it." },
    { "53", ERR_TRANSIENT, true, "The database server is short of resources: look at its log." },
    { "08", ERR_TRANSIENT, true, "Check that Postgres is running and can be reached; berth connects again by itself." },
    { "57", ERR_TRANSIENT, true,
      "Postgres is stopping, starting or ended this connection; berth connects again by itself." },
    { "42501", ERR_DENIED, false,
      "The login lacks a right, or the row belongs to another app. Run sql/bootstrap.sql again as a Postgres "
      "administrator, then `berth migrate up`." },
    { "42P01", ERR_INTERNAL, false, NOT_MIGRATED },
    { "42703", ERR_INTERNAL, false, NOT_MIGRATED },
    { "42883", ERR_INTERNAL, false, NOT_MIGRATED },
    { "3F000", ERR_INTERNAL, false,
      "The database was never set up: run sql/bootstrap.sql as a Postgres administrator, then `berth migrate`." },
    { "22", ERR_INVALID, false, "" },
    { "23", ERR_INVALID, false, "" },
    { "P0001", ERR_INVALID, false, "" },
    { "P0002", ERR_NOT_FOUND, false, "" },
    { "", ERR_INTERNAL, false, "" },
};

/* Postgres quotes the value in most messages of class 22, so these are said in our words. */
static const struct {
    const char *sqlstate, *text;
} data_errors[] = {
    { "22001", "a text is too long for its column" },
    { "22003", "a number is out of range" },
    { "22008", "a date or time is out of range" },
    { "22007", "a date or time has the wrong form" },
    { "22P02", "a value has the wrong form for its type" },
    { "22021", "a text is not valid UTF-8" },
    { "22P05", "a character can't be stored" },
    { "22", "a value can't be used" },
};

static const struct rule *rule_find(const char *sqlstate)
{
    const struct rule *rule = rules;

    while (!text_starts(sqlstate, rule->prefix))
        rule++;
    return rule;
}

static const char *field(const PGresult *result, int code)
{
    const char *text = PQresultErrorField(result, code);

    return text ? text : "";
}

static const char *data_error(const char *sqlstate)
{
    size_t i = 0;

    while (!text_starts(sqlstate, data_errors[i].sqlstate))
        i++;
    return data_errors[i].text;
}

/* What a database is like that nobody migrated, or that an older berth did. */
static bool is_schema_missing(const char *sqlstate)
{
    static const char *const states[] = { "42P01", "42703", "42883", "3F000" };

    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(sqlstate, states[i]) == 0)
            return true;
    return false;
}

static void explain(const struct db *db, const char *sqlstate, const PGresult *result, char *out, size_t size)
{
    if (db->late)
        snprintf(out, size, "Postgres has not answered within %d ms", db->answer_ms);
    else if (text_starts(sqlstate, "22"))
        text_excerpt(data_error(sqlstate), out, size);
    else if (result && *field(result, PG_DIAG_MESSAGE_PRIMARY))
        text_excerpt(field(result, PG_DIAG_MESSAGE_PRIMARY), out, size);
    else if (db->conn && *PQerrorMessage(db->conn))
        text_excerpt(PQerrorMessage(db->conn), out, size);
    else
        text_excerpt("the connection to Postgres was lost", out, size);
}

int classify(struct db *db, const char *query, const char *app, const struct pg_result *result, struct err *e)
{
    bool lost = !db->conn || PQstatus(db->conn) != CONNECTION_OK;
    const char *sqlstate = result ? field(result, PG_DIAG_SQLSTATE) : "";
    const struct rule *rule = NULL;
    char why[512];

    if (!*sqlstate)
        sqlstate = lost || !result ? "08006" : "XX000";
    rule = rule_find(sqlstate);
    if (lost && !rule->replace)
        rule = rule_find("08");
    if (lost || rule->replace)
        db->broken = true;
    explain(db, sqlstate, result, why, sizeof why);
    const char *what =
        is_schema_missing(sqlstate) ? "the database's schema is not the one that this berth needs: " : "";
    if (app)
        err_set(e, rule->code, "query %s for app %s as %s: %s%s", query, app, pool_name(db->pool), what, why);
    else
        err_set(e, rule->code, "query %s as %s: %s%s", query, pool_name(db->pool), what, why);
    err_detail(e, sqlstate);
    if (text_starts(sqlstate, "P0"))
        err_hint(e, "%s", field(result, PG_DIAG_MESSAGE_HINT));
    else if (*rule->hint)
        err_hint(e, "%s", rule->hint);
    return e->code;
}
