/* The way of every request through the admin pages: who asks, where from, with which token; then the page, or the change and where it leads. */
#include <string.h>

#include "core/base/fatal.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "fcgi/admin.h"
#include "fcgi/admin_words.h"
#include "fcgi/csrf.h"

#define TOO_OLD "This page was open for more than 12 hours, so nothing was done yet."
#define TOO_OLD_HINT "What you typed is kept: check it, and send it again."

/* ---- Writing ---- */

/* same-origin, not no-referrer: under that one browsers send "Origin: null" with the site's own forms. */
static void set_headers(struct response *response)
{
    response_header(response, "Content-Security-Policy",
                    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
                    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
    response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
    response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    response_header(response, "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
    response_header(response, "X-Content-Type-Options", "nosniff");
    response_header(response, "Referrer-Policy", "same-origin");
    response_header(response, "Cache-Control", "no-store");
}

static void put_problem(json_object *model, const struct form *form, struct arena *mem)
{
    if (!form || !form->problem)
        json_put(model, "problem", json_build("b", 0));
    else
        json_put(model, "problem",
                 json_build("{s:s, s:o}", "message", form->problem, "hint", text_parts(form->hint, mem)));
}

void admin_add_frame(json_object *model, struct request *request)
{
    json_put(model, "user", json_text(request->remote_user ? request->remote_user : "nobody"));
    json_put(model, "version", json_text(BERTH_VERSION));
    json_put(model, "notice", json_text(notice_of(request)));
    put_problem(model, request->form, request->mem);
}

static int render(struct admin *admin, enum admin_page page, json_object *model, struct request *request,
                  struct response *response, struct err *e)
{
    admin_add_frame(model, request);
    response->body.max = VIEW_OUT_MAX;
    if (view_render(admin->views[page], model, &response->body, NULL, e)) {
        buf_clear(&response->body);
        return e->code;
    }
    response->content_type = "text/html; charset=utf-8";
    return 0;
}

/* ---- Refusing ---- */

struct refusal {
    int status;
    const char *message, *hint; /* hint NULL: none */
};

/* Where a query that is refused leads on to: the same page without it. "" for what is no page. */
static const char *way_back(const struct request *request, int status)
{
    bool is_page = request->route && request->route->handle == admin_show;

    return status == 400 && is_page ? request->path : "";
}

static void refuse(struct admin *admin, struct request *request, struct response *response,
                   const struct refusal *refusal)
{
    struct err e = { 0 };
    AUTO_JSON json_object *model = json_build(
        "{s:i, s:s, s:s, s:o, s:s}", "status", refusal->status, "title", response_reason(refusal->status), "message",
        refusal->message, "hint", text_parts(refusal->hint, request->mem), "back", way_back(request, refusal->status));

    request->form = NULL; /* the message says it all */
    response->status = refusal->status;
    if (render(admin, PAGE_MESSAGE, model, request, response, &e))
        response_error(response, refusal->status, "page_failed", refusal->message, refusal->hint);
}

void admin_refuse(void *context, struct request *request, struct response *response, int status, const char *message)
{
    refuse(context, request, response, &(const struct refusal){ status, message, NULL });
}

/* A value that Postgres had to refuse (SQLSTATE 22, 23) should have been refused before: no fault of who typed it. */
static enum err_code blame_of(const struct err *e)
{
    bool by_postgres = strlen(e->detail) == 5 && (text_starts(e->detail, "22") || text_starts(e->detail, "23"));

    return e->code == ERR_INVALID && by_postgres ? ERR_INTERNAL : e->code;
}

/* What a person is told of an error, and whether the log has to be told too. */
static int status_of(const struct err *e, bool *log)
{
    static const struct {
        int status;
        bool log;
    } by_code[ERR_CODE_COUNT] = {
        [ERR_TRANSIENT] = { 503, true }, [ERR_THROTTLED] = { 503, true },  [ERR_CONFLICT] = { 409, false },
        [ERR_DENIED] = { 502, true },    [ERR_NOT_FOUND] = { 404, false }, [ERR_INVALID] = { 422, false },
        [ERR_QUOTA] = { 409, false },    [ERR_NO_MEMORY] = { 500, true },  [ERR_INTERNAL] = { 500, true },
    };

    *log = by_code[blame_of(e)].log;
    return by_code[blame_of(e)].status;
}

static void note(const struct request *request, const struct err *e)
{
    log_err(LOG_ERROR, strcmp(request->method, "POST") == 0 ? "change failed" : "page failed", e,
            log_text("path", request->path), log_text("user", request->remote_user));
}

/* A query that no check of the route refused, and what reads it did. With a code from outside it is somebody else's complaint, and no fault of who asked. */
static bool is_of_the_query(const struct err *e)
{
    return e->code == ERR_INVALID && *e->detail == '\0';
}

/* A page that could not be made. */
static void refuse_page(struct admin *admin, struct request *request, struct response *response, const struct err *e)
{
    struct refusal refusal = { .status = 500, .message = "berth failed to make this page. Its log says why." };

    response->content_type = NULL;
    buf_clear(&response->body);
    if (e->code == ERR_NOT_FOUND) {
        refusal = (struct refusal){ 404, e->message, e->hint };
    } else if (is_of_the_query(e)) {
        refusal = (struct refusal){ 400, e->message, e->hint };
    } else {
        note(request, e);
        if (err_may_retry(e))
            refusal =
                (struct refusal){ 503, "Postgres does not answer. Apps that are live are not touched by that.", NULL };
    }
    refuse(admin, request, response, &refusal);
}

/* ---- Letting in ---- */

static bool is_operator(const struct admin *admin, const char *user)
{
    for (size_t i = 0; user && i < admin->settings->admin_operators.count; i++)
        if (!strcmp(admin->settings->admin_operators.items[i], user))
            return true;
    return false;
}

/* The router asks it before all else, so who is nobody does not even learn which addresses there are. */
bool admin_let_in(void *context, struct request *request, struct response *response)
{
    const struct admin *admin = context;
    struct refusal refusal = { .status = 403, .message = "The web server has signed nobody in." };

    set_headers(response);
    if (is_operator(admin, request->remote_user))
        return true;
    if (request->remote_user && *request->remote_user)
        refusal.message = "You are signed in, but not one of [admin] operators in berth's configuration.";
    refuse(context, request, response, &refusal);
    return false;
}

/* ---- Pages ---- */

bool admin_not_modified(struct request *request, struct response *response, const char *version)
{
    const char *seen = request_header(request, "If-None-Match");
    const char *of = arena_printf(request->mem, "%s\n%s\n%s", BERTH_VERSION, request->remote_user, version);
    uint8_t digest[HASH_SIZE];
    char hex[HASH_HEX_SIZE];

    hash_sha256(of, strlen(of), digest);
    hash_hex(digest, sizeof digest, hex);
    const char *tag = arena_printf(request->mem, "\"%.32s\"", hex);
    response_header(response, "ETag", arena_printf(request->mem, "W/%s", tag));
    /* Without its quotes: a web server that compresses puts a suffix inside them. */
    if (!seen || !strstr(seen, arena_copy_n(request->mem, tag + 1, strlen(tag) - 2)))
        return false;
    response->status = 304;
    return true;
}

static int check_version(struct admin *admin, struct db *db, admin_version *read_version, struct request *request,
                         struct response *response, bool *same, struct err *e)
{
    const char *version = NULL;

    if (!read_version)
        return 0;
    if (read_version(admin, db, request, &version, e))
        return e->code;
    *same = version && admin_not_modified(request, response, version);
    return 0;
}

static int make_page(struct admin *admin, const struct admin_page_route *route, struct request *request,
                     struct response *response, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    AUTO_JSON json_object *model = NULL;
    bool same = false;

    if (db_take(admin->db, &db, e) || admin_load_key(admin, db, e) ||
        check_version(admin, db, route->version, request, response, &same, e))
        return e->code;
    if (same)
        return 0;
    if (route->model(admin, db, request, &model, e))
        return e->code;
    return render(admin, route->page, model, request, response, e);
}

void admin_show(void *context, struct request *request, struct response *response)
{
    struct err e = { 0 };

    if (make_page(context, request->route->detail, request, response, &e))
        refuse_page(context, request, response, &e);
}

void admin_send(void *context, struct request *request, struct response *response)
{
    const struct admin_reply_route *route = request->route->detail;
    struct admin *admin = context;
    AUTO_DB struct db *db = NULL;
    struct err e = { 0 };

    response->body.max = VIEW_OUT_MAX;
    if (db_take(admin->db, &db, &e) || route->reply(admin, db, request, response, &e))
        refuse_page(admin, request, response, &e);
}

/* ---- Changes ---- */

void admin_put_token(struct admin *admin, const struct request *request, json_object *model, const char *form)
{
    json_object *tokens = json_get(model, "csrf");

    if (!admin->key)
        fatal("a form's token is asked for before its key was read");
    if (!tokens) {
        tokens = json_new_object();
        json_put(model, "csrf", tokens);
    }
    json_put(tokens, form,
             json_text(csrf_token(admin->key, request->remote_user, form, clock_now_ms(admin->clock), request->mem)));
}

/* The page that has the form, with what was typed and what is wrong with it; a message where even the page can't be made. */
static void show_again(struct admin *admin, const struct admin_change_route *route, struct request *request,
                       struct response *response, int status)
{
    const struct admin_page_route page = { .page = route->page, .model = route->model };
    const struct refusal refusal = { status, request->form->problem, request->form->hint };
    struct err e = { 0 };

    response->status = status;
    if (make_page(admin, &page, request, response, &e))
        refuse(admin, request, response, &refusal);
}

static void redirect(struct request *request, struct response *response, const struct admin_answer *answer)
{
    const char *to = notice_url(answer->to, answer->notice, &answer->values, request->mem);

    if (to[0] != '/' || to[1] == '/')
        fatal("a change leads away from this site");
    response->status = 303;
    response_header(response, "Location", to);
}

static void put_form_problem(struct form *form)
{
    form->problem =
        form->errors == 1
            ? "A field needs another value, so nothing was changed."
            : arena_printf(form->mem, "%zu fields need another value, so nothing was changed.", form->errors);
    form->hint = "What is right is said beside it; all that you typed is kept.";
}

static void put_error(struct form *form, const struct err *e)
{
    bool is_ours = blame_of(e) == ERR_INTERNAL || e->code == ERR_NO_MEMORY;

    form->problem = is_ours ? "berth failed to do this. Its log says why." : arena_copy(form->mem, e->message);
    form->hint = is_ours || !*e->hint ? NULL : arena_copy(form->mem, e->hint);
}

static void carry_out(struct admin *admin, const struct admin_change_route *route, struct request *request,
                      struct response *response)
{
    struct admin_answer answer = { 0 };
    struct err e = { 0 };
    bool log = false;

    if (route->change(admin, request, request->form, &answer, &e)) {
        int status = status_of(&e, &log);
        if (log)
            note(request, &e);
        put_error(request->form, &e);
        show_again(admin, route, request, response, status);
    } else if (answer.to) {
        redirect(request, response, &answer);
    } else if (answer.preview) {
        show_again(admin, route, request, response, 200);
    } else {
        put_form_problem(request->form);
        show_again(admin, route, request, response, 422);
    }
}

static int load_key(struct admin *admin, struct err *e)
{
    AUTO_DB struct db *db = NULL;

    return db_take(admin->db, &db, e) || admin_load_key(admin, db, e) ? (int)e->code : 0;
}

static const struct refusal elsewhere = { 403, "This form was sent from another site, so nothing was done.",
                                          "Open the page here, and send its form from there." };
static const struct refusal no_token = { 403,
                                         "This form has no token of berth's, or another one's, so nothing was done.",
                                         "Open the page again, and send its form from there." };

void admin_take(void *context, struct request *request, struct response *response)
{
    const struct admin_change_route *route = request->route->detail;
    struct admin *admin = context;
    struct refusal unread = { .status = 400 };
    struct form *form = NULL;
    struct err e = { 0 };

    if (!csrf_is_same_origin(request)) {
        refuse(admin, request, response, &elsewhere);
    } else if (form_read(request, route->fields, &form, &unread.status, &e)) {
        unread.message = e.message;
        refuse(admin, request, response, &unread);
    } else if (load_key(admin, &e)) {
        refuse_page(admin, request, response, &e);
    } else {
        enum csrf_verdict verdict = csrf_check(admin->key, request->remote_user, route->form,
                                               form_text(form, FORM_TOKEN), clock_now_ms(admin->clock));
        request->form = form;
        if (verdict == CSRF_VALID) {
            carry_out(admin, route, request, response);
        } else if (verdict == CSRF_EXPIRED) {
            form->problem = TOO_OLD;
            form->hint = TOO_OLD_HINT;
            show_again(admin, route, request, response, 403);
        } else {
            refuse(admin, request, response, &no_token);
        }
    }
}
