/* /: every app in a line, who needs an operator first. */
#include <string.h>

#include "core/base/text.h"
#include "core/deploy/release_story.h"
#include "core/tenant/app.h"
#include "fcgi/admin.h"
#include "fcgi/admin_lists.h"
#include "fcgi/admin_use.h"
#include "fcgi/admin_words.h"
#include "fcgi/when.h"

enum { OVERVIEW_PAGE = 30, RANK_MAX = 9 };
#define CHANGED_MAX                                                                                                    \
    INT64_C(253402300800000000) /* microseconds: the year 10000, past which app_summaries orders nothing */

static const char *ago(struct admin *admin, const char *at, struct arena *mem)
{
    return when_ago(mem, at, clock_now_ms(admin->clock));
}

static const char *paused_note(struct admin *admin, const struct app_summary *a, struct arena *mem)
{
    if (strcmp(a->state, "paused") != 0)
        return "being destroyed";
    return a->paused_by ? arena_printf(mem, "by @%s, %s", a->paused_by, ago(admin, a->paused_at, mem))
                        : "takes no push";
}

/* The column beside tells of the live one. */
static const char *live_note(struct admin *admin, const struct app_summary *a, struct arena *mem)
{
    if (a->newest_release == a->live_release)
        return arena_printf(mem, "%d task%s", a->live_tasks, a->live_tasks == 1 ? "" : "s");
    return arena_printf(mem, "%s, %s", text_or_empty(a->newest_state), ago(admin, a->newest_at, mem));
}

/* A word for where the app is, and what tells it from others in that condition. */
static void tell_condition(struct admin *admin, const struct app_summary *a, struct arena *mem, const char **word,
                           const char **note)
{
    enum step_name step = STEP_SOURCE;

    switch (a->condition) {
    case APP_FAILED:
        *note = arena_printf(mem, "at %s, %s", text_or_empty(a->newest_step), ago(admin, a->newest_at, mem));
        return;
    case APP_OVER_QUOTA:
        *note = a->refused_at ? arena_printf(mem, "push refused, %s", ago(admin, a->refused_at, mem))
                              : "uses more than its quota";
        return;
    case APP_MOVING:
        if (step_parse(a->moving_step, &step))
            *word = moving_word(step);
        *note = arena_printf(mem, "begun %s", ago(admin, a->moving_since, mem));
        return;
    case APP_QUEUED:
        *note = arena_printf(mem, "pushed %s", ago(admin, a->newest_at, mem));
        return;
    case APP_PAUSED:
        if (strcmp(a->state, "paused") != 0)
            *word = "Going away";
        *note = paused_note(admin, a, mem);
        return;
    case APP_LIVE:
        *note = live_note(admin, a, mem);
        return;
    case APP_NONE:
        *note = a->newest_release ? "nothing is live" : "waits for its first push";
        return;
    case APP_CONDITION_COUNT:
        return;
    }
}

/* The release that the note is about; 0: none. */
static int told_release(const struct app_summary *a)
{
    switch (a->condition) {
    case APP_MOVING:
        return a->moving_release;
    case APP_OVER_QUOTA:
    case APP_PAUSED:
        return 0;
    case APP_LIVE:
        return a->newest_release == a->live_release ? 0 : a->newest_release;
    default:
        return a->newest_release;
    }
}

static json_object *condition_of(struct admin *admin, const struct app_summary *a, struct arena *mem)
{
    struct mark mark = mark_of_condition(a->condition);
    int number = told_release(a);
    const char *note = "";

    tell_condition(admin, a, mem, &mark.word, &note);
    return json_build("{s:s, s:s, s:s, s:s, s:s}", "mark", mark.class_name, "word", mark.word, "note", note, "number",
                      number ? arena_printf(mem, "v%d", number) : "", "url",
                      arena_printf(mem, "/apps/%s/releases/%d", a->app, number));
}

/* ---- The last ten ---- */

static struct mark mark_at(const json_object *last, size_t i, int live, struct arena *mem, int *number)
{
    const json_object *one = json_item(last, i);

    *number = (int)json_find_int(one, "/number", 0);
    return mark_of(json_find_text(one, "/state", mem), json_find_text(one, "/kind", mem), *number, live);
}

