#include "fcgi/admin_limit_form.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "core/base/text.h"
#include "core/tenant/limit.h"
#include "fcgi/admin_edits.h"
#include "fcgi/admin_lists.h"
#include "fcgi/admin_use.h"
#include "fcgi/admin_words.h"
#include "fcgi/when.h"

/* What one form page is made from. */
struct page {
    struct admin *admin;
    struct db *db;
    struct form *form; /* NULL: nothing was sent */
    const char *app;   /* NULL: the defaults */
    struct arena *mem;
    struct limits now, then;
    bool edited[LIMIT_COUNT]; /* what was sent is another value than was shown */
    bool focused;             /* a field before has the focus */
};

/* ---- Fields ---- */

/* As the field and its was.* have it: "" for the default. */
static const char *value_text(int64_t value, struct arena *mem)
{
    return value == LIMIT_DEFAULT ? "" : arena_printf(mem, "%" PRId64, value);
}

static int64_t was_of(const struct form *form, const char *name, struct arena *mem)
{
    const char *text = edit_was(form, name, mem);
    int64_t value = 0;

    if (!text)
        return LIMIT_UNSEEN;
    if (!*text)
        return LIMIT_DEFAULT;
    return text_parse_int(text, 0, INT64_MAX, &value) ? value : LIMIT_UNSEEN;
}

/* limit_parse offers "default", which a default can't be. */
static void refuse(struct form *form, const char *name, bool of_app, const struct err *e)
{
    static const char offer[] = ", or \"default\"";
    const char *at = of_app ? NULL : strstr(e->message, offer);

    if (at)
        form_refuse(form, name, "%.*s%s", (int)(at - e->message), e->message, at + sizeof offer - 1);
    else
        form_refuse(form, name, "%s", e->message);
}

static bool read_value(struct form *form, enum limit limit, bool of_app, const char *text, int64_t *out)
{
    const char *name = limit_info(limit)->name;
    struct err e = { 0 };

    if (!*text && of_app) {
        *out = LIMIT_DEFAULT;
        return true;
    }
    if (limit_parse(limit, text, out, &e)) {
        refuse(form, name, of_app, &e);
        return false;
    }
    if (*out == LIMIT_DEFAULT && !of_app) {
        form_refuse(form, name, "Write a whole number: this is the default itself.");
        return false;
    }
    return true;
}

/* Only what its author changed is an edit. Wrong fields say so, and are none. */
static size_t edits_of(struct form *form, bool of_app, struct arena *mem, struct limit_edit edits[LIMIT_COUNT])
{
    size_t count = 0;

    for (int i = 0; i < LIMIT_COUNT; i++) {
        const char *name = limit_info((enum limit)i)->name, *text = edit_text(form, name, mem);
        struct limit_edit edit = { .limit = (enum limit)i, .was = was_of(form, name, mem) };
        if (!text || !read_value(form, (enum limit)i, of_app, text, &edit.value))
            continue;
        if (edit.value != edit.was)
            edits[count++] = edit;
    }
    return count;
}

/* ---- Saving ---- */

int limit_form_take(struct admin *admin, struct request *request, struct form *form, const char *app, const char *to,
                    struct admin_answer *answer, struct err *e)
{
    const char *what = form_text(form, "do");
    struct limit_edit edits[LIMIT_COUNT];
    struct limit_conflict conflicts[LIMIT_COUNT]; /* the page finds them anew, with what changed besides */
    size_t count = edits_of(form, app != NULL, request->mem, edits), conflict_count = 0;

    if (form->errors)
        return 0;
    if (!what || strcmp(what, "save") != 0) {
        answer->preview = true;
        return 0;
    }
    if (count > 0 &&
        limits_set(admin->db, app, request->remote_user, edits, count, request->mem, conflicts, &conflict_count, e))
        return e->code;
    answer->to = to;
    answer->notice = count == 0 ? NOTICE_LIMITS_SAME : app ? NOTICE_LIMITS_SAVED : NOTICE_DEFAULTS_SAVED;
    answer->values = (struct notice_values){ .app = app };
    return 0;
}

