/* What of an app is changed after it was made: its settings, and whether it takes pushes. */
#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/text.h"
#include "core/tenant/app.h"
#include "core/tenant/path_filter.h"

static const struct {
    const char *name, *title;
} settings[APP_SETTING_COUNT] = {
    [APP_CPU_UNITS] = { "cpu_units", "CPU units" },
    [APP_MEMORY_MIB] = { "memory_mib", "Memory, MiB" },
    [APP_TASKS] = { "tasks", "Tasks" },
    [APP_PORT] = { "port", "Port" },
    [APP_HEALTH_CHECK_PATH] = { "health_check_path", "Health check path" },
    [APP_BRANCH] = { "branch", "Branch" },
    [APP_PATH_FILTER] = { "path_filter", "Path filter" },
};

const char *app_setting_name(enum app_setting setting)
{
    return settings[setting].name;
}

const char *app_setting_title(enum app_setting setting)
{
    return settings[setting].title;
}

/* Where a number is kept; NULL: the setting is a text. */
static int *number_of(struct app *app, enum app_setting setting)
{
    switch (setting) {
    case APP_CPU_UNITS:
        return &app->cpu_units;
    case APP_MEMORY_MIB:
        return &app->memory_mib;
    case APP_TASKS:
        return &app->tasks;
    case APP_PORT:
        return &app->port;
    default:
        return NULL;
    }
}

static const char **text_of(struct app *app, enum app_setting setting)
{
    return setting == APP_BRANCH        ? &app->branch
           : setting == APP_PATH_FILTER ? &app->path_filter
                                        : &app->health_check_path;
}

const char *app_setting_text(const struct app *app, enum app_setting setting, struct arena *mem)
{
    struct app copy = *app;
    const int *number = number_of(&copy, setting);
    const char *text = number ? arena_printf(mem, "%d", *number) : *text_of(&copy, setting);

    return text ? text : "";
}

json_object *app_setting_json(const struct app *app, enum app_setting setting)
{
    struct app copy = *app;
    const int *number = number_of(&copy, setting);

    return number ? json_number(*number) : json_text(*text_of(&copy, setting) ? *text_of(&copy, setting) : "");
}

bool app_setting_find(const char *name, enum app_setting *out)
{
    for (int i = 0; i < APP_SETTING_COUNT; i++) {
        if (strcmp(settings[i].name, name) == 0) {
            *out = (enum app_setting)i;
            return true;
        }
    }
    return false;
}

/* ---- One change's transaction ---- */

static int begin(struct db *db, const char *name, struct arena *mem, struct app *out, struct err *e)
{
    AUTO_ROWS struct db_rows *locked = NULL;

    if (db_begin(db, name, e) || db_query(db, name, QUERY_APP_LOCK, &locked, e, db_text(name)) ||
        app_get(db, name, mem, out, e))
        return e->code;
    if (!text_starts(out->state, "delet"))
        return 0;
    err_set(e, ERR_CONFLICT, "%s %s", name, strcmp(out->state, "deleted") == 0 ? "was destroyed" : "is being deleted");
    return err_hint(e, "Nothing of it can be changed; once it is gone, `berth apps create %s` makes it anew.", name);
}

static int audit(struct db *db, const char *name, const char *actor, const char *action, json_object *before,
                 json_object *after, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *then = before, *now = after;

    return db_query(db, name, QUERY_AUDIT_ADD, NULL, e, db_text(actor), db_text(action), db_text(name),
                    db_text(json_to_text(then, mem)), db_text(json_to_text(now, mem)));
}

/* A push that there was no room for, or that came while it was paused: the branch is looked at now. */
static int hasten(struct db *db, const char *name, bool *look, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, name, QUERY_LOOKS_HASTEN, &rows, e, db_text(name)))
        return e->code;
    *look = db_get_int(rows, 0, "hastened") > 0;
    return 0;
}

/* ---- Settings ---- */

static int set_one(struct app *app, const struct app_edit *edit, struct arena *mem, struct err *e)
{
    int *number = number_of(app, edit->setting);
    int64_t value = 0;

    if (!number) {
        *text_of(app, edit->setting) =
            edit->setting == APP_PATH_FILTER ? path_filter_tidy(edit->to, mem) : arena_copy(mem, edit->to);
        return 0;
    }
    if (!text_parse_int(edit->to, 0, INT32_MAX, &value)) {
        char shown[80];
        text_excerpt(edit->to, shown, sizeof shown);
        err_set(e, ERR_INVALID, "%s is a whole number, not \"%s\"", app_setting_title(edit->setting), shown);
        return err_hint(e, "Write digits only, without a unit.");
    }
    *number = (int)value;
    return 0;
}

/* A text of patterns with other spaces is the same. */
static bool is_now(const struct app *app, enum app_setting setting, const char *value, struct arena *mem)
{
    return strcmp(app_setting_text(app, setting, mem),
                  setting == APP_PATH_FILTER ? path_filter_tidy(value, mem) : value) == 0;
}

