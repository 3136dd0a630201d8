#include "fcgi/admin_strip.h"

#include <string.h>

#include "core/base/clock.h"
#include "fcgi/admin_words.h"
#include "fcgi/when.h"

/* When the step was done; -1: it wasn't. */
static int64_t done_at(const struct release_event *events, size_t count, const char *step)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(events[i].kind, "done") && !strcmp(events[i].step, step))
            return when_parse(events[i].at);
    return -1;
}

static const char *took(int64_t from, int64_t to, struct arena *mem)
{
    return from < 0 || to < from ? "" : when_length(mem, to - from);
}

enum { DIGEST_SHOWN = sizeof "sha256:" - 1 + 7 };

/* What a step that is done has made, in a word or two. */
static const char *made(const struct release *r, enum step_name step, struct arena *mem)
{
    if (step == STEP_SOURCE)
        return arena_printf(mem, "commit %s", short_commit(r->commit_sha, mem));
    if (step == STEP_BUILD && r->image_digest)
        return arena_printf(mem, "%.*s", DIGEST_SHOWN, r->image_digest);
    return "done";
}

static const char *iso(int64_t ms, struct arena *mem)
{
    char *text = arena_alloc(mem, CLOCK_ISO_SIZE);

    clock_format_iso(ms, text);
    return text;
}

struct look {
    const char *line, *mark, *word;
};

/* Done, the one that it is in or ended at, or not reached. */
static struct look look_of(const struct release *r, enum step_name step, struct arena *mem)
{
    if (r->state == RELEASE_LIVE || step < r->step)
        return (struct look){ "done", "mark done", made(r, step, mem) };
    if (step > r->step || r->state == RELEASE_QUEUED)
        return (struct look){ "ahead", "mark none",
                              r->state == RELEASE_RUNNING || r->state == RELEASE_QUEUED ? "ahead" : "not reached" };
    if (r->state == RELEASE_RUNNING)
        return (struct look){ "moving", "mark moving", "under way" };
    if (r->state == RELEASE_FAILED)
        return (struct look){ "failed", "mark failed", "failed" };
    return (struct look){ "ahead", "mark dropped", release_state_name(r->state) };
}

json_object *strip_of(const struct release *r, const struct release_event *events, size_t count, int64_t now_ms,
                      struct arena *mem)
{
    json_object *strip = json_new_array();
    int64_t from = when_parse(r->created_at);
    int64_t end = r->finished_at ? when_parse(r->finished_at) : now_ms;

    for (int i = 0; i < STEP_COUNT; i++) {
        enum step_name step = (enum step_name)i;
        struct look look = look_of(r, step, mem);
        int64_t to = done_at(events, count, step_name_text(step));
        bool timed = r->state == RELEASE_LIVE || step < r->step || (step == r->step && r->state != RELEASE_QUEUED);
        if (to < 0)
            to = step == r->step ? end : -1;
        bool moving = step == r->step && r->state == RELEASE_RUNNING;
        json_append(strip, json_build("{s:s, s:s, s:s, s:s, s:s, s:s}", "name", step_name_text(step), "line", look.line,
                                      "mark", look.mark, "word", look.word, "took", timed ? took(from, to, mem) : "",
                                      "since", moving && from >= 0 ? iso(from, mem) : ""));
        from = to;
    }
    return strip;
}
