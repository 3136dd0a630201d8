/* /: every app in a line. */
#include <string.h>

#include "core/base/text.h"
#include "core/tenant/app.h"
#include "fcgi/admin.h"
#include "fcgi/admin_words.h"
#include "fcgi/when.h"

enum { OVERVIEW_PAGE = 100, RANK_MAX = 9 };

static const char *ago(struct admin *admin, const char *at, struct arena *mem)
{
    return when_ago(mem, at, clock_now_ms(admin->clock));
}

/* A word for where the app is, and what tells it from others in that condition. */
static void tell_condition(struct admin *admin, const struct app_summary *a, struct arena *mem, const char **word,
                           const char **note)
{
    enum step_name step = STEP_SOURCE;

    *note = ago(admin, a->newest_at, mem);
    switch (a->condition) {
    case APP_FAILED:
        *note = arena_printf(mem, "at %s, %s", a->newest_step, *note);
        return;
    case APP_MOVING:
        if (step_parse(a->moving_step, &step))
            *word = moving_word(step);
        *note = arena_printf(mem, "begun %s", ago(admin, a->moving_since, mem));
        return;
    case APP_PAUSED:
        if (strcmp(a->state, "paused") != 0)
            *word = "Going away";
        *note = "takes no push";
        return;
    case APP_LIVE: /* the column beside tells of the live one */
        *note = a->newest_release == a->live_release ? "" : arena_printf(mem, "%s, %s", a->newest_state, *note);
        return;
    case APP_NONE:
        *note = a->newest_release ? "nothing is live" : "waits for its first push";
        return;
    case APP_QUEUED:
    case APP_CONDITION_COUNT:
        return;
    }
}

static json_object *condition_of(struct admin *admin, const struct app_summary *a, struct arena *mem)
{
    struct mark mark = mark_of_condition(a->condition);
    int number = a->condition == APP_MOVING                                         ? a->moving_release
                 : a->condition == APP_LIVE && a->newest_release == a->live_release ? 0
                                                                                    : a->newest_release;
    const char *note = "";

    tell_condition(admin, a, mem, &mark.word, &note);
    return json_build("{s:s, s:s, s:s, s:s, s:s}", "mark", mark.class_name, "word", mark.word, "note", note, "number",
                      number ? arena_printf(mem, "v%d", number) : "", "url",
                      arena_printf(mem, "/apps/%s/releases/%d", a->app, number));
}

