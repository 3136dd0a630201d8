#include "core/deploy/look.h"

#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/tenant/app.h"

/* A look is never given up, so it comes to be tried less often than a release, which is. */
enum { BACKOFF_MS = 1000, BACKOFF_MAX_MS = 300000 };

struct claimed {
    const char *app;
    int64_t token;
    int attempt;
};

/* sha NULL: the branch is gone. */
static int read_head(const struct worker_options *options, const char *name, struct arena *mem, const char **branch,
                     struct github_commit *head, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    struct app app = { 0 };

    if (db_take(options->db, &db, e) || app_get(db, name, mem, &app, e))
        return e->code;
    db_give(db);
    db = NULL;
    *branch = app.branch;
    if (!github_branch_head(options->github, app.repository, app.branch, mem, head, e))
        return 0;
    if (!err_is(e, GITHUB_NO_BRANCH))
        return e->code;
    *head = (struct github_commit){ 0 };
    *e = (struct err){ 0 };
    return 0;
}

static int settle(const struct worker_options *options, const struct claimed *claimed, const char *branch,
                  const struct github_commit *head, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query_once(options->db, claimed->app, QUERY_LOOK_SETTLE, &rows, e, db_text(claimed->app),
                      db_int(claimed->token), db_text(head->sha), db_text(head->title), db_null(), db_text(branch)))
        return e->code;
    log_event(LOG_INFO, "a branch was looked at again", log_text("app", claimed->app),
              log_text("verdict", db_get(rows, 0, "verdict")), log_text("why", db_get(rows, 0, "told")),
              log_int("release", db_get_int(rows, 0, "release")));
    return 0;
}

/* Full jitter below a bound that doubles with each try. */
static int64_t backoff_ms(int attempt)
{
    int64_t bound = BACKOFF_MS;
    uint32_t random = 0;

    for (int i = 1; i < attempt && bound < BACKOFF_MAX_MS; i++)
        bound *= 2;
    hash_random(&random, sizeof random);
    return 1 + random % (bound < BACKOFF_MAX_MS ? bound : BACKOFF_MAX_MS);
}

/* Whatever fails, the lease's end brings the look back. */
static void put_off(const struct worker_options *options, const struct claimed *claimed, const struct err *why)
{
    int64_t delay_ms = backoff_ms(claimed->attempt);
    struct err e = { 0 };

    log_err(LOG_WARN, "a branch could not be looked at again", why, log_text("app", claimed->app),
            log_int("attempt", claimed->attempt), log_int("again_in_ms", delay_ms));
    if (db_query_once(options->db, claimed->app, QUERY_LOOK_PUT_OFF, NULL, &e, db_text(claimed->app),
                      db_int(claimed->token), db_int(delay_ms)))
        log_err(LOG_WARN, "a look could not be put off", &e, log_text("app", claimed->app));
}

int look_take(struct turn_place *place, const char *worker_name, bool *taken, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_ROWS struct db_rows *rows = NULL;
    struct github_commit head = { 0 };
    const char *branch = NULL;
    struct err why = { 0 };

    *taken = false;
    if (db_query_once(place->options->db, NULL, QUERY_LOOK_CLAIM, &rows, e, db_text(worker_name),
                      db_int(place->lease_ms)))
        return e->code;
    if (db_count(rows) == 0)
        return 0;
    *taken = true;
    struct claimed claimed = { .app = db_get_copy(rows, 0, "app_name", mem),
                               .token = db_get_int(rows, 0, "lease_token"),
                               .attempt = (int)db_get_int(rows, 0, "attempt") };
    if (read_head(place->options, claimed.app, mem, &branch, &head, &why) ||
        settle(place->options, &claimed, branch, &head, &why))
        put_off(place->options, &claimed, &why);
    return 0;
}
