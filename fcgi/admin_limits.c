/* /limits: every app's use beside its limits, those nearest to a limit first; and the installation's defaults. */
#include "core/tenant/limit.h"
#include "fcgi/admin_limit_form.h"
#include "fcgi/admin_lists.h"
#include "fcgi/admin_use.h"
#include "fcgi/admin_words.h"
#include "fcgi/link.h"

enum { LIMITS_PAGE = 20 };

/* The columns: the pushes are those of the bucket, which its rate refills. */
static const struct column {
    enum limit limit;
    const char *label; /* beside the figures where rows are blocks */
} columns[] = {
    { LIMIT_CPU_UNITS, "CPU" },
    { LIMIT_MEMORY_MIB, "MiB" },
    { LIMIT_TASKS, "Tasks" },
    { LIMIT_CONCURRENT_BUILDS, "Builds" },
    { LIMIT_BUILD_MINUTES, "Build min" },
    { LIMIT_RELEASES_PER_HOUR, "Releases/h" },
    { LIMIT_IMAGE_MIB, "Images" },
    { LIMIT_PUSHES_BURST, "Pushes" },
};
enum { COLUMNS = sizeof columns / sizeof *columns };

/* ---- Rows ---- */

static struct limit_state state_of(const struct db_rows *rows, size_t row, enum limit limit, struct arena *mem)
{
    const char *name = limit_info(limit)->name;

    return (struct limit_state){ .used = db_get_int(rows, row, name),
                                 .in_force = db_get_int(rows, row, arena_printf(mem, "most_%s", name)) };
}

static bool is_nearer(const struct limit_state *a, const struct limit_state *b)
{
    return a->used > 0 && (b->used == 0 || limit_percent(a) > limit_percent(b));
}

static json_object *cell_of(const struct column *column, const struct limit_state *state, struct arena *mem)
{
    enum limit_level level = state->used > 0 ? limit_level(state) : LIMIT_FREE;
    /* Builds at once have a queue: all of them under way is no news. */
    bool told = level != LIMIT_FREE && column->limit != LIMIT_CONCURRENT_BUILDS;

    return json_build("{s:s, s:s, s:s, s:s}", "label", column->label, "used", list_number(mem, state->used), "limit",
                      list_number(mem, state->in_force), "mark",
                      !told                 ? "figure"
                      : level == LIMIT_FULL ? "figure mark failed full-word"
                                            : "figure mark warning near-word");
}

/* The limit that the app is nearest to. */
static json_object *nearest_of(const struct column *column, const struct limit_state *state, struct arena *mem)
{
    const struct use use = { .title = limit_info(column->limit)->title, .used = state->used, .limit = state->in_force };
    AUTO_JSON json_object *all = use_model(&use, mem);
    json_object *one =
        json_build("{s:s, s:s, s:s, s:s, s:I, s:I}", "class", json_find_text(all, "/class", mem), "title", use.title,
                   "mark", json_find_text(all, "/mark", mem), "word", json_find_text(all, "/word", mem), "value",
                   json_find_int(all, "/value", 0), "max", json_find_int(all, "/max", 1));

    if (!*json_find_text(one, "/word", mem)) {
        json_put(one, "mark", json_text("level"));
        json_put(one, "word", json_text(arena_printf(mem, "%d%%", use.used > 0 ? limit_percent(state) : 0)));
    }
    return one;
}

static json_object *row_of(const struct db_rows *rows, size_t row, struct arena *mem)
{
    const char *app = db_get_copy(rows, row, "app_name", mem);
    json_object *cells = json_new_array();
    struct limit_state states[COLUMNS];
    size_t nearest = 0;

    for (size_t i = 0; i < COLUMNS; i++) {
        states[i] = state_of(rows, row, columns[i].limit, mem);
        json_append(cells, cell_of(&columns[i], &states[i], mem));
        if (columns[i].limit != LIMIT_CONCURRENT_BUILDS && is_nearer(&states[i], &states[nearest]))
            nearest = i;
    }
    return json_build("{s:s, s:s, s:o, s:o}", "app", app, "url", arena_printf(mem, "/apps/%s/limits", app), "nearest",
                      nearest_of(&columns[nearest], &states[nearest], mem), "cells", cells);
}

/* ---- The page ---- */

static int read_rows(struct db *db, struct request *request, struct db_rows **rows, struct err *e)
{
    const char *after = list_asked(request, "after");
    struct link_cursor cursor = { 0 };
    bool later = after && link_cursor_parse(after, request->mem, &cursor);

    return db_query(db, NULL, QUERY_LIMIT_PAGE, rows, e, db_int(cursor.number),
                    later ? db_text(cursor.name) : db_null(), db_int(LIMITS_PAGE + 1));
}

static const char *next_url(const struct db_rows *rows, size_t last, struct arena *mem)
{
    const struct link_cursor cursor = { .number = db_get_int(rows, last, "share"),
                                        .name = db_get_copy(rows, last, "app_name", mem) };

    return arena_printf(mem, "/limits?after=%s", link_cursor_text(&cursor, mem));
}

static const char *sum_up(int64_t near, struct arena *mem)
{
    if (near == 0)
        return "no app is near one";
    if (near == 1)
        return "1 app is near one, or was refused";
    return arena_printf(mem, "%s apps are near one, or were refused", list_number(mem, near));
}

/* Where a form was sent, the page is about that: its apps are left out, so that the effect, or what is wrong, is what is seen. */
static int put_apps(struct db *db, struct request *request, json_object *model, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    json_object *apps = json_new_array();
    struct arena *mem = request->mem;
    bool listed = !request->form, later = list_asked(request, "after") != NULL;

    json_put(model, "apps", apps);
    if (listed && read_rows(db, request, &rows, e))
        return e->code;
    size_t count = db_count(rows), shown = count > LIMITS_PAGE ? LIMITS_PAGE : count;
    for (size_t i = 0; i < shown; i++)
        json_append(apps, row_of(rows, i, mem));
    json_put(model, "listed", json_build("b", listed));
    json_put(model, "summary", json_text(count > 0 ? sum_up(db_get_int(rows, 0, "near"), mem) : ""));
    json_put(model, "empty", json_build("b", count == 0 && !later));
    json_put(model, "none_here", json_build("b", count == 0 && later));
    json_put(model, "next", json_text(count > LIMITS_PAGE ? next_url(rows, shown - 1, mem) : ""));
    json_put(model, "later", json_build("b", later));
    return 0;
}

int limits_model(struct admin *admin, struct db *db, struct request *request, json_object **model, struct err *e)
{
    AUTO_JSON json_object *made = json_new_object();

    if (put_apps(db, request, made, e) || limit_form_put(admin, db, request, NULL, made, e))
        return e->code;
    admin_put_token(admin, request, made, "default_limits");
    *model = json_hold(made);
    return 0;
}

int default_limits_change(struct admin *admin, struct request *request, struct form *form, struct admin_answer *answer,
                          struct err *e)
{
    return limit_form_take(admin, request, form, NULL, "/limits", answer, e);
}
