/* /audit and /audit.csv: who changed what, from what to what. */
#include <inttypes.h>
#include <string.h>

#include "core/base/text.h"
#include "core/deploy/audit.h"
#include "fcgi/admin.h"
#include "fcgi/admin_lists.h"
#include "fcgi/admin_words.h"
#include "fcgi/link.h"
#include "fcgi/when.h"

enum {
    CHANGES_SHOWN = 12,
    VALUE_SHOWN = 160,           /* bytes */
    CSV_ROWS = 10000,            /* of one answer */
    CSV_PAGE_ROOM = 1024 * 1024, /* what the answer has left when another page is read */
    ACTOR_MAX = 200,
    ACTION_MAX = 64
};

/* ---- What is asked for ---- */

static bool is_short_text(const char *text, size_t max)
{
    size_t len = strlen(text);

    return len <= max && text_is_utf8(text, len) && !text_has_control(text, len);
}

bool audit_is_actor(const char *text)
{
    return is_short_text(text, ACTOR_MAX);
}

bool audit_is_action(const char *text)
{
    return strlen(text) <= ACTION_MAX && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == strlen(text);
}

/* "" or a day, "2026-11-23", as <input type="date"> sends it. */
bool audit_is_day(const char *text)
{
    AUTO_ARENA struct arena *mem = arena_new();

    return !*text || (strlen(text) == strlen("2026-11-23") && when_parse(arena_printf(mem, "%sT00:00:00Z", text)) >= 0);
}

static struct audit_page page_wanted(struct request *request)
{
    const char *after = list_asked(request, "after");
    struct link_cursor cursor = { 0 };
    struct audit_page page = { .app = list_asked(request, "app"),
                               .actor = list_asked(request, "actor"),
                               .action = list_asked(request, "action"),
                               .since = list_asked(request, "since"),
                               .until = list_asked(request, "until"),
                               .limit = LIST_PAGE };

    if (after && link_cursor_parse(after, request->mem, &cursor))
        page.after = cursor.number;
    return page;
}

static const char *url_of(const char *path, const struct audit_page *page, int64_t after, struct arena *mem)
{
    const struct link_cursor cursor = { .number = after, .name = "" };

    return list_url(mem, path,
                    (const struct list_part[]){ { "app", page->app },
                                                { "actor", page->actor },
                                                { "action", page->action },
                                                { "since", page->since },
                                                { "until", page->until },
                                                { "after", after ? link_cursor_text(&cursor, mem) : NULL },
                                                { NULL, NULL } });
}

/* ---- Words ---- */

static const char *action_word(const char *action)
{
    static const struct {
        const char *action, *word;
    } words[] = {
        { "app.create", "Created the app" },
        { "app.update", "Changed settings" },
        { "app.deploy", "Deployed" },
        { "app.rollback", "Rolled back" },
        { "app.cancel", "Cancelled" },
        { "app.pause", "Paused the app" },
        { "app.resume", "Resumed the app" },
        { "app.secret", "Made a new webhook secret" },
        { "app.destroy", "Began to destroy the app" },
        { "app.destroyed", "The app is destroyed" },
        { "app.reconcile", "Reconciled with AWS" },
        { "limits.set", "Changed limits" },
        { "quota.set", "Changed quotas" },
        { "ratelimit.set", "Changed the rate limit" },
        { "delivery.run_again", "Ran a delivery again" },
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(words[i].action, action))
            return words[i].word;
    return action;
}

/* "health_check_path" as "health check path", "cpu_units" as "CPU units"; below another member "quotas, tasks". */
static const char *member_word(const char *within, const char *name, struct arena *mem)
{
    const char *before = text_starts(name, "cpu_") ? "CPU" : "";
    const char *after = text_ends(name, "_mib") ? "MiB" : "";
    int middle = (int)(strlen(name) - strlen(before) - strlen(after));
    char *word =
        arena_printf(mem, "%s%s%s%.*s%s", within, *within ? ", " : "", before, middle, name + strlen(before), after);

    for (char *c = word; *c; c++)
        if (*c == '_')
            *c = ' ';
    return word;
}

static const char *value_text(const json_object *value, struct arena *mem)
{
    if (!value)
        return "";
    return list_short(mem, json_is_text(value) ? json_find_text(value, "", mem) : json_to_text(value, mem),
                      VALUE_SHOWN);
}

/* ---- Before and after: only what differs ---- */

