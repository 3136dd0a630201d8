/* /deliveries: each proven delivery, newest first, with what came of it. */
#include <string.h>

#include "core/tenant/app.h"
#include "fcgi/admin.h"
#include "fcgi/admin_delivery_words.h"
#include "fcgi/admin_lists.h"

enum { TITLE_SHOWN = 120, NAME_SHOWN = 60 }; /* bytes */

struct asked {
    const char *app, *search, *only, *after; /* NULL: not asked for */
    enum delivery_outcome outcome;
};

/* ---- What is asked for ---- */

bool deliveries_is_outcome(const char *text)
{
    enum delivery_outcome outcome;

    return !*text || delivery_outcome_parse(text, &outcome);
}

/* The search takes an app's name too: then it is a filter, as an app's own link is. */
static int take_app(struct db *db, struct arena *mem, struct asked *asked, struct err *e)
{
    struct err none = { 0 };
    struct app app = { 0 };

    if (asked->app || !asked->search || app_check_name(asked->search, &none))
        return 0;
    if (app_get(db, asked->search, mem, &app, &none))
        return none.code == ERR_NOT_FOUND ? 0 : err_set(e, none.code, "%s", none.message);
    asked->app = asked->search;
    asked->search = NULL;
    return 0;
}

static int read_asked(struct db *db, struct request *request, struct asked *out, struct err *e)
{
    *out = (struct asked){ .app = list_asked(request, "app"),
                           .search = list_asked(request, "q"),
                           .only = list_asked(request, "only"),
                           .after = list_asked(request, "after") };
    if (out->only)
        (void)delivery_outcome_parse(out->only, &out->outcome);
    return take_app(db, request->mem, out, e);
}

static const char *url_of(const struct asked *asked, const char *only, const char *after, struct arena *mem)
{
    return list_url(
        mem, "/deliveries",
        (const struct list_part[]){
            { "only", only }, { "app", asked->app }, { "q", asked->search }, { "after", after }, { NULL, NULL } });
}

/* ---- Rows ---- */

/* What was pushed: a commit and its title, or the event. */
static const char *what_of(const struct delivery_entry *entry, struct arena *mem)
{
    if (entry->commit_title && *entry->commit_title)
        return list_short(mem, entry->commit_title, TITLE_SHOWN);
    if (entry->commit_sha)
        return "";
    return arena_printf(mem, "%s", strcmp(entry->event, "push") ? entry->event : "a push without a commit");
}

static json_object *row_of(struct admin *admin, const struct delivery_context *context,
                           const struct delivery_entry *entry, struct arena *mem)
{
    struct list_time time = list_time(mem, entry->received_at, clock_now_ms(admin->clock));
    const char *url = delivery_url(entry->app, entry->id, mem);
    const char *run = entry->outcome == DELIVERY_LIMITED ? "Run now" : "Run again";
    bool again = delivery_may_differ(context, entry);

    return json_build("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:i, s:s, s:s, s:s, s:s, s:s, s:s}", "at",
                      text_or_empty(entry->received_at), "time", time.time, "day", time.day, "app", entry->app,
                      "app_url", arena_printf(mem, "/apps/%s", entry->app), "commit",
                      short_commit(entry->commit_sha, mem), "what", what_of(entry, mem), "by",
                      list_short(mem, entry->pushed_by, NAME_SHOWN), "branch",
                      list_short(mem, entry->branch, NAME_SHOWN), "told", delivery_told(context, entry, mem), "answer",
                      delivery_answered(entry->outcome), "id", short_delivery(entry->id, mem), "whole_id", entry->id,
                      "url", url, "run", again ? arena_printf(mem, "%s/run-again", url) : "", "run_word", run,
                      "run_label", arena_printf(mem, "%s delivery %s", run, short_delivery(entry->id, mem)));
}

