/* /apps/{app}: what is live, what is on its way, the last releases, what it has on AWS. */
#include <string.h>

#include "core/tenant/app.h"
#include "fcgi/admin.h"
#include "fcgi/admin_strip.h"
#include "fcgi/admin_words.h"
#include "fcgi/when.h"

enum { APP_RELEASES = 50 };

/* What the page is made from. */
struct app_page {
    struct app app;
    struct deployment live;
    struct release *releases; /* newest first */
    size_t count;
    struct resource_row *resources;
    size_t resource_count;
};

static const char *took(const struct release *r, struct arena *mem)
{
    int64_t from = when_parse(r->created_at), to = when_parse(r->finished_at);

    return from < 0 || to < from ? "" : when_length(mem, to - from);
}

static json_object *release_row(struct admin *admin, const struct release *r, int live, struct arena *mem)
{
    struct mark mark = mark_of(release_state_name(r->state), r->kind, r->number, live);
    const char *at = r->finished_at ? r->finished_at : r->created_at;

    return json_build(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "number", arena_printf(mem, "v%d", r->number), "url",
        arena_printf(mem, "/apps/%s/releases/%d", r->app, r->number), "mark", mark.class_name, "word",
        release_sentence(r, live, mem), "commit", short_commit(r->commit_sha, mem), "title",
        text_or_empty(r->commit_title), "by", text_or_empty(r->pushed_by), "at", text_or_empty(at), "ago",
        when_ago(mem, at, clock_now_ms(admin->clock)), "took", took(r, mem), "error", text_or_empty(r->error));
}

static json_object *release_rows(struct admin *admin, const struct app_page *page, struct arena *mem)
{
    json_object *rows = json_new_array();

    for (size_t i = 0; i < page->count && i < APP_RELEASES; i++)
        json_append(rows, release_row(admin, &page->releases[i], page->live.release, mem));
    return rows;
}

static json_object *settings_rows(const struct app *app, struct arena *mem)
{
    json_object *rows = json_new_array();
    const char *const shown[][2] = {
        { "Task", arena_printf(mem, "%d CPU units, %d MiB", app->cpu_units, app->memory_mib) },
        { "Tasks", arena_printf(mem, "%d", app->tasks) },
        { "Port", arena_printf(mem, "%d", app->port) },
        { "Health check", app->health_check_path },
        { "Branch", app->branch },
        { "Push proof", app->policy == WEBHOOK_GITHUB ? "GitHub HMAC" : "HMAC and AWS IAM" },
    };

    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        json_append(rows, json_build("{s:s, s:s}", "name", shown[i][0], "value", shown[i][1]));
    return rows;
}

/* "target_group" as "Target group". */
static const char *kind_word(const char *kind, struct arena *mem)
{
    char *word = arena_copy(mem, kind);

    for (char *c = word; *c; c++)
        if (*c == '_')
            *c = ' ';
    if (*word >= 'a' && *word <= 'z')
        *word = (char)(*word - 'a' + 'A');
    return word;
}

static json_object *resource_rows(const struct app_page *page, struct arena *mem)
{
    json_object *rows = json_new_array();

    for (size_t i = 0; i < page->resource_count; i++)
        json_append(rows, json_build("{s:s, s:s, s:s}", "kind", kind_word(page->resources[i].kind, mem), "name",
                                     page->resources[i].name, "arn", page->resources[i].arn));
    return rows;
}

/* The release that is running, else the newest if it waits or failed; NULL: nothing is to be told of one. */
static const struct release *told_release(const struct app_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        if (page->releases[i].state == RELEASE_RUNNING)
            return &page->releases[i];
    if (page->count && (page->releases[0].state == RELEASE_QUEUED || page->releases[0].state == RELEASE_FAILED))
        return &page->releases[0];
    return NULL;
}

