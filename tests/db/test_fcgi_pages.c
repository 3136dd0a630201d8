/* Every page over a real database: that no data goes unshown and no binding unfed, what is said, and paging. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/text.h"
#include "fcgi/admin.h"
#include "fcgi/admin_log.h"
#include "fcgi/application.h"
#include "tests/db/harness.h"

enum { LOG_LINES = 900 };

#define DIGEST "'sha256:' || repeat('0', 64)"

struct fixture {
    struct harness_database *database;
    struct db_pool *super;
    struct settings settings;
    struct application application;
    struct arena *mem;
    struct form *form; /* what the page was sent; NULL: nothing */
};

static const char *operators[] = { "operator", NULL };

/* ---- Asking ---- */

static const char *no_param(void *source, const char *name)
{
    (void)source;
    (void)name;
    return NULL;
}

static struct response ask(struct fixture *f, const char *method, const char *target, const char *user)
{
    struct request request = { .mem = f->mem, .method = method, .remote_user = user, .query = "", .param = no_param };
    struct response response;

    response_init(&response);
    request_set_target(&request, target);
    router_answer(&f->application, &request, &response);
    return response;
}

static void assert_status(struct fixture *f, const char *method, const char *target, const char *user, int status)
{
    struct response response = ask(f, method, target, user);

    if (response.status != status)
        fail_msg("%s %s as %s: %d, not %d\n%s", method, target, user ? user : "nobody", response.status, status,
                 buf_text(&response.body));
    response_free(&response);
}

static const char *page_of(struct fixture *f, const char *target)
{
    struct response response = ask(f, "GET", target, "operator");
    const char *body = arena_copy(f->mem, buf_text(&response.body));

    if (response.status != 200)
        fail_msg("GET %s: %d\n%s", target, response.status, body);
    response_free(&response);
    return body;
}

static size_t occurrences(const char *text, const char *of)
{
    size_t n = 0;

    for (const char *at = strstr(text, of); at; at = strstr(at + 1, of))
        n++;
    return n;
}

/* ---- A log without AWS ---- */

static int read_log(void *context, const char *app, const char *build_id, const char *from, struct arena *mem,
                    struct log_page *out, struct err *e)
{
    (void)context;
    (void)app;
    (void)e;
    out->count = from ? 0 : LOG_LINES;
    out->lines = arena_array(mem, LOG_LINES, sizeof *out->lines);
    for (size_t i = 0; i < LOG_LINES; i++)
        out->lines[i].text = i % 10 ? "#7 4.7 going on" : "error: of this build";
    out->next = strcmp(build_id, "none") ? arena_printf(mem, "%d", LOG_LINES) : NULL;
    return 0;
}

static void put_log(struct fixture *f)
{
    struct admin *admin = f->application.context;
    struct err e = { 0 };

    log_follow_free(admin->follow);
    admin->follow = NULL;
    if (log_follow_new(&(const struct log_source){ .read = read_log }, admin->clock, &admin->follow, &e))
        fail_msg("%s", e.message);
}

/* ---- Apps in every state ---- */

