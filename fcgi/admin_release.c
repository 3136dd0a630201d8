/* /apps/{app}/releases/{n}: why it failed, its steps, its timeline, what changed, and the end of its log. */
#include <string.h>

#include "core/base/text.h"
#include "core/deploy/release_story.h"
#include "fcgi/admin_app.h"
#include "fcgi/admin_lists.h"
#include "fcgi/admin_log.h"
#include "fcgi/admin_strip.h"
#include "fcgi/admin_words.h"
#include "fcgi/when.h"

enum { TIME_AT = sizeof "2015-08-30T" - 1, TIME_LEN = sizeof "12:36:00" - 1 };

/* "12:36:00" of "2015-08-30T12:36:00.000Z"; a time of another form (infinity, a year past 9999) as it is. */
static const char *time_of_day(const char *at, struct arena *mem)
{
    return when_parse(at) < 0 ? text_or_empty(at) : arena_copy_n(mem, at + TIME_AT, TIME_LEN);
}

static const char *since(int64_t from, const char *at, struct arena *mem)
{
    int64_t then = when_parse(at);

    return from < 0 || then < 0 ? "" : arena_printf(mem, "+%s", when_length(mem, then > from ? then - from : 0));
}

static json_object *event_rows(const struct release_event *events, size_t count, const char *begin, struct arena *mem)
{
    json_object *rows = json_new_array();
    int64_t from = when_parse(begin);

    for (size_t i = 0; i < count; i++) {
        struct mark mark = mark_of_event(events[i].kind);
        json_append(rows, json_build("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "at", text_or_empty(events[i].at), "time",
                                     time_of_day(events[i].at, mem), "offset", since(from, events[i].at, mem), "step",
                                     events[i].step, "mark", mark.class_name, "word", mark.word, "message",
                                     events[i].message));
    }
    return rows;
}

/* ---- What changed, and what it is made of ---- */

/* A row of a list of facts; nothing when there is no value. */
static void add_fact(json_object *rows, const char *name, const char *value, const char *class_name, const char *url)
{
    if (value && *value)
        json_append(rows, json_build("{s:s, s:s, s:s, s:s}", "name", name, "value", value, "class", class_name, "url",
                                     url ? url : ""));
}

static const char *github_url(const struct release_story *story, const char *kind, const char *what, struct arena *mem)
{
    return arena_printf(mem, "https://github.com/%s/%s/%s", story->repository, kind, what);
}

/* Of a rollback: what it takes back. */
static void add_comparison(json_object *rows, const struct release *r, const struct release_story *story,
                           struct arena *mem)
{
    const char *name = arena_printf(mem, "Since v%d", story->good);
    const char *from = story->good_commit, *to = r->commit_sha;

    if (!story->good) {
        add_fact(rows, "Since", "nothing went live before", "", NULL);
    } else if (strcmp(from, to) == 0) {
        add_fact(rows, name, "the same commit", "", NULL);
    } else if (r->rollback_to) {
        add_fact(rows, name, "commits taken back, on GitHub", "",
                 github_url(story, "compare", arena_printf(mem, "%s...%s", to, from), mem));
    } else {
        add_fact(rows, name, "commits and files, on GitHub", "",
                 github_url(story, "compare", arena_printf(mem, "%s...%s", from, to), mem));
    }
}

static void add_difference(struct buf *out, const char *title, int was, int now, struct arena *mem)
{
    if (was != now)
        buf_printf(out, "%s%s %s, was %s", out->len ? "; " : "", title, list_number(mem, now), list_number(mem, was));
}

