#include "core/deploy/summary.h"
#include "core/tenant/app.h"
#include "core/tenant/names.h"
#include "fcgi/admin.h"
#include "fcgi/when.h"

enum { APP_RELEASES = 50 };

static json_object *release_row(struct admin *admin, const struct release *r, int live, struct arena *mem)
{
    struct mark mark = mark_of(release_state_name(r->state), r->kind, r->number, live);
    const char *at = r->finished_at ? r->finished_at : r->created_at;

    return json_build("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "number", arena_printf(mem, "v%d", r->number), "url",
                      arena_printf(mem, "/apps/%s/releases/%d", r->app, r->number), "mark", mark.class_name, "word", mark.word,
                      "commit", arena_copy_n(mem, r->commit_sha, 7), "title", r->commit_title ? r->commit_title : "", "by",
                      r->pushed_by ? r->pushed_by : "", "at", at, "ago", when_ago(mem, at, clock_now_ms(admin->clock)),
                      "error", r->error ? r->error : "");
}

static json_object *settings_rows(const struct app *app, struct arena *mem)
{
    json_object *rows = json_new_array();
    const char *const shown[][2] = {
        { "Repository", app->repository },
        { "Branch", app->branch },
        { "Webhook policy", app->policy == WEBHOOK_GITHUB ? "github" : "signed" },
        { "Size", arena_printf(mem, "%d CPU units, %d MiB", app->cpu_units, app->memory_mib) },
        { "Tasks", arena_printf(mem, "%d", app->tasks) },
        { "Port", arena_printf(mem, "%d", app->port) },
        { "Health check", app->health_check_path },
    };

    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        json_append(rows, json_build("{s:s, s:s}", "name", shown[i][0], "value", shown[i][1]));
    return rows;
}

static int resource_rows(struct db *db, const char *app, struct arena *mem, json_object **out, struct err *e)
{
    struct resource_row *rows = NULL;
    size_t count = 0;

    if (app_resources(db, app, mem, &rows, &count, e))
        return e->code;
    *out = json_new_array();
    for (size_t i = 0; i < count; i++)
        json_append(*out, json_build("{s:s, s:s, s:s}", "kind", rows[i].kind, "name", rows[i].name, "arn", rows[i].arn));
    return 0;
}

int app_model(struct admin *admin, struct db *db, struct request *request, json_object **model, struct err *e)
{
    AUTO_JSON json_object *rows = json_new_array();
    AUTO_JSON json_object *resources = NULL;
    const char *name = request_value(request, "app");
    struct arena *mem = request->mem;
    struct deployment live = { 0 };
    struct release *all = NULL;
    size_t count = 0;
    struct app app = { 0 };

    if (app_get(db, name, mem, &app, e) || deployment_find(db, name, mem, &live, e) ||
        release_list(db, name, APP_RELEASES, mem, &all, &count, e) || resource_rows(db, name, mem, &resources, e))
        return e->code;
    for (size_t i = 0; i < count; i++)
        json_append(rows, release_row(admin, &all[i], live.release, mem));
    const char *host = name_host(mem, name, admin->settings->domain);
    *model = json_build("{s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:O, s:o, s:O, s:b}", "title",
                        arena_printf(mem, "%s - berth", name), "app", name, "host", host, "address",
                        arena_printf(mem, "https://%s/", host), "is_live", live.release > 0, "empty", count == 0, "repository",
                        app.repository, "releases", rows, "settings", settings_rows(&app, mem), "resources", resources,
                        "has_resources", json_length(resources) > 0);
    return 0;
}
