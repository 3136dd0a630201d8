/* The one table of the admin pages' routes; tests read it, so a route that is here is tried without sign-in, without token, with hostile input. */
#include "core/base/text.h"
#include "core/tenant/app.h"
#include "fcgi/admin.h"
#include "fcgi/admin_delivery_words.h"
#include "fcgi/admin_limit_form.h"
#include "fcgi/admin_lists.h"
#include "fcgi/admin_log.h"
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
#define REPLY(...) (&(const struct admin_reply_route){ __VA_ARGS__ })
#define CHANGE(...) (&(const struct admin_change_route){ __VA_ARGS__ })
#define FIELDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NO_FIELDS ((const char *const[]){ NULL })

/* A row reads as a row. */
/* clang-format off */
#define APP { "app", FIELD_IN_PATH, valid_app }
#define RELEASE { "release", FIELD_IN_PATH, valid_release }
#define DELIVERY { "delivery", FIELD_IN_PATH, delivery_is_id }
#define ONLY_APP { "app", FIELD_IN_QUERY, list_is_app_or_empty }
#define FROM { "from", FIELD_IN_QUERY, log_is_line_number }
#define AFTER { "after", FIELD_IN_QUERY, link_is_cursor }
#define AUDIT_FIELDS { ONLY_APP, { "actor", FIELD_IN_QUERY, audit_is_actor }, { "action", FIELD_IN_QUERY, audit_is_action }, \
                       { "since", FIELD_IN_QUERY, audit_is_day }, { "until", FIELD_IN_QUERY, audit_is_day }, AFTER }
/* clang-format on */

const struct route admin_routes[] = {
    { "GET",
      "/",
      admin_show,
      { { "after", FIELD_IN_QUERY, valid_overview_cursor },
        { "only", FIELD_IN_QUERY, valid_condition_or_empty },
        { "q", FIELD_IN_QUERY, list_is_search } },
      PAGE(.page = PAGE_OVERVIEW, .model = overview_model, .version = overview_version) },
    { "GET",
      "/apps/{app}",
      admin_show,
      { APP, { "before", FIELD_IN_QUERY, valid_release } },
      PAGE(.page = PAGE_APP, .model = app_model, .version = app_version) },
    { "POST",
      "/apps/{app}/settings",
      admin_take,
      { APP },
      CHANGE(.form = "settings", .change = settings_change,
             .fields = FIELDS("size", "tasks", "port", "health_check_path", "branch", "path_filter", "was.*", "do"),
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
      CHANGE(.form = "cancel", .change = cancel_change, .fields = FIELDS("releases"), .page = PAGE_APP,
             .model = app_model) },
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
      PAGE(.page = PAGE_RELEASE, .model = release_model, .version = release_version) },
    { "GET",
      "/apps/{app}/releases/{release}/log",
      admin_show,
      { APP, RELEASE, FROM },
      PAGE(.page = PAGE_LOG, .model = log_model) },
    { "GET",
      "/apps/{app}/releases/{release}/log.json",
      admin_send,
      { APP, RELEASE, FROM, { "build", FIELD_IN_QUERY, log_is_build } },
      REPLY(.reply = log_reply) },
    { "GET",
      "/deliveries",
      admin_show,
      { ONLY_APP, { "only", FIELD_IN_QUERY, deliveries_is_outcome }, { "q", FIELD_IN_QUERY, list_is_search }, AFTER },
      PAGE(.page = PAGE_DELIVERIES, .model = deliveries_model) },
    { "GET",
      "/apps/{app}/deliveries/{delivery}",
      admin_show,
      { APP, DELIVERY },
      PAGE(.page = PAGE_DELIVERY, .model = delivery_model) },
    { "POST",
      "/apps/{app}/deliveries/{delivery}/run-again",
      admin_take,
      { APP, DELIVERY },
      CHANGE(.form = "run_again", .change = run_again_change, .fields = NO_FIELDS, .page = PAGE_DELIVERY,
             .model = delivery_model) },
    { "GET", "/limits", admin_show, { AFTER }, PAGE(.page = PAGE_LIMITS, .model = limits_model) },
    { "POST",
      "/limits",
      admin_take,
      { { .name = NULL } },
      CHANGE(.form = "default_limits", .change = default_limits_change, .fields = FIELDS(LIMIT_FORM_FIELDS),
             .page = PAGE_LIMITS, .model = limits_model) },
    { "GET", "/apps/{app}/limits", admin_show, { APP }, PAGE(.page = PAGE_APP_LIMITS, .model = app_limits_model) },
    { "POST",
      "/apps/{app}/limits",
      admin_take,
      { APP },
      CHANGE(.form = "limits", .change = app_limits_change, .fields = FIELDS(LIMIT_FORM_FIELDS),
             .page = PAGE_APP_LIMITS, .model = app_limits_model) },
    { "GET",
      "/load-balancers",
      admin_show,
      { ONLY_APP, { "listener", FIELD_IN_QUERY, balancers_is_listener }, AFTER },
      PAGE(.page = PAGE_BALANCERS, .model = balancers_model) },
    { "GET", "/audit", admin_show, AUDIT_FIELDS, PAGE(.page = PAGE_AUDIT, .model = audit_model) },
    { "GET", "/audit.csv", admin_send, AUDIT_FIELDS, REPLY(.reply = audit_csv_reply) },
    { "GET", "/doctor", admin_show, { { .name = NULL } }, PAGE(.page = PAGE_DOCTOR, .model = doctor_model) },
    { "POST",
      "/doctor/check",
      admin_take,
      { { .name = NULL } },
      CHANGE(.form = "check_now", .change = check_now_change, .fields = NO_FIELDS, .page = PAGE_DOCTOR,
             .model = doctor_model) },
};
const size_t admin_route_count = sizeof admin_routes / sizeof *admin_routes;
