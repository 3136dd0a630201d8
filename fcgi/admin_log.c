#include "fcgi/admin_log.h"

#include <string.h>

#include "core/base/text.h"
#include "core/deploy/steps/build_reason.h"
#include "fcgi/admin_lists.h"
#include "fcgi/link.h"
#include "fcgi/when.h"

/* A page of the log is as long as any other page at the most: 60 KB, markup included. */
enum {
    LOG_TAIL = 200,
    LOG_PAGE = 400,
    LOG_PAGE_BYTES = 32 * 1024,
    LOG_REPLY = 1000,
    LOG_REPLY_BYTES = 256 * 1024,
    LOG_TAIL_WAIT_MS = 400,
    LOG_PAGE_WAIT_MS = 1500,
    BUILD_ID_MAX = 512,
    QUOTE_MIN = 8 /* bytes: what is shorter stands in a sentence by chance */
};

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
    if (release_build_is_over(r))
        return clock_now_ms(admin->clock) - r->step_age_ms;
    return 0;
}

/* What is wished for besides, in part: from, limit, bytes, wait_ms. */
static void view_log(struct admin *admin, const struct release *r, struct log_wish part, struct arena *mem,
                     struct log_view *out)
{
    part.app = r->app;
    part.build_id = r->build_id;
    part.ended_ms = build_ended_ms(admin, r);
    log_follow_view(admin->follow, &part, mem, out);
}

static bool has_more(const struct log_view *view)
{
    return !view->complete || view->next <= view->newest;
}

/* ---- Which lines say why ---- */

/* A quote goes on to the end of the sentence, or to what the tool makes of it, in brackets: "... said (why)". */
static bool is_end_of_quote(const char *after)
{
    return *after == '\0' || *after == ')' || *after == '.' || text_starts(after, " (");
}

/* Where the release's error quotes the line, or as much of it as a sentence holds; NULL: it doesn't. */
static const char *quoted_in(const struct release *r, const char *line)
{
    const char *said = build_line_text(line);
    size_t len = strlen(said);
    const char *at = r->error && len >= QUOTE_MIN ? r->error : NULL;

    if (len > BUILD_QUOTE_MAX)
        len = BUILD_QUOTE_MAX;
    for (; at && *at; at++)
        if (strncmp(at, said, len) == 0 && is_end_of_quote(at + len))
            return at;
    return NULL;
}

static bool is_bad(const struct release *r, const char *line)
{
    return build_line_blames(line) || quoted_in(r, line);
}

/* The line that the error quotes first, else the last one that blames; 0: none. */
static int64_t evidence_of(const struct release *r, const struct log_view *view)
{
    const char *best = NULL;
    int64_t quoted = 0, blaming = 0;

    if (r->state != RELEASE_FAILED || r->step != STEP_BUILD)
        return 0;
    for (size_t i = 0; i < view->count; i++) {
        const struct followed_line *line = &view->lines[i];
        const char *at = quoted_in(r, line->text);
        if (at && (!best || at <= best)) {
            best = at;
            quoted = line->number;
        }
        if (build_line_blames(line->text))
            blaming = line->number;
    }
    return quoted ? quoted : blaming;
}

/* ---- How it is shown ---- */

static const char *log_url(const struct release *r, struct arena *mem)
{
    return arena_printf(mem, "/apps/%s/releases/%d/log", r->app, r->number);
}

static const char *look_of(const struct release *r, const char *line)
{
    return is_bad(r, line) ? "line bad" : build_line_is_agents(line) ? "line agent" : "line";
}

static json_object *line_rows(const struct release *r, const struct log_view *view, struct arena *mem)
{
    json_object *rows = json_new_array();

    for (size_t i = 0; i < view->count; i++) {
        const struct followed_line *line = &view->lines[i];
        const char *id = arena_printf(mem, "L%lld", (long long)line->number);
        json_append(rows, json_build("{s:s, s:s, s:I, s:s, s:b, s:s}", "id", id, "to", arena_printf(mem, "#%s", id),
                                     "n", line->number, "look", look_of(r, line->text), "bad", is_bad(r, line->text),
                                     "text", line->text));
    }
    return rows;
}

