#include "core/deploy/operation.h"

#include <string.h>

#include "core/base/json.h"
#include "core/deploy/steps/prune.h"
#include "core/tenant/app.h"

/* One operation's transaction. */
struct operation {
    struct db *db;
    struct arena *mem;
    const char *app, *actor;
    int live;   /* 0: none */
    int before; /* its releases up to this one were of an app that was destroyed: their images are gone */
};

/* Locks the app: from here until the end nothing else makes a release of it. */
static int begin(struct operation *op, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_begin(op->db, op->app, e) || db_query(op->db, op->app, QUERY_APP_LOCK, &rows, e, db_text(op->app)))
        return e->code;
    if (db_count(rows) == 0) {
        struct app unknown;
        return app_get(op->db, op->app, op->mem, &unknown, e); /* says it */
    }
    op->live = (int)db_get_int(rows, 0, "live");
    op->before = (int)db_get_int(rows, 0, "before");
    if (strcmp(db_get(rows, 0, "state"), "deleted") == 0) {
        err_set(e, ERR_NOT_FOUND, "%s was destroyed", op->app);
        return err_hint(e, "`berth releases %s` still tells its history; `berth apps create %s` makes it anew.",
                        op->app, op->app);
    }
    if (strcmp(db_get(rows, 0, "state"), "deleting") != 0)
        return 0;
    err_set(e, ERR_CONFLICT, "%s is being deleted", op->app);
    return err_hint(e, "Nothing of it is deployed any more; `berth destroy %s` goes on with deleting it.", op->app);
}

/* What is live is so before and after: an operation only asks for what a worker then does. */
static int audit(struct operation *op, const char *action, json_object *after, struct err *e)
{
    AUTO_JSON json_object *then = after;
    AUTO_JSON json_object *before = json_new_object();

    if (op->live) {
        json_put(before, "live", json_number(op->live));
        json_put(then, "live", json_number(op->live));
    }
    return db_query(op->db, op->app, QUERY_AUDIT_ADD, NULL, e, db_text(op->actor), db_text(action), db_text(op->app),
                    db_text(json_to_text(before, op->mem)), db_text(json_to_text(then, op->mem)));
}

static int finish(struct operation *op, struct err *e)
{
    if (db_run(op->db, op->app, QUERY_NOTIFY_RELEASES, NULL, 0, NULL, e))
        return e->code;
    return db_commit(op->db, e);
}

/* A release was refused by a quota: told says which, and what is used. */
static int refuse_quota(struct operation *op, const struct db_rows *rows, struct err *e)
{
    const char *hint = db_get(rows, 0, "hint");

    err_set(e, ERR_QUOTA, "%s can't have a further release now. %s", op->app, db_get(rows, 0, "told"));
    err_detail(e, db_get(rows, 0, "quota"));
    return hint ? err_hint(e, "%s", hint) : (int)e->code;
}

/* rollback_to: 0 for none. */
static int queue(struct operation *op, const char *kind, const struct github_commit *commit, int rollback_to,
                 const char *told, int *made, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(op->db, op->app, QUERY_RELEASE_QUEUE, &rows, e, db_text(op->app), db_text(kind), db_text(commit->sha),
                 db_text(commit->title), db_text(op->actor), rollback_to ? db_int(rollback_to) : db_null(),
                 db_text(told)))
        return e->code;
    if (!db_get(rows, 0, "number"))
        return refuse_quota(op, rows, e);
    *made = (int)db_get_int(rows, 0, "number");
    return 0;
}

/* Rollback */

static int check_under_way(struct operation *op, int to, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(op->db, op->app, QUERY_RELEASE_UNDER_WAY, &rows, e, db_text(op->app)))
        return e->code;
    for (size_t i = 0; i < db_count(rows); i++) {
        int number = (int)db_get_int(rows, i, "number"), back_to = (int)db_get_int(rows, i, "rollback_to");
        const char *step = db_get(rows, i, "step");
        if (db_get(rows, i, "halt"))
            continue;
        if (to && back_to == to) {
            err_set(e, ERR_CONFLICT, "v%d is rolling %s back to v%d already", number, op->app, to);
            return err_hint(e, "`berth status %s v%d --wait` follows it.", op->app, number);
        }
        if (!to && (strcmp(step, "rollout") == 0 || strcmp(step, "live") == 0)) {
            err_set(e, ERR_CONFLICT, "v%d of %s is being rolled out, so it isn't said which release was the one before",
                    number, op->app);
            return err_hint(e, "`berth cancel %s` puts v%d back; `berth rollback %s vN` goes to that release.", op->app,
                            op->live, op->app);
        }
    }
    return 0;
}