/* ---- A row ---- */

static int64_t value_of(const struct page *page, const struct limits *limits, enum limit limit)
{
    return page->app ? limits->of[limit].own : limits->of[limit].in_force;
}

static const char *shown(int64_t value, struct arena *mem)
{
    return value == LIMIT_DEFAULT ? "the default" : limit_number(mem, value);
}

/* What stands beside the field: what is in force before an edit, and what an empty field would mean. */
static const char *beside(const struct page *page, enum limit limit)
{
    const struct limit_state *now = &page->now.of[limit];
    const char *standard = limit_number(page->mem, now->standard);

    if (!page->app)
        return page->edited[limit] ? arena_printf(page->mem, "now %s", standard) : "";
    if (now->own == LIMIT_DEFAULT)
        return page->edited[limit] ? arena_printf(page->mem, "now %s, the default", standard)
                                   : arena_printf(page->mem, "the default, %s", standard);
    return page->edited[limit]
               ? arena_printf(page->mem, "now %s; default %s", limit_number(page->mem, now->own), standard)
               : arena_printf(page->mem, "default %s", standard);
}

static void put_field(struct page *page, enum limit limit, json_object *row)
{
    const char *name = limit_info(limit)->name, *error = form_error(page->form, name);
    const char *now = value_text(value_of(page, &page->now, limit), page->mem);

    json_put(row, "name", json_text(name));
    json_put(row, "value", json_text(edit_shown(page->form, name, now, page->mem)));
    json_put(row, "was_name", json_text(edit_was_name(name, page->mem)));
    json_put(row, "was", json_text(now));
    json_put(row, "beside", json_text(beside(page, limit)));
    json_put(row, "error", json_text(error));
    json_put(row, "error_id", json_text(arena_printf(page->mem, "error-%s", name)));
    json_put(row, "note_id", json_text(arena_printf(page->mem, "note-%s", name)));
    json_put(row, "now_id", json_text(arena_printf(page->mem, "now-%s", name)));
    json_put(row, "focus", json_build("b", *error && !page->focused));
    json_put(row, "invalid", *error ? json_text("true") : json_build("b", 0));
    json_put(
        row, "describedby",
        json_text(arena_printf(page->mem, *error ? "note-%s now-%s error-%s" : "note-%s now-%s", name, name, name)));
    json_put(row, "class", json_text(*error ? "wrong" : page->edited[limit] ? "edited" : ""));
    page->focused = page->focused || *error;
}

/* A bar and figures as they are; "66%" and "then 50%" with an edit. The mark's word tells the percent already. */
static json_object *use_of(const struct page *page, enum limit limit, const struct limit_effect *effect)
{
    const struct limit_state *now = &page->now.of[limit];
    const struct use use = { .title = limit_info(limit)->title,
                             .used = now->used,
                             .limit = now->in_force,
                             .rolling = limit <= LIMIT_TASKS ? now->used - now->base : 0 };
    json_object *one = use_model(&use, page->mem), *list = json_new_array();
    const char *then = strstr(effect->use, "then");
    bool marked = *json_find_text(one, "/word", page->mem) != '\0';

    json_put(one, "now",
             json_text(then && !marked ? arena_copy_n(page->mem, effect->use, (size_t)(then - effect->use - 1)) : ""));
    json_put(one, "then", json_text(then ? then : ""));
    json_append(list, one);
    return list;
}