static void seed(struct fixture *f)
{
    harness_do(
        f->super,
        "INSERT INTO berth.apps (app_name, repository, webhook_policy, state) VALUES ('fresh', 'acme/fresh', "
        "'github', 'active'),"
        " ('failed', 'acme/failed', 'signed', 'active'), ('first-failed', 'acme/x', 'github', 'active'), "
        "('moving', 'acme/x', 'github', 'active'),"
        " ('queued', 'acme/x', 'github', 'active'), ('shop', 'acme/shop', 'github', 'active'), ('paused', "
        "'acme/x', 'github', 'paused'),"
        " ('leaving', 'acme/x', 'github', 'deleting'), ('dropped', 'acme/x', 'github', 'active');"
        "INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, commit_title, pushed_by, "
        "source_version, build_id,"
        " image_digest, task_definition_arn, error, hint, finished_at)"
        " SELECT a, n, k, s, st, repeat('a', 40), t, b, 'v', 'b', " DIGEST
        ", 'arn', e, h, CASE WHEN s IN ('queued', 'running') THEN NULL ELSE now() END"
        " FROM (VALUES ('failed', 1, 'push', 'live', 'live', 'title', 'teo', NULL, NULL), ('failed', 2, 'push', "
        "'failed', 'build', 't', 'b', 'error', 'See `berth logs failed v2` first.'),"
        "  ('first-failed', 1, 'push', 'failed', 'source', NULL, NULL, NULL, NULL), ('moving', 1, 'push', "
        "'live', 'live', 't', 'b', NULL, NULL),"
        "  ('moving', 2, 'push', 'running', 'rollout', 't', 'b', NULL, NULL), ('queued', 1, 'redeploy', "
        "'queued', 'source', 't', 'b', NULL, NULL),"
        "  ('shop', 1, 'push', 'live', 'live', 't', 'b', NULL, NULL), ('shop', 2, 'push', 'superseded', "
        "'build', 't', 'b', NULL, NULL),"
        "  ('shop', 3, 'rollback', 'live', 'live', 't', 'b', NULL, NULL), ('dropped', 1, 'push', 'cancelled', "
        "'build', 't', 'b', NULL, NULL))"
        " AS r (a, n, k, s, st, t, b, e, h);"
        "INSERT INTO berth.release_events (app_name, release, step, kind, message) SELECT app_name, number, "
        "'source', k, 'message'"
        " FROM berth.releases, unnest(ARRAY['info', 'done', 'retry', 'failed']) k;"
        "INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host)"
        " SELECT app_name, max(number), 'short', " DIGEST
        ", 'arn', app_name || '.example.org' FROM berth.releases WHERE state = 'live' GROUP BY app_name;"
        "UPDATE berth.apps a SET last_release = coalesce((SELECT max(r.number) FROM berth.releases r WHERE "
        "r.app_name = a.app_name), 0);"
        "UPDATE berth.releases SET cpu_units = 512, memory_mib = 1024, tasks = 2;"
        "UPDATE berth.deployments SET release = release;"
        "INSERT INTO berth.quotas (app_name, cpu_units) VALUES ('shop', 1024);"
        "INSERT INTO berth.looks (app_name, reason, owed_at, run_after) VALUES ('dropped', 'over_quota', now(), "
        "'infinity'), ('paused', 'paused', now(), 'infinity'), ('fresh', 'limited', now(), now() + interval '1 min');"
        "INSERT INTO berth.audit_log (actor, action, app_name) VALUES ('ines', 'app.pause', 'paused'), ('mara', "
        "'app.create', 'shop');"
        "INSERT INTO berth.teardowns (app_name, state, step, started_by, error, hint, finished_at) VALUES "
        "('leaving', 'failed', 'service', 'mara', 'AWS refused.', 'See `berth destroy leaving`.', now());"
        "INSERT INTO berth.resources (app_name, kind, name, arn, spec_hash) VALUES ('shop', 'target_group', "
        "'n', 'arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/n/1', 'h')");
}

static const char *const targets[] = {
    "/",
    "/?only=failed",
    "/?only=live",
    "/?only=none",
    "/?only=over_quota",
    "/?q=shop",
    "/?only=live&q=nothing",
    "/apps/fresh",
    "/apps/failed",
    "/apps/first-failed",
    "/apps/moving",
    "/apps/queued",
    "/apps/shop",
    "/apps/shop?before=3",
    "/apps/shop?before=1",
    "/apps/paused",
    "/apps/leaving",
    "/apps/dropped",
    "/apps/failed/releases/1",
    "/apps/failed/releases/2",
    "/apps/first-failed/releases/1",
    "/apps/moving/releases/2",
    "/apps/queued/releases/1",
    "/apps/shop/releases/1",
    "/apps/shop/releases/2",
    "/apps/shop/releases/3",
    "/apps/dropped/releases/1",
    "/apps/failed/releases/2/log",
    "/apps/failed/releases/2/log?from=401",
    "/apps/moving/releases/2/log?from=801",
};
enum { TARGETS = sizeof targets / sizeof *targets };

/* ---- Refusals ---- */

static void a_refusal_tells_nothing_of_the_apps(void **state)
{
    struct fixture *f = *state;

    struct response there = ask(f, "GET", "/apps/shop", "visitor");
    struct response not_there = ask(f, "GET", "/apps/nobody", "visitor");

    assert_string_equal(buf_text(&there.body), buf_text(&not_there.body));
    response_free(&there);
    response_free(&not_there);
}

