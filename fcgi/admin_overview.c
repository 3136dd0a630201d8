#include <string.h>

#include "core/deploy/summary.h"
#include "fcgi/admin.h"
#include "fcgi/when.h"

enum { OVERVIEW_PAGE = 100 };

/* What the newest release says of the app: its mark, a word, and a note. */
static json_object *state_of(struct admin *admin, const struct app_summary *a, struct arena *mem)
{
    const char *ago = a->newest_release ? when_ago(mem, a->newest_at, clock_now_ms(admin->clock)) : "";

    if (strcmp(a->state, "active"))
        return json_build("{s:s, s:s, s:s}", "mark", "mark paused", "word", !strcmp(a->state, "paused") ? "Paused" : "Going away",
                          "note", "");
    if (!a->newest_release)
        return json_build("{s:s, s:s, s:s}", "mark", "mark none", "word", "No release", "note", "waits for its first push");
    if (!strcmp(a->newest_state, "failed"))
        return json_build("{s:s, s:s, s:s}", "mark", "mark failed", "word", "Failed", "note",
                          arena_printf(mem, "v%d at %s, %s", a->newest_release, a->newest_step, ago));
    if (!strcmp(a->newest_state, "running"))
        return json_build("{s:s, s:s, s:s}", "mark", "mark moving", "word", moving_word(a->newest_step), "note",
                          arena_printf(mem, "v%d, since %s", a->newest_release, ago));
    if (!strcmp(a->newest_state, "queued"))
        return json_build("{s:s, s:s, s:s}", "mark", "mark queued", "word", "Queued", "note",
                          arena_printf(mem, "v%d, %s", a->newest_release, ago));
    return json_build("{s:s, s:s, s:s}", "mark", "mark live", "word", "Live", "note",
                      arena_printf(mem, "v%d, %s", a->newest_release, ago));
}

static int marks_of(const struct app_summary *a, struct arena *mem, json_object **out, struct err *e)
{
    AUTO_JSON json_object *last = NULL;
    json_object *marks = json_new_array();

    *out = marks;
    if (!a->last)
        return 0;
    if (json_parse(a->last, strlen(a->last), &last, e))
        return e->code;
    for (size_t i = 0; i < json_length(last); i++) {
        json_object *one = json_item(last, i);
        int number = (int)json_find_int(one, "/number", 0);
        struct mark mark =
            mark_of(json_find_text(one, "/state", mem), json_find_text(one, "/kind", mem), number, a->live_release);
        json_append(marks, json_build("{s:s, s:s, s:s}", "mark", mark.class_name, "label",
                                      arena_printf(mem, "v%d %s", number, mark.word), "url",
                                      arena_printf(mem, "/apps/%s/releases/%d", a->app, number)));
    }
    return 0;
}

static json_object *live_of(struct admin *admin, const struct app_summary *a, struct arena *mem)
{
    if (!a->live_release)
        return json_new_array(); /* an empty list shows nothing */
    json_object *live = json_new_array();
    json_append(live, json_build("{s:s, s:s, s:s, s:s, s:s}", "number", arena_printf(mem, "v%d", a->live_release), "commit",
                                 arena_copy_n(mem, a->live_commit, 7), "title", a->live_title ? a->live_title : "", "by",
                                 a->live_by ? a->live_by : "", "ago",
                                 when_ago(mem, a->live_since, clock_now_ms(admin->clock))));
    return live;
}

static int row_of(struct admin *admin, const struct app_summary *a, struct arena *mem, json_object **out, struct err *e)
{
    AUTO_JSON json_object *marks = NULL;
    const char *host = a->host ? a->host : arena_printf(mem, "%s.%s", a->app, admin->settings->domain);

    if (marks_of(a, mem, &marks, e))
        return e->code;
    *out = json_build("{s:s, s:s, s:s, s:s, s:o, s:o, s:b, s:O}", "app", a->app, "url", arena_printf(mem, "/apps/%s", a->app),
                      "host", host, "address", arena_printf(mem, "https://%s/", host), "state", state_of(admin, a, mem), "live",
                      live_of(admin, a, mem), "is_live", a->live_release > 0, "marks", marks);
    return 0;
}

int overview_model(struct admin *admin, struct db *db, struct request *request, json_object **model, struct err *e)
{
    AUTO_JSON json_object *rows = json_new_array();
    struct app_summary *all = NULL;
    struct arena *mem = request->mem;
    size_t count = 0;

    if (app_summaries(db, request_query(request, "after"), OVERVIEW_PAGE + 1, mem, &all, &count, e))
        return e->code;
    size_t shown = count > OVERVIEW_PAGE ? OVERVIEW_PAGE : count;
    for (size_t i = 0; i < shown; i++) {
        json_object *row = NULL;
        if (row_of(admin, &all[i], mem, &row, e))
            return e->code;
        json_append(rows, row);
    }
    *model = json_build("{s:O, s:b, s:b, s:s}", "apps", rows, "empty", count == 0, "more", count > shown, "next",
                        count > shown ? arena_printf(mem, "/?after=%s", all[shown - 1].app) : "/");
    return 0;
}