static json_object *row_of(struct page *page, enum limit limit)
{
    static const char *const stress[LIMIT_LEVEL_COUNT] = {
        [LIMIT_FREE] = "", [LIMIT_NEAR] = "mark warning near", [LIMIT_FULL] = "mark failed full"
    };
    const struct limit_info *info = limit_info(limit);
    struct limit_effect effect;
    json_object *row;

    limit_effect(&page->now, &page->then, limit, page->mem, &effect);
    row = json_build("{s:s, s:s, s:s, s:s}", "title", info->title, "note", info->note, "lead", effect.lead, "rest",
                     effect.rest);
    put_field(page, limit, row);
    if (page->app) {
        json_put(row, "effect", json_text(*effect.lead ? stress[effect.level] : ""));
        json_put(row, "use", use_of(page, limit, &effect));
        json_put(row, "placeholder", json_text(value_text(page->now.of[limit].standard, page->mem)));
    } else {
        json_put(
            row, "followers",
            json_text(arena_printf(page->mem, "%s of %s app%s", list_number(page->mem, page->now.of[limit].followers),
                                   list_number(page->mem, page->now.apps), page->now.apps == 1 ? "" : "s")));
    }
    return row;
}

static json_object *group_of(struct page *page, bool rate)
{
    json_object *rows = json_new_array();

    for (int i = 0; i < LIMIT_COUNT; i++)
        if (limit_info((enum limit)i)->rate == rate)
            json_append(rows, row_of(page, (enum limit)i));
    return json_build(
        "{s:s, s:s, s:s, s:o}", "id", rate ? "rate" : "quotas", "title", rate ? "Rate limit" : "Quotas", "about",
        rate ? "How often an app may be pushed to. A push that comes too early is not lost: its branch is "
               "deployed when there is room again."
             : "What an app may hold at one time. A push that needs more is refused, and told why; its "
               "branch is deployed when there is room.",
        "rows", rows);
}

/* ---- Wrong fields, and who was quicker ---- */

static json_object *wrong_of(const struct page *page)
{
    json_object *rows = json_new_array();

    for (int i = 0; i < LIMIT_COUNT; i++) {
        const struct limit_info *info = limit_info((enum limit)i);
        const char *error = form_error(page->form, info->name);
        if (*error)
            json_append(rows, json_build("{s:s, s:s, s:s}", "to", arena_printf(page->mem, "#%s", info->name), "title",
                                         info->title, "error", error));
    }
    return rows;
}

static const char *iso_of(int64_t ms, struct arena *mem)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm at;
    char text[sizeof "2015-08-30T12:36:00Z"];

    if (!gmtime_r(&seconds, &at) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &at) == 0)
        return "";
    return arena_copy(mem, text);
}

static const char *yours_of(const struct page *page, enum limit limit)
{
    const char *typed = edit_text(page->form, limit_info(limit)->name, page->mem);

    if (!page->edited[limit] || !typed)
        return NULL;
    return *typed ? typed : "the default";
}

static int add_change(const struct page *page, enum limit limit, json_object *rows, struct err *e)
{
    AUTO_ROWS struct db_rows *by = NULL;
    const struct limit_info *info = limit_info(limit);
    int64_t was = was_of(page->form, info->name, page->mem), now = value_of(page, &page->now, limit);

    /* An edit to what is there now has nothing to tell. */
    if (was == LIMIT_UNSEEN || was == now || (page->edited[limit] && value_of(page, &page->then, limit) == now))
        return 0;
    if (db_query(page->db, page->app, QUERY_LIMIT_CHANGED_BY, &by, e, db_text(page->app), db_text(info->name)))
        return e->code;
    struct edit_change change = { .name = info->name,
                                  .title = info->title,
                                  .was = shown(was, page->mem),
                                  .now = shown(now, page->mem),
                                  .yours = yours_of(page, limit) };
    if (db_count(by) > 0) {
        change.by = db_get_copy(by, 0, "actor", page->mem);
        change.at = iso_of(db_get_int(by, 0, "at_ms"), page->mem);
    }
    json_append(rows, edit_change_row(&change, clock_now_ms(page->admin->clock), page->mem));
    return 0;
}