static int put_rows(struct admin *admin, struct db *db, const struct asked *asked, struct arena *mem,
                    json_object *model, struct err *e)
{
    const struct delivery_page page = { .app = asked->app,
                                        .outcome = asked->only ? &asked->outcome : NULL,
                                        .search = asked->search,
                                        .after = asked->after,
                                        .limit = LIST_PAGE };
    struct delivery_context *context = NULL;
    json_object *rows = json_new_array();
    struct delivery_list list = { 0 };

    json_put(model, "rows", rows);
    if (delivery_list(db, &page, mem, &list, e) ||
        delivery_context_read(db, list.entries, list.count, mem, &context, e))
        return e->code;
    for (size_t i = 0; i < list.count; i++)
        json_append(rows, row_of(admin, context, &list.entries[i], mem));
    bool narrowed = asked->app || asked->only || asked->search || asked->after;
    json_put(model, "empty", json_build("b", list.count == 0 && !narrowed));
    json_put(model, "none_here", json_build("b", list.count == 0 && narrowed));
    json_put(model, "has_rows", json_build("b", list.count > 0));
    json_put(model, "searched",
             json_text(list.more && list.count < LIST_PAGE
                           ? arena_printf(mem, "Found among the newest %s; older ones may match too.",
                                          list_number(mem, DELIVERY_WINDOW))
                           : ""));
    json_put(model, "newest", json_text(asked->after ? url_of(asked, asked->only, NULL, mem) : ""));
    json_put(model, "older", json_text(list.more ? url_of(asked, asked->only, list.more, mem) : ""));
    return 0;
}

/* ---- Counts, which are the filters ---- */

static void put_counts(const struct delivery_counts *counts, const struct asked *asked, struct arena *mem,
                       json_object *model)
{
    json_object *rows = json_new_array();
    const char *all = list_number(mem, counts->all);

    json_append(rows, list_filter(mem, url_of(asked, NULL, NULL, mem), "mark", "All", counts->all, !asked->only));
    for (int i = 0; i < DELIVERY_OUTCOME_COUNT; i++) {
        enum delivery_outcome outcome = (enum delivery_outcome)i;
        struct mark mark = mark_of_delivery(outcome);
        bool current = asked->only && asked->outcome == outcome;
        json_append(rows, list_filter(mem, url_of(asked, delivery_outcome_name(outcome), NULL, mem), mark.class_name,
                                      mark.word, counts->of[i], current));
    }
    json_put(model, "counts", rows);
    json_put(model, "summary",
             json_text(arena_printf(mem, "%s%s proven in the last 24 h; what proves nothing is refused and not listed",
                                    counts->capped ? "more than " : "", all)));
}

static const char *hook_url(const struct admin *admin, struct arena *mem)
{
    const char *base = admin->settings->hooks_url;

    return arena_printf(mem, "%s/hooks/github/{app}", base ? base : "https://{this host}");
}

int deliveries_model(struct admin *admin, struct db *db, struct request *request, json_object **model, struct err *e)
{
    AUTO_JSON json_object *made = json_new_object();
    struct delivery_counts counts = { 0 };
    struct arena *mem = request->mem;
    struct asked asked = { 0 };

    if (read_asked(db, request, &asked, e) || put_rows(admin, db, &asked, mem, made, e) ||
        delivery_count(db, asked.app, &counts, e))
        return e->code;
    put_counts(&counts, &asked, mem, made);
    json_put(made, "app", json_text(text_or_empty(asked.app)));
    json_put(made, "app_url", json_text(asked.app ? arena_printf(mem, "/apps/%s", asked.app) : ""));
    json_put(made, "all_url",
             json_text(list_url(
                 mem, "/deliveries",
                 (const struct list_part[]){ { "only", asked.only }, { "q", asked.search }, { NULL, NULL } })));
    json_put(made, "q", json_text(text_or_empty(asked.search)));
    json_put(made, "only", json_text(text_or_empty(asked.only)));
    json_put(made, "hook_url", json_text(hook_url(admin, mem)));
    admin_put_token(admin, request, made, "run_again");
    *model = json_hold(made);
    return 0;
}