struct comparison {
    struct arena *mem;
    json_object *rows; /* {name, before, after, became}; at most CHANGES_SHOWN */
    size_t count;
};

static void compare(struct comparison *c, const char *within, const json_object *before, const json_object *after,
                    int depth);

/* is_told: after has the member, if only as null. Of one that it lacks it isn't said what became of it. */
static void compare_member(struct comparison *c, const char *within, const char *name, const json_object *before,
                           const json_object *after, bool is_told, int depth)
{
    const char *was = value_text(before, c->mem), *is = value_text(after, c->mem);
    bool nested = (json_is_object(before) || !before) && (json_is_object(after) || !after);

    if (nested && depth < 2) {
        compare(c, member_word(within, name, c->mem), before, after, depth + 1);
        return;
    }
    if (before && after && !strcmp(json_to_text(before, c->mem), json_to_text(after, c->mem)))
        return;
    if (c->count++ < CHANGES_SHOWN)
        json_append(c->rows, json_build("{s:s, s:s, s:s, s:b}", "name", member_word(within, name, c->mem), "before",
                                        was, "after", is, "became", *was && is_told));
}

static bool has_member(const json_object *object, const char *name)
{
    for (struct json_member m = json_first(object); m.name; m = json_next(m))
        if (strcmp(m.name, name) == 0)
            return true;
    return false;
}

static void compare(struct comparison *c, const char *within, const json_object *before, const json_object *after,
                    int depth)
{
    if (json_is_object(before))
        for (struct json_member m = json_first(before); m.name; m = json_next(m))
            compare_member(c, within, m.name, m.value, json_get(after, m.name), has_member(after, m.name), depth);
    if (json_is_object(after))
        for (struct json_member m = json_first(after); m.name; m = json_next(m))
            if (!json_is_object(before) || !json_get(before, m.name))
                compare_member(c, within, m.name, NULL, m.value, true, depth);
}

static int put_changes(const struct audit_entry *entry, struct arena *mem, json_object *row, struct err *e)
{
    AUTO_JSON json_object *before = NULL;
    AUTO_JSON json_object *after = NULL;
    struct comparison c = { .mem = mem, .rows = json_new_array() };

    json_put(row, "changes", c.rows);
    if ((entry->before && json_parse(entry->before, strlen(entry->before), &before, e)) ||
        (entry->after && json_parse(entry->after, strlen(entry->after), &after, e)))
        return e->code;
    compare(&c, "", before, after, 0);
    json_put(row, "more_changes",
             json_text(c.count > CHANGES_SHOWN ? arena_printf(mem, "and %zu more, in the CSV", c.count - CHANGES_SHOWN)
                                               : ""));
    return 0;
}

/* ---- The page ---- */

static int row_of(struct admin *admin, const struct audit_entry *entry, const struct audit_page *page,
                  struct arena *mem, json_object **out, struct err *e)
{
    struct list_time time = list_time(mem, entry->at, clock_now_ms(admin->clock));
    struct audit_page by_actor = *page;
    AUTO_JSON json_object *row = NULL;

    by_actor.actor = entry->actor;
    row = json_build("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "at", text_or_empty(entry->at), "time", time.time,
                     "day", time.day, "actor", entry->actor, "actor_url", url_of("/audit", &by_actor, 0, mem), "word",
                     action_word(entry->action), "action", entry->action, "app", text_or_empty(entry->app), "app_url",
                     entry->app ? arena_printf(mem, "/apps/%s", entry->app) : "");
    if (put_changes(entry, mem, row, e))
        return e->code;
    *out = json_hold(row);
    return 0;
}

static json_object *choices_of(const char **names, size_t count, const char *chosen, bool words)
{
    json_object *rows = json_new_array();

    for (size_t i = 0; i < count; i++)
        json_append(rows,
                    json_build("{s:s, s:s, s:b}", "value", names[i], "word", words ? action_word(names[i]) : names[i],
                               "selected", chosen && !strcmp(names[i], chosen)));
    return rows;
}

static int put_choices(struct db *db, const struct audit_page *page, struct arena *mem, json_object *model,
                       struct err *e)
{
    const char **actors = NULL, **actions = NULL;
    size_t actor_count = 0, action_count = 0;

    if (audit_choices(db, mem, &actors, &actor_count, &actions, &action_count, e))
        return e->code;
    json_put(model, "actors", choices_of(actors, actor_count, page->actor, false));
    json_put(model, "actions", choices_of(actions, action_count, page->action, true));
    return 0;
}

