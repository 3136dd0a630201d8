#include "core/deploy/summary.h"

static void read_summary(const struct db_rows *rows, size_t i, struct arena *mem, struct app_summary *out)
{
    *out = (struct app_summary){
        .app = db_get_copy(rows, i, "app_name", mem),
        .repository = db_get_copy(rows, i, "repository", mem),
        .branch = db_get_copy(rows, i, "branch", mem),
        .state = db_get_copy(rows, i, "state", mem),
        .live_release = (int)db_get_int(rows, i, "live_release"),
        .live_commit = db_get_copy(rows, i, "live_commit", mem),
        .live_title = db_get_copy(rows, i, "live_title", mem),
        .live_by = db_get_copy(rows, i, "live_by", mem),
        .live_since = db_get_copy(rows, i, "live_since", mem),
        .host = db_get_copy(rows, i, "host", mem),
        .newest_release = (int)db_get_int(rows, i, "newest_release"),
        .newest_state = db_get_copy(rows, i, "newest_state", mem),
        .newest_step = db_get_copy(rows, i, "newest_step", mem),
        .newest_error = db_get_copy(rows, i, "newest_error", mem),
        .newest_at = db_get_copy(rows, i, "newest_at", mem),
        .last = db_get_copy(rows, i, "last", mem),
    };
}

int app_summaries(struct db *db, const char *after, int limit, struct arena *mem, struct app_summary **out, size_t *count,
                  struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, NULL, QUERY_APP_SUMMARIES, &rows, e, db_text(after), db_int(limit)))
        return e->code;
    struct app_summary *all = arena_array(mem, db_count(rows), sizeof *all);
    for (size_t i = 0; i < db_count(rows); i++)
        read_summary(rows, i, mem, &all[i]);
    *out = all;
    *count = db_count(rows);
    return 0;
}

int app_resources(struct db *db, const char *app, struct arena *mem, struct resource_row **out, size_t *count,
                  struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, app, QUERY_APP_RESOURCES, &rows, e, db_text(app)))
        return e->code;
    struct resource_row *all = arena_array(mem, db_count(rows), sizeof *all);
    for (size_t i = 0; i < db_count(rows); i++)
        all[i] = (struct resource_row){ db_get_copy(rows, i, "kind", mem), db_get_copy(rows, i, "name", mem),
                                        db_get_copy(rows, i, "arn", mem) };
    *out = all;
    *count = db_count(rows);
    return 0;
}