static int find_before(struct operation *op, int *to, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (op->live == 0) {
        err_set(e, ERR_INVALID, "%s can't be rolled back: nothing of it has been live yet", op->app);
        return err_hint(e, "`berth releases %s` shows what there is; `berth deploy %s` deploys its branch.", op->app,
                        op->app);
    }
    if (check_under_way(op, 0, e) || db_query(op->db, op->app, QUERY_RELEASE_LIVE_BEFORE, &rows, e, db_text(op->app)))
        return e->code;
    if (db_count(rows) == 0) {
        err_set(e, ERR_INVALID, "%s can't be rolled back: no release was live before v%d", op->app, op->live);
        return err_hint(e, "`berth deploy %s --commit SHA` deploys an older commit.", op->app);
    }
    *to = (int)db_get_int(rows, 0, "number");
    return 0;
}

/* Whether what is live is that release, or one that runs it again. */
static int check_not_live(struct operation *op, int to, struct err *e)
{
    struct release live = { 0 };

    if (op->live == 0 || release_get(op->db, op->app, op->live, op->mem, &live, e))
        return e->code;
    if (to == op->live)
        err_set(e, ERR_CONFLICT, "v%d is what is live of %s", to, op->app);
    else if (live.rollback_to == to)
        err_set(e, ERR_CONFLICT, "v%d is what is live of %s: v%d was a rollback to it", to, op->app, op->live);
    else
        return 0;
    return err_hint(e,
                    "Nothing was changed. `berth releases %s` lists the others; `berth deploy %s --commit %.7s` builds "
                    "this one anew.",
                    op->app, op->app, live.commit_sha);
}

static int find_target(struct operation *op, int *to, struct release *out, struct err *e)
{
    if ((*to == 0 && find_before(op, to, e)) || release_get(op->db, op->app, *to, op->mem, out, e) ||
        check_not_live(op, *to, e) || check_under_way(op, *to, e))
        return e->code;
    if (*to <= op->before) {
        err_set(e, ERR_INVALID, "%s can't be rolled back to v%d: its image went when the app was destroyed", op->app,
                *to);
        return err_hint(e, "`berth deploy %s --commit %.7s` builds its commit anew.", op->app, out->commit_sha);
    }
    if (out->state == RELEASE_LIVE && out->pruned) {
        err_set(e, ERR_INVALID,
                "%s can't be rolled back to v%d: its image is gone, berth keeps those of the last %d live releases",
                op->app, *to, PRUNE_KEPT);
        return err_hint(e, "`berth deploy %s --commit %.7s` builds its commit anew.", op->app, out->commit_sha);
    }
    if (out->state == RELEASE_LIVE && out->image_digest)
        return 0;
    err_set(e, ERR_INVALID, "%s can't be rolled back to v%d: it never went live (it is %s)", op->app, *to,
            release_state_name(out->state));
    return err_hint(e, "`berth releases %s` shows which did; `berth deploy %s --commit %.7s` builds its commit anew.",
                    op->app, op->app, out->commit_sha);
}

static int roll_back(struct operation *op, int *to, int *made, struct err *e)
{
    struct release target = { 0 };
    struct github_commit commit;

    if (begin(op, e) || find_target(op, to, &target, e))
        return e->code;
    commit = (struct github_commit){ .sha = target.commit_sha, .title = target.commit_title };
    if (queue(op, "rollback", &commit, *to, arena_printf(op->mem, "Queued by %s as a rollback to v%d.", op->actor, *to),
              made, e) ||
        audit(op, "app.rollback", json_build("{s:i, s:i}", "release", *made, "rollback_to", *to), e))
        return e->code;
    return finish(op, e);
}

int operation_rollback(struct db_pool *admin, const char *app, const char *actor, int *to, int *made, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_DB struct db *db = NULL;
    struct operation op = { .mem = mem, .app = app, .actor = actor };
    int target = *to, number = 0;

    if (db_take(admin, &db, e))
        return e->code;
    op.db = db;
    if (roll_back(&op, &target, &number, e)) {
        db_rollback(db);
        return e->code;
    }
    *to = target;
    *made = number;
    return 0;
}

/* Deploy */

enum { LIVE_ANY = -1 };

static bool has_settings(const struct app *runs, const struct app *app)
{
    return runs->cpu_units == app->cpu_units && runs->memory_mib == app->memory_mib && runs->tasks == app->tasks &&
           runs->port == app->port && strcmp(runs->health_check_path, app->health_check_path) == 0;
}

