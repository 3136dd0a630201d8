#include <string.h>

#include "core/base/text.h"
#include "fcgi/admin.h"
#include "fcgi/when.h"

/* One of the six steps: done, the one it is in or ended at, or not reached. */
static json_object *step_of(const struct release *r, enum step_name step)
{
    const char *name = step_name_text(step);

    if (r->state == RELEASE_LIVE || step < r->step)
        return json_build("{s:s, s:s, s:s}", "name", name, "mark", "mark done", "word", "done");
    if (step > r->step || r->state == RELEASE_QUEUED)
        return json_build("{s:s, s:s, s:s}", "name", name, "mark", "mark none", "word", "not reached");
    if (r->state == RELEASE_RUNNING)
        return json_build("{s:s, s:s, s:s}", "name", name, "mark", "mark moving", "word", "under way");
    return json_build("{s:s, s:s, s:s}", "name", name, "mark", r->state == RELEASE_FAILED ? "mark failed" : "mark dropped", "word",
                      release_state_name(r->state));
}

static json_object *steps_of(const struct release *r)
{
    json_object *steps = json_new_array();

    for (int step = 0; step < STEP_COUNT; step++)
        json_append(steps, step_of(r, (enum step_name)step));
    return steps;
}

static const char *event_mark(const char *kind)
{
    if (!strcmp(kind, "done"))
        return "mark done";
    if (!strcmp(kind, "failed"))
        return "mark failed";
    return strcmp(kind, "retry") ? "mark note" : "mark warning";
}

static json_object *event_rows(const struct release_event *events, size_t count, const char *from, struct arena *mem)
{
    json_object *rows = json_new_array();
    int64_t start = when_parse(from);

    for (size_t i = 0; i < count; i++) {
        int64_t at = when_parse(events[i].at);
        json_append(rows, json_build("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "at", events[i].at, "time",
                                     strlen(events[i].at) > 19 ? arena_copy_n(mem, events[i].at + 11, 8) : events[i].at, "offset",
                                     arena_printf(mem, "+%s", when_length(mem, at > start ? at - start : 0)), "step",
                                     events[i].step, "mark", event_mark(events[i].kind), "word", events[i].kind, "message",
                                     events[i].message));
    }
    return rows;
}

static json_object *fact_rows(const struct release *r)
{
    json_object *rows = json_new_array();
    const char *const facts[][2] = {
        { "Commit", r->commit_sha },         { "Title", r->commit_title },
        { "Pushed by", r->pushed_by },       { "Source version", r->source_version },
        { "Build", r->build_id },            { "Image", r->image_digest },
        { "Task definition", r->task_definition_arn },
    };

    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (facts[i][1])
            json_append(rows, json_build("{s:s, s:s}", "name", facts[i][0], "value", facts[i][1]));
    return rows;
}

/* What visitors noticed of a failure. */
static const char *aftermath(struct arena *mem, const struct deployment *live)
{
    if (!live->release)
        return "Nothing is live yet.";
    return arena_printf(mem, "v%d is still live. Visitors saw nothing.", live->release);
}

static const char *state_word(const struct release *r, const struct deployment *live, struct arena *mem)
{
    if (r->state == RELEASE_FAILED)
        return arena_printf(mem, "Failed at %s", step_name_text(r->step));
    if (r->state == RELEASE_RUNNING)
        return moving_word(step_name_text(r->step));
    return mark_of(release_state_name(r->state), r->kind, r->number, live->release).word;
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
    if (release_get(db, app, (int)number, mem, &r, e) || release_events(db, app, (int)number, mem, &events, &count, e) ||
        deployment_find(db, app, mem, &live, e))
        return e->code;
    const char *at = r.finished_at ? r.finished_at : r.created_at;
    struct mark mark = mark_of(release_state_name(r.state), r.kind, r.number, live.release);
    *model = json_build(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:s, s:s, s:o, s:o, s:o}", "title",
        arena_printf(mem, "%s v%d - berth", app, (int)number), "app", app, "app_url",
        arena_printf(mem, "/apps/%s", app), "number", arena_printf(mem, "v%d", r.number), "mark", mark.class_name, "word",
        state_word(&r, &live, mem), "at", at, "ago", when_ago(mem, at, clock_now_ms(admin->clock)), "failed",
        r.state == RELEASE_FAILED, "moving", r.state == RELEASE_RUNNING || r.state == RELEASE_QUEUED, "error",
        r.error ? r.error : "", "hint", r.hint ? r.hint : "", "aftermath", aftermath(mem, &live), "steps", steps_of(&r),
        "events", event_rows(events, count, r.created_at, mem), "facts", fact_rows(&r));
    return 0;
}
