#include "core/deploy/release.h"

#include <string.h>

static const char *const state_names[RELEASE_STATE_COUNT] = {
    [RELEASE_QUEUED] = "queued", [RELEASE_RUNNING] = "running",       [RELEASE_LIVE] = "live",
    [RELEASE_FAILED] = "failed", [RELEASE_SUPERSEDED] = "superseded", [RELEASE_CANCELLED] = "cancelled",
};

static const char *const step_names[STEP_COUNT] = {
    [STEP_SOURCE] = "source", [STEP_IDENTITY] = "identity", [STEP_BUILD] = "build",
    [STEP_ROUTE] = "route",   [STEP_ROLLOUT] = "rollout",   [STEP_LIVE] = "live",
};

static const char *const halt_names[RELEASE_HALT_COUNT] = {
    [HALT_SUPERSEDE] = "supersede",
    [HALT_CANCEL] = "cancel",
};

bool release_build_is_over(const struct release *release)
{
    return release->finished_at || (release->state == RELEASE_RUNNING && release->step > STEP_BUILD);
}

const char *release_halt_name(enum release_halt halt)
{
    return halt_names[halt];
}

const char *release_state_name(enum release_state state)
{
    return state_names[state];
}

const char *step_name_text(enum step_name step)
{
    return step_names[step];
}

/* The name's place in the list; -1 when it isn't there. */
static int place_of(const char *name, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

static enum release_halt read_halt(const char *name)
{
    if (!name)
        return HALT_NONE;
    return strcmp(name, halt_names[HALT_SUPERSEDE]) == 0 ? HALT_SUPERSEDE : HALT_CANCEL;
}

static int no_such_release(const char *app, int number, struct err *e)
{
    if (e->code == ERR_NOT_FOUND) {
        err_set(e, ERR_NOT_FOUND, "app %s has no release v%d", app, number);
        err_hint(e, "`berth releases %s` lists the releases there are.", app);
    }
    return e->code;
}

static int read_release(const struct db_rows *rows, size_t row, struct arena *mem, struct release *out, struct err *e)
{
    int state = place_of(db_get(rows, row, "state"), state_names, RELEASE_STATE_COUNT);
    int step = place_of(db_get(rows, row, "step"), step_names, STEP_COUNT);

    if (state < 0 || step < 0)
        return err_set(e, ERR_INTERNAL, "release v%d of %s has a state or step that this berth doesn't know",
                       (int)db_get_int(rows, row, "number"), db_get(rows, row, "app_name"));
    *out = (struct release){
        .app = db_get_copy(rows, row, "app_name", mem),
        .number = (int)db_get_int(rows, row, "number"),
        .kind = db_get_copy(rows, row, "kind", mem),
        .state = (enum release_state)state,
        .step = (enum step_name)step,
        .attempt = (int)db_get_int(rows, row, "attempt"),
        .waits = (int)db_get_int(rows, row, "waits"),
        .pruned = db_get_bool(rows, row, "pruned"),
        .claims = (int)db_get_int(rows, row, "claims"),
        .lease_token = db_get_int(rows, row, "lease_token"),
        .step_age_ms = db_get_int(rows, row, "step_age_ms"),
        .commit_sha = db_get_copy(rows, row, "commit_sha", mem),
        .commit_title = db_get_copy(rows, row, "commit_title", mem),
        .pushed_by = db_get_copy(rows, row, "pushed_by", mem),
        .source_version = db_get_copy(rows, row, "source_version", mem),
        .build_attempt = (int)db_get_int(rows, row, "build_attempt"),
        .build_id = db_get_copy(rows, row, "build_id", mem),
        .image_digest = db_get_copy(rows, row, "image_digest", mem),
        .task_definition_arn = db_get_copy(rows, row, "task_definition_arn", mem),
        .ecs_deployment_id = db_get_copy(rows, row, "ecs_deployment_id", mem),
        .rollback_to = (int)db_get_int(rows, row, "rollback_to"),
        .halt = read_halt(db_get(rows, row, "halt")),
        .halt_by = (int)db_get_int(rows, row, "halt_by"),
        .halt_age_ms = db_get_int(rows, row, "halt_age_ms"),
        .halt_deployment_id = db_get_copy(rows, row, "halt_deployment_id", mem),
        .error = db_get_copy(rows, row, "error", mem),
        .hint = db_get_copy(rows, row, "hint", mem),
        .created_at = db_get_copy(rows, row, "created_at", mem),
        .finished_at = db_get_copy(rows, row, "finished_at", mem),
    };
    return 0;
}

int release_get(struct db *db, const char *app, int number, struct arena *mem, struct release *out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, app, QUERY_RELEASE_GET, &rows, e, db_text(app), db_int(number)))
        return no_such_release(app, number, e);
    return read_release(rows, 0, mem, out, e);
}

