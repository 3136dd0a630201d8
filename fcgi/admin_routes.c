/* The one table of the admin pages' routes; tests read it, so a route that is here is tried without sign-in, without token, with hostile input. */
#include "core/base/text.h"
#include "core/tenant/app.h"
#include "fcgi/admin.h"
#include "fcgi/admin_lists.h"
#include "fcgi/link.h"

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

static bool valid_condition_or_empty(const char *text)
{
    enum app_condition condition;

    return !*text || app_condition_parse(text, &condition);
}

static bool valid_overview_cursor(const char *text)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct summary_page page = { 0 };

    return overview_cursor_parse(text, mem, &page);
}

#define PAGE(...) (&(const struct admin_page_route){ __VA_ARGS__ })
#define CHANGE(...) (&(const struct admin_change_route){ __VA_ARGS__ })
#define FIELDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NO_FIELDS ((const char *const[]){ NULL })

/* A row reads as a row. */
/* clang-format off */
#define APP { "app", FIELD_IN_PATH, valid_app }
#define RELEASE { "release", FIELD_IN_PATH, valid_release }
#define ONLY_APP { "app", FIELD_IN_QUERY, list_is_app_or_empty }
#define AFTER { "after", FIELD_IN_QUERY, link_is_cursor }
/* clang-format on */

const struct route admin_routes[] = {
    { "GET",
      "/",
      admin_show,
      { { "after", FIELD_IN_QUERY, valid_overview_cursor },
        { "only", FIELD_IN_QUERY, valid_condition_or_empty },
        { "q", FIELD_IN_QUERY, list_is_search } },
      PAGE(.page = PAGE_OVERVIEW, .model = overview_model) },
    { "GET",
      "/apps/{app}",
      admin_show,
      { APP, { "before", FIELD_IN_QUERY, valid_release } },
      PAGE(.page = PAGE_APP, .model = app_model) },
    { "POST",
      "/apps/{app}/settings",
      admin_take,
      { APP },
      CHANGE(.form = "settings", .change = settings_change,
             .fields =
                 FIELDS("size", "tasks", "port", "health_check_path", "branch", "path_filter", "was.*", "commit", "do"),
             .page = PAGE_APP, .model = app_model) },
    { "POST",
      "/apps/{app}/pause",
      admin_take,
      { APP },
      CHANGE(.form = "pause", .change = pause_change, .fields = NO_FIELDS, .page = PAGE_APP, .model = app_model) },
    { "POST",
      "/apps/{app}/resume",
      admin_take,
      { APP },
      CHANGE(.form = "resume", .change = resume_change, .fields = NO_FIELDS, .page = PAGE_APP, .model = app_model) },
    { "POST",
      "/apps/{app}/rollback",
      admin_take,
      { APP },
      CHANGE(.form = "rollback", .change = rollback_change, .fields = FIELDS("release"), .page = PAGE_APP,
             .model = app_model) },
    { "POST",
      "/apps/{app}/deploy",
      admin_take,
      { APP },
      CHANGE(.form = "deploy", .change = deploy_change, .fields = FIELDS("commit"), .page = PAGE_APP,
             .model = app_model) },
    { "POST",
      "/apps/{app}/cancel",
      admin_take,
      { APP },
      CHANGE(.form = "cancel", .change = cancel_change, .fields = NO_FIELDS, .page = PAGE_APP, .model = app_model) },
    { "POST",
      "/apps/{app}/destroy",
      admin_take,
      { APP },
      CHANGE(.form = "destroy", .change = destroy_change, .fields = FIELDS("confirm"), .page = PAGE_APP,
             .model = app_model) },
    { "GET",
      "/apps/{app}/releases/{release}",
      admin_show,
      { APP, RELEASE },
      PAGE(.page = PAGE_RELEASE, .model = release_model) },
    { "GET",
      "/load-balancers",
      admin_show,
      { ONLY_APP, { "listener", FIELD_IN_QUERY, balancers_is_listener }, AFTER },
      PAGE(.page = PAGE_BALANCERS, .model = balancers_model) },
    { "GET", "/doctor", admin_show, { { .name = NULL } }, PAGE(.page = PAGE_DOCTOR, .model = doctor_model) },
    { "POST",
      "/doctor/check",
      admin_take,
      { { .name = NULL } },
      CHANGE(.form = "check_now", .change = check_now_change, .fields = NO_FIELDS, .page = PAGE_DOCTOR,
             .model = doctor_model) },
};
const size_t admin_route_count = sizeof admin_routes / sizeof *admin_routes;
