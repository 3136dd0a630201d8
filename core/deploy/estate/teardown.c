#include "core/deploy/estate/teardown.h"

#include <string.h>

#include "core/deploy/summary.h"
#include "core/tenant/app.h"

/* Starting */

static int is_gone(const char *app, struct err *e)
{
    err_set(e, ERR_NOT_FOUND, "%s was destroyed before: there is nothing left to remove", app);
    return err_hint(e, "`berth releases %s` still tells its history; `berth apps create %s` makes it anew.", app, app);
}

static int wake_workers(struct db *db, const char *app, struct err *e)
{
    return db_run(db, app, QUERY_NOTIFY_RELEASES, NULL, 0, NULL, e);
}

static int begin(struct db *db, const char *app, const char *actor, bool *begun, struct err *e)
{
    AUTO_ROWS struct db_rows *started = NULL;

    if (db_query(db, app, QUERY_TEARDOWN_START, &started, e, db_text(app), db_text(actor)))
        return e->code;
    *begun = db_count(started) > 0;
    if (!*begun)
        return 0;
    if (db_query(db, app, QUERY_AUDIT_ADD, NULL, e, db_text(actor), db_text("app.destroy"), db_text(app), db_null(),
                 db_null()))
        return e->code;
    return wake_workers(db, app, e);
}

/* The app's row is locked first, so that no release is made in between. */
static int start(struct db *db, const char *app, const char *actor, bool *begun, struct err *e)
{
    AUTO_ROWS struct db_rows *locked = NULL, *closed = NULL, *queued = NULL, *running = NULL;
    const char *state;

    if (db_query(db, app, QUERY_APP_LOCK, &locked, e, db_text(app)))
        return e->code;
    if (db_count(locked) == 0) {
        err_set(e, ERR_NOT_FOUND, "there is no app named \"%s\"", app);
        return err_hint(e, "`berth apps list` shows the apps there are.");
    }
    state = db_get(locked, 0, "state");
    if (strcmp(state, "deleted") == 0)
        return is_gone(app, e);
    if (db_query(db, app, QUERY_APP_DELETE, &closed, e, db_text(app)) ||
        db_query(db, app, QUERY_RELEASE_CANCEL_QUEUED, &queued, e, db_text(app), db_text(actor)) ||
        db_query(db, app, QUERY_RELEASE_CANCEL_RUNNING, &running, e, db_text(app), db_text(actor)))
        return e->code;
    return begin(db, app, actor, begun, e);
}

static int in_transaction(struct db *db, const char *app, const char *actor, bool *begun,
                          int (*what)(struct db *, const char *, const char *, bool *, struct err *), struct err *e)
{
    bool started = false;

    if (db_begin(db, app, e))
        return e->code;
    if (what(db, app, actor, &started, e)) {
        db_rollback(db);
        return e->code;
    }
    if (db_commit(db, e))
        return e->code;
    *begun = started;
    return 0;
}

int teardown_start(struct db *db, const char *app, const char *actor, bool *begun, struct err *e)
{
    return in_transaction(db, app, actor, begun, start, e);
}

/* An app that is deleted has things again only when somebody made them, or a worker that froze woke up: it goes through its teardown once more. */
static int start_unknown(struct db *db, const char *app, const char *actor, bool *begun, struct err *e)
{
    AUTO_ROWS struct db_rows *locked = NULL, *closed = NULL;

    if (db_query(db, app, QUERY_APP_LOCK, &locked, e, db_text(app)))
        return e->code;
    if (db_count(locked) > 0 && strcmp(db_get(locked, 0, "state"), "deleted") != 0)
        return err_set(e, ERR_CONFLICT, "there is an app named %s: its things are not left over", app);
    if (db_query(db, app, QUERY_APP_DELETE, &closed, e, db_text(app)))
        return e->code;
    return begin(db, app, actor, begun, e);
}

int teardown_start_unknown(struct db *db, const char *app, const char *actor, bool *begun, struct err *e)
{
    return in_transaction(db, app, actor, begun, start_unknown, e);
}

/* Reading */

static enum teardown_state state_of(const char *name)
{
    if (strcmp(name, "running") == 0)
        return TEARDOWN_RUNNING;
    return strcmp(name, "done") == 0 ? TEARDOWN_DONE : TEARDOWN_FAILED;
}