static void what_is_not_there_is_404(void **state)
{
    static const char *const missing[] = { "/apps/nobody",
                                           "/apps/shop/releases/99",
                                           "/apps/shop/releases/0",
                                           "/apps/shop/releases/-1",
                                           "/apps/shop/releases/99999999999999999999",
                                           "/apps/shop/releases/1x",
                                           "/apps/shop/releases/",
                                           "/apps/",
                                           "/apps/UPPER",
                                           "/apps/..",
                                           "/apps/%3Cscript%3E",
                                           "/nothing",
                                           "/apps/shop/",
                                           "/apps/nobody/releases/1" };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
        assert_status(f, "GET", missing[i], "operator", 404);
}

static void a_query_that_no_link_of_ours_carries_is_400(void **state)
{
    static const char *const wrong[] = { "/?only=all",
                                         "/?q=%00",
                                         "/?q=%ff",
                                         "/?only=failed%00",
                                         "/?after=",
                                         "/?after=shop",
                                         "/?after=1.2",
                                         "/?after=1.2.",
                                         "/?after=-1.2.shop",
                                         "/?after=1.-2.shop",
                                         "/?after=1.99999999999999999999.shop",
                                         "/?after=1.2.UPPER",
                                         "/?after=10.2.shop",
                                         "/?after=1.2.shop'--" };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_status(f, "GET", wrong[i], "operator", 400);
}

static void a_database_that_is_away_is_503_with_a_page(void **state)
{
    struct fixture *f = *state;
    struct settings settings = f->settings;
    struct application away = { 0 };
    struct err e = { 0 };
    settings.database_admin = "host=/nonexistent dbname=berth user=berth_admin";
    assert_int_equal(admin_open(&settings, &away, &e), 0);
    struct fixture other = { .application = away, .mem = f->mem };

    struct response response = ask(&other, "GET", "/", "operator");

    assert_int_equal(response.status, 503);
    assert_non_null(strstr(buf_text(&response.body), "Postgres does not answer"));
    response_free(&response);
    away.close(away.context);
}

static void pages_are_not_opened_without_a_login_or_with_a_page_missing(void **state)
{
    struct fixture *f = *state;
    struct settings settings = f->settings;
    struct application none = { 0 };
    struct err e = { 0 };

    settings.database_admin = NULL;
    assert_int_equal(admin_open(&settings, &none, &e), ERR_INVALID);
    assert_non_null(strstr(e.hint, "BERTH_DATABASE_ADMIN"));
    settings = f->settings;
    settings.www = "/nonexistent";
    assert_int_equal(admin_open(&settings, &none, &e), ERR_INVALID);
    assert_non_null(strstr(e.message, "/nonexistent/overview.html"));
}

/* ---- Data and bindings ---- */

static void collect_leaves(const json_object *value, const char *path, json_object *leaves, struct arena *mem)
{
    if (json_is_object(value)) {
        for (struct json_member m = json_first(value); m.name; m = json_next(m))
            collect_leaves(m.value, arena_printf(mem, "%s/%s", path, m.name), leaves, mem);
    } else if (json_is_array(value)) {
        json_put(leaves, path, json_number(1));
        for (size_t i = 0; i < json_length(value); i++)
            collect_leaves(json_item(value, i), arena_printf(mem, "%s/*", path), leaves, mem);
    } else {
        json_put(leaves, path, json_number(1));
    }
}

/* Reads the page's model as its handler does, and renders it; adds to what was asked for and to what there was. */
static void render_one(struct fixture *f, const struct view *view, admin_model *model, const char *app,
                       const char *release, const char *target, json_object *used, json_object *leaves)
{
    struct admin *admin = f->application.context;
    struct request request = { .mem = f->mem,
                               .method = "GET",
                               .remote_user = "operator",
                               .query = "",
                               .values = { { "app", app }, { "release", release } },
                               .value_count = 2,
                               .form = f->form };
    AUTO_DB struct db *db = harness_take(admin->db);
    AUTO_JSON json_object *made = NULL;
    AUTO_BUF struct buf out = { 0 };
    struct err e = { 0 };

    request_set_target(&request, target);
    if (admin_load_key(admin, db, &e))
        fail_msg("%s", e.message);
    if (model(admin, db, &request, &made, &e))
        fail_msg("%s: %s", target, e.message);
    admin_add_frame(made, &request);
    if (view_render(view, made, &out, used, &e))
        fail_msg("%s: %s", target, e.message);
    collect_leaves(made, "", leaves, f->mem);
}