static void add_settings(json_object *rows, const struct release_story *story, struct arena *mem)
{
    const struct release_size *was = &story->good_size, *now = &story->size;
    AUTO_BUF struct buf text = { 0 };

    if (!story->good)
        return;
    add_difference(&text, "CPU units", was->cpu_units, now->cpu_units, mem);
    add_difference(&text, "memory in MiB", was->memory_mib, now->memory_mib, mem);
    add_difference(&text, "tasks", was->tasks, now->tasks, mem);
    if (was->port != now->port)
        buf_printf(&text, "%sport %d, was %d", text.len ? "; " : "", now->port, was->port);
    if (strcmp(was->health_check_path, now->health_check_path) != 0)
        buf_printf(&text, "%shealth check path %s, was %s", text.len ? "; " : "", now->health_check_path,
                   was->health_check_path);
    add_fact(rows, "Settings",
             text.len ? arena_copy(mem, buf_text(&text)) : arena_printf(mem, "as of v%d", story->good), "", NULL);
}

static json_object *changed_rows(const struct release *r, const struct release_story *story, struct arena *mem)
{
    json_object *rows = json_new_array();

    add_fact(rows, "Commit", short_commit(r->commit_sha, mem), "made", github_url(story, "commit", r->commit_sha, mem));
    add_fact(rows, "Title", r->commit_title, "", NULL);
    if (r->pushed_by)
        add_fact(rows, strcmp(r->kind, "push") ? "Started by" : "Pushed by", arena_printf(mem, "@%s", r->pushed_by), "",
                 NULL);
    add_comparison(rows, r, story, mem);
    add_settings(rows, story, mem);
    if (r->rollback_to)
        add_fact(rows, "Runs again", arena_printf(mem, "v%d", r->rollback_to), "",
                 arena_printf(mem, "/apps/%s/releases/%d", r->app, r->rollback_to));
    if (r->build_attempt > 1)
        add_fact(rows, "Built", arena_printf(mem, "%d times", r->build_attempt), "", NULL);
    return rows;
}

/* What a machine made is set in its own type, and can be copied. */
static json_object *made_rows(const struct release *r, const struct release_story *story, struct arena *mem)
{
    json_object *rows = json_new_array();

    add_fact(rows, "Commit", r->commit_sha, "made copy", NULL);
    if (story->delivery_id)
        add_fact(rows, "Delivery", story->delivery_id, "made",
                 arena_printf(mem, "/apps/%s/deliveries/%s", r->app, story->delivery_id));
    add_fact(rows, "Source version", r->source_version, "made copy", NULL);
    add_fact(rows, "Build", r->build_id, "made copy", NULL);
    add_fact(rows, "Image", r->image_digest, "made copy", NULL);
    add_fact(rows, "Task definition", r->task_definition_arn, "made copy", NULL);
    return rows;
}

static const char *after(const struct release *r, struct arena *mem)
{
    int64_t from = when_parse(r->created_at), to = when_parse(r->finished_at);

    return from < 0 || to < from ? "" : arena_printf(mem, ", after %s", when_length(mem, to - from));
}

/* ---- Together ---- */

/* What the page is made from. */
struct release_page {
    struct release release;
    struct release_story story;
    struct release_numbers cancels; /* what a cancel would end */
    struct release_event *events;
    size_t count;
};

static int number_of(const struct request *request, int *out, struct err *e)
{
    int64_t number = 0;

    if (!text_parse_int(request_value(request, "release"), 1, INT32_MAX, &number))
        return err_set(e, ERR_NOT_FOUND, "there is no such release");
    *out = (int)number;
    return 0;
}

static int read_page(struct db *db, const struct request *request, struct release_page *out, struct err *e)
{
    const char *app = request_value(request, "app");
    struct arena *mem = request->mem;
    int number = 0;

    if (number_of(request, &number, e) || release_get(db, app, number, mem, &out->release, e) ||
        release_events(db, app, number, mem, &out->events, &out->count, e) ||
        operation_under_way(db, app, mem, &out->cancels, e))
        return e->code;
    return release_story(db, app, number, mem, &out->story, e);
}

static bool is_moving(const struct release *r)
{
    return r->state == RELEASE_RUNNING || r->state == RELEASE_QUEUED;
}

