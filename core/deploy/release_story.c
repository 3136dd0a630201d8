#include "core/deploy/release_story.h"

static struct release_size read_size(const struct db_rows *rows, const char *prefix, struct arena *mem)
{
    return (struct release_size){
        .cpu_units = (int)db_get_int(rows, 0, arena_printf(mem, "%scpu_units", prefix)),
        .memory_mib = (int)db_get_int(rows, 0, arena_printf(mem, "%smemory_mib", prefix)),
        .tasks = (int)db_get_int(rows, 0, arena_printf(mem, "%stasks", prefix)),
        .port = (int)db_get_int(rows, 0, arena_printf(mem, "%sport", prefix)),
        .health_check_path = db_get_copy(rows, 0, arena_printf(mem, "%shealth_check_path", prefix), mem),
    };
}

int release_story(struct db *db, const char *app, int number, struct arena *mem, struct release_story *out,
                  struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, app, QUERY_RELEASE_STORY, &rows, e, db_text(app), db_int(number)))
        return e->code;
    if (db_count(rows) == 0)
        return err_set(e, ERR_NOT_FOUND, "%s has no release v%d", app, number);
    *out = (struct release_story){
        .repository = db_get_copy(rows, 0, "repository", mem),
        .branch = db_get_copy(rows, 0, "branch", mem),
        .app_state = db_get_copy(rows, 0, "app_state", mem),
        .delivery_id = db_get_copy(rows, 0, "delivery_id", mem),
        .build_project = db_get_copy(rows, 0, "build_project", mem),
        .is_own = db_get_bool(rows, 0, "is_own"),
        .live = (int)db_get_int(rows, 0, "live"),
        .live_rollback_to = (int)db_get_int(rows, 0, "live_rollback_to"),
        .size = read_size(rows, "", mem),
        .good = (int)db_get_int(rows, 0, "good"),
        .good_commit = db_get_copy(rows, 0, "good_commit", mem),
        .good_size = read_size(rows, "good_", mem),
    };
    return 0;
}

static const char *version_of(const struct db_rows *rows, struct arena *mem)
{
    return db_count(rows) ? db_get_copy(rows, 0, "version", mem) : NULL;
}

int page_version_overview(struct db *db, struct arena *mem, const char **out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_run(db, NULL, QUERY_PAGE_VERSION_OVERVIEW, NULL, 0, &rows, e))
        return e->code;
    *out = version_of(rows, mem);
    return 0;
}

int page_version_app(struct db *db, const char *app, int before, int limit, struct arena *mem, const char **out,
                     struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, app, QUERY_PAGE_VERSION_APP, &rows, e, db_text(app), before ? db_int(before) : db_null(),
                 db_int(limit)))
        return e->code;
    *out = version_of(rows, mem);
    return 0;
}

int page_version_release(struct db *db, const char *app, int number, struct arena *mem, const char **out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, app, QUERY_PAGE_VERSION_RELEASE, &rows, e, db_text(app), db_int(number)))
        return e->code;
    *out = version_of(rows, mem);
    return 0;
}
