#include "core/deploy/summary.h"

#include <string.h>

static const char *const condition_names[APP_CONDITION_COUNT] = {
    [APP_FAILED] = "failed", [APP_OVER_QUOTA] = "over_quota", [APP_MOVING] = "moving",
    [APP_QUEUED] = "queued", [APP_PAUSED] = "paused",         [APP_LIVE] = "live",
    [APP_NONE] = "none",
};

const char *app_condition_name(enum app_condition condition)
{
    return condition_names[condition];
}

bool app_condition_parse(const char *name, enum app_condition *out)
{
    for (int i = 0; i < APP_CONDITION_COUNT; i++) {
        if (strcmp(name, condition_names[i]) == 0) {
            *out = (enum app_condition)i;
            return true;
        }
    }
    return false;
}

static int read_summary(const struct db_rows *rows, size_t i, struct arena *mem, struct app_summary *out, struct err *e)
{
    *out = (struct app_summary){
        .app = db_get_copy(rows, i, "app_name", mem),
        .repository = db_get_copy(rows, i, "repository", mem),
        .branch = db_get_copy(rows, i, "branch", mem),
        .state = db_get_copy(rows, i, "state", mem),
        .rank = (int)db_get_int(rows, i, "rank"),
        .changed = db_get_int(rows, i, "changed"),
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
        .moving_release = (int)db_get_int(rows, i, "moving_release"),
        .moving_step = db_get_copy(rows, i, "moving_step", mem),
        .moving_since = db_get_copy(rows, i, "moving_since", mem),
        .refused_at = db_get_copy(rows, i, "refused_at", mem),
        .paused_by = db_get_copy(rows, i, "paused_by", mem),
        .paused_at = db_get_copy(rows, i, "paused_at", mem),
        .live_tasks = (int)db_get_int(rows, i, "live_tasks"),
        .cpu_units = { .used = db_get_int(rows, i, "cpu_units"),
                       .limit = db_get_int(rows, i, "cpu_limit"),
                       .rolling = db_get_int(rows, i, "rolling_cpu_units") },
        .memory_mib = { .used = db_get_int(rows, i, "memory_mib"),
                        .limit = db_get_int(rows, i, "memory_limit"),
                        .rolling = db_get_int(rows, i, "rolling_memory_mib") },
        .last = db_get_copy(rows, i, "last", mem),
    };
    if (!app_condition_parse(db_get(rows, i, "condition"), &out->condition))
        return err_set(e, ERR_INTERNAL, "app %s is in a condition that this berth doesn't know", out->app);
    return 0;
}

static void read_counts(const struct db_rows *rows, struct app_counts *out)
{
    out->all = db_get_int(rows, 0, "all");
    for (int i = 0; i < APP_CONDITION_COUNT; i++)
        out->of[i] = db_get_int(rows, 0, condition_names[i]);
}

int app_overview(struct db *db, const struct summary_page *page, struct arena *mem, struct app_summary **out,
                 size_t *count, struct app_counts *counts, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, NULL, QUERY_APP_SUMMARIES, &rows, e, db_bool(page->by_name),
                 db_text(page->only ? app_condition_name(*page->only) : NULL), db_int(page->after_rank),
                 db_int(page->after_changed), db_text(page->after_app), db_int(page->limit), db_bool(page->deleted),
                 db_text(page->search)))
        return e->code;
    size_t found = db_get(rows, 0, "app_name") ? db_count(rows) : 0;
    struct app_summary *all = arena_array(mem, found + 1, sizeof *all);
    for (size_t i = 0; i < found; i++)
        if (read_summary(rows, i, mem, &all[i], e))
            return e->code;
    read_counts(rows, counts);
    *out = all;
    *count = found;
    return 0;
}

int app_summaries(struct db *db, const struct summary_page *page, struct arena *mem, struct app_summary **out,
                  size_t *count, struct err *e)
{
    struct app_counts counts;

    return app_overview(db, page, mem, out, count, &counts, e);
}

int app_standing(struct db *db, const char *app, struct arena *mem, struct app_standing *out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, app, QUERY_APP_PAGE, &rows, e, db_text(app)))
        return e->code;
    if (db_count(rows) == 0)
        return err_set(e, ERR_NOT_FOUND, "there is no app named %s", app);
    *out = (struct app_standing){
        .created_at = db_get_copy(rows, 0, "created_at", mem),
        .created_by = db_get_copy(rows, 0, "created_by", mem),
        .last_release = (int)db_get_int(rows, 0, "last_release"),
        .before = (int)db_get_int(rows, 0, "before"),
        .paused_by = db_get_copy(rows, 0, "paused_by", mem),
        .paused_at = db_get_copy(rows, 0, "paused_at", mem),
        .owed = db_get_copy(rows, 0, "owed", mem),
        .owed_at = db_get_copy(rows, 0, "owed_at", mem),
        .due_at = db_get_copy(rows, 0, "due_at", mem),
        .refusal = db_get_copy(rows, 0, "refusal", mem),
    };
    return 0;
}

int app_quotas(struct db *db, const char *app, struct arena *mem, struct app_quota **out, size_t *count, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, app, QUERY_APP_USE, &rows, e, db_text(app)))
        return e->code;
    struct app_quota *all = arena_array(mem, db_count(rows) + 1, sizeof *all);
    for (size_t i = 0; i < db_count(rows); i++)
        all[i] = (struct app_quota){ .name = db_get_copy(rows, i, "quota", mem),
                                     .title = db_get_copy(rows, i, "title", mem),
                                     .used = db_get_int(rows, i, "used"),
                                     .limit = db_get_int(rows, i, "in_force"),
                                     .rolling = db_get_int(rows, i, "rolling"),
                                     .base = db_get_int(rows, i, "base") };
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
