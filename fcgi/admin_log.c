#include "fcgi/admin_log.h"

#include <string.h>

#include "core/base/text.h"
#include "core/deploy/build_reason.h"
#include "fcgi/when.h"

enum { LOG_TAIL = 200, LOG_PAGE = 1000, LOG_TAIL_WAIT_MS = 400, LOG_PAGE_WAIT_MS = 1500 };

static int read_log(void *context, const char *app, const char *build_id, const char *from, struct arena *mem,
                    struct log_page *out, struct err *e)
{
    struct aws *aws = NULL;

    if (admin_aws(context, &aws, e))
        return e->code;
    return build_log_read(aws, app, build_id, from, mem, out, e);
}

int admin_log_open(struct admin *admin, struct err *e)
{
    const struct log_source source = { .read = read_log, .context = admin };

    return log_follow_new(&source, admin->clock, &admin->follow, e);
}

/* ---- What is asked for ---- */

/* When its build was over at the latest; 0: it goes on. */
static int64_t build_ended_ms(const struct admin *admin, const struct release *r)
{
    int64_t finished = when_parse(r->finished_at);

    if (finished >= 0)
        return finished;
    if (r->state == RELEASE_RUNNING && r->step > STEP_BUILD)
        return clock_now_ms(admin->clock) - r->step_age_ms;
    return 0;
}

static void view_log(struct admin *admin, const struct release *r, int64_t from, size_t limit, int wait_ms,
                     struct arena *mem, struct log_view *out)
{
    const struct log_wish wish = { .app = r->app,
                                   .build_id = r->build_id,
                                   .ended_ms = build_ended_ms(admin, r),
                                   .from = from,
                                   .limit = limit,
                                   .wait_ms = wait_ms };

    log_follow_view(admin->follow, &wish, mem, out);
}

/* ---- How it is shown ---- */

static const char *log_url(const struct release *r, struct arena *mem)
{
    return arena_printf(mem, "/apps/%s/releases/%d/log", r->app, r->number);
}

static const char *at_text(int64_t at_ms, struct arena *mem)
{
    char *iso = arena_alloc(mem, CLOCK_ISO_SIZE);

    clock_format_iso(at_ms, iso);
    return iso;
}

static json_object *line_rows(const struct log_view *view, struct arena *mem)
{
    json_object *rows = json_new_array();

    for (size_t i = 0; i < view->count; i++) {
        const struct followed_line *line = &view->lines[i];
        bool bad = build_line_blames(line->text);
        json_append(rows,
                    json_build("{s:s, s:I, s:s, s:s, s:b}", "id", arena_printf(mem, "L%lld", (long long)line->number),
                               "n", line->number, "at", at_text(line->at_ms, mem), "text", line->text, "bad", bad));
    }
    return rows;
}

/* What a reader should know of these lines; "" for nothing. */
static const char *note_of(const struct log_view *view, struct arena *mem)
{
    if (view->trouble)
        return arena_printf(mem, "The log can't be read at the moment: %s.", view->trouble);
    if (!view->looked)
        return "The log is being fetched from CloudWatch Logs; look again in a moment.";
    if (view->next == 1)
        return view->complete ? "The build wrote no log." : "The build has not written anything yet.";
    return "";
}

json_object *log_tail_model(struct admin *admin, const struct release *r, struct arena *mem)
{
    struct log_view view = { 0 };

    if (!r->build_id)
        return json_build("b", 0);
    view_log(admin, r, 0, LOG_TAIL, LOG_TAIL_WAIT_MS, mem, &view);
    return json_build(
        "{s:o, s:s, s:s, s:s, s:I}", "lines", line_rows(&view, mem), "follow",
        view.complete ? "" : arena_printf(mem, "%s.json?from=%lld", log_url(r, mem), (long long)view.next), "note",
        note_of(&view, mem), "url", log_url(r, mem), "earlier", view.count > 0 ? view.lines[0].number - 1 : (int64_t)0);
}

/* The router has checked what is there. */
static int64_t from_of(struct request *request)
{
    const char *text = request_query(request, "from");
    int64_t from = 1;

    return text && text_parse_int(text, 1, INT64_MAX, &from) ? from : 1;
}

static int find_release(struct db *db, struct request *request, struct release *out, struct err *e)
{
    int64_t number = 0;

    if (!text_parse_int(request_value(request, "release"), 1, INT32_MAX, &number))
        return err_set(e, ERR_NOT_FOUND, "there is no such release");
    if (release_get(db, request_value(request, "app"), (int)number, request->mem, out, e))
        return e->code;
    if (!out->build_id)
        return err_set(e, ERR_NOT_FOUND, "%s v%d has no build, and so no log", out->app, out->number);
    return 0;
}

int log_model(struct admin *admin, struct db *db, struct request *request, json_object **model, struct err *e)
{
    struct arena *mem = request->mem;
    struct log_view view = { 0 };
    struct release r = { 0 };

    if (find_release(db, request, &r, e))
        return e->code;
    view_log(admin, &r, from_of(request), LOG_PAGE, LOG_PAGE_WAIT_MS, mem, &view);
    int64_t first = view.count > 0 ? view.lines[0].number : view.next;
    int64_t before = first - LOG_PAGE > view.first ? first - LOG_PAGE : view.first;
    const char *url = log_url(&r, mem);
    *model = json_build(
        "{s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:s, s:s}", "title",
        arena_printf(mem, "Log of %s v%d - berth", r.app, r.number), "app", r.app, "app_url",
        arena_printf(mem, "/apps/%s", r.app), "number", arena_printf(mem, "v%d", r.number), "url",
        arena_printf(mem, "/apps/%s/releases/%d", r.app, r.number), "lines", line_rows(&view, mem), "follow",
        view.complete ? "" : arena_printf(mem, "%s.json?from=%lld", url, (long long)view.next), "note",
        note_of(&view, mem), "left_out",
        view.first > 1
            ? arena_printf(mem, "Only the newest lines are kept here; `berth logs %s v%d` prints all.", r.app, r.number)
            : "",
        "earlier", first > view.first ? arena_printf(mem, "%s?from=%lld", url, (long long)before) : "", "later",
        view.count == LOG_PAGE ? arena_printf(mem, "%s?from=%lld", url, (long long)view.next) : "", "command",
        arena_printf(mem, "berth logs %s v%d", r.app, r.number));
    return 0;
}

int log_reply(struct admin *admin, struct db *db, struct request *request, struct response *response, struct err *e)
{
    struct arena *mem = request->mem;
    struct log_view view = { 0 };
    struct release r = { 0 };

    if (find_release(db, request, &r, e))
        return e->code;
    view_log(admin, &r, from_of(request), LOG_PAGE, 0, mem, &view);
    if (admin_not_modified(request, response,
                           arena_printf(mem, "%lld.%d.%d", (long long)view.next, view.complete, view.trouble != NULL)))
        return 0;
    response_json(response, 200,
                  json_build("{s:o, s:I, s:b, s:s}", "lines", line_rows(&view, mem), "next", view.next, "complete",
                             view.complete, "trouble", view.trouble ? view.trouble : ""));
    return 0;
}