static int marks_of(const struct app_summary *a, struct arena *mem, json_object *marks, struct err *e)
{
    AUTO_JSON json_object *last = NULL;

    if (a->last && json_parse(a->last, strlen(a->last), &last, e))
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

/* A list of one, or of none. */
static json_object *live_of(struct admin *admin, const struct app_summary *a, struct arena *mem)
{
    json_object *live = json_new_array();

    if (a->live_release)
        json_append(live, json_build("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "number",
                                     arena_printf(mem, "v%d", a->live_release), "url",
                                     arena_printf(mem, "/apps/%s/releases/%d", a->app, a->live_release), "commit",
                                     short_commit(a->live_commit, mem), "title", text_or_empty(a->live_title), "by",
                                     text_or_empty(a->live_by), "at", text_or_empty(a->live_since), "ago",
                                     ago(admin, a->live_since, mem)));
    return live;
}

static int row_of(struct admin *admin, const struct app_summary *a, struct arena *mem, json_object **out, struct err *e)
{
    AUTO_JSON json_object *marks = json_new_array();
    const char *host = admin_host(admin, a->app, a->host, mem);

    if (marks_of(a, mem, marks, e))
        return e->code;
    *out = json_build("{s:s, s:s, s:s, s:s, s:o, s:o, s:b, s:O}", "app", a->app, "url",
                      arena_printf(mem, "/apps/%s", a->app), "host", host, "address",
                      arena_printf(mem, "https://%s/", host), "condition", condition_of(admin, a, mem), "live",
                      live_of(admin, a, mem), "is_live", a->live_release > 0, "marks", marks);
    return 0;
}

/* ---- Where the page begins ---- */

bool overview_cursor_parse(const char *text, struct arena *mem, struct summary_page *out)
{
    size_t rank_len = strcspn(text, ".");
    const char *changed = text[rank_len] ? text + rank_len + 1 : "";
    size_t changed_len = strcspn(changed, ".");
    const char *app = changed[changed_len] ? changed + changed_len + 1 : "";
    struct err e = { 0 };
    int64_t rank = 0;

    if (!text_parse_int(arena_copy_n(mem, text, rank_len), 0, RANK_MAX, &rank) ||
        !text_parse_int(arena_copy_n(mem, changed, changed_len), 0, INT64_MAX, &out->after_changed) ||
        app_check_name(app, &e))
        return false;
    out->after_rank = (int)rank;
    out->after_app = arena_copy(mem, app);
    return true;
}

/* The router has checked both. */
static struct summary_page page_wanted(struct request *request, enum app_condition *only)
{
    struct summary_page page = { .limit = OVERVIEW_PAGE + 1 };
    const char *condition = request_query(request, "only");
    const char *after = request_query(request, "after");

    if (condition && app_condition_parse(condition, only))
        page.only = only;
    if (after)
        (void)overview_cursor_parse(after, request->mem, &page);
    return page;
}

static const char *next_url(const struct app_summary *last, const struct summary_page *page, struct arena *mem)
{
    return arena_printf(mem, "/?%s%s%safter=%d.%lld.%s", page->only ? "only=" : "",
                        page->only ? app_condition_name(*page->only) : "", page->only ? "&" : "", last->rank,
                        (long long)last->changed, last->app);
}

/* ---- The counts on top are the filters ---- */

static json_object *count_of(const char *url, const char *mark, const char *word, int64_t number, bool current)
{
    json_object *one = json_build("{s:s, s:s, s:s, s:s, s:I}", "url", url, "mark", mark, "word", word, "class",
                                  current ? "current" : "", "number", number);

    json_put(one, "current", current ? json_text("true") : json_build("b", 0));
    return one;
}

static json_object *counts_of(const struct app_counts *counts, const struct summary_page *page, struct arena *mem)
{
    json_object *rows = json_new_array();

    json_append(rows, count_of("/", "mark", "All", counts->all, !page->only));
    for (int i = 0; i < APP_CONDITION_COUNT; i++) {
        enum app_condition condition = (enum app_condition)i;
        struct mark mark = mark_of_condition(condition);
        bool current = page->only && *page->only == condition;
        if (counts->of[i] > 0 || current)
            json_append(rows, count_of(arena_printf(mem, "/?only=%s", app_condition_name(condition)), mark.class_name,
                                       mark.word, counts->of[i], current));
    }
    return rows;
}

/* "3 need you, 2 are moving" */
static const char *sum_up(const struct app_counts *counts, struct arena *mem)
{
    long long failed = counts->of[APP_FAILED], moving = counts->of[APP_MOVING] + counts->of[APP_QUEUED];
    const char *needs = failed == 1 ? "needs" : "need", *is = moving == 1 ? "is" : "are";

    if (failed && moving)
        return arena_printf(mem, "%lld %s you, %lld %s on the way", failed, needs, moving, is);
    if (failed)
        return arena_printf(mem, "%lld %s you", failed, needs);
    return moving ? arena_printf(mem, "%lld %s on the way", moving, is) : "";
}

int overview_model(struct admin *admin, struct db *db, struct request *request, json_object **model, struct err *e)
{
    AUTO_JSON json_object *rows = json_new_array();
    enum app_condition only = APP_FAILED;
    struct summary_page page = page_wanted(request, &only);
    struct app_summary *all = NULL;
    struct app_counts counts = { 0 };
    struct arena *mem = request->mem;
    size_t count = 0;

    if (app_count(db, &counts, e) || app_summaries(db, &page, mem, &all, &count, e))
        return e->code;
    bool more = count > OVERVIEW_PAGE;
    size_t shown = more ? OVERVIEW_PAGE : count;
    for (size_t i = 0; i < shown; i++) {
        json_object *row = NULL;
        if (row_of(admin, &all[i], mem, &row, e))
            return e->code;
        json_append(rows, row);
    }
    *model = json_build("{s:s, s:o, s:O, s:b, s:b, s:b, s:s, s:b, s:s, s:b}", "summary", sum_up(&counts, mem), "counts",
                        counts_of(&counts, &page, mem), "apps", rows, "empty", counts.all == 0, "none_here",
                        counts.all > 0 && shown == 0, "more", more, "next",
                        more ? next_url(&all[shown - 1], &page, mem) : "/", "later", page.after_app != NULL, "first",
                        page.only ? arena_printf(mem, "/?only=%s", app_condition_name(only)) : "/", "moving",
                        counts.of[APP_MOVING] + counts.of[APP_QUEUED] > 0);
    return 0;
}
