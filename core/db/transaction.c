/* Transactions over several statements: the scope is set with the first. */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fatal.h"
#include "core/db/internal.h"

static const struct query_text begin = { "begin", QUERY_SHAPE_NONE, "BEGIN" };
static const struct query_text commit = { "commit", QUERY_SHAPE_NONE, "COMMIT" };

static void transaction_ended(struct db *db)
{
    db->in_transaction = false;
    free(db->app);
    db->app = NULL;
}

static void transaction_begun(struct db *db, const char *app)
{
    db->in_transaction = true;
    db->app = app ? strdup(app) : NULL;
    if (app && !db->app)
        fatal_no_memory();
}

static bool lost_its_scope(const struct step *failed)
{
    const char *sqlstate = failed->prepared ? PQresultErrorField(failed->result, PG_DIAG_SQLSTATE) : NULL;

    return sqlstate && strcmp(sqlstate, "26000") == 0;
}

int db_begin(struct db *db, const char *app, struct err *e)
{
    struct bound scope;
    struct step steps[2] = { { .text = &begin } };
    struct step *failed = NULL;
    bool lost = false;
    bool again = false;

    if (db->in_transaction)
        return err_set(e, ERR_INTERNAL, "a transaction for app %s is begun within one for app %s", app ? app : "(none)",
                       db->app ? db->app : "(none)");
    if (app && scope_step(db, app, &scope, &steps[1], e))
        return e->code;
    failed = pipeline_run(db, steps, app ? 2 : 1, &lost);
    transaction_begun(db, app); /* so that db_rollback ends it */
    if (failed) {
        again = !lost && lost_its_scope(failed);
        db->broken = db->broken || lost;
        classify(db, "begin", app, failed->result, e);
        db_rollback(db);
    }
    steps_cleanup(steps, 2);
    if (again) {
        db->scope_prepared = false;
        return db_begin(db, app, e);
    }
    return failed ? (int)e->code : 0;
}

/* An aborted transaction answers COMMIT with ROLLBACK, which is no error to Postgres. */
static int commit_check(const char *app, const struct step *step, struct err *e)
{
    if (strcmp(PQcmdStatus(step->result), "COMMIT") == 0)
        return 0;
    return err_set(e, ERR_CONFLICT, "the transaction%s%s was rolled back, because a statement in it had failed",
                   app ? " for app " : "", app ? app : "");
}

int db_commit(struct db *db, struct err *e)
{
    struct step step = { .text = &commit };
    struct step *failed = NULL;
    bool lost = false;
    int code = 0;

    if (!db->in_transaction)
        return err_set(e, ERR_INTERNAL, "a commit without a transaction");
    if (db->broken) { /* lost before: nothing of it was committed */
        code = classify(db, "commit", db->app, NULL, e);
        transaction_ended(db);
        return code;
    }
    failed = pipeline_run(db, &step, 1, &lost);
    db->broken = db->broken || lost;
    if (!failed) {
        code = commit_check(db->app, &step, e);
    } else {
        code = classify(db, "commit", db->app, step.result, e);
        if (lost) {
            err_detail(e, "08007");
            err_hint(e, "Whether the transaction was committed isn't known: read what it wrote before doing it again.");
        }
    }
    steps_cleanup(&step, 1);
    transaction_ended(db);
    return code;
}

void db_rollback(struct db *db)
{
    PGresult *result = NULL;

    transaction_ended(db);
    if (!db->conn || db->broken || PQtransactionStatus(db->conn) == PQTRANS_IDLE)
        return;
    result = PQexec(db->conn, "ROLLBACK");
    db->broken = PQresultStatus(result) != PGRES_COMMAND_OK;
    PQclear(result);
}
