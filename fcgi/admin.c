#include "fcgi/admin.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/tenant/app.h"
#include "core/tenant/names.h"
#include "fcgi/application.h"

enum { ADMIN_TAKE_TIMEOUT_MS = 3000, ADMIN_STATEMENT_TIMEOUT_MS = 10000 };

static const char *const page_files[PAGE_COUNT] = {
    [PAGE_OVERVIEW] = "overview.html",
    [PAGE_APP] = "app.html",
    [PAGE_RELEASE] = "release.html",
    [PAGE_MESSAGE] = "message.html",
};

/* ---- Answers ---- */

static void set_headers(struct response *response)
{
    response->content_type = "text/html; charset=utf-8";
    response_header(response, "Content-Security-Policy",
                    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
                    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
    response_header(response, "X-Content-Type-Options", "nosniff");
    response_header(response, "Referrer-Policy", "no-referrer");
    response_header(response, "Cache-Control", "no-store");
}

void admin_add_frame(json_object *model, const struct request *request)
{
    json_put(model, "user", json_text(request->remote_user ? request->remote_user : "nobody"));
    json_put(model, "version", json_text(BERTH_VERSION));
}

const char *admin_host(const struct admin *admin, const char *app, const char *live_host, struct arena *mem)
{
    if (live_host)
        return live_host;
    return admin->settings->domain ? name_host(mem, app, admin->settings->domain) : "";
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
    set_headers(response);
    return 0;
}

static void refuse(void *context, struct request *request, struct response *response, int status, const char *message)
{
    struct err e = { 0 };
    AUTO_JSON json_object *model =
        json_build("{s:i, s:s, s:s}", "status", status, "title", response_reason(status), "message", message);

    response->status = status;
    if (render(context, PAGE_MESSAGE, model, request, response, &e))
        response_error(response, status, "page_failed", message, NULL);
}

static bool is_operator(const struct admin *admin, const char *user)
{
    for (size_t i = 0; user && i < admin->settings->admin_operators.count; i++)
        if (!strcmp(admin->settings->admin_operators.items[i], user))
            return true;
    return false;
}

static void refuse_for(struct admin *admin, struct request *request, struct response *response, const struct err *e)
{
    if (e->code == ERR_NOT_FOUND) {
        refuse(admin, request, response, 404, e->message);
        return;
    }
    log_err(LOG_ERROR, "page failed", e, log_text("path", request->path), log_text("user", request->remote_user));
    if (err_may_retry(e))
        refuse(admin, request, response, 503, "Postgres does not answer. Apps that are live are not touched by that.");
    else
        refuse(admin, request, response, 500, "berth failed to make this page. Its log says why.");
}

static void answer(struct admin *admin, enum admin_page page, admin_model *read_model, struct request *request,
                   struct response *response)
{
    AUTO_DB struct db *db = NULL;
    AUTO_JSON json_object *model = NULL;
    struct err e = { 0 };

    if (!is_operator(admin, request->remote_user)) {
        refuse(admin, request, response, 403,
               request->remote_user ? "You are signed in, but not one of [admin] operators in berth's configuration."
                                    : "The web server has signed nobody in.");
        return;
    }
    if (db_take(admin->db, &db, &e) || read_model(admin, db, request, &model, &e) ||
        render(admin, page, model, request, response, &e))
        refuse_for(admin, request, response, &e);
}

static void handle_overview(void *context, struct request *request, struct response *response)
{
    answer(context, PAGE_OVERVIEW, overview_model, request, response);
}

static void handle_app(void *context, struct request *request, struct response *response)
{
    answer(context, PAGE_APP, app_model, request, response);
}

static void handle_release(void *context, struct request *request, struct response *response)
{
    answer(context, PAGE_RELEASE, release_model, request, response);
}

/* ---- Routes ---- */

static bool valid_app(const char *text)
{
    struct err e = { 0 };

    return app_check_name(text, &e) == 0;
}

static bool valid_release(const char *text)
{
    int64_t number;

    return text_parse_int(text, 1, INT32_MAX, &number);
}

static bool valid_condition(const char *text)
{
    enum app_condition condition;

    return app_condition_parse(text, &condition);
}

static bool valid_cursor(const char *text)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct summary_page page = { 0 };

    return overview_cursor_parse(text, mem, &page);
}

const struct route admin_routes[] = {
    { "GET",
      "/",
      handle_overview,
      { { "after", FIELD_IN_QUERY, valid_cursor }, { "only", FIELD_IN_QUERY, valid_condition } } },
    { "GET", "/apps/{app}", handle_app, { { "app", FIELD_IN_PATH, valid_app } } },
    { "GET",
      "/apps/{app}/releases/{release}",
      handle_release,
      { { "app", FIELD_IN_PATH, valid_app }, { "release", FIELD_IN_PATH, valid_release } } },
};
const size_t admin_route_count = sizeof admin_routes / sizeof *admin_routes;

static void admin_close(void *context)
{
    struct admin *admin = context;

    for (size_t i = 0; i < PAGE_COUNT; i++)
        view_free(admin->views[i]);
    db_pool_free(admin->db);
    free(admin);
}

static int load_views(struct admin *admin, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();

    view_library_init();
    for (size_t i = 0; i < PAGE_COUNT; i++)
        if (view_load(arena_printf(mem, "%s/%s", admin->settings->www, page_files[i]), &admin->views[i], e))
            return e->code;
    return 0;
}

int admin_open(const struct settings *settings, struct application *out, struct err *e)
{
    struct db_pool_options options = { .conninfo = settings->database_admin,
                                       .name = "admin",
                                       .size = (int)settings->database_connections,
                                       .take_timeout_ms = ADMIN_TAKE_TIMEOUT_MS,
                                       .statement_timeout_ms = ADMIN_STATEMENT_TIMEOUT_MS };
    struct admin *admin = NULL;

    if (!settings->database_admin) {
        err_set(e, ERR_INVALID, "no database connection is configured for the login \"admin\"");
        return err_hint(e, "Set admin under [database], or BERTH_DATABASE_ADMIN.");
    }
    admin = calloc(1, sizeof *admin);
    if (!admin)
        return err_set(e, ERR_NO_MEMORY, "no memory for the admin pages");
    admin->settings = settings;
    admin->clock = &clock_system;
    if (load_views(admin, e) || db_pool_new(&options, &admin->db, e)) {
        admin_close(admin);
        return e->code;
    }
    *out = (struct application){ .name = "admin",
                                 .routes = admin_routes,
                                 .route_count = admin_route_count,
                                 .context = admin,
                                 .refuse = refuse,
                                 .close = admin_close };
    return 0;
}
