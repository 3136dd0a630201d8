/* Limits in Postgres: reading them with what is used, and changing them. */
#include <string.h>

#include "core/base/json.h"
#include "core/tenant/app.h"
#include "core/tenant/limit.h"

/* ---- Reading ---- */

/* A number of which null means none of its own. */
static int64_t get_own(const struct db_rows *rows, size_t row, const char *column)
{
    return db_get(rows, row, column) ? db_get_int(rows, row, column) : LIMIT_DEFAULT;
}

static int read_quotas(struct db *db, const char *app, struct limits *out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    enum limit limit;

    if (db_query(db, app, QUERY_LIMIT_STATES, &rows, e, db_text(app)))
        return e->code;
    for (size_t i = 0; i < db_count(rows); i++) {
        const char *name = db_get(rows, i, "quota");
        if (!limit_find(name, &limit))
            return err_set(e, ERR_INTERNAL, "berth.quota_use gave a quota \"%s\", which this version does not know",
                           name);
        out->of[limit] = (struct limit_state){
            .used = db_get_int(rows, i, "used"),
            .base = db_get_int(rows, i, "base"),
            .in_force = db_get_int(rows, i, "in_force"),
            .own = get_own(rows, i, "own"),
            .standard = db_get_int(rows, i, "standard"),
        };
    }
    return 0;
}

static int read_bucket(struct db *db, const char *app, struct arena *mem, struct limits *out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, app, QUERY_LIMIT_BUCKET, &rows, e, db_text(app)))
        return e->code;
    if (db_count(rows) == 0) {
        struct app gone;
        if (app_get(db, app, mem, &gone, e)) /* says that there is none */
            return e->code;
        err_set(e, ERR_NOT_FOUND, "%s was destroyed, and its limits with it", app);
        return err_hint(e, "`berth apps create %s` makes it anew, with the default limits.", app);
    }
    int64_t burst = db_get_int(rows, 0, "burst"), pushes = db_get_int(rows, 0, "pushes");
    out->tokens = db_get_int(rows, 0, "tokens");
    out->wait_ms = db_get_int(rows, 0, "wait_ms");
    out->next_ms = db_get_int(rows, 0, "next_ms");
    out->full_ms = db_get_int(rows, 0, "full_ms");
    out->of[LIMIT_PUSHES_BURST] = (struct limit_state){ .used = burst - out->tokens,
                                                        .base = burst - out->tokens,
                                                        .in_force = burst,
                                                        .own = get_own(rows, 0, "own_burst"),
                                                        .standard = db_get_int(rows, 0, "standard_burst") };
    out->of[LIMIT_PUSHES_PER_HOUR] = (struct limit_state){ .used = pushes,
                                                           .base = pushes,
                                                           .in_force = db_get_int(rows, 0, "per_hour"),
                                                           .own = get_own(rows, 0, "own_per_hour"),
                                                           .standard = db_get_int(rows, 0, "standard_per_hour") };
    out->cpu_units = (int)db_get_int(rows, 0, "cpu_units");
    out->memory_mib = (int)db_get_int(rows, 0, "memory_mib");
    out->tasks = (int)db_get_int(rows, 0, "tasks");
    out->owed = db_get_copy(rows, 0, "owed", mem);
    out->owed_at_ms = db_get_int(rows, 0, "owed_at_ms");
    out->refusal = db_get_copy(rows, 0, "refusal", mem);
    return 0;
}

static int read_defaults(struct db *db, struct arena *mem, struct limits *out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_run(db, NULL, QUERY_LIMIT_DEFAULTS, NULL, 0, &rows, e))
        return e->code;
    for (int i = 0; i < LIMIT_COUNT; i++) {
        const char *name = limit_info((enum limit)i)->name;
        int64_t value = db_get_int(rows, 0, name);
        out->of[i] = (struct limit_state){ .in_force = value,
                                           .own = LIMIT_DEFAULT,
                                           .standard = value,
                                           .followers = db_get_int(rows, 0, arena_printf(mem, "followers_%s", name)) };
    }
    out->tokens = out->of[LIMIT_PUSHES_BURST].in_force;
    return 0;
}

static int read_moment(struct db *db, const char *app, struct arena *mem, struct limits *out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, app, QUERY_LIMIT_MOMENT, &rows, e, db_text(app)))
        return e->code;
    out->now_ms = db_get_int(rows, 0, "now_ms");
    out->promised_cpu_units = db_get_int(rows, 0, "promised");
    out->apps = db_get_int(rows, 0, "apps");
    out->changed_by = db_get_copy(rows, 0, "changed_by", mem);
    out->changed_at_ms = db_get_int(rows, 0, "changed_at_ms");
    return 0;
}

