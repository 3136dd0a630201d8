#include "core/deploy/delivery.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "core/github/event.h"
#include "core/tenant/app.h"
#include "core/tenant/path_filter.h"

enum { EXPIRE_BATCH = 1000 };

static const char *const names[DELIVERY_OUTCOME_COUNT] = {
    [DELIVERY_ACCEPTED] = "accepted", [DELIVERY_IGNORED] = "ignored",       [DELIVERY_DUPLICATE] = "duplicate",
    [DELIVERY_LIMITED] = "limited",   [DELIVERY_OVER_QUOTA] = "over_quota", [DELIVERY_PAUSED] = "paused",
};

const char *delivery_outcome_name(enum delivery_outcome outcome)
{
    return names[outcome];
}

bool delivery_outcome_parse(const char *name, enum delivery_outcome *out)
{
    for (int i = 0; i < DELIVERY_OUTCOME_COUNT; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (enum delivery_outcome)i;
            return true;
        }
    }
    return false;
}

static int read_outcome(const struct db_rows *rows, size_t row, enum delivery_outcome *out, struct err *e)
{
    const char *name = db_get(rows, row, "outcome");

    if (delivery_outcome_parse(name, out))
        return 0;
    return err_set(e, ERR_INTERNAL, "a delivery's outcome is \"%s\", which this version does not know", name);
}

/* ---- Reading ---- */

/* A delivery's place: of those received at one time, each app's, by id. */
struct place {
    bool given;
    int64_t micros;
    const char *app, *id;
};

static const char *cursor_of(const struct db_rows *rows, size_t row, struct arena *mem)
{
    return arena_printf(mem, "%s.%s.%s", db_get(rows, row, "micros"), db_get(rows, row, "app_name"),
                        db_get(rows, row, "delivery_id"));
}

static int read_place(const char *cursor, struct arena *mem, struct place *out, struct err *e)
{
    *out = (struct place){ .given = cursor != NULL };
    if (!cursor)
        return 0;
    const char *app = strchr(cursor, '.'), *id = app ? strchr(app + 1, '.') : NULL;
    if (!id || !text_parse_int(arena_copy_n(mem, cursor, (size_t)(app - cursor)), 0, INT64_MAX / 2, &out->micros))
        return err_set(e, ERR_INVALID, "the list of deliveries has no such place; begin at the newest");
    out->app = arena_copy_n(mem, app + 1, (size_t)(id - app - 1));
    out->id = id + 1;
    return 0;
}

static int read_entry(const struct db_rows *rows, size_t row, struct arena *mem, struct delivery_entry *out,
                      struct err *e)
{
    *out = (struct delivery_entry){ .app = db_get_copy(rows, row, "app_name", mem),
                                    .id = db_get_copy(rows, row, "delivery_id", mem),
                                    .event = db_get_copy(rows, row, "event", mem),
                                    .reason = db_get_copy(rows, row, "reason", mem),
                                    .release = (int)db_get_int(rows, row, "release"),
                                    .branch = db_get_copy(rows, row, "branch", mem),
                                    .commit_sha = db_get_copy(rows, row, "commit_sha", mem),
                                    .commit_title = db_get_copy(rows, row, "commit_title", mem),
                                    .pushed_by = db_get_copy(rows, row, "pushed_by", mem),
                                    .received_at = db_get_copy(rows, row, "received_at", mem),
                                    .has_body = db_get_bool(rows, row, "has_body"),
                                    .cursor = cursor_of(rows, row, mem) };
    return read_outcome(rows, row, &out->outcome, e);
}

/* Few were found, but only so many were looked through: where to go on. */
static int read_window_end(struct db *db, const struct delivery_page *page, const struct place *place,
                           struct arena *mem, const char **more, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, NULL, QUERY_DELIVERY_WINDOW, &rows, e, db_text(page->app),
                 place->given ? db_int(place->micros) : db_null(), db_text(place->app), db_text(place->id),
                 db_int(DELIVERY_WINDOW)))
        return e->code;
    *more = db_count(rows) ? cursor_of(rows, 0, mem) : NULL;
    return 0;
}