static bool was_used(const json_object *used, const char *name)
{
    const char *wanted = *name == '/' ? name + 1 : name;

    for (struct json_member m = json_first(used); m.name; m = json_next(m)) {
        size_t len = strlen(m.name), tail = strlen(wanted);
        if (len > tail && m.name[len - tail - 1] == '/' && strcmp(m.name + len - tail, wanted) == 0)
            return true;
    }
    return false;
}

static size_t count_unfed_bindings(const char *page, const json_object *used, struct arena *mem)
{
    AUTO_BUF struct buf text = { 0 };
    FILE *file = fopen(arena_printf(mem, "%s/www/%s", SOURCE_DIR, page), "re");
    size_t unfed = 0;
    int c;

    assert_non_null(file);
    while ((c = fgetc(file)) != EOF)
        buf_add_char(&text, (char)c);
    fclose(file);
    for (const char *at = strstr(buf_text(&text), " data-"); at; at = strstr(at + 1, " data-")) {
        const char *value = strchr(at, '"') + 1;
        const char *name = arena_copy_n(mem, value, strcspn(value, "\""));
        if (!was_used(used, name)) {
            print_error("%s: the binding \"%s\" was fed by no model\n", page, name);
            unfed++;
        }
    }
    return unfed;
}

static void assert_joined(const char *page, const json_object *used, const json_object *leaves, struct arena *mem)
{
    size_t unshown = 0;

    for (struct json_member m = json_first(leaves); m.name; m = json_next(m))
        if (!json_get(used, m.name)) {
            print_error("%s: the model's %s is shown by no binding\n", page, m.name);
            unshown++;
        }
    assert_int_equal(unshown, 0);
    assert_int_equal(count_unfed_bindings(page, used, mem), 0);
}

static void render_each(struct fixture *f, enum admin_page page, admin_model *model, json_object *used,
                        json_object *leaves)
{
    const struct admin *admin = f->application.context;

    for (int i = 0; i < TARGETS; i++) {
        char app[32] = "", release[8] = "";
        int parts = sscanf(targets[i], "/apps/%31[a-z-]/releases/%7[0-9]", app, release);
        bool log = strstr(targets[i], "/log") != NULL;
        if ((page == PAGE_OVERVIEW && parts <= 0) || (page == PAGE_APP && parts == 1) ||
            (page == PAGE_RELEASE && parts == 2 && !log) || (page == PAGE_LOG && log))
            render_one(f, admin->views[page], model, app, release, targets[i], used, leaves);
    }
}

/* A form that somebody was quicker than, with fields in error; and more releases than a page has. */
static void render_after_a_refusal(struct fixture *f, enum admin_page page, json_object *used, json_object *leaves)
{
    static const char *const declared[] = { "tasks", "size", "was.*", "confirm", NULL };
    const struct admin *admin = f->application.context;
    struct form form = { .mem = f->mem,
                         .declared = declared,
                         .fields = { { .name = "tasks", .text = "3" }, { .name = "was.tasks", .text = "9" } },
                         .count = 2,
                         .problem = "problem",
                         .hint = "hint `code`" };

    harness_do(f->super, "INSERT INTO berth.audit_log (actor, action, app_name, after) VALUES ('ines', 'app.update', "
                         "'long', '{\"tasks\": 1}')");
    form_refuse(&form, "size", "error");
    form_refuse(&form, "confirm", "error");
    f->form = &form;
    if (page == PAGE_APP)
        render_one(f, admin->views[PAGE_APP], app_model, "long", "", "/apps/long", used, leaves);
    else if (page == PAGE_LOG)
        render_one(f, admin->views[PAGE_LOG], log_model, "failed", "2", "/apps/failed/releases/2/log", used, leaves);
    else if (page == PAGE_RELEASE)
        render_one(f, admin->views[PAGE_RELEASE], release_model, "long", "1", "/apps/long/releases/1", used, leaves);
    else
        render_one(f, admin->views[PAGE_OVERVIEW], overview_model, "", "", "/", used, leaves);
    f->form = NULL;
}