static int put_changes(const struct page *page, json_object *model, struct err *e)
{
    json_object *rows = json_new_array();

    json_put(model, "meanwhile", rows);
    for (int i = 0; page->form && i < LIMIT_COUNT; i++)
        if (add_change(page, (enum limit)i, rows, e))
            return e->code;
    return 0;
}

/* ---- The effect together ---- */

/* "11th", "22nd" */
static const char *ordinal(int64_t n, struct arena *mem)
{
    static const char *const ends[] = { "th", "st", "nd", "rd" };
    bool teen = n % 100 >= 11 && n % 100 <= 13;

    return arena_printf(mem, "%s%s", limit_number(mem, n), ends[!teen && n % 10 <= 3 ? n % 10 : 0]);
}

/* The very answer that GitHub would get to a push too many. */
static void put_answer(const struct page *page, json_object *model)
{
    int64_t burst = page->then.of[LIMIT_PUSHES_BURST].in_force;
    int64_t per_hour = page->then.of[LIMIT_PUSHES_PER_HOUR].in_force;
    int64_t wait_ms = (INT64_C(3600000) + per_hour - 1) / per_hour;
    struct limit_headers headers;

    limit_headers(page->mem, burst, per_hour, 0, wait_ms, &headers);
    json_put(model, "answer_title",
             json_text(arena_printf(page->mem, "The %s push at once is answered", ordinal(burst + 1, page->mem))));
    json_put(model, "answer",
             json_text(arena_printf(page->mem,
                                    "HTTP/1.1 429 Too Many Requests\nRetry-After: %" PRId64
                                    "\nRateLimit-Policy: %s\nRateLimit: %s",
                                    (wait_ms + 999) / 1000, headers.policy, headers.state)));
}

static void put_effect(const struct page *page, json_object *model)
{
    struct limit_sum sums[LIMIT_SUMS];
    json_object *rows = json_new_array();

    limit_sums(&page->now, &page->then, page->mem, sums);
    for (int i = 0; i < LIMIT_SUMS; i++)
        if (*sums[i].text)
            json_append(rows, json_build("{s:s, s:s}", "title", sums[i].title, "text", sums[i].text));
    json_put(model, "sums", rows);
    put_answer(page, model);
    json_put(model, "previewed", json_build("b", page->form != NULL));
    json_put(model, "effect_title", json_text(page->form ? "Effect of these edits" : "As it is now"));
    json_put(model, "save_class", json_text(page->form ? "button main" : "button"));
}

static void put_changed(const struct page *page, json_object *model)
{
    const char *at = page->now.changed_by ? iso_of(page->now.changed_at_ms, page->mem) : "";

    json_put(model, "changed_by", json_text(text_or_empty(page->now.changed_by)));
    json_put(model, "changed_at", json_text(at));
    json_put(model, "changed_ago", json_text(*at ? when_ago(page->mem, at, clock_now_ms(page->admin->clock)) : ""));
}

int limit_form_put(struct admin *admin, struct db *db, struct request *request, const char *app, json_object *model,
                   struct err *e)
{
    struct page page = { .admin = admin, .db = db, .form = request->form, .app = app, .mem = request->mem };
    struct limit_edit edits[LIMIT_COUNT];
    size_t count = 0;
    json_object *groups = json_new_array();

    json_put(model, "groups", groups);
    if (limits_read(db, app, page.mem, &page.now, e))
        return e->code;
    if (page.form)
        count = edits_of(page.form, app != NULL, page.mem, edits);
    for (size_t i = 0; i < count; i++)
        page.edited[edits[i].limit] = true;
    limits_with(&page.now, edits, count, &page.then);
    if (put_changes(&page, model, e))
        return e->code;
    json_append(groups, group_of(&page, false));
    json_append(groups, group_of(&page, true));
    json_put(model, "wrong", wrong_of(&page));
    put_effect(&page, model);
    put_changed(&page, model);
    return 0;
}