int delivery_list(struct db *db, const struct delivery_page *page, struct arena *mem, struct delivery_list *out,
                  struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    const char *search = page->search && *page->search ? page->search : NULL;
    struct place place;

    *out = (struct delivery_list){ 0 };
    if (search && strlen(search) > DELIVERY_SEARCH_MAX)
        return err_set(e, ERR_INVALID, "a search has at most %d characters", DELIVERY_SEARCH_MAX);
    if (read_place(page->after, mem, &place, e) ||
        db_query(db, NULL, QUERY_DELIVERY_LIST, &rows, e, db_text(page->app),
                 db_text(page->outcome ? delivery_outcome_name(*page->outcome) : NULL), db_text(search),
                 place.given ? db_int(place.micros) : db_null(), db_text(place.app), db_text(place.id),
                 db_int(page->limit + 1), db_int(DELIVERY_WINDOW)))
        return e->code;
    bool further = db_count(rows) > (size_t)page->limit;
    out->count = further ? (size_t)page->limit : db_count(rows);
    out->entries = arena_array(mem, out->count, sizeof *out->entries);
    for (size_t i = 0; i < out->count; i++)
        if (read_entry(rows, i, mem, &out->entries[i], e))
            return e->code;
    if (further)
        out->more = out->entries[out->count - 1].cursor;
    else if (search || page->outcome)
        return read_window_end(db, page, &place, mem, &out->more, e);
    return 0;
}

int delivery_count(struct db *db, const char *app, struct delivery_counts *out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    *out = (struct delivery_counts){ 0 };
    if (db_query(db, NULL, QUERY_DELIVERY_COUNT, &rows, e, db_text(app), db_int(DELIVERY_WINDOW)))
        return e->code;
    for (size_t i = 0; i < db_count(rows); i++) {
        enum delivery_outcome outcome;
        if (read_outcome(rows, i, &outcome, e))
            return e->code;
        out->of[outcome] = db_get_int(rows, i, "n");
        out->all += out->of[outcome];
    }
    out->capped = out->all == DELIVERY_WINDOW;
    return 0;
}

static int refuse_unknown(const char *app, const char *id, struct err *e)
{
    char shown[80];

    text_excerpt(id, shown, sizeof shown);
    err_set(e, ERR_NOT_FOUND, "no delivery %s of %s is kept", shown, app);
    return err_hint(e, "GitHub lists what it sent under the webhook's Recent Deliveries, and can send it again.");
}

int delivery_get(struct db *db, const char *app, const char *id, struct arena *mem, struct delivery_entry *out,
                 struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, app, QUERY_DELIVERY_FIND, &rows, e, db_text(app), db_text(id)))
        return e->code;
    return db_count(rows) ? read_entry(rows, 0, mem, out, e) : refuse_unknown(app, id, e);
}

/* ---- Running one again ---- */

struct rerun {
    struct db *db;
    struct arena *mem;
    const char *app, *id, *actor;
    struct app settings; /* of the app, as of now */
    struct delivery_rerun *out;
};

static int lock_app(struct rerun *rerun, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_begin(rerun->db, rerun->app, e) ||
        db_query(rerun->db, rerun->app, QUERY_APP_LOCK, &rows, e, db_text(rerun->app)) ||
        app_get(rerun->db, rerun->app, rerun->mem, &rerun->settings, e))
        return e->code;
    if (!text_starts(rerun->settings.state, "delet"))
        return 0;
    err_set(e, ERR_CONFLICT, "%s %s", rerun->app,
            strcmp(rerun->settings.state, "deleted") == 0 ? "was destroyed" : "is being deleted");
    return err_hint(e, "Nothing of it is deployed any more; `berth apps create %s` makes it anew once it is gone.",
                    rerun->app);
}

static int read_stored_event(struct rerun *rerun, const struct db_rows *stored, struct github_event *out, struct err *e)
{
    AUTO_JSON json_object *body = NULL;
    const char *hex = db_get(stored, 0, "body");
    size_t len = strlen(hex) / 2;
    uint8_t *bytes = arena_array(rerun->mem, len + 1, 1);

    if (!hash_from_hex(hex, 2 * len, bytes))
        return err_set(e, ERR_INTERNAL, "delivery %s of %s is stored as no bytes", rerun->id, rerun->app);
    if (json_parse((const char *)bytes, len, &body, e) ||
        github_event_read(db_get_copy(stored, 0, "event", rerun->mem), body, rerun->mem, out, e))
        return err_context(e, "delivery %s of %s", rerun->id, rerun->app);
    path_filter_judge(rerun->settings.path_filter, body, rerun->mem, out);
    return 0;
}

