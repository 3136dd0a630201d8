/* /apps/{app}/releases/{n}: why it failed, its steps, its timeline. */
#include <string.h>

#include "core/base/text.h"
#include "fcgi/admin.h"
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

/* What a machine made is set in its own type. */
static json_object *fact_rows(const struct release *r)
{
    json_object *rows = json_new_array();
    const struct {
        const char *name, *value, *class_name;
    } facts[] = {
        { "Commit", r->commit_sha, "made" },
        { "Title", r->commit_title, "" },
        { strcmp(r->kind, "push") ? "Started by" : "Pushed by", r->pushed_by, "" },
        { "Source version", r->source_version, "made" },
        { "Build", r->build_id, "made" },
        { "Image", r->image_digest, "made" },
        { "Task definition", r->task_definition_arn, "made" },
    };

    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (facts[i].value && *facts[i].value)
            json_append(rows, json_build("{s:s, s:s, s:s}", "name", facts[i].name, "value", facts[i].value, "class",
                                         facts[i].class_name));
    return rows;
}

static const char *after(const struct release *r, struct arena *mem)
{
    int64_t from = when_parse(r->created_at), to = when_parse(r->finished_at);

    return from < 0 || to < from ? "" : arena_printf(mem, ", after %s", when_length(mem, to - from));
}

static json_object *model_of(struct admin *admin, const struct release *r, const struct release_event *events,
                             size_t count, int live, struct arena *mem)
{
    const char *at = r->finished_at ? r->finished_at : r->created_at;
    struct mark mark = mark_of(release_state_name(r->state), r->kind, r->number, live);
    int64_t now = clock_now_ms(admin->clock);

    return json_build("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:o, s:s, s:o, s:o, s:o, s:s}",
                      "title", arena_printf(mem, "%s v%d - berth", r->app, r->number), "app", r->app, "app_url",
                      arena_printf(mem, "/apps/%s", r->app), "number", arena_printf(mem, "v%d", r->number), "mark",
                      mark.class_name, "word", release_sentence(r, live, mem), "at", text_or_empty(at), "ago",
                      when_ago(mem, at, now), "after", after(r, mem), "failed", r->state == RELEASE_FAILED, "moving",
                      r->state == RELEASE_RUNNING || r->state == RELEASE_QUEUED, "error", text_or_empty(r->error),
                      "hint", text_parts(r->hint, mem), "visitors", visitors_see(r, live, mem), "strip",
                      strip_of(r, events, count, now, mem), "events", event_rows(events, count, r->created_at, mem),
                      "facts", fact_rows(r), "log_command",
                      r->build_id ? arena_printf(mem, "berth logs %s v%d", r->app, r->number) : "");
}

int release_model(struct admin *admin, struct db *db, struct request *request, json_object **model, struct err *e)
{
    struct arena *mem = request->mem;
    const char *app = request_value(request, "app");
    struct release_event *events = NULL;
    struct deployment live = { 0 };
    struct release r = { 0 };
    int64_t number = 0;
    size_t count = 0;

    if (!text_parse_int(request_value(request, "release"), 1, INT32_MAX, &number))
        return err_set(e, ERR_NOT_FOUND, "there is no such release");
    if (release_get(db, app, (int)number, mem, &r, e) ||
        release_events(db, app, (int)number, mem, &events, &count, e) || deployment_find(db, app, mem, &live, e))
        return e->code;
    *model = model_of(admin, &r, events, count, live.release, mem);
    return 0;
}