int teardown_find(struct db *db, const char *app, struct arena *mem, struct teardown *out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, app, QUERY_TEARDOWN_FIND, &rows, e, db_text(app)))
        return e->code;
    *out = (struct teardown){ 0 };
    if (db_count(rows) > 0)
        *out = (struct teardown){
            .state = state_of(db_get(rows, 0, "state")),
            .step = db_get_copy(rows, 0, "step", mem),
            .attempt = (int)db_get_int(rows, 0, "attempt"),
            .waits = (int)db_get_int(rows, 0, "waits"),
            .lease_token = db_get_int(rows, 0, "lease_token"),
            .step_age_ms = db_get_int(rows, 0, "step_age_ms"),
            .error = db_get_copy(rows, 0, "error", mem),
            .hint = db_get_copy(rows, 0, "hint", mem),
            .started_by = db_get_copy(rows, 0, "started_by", mem),
            .started_at = db_get_copy(rows, 0, "started_at", mem),
            .finished_at = db_get_copy(rows, 0, "finished_at", mem),
        };
    return 0;
}

/* The plan */

struct plan {
    struct teardown_item *items;
    size_t count;
};

/* Of an app that has been pushed to for years there are thousands of these. */
static bool is_counted(enum estate_kind kind)
{
    return kind == ESTATE_SOURCE || kind == ESTATE_TASK_DEFINITION;
}

static void add_counted(struct plan *plan, const struct estate *found, enum estate_kind kind, const char *app)
{
    struct teardown_item item = { .kind = estate_kind_name(kind), .standing = TEARDOWN_RECORDED };

    for (size_t i = 0; i < found->count; i++) {
        const struct estate_thing *thing = &found->things[i];
        if (thing->kind != kind || !thing->owner || strcmp(thing->owner, app) != 0)
            continue;
        item.name = thing->name;
        item.arn = thing->arn;
        item.count++;
    }
    if (item.count)
        plan->items[plan->count++] = item;
}

static const struct resource_row *record_of(const struct resource_row *rows, size_t count, const char *arn)
{
    for (size_t i = 0; i < count; i++)
        if (arn && strcmp(rows[i].arn, arn) == 0)
            return &rows[i];
    return NULL;
}

/* Secrets have fixed names and are on no record. */
static enum teardown_standing standing_of(const struct estate_thing *thing, bool ours,
                                          const struct resource_row *record)
{
    if (!ours)
        return TEARDOWN_NOT_OURS;
    return record || !estate_resource_kinds(thing->kind) ? TEARDOWN_RECORDED : TEARDOWN_UNRECORDED;
}

static void add_found(struct plan *plan, const struct estate *found, const struct resource_row *rows, size_t row_count,
                      const char *app)
{
    for (size_t i = 0; i < found->count; i++) {
        const struct estate_thing *thing = &found->things[i];
        bool ours = thing->owner && strcmp(thing->owner, app) == 0;
        if (is_counted(thing->kind))
            continue;
        plan->items[plan->count++] = (struct teardown_item){
            .kind = estate_kind_name(thing->kind),
            .name = thing->name,
            .arn = thing->arn,
            .standing = standing_of(thing, ours, record_of(rows, row_count, thing->arn)),
            .count = 1,
        };
    }
}

static void add_absent(struct plan *plan, const struct estate *found, const struct resource_row *rows, size_t row_count)
{
    for (size_t i = 0; i < row_count; i++) {
        bool there = false;
        for (size_t j = 0; j < found->count && !there; j++)
            there = found->things[j].arn && strcmp(found->things[j].arn, rows[i].arn) == 0;
        if (!there)
            plan->items[plan->count++] = (struct teardown_item){
                .kind = rows[i].kind, .name = rows[i].name, .arn = rows[i].arn, .standing = TEARDOWN_ABSENT
            };
    }
}

int teardown_plan(struct db *db, struct estate_place *place, const char *app, struct teardown_item **out, size_t *count,
                  struct err *e)
{
    AUTO_ESTATE struct estate found = { 0 };
    struct resource_row *rows = NULL;
    size_t row_count = 0;
    struct plan plan = { 0 };

    if (app_resources(db, app, place->mem, &rows, &row_count, e))
        return e->code;
    for (int kind = 0; kind < ESTATE_KIND_COUNT; kind++)
        if (estate_find(place, (enum estate_kind)kind, app, &found, e))
            return e->code;
    plan.items = arena_array(place->mem, found.count + row_count + ESTATE_KIND_COUNT, sizeof *plan.items);
    add_found(&plan, &found, rows, row_count, app);
    add_counted(&plan, &found, ESTATE_TASK_DEFINITION, app);
    add_counted(&plan, &found, ESTATE_SOURCE, app);
    add_absent(&plan, &found, rows, row_count);
    *out = plan.items;
    *count = plan.count;
    return 0;
}