static void every_binding_has_data_and_all_data_is_shown(void **state)
{
    static const struct {
        enum admin_page page;
        admin_model *model;
        const char *file;
    } pages[] = { { PAGE_OVERVIEW, overview_model, "overview.html" },
                  { PAGE_APP, app_model, "app.html" },
                  { PAGE_RELEASE, release_model, "release.html" },
                  { PAGE_LOG, log_model, "log.html" } };
    struct fixture *f = *state;
    /* More than a page of apps, and of releases: then the links to the rest are there too. */
    harness_do(f->super,
               "INSERT INTO berth.apps (app_name, repository, webhook_policy) SELECT 'more' || i, 'a/b', 'github' FROM "
               "generate_series(1, 110) i;"
               "INSERT INTO berth.apps (app_name, repository, webhook_policy) VALUES ('long', 'a/b', 'github');"
               "INSERT INTO berth.releases (app_name, number, kind, state, commit_sha, finished_at)"
               " SELECT 'long', i, 'push', 'failed', repeat('a', 40), now() FROM generate_series(1, 60) i");

    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        AUTO_JSON json_object *used = json_new_object();
        AUTO_JSON json_object *leaves = json_new_object();
        const struct admin *admin = f->application.context;
        render_each(f, pages[i].page, pages[i].model, used, leaves);
        if (pages[i].page == PAGE_OVERVIEW) {
            render_one(f, admin->views[PAGE_OVERVIEW], overview_model, "", "", "/?after=0.1.aaa", used, leaves);
            render_after_a_refusal(f, PAGE_OVERVIEW, used, leaves);
            harness_do(f->super, "UPDATE berth.apps SET state = 'deleted'");
            render_one(f, admin->views[PAGE_OVERVIEW], overview_model, "", "", "/", used, leaves);
            harness_do(f->super,
                       "UPDATE berth.apps SET state = CASE app_name WHEN 'paused' THEN 'paused' WHEN 'leaving' "
                       "THEN 'deleting' ELSE 'active' END");
        }
        if (pages[i].page != PAGE_OVERVIEW)
            render_after_a_refusal(f, pages[i].page, used, leaves);
        assert_joined(pages[i].file, used, leaves, f->mem);
    }
}

static void the_message_page_shows_what_a_refusal_says(void **state)
{
    struct fixture *f = *state;
    struct response response = ask(f, "GET", "/apps/nobody", "operator");

    assert_non_null(strstr(buf_text(&response.body), "there is no app named &quot;nobody&quot;"));
    assert_non_null(strstr(buf_text(&response.body), "<span>404</span>"));
    assert_non_null(strstr(buf_text(&response.body), "<title>Not Found</title>"));
    assert_non_null(strstr(buf_text(&response.body), ">operator<"));
    assert_non_null(strstr(buf_text(&response.body), BERTH_VERSION));
    response_free(&response);
}

/* ---- What the pages say ---- */

static void a_page_is_made_of_every_state(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < TARGETS; i++)
        assert_null(strstr(page_of(f, targets[i]), "(null)"));
}

static void a_head_is_answered_like_its_get(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < TARGETS; i++)
        assert_status(f, "HEAD", targets[i], "operator", 200);
}

static void a_failed_release_says_why_what_to_do_and_what_visitors_see(void **state)
{
    struct fixture *f = *state;
    const char *failed = page_of(f, "/apps/failed/releases/2");
    const char *first = page_of(f, "/apps/first-failed/releases/1");

    assert_non_null(strstr(failed, ">error<"));
    assert_non_null(strstr(failed, "<span>See </span>"));
    assert_non_null(strstr(failed, "<code>berth logs failed v2</code>"));
    assert_non_null(strstr(failed, "<span> first.</span>"));
    assert_non_null(strstr(failed, "v1 is still live. Visitors saw nothing."));
    assert_non_null(strstr(first, "Nothing is live yet."));
}

static void an_app_that_is_being_destroyed_is_not_called_paused(void **state)
{
    assert_non_null(strstr(page_of(*state, "/apps/leaving"), ">Going away<"));
}