/* A release keeps the settings that it was queued with, so whether a newer one has those of now decides what is left to do. */
static int refuse_for_newer(struct operation *op, int newer, struct err *e)
{
    bool is_live = newer == op->live;
    const char *is_so = is_live ? "went live meanwhile" : "is on its way";
    struct app app = { 0 }, runs = { 0 };

    if (app_get(op->db, op->app, op->mem, &app, e) || release_app(op->db, op->app, newer, op->mem, &runs, e))
        return e->code;
    if (has_settings(&runs, &app)) {
        err_set(e, ERR_CONFLICT, "v%d of %s %s, with these settings", newer, op->app, is_so);
        return err_hint(e, "Nothing more needs to be deployed.");
    }
    err_set(e, ERR_CONFLICT, "v%d of %s %s, with the settings that it was queued with", newer, op->app, is_so);
    if (is_live)
        return err_hint(e, "Redeploy v%d, and it runs with those of now.", newer);
    return err_hint(e, "A redeploy of what is live would undo v%d: redeploy v%d once it is live, or cancel it first.",
                    newer, newer);
}

/* What is to be deployed anew is live still, and nothing newer is on its way. */
static int check_newest(struct operation *op, int live, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    int newest = op->live;

    if (db_query(op->db, op->app, QUERY_RELEASE_UNDER_WAY, &rows, e, db_text(op->app)))
        return e->code;
    for (size_t i = 0; i < db_count(rows); i++)
        if (!db_get(rows, i, "halt"))
            newest = (int)db_get_int(rows, i, "number");
    return newest == live ? 0 : refuse_for_newer(op, newest, e);
}

/* live: what has to be so still; LIVE_ANY: whatever is. */
static int deploy(struct operation *op, int live, const struct github_commit *commit, int *made, struct err *e)
{
    if (begin(op, e) || (live != LIVE_ANY && check_newest(op, live, e)) ||
        queue(op, "redeploy", commit, 0, arena_printf(op->mem, "Queued by %s at %.7s.", op->actor, commit->sha), made,
              e) ||
        audit(op, "app.deploy", json_build("{s:i, s:s}", "release", *made, "commit", commit->sha), e))
        return e->code;
    return finish(op, e);
}

static int deploy_as(struct db_pool *admin, const char *app, const char *actor, int live,
                     const struct github_commit *commit, int *made, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_DB struct db *db = NULL;
    struct operation op = { .mem = mem, .app = app, .actor = actor };
    int number = 0;

    if (db_take(admin, &db, e))
        return e->code;
    op.db = db;
    if (deploy(&op, live, commit, &number, e)) {
        db_rollback(db);
        return e->code;
    }
    *made = number;
    return 0;
}

int operation_deploy(struct db_pool *admin, const char *app, const char *actor, const struct github_commit *commit,
                     int *made, struct err *e)
{
    return deploy_as(admin, app, actor, LIVE_ANY, commit, made, e);
}

int operation_redeploy(struct db_pool *admin, const char *app, const char *actor, int live,
                       const struct github_commit *commit, int *made, struct err *e)
{
    return deploy_as(admin, app, actor, live, commit, made, e);
}

/* Cancel */

int operation_under_way(struct db *db, const char *app, struct arena *mem, struct release_numbers *out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    size_t count = 0;
    int *of;

    if (db_query(db, app, QUERY_RELEASE_UNDER_WAY, &rows, e, db_text(app)))
        return e->code;
    of = arena_array(mem, db_count(rows) + 1, sizeof *of);
    for (size_t i = 0; i < db_count(rows); i++) {
        const char *halt = db_get(rows, i, "halt");
        if (!halt || strcmp(halt, release_halt_name(HALT_CANCEL)) != 0)
            of[count++] = (int)db_get_int(rows, i, "number");
    }
    *out = (struct release_numbers){ of, count };
    return 0;
}

static int refuse_named(struct operation *op, const struct release_numbers *named,
                        const struct release_numbers *under_way, struct err *e)
{
    err_set(e, ERR_CONFLICT, "%s has %s under way by now, so nothing was cancelled", op->app,
            release_numbers_text(under_way, op->mem));
    if (named->count == 0)
        return err_hint(e, "Nothing was named to cancel: look at what is under way now.");
    return err_hint(e, "%s was to be cancelled: look at what is under way now, and cancel that.",
                    release_numbers_text(named, op->mem));
}