static int judge(struct rerun *rerun, const struct db_rows *stored, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    struct github_event event = { 0 };

    if (read_stored_event(rerun, stored, &event, e) ||
        db_query(rerun->db, rerun->app, QUERY_DELIVERY_RUN_AGAIN, &rows, e, db_text(rerun->app), db_text(rerun->id),
                 db_text(event.name), db_text(event.ignored), db_text(db_get(stored, 0, "body_sha256")),
                 db_text(db_get(stored, 0, "body")), db_text(event.repository),
                 event.repository ? db_int(event.repository_id) : db_null(), db_text(event.branch),
                 db_text(event.commit_sha), db_text(event.commit_title), db_text(event.pushed_by),
                 db_text(rerun->actor)))
        return e->code;
    if (strcmp(db_get(rows, 0, "outcome"), "other_repository") == 0) {
        err_set(e, ERR_INVALID, "delivery %s is of %s, and %s is built from %s", rerun->id, event.repository,
                rerun->app, rerun->settings.repository);
        return err_hint(e, "It came before the app was given its repository of today; push again.");
    }
    *rerun->out = (struct delivery_rerun){ .reason = db_get_copy(rows, 0, "reason", rerun->mem),
                                           .hint = db_get_copy(rows, 0, "hint", rerun->mem),
                                           .release = (int)db_get_int(rows, 0, "release") };
    return read_outcome(rows, 0, &rerun->out->outcome, e);
}

static int audit_rerun(struct rerun *rerun, const struct db_rows *stored, struct err *e)
{
    AUTO_JSON json_object *before =
        json_build("{s:s, s:s}", "delivery", rerun->id, "outcome", db_get(stored, 0, "outcome"));
    AUTO_JSON json_object *after =
        rerun->out->looked ? json_build("{s:s, s:s}", "delivery", rerun->id, "outcome", "looked")
                           : json_build("{s:s, s:s, s:i}", "delivery", rerun->id, "outcome",
                                        delivery_outcome_name(rerun->out->outcome), "release", rerun->out->release);

    return db_query(rerun->db, rerun->app, QUERY_AUDIT_ADD, NULL, e, db_text(rerun->actor),
                    db_text("delivery.run_again"), db_text(rerun->app), db_text(json_to_text(before, rerun->mem)),
                    db_text(json_to_text(after, rerun->mem)));
}

static int look_instead(struct rerun *rerun, struct err *e)
{
    *rerun->out = (struct delivery_rerun){ .looked = true };
    return db_query(rerun->db, rerun->app, QUERY_LOOK_ASK, NULL, e, db_text(rerun->app));
}

static int run_again(struct rerun *rerun, struct err *e)
{
    AUTO_ROWS struct db_rows *stored = NULL;

    if (lock_app(rerun, e) ||
        db_query(rerun->db, rerun->app, QUERY_DELIVERY_STORED, &stored, e, db_text(rerun->app), db_text(rerun->id)))
        return e->code;
    if (db_count(stored) == 0)
        return refuse_unknown(rerun->app, rerun->id, e);
    if ((db_get(stored, 0, "body") ? judge(rerun, stored, e) : look_instead(rerun, e)) ||
        audit_rerun(rerun, stored, e) || db_run(rerun->db, rerun->app, QUERY_NOTIFY_RELEASES, NULL, 0, NULL, e))
        return e->code;
    return db_commit(rerun->db, e);
}

int delivery_run_again(struct db_pool *admin, const char *app, const char *id, const char *actor, struct arena *mem,
                       struct delivery_rerun *out, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    struct rerun rerun = { .mem = mem, .app = app, .id = id, .actor = actor, .out = out };

    if (db_take(admin, &db, e))
        return e->code;
    rerun.db = db;
    if (run_again(&rerun, e)) {
        db_rollback(db);
        return e->code;
    }
    return 0;
}

/* ---- Keeping no longer ---- */

int delivery_expire(struct db_pool *worker, const struct settings *settings, bool *more, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    *more = false;
    if (db_query_once(worker, NULL, QUERY_DELIVERY_EXPIRE, &rows, e, db_int(settings->delivery_body_days),
                      db_int(settings->delivery_days), db_int(EXPIRE_BATCH)))
        return e->code;
    *more = db_get_int(rows, 0, "gone") >= EXPIRE_BATCH;
    return 0;
}