static json_object *actions_of(const struct release_page *page, struct arena *mem)
{
    const struct release_story *story = &page->story;
    const struct release *r = &page->release;
    const struct release_room room = { .can_change = story->is_own && !text_starts(story->app_state, "delet"),
                                       .live = story->live,
                                       .live_rollback_to = story->live_rollback_to,
                                       .cancels = page->cancels };

    struct release_action action = release_action(&room, r, mem);
    json_object *actions = json_new_array();

    if (*action.form)
        json_append(actions, json_build("{s:s, s:s, s:s, s:s}", "form", action.form, "field", action.field, "value",
                                        action.value, "label", action.label));
    return actions;
}

/* The forms that the buttons belong to. */
static void put_forms(struct admin *admin, const struct request *request, const char *app, json_object *model)
{
    static const char *const forms[] = { "rollback", "deploy", "cancel" };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        admin_put_token(admin, request, model, forms[i]);
        json_put(model, arena_printf(request->mem, "%s_to", forms[i]),
                 json_text(arena_printf(request->mem, "/apps/%s/%s", app, forms[i])));
    }
}

/* A list of one, or of none. */
static json_object *evidence_rows(int64_t line, struct arena *mem)
{
    json_object *rows = json_new_array();

    if (line)
        json_append(rows, json_build("{s:s, s:s}", "to", arena_printf(mem, "#L%lld", (long long)line), "text",
                                     arena_printf(mem, "Line %s of the log", list_number(mem, line))));
    return rows;
}

static json_object *model_of(struct admin *admin, const struct release_page *page, struct arena *mem)
{
    const struct release *r = &page->release;
    const char *at = r->finished_at ? r->finished_at : r->created_at;
    int live = page->story.live;
    struct mark mark = mark_of(release_state_name(r->state), r->kind, r->number, live);
    int64_t now = clock_now_ms(admin->clock), evidence = 0;
    json_object *log = log_tail_model(admin, r, mem, &evidence);

    return json_build(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, "
        "s:s, "
        "s:o, s:s}",
        "title", arena_printf(mem, "%s v%d - berth", r->app, r->number), "app", r->app, "app_url",
        arena_printf(mem, "/apps/%s", r->app), "url", arena_printf(mem, "/apps/%s/releases/%d", r->app, r->number),
        "number", arena_printf(mem, "v%d", r->number), "mark", mark.class_name, "word", release_sentence(r, live, mem),
        "at", text_or_empty(at), "ago", when_ago(mem, at, now), "after", after(r, mem), "failed",
        r->state == RELEASE_FAILED, "moving", is_moving(r), "error", text_or_empty(r->error), "hint",
        text_parts(r->hint, mem), "evidence", evidence_rows(evidence, mem), "visitors",
        r->state == RELEASE_FAILED || is_moving(r) ? visitors_see(r, live, mem) : "", "strip",
        strip_of(r, page->events, page->count, now, mem), "events",
        event_rows(page->events, page->count, r->created_at, mem), "changed", changed_rows(r, &page->story, mem),
        "made", made_rows(r, &page->story, mem), "actions", actions_of(page, mem), "console",
        console_build_url(page->story.build_project, r->build_id, mem), "log", log, "log_command",
        r->build_id ? arena_printf(mem, "berth logs %s v%d", r->app, r->number) : "");
}

int release_model(struct admin *admin, struct db *db, struct request *request, json_object **model, struct err *e)
{
    struct release_page page = { 0 };

    if (read_page(db, request, &page, e))
        return e->code;
    *model = model_of(admin, &page, request->mem);
    put_forms(admin, request, page.release.app, *model);
    return 0;
}

/* The log's lines are not in it: they have a cursor of their own. */
int release_version(struct admin *admin, struct db *db, struct request *request, const char **version, struct err *e)
{
    const char *app = request_value(request, "app");
    const char *stored = NULL;
    struct release r = { 0 };
    int number = 0;

    if (number_of(request, &number, e) || page_version_release(db, app, number, request->mem, &stored, e))
        return e->code;
    *version = NULL;
    if (!stored)
        return 0;
    if (release_get(db, app, number, request->mem, &r, e))
        return e->code;
    *version = arena_printf(request->mem, "%s %s", stored, log_version(admin, &r, request->mem));
    return 0;
}