/* One that is cancelled, or about to be, is no reason to refuse: that was wanted. */
static int check_ended(struct operation *op, int number, struct err *e)
{
    struct release r = { 0 };

    if (release_get(op->db, op->app, number, op->mem, &r, e))
        return e->code;
    if (r.state == RELEASE_CANCELLED || (r.state == RELEASE_RUNNING && r.halt == HALT_CANCEL))
        return 0;
    err_set(e, ERR_CONFLICT, "v%d of %s %s already, so nothing was cancelled", number, op->app,
            r.state == RELEASE_LIVE     ? "went live"
            : r.state == RELEASE_FAILED ? "failed"
                                        : "was superseded");
    return err_hint(e, "Look at what is under way now.");
}

/* Nothing that its author has not seen is ended, and nothing when what was seen came to another end. */
static int check_named(struct operation *op, const struct release_numbers *named, struct err *e)
{
    struct release_numbers under_way = { 0 };

    if (operation_under_way(op->db, op->app, op->mem, &under_way, e))
        return e->code;
    for (size_t i = 0; i < under_way.count; i++)
        if (!release_numbers_have(named, under_way.of[i]))
            return refuse_named(op, named, &under_way, e);
    for (size_t i = 0; i < named->count; i++)
        if (!release_numbers_have(&under_way, named->of[i]) && check_ended(op, named->of[i], e))
            return e->code;
    return 0;
}

/* After a cancel that has already come to its end, that end is the answer. */
static int cancelled_before(struct operation *op, struct arena *mem, struct cancelled *out, struct err *e)
{
    struct release *newest = NULL;
    size_t count = 0;

    if (release_list(op->db, op->app, 1, op->mem, &newest, &count, e))
        return e->code;
    if (count > 0 && newest->state == RELEASE_CANCELLED) {
        int *of = arena_array(mem, 1, sizeof *of);
        *of = newest->number;
        out->all = (struct release_numbers){ of, 1 };
        return 0;
    }
    if (count == 0)
        err_set(e, ERR_CONFLICT, "%s has nothing to cancel: it has no release yet", op->app);
    else
        err_set(e, ERR_CONFLICT, "%s has nothing to cancel: v%d, its newest, %s", op->app, newest->number,
                newest->state == RELEASE_LIVE ? "went live already" : release_state_name(newest->state));
    return op->live
               ? err_hint(e, "v%d is live. `berth rollback %s` goes back to the release before it.", op->live, op->app)
               : (int)e->code;
}

static json_object *numbers_json(const struct release_numbers *numbers)
{
    json_object *all = json_new_array();

    for (size_t i = 0; i < numbers->count; i++)
        json_append(all, json_number(numbers->of[i]));
    return all;
}

static int cancel(struct operation *op, const struct release_numbers *named, struct arena *mem, struct cancelled *out,
                  struct err *e)
{
    AUTO_ROWS struct db_rows *queued = NULL, *running = NULL;
    size_t count = 0;
    int *of;

    if (begin(op, e) || (named && check_named(op, named, e)) ||
        db_query(op->db, op->app, QUERY_RELEASE_CANCEL_QUEUED, &queued, e, db_text(op->app), db_text(op->actor)) ||
        /* The queued ones first: one that a worker takes up in between is running now. */
        db_query(op->db, op->app, QUERY_RELEASE_CANCEL_RUNNING, &running, e, db_text(op->app), db_text(op->actor)))
        return e->code;
    out->live = op->live;
    if (db_count(queued) + db_count(running) == 0)
        return cancelled_before(op, mem, out, e) ? (int)e->code : db_commit(op->db, e);
    of = arena_array(mem, db_count(queued) + 1, sizeof *of);
    if (db_count(running) > 0)
        of[count++] = out->running = (int)db_get_int(running, 0, "number");
    for (size_t i = 0; i < db_count(queued); i++)
        of[count++] = (int)db_get_int(queued, i, "number");
    out->all = (struct release_numbers){ of, count };
    if (audit(op, "app.cancel", json_build("{s:o}", "releases", numbers_json(&out->all)), e))
        return e->code;
    return finish(op, e);
}

int operation_cancel(struct db_pool *admin, const char *app, const char *actor, const struct release_numbers *named,
                     struct arena *mem, struct cancelled *out, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    struct operation op = { .mem = mem, .app = app, .actor = actor };
    struct cancelled done = { 0 };

    if (db_take(admin, &db, e))
        return e->code;
    op.db = db;
    if (cancel(&op, named, mem, &done, e)) {
        db_rollback(db);
        return e->code;
    }
    *out = done;
    return 0;
}