static void only_what_can_be_done_with_a_release_is_offered(void **state)
{
    struct fixture *f = *state;
    const char *shop = page_of(f, "/apps/shop"), *moving = page_of(f, "/apps/moving");
    const char *failed = page_of(f, "/apps/failed"), *leaving = page_of(f, "/apps/leaving");

    assert_non_null(strstr(shop, "aria-label=\"Roll back to v1\""));
    assert_non_null(strstr(shop, "aria-label=\"Redeploy v3\""));
    assert_null(strstr(shop, "to v2\"")); /* it never went live */
    assert_null(strstr(shop, "to v3\"")); /* it is live */
    assert_non_null(strstr(moving, "aria-label=\"Cancel v2\""));
    assert_non_null(strstr(failed, "aria-label=\"Redeploy v2\""));
    assert_null(strstr(leaving, "<button"));
    harness_do(f->super, "UPDATE berth.releases SET pruned_at = now() WHERE app_name = 'shop' AND number = 1");
    assert_null(strstr(page_of(f, "/apps/shop"), "aria-label=\"Roll back"));
}

static void what_runs_again_by_a_rollback_is_not_offered_as_one_on_any_page(void **state)
{
    struct fixture *f = *state;
    const char *older = "/apps/shop?before=2"; /* the rollback that is live is on the page before */
    assert_non_null(strstr(page_of(f, older), "aria-label=\"Roll back to v1\""));

    harness_do(f->super, "UPDATE berth.releases SET rollback_to = 1 WHERE app_name = 'shop' AND number = 3");

    assert_null(strstr(page_of(f, older), "aria-label=\"Roll back"));
    assert_null(strstr(page_of(f, "/apps/shop"), "aria-label=\"Roll back"));
}

static void an_app_says_what_it_waits_for(void **state)
{
    assert_non_null(strstr(page_of(*state, "/apps/dropped"), "was refused by a quota. The branch main is looked at "
                                                             "again when an operator raises the quota."));
    assert_non_null(strstr(page_of(*state, "/apps/fresh"),
                           "turned away by the rate limit. The branch main is looked at again in "));
    assert_non_null(strstr(page_of(*state, "/apps/paused"), "Paused by @ines"));
    assert_non_null(strstr(page_of(*state, "/apps/paused"), "looked at again when the app is resumed."));
}

static void a_teardown_that_stopped_says_why_and_how_to_go_on(void **state)
{
    const char *page = page_of(*state, "/apps/leaving");

    assert_non_null(strstr(page, "begun by @mara, stopped at service."));
    assert_non_null(strstr(page, "<code>berth destroy leaving</code>"));
    assert_non_null(strstr(page, "AWS refused."));
}

static void the_last_ten_are_told_in_words_too(void **state)
{
    assert_non_null(strstr(page_of(*state, "/?q=acme/shop"), "aria-label=\"v3 live, v2 superseded, v1 went live\""));
}

static void an_app_without_a_release_says_what_to_do(void **state)
{
    assert_non_null(strstr(page_of(*state, "/apps/fresh"), "No release yet. Push to <span>acme/fresh</span>"));
}

static void an_installation_without_an_app_says_what_to_do(void **state)
{
    struct fixture *f = *state;
    harness_do(f->super, "DELETE FROM berth.looks; DELETE FROM berth.quotas; DELETE FROM berth.resources; DELETE FROM "
                         "berth.deployments; DELETE FROM berth.release_events; DELETE FROM berth.releases;"
                         "DELETE FROM berth.apps");

    assert_non_null(strstr(page_of(f, "/"), "berth apps create hello --repo"));
}

static void times_out_of_any_range_break_no_page(void **state)
{
    struct fixture *f = *state;
    static const char *const times[] = { "infinity",     "-infinity",  "0044-03-15 BC",
                                         "294275-01-01", "1969-01-01", "2999-01-01" };

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        harness_do(f->super, arena_printf(f->mem,
                                          "UPDATE berth.releases SET created_at = '%s'; UPDATE berth.releases SET "
                                          "finished_at = '%s' WHERE finished_at IS NOT NULL;"
                                          "UPDATE berth.release_events SET at = '%s'; UPDATE berth.deployments SET "
                                          "live_since = '%s'; UPDATE berth.apps SET created_at = '%s'",
                                          times[i], times[i], times[i], times[i], times[i]));
        a_page_is_made_of_every_state(state);
    }
}

/* ---- Paging ---- */

static void make_apps(struct fixture *f, int wanted)
{
    int made = 9; /* by seed */

    harness_do(f->super,
               arena_printf(
                   f->mem,
                   "INSERT INTO berth.apps (app_name, repository, webhook_policy) SELECT 'more' || i, 'a/b', 'github' "
                   "FROM generate_series(1, %d) i",
                   wanted - made));
}