/* The marks' words for who doesn't see them, newest first and equal ones together: "v57 failed, v56 live, v55 to v50 went live". */
static const char *marks_label(const json_object *last, int live, struct arena *mem)
{
    AUTO_BUF struct buf out = { 0 };
    size_t i = json_length(last);

    while (i > 0) {
        int newest = 0, oldest = 0, number = 0;
        struct mark mark = mark_at(last, --i, live, mem, &newest);
        oldest = newest;
        while (i > 0 && !strcmp(mark_at(last, i - 1, live, mem, &number).word, mark.word)) {
            oldest = number;
            i--;
        }
        buf_printf(&out, out.len ? ", v%d" : "v%d", newest);
        if (oldest != newest)
            buf_printf(&out, " to v%d", oldest);
        buf_printf(&out, " %s", mark.word);
    }
    return arena_copy(mem, buf_text(&out));
}

/* A list of one, or of none. */
static int history_of(const struct app_summary *a, struct arena *mem, json_object *history, struct err *e)
{
    AUTO_JSON json_object *last = NULL, *marks = json_new_array();
    int number = 0;

    if (!a->last)
        return 0;
    if (json_parse(a->last, strlen(a->last), &last, e))
        return e->code;
    for (size_t i = 0; i < json_length(last); i++)
        json_append(marks, json_build("{s:s}", "mark", mark_at(last, i, a->live_release, mem, &number).class_name));
    json_append(history, json_build("{s:s, s:O}", "label", marks_label(last, a->live_release, mem), "marks", marks));
    return 0;
}

/* ---- A row ---- */

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

static json_object *uses_of(const struct app_summary *a, struct arena *mem)
{
    json_object *uses = json_new_array();
    const struct use cpu = {
        .title = "CPU units", .used = a->cpu_units.used, .limit = a->cpu_units.limit, .rolling = a->cpu_units.rolling
    };
    const struct use memory = { .title = "Memory, MiB",
                                .used = a->memory_mib.used,
                                .limit = a->memory_mib.limit,
                                .rolling = a->memory_mib.rolling };
    json_object *one = use_model(&cpu, mem);

    json_put(one, "short", json_text("CPU"));
    json_append(uses, one);
    one = use_model(&memory, mem);
    json_put(one, "short", json_text("MiB"));
    json_append(uses, one);
    return uses;
}

static int row_of(struct admin *admin, const struct app_summary *a, struct arena *mem, json_object **out, struct err *e)
{
    AUTO_JSON json_object *history = json_new_array();
    const char *host = admin_host(admin, a->app, a->host, mem);

    if (history_of(a, mem, history, e))
        return e->code;
    *out = json_build("{s:s, s:s, s:s, s:s, s:o, s:o, s:b, s:b, s:O, s:o}", "app", a->app, "url",
                      arena_printf(mem, "/apps/%s", a->app), "host", host, "address",
                      arena_printf(mem, "https://%s/", host), "condition", condition_of(admin, a, mem), "live",
                      live_of(admin, a, mem), "is_live", a->live_release > 0, "is_new", a->newest_release == 0,
                      "history", history, "uses", uses_of(a, mem));
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
        !text_parse_int(arena_copy_n(mem, changed, changed_len), 0, CHANGED_MAX, &out->after_changed) ||
        app_check_name(app, &e))
        return false;
    out->after_rank = (int)rank;
    out->after_app = arena_copy(mem, app);
    return true;
}

/* The router has checked them. */
static struct summary_page page_wanted(struct request *request, enum app_condition *only)
{
    struct summary_page page = { .limit = OVERVIEW_PAGE + 1, .search = list_asked(request, "q") };
    const char *condition = request_query(request, "only");
    const char *after = request_query(request, "after");

    if (condition && app_condition_parse(condition, only))
        page.only = only;
    if (after)
        (void)overview_cursor_parse(after, request->mem, &page);
    return page;
}

static const char *url_of(const char *only, const char *search, const char *after, struct arena *mem)
{
    const struct list_part parts[] = { { "only", only }, { "q", search }, { "after", after }, { NULL, NULL } };

    return list_url(mem, "/", parts);
}