/* What the author saw is there still; or somebody else was quicker, and wanted the same. */
static bool is_seen(const struct app *app, const struct app_edit *edit, struct arena *mem)
{
    return !edit->was || is_now(app, edit->setting, edit->was, mem) || is_now(app, edit->setting, edit->to, mem);
}

static int add_difference(struct db *db, const struct app_edit *edit, struct arena *mem, struct app_update *out,
                          struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    struct app_difference *one = &out->differences[out->difference_count];

    if (db_query(db, out->before.name, QUERY_APP_CHANGED_BY, &rows, e, db_text(out->before.name),
                 db_text(app_setting_name(edit->setting)), db_null()))
        return e->code;
    *one = (struct app_difference){ .setting = edit->setting,
                                    .was = arena_copy(mem, edit->was),
                                    .now = app_setting_text(&out->before, edit->setting, mem) };
    if (db_count(rows) > 0) {
        one->changed_by = db_get_copy(rows, 0, "actor", mem);
        one->changed_at = db_get_copy(rows, 0, "at", mem);
    }
    out->difference_count++;
    return 0;
}

static int find_differences(struct db *db, const struct app_edit *edits, size_t count, struct arena *mem,
                            struct app_update *out, struct err *e)
{
    const struct app_difference *first;

    out->differences = arena_array(mem, count + 1, sizeof *out->differences);
    for (size_t i = 0; i < count; i++)
        if (!is_seen(&out->before, &edits[i], mem) && add_difference(db, &edits[i], mem, out, e))
            return e->code;
    if (out->difference_count == 0)
        return 0;
    first = out->differences;
    err_set(e, ERR_CONFLICT, "%s of %s is \"%s\" by now, not \"%s\"", app_setting_title(first->setting),
            out->before.name, first->now, first->was);
    if (!first->changed_by)
        return err_hint(e, "Nothing was changed. Look at the present settings, and save again.");
    return err_hint(e, "%s changed it at %s. Nothing of yours was saved: look at the present settings, and save again.",
                    first->changed_by, first->changed_at);
}

/* CPU units and memory are a size together: the one is right or wrong only with the other. */
static bool is_judged_with(enum app_setting one, enum app_setting other)
{
    bool is_size = one == APP_CPU_UNITS || one == APP_MEMORY_MIB;

    return one == other || (is_size && (other == APP_CPU_UNITS || other == APP_MEMORY_MIB));
}

static bool is_refused(const struct app *before, const struct app_edit *edits, size_t count, enum app_setting setting,
                       struct arena *mem)
{
    struct app one = *before;
    struct err e = { 0 };

    for (size_t i = 0; i < count; i++)
        if (is_judged_with(setting, edits[i].setting) && set_one(&one, &edits[i], mem, &e))
            return true;
    return app_check(&one, &e) != 0;
}

/* Which setting a refusal is of: the one that alone is refused, or else the first that is edited. */
static enum app_setting find_fault(const struct app *before, const struct app_edit *edits, size_t count,
                                   struct arena *mem)
{
    for (size_t i = 0; i < count; i++)
        if (is_refused(before, edits, count, edits[i].setting, mem))
            return edits[i].setting;
    return count > 0 ? edits[0].setting : APP_SETTING_COUNT;
}

static int apply(const struct app_edit *edits, size_t count, struct arena *mem, struct app_update *out, struct err *e)
{
    struct app after = out->before;

    for (size_t i = 0; i < count; i++) {
        if (set_one(&after, &edits[i], mem, e)) {
            out->at_fault = edits[i].setting;
            return e->code;
        }
    }
    if (app_check(&after, e)) {
        out->at_fault = find_fault(&out->before, edits, count, mem);
        return e->code;
    }
    out->after = after;
    return 0;
}

static bool is_resized(const struct app *before, const struct app *after)
{
    return before->cpu_units != after->cpu_units || before->memory_mib != after->memory_mib ||
           before->tasks != after->tasks;
}

/* An app that is larger than its quota already may always be made smaller, and keep its size. */
static bool is_smaller(const struct app *before, const struct app *after)
{
    return after->cpu_units * (int64_t)after->tasks <= before->cpu_units * (int64_t)before->tasks &&
           after->memory_mib * (int64_t)after->tasks <= before->memory_mib * (int64_t)before->tasks &&
           after->tasks <= before->tasks;
}

static int check_quota(struct db *db, struct app_update *out, struct err *e)
{
    const struct app *after = &out->after;
    AUTO_ROWS struct db_rows *rows = NULL;
    const char *quota;

    if (!is_resized(&out->before, after) || is_smaller(&out->before, after))
        return 0;
    if (db_query(db, after->name, QUERY_QUOTA_FITS, &rows, e, db_text(after->name), db_int(after->cpu_units),
                 db_int(after->memory_mib), db_int(after->tasks)))
        return e->code;
    if (db_count(rows) == 0)
        return 0;
    quota = db_get(rows, 0, "quota");
    out->at_fault = strcmp(quota, "cpu_units") == 0    ? APP_CPU_UNITS
                    : strcmp(quota, "memory_mib") == 0 ? APP_MEMORY_MIB
                                                       : APP_TASKS;
    if (after->tasks > out->before.tasks)
        out->at_fault = APP_TASKS;
    err_set(e, ERR_QUOTA, "%s", db_get(rows, 0, "told"));
    return err_hint(e, "Nothing was changed. An operator of berth can raise the quota: `berth quota set %s %s=%lld`.",
                    after->name, quota, (long long)db_get_int(rows, 0, "needed"));
}