/* A list of one, or of none. */
static int told_rows(struct admin *admin, struct db *db, const struct app_page *page, struct arena *mem,
                     json_object *rows, struct err *e)
{
    const struct release *r = told_release(page);
    struct release_event *events = NULL;
    size_t count = 0;

    if (!r)
        return 0;
    if (release_events(db, r->app, r->number, mem, &events, &count, e))
        return e->code;
    bool failed = r->state == RELEASE_FAILED;
    const char *phrase = r->state == RELEASE_QUEUED ? "waits for its turn" : failed ? "failed" : moving_phrase(r->step);
    json_append(rows, json_build("{s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:o}", "box", failed ? "failure" : "box",
                                 "number", arena_printf(mem, "v%d", r->number), "url",
                                 arena_printf(mem, "/apps/%s/releases/%d", r->app, r->number), "phrase", phrase,
                                 "error", text_or_empty(r->error), "hint", text_parts(r->hint, mem), "visitors",
                                 visitors_see(r, page->live.release, mem), "strip",
                                 strip_of(r, events, count, clock_now_ms(admin->clock), mem)));
    return 0;
}

static int read_page(struct db *db, const char *name, struct arena *mem, struct app_page *out, struct err *e)
{
    if (app_get(db, name, mem, &out->app, e) || deployment_find(db, name, mem, &out->live, e) ||
        release_list(db, name, APP_RELEASES + 1, mem, &out->releases, &out->count, e))
        return e->code;
    return app_resources(db, name, mem, &out->resources, &out->resource_count, e);
}

/* As the overview has it. */
static enum app_condition condition_of(const struct app_page *page)
{
    const struct release *told = told_release(page);

    if (strcmp(page->app.state, "active") != 0)
        return APP_PAUSED;
    if (told && told->state == RELEASE_RUNNING)
        return APP_MOVING;
    if (told)
        return told->state == RELEASE_FAILED ? APP_FAILED : APP_QUEUED;
    return page->live.release ? APP_LIVE : APP_NONE;
}

static const char *condition_word(const struct app_page *page, struct arena *mem)
{
    const struct release *told = told_release(page);

    if (strcmp(page->app.state, "deleting") == 0)
        return "Going away"; /* as the overview has it */
    if (strcmp(page->app.state, "deleted") == 0)
        return "Destroyed";
    if (told && condition_of(page) == APP_MOVING)
        return arena_printf(mem, "%s v%d", moving_word(told->step), told->number);
    return mark_of_condition(condition_of(page)).word;
}

int app_model(struct admin *admin, struct db *db, struct request *request, json_object **model, struct err *e)
{
    AUTO_JSON json_object *told = json_new_array();
    const char *name = request_value(request, "app");
    struct arena *mem = request->mem;
    struct app_page page = { 0 };

    if (read_page(db, name, mem, &page, e) || told_rows(admin, db, &page, mem, told, e))
        return e->code;
    struct mark mark = mark_of_condition(condition_of(&page));
    const char *host = admin_host(admin, name, page.live.host, mem);
    const struct release *first = told_release(&page);
    *model = json_build(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:s, s:s, s:b, s:O, s:o, s:o, s:o, s:b, s:s}", "title",
        arena_printf(mem, "%s - berth", name), "app", name, "mark", mark.class_name, "word", condition_word(&page, mem),
        "host", host, "address", arena_printf(mem, "https://%s/", host), "is_live", page.live.release > 0, "empty",
        page.count == 0, "more", page.count > APP_RELEASES, "repository", page.app.repository, "repository_url",
        arena_printf(mem, "https://github.com/%s", page.app.repository), "moving",
        first && first->state != RELEASE_FAILED, "told", told, "releases", release_rows(admin, &page, mem), "settings",
        settings_rows(&page.app, mem), "resources", resource_rows(&page, mem), "has_resources", page.resource_count > 0,
        "all_command", arena_printf(mem, "berth releases %s --limit 10000", name));
    return 0;
}