static int put_rows(struct admin *admin, struct db *db, const struct audit_page *page, struct arena *mem,
                    json_object *model, struct err *e)
{
    json_object *rows = json_new_array();
    struct audit_entry *entries = NULL;
    size_t count = 0;
    bool more = false;

    json_put(model, "rows", rows);
    if (audit_list(db, page, mem, &entries, &count, &more, e))
        return e->code;
    for (size_t i = 0; i < count; i++) {
        json_object *row = NULL;
        if (row_of(admin, &entries[i], page, mem, &row, e))
            return e->code;
        json_append(rows, row);
    }
    bool narrowed = page->app || page->actor || page->action || page->since || page->until || page->after;
    json_put(model, "narrowed", json_build("b", narrowed));
    json_put(model, "has_rows", json_build("b", count > 0));
    json_put(model, "empty", json_build("b", count == 0 && !narrowed));
    json_put(model, "none_here", json_build("b", count == 0 && narrowed));
    json_put(model, "older", json_text(more ? url_of("/audit", page, entries[count - 1].id, mem) : ""));
    json_put(model, "newest", json_text(page->after ? url_of("/audit", page, 0, mem) : ""));
    return 0;
}

int audit_model(struct admin *admin, struct db *db, struct request *request, json_object **model, struct err *e)
{
    AUTO_JSON json_object *made = json_new_object();
    struct audit_page page = page_wanted(request);
    struct arena *mem = request->mem;

    if (put_rows(admin, db, &page, mem, made, e) || put_choices(db, &page, mem, made, e))
        return e->code;
    json_put(made, "app", json_text(text_or_empty(page.app)));
    json_put(made, "since", json_text(text_or_empty(page.since)));
    json_put(made, "until", json_text(text_or_empty(page.until)));
    json_put(made, "csv", json_text(url_of("/audit.csv", &page, 0, mem)));
    json_put(made, "csv_rows", json_text(list_number(mem, CSV_ROWS)));
    *model = json_hold(made);
    return 0;
}

/* ---- CSV ---- */

/* A line of as many cells as the headings have, whose first says that the rest is missing: a file that is opened later has no header of HTTP. */
static void add_cut_line(struct response *response, const char *headings, int64_t rows, struct arena *mem)
{
    buf_printf(&response->body, "\"Cut: these are the newest %s rows; narrow the dates for the others\"",
               list_number(mem, rows));
    for (const char *c = headings; *c && *c != '\r' && *c != '\n'; c++)
        if (*c == ',')
            buf_add_char(&response->body, ',');
    buf_add_text(&response->body, "\r\n");
}

static int write_rows(struct db *db, struct audit_page *page, struct response *response, bool *more, int64_t *written,
                      struct err *e)
{
    for (*more = true; *more && *written < CSV_ROWS && response->body.len + CSV_PAGE_ROOM < response->body.max;) {
        AUTO_ARENA struct arena *mem = arena_new(); /* the answer alone grows with its rows */
        struct audit_entry *entries = NULL;
        size_t count = 0;
        if (audit_list(db, page, mem, &entries, &count, more, e))
            return e->code;
        audit_csv(entries, count, *written == 0, &response->body);
        *written += (int64_t)count;
        page->after = count ? entries[count - 1].id : page->after;
    }
    return 0;
}

int audit_csv_reply(struct admin *admin, struct db *db, struct request *request, struct response *response,
                    struct err *e)
{
    struct audit_page page = page_wanted(request);
    struct arena *mem = request->mem;
    int64_t written = 0;
    bool more = false;

    (void)admin;
    page.limit = 200;
    if (write_rows(db, &page, response, &more, &written, e))
        return e->code;
    if (more) {
        add_cut_line(response, arena_copy_n(mem, buf_text(&response->body), strcspn(buf_text(&response->body), "\r\n")),
                     written, mem);
        response_header(response, "Link",
                        arena_printf(mem, "<%s>; rel=\"next\"", url_of("/audit.csv", &page, page.after, mem)));
    }
    if (response->body.failed)
        return err_set(e, ERR_NO_MEMORY, "the CSV is larger than %zu bytes", response->body.max);
    response->content_type = "text/csv; charset=utf-8; header=present";
    response_header(response, "Content-Disposition", "attachment; filename=\"berth-audit.csv\"");
    return 0;
}
