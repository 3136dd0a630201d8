#include "fcgi/admin_delivery_words.h"

#include <string.h>

#include "core/base/text.h"
#include "fcgi/admin_lists.h"

enum { DELIVERY_ID_MAX = 64, SHORT_ID = 8, REASON_SHOWN = 300 };

struct became {
    const char *app;
    int number, halt_by;
    const char *state, *step, *kind;
    bool is_live;
};

struct now {
    const char *app, *state, *branch;
    const char *look_reason, *look_due;
};

struct delivery_context {
    struct became *releases;
    struct now *apps;
    size_t release_count, app_count;
};

/* ---- Reading ---- */

static int read_releases(struct db *db, const struct delivery_entry *entries, size_t count, struct arena *mem,
                         struct delivery_context *out, struct err *e)
{
    AUTO_BUF struct buf apps = { 0 };
    AUTO_BUF struct buf numbers = { 0 };
    AUTO_ROWS struct db_rows *rows = NULL;

    for (size_t i = 0; i < count; i++) {
        if (entries[i].release == 0)
            continue;
        buf_printf(&apps, "%s%s", apps.len ? "," : "", entries[i].app);
        buf_printf(&numbers, "%s%d", numbers.len ? "," : "", entries[i].release);
    }
    if (apps.len == 0)
        return 0;
    if (db_query(db, NULL, QUERY_DELIVERY_RELEASES, &rows, e, db_text(buf_text(&apps)), db_text(buf_text(&numbers))))
        return e->code;
    out->release_count = db_count(rows);
    out->releases = arena_array(mem, out->release_count, sizeof *out->releases);
    for (size_t i = 0; i < out->release_count; i++)
        out->releases[i] = (struct became){ .app = db_get_copy(rows, i, "app_name", mem),
                                            .number = (int)db_get_int(rows, i, "number"),
                                            .halt_by = (int)db_get_int(rows, i, "halt_by"),
                                            .state = db_get_copy(rows, i, "state", mem),
                                            .step = db_get_copy(rows, i, "step", mem),
                                            .kind = db_get_copy(rows, i, "kind", mem),
                                            .is_live = db_get_bool(rows, i, "is_live") };
    return 0;
}

static int read_apps(struct db *db, const struct delivery_entry *entries, size_t count, struct arena *mem,
                     struct delivery_context *out, struct err *e)
{
    AUTO_BUF struct buf apps = { 0 };
    AUTO_ROWS struct db_rows *rows = NULL;

    for (size_t i = 0; i < count; i++)
        buf_printf(&apps, "%s%s", i ? "," : "", entries[i].app);
    if (apps.len == 0)
        return 0;
    if (db_query(db, NULL, QUERY_DELIVERY_APPS, &rows, e, db_text(buf_text(&apps))))
        return e->code;
    out->app_count = db_count(rows);
    out->apps = arena_array(mem, out->app_count, sizeof *out->apps);
    for (size_t i = 0; i < out->app_count; i++)
        out->apps[i] = (struct now){ .app = db_get_copy(rows, i, "app_name", mem),
                                     .state = db_get_copy(rows, i, "state", mem),
                                     .branch = db_get_copy(rows, i, "branch", mem),
                                     .look_reason = db_get_copy(rows, i, "look_reason", mem),
                                     .look_due = db_get_copy(rows, i, "look_due", mem) };
    return 0;
}

int delivery_context_read(struct db *db, const struct delivery_entry *entries, size_t count, struct arena *mem,
                          struct delivery_context **out, struct err *e)
{
    struct delivery_context *context = arena_alloc(mem, sizeof *context);

    if (read_releases(db, entries, count, mem, context, e) || read_apps(db, entries, count, mem, context, e))
        return e->code;
    *out = context;
    return 0;
}

static const struct became *find_release(const struct delivery_context *context, const struct delivery_entry *entry)
{
    for (size_t i = 0; i < context->release_count; i++)
        if (context->releases[i].number == entry->release && !strcmp(context->releases[i].app, entry->app))
            return &context->releases[i];
    return NULL;
}