int limits_read(struct db *db, const char *app, struct arena *mem, struct limits *out, struct err *e)
{
    struct limits limits = { 0 };

    if (app ? read_bucket(db, app, mem, &limits, e) || read_quotas(db, app, &limits, e)
            : read_defaults(db, mem, &limits, e))
        return e->code;
    if (read_moment(db, app, mem, &limits, e))
        return e->code;
    *out = limits;
    return 0;
}

/* ---- Changing ---- */

/* One change's transaction. */
struct change {
    struct db *db;
    struct arena *mem;
    const char *app; /* NULL: the defaults */
    const char *actor;
    int64_t before[LIMIT_COUNT], after[LIMIT_COUNT]; /* as edits have them */
    int64_t standard[LIMIT_COUNT];
};

static int lock_app(struct change *change, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(change->db, change->app, QUERY_APP_LOCK, &rows, e, db_text(change->app)))
        return e->code;
    if (db_count(rows) == 0) {
        struct app unknown;
        return app_get(change->db, change->app, change->mem, &unknown, e); /* says it */
    }
    if (strncmp(db_get(rows, 0, "state"), "delet", 5) != 0)
        return 0;
    err_set(e, strcmp(db_get(rows, 0, "state"), "deleted") == 0 ? ERR_NOT_FOUND : ERR_CONFLICT,
            "the limits of %s can't be changed: it %s", change->app,
            strcmp(db_get(rows, 0, "state"), "deleted") == 0 ? "was destroyed" : "is being deleted");
    return err_hint(e, "`berth apps create %s` makes it anew once it is gone, with the default limits.", change->app);
}

static void read_row(const struct db_rows *rows, int64_t out[LIMIT_COUNT])
{
    for (int i = 0; i < LIMIT_COUNT; i++)
        out[i] = get_own(rows, 0, limit_info((enum limit)i)->name);
}

static int begin(struct change *change, struct err *e)
{
    AUTO_ROWS struct db_rows *own = NULL, *standard = NULL;

    if (db_begin(change->db, change->app, e))
        return e->code;
    if (!change->app) {
        if (db_run(change->db, NULL, QUERY_LIMIT_DEFAULTS_LOCK, NULL, 0, &standard, e))
            return e->code;
        read_row(standard, change->before);
    } else {
        if (lock_app(change, e) || db_query(change->db, change->app, QUERY_LIMIT_OWN, &own, e, db_text(change->app)) ||
            db_run(change->db, change->app, QUERY_LIMIT_DEFAULTS, NULL, 0, &standard, e))
            return e->code;
        read_row(own, change->before);
    }
    read_row(standard, change->standard);
    memcpy(change->after, change->before, sizeof change->after);
    return 0;
}

static const char *value_text(struct arena *mem, int64_t value)
{
    return value == LIMIT_DEFAULT ? "the default" : limit_number(mem, value);
}

static int add_conflict(struct change *change, const struct limit_edit *edit, struct limit_conflict *out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(change->db, change->app, QUERY_LIMIT_CHANGED_BY, &rows, e, db_text(change->app),
                 db_text(limit_info(edit->limit)->name)))
        return e->code;
    *out = (struct limit_conflict){ .limit = edit->limit, .was = edit->was, .now = change->before[edit->limit] };
    if (db_count(rows) > 0) {
        out->by = db_get_copy(rows, 0, "actor", change->mem);
        out->at_ms = db_get_int(rows, 0, "at_ms");
    }
    return 0;
}

/* An edit whose author saw another value is a conflict, unless it wants what is there by now. */
static int apply(struct change *change, const struct limit_edit *edits, size_t count, struct limit_conflict *conflicts,
                 size_t *conflict_count, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        const struct limit_edit *edit = &edits[i];
        const struct limit_info *info = limit_info(edit->limit);
        if ((edit->value == LIMIT_DEFAULT && !change->app) ||
            (edit->value != LIMIT_DEFAULT && (edit->value < info->least || edit->value > info->most)))
            return err_set(e, ERR_INVALID, "%s can't be %lld: it is %lld to %lld", info->title, (long long)edit->value,
                           (long long)info->least, (long long)info->most);
        change->after[edit->limit] = edit->value;
        if (edit->was != LIMIT_UNSEEN && edit->was != change->before[edit->limit] &&
            edit->value != change->before[edit->limit] && *conflict_count < LIMIT_COUNT &&
            add_conflict(change, edit, &conflicts[(*conflict_count)++], e))
            return e->code;
    }
    if (*conflict_count == 0)
        return 0;
    const struct limit_conflict *first = &conflicts[0];
    err_set(e, ERR_CONFLICT, "%s%s%s was %s when you looked, and is %s by now", limit_info(first->limit)->title,
            change->app ? " of " : ", the default,", change->app ? change->app : "",
            value_text(change->mem, first->was), value_text(change->mem, first->now));
    return err_hint(e, "%s%sNothing of yours was saved: look at the present numbers, and save again.",
                    first->by ? first->by : "", first->by ? " changed it. " : "");
}