/* What a reader should know of the log; "" for nothing. */
static const char *note_of(const struct log_view *view, struct arena *mem)
{
    if (view->trouble)
        return arena_printf(mem, "The log can't be read at the moment: %s.", view->trouble);
    if (!view->looked)
        return "The log is being fetched from CloudWatch Logs: look again in a moment.";
    if (view->newest == 0)
        return view->complete ? BUILD_LOG_GONE "." : "The build has not written anything yet.";
    return "";
}

/* The same, of a page that may begin where there is nothing yet. */
static const char *page_note_of(const struct log_view *view, struct arena *mem)
{
    const char *note = note_of(view, mem);

    if (*note || view->count > 0)
        return note;
    if (view->complete)
        return arena_printf(mem, "The log ends with line %s.", list_number(mem, view->newest));
    return arena_printf(mem, "So far the log has %s line%s: look again in a moment.", list_number(mem, view->newest),
                        view->newest == 1 ? "" : "s");
}

/* "Lines 1 to 400 of 5,210", with "so far" while it grows; "" when there are none. */
static const char *told_of(const struct log_view *view, struct arena *mem)
{
    const char *so_far = view->complete || view->next <= view->newest ? "" : " so far";

    if (view->count == 0)
        return "";
    int64_t first = view->lines[0].number, last = view->lines[view->count - 1].number;
    if (first == 1 && last == view->newest)
        return arena_printf(mem, "%s line%s%s", list_number(mem, last), last == 1 ? "" : "s", so_far);
    if (last == view->newest)
        return arena_printf(mem, "The last %s of %s lines%s", list_number(mem, (int64_t)view->count),
                            list_number(mem, view->newest), so_far);
    return arena_printf(mem, "Lines %s to %s of %s%s", list_number(mem, first), list_number(mem, last),
                        list_number(mem, view->newest), so_far);
}

static const char *follow_url(const struct release *r, const struct log_view *view, struct arena *mem)
{
    return has_more(view) ? arena_printf(mem, "%s.json?from=%lld&build=%s", log_url(r, mem), (long long)view->next,
                                         link_encode(r->build_id, mem))
                          : "";
}

json_object *log_tail_model(struct admin *admin, const struct release *r, struct arena *mem, int64_t *evidence)
{
    const struct log_wish wish = { .limit = LOG_TAIL, .wait_ms = LOG_TAIL_WAIT_MS };
    struct log_view view = { 0 };

    *evidence = 0;
    if (!r->build_id)
        return json_build("b", 0);
    view_log(admin, r, wish, mem, &view);
    *evidence = evidence_of(r, &view);
    return json_build("{s:o, s:s, s:s, s:s, s:s}", "lines", line_rows(r, &view, mem), "told", told_of(&view, mem),
                      "note", note_of(&view, mem), "url", log_url(r, mem), "follow", follow_url(r, &view, mem));
}

const char *log_version(struct admin *admin, const struct release *r, struct arena *mem)
{
    const struct log_wish wish = { .limit = 1 };
    struct log_view view = { 0 };

    if (!r->build_id)
        return "";
    view_log(admin, r, wish, mem, &view);
    return arena_printf(mem, "%d.%d.%d", view.looked, view.complete, view.trouble != NULL);
}

/* ---- All of it ---- */

bool log_is_line_number(const char *text)
{
    int64_t number;

    return text_parse_int(text, 1, INT32_MAX, &number);
}

