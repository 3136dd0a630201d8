#include "fcgi/health.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/fatal.h"
#include "core/base/log.h"
#include "core/db/migrate.h"

enum finding { NOT_LOOKED, READY, DATABASE_AWAY, SCHEMA_OLD, SCHEMA_MISSING };

struct health {
    struct db_pool *pool;
    struct directory *directory;
    pthread_mutex_t lock;
    bool looking;
    int64_t looked_ms; /* monotonic */
    enum finding finding;
};

int health_new(const char *conninfo, struct directory *directory, struct health **out, struct err *e)
{
    struct db_pool_options options = {
        .conninfo = conninfo,
        .name = "hooks",
        .size = 1,
        .take_timeout_ms = HEALTH_DATABASE_MS,
        .statement_timeout_ms = HEALTH_DATABASE_MS,
    };
    struct db_pool *pool = NULL;

    if (db_pool_new(&options, &pool, e))
        return (int)e->code;

    struct health *health = calloc(1, sizeof(*health));
    if (!health)
        fatal_no_memory();
    health->pool = pool;
    health->directory = directory;
    pthread_mutex_init(&health->lock, NULL);
    *out = health;
    return 0;
}

void health_free(struct health *health)
{
    if (!health)
        return;
    db_pool_free(health->pool);
    pthread_mutex_destroy(&health->lock);
    free(health);
}

/* Old and new binaries run side by side while a new version is brought in, so a newer schema will do. */
static enum finding look(struct health *health)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    struct err e = { 0 };

    if (db_run_once(health->pool, NULL, QUERY_SCHEMA_VERSION, NULL, 0, &rows, &e)) {
        log_err(LOG_WARN, "the database is not ready", &e, log_text("login", "hooks"));
        return err_may_retry(&e) ? DATABASE_AWAY : SCHEMA_MISSING;
    }
    return db_get_int(rows, 0, "version") < migrations_embedded[migrations_embedded_count - 1].version ? SCHEMA_OLD
                                                                                                       : READY;
}

static enum finding find(struct health *health)
{
    pthread_mutex_lock(&health->lock);
    bool stale =
        health->finding == NOT_LOOKED || clock_monotonic_ms(&clock_system) - health->looked_ms >= HEALTH_FRESH_MS;
    if (stale && !health->looking) {
        health->looking = true;
        pthread_mutex_unlock(&health->lock);
        enum finding found = look(health);
        pthread_mutex_lock(&health->lock);
        health->finding = found;
        health->looked_ms = clock_monotonic_ms(&clock_system);
        health->looking = false;
    }
    enum finding finding = health->finding;
    pthread_mutex_unlock(&health->lock);
    return finding;
}

void health_alive(struct response *response)
{
    response_header(response, "Cache-Control", "no-store");
    response_json(response, 200, json_build("{s:s}", "status", "ok"));
}

void health_ready(struct health *health, struct response *response)
{
    static const struct {
        const char *code, *message;
    } reasons[] = {
        [NOT_LOOKED] = { "starting", "The database has not answered yet." },
        [READY] = { NULL, NULL },
        [DATABASE_AWAY] = { "database", "The database does not answer." },
        [SCHEMA_OLD] = { "schema", "The database's schema is older than this version of berth." },
        [SCHEMA_MISSING] = { "schema",
                             "The database does not have berth's schema, or does not let this login see it." },
    };
    enum finding finding = find(health);

    response_header(response, "Cache-Control", "no-store");
    if (finding != READY)
        response_error(response, 503, reasons[finding].code, reasons[finding].message,
                       "The responder's log tells more.");
    else if (!directory_ready(health->directory))
        response_error(response, 503, "directory", "The apps have not been read yet.",
                       "The responder's log tells more.");
    else
        response_json(response, 200, json_build("{s:s}", "status", "ready"));
}
