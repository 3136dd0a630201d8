#include "fcgi/admin.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/tenant/names.h"
#include "fcgi/admin_log.h"
#include "fcgi/application.h"
#include "fcgi/csrf.h"
#include "fcgi/doctor_watch.h"

enum { ADMIN_TAKE_TIMEOUT_MS = 3000, ADMIN_STATEMENT_TIMEOUT_MS = 10000 };

static const char *const page_files[PAGE_COUNT] = {
    [PAGE_OVERVIEW] = "overview.html",     [PAGE_APP] = "app.html",
    [PAGE_RELEASE] = "release.html",       [PAGE_MESSAGE] = "message.html",
    [PAGE_DELIVERIES] = "deliveries.html", [PAGE_DELIVERY] = "delivery.html",
    [PAGE_AUDIT] = "audit.html",           [PAGE_LIMITS] = "limits.html",
    [PAGE_APP_LIMITS] = "app-limits.html", [PAGE_BALANCERS] = "balancers.html",
    [PAGE_DOCTOR] = "doctor.html",         [PAGE_LOG] = "log.html",
};

const char *admin_host(const struct admin *admin, const char *app, const char *live_host, struct arena *mem)
{
    if (live_host)
        return live_host;
    return admin->settings->domain ? name_host(mem, app, admin->settings->domain) : "";
}

/* ---- What comes with its first use ---- */

static bool has_key(struct admin *admin)
{
    pthread_mutex_lock(&admin->lock);
    bool there = admin->key != NULL;
    pthread_mutex_unlock(&admin->lock);
    return there;
}

/* Two threads may have read it: the first one's stays. */
static void keep_key(struct admin *admin, const uint8_t bytes[CSRF_KEY_SIZE])
{
    pthread_mutex_lock(&admin->lock);
    if (!admin->key)
        admin->key = secret_new(bytes, CSRF_KEY_SIZE);
    pthread_mutex_unlock(&admin->lock);
}

int admin_load_key(struct admin *admin, struct db *db, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    uint8_t bytes[CSRF_KEY_SIZE];

    if (has_key(admin))
        return 0;
    if (db_run(db, NULL, QUERY_ADMIN_KEY, NULL, 0, &rows, e))
        return err_context(e, "reading the key of the forms' tokens");
    if (db_count(rows) == 0 || !hash_from_hex(db_get(rows, 0, "key"), sizeof bytes * 2, bytes)) {
        err_set(e, ERR_INTERNAL, "berth.admin_keys holds no key for the forms' tokens");
        return err_hint(e, "A migration put one there. As the owner: INSERT INTO berth.admin_keys (key) VALUES "
                           "(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))).");
    }
    keep_key(admin, bytes);
    secret_wipe(bytes, sizeof bytes);
    return 0;
}

int admin_aws(struct admin *admin, struct aws **out, struct err *e)
{
    struct aws_options options = { .region = admin->settings->aws_region };

    pthread_mutex_lock(&admin->lock);
    if (!admin->aws) {
        options.transport = http_curl_transport(admin->curl);
        (void)aws_new(&options, &admin->aws, e);
    }
    *out = admin->aws;
    pthread_mutex_unlock(&admin->lock);
    return *out ? 0 : (int)e->code;
}

/* ---- Opening and closing ---- */

static void admin_close(void *context)
{
    struct admin *admin = context;

    for (size_t i = 0; i < PAGE_COUNT; i++)
        view_free(admin->views[i]);
    log_follow_free(admin->follow); /* it reads with what comes next */
    doctor_watch_free(admin->doctor);
    aws_free(admin->aws);
    http_curl_free(admin->curl);
    secret_free(admin->key);
    db_pool_free(admin->db);
    pthread_mutex_destroy(&admin->lock);
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

static bool admin_is_idle(void *context)
{
    const struct admin *admin = context;

    return doctor_watch_is_idle(admin->doctor);
}

static int open_doctor(struct admin *admin, struct err *e)
{
    static struct http_curl
        *curl; /* never freed: a look of the doctor's that hangs may outlast its run, and the application */
    struct doctor_options options = { .config_path = admin->settings->config_path, .aws_optional = true };

    if (!curl && http_curl_new("berth/" BERTH_VERSION, &curl, e))
        return e->code;
    options.transport = http_curl_transport(curl);
    admin->doctor = doctor_watch_new(&options, doctor_run);
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
    pthread_mutex_init(&admin->lock, NULL);
    if (load_views(admin, e) || http_curl_new("berth/" BERTH_VERSION, &admin->curl, e) || open_doctor(admin, e) ||
        db_pool_new(&options, &admin->db, e) || admin_log_open(admin, e)) {
        admin_close(admin);
        return e->code;
    }
    *out = (struct application){ .name = "admin",
                                 .routes = admin_routes,
                                 .route_count = admin_route_count,
                                 .context = admin,
                                 .let_in = admin_let_in,
                                 .refuse = admin_refuse,
                                 .is_idle = admin_is_idle,
                                 .close = admin_close };
    return 0;
}