/* The router has checked what is there. */
static int64_t from_of(struct request *request)
{
    const char *text = request_query(request, "from");
    int64_t from = 1;

    return text && text_parse_int(text, 1, INT32_MAX, &from) ? from : 1;
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

/* Links to the pages before and after; "" where there is none. */
static void put_paging(json_object *model, const struct release *r, const struct log_view *view, struct arena *mem)
{
    const char *url = log_url(r, mem);
    int64_t begin = view->count > 0 ? view->lines[0].number : view->next;
    int64_t before = begin - LOG_PAGE > view->first ? begin - LOG_PAGE : view->first;
    int64_t last = view->newest - LOG_PAGE + 1;
    bool has_before = begin > view->first && view->newest > 0, has_after = view->next <= view->newest;

    json_put(model, "beginning", json_text(has_before ? url : ""));
    json_put(model, "earlier", json_text(has_before ? arena_printf(mem, "%s?from=%lld", url, (long long)before) : ""));
    json_put(model, "later", json_text(has_after ? arena_printf(mem, "%s?from=%lld", url, (long long)view->next) : ""));
    json_put(model, "end",
             json_text(has_after && last > view->next ? arena_printf(mem, "%s?from=%lld", url, (long long)last) : ""));
}

int log_model(struct admin *admin, struct db *db, struct request *request, json_object **model, struct err *e)
{
    const struct log_wish wish = {
        .from = from_of(request), .limit = LOG_PAGE, .bytes = LOG_PAGE_BYTES, .wait_ms = LOG_PAGE_WAIT_MS
    };
    struct arena *mem = request->mem;
    struct log_view view = { 0 };
    struct release r = { 0 };

    if (find_release(db, request, &r, e))
        return e->code;
    view_log(admin, &r, wish, mem, &view);
    *model =
        json_build("{s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:b, s:s}", "title",
                   arena_printf(mem, "Log of %s v%d - berth", r.app, r.number), "app", r.app, "app_url",
                   arena_printf(mem, "/apps/%s", r.app), "number", arena_printf(mem, "v%d", r.number), "release_url",
                   arena_printf(mem, "/apps/%s/releases/%d", r.app, r.number), "lines", line_rows(&r, &view, mem),
                   "follow", follow_url(&r, &view, mem), "told", told_of(&view, mem), "note", page_note_of(&view, mem),
                   "left_out", view.first > 1, "command", arena_printf(mem, "berth logs %s v%d", r.app, r.number));
    put_paging(*model, &r, &view, mem);
    return 0;
}

/* ---- What came since ---- */

static json_object *reply_lines(const struct release *r, const struct log_view *view)
{
    json_object *rows = json_new_array();

    for (size_t i = 0; i < view->count; i++) {
        const struct followed_line *line = &view->lines[i];
        json_append(
            rows, json_build("{s:I, s:s, s:s}", "n", line->number, "look", look_of(r, line->text), "text", line->text));
    }
    return rows;
}

bool log_is_build(const char *text)
{
    return *text && strlen(text) <= BUILD_ID_MAX && text_is_utf8(text, strlen(text)) &&
           !text_has_control(text, strlen(text));
}

int log_reply(struct admin *admin, struct db *db, struct request *request, struct response *response, struct err *e)
{
    struct log_wish wish = { .from = from_of(request), .limit = LOG_REPLY, .bytes = LOG_REPLY_BYTES };
    const char *build = request_query(request, "build");
    struct arena *mem = request->mem;
    struct log_view view = { 0 };
    struct release r = { 0 };

    if (find_release(db, request, &r, e))
        return e->code;
    if (build && strcmp(build, r.build_id) != 0)
        wish.from = 1;
    view_log(admin, &r, wish, mem, &view);
    if (admin_not_modified(request, response,
                           arena_printf(mem, "%s %lld.%d.%d.%d", r.build_id, (long long)view.next, view.complete,
                                        view.looked, view.trouble != NULL)))
        return 0;
    response_json(response, 200,
                  json_build("{s:s, s:o, s:I, s:b, s:s}", "build", r.build_id, "lines", reply_lines(&r, &view), "next",
                             view.next, "complete", view.complete, "note", note_of(&view, mem)));
    return 0;
}
