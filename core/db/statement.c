/* One statement: prepared when a connection first meets it, in the scope of its app, its shape checked. */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "core/db/internal.h"

static const struct query_text set_scope = { "set_scope", QUERY_SHAPE_ONE,
                                             "SELECT set_config('berth.app_name', $1::text, true)" };

int scope_step(struct db *db, const char *app, struct bound *bound, struct step *out, struct err *e)
{
    const struct db_param name = db_text(app);

    *out = (struct step){ .text = &set_scope, .prepared = &db->scope_prepared, .bound = bound };
    return bound_set(bound, &name, 1, e);
}

/* What a failed step says about a prepared statement being there or not; true when it is worth another try. */
static bool prepared_is_corrected(const struct db *db, const struct step *failed)
{
    const char *sqlstate = failed->result ? PQresultErrorField(failed->result, PG_DIAG_SQLSTATE) : NULL;

    if (!sqlstate || !failed->prepared)
        return false;
    if (strcmp(sqlstate, "26000") == 0)
        *failed->prepared = false; /* DISCARD ALL, a pooler's other server: this one doesn't know it */
    else if (strcmp(sqlstate, "42P05") == 0 && failed->failed_preparing)
        *failed->prepared = true;
    else
        return false;
    return !db->in_transaction; /* within one, the error has ended it */
}

static int shape_check(const struct query_text *text, const char *app, const PGresult *result, struct err *e)
{
    int rows = PQntuples(result);
    bool fits = true;

    switch (text->shape) {
    case QUERY_SHAPE_ONE:
        if (rows == 0)
            return err_set(e, ERR_NOT_FOUND, "query %s%s%s found nothing", text->name, app ? " for app " : "",
                           app ? app : "");
        fits = rows == 1;
        break;
    case QUERY_SHAPE_MAYBE:
        fits = rows <= 1;
        break;
    case QUERY_SHAPE_NONE:
        fits = rows == 0;
        break;
    case QUERY_SHAPE_MANY:
        break;
    }
    if (!fits)
        return err_set(e, ERR_INTERNAL, "query %s gave %d rows, which its shape doesn't allow", text->name, rows);
    return 0;
}

static int scope_check(const struct db *db, const char *app, const struct query_text *text, struct err *e)
{
    bool same = app && db->app ? strcmp(app, db->app) == 0 : app == db->app;

    if (db->in_transaction && !same)
        return err_set(e, ERR_INTERNAL, "query %s is for app %s, but the transaction is for app %s", text->name,
                       app ? app : "(none)", db->app ? db->app : "(none)");
    return 0;
}

/* One round trip. *again: a prepared statement was missing, and another try will make it. */
static int try_once(struct db *db, const char *app, struct step *last, struct db_rows **rows, bool *again,
                    struct err *e)
{
    struct bound scope;
    struct step steps[2];
    size_t count = 0;
    struct step *failed = NULL;
    bool lost = false;
    int code = 0;

    if (app && !db->in_transaction && scope_step(db, app, &scope, &steps[count++], e))
        return e->code;
    steps[count++] = *last;
    failed = pipeline_run(db, steps, count, &lost);
    db->broken = db->broken || lost;
    *again = failed && !lost && prepared_is_corrected(db, failed);
    if (failed)
        code = classify(db, last->text->name, app, failed->result, e);
    else
        code = shape_check(last->text, app, steps[count - 1].result, e);
    if (!code && rows) {
        *rows = rows_new(steps[count - 1].result, last->text->name);
        steps[count - 1].result = NULL;
    }
    steps_cleanup(steps, count);
    return code;
}

int statement_run(struct db *db, const char *app, const struct query_text *text, bool *prepared,
                  const struct db_param *params, size_t count, struct db_rows **rows, struct err *e)
{
    struct bound bound;
    struct step step = { .text = text, .prepared = prepared, .bound = &bound };
    bool again = true;
    int code = 0;

    if (scope_check(db, app, text, e) || bound_set(&bound, params, count, e))
        return e->code;
    /* The scope and the statement may each have to be prepared anew, once. */
    for (int tries = 0; tries < 3 && again; tries++)
        code = try_once(db, app, &step, rows, &again, e);
    return code;
}

int db_run(struct db *db, const char *app, enum query query, const struct db_param *params, size_t count,
           struct db_rows **rows, struct err *e)
{
    return statement_run(db, app, &query_texts[query], &db->prepared[query], params, count, rows, e);
}

/* The line of a script that the server's position (in characters, from 1) is on. */
static int line_of(const char *sql, const PGresult *result)
{
    const char *text = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    long position = text ? strtol(text, NULL, 10) : 0;
    int line = 1;

    for (; *sql && position > 1; sql++) {
        line += *sql == '\n';
        position -= (*sql & 0xc0) != 0x80; /* a byte that continues a character isn't one */
    }
    return text ? line : 0;
}

int script_run(struct db *db, const char *name, const char *sql, struct err *e)
{
    PGresult *result = PQexec(db->conn, sql);
    ExecStatusType status = PQresultStatus(result);
    int line = 0;

    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY) {
        line = line_of(sql, result);
        classify(db, name, NULL, result, e);
        if (line)
            err_context(e, "line %d", line);
        PQclear(result);
        return e->code;
    }
    PQclear(result);
    return 0;
}