int release_app(struct db *db, const char *app, int number, struct arena *mem, struct app *out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    struct app found;

    if (app_get(db, app, mem, &found, e))
        return e->code;
    if (db_query(db, app, QUERY_RELEASE_CONFIGURATION, &rows, e, db_text(app), db_int(number)))
        return no_such_release(app, number, e);
    found.cpu_units = (int)db_get_int(rows, 0, "cpu_units");
    found.memory_mib = (int)db_get_int(rows, 0, "memory_mib");
    found.tasks = (int)db_get_int(rows, 0, "tasks");
    found.port = (int)db_get_int(rows, 0, "port");
    found.health_check_path = db_get_copy(rows, 0, "health_check_path", mem);
    *out = found;
    return 0;
}

int release_list_before(struct db *db, const char *app, int before, int limit, struct arena *mem, struct release **out,
                        size_t *count, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    struct release *list;

    if (db_query(db, app, QUERY_RELEASE_LIST, &rows, e, db_text(app), db_int(limit),
                 before ? db_int(before) : db_null()))
        return e->code;
    list = arena_array(mem, db_count(rows) + 1, sizeof *list);
    for (size_t i = 0; i < db_count(rows); i++)
        if (read_release(rows, i, mem, &list[i], e))
            return e->code;
    *out = list;
    *count = db_count(rows);
    return 0;
}

int release_list(struct db *db, const char *app, int limit, struct arena *mem, struct release **out, size_t *count,
                 struct err *e)
{
    return release_list_before(db, app, 0, limit, mem, out, count, e);
}

int release_events(struct db *db, const char *app, int number, struct arena *mem, struct release_event **out,
                   size_t *count, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    struct release_event *list;

    if (db_query(db, app, QUERY_RELEASE_EVENTS, &rows, e, db_text(app), db_int(number)))
        return e->code;
    list = arena_array(mem, db_count(rows) + 1, sizeof *list);
    for (size_t i = 0; i < db_count(rows); i++)
        list[i] = (struct release_event){
            .at = db_get_copy(rows, i, "at", mem),
            .step = db_get_copy(rows, i, "step", mem),
            .kind = db_get_copy(rows, i, "kind", mem),
            .message = db_get_copy(rows, i, "message", mem),
        };
    *out = list;
    *count = db_count(rows);
    return 0;
}

int deployment_find(struct db *db, const char *app, struct arena *mem, struct deployment *out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, app, QUERY_DEPLOYMENT_FIND, &rows, e, db_text(app)))
        return e->code;
    *out = (struct deployment){ 0 };
    if (db_count(rows) > 0)
        *out = (struct deployment){
            .release = (int)db_get_int(rows, 0, "release"),
            .commit_sha = db_get_copy(rows, 0, "commit_sha", mem),
            .image_digest = db_get_copy(rows, 0, "image_digest", mem),
            .task_definition_arn = db_get_copy(rows, 0, "task_definition_arn", mem),
            .host = db_get_copy(rows, 0, "host", mem),
            .live_since = db_get_copy(rows, 0, "live_since", mem),
            .rollback_to = (int)db_get_int(rows, 0, "rollback_to"),
        };
    return 0;
}