static bool is_changed(const struct app_update *update, struct arena *mem)
{
    for (int i = 0; i < APP_SETTING_COUNT; i++)
        if (!is_now(&update->after, (enum app_setting)i, app_setting_text(&update->before, (enum app_setting)i, mem),
                    mem))
            return true;
    return false;
}

/* Writes what differs, with its audit row; nothing when nothing does. */
static int write(struct db *db, const char *actor, struct arena *mem, struct app_update *out, struct err *e)
{
    const struct app *after = &out->after;
    AUTO_JSON json_object *was = json_new_object(), *is = json_new_object();
    bool looks;

    for (int i = 0; i < APP_SETTING_COUNT; i++) {
        enum app_setting setting = (enum app_setting)i;
        if (is_now(after, setting, app_setting_text(&out->before, setting, mem), mem))
            continue;
        out->changed = true;
        json_put(was, settings[i].name, app_setting_json(&out->before, setting));
        json_put(is, settings[i].name, app_setting_json(after, setting));
    }
    if (!out->changed)
        return 0;
    if (db_query(db, after->name, QUERY_APP_SETTLE, NULL, e, db_text(after->name), db_int(after->cpu_units),
                 db_int(after->memory_mib), db_int(after->tasks), db_int(after->port),
                 db_text(after->health_check_path), db_text(after->branch), db_text(after->path_filter)) ||
        (is_resized(&out->before, after) && hasten(db, after->name, &looks, e)))
        return e->code;
    return audit(db, after->name, actor, "app.update", json_hold(was), json_hold(is), e);
}

/* actor NULL: nothing is written. */
static int update(struct db_pool *admin, const char *name, const char *actor, const struct app_edit *edits,
                  size_t count, struct arena *mem, struct app_update *out, struct err *e)
{
    AUTO_DB struct db *db = NULL;

    *out = (struct app_update){ .at_fault = APP_SETTING_COUNT };
    if (db_take(admin, &db, e))
        return e->code;
    if (begin(db, name, mem, &out->before, e) || find_differences(db, edits, count, mem, out, e) ||
        apply(edits, count, mem, out, e) || check_quota(db, out, e) || (actor && write(db, actor, mem, out, e))) {
        out->changed = false;
        db_rollback(db);
        return e->code;
    }
    if (actor)
        return db_commit(db, e);
    out->changed = is_changed(out, mem);
    db_rollback(db);
    return 0;
}

int app_update(struct db_pool *admin, const char *name, const char *actor, const struct app_edit *edits, size_t count,
               struct arena *mem, struct app_update *out, struct err *e)
{
    return update(admin, name, actor, edits, count, mem, out, e);
}

int app_update_try(struct db_pool *admin, const char *name, const struct app_edit *edits, size_t count,
                   struct arena *mem, struct app_update *out, struct err *e)
{
    return update(admin, name, NULL, edits, count, mem, out, e);
}

/* ---- Pause and resume ---- */

static int set_state(struct db *db, const struct app *app, const char *actor, const char *state, const char *action,
                     struct err *e)
{
    if (db_query(db, app->name, QUERY_APP_SET_STATE, NULL, e, db_text(app->name), db_text(state)))
        return e->code;
    return audit(db, app->name, actor, action, json_build("{s:s}", "state", app->state),
                 json_build("{s:s}", "state", state), e);
}

/* look NULL: it is paused. */
static int change_state(struct db_pool *admin, const char *name, const char *actor, bool *changed, bool *look,
                        struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_DB struct db *db = NULL;
    const char *state = look ? "active" : "paused";
    struct app app = { 0 };
    bool differs, looks = false;

    if (db_take(admin, &db, e))
        return e->code;
    if (begin(db, name, mem, &app, e)) {
        db_rollback(db);
        return e->code;
    }
    differs = strcmp(app.state, state) != 0;
    if (differs && (set_state(db, &app, actor, state, look ? "app.resume" : "app.pause", e) ||
                    (look && hasten(db, name, &looks, e)))) {
        db_rollback(db);
        return e->code;
    }
    if (db_commit(db, e))
        return e->code;
    *changed = differs;
    if (look)
        *look = looks;
    return 0;
}

int app_pause(struct db_pool *admin, const char *name, const char *actor, bool *changed, struct err *e)
{
    return change_state(admin, name, actor, changed, NULL, e);
}

int app_resume(struct db_pool *admin, const char *name, const char *actor, bool *changed, bool *look, struct err *e)
{
    return change_state(admin, name, actor, changed, look, e);
}