static const char *only_of(const struct summary_page *page)
{
    return page->only ? app_condition_name(*page->only) : NULL;
}

static const char *next_url(const struct app_summary *last, const struct summary_page *page, struct arena *mem)
{
    const char *after = arena_printf(mem, "%d.%lld.%s", last->rank, (long long)last->changed, last->app);

    return url_of(only_of(page), page->search, after, mem);
}

/* ---- The counts on top are the filters ---- */

static json_object *counts_of(const struct app_counts *counts, const struct summary_page *page, struct arena *mem)
{
    json_object *rows = json_new_array();

    json_append(rows, list_filter(mem, url_of(NULL, page->search, NULL, mem), "mark", "All", counts->all, !page->only));
    for (int i = 0; i < APP_CONDITION_COUNT; i++) {
        enum app_condition condition = (enum app_condition)i;
        struct mark mark = mark_of_condition(condition);
        bool current = page->only && *page->only == condition;
        if (counts->of[i] > 0 || current)
            json_append(rows, list_filter(mem, url_of(app_condition_name(condition), page->search, NULL, mem),
                                          mark.class_name, mark.word, counts->of[i], current));
    }
    return rows;
}

/* "3 need you, 2 are moving" */
static const char *sum_up(const struct app_counts *counts, struct arena *mem)
{
    long long needy = counts->of[APP_FAILED] + counts->of[APP_OVER_QUOTA];
    long long moving = counts->of[APP_MOVING] + counts->of[APP_QUEUED];
    const char *needs = needy == 1 ? "needs" : "need", *is = moving == 1 ? "is" : "are";

    if (needy && moving)
        return arena_printf(mem, "%lld %s you, %lld %s on the way", needy, needs, moving, is);
    if (needy)
        return arena_printf(mem, "%lld %s you", needy, needs);
    return moving ? arena_printf(mem, "%lld %s on the way", moving, is) : "";
}

static const char *nothing_found(const struct summary_page *page, struct arena *mem)
{
    if (page->search)
        return arena_printf(mem, "No app%s has \"%s\" in its name, repository or address, or as its live commit.",
                            page->only ? " in this condition" : "", page->search);
    return "No app is in this condition now.";
}

static int rows_of(struct admin *admin, const struct app_summary *all, size_t shown, struct arena *mem,
                   json_object *rows, struct err *e)
{
    for (size_t i = 0; i < shown; i++) {
        json_object *row = NULL;
        if (row_of(admin, &all[i], mem, &row, e))
            return e->code;
        json_append(rows, row);
    }
    return 0;
}

int overview_version(struct admin *admin, struct db *db, struct request *request, const char **version, struct err *e)
{
    (void)admin;
    return page_version_overview(db, request->mem, version, e);
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

    if (app_overview(db, &page, mem, &all, &count, &counts, e))
        return e->code;
    bool more = count > OVERVIEW_PAGE, empty = counts.all == 0 && !page.search;
    size_t shown = more ? OVERVIEW_PAGE : count;
    if (rows_of(admin, all, shown, mem, rows, e))
        return e->code;
    *model = json_build("{s:s, s:o, s:O, s:b, s:b, s:s, s:b, s:s, s:b, s:s, s:b, s:s, s:s, s:s, s:s}", "summary",
                        sum_up(&counts, mem), "counts", counts_of(&counts, &page, mem), "apps", rows, "empty", empty,
                        "none_here", !empty && shown == 0, "nothing_found", nothing_found(&page, mem), "more", more,
                        "next", more ? next_url(&all[shown - 1], &page, mem) : "/", "later", page.after_app != NULL,
                        "first", url_of(only_of(&page), page.search, NULL, mem), "moving",
                        counts.of[APP_MOVING] + counts.of[APP_QUEUED] > 0, "search", text_or_empty(page.search), "only",
                        text_or_empty(only_of(&page)), "hooks_url",
                        admin->settings->hooks_url ? admin->settings->hooks_url : "https://YOUR-BERTH-HOST",
                        "first_host", admin_host(admin, "hello", NULL, mem));
    return 0;
}