static const struct now *find_app(const struct delivery_context *context, const struct delivery_entry *entry)
{
    for (size_t i = 0; i < context->app_count; i++)
        if (!strcmp(context->apps[i].app, entry->app))
            return &context->apps[i];
    return NULL;
}

/* ---- Ids ---- */

bool delivery_is_id(const char *text)
{
    static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
    size_t len = strlen(text);

    return len > 0 && len <= DELIVERY_ID_MAX && strspn(text, set) == len;
}

const char *delivery_url(const char *app, const char *id, struct arena *mem)
{
    return arena_printf(mem, "/apps/%s/deliveries/%s", app, id);
}

const char *short_delivery(const char *id, struct arena *mem)
{
    return arena_printf(mem, "%.*s", SHORT_ID, id);
}

static const char *release_url(const char *app, int number, struct arena *mem)
{
    return arena_printf(mem, "/apps/%s/releases/%d", app, number);
}

/* ---- Telling ---- */

struct mark mark_of_delivery(enum delivery_outcome outcome)
{
    static const struct mark marks[DELIVERY_OUTCOME_COUNT] = {
        [DELIVERY_ACCEPTED] = { "mark done", "Accepted" },        [DELIVERY_IGNORED] = { "mark dropped", "Ignored" },
        [DELIVERY_DUPLICATE] = { "mark duplicate", "Duplicate" }, [DELIVERY_LIMITED] = { "mark queued", "Limited" },
        [DELIVERY_OVER_QUOTA] = { "mark warning", "Over quota" }, [DELIVERY_PAUSED] = { "mark paused", "Paused" },
    };

    return marks[outcome];
}

int delivery_answered(enum delivery_outcome outcome)
{
    static const int status[DELIVERY_OUTCOME_COUNT] = {
        [DELIVERY_ACCEPTED] = 202, [DELIVERY_IGNORED] = 200,    [DELIVERY_DUPLICATE] = 200,
        [DELIVERY_LIMITED] = 429,  [DELIVERY_OVER_QUOTA] = 403, [DELIVERY_PAUSED] = 200,
    };

    return status[outcome];
}

/* What is told of one; NULL is "". */
struct told {
    const char *before, *at, *link, *url, *after; /* at: of the look that is owed */
    const char *ended_mark, *ended;
    const char *act, *act_url;
};

static void tell_release(const struct became *r, struct told *told, struct arena *mem)
{
    enum step_name step = STEP_SOURCE;

    if (!strcmp(r->state, "failed")) {
        told->after = ",";
        told->ended_mark = "mark failed";
        told->ended = arena_printf(mem, "failed at %s", r->step);
    } else if (!strcmp(r->state, "running")) {
        told->after = ",";
        told->ended_mark = "mark moving";
        told->ended = step_parse(r->step, &step) ? moving_phrase(step) : "is on its way";
    } else if (!strcmp(r->state, "queued")) {
        told->after = ", waits in the queue";
    } else if (!strcmp(r->state, "superseded") && r->halt_by) {
        told->after = arena_printf(mem, ", superseded by v%d", r->halt_by);
    } else if (!strcmp(r->state, "live")) {
        told->after = r->is_live ? ", is live" : ", went live";
    } else {
        told->after = arena_printf(mem, ", %s", r->state);
    }
}

static void tell_accepted(const struct delivery_context *context, const struct delivery_entry *entry, struct told *told,
                          struct arena *mem)
{
    const struct became *r = find_release(context, entry);

    told->before = "became";
    told->link = arena_printf(mem, "v%d", entry->release);
    told->url = release_url(entry->app, entry->release, mem);
    if (r)
        tell_release(r, told, mem);
}

