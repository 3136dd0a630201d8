/* Several steps in one round trip: BEGIN, scope, statement, COMMIT. */
#include <libpq-fe.h>
#include <poll.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/db/internal.h"

static bool step_send(PGconn *conn, const struct step *step)
{
    static const struct bound nothing = { 0 };
    const struct bound *b = step->bound ? step->bound : &nothing;

    if (!step->prepared)
        return PQsendQueryParams(conn, step->text->sql, b->count, NULL, b->values, b->lengths, b->formats, 0);
    if (!*step->prepared && !PQsendPrepare(conn, step->text->name, step->text->sql, 0, NULL))
        return false;
    return PQsendQueryPrepared(conn, step->text->name, b->count, b->values, b->lengths, b->formats, 0);
}

/* Whether PQgetResult will not block. False: the time is over. */
static bool answer_await(struct db *db)
{
    int64_t until = clock_monotonic_ms(&clock_system) + db->answer_ms;

    while (!db->late && db->answer_ms > 0 && PQisBusy(db->conn)) {
        struct pollfd fd = { .fd = PQsocket(db->conn), .events = POLLIN };
        int64_t left = until - clock_monotonic_ms(&clock_system);

        db->late = left <= 0;
        if (!db->late && poll(&fd, 1, (int)left) != 0 && !PQconsumeInput(db->conn))
            return true; /* lost, as PQgetResult will tell */
    }
    return !db->late;
}

/* NULL: there is no more of this answer, or it is late. */
static PGresult *next_result(struct db *db)
{
    return answer_await(db) ? PQgetResult(db->conn) : NULL;
}

/* One answer and the NULL after it. NULL: the connection was lost, or the answer is late. */
static PGresult *receive(struct db *db)
{
    PGresult *result = next_result(db);
    PGresult *more = NULL;

    while (result && (more = next_result(db)))
        PQclear(more);
    return result;
}

static bool is_success(const PGresult *result)
{
    return PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
}

/* Whether the step went well; its result is kept, or that of its preparation when this failed. */
static bool step_receive(struct db *db, struct step *step)
{
    if (step->prepared && !*step->prepared) {
        step->result = receive(db);
        *step->prepared = is_success(step->result);
        step->failed_preparing = !*step->prepared;
        if (step->failed_preparing) {
            PQclear(receive(db)); /* of the execution: not tried */
            return false;
        }
        PQclear(step->result);
    }
    step->result = receive(db);
    return is_success(step->result);
}

/* The Sync commits, which may fail by itself (a deferred constraint): *refusal then. False: the connection was lost. */
static bool sync_receive(struct db *db, PGresult **refusal)
{
    PGresult *result = next_result(db);
    bool is_sync = false;

    if (result && PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
        *refusal = result;
        PQclear(next_result(db)); /* the NULL that ends an answer */
        result = next_result(db);
    }
    is_sync = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    PQclear(result);
    return is_sync;
}

static __attribute__((nonnull)) struct step *receive_all(struct db *db, struct step *steps, size_t count, bool *lost)
{
    struct step *failed = NULL;
    PGresult *refusal = NULL;

    for (size_t i = 0; i < count; i++)
        if (!step_receive(db, &steps[i]) && !failed)
            failed = &steps[i];
    *lost = !sync_receive(db, &refusal) || !PQexitPipelineMode(db->conn);
    if (!failed && (refusal || *lost)) {
        failed = &steps[count - 1];
        PQclear(failed->result);
        failed->result = refusal;
        return failed;
    }
    PQclear(refusal);
    return failed;
}

struct step *pipeline_run(struct db *db, struct step *steps, size_t count, bool *lost)
{
    bool sent = PQenterPipelineMode(db->conn);

    for (size_t i = 0; i < count && sent; i++)
        sent = step_send(db->conn, &steps[i]);
    *lost = !sent || !PQpipelineSync(db->conn);
    if (*lost)
        return &steps[0];
    return receive_all(db, steps, count, lost);
}

void steps_cleanup(struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        PQclear(steps[i].result);
        steps[i].result = NULL;
    }
}
