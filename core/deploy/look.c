#include "core/deploy/look.h"

#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/tenant/app.h"

struct claimed {
    const char *app;
    int64_t token;
    int attempt;
};

/* sha NULL: the branch is gone. */
static int read_head(const struct worker_options *options, const char *name, struct arena *mem,
                     struct github_commit *head, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    struct app app = { 0 };

    if (db_take(options->db, &db, e) || app_get(db, name, mem, &app, e))
        return e->code;
    db_give(db);
    db = NULL;
    if (!github_branch_head(options->github, app.repository, app.branch, mem, head, e))
        return 0;
    if (!err_is(e, GITHUB_NO_BRANCH))
        return e->code;
    *head = (struct github_commit){ 0 };
    *e = (struct err){ 0 };
    return 0;
}

static int settle(const struct worker_options *options, const struct claimed *claimed, const struct github_commit *head,
                  struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query_once(options->db, claimed->app, QUERY_LOOK_SETTLE, &rows, e, db_text(claimed->app),
                      db_int(claimed->token), db_text(head->sha), db_text(head->title), db_null()))
        return e->code;
    log_event(LOG_INFO, "a branch was looked at again", log_text("app", claimed->app),
              log_text("verdict", db_get(rows, 0, "verdict")), log_int("release", db_get_int(rows, 0, "release")));
    return 0;
}

/* Whatever fails, the lease's end brings the look back. */
static void put_off(const struct worker_options *options, const struct claimed *claimed, const struct err *why)
{
    struct err e = { 0 };
    uint32_t random = 0;

    log_err(LOG_WARN, "a branch could not be looked at again", why, log_text("app", claimed->app));
    hash_random(&random, sizeof random);
    if (db_query_once(options->db, claimed->app, QUERY_LOOK_PUT_OFF, NULL, &e, db_text(claimed->app),
                      db_int(claimed->token), db_int(pipeline_backoff_ms(claimed->attempt, random))))
        log_err(LOG_WARN, "a look could not be put off", &e, log_text("app", claimed->app));
}

int look_take(struct turn_place *place, const char *worker_name, bool *taken, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_ROWS struct db_rows *rows = NULL;
    struct github_commit head = { 0 };
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
    if (read_head(place->options, claimed.app, mem, &head, &why) || settle(place->options, &claimed, &head, &why))
        put_off(place->options, &claimed, &why);
    return 0;
}
