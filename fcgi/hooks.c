#include "fcgi/hooks.h"

#include <malloc.h>
#include <stdlib.h>

#include "core/base/fatal.h"
#include "fcgi/application.h"

static void alive(void *context, struct request *request, struct response *response)
{
    (void)context;
    (void)request;
    health_alive(response);
}

static void ready(void *context, struct request *request, struct response *response)
{
    struct hooks *hooks = context;

    (void)request;
    health_ready(hooks->health, response);
}

static void refuse(void *context, struct request *request, struct response *response, int status, const char *message)
{
    static const struct {
        int status;
        const char *code;
    } codes[] = { { 404, "not_found" }, { 405, "method_not_allowed" }, { 400, "bad_request" } };
    const char *code = "bad_request";

    (void)context;
    (void)request;
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        if (codes[i].status == status)
            code = codes[i].code;
    }
    response_error(response, status, code, message,
                   "GitHub posts to /hooks/github/{app}; berth itself is asked at /healthz and /readyz.");
}

static const struct route routes[] = {
    { .method = "POST", .pattern = "/hooks/github/{app}", .handle = webhook_take },
    { .method = "GET", .pattern = "/healthz", .handle = alive },
    { .method = "GET", .pattern = "/readyz", .handle = ready },
};

/* The last opened is the first to go: threads before what they use. */
static void hooks_close(void *context)
{
    struct hooks *hooks = context;

    health_free(hooks->health);
    intake_free(hooks->intake);
    flood_free(hooks->flood);
    directory_free(hooks->directory);
    hook_secrets_free(hooks->secrets);
    aws_free(hooks->aws);
    http_curl_free(hooks->curl);
    db_pool_free(hooks->pool);
    gate_free(hooks->large_bodies);
    gate_free(hooks->large_parses);
    free(hooks);
}

static int open_aws(struct hooks *hooks, const struct settings *settings, struct err *e)
{
    if (http_curl_new("berth/" BERTH_VERSION, &hooks->curl, e))
        return (int)e->code;

    struct aws_options options = { .region = settings->aws_region, .transport = http_curl_transport(hooks->curl) };
    if (aws_new(&options, &hooks->aws, e))
        return (int)e->code;
    hooks->secrets = hook_secrets_new(hooks->aws, &clock_system);
    return 0;
}

static int open_database(struct hooks *hooks, const struct settings *settings, struct err *e)
{
    struct db_pool_options options = {
        .conninfo = settings->database_hooks,
        .name = "hooks",
        .size = (int)settings->database_connections,
        .take_timeout_ms = HOOKS_TAKE_MS,
        .statement_timeout_ms = HOOKS_STATEMENT_MS,
    };

    if (!settings->database_hooks) {
        err_set(e, ERR_INVALID, "there is no connection string of the login berth_hooks");
        return err_hint(e, "Set [database] hooks in the configuration, or BERTH_DATABASE_HOOKS.");
    }
    /* One listens for changes of the apps all the time. */
    if (options.size < 2) {
        err_set(e, ERR_INVALID, "[database] connections is %d; the responder needs 2 at least", options.size);
        return err_hint(e, "Set [database] connections, or BERTH_DATABASE_CONNECTIONS, to 8 or more.");
    }
    if (db_pool_new(&options, &hooks->pool, e) || directory_new(hooks->pool, &hooks->directory, e) ||
        intake_new(hooks->pool, &hooks->intake, e))
        return (int)e->code;
    return health_new(settings->database_hooks, hooks->directory, &hooks->health, e);
}

int hooks_open(const struct settings *settings, struct application *out, struct err *e)
{
    struct hooks *hooks = calloc(1, sizeof(*hooks));

    if (!hooks)
        fatal_no_memory();
    /* Large bodies go back to the system when they are freed; by default glibc would learn from the first one to keep them. */
    mallopt(M_MMAP_THRESHOLD, HOOKS_LARGE_BODY);
    hooks->body_max = settings->hooks_body_max;
    hooks->large_bodies = gate_new(HOOKS_LARGE_BODIES);
    hooks->large_parses = gate_new(HOOKS_LARGE_PARSES);
    hooks->flood = flood_new(&clock_system);
    if (open_aws(hooks, settings, e) || open_database(hooks, settings, e)) {
        hooks_close(hooks);
        return (int)e->code;
    }
    *out = (struct application){
        .name = "hooks",
        .routes = routes,
        .route_count = sizeof(routes) / sizeof(*routes),
        .context = hooks,
        .refuse = refuse,
        .close = hooks_close,
    };
    return 0;
}