static const char *next_link(const char *page, struct arena *mem)
{
    const char *at = strstr(page, ">Next</a>");

    if (!at)
        return NULL;
    while (strncmp(at, "href=\"", 6) != 0)
        at--;
    const char *escaped = arena_copy_n(mem, at + 6, strcspn(at + 6, "\""));
    const char *and = strstr(escaped, "&amp;");
    return and? arena_printf(mem, "%.*s&%s", (int)(and-escaped), escaped, and+5) : escaped;
}

static void thirty_apps_are_one_page(void **state)
{
    struct fixture *f = *state;
    make_apps(f, 30);

    const char *page = page_of(f, "/");

    assert_int_equal(occurrences(page, "<td role=\"cell\" class=\"name\">"), 30);
    assert_null(next_link(page, f->mem));
}

static void the_next_app_is_on_a_second_page(void **state)
{
    struct fixture *f = *state;
    make_apps(f, 31);

    const char *first = page_of(f, "/");
    const char *second = page_of(f, next_link(first, f->mem));

    assert_int_equal(occurrences(first, "<td role=\"cell\" class=\"name\">"), 30);
    assert_int_equal(occurrences(second, "<td role=\"cell\" class=\"name\">"), 1);
    assert_null(next_link(second, f->mem));
    assert_non_null(strstr(second, ">First</a>"));
}

static void a_page_of_one_condition_goes_on_in_that_condition(void **state)
{
    struct fixture *f = *state;
    harness_do(f->super, "INSERT INTO berth.apps (app_name, repository, webhook_policy) SELECT 'none' || i, 'a/b', "
                         "'github' FROM generate_series(1, 50) i");

    const char *first = page_of(f, "/?only=none");
    const char *second = page_of(f, next_link(first, f->mem));

    assert_int_equal(occurrences(first, "<td role=\"cell\" class=\"name\">"), 30);
    assert_int_equal(occurrences(second, "<td role=\"cell\" class=\"name\">"), 21); /* fresh besides */
    assert_null(strstr(second, "mark failed\">Failed"));
}

/* ---- */

static int setup(void **state)
{
    static struct fixture f;
    struct err e = { 0 };

    f = (struct fixture){ .database = harness_database_new(), .mem = arena_new() };
    f.super = harness_pool(f.database, HARNESS_SUPERUSER, 1);
    f.settings = (struct settings){ .database_admin = harness_conninfo(f.database, HARNESS_ADMIN),
                                    .database_connections = 2,
                                    .www = SOURCE_DIR "/www",
                                    .domain = "apps.example.org",
                                    .admin_operators = { .items = operators, .count = 1 } };
    if (admin_open(&f.settings, &f.application, &e))
        fail_msg("%s", e.message);
    put_log(&f);
    seed(&f);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    f->application.close(f->application.context);
    db_pool_free(f->super);
    harness_database_free(f->database);
    arena_free(f->mem);
    return 0;
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EACH(a_refusal_tells_nothing_of_the_apps),
        EACH(what_is_not_there_is_404),
        EACH(a_query_that_no_link_of_ours_carries_is_400),
        EACH(a_database_that_is_away_is_503_with_a_page),
        EACH(pages_are_not_opened_without_a_login_or_with_a_page_missing),
        EACH(every_binding_has_data_and_all_data_is_shown),
        EACH(the_message_page_shows_what_a_refusal_says),
        EACH(a_page_is_made_of_every_state),
        EACH(a_head_is_answered_like_its_get),
        EACH(a_failed_release_says_why_what_to_do_and_what_visitors_see),
        EACH(an_app_that_is_being_destroyed_is_not_called_paused),
        EACH(only_what_can_be_done_with_a_release_is_offered),
        EACH(what_runs_again_by_a_rollback_is_not_offered_as_one_on_any_page),
        EACH(an_app_says_what_it_waits_for),
        EACH(a_teardown_that_stopped_says_why_and_how_to_go_on),
        EACH(the_last_ten_are_told_in_words_too),
        EACH(an_app_without_a_release_says_what_to_do),
        EACH(an_installation_without_an_app_says_what_to_do),
        EACH(times_out_of_any_range_break_no_page),
        EACH(thirty_apps_are_one_page),
        EACH(the_next_app_is_on_a_second_page),
        EACH(a_page_of_one_condition_goes_on_in_that_condition),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