/* The reason names the other delivery, or begins with the release's number: then that word is the link. */
static void tell_duplicate(const struct delivery_entry *entry, struct told *told, struct arena *mem)
{
    static const char same_push[] = "the same push as delivery ";
    const char *number = arena_printf(mem, "v%d ", entry->release);

    told->before = entry->reason;
    if (text_starts(entry->reason, same_push) && delivery_is_id(entry->reason + strlen(same_push))) {
        told->before = "the same push as";
        told->link = short_delivery(entry->reason + strlen(same_push), mem);
        told->url = delivery_url(entry->app, entry->reason + strlen(same_push), mem);
    } else if (entry->release && text_starts(entry->reason, number)) {
        told->before = "";
        told->link = arena_printf(mem, "v%d", entry->release);
        told->url = release_url(entry->app, entry->release, mem);
        told->after = entry->reason + strlen(number) - 1;
    }
}

/* Why it was turned away, and when the branch is looked at again. */
static void tell_look(const struct now *app, const char *reason, struct told *told, struct arena *mem)
{
    const char *look = "; the branch needs no further look";

    if (app && app->look_reason) {
        told->at = app->look_due;
        look = told->at ? arena_printf(mem, "; %s is looked at again at", app->branch)
                        : "; the branch is looked at again when there is room";
    }
    told->before = arena_printf(mem, "%s%s%s", reason, look, told->at ? "" : ".");
    told->after = told->at ? "." : NULL;
}

static struct told tell(const struct delivery_context *context, const struct delivery_entry *entry, struct arena *mem)
{
    const struct now *app = find_app(context, entry);
    struct told told = { .before = entry->reason };

    switch (entry->outcome) {
    case DELIVERY_ACCEPTED:
        tell_accepted(context, entry, &told, mem);
        break;
    case DELIVERY_DUPLICATE:
        tell_duplicate(entry, &told, mem);
        break;
    case DELIVERY_LIMITED:
        tell_look(app, entry->reason, &told, mem);
        break;
    case DELIVERY_OVER_QUOTA:
        tell_look(app, entry->reason, &told, mem);
        told.act = "Raise the quota";
        told.act_url = arena_printf(mem, "/apps/%s/limits", entry->app);
        break;
    case DELIVERY_PAUSED:
        if (app && !strcmp(app->state, "paused")) {
            told.before = arena_printf(mem, "%s.", entry->reason);
            told.act = "Resume it";
            told.act_url = arena_printf(mem, "/apps/%s", entry->app);
        }
        break;
    case DELIVERY_IGNORED:
    case DELIVERY_OUTCOME_COUNT:
        break;
    }
    return told;
}

json_object *delivery_told(const struct delivery_context *context, const struct delivery_entry *entry,
                           struct arena *mem)
{
    struct mark mark = mark_of_delivery(entry->outcome);
    struct told told = tell(context, entry, mem);
    const char *before = list_short(mem, told.before, REASON_SHOWN);

    return json_build("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "mark", mark.class_name, "word",
                      mark.word, "before", before, "at", text_or_empty(told.at), "time",
                      told.at ? arena_copy_n(mem, told.at + strlen("2015-08-30T"), strlen("12:36:00")) : "", "link",
                      text_or_empty(told.link), "url", text_or_empty(told.url), "after",
                      list_short(mem, told.after, REASON_SHOWN), "ended_mark", text_or_empty(told.ended_mark), "ended",
                      text_or_empty(told.ended), "act", text_or_empty(told.act), "act_url",
                      text_or_empty(told.act_url));
}

bool delivery_may_differ(const struct delivery_context *context, const struct delivery_entry *entry)
{
    const struct now *app = find_app(context, entry);
    const struct became *r = find_release(context, entry);

    /* A tag, a branch that was deleted, another event: no setting makes a release of those. */
    if (!app || text_starts(app->state, "delet") || !entry->branch || !entry->commit_sha)
        return false;
    if (entry->outcome == DELIVERY_DUPLICATE)
        return false;
    if (entry->outcome == DELIVERY_ACCEPTED)
        return r && (!strcmp(r->state, "failed") || !strcmp(r->state, "cancelled"));
    return true;
}
