/* A pool: as many connections as threads at most, made when first needed. */
#include <errno.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/fatal.h"
#include "core/base/secret.h"
#include "core/db/internal.h"

enum { RECONNECT_PAUSE_MS = 50, RECONNECT_PAUSE_MOST_MS = 1000 };

struct db_pool {
    struct secret *conninfo;
    char *name;
    int size;
    int take_timeout_ms;
    int statement_timeout_ms;
    struct db *all;
    pthread_mutex_t mutex;
    pthread_cond_t given;
    struct db *free; /* last given first: fewer connections are kept warm */
};

static void pool_init(struct db_pool *pool)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&pool->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->given, &attributes);
    pthread_condattr_destroy(&attributes);
    for (int i = pool->size; i-- > 0;) {
        struct db *db = &pool->all[i];
        db->pool = pool;
        db->prepared = calloc(QUERY_COUNT + 1, sizeof *db->prepared);
        if (!db->prepared)
            fatal_no_memory();
        db->next = pool->free;
        pool->free = db;
    }
}

int db_pool_new(const struct db_pool_options *options, struct db_pool **out, struct err *e)
{
    /* libpq's own words about a bad connection string quote it, with the password that may be in it. */
    PQconninfoOption *parsed = PQconninfoParse(options->conninfo, NULL);
    struct db_pool *pool = NULL;

    if (!parsed) {
        err_set(e, ERR_INVALID, "the connection string of the login \"%s\" can't be read", options->name);
        return err_hint(
            e, "It is libpq's: host=/run/postgresql dbname=berth user=berth_%s, or postgresql://user@host/berth.",
            options->name);
    }
    PQconninfoFree(parsed);
    if (options->size < 1)
        return err_set(e, ERR_INVALID, "the pool of the login \"%s\" needs at least one connection", options->name);
    pool = calloc(1, sizeof *pool);
    if (!pool)
        fatal_no_memory();
    pool->conninfo = secret_from_text(options->conninfo);
    pool->name = strdup(options->name);
    pool->size = options->size;
    pool->take_timeout_ms = options->take_timeout_ms;
    pool->statement_timeout_ms = options->statement_timeout_ms;
    pool->all = calloc((size_t)options->size, sizeof *pool->all);
    if (!pool->name || !pool->all)
        fatal_no_memory();
    pool_init(pool);
    *out = pool;
    return 0;
}

void db_pool_free(struct db_pool *pool)
{
    if (!pool)
        return;
    for (int i = 0; i < pool->size; i++) {
        connection_close(&pool->all[i]);
        free(pool->all[i].prepared);
    }
    pthread_cond_destroy(&pool->given);
    pthread_mutex_destroy(&pool->mutex);
    secret_free(pool->conninfo);
    free(pool->all);
    free(pool->name);
    free(pool);
}

const char *pool_name(const struct db_pool *pool)
{
    return pool->name;
}

static struct db *pool_pop(struct db_pool *pool)
{
    struct timespec deadline = clock_after_ms(pool->take_timeout_ms);
    struct db *db = NULL;

    pthread_mutex_lock(&pool->mutex);
    while (!pool->free)
        if (pthread_cond_timedwait(&pool->given, &pool->mutex, &deadline) == ETIMEDOUT)
            break;
    db = pool->free;
    if (db)
        pool->free = db->next;
    pthread_mutex_unlock(&pool->mutex);
    return db;
}

static void pool_push(struct db *db)
{
    struct db_pool *pool = db->pool;

    pthread_mutex_lock(&pool->mutex);
    db->next = pool->free;
    pool->free = db;
    pthread_cond_signal(&pool->given);
    pthread_mutex_unlock(&pool->mutex);
}

/* A Postgres that restarts refuses connections for some seconds, so it is asked again until the deadline. */
static int connect_until(struct db *db, int64_t deadline_ms, struct err *e)
{
    struct db_pool *pool = db->pool;
    int64_t pause_ms = RECONNECT_PAUSE_MS;

    connection_close(db);
    memset(db->prepared, 0, (QUERY_COUNT + 1) * sizeof *db->prepared);
    while (connection_open(db, secret_bytes(pool->conninfo), pool->name, pool->statement_timeout_ms, e)) {
        if (!err_may_retry(e) || clock_monotonic_ms(&clock_system) + pause_ms >= deadline_ms)
            return e->code;
        clock_sleep_ms(&clock_system, pause_ms);
        pause_ms = pause_ms * 2 < RECONNECT_PAUSE_MOST_MS ? pause_ms * 2 : RECONNECT_PAUSE_MOST_MS;
    }
    return 0;
}

int db_take(struct db_pool *pool, struct db **out, struct err *e)
{
    int64_t deadline_ms = clock_monotonic_ms(&clock_system) + pool->take_timeout_ms;
    struct db *db = pool_pop(pool);

    if (!db) {
        err_set(e, ERR_TRANSIENT, "no connection to Postgres as %s was free within %d ms; all %d are in use",
                pool->name, pool->take_timeout_ms, pool->size);
        return err_hint(e, "Look for slow statements in pg_stat_activity, or make the pool larger.");
    }
    if (!connection_is_alive(db) && connect_until(db, deadline_ms, e)) {
        pool_push(db);
        return e->code;
    }
    *out = db;
    return 0;
}

void db_give(struct db *db)
{
    if (!db)
        return;
    db_rollback(db);
    if (db->listening && !db->broken)
        PQclear(PQexec(db->conn, "UNLISTEN *"));
    db->listening = false;
    if (db->conn && (db->broken || db->discard || PQtransactionStatus(db->conn) != PQTRANS_IDLE))
        connection_close(db);
    pool_push(db);
}

void db_cleanup(struct db **db)
{
    db_give(*db);
    *db = NULL;
}

int db_run_once(struct db_pool *pool, const char *app, enum query query, const struct db_param *params, size_t count,
                struct db_rows **rows, struct err *e)
{
    AUTO_DB struct db *db = NULL;

    if (db_take(pool, &db, e))
        return e->code;
    return db_run(db, app, query, params, count, rows, e);
}