static struct db_param own_param(int64_t value)
{
    return value == LIMIT_DEFAULT ? db_null() : db_int(value);
}

static int write(struct change *change, struct err *e)
{
    const int64_t *after = change->after;
    struct db_param params[1 + LIMIT_COUNT];

    params[0] = db_text(change->app);
    for (int i = 0; i < LIMIT_COUNT; i++)
        params[1 + i] = own_param(after[i]);
    if (change->app)
        return db_run(change->db, change->app, QUERY_LIMIT_SET, params, 1 + LIMIT_COUNT, NULL, e);
    if ((after[LIMIT_PUSHES_BURST] != change->before[LIMIT_PUSHES_BURST] ||
         after[LIMIT_PUSHES_PER_HOUR] != change->before[LIMIT_PUSHES_PER_HOUR]) &&
        db_query(change->db, NULL, QUERY_LIMIT_SETTLE, NULL, e, db_int(after[LIMIT_PUSHES_BURST])))
        return e->code;
    return db_run(change->db, NULL, QUERY_LIMIT_SET_DEFAULTS, params + 1, LIMIT_COUNT, NULL, e);
}

static json_object *value_json(int64_t value)
{
    return value == LIMIT_DEFAULT ? json_text("default") : json_number(value);
}

static int audit(struct change *change, struct err *e)
{
    AUTO_JSON json_object *before = json_new_object(), *after = json_new_object();

    for (int i = 0; i < LIMIT_COUNT; i++) {
        const char *name = limit_info((enum limit)i)->name;
        if (change->before[i] == change->after[i])
            continue;
        json_put(before, name, value_json(change->before[i]));
        json_put(after, name, value_json(change->after[i]));
    }
    return db_query(change->db, change->app, QUERY_AUDIT_ADD, NULL, e, db_text(change->actor), db_text("limits.set"),
                    db_text(change->app), db_text(json_to_text(before, change->mem)),
                    db_text(json_to_text(after, change->mem)));
}

static bool raises(const struct change *change)
{
    for (int i = 0; i < LIMIT_COUNT; i++) {
        int64_t before = change->before[i] == LIMIT_DEFAULT ? change->standard[i] : change->before[i];
        int64_t after = change->after[i] == LIMIT_DEFAULT ? change->standard[i] : change->after[i];
        if (after > before)
            return true;
    }
    return false;
}

/* The looks first, then the buckets: in the order in which a worker that settles a look locks them. Until the commit no push is judged by what was: of one app its row is
 * locked, of all apps hasten_looks sees to it. */
static int save(struct change *change, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (raises(change) && db_query(change->db, change->app, QUERY_LOOKS_HASTEN, &rows, e, db_text(change->app)))
        return e->code;
    if (write(change, e) || audit(change, e))
        return e->code;
    return db_commit(change->db, e);
}

static int set(struct change *change, const struct limit_edit *edits, size_t count, struct limit_conflict *conflicts,
               size_t *conflict_count, struct err *e)
{
    if (begin(change, e) || apply(change, edits, count, conflicts, conflict_count, e))
        return e->code;
    if (memcmp(change->before, change->after, sizeof change->before) == 0)
        return db_commit(change->db, e);
    return save(change, e);
}

int limits_set(struct db_pool *admin, const char *app, const char *actor, const struct limit_edit *edits, size_t count,
               struct arena *mem, struct limit_conflict conflicts[LIMIT_COUNT], size_t *conflict_count, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    struct change change = { .mem = mem, .app = app, .actor = actor };

    *conflict_count = 0;
    if (db_take(admin, &db, e))
        return e->code;
    change.db = db;
    if (set(&change, edits, count, conflicts, conflict_count, e)) {
        db_rollback(db);
        return e->code;
    }
    return 0;
}
