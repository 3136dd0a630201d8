/* The pages that list things, over a real database: what they say of each outcome, what they let through, and where they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/deploy/listener_room.h"
#include "fcgi/admin.h"
#include "fcgi/admin_lists.h"
#include "fcgi/application.h"
#include "fcgi/csrf.h"
#include "fcgi/doctor_watch.h"
#include "tests/db/harness.h"

#define LISTENER "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/app/"
#define FIRST LISTENER "berth-1/50dc6c495c0c9188/f2f7dc8efc522ab2"
#define SECOND LISTENER "berth-2/60dc6c495c0c9188/a2f7dc8efc522ab2"
#define OTHER LISTENER "berth-0/70dc6c495c0c9188/b2f7dc8efc522ab2"
#define SHA(c) "repeat('" c "', 40)"

struct fixture {
    struct harness_database *database;
    struct db_pool *super;
    struct settings settings;
    struct application application;
    struct arena *mem;
};

static const char *operators[] = { "operator", NULL };
static const char *listeners[] = { FIRST, SECOND, NULL };

/* ---- Asking ---- */

static struct response ask(struct fixture *f, const char *target)
{
    struct request request = { .mem = f->mem, .method = "GET", .remote_user = "operator", .query = "" };
    struct response response;

    response_init(&response);
    request_set_target(&request, target);
    router_answer(&f->application, &request, &response);
    return response;
}

static const char *body_of(struct fixture *f, const char *target, int status)
{
    struct response response = ask(f, target);
    const char *body = arena_copy(f->mem, buf_text(&response.body));

    if (response.status != status)
        fail_msg("GET %s: %d\n%s", target, response.status, body);
    response_free(&response);
    return body;
}

static const char *page_of(struct fixture *f, const char *target)
{
    return body_of(f, target, 200);
}

static void assert_shows(const char *page, const char *text)
{
    if (!strstr(page, text))
        fail_msg("\"%s\" is not in\n%s", text, strstr(page, "<main"));
}

static void assert_hides(const char *page, const char *text)
{
    if (strstr(page, text))
        fail_msg("\"%s\" is in\n%s", text, strstr(page, "<main"));
}

static size_t occurrences(const char *text, const char *of)
{
    size_t n = 0;

    for (const char *at = strstr(text, of); at; at = strstr(at + 1, of))
        n++;
    return n;
}

/* The address of the link of that text, unescaped; NULL: there is none. */
static const char *link_of(struct fixture *f, const char *page, const char *text)
{
    const char *at = strstr(page, arena_printf(f->mem, ">%s</a>", text));
    AUTO_BUF struct buf out = { 0 };

    if (!at)
        return NULL;
    while (strncmp(at, "href=\"", 6) != 0)
        at--;
    for (const char *c = at + 6; *c != '"'; c++) {
        buf_add_char(&out, *c);
        if (strncmp(c, "&amp;", 5) == 0)
            c += 4;
    }
    return arena_copy(f->mem, buf_text(&out));
}

/* ---- Deliveries, as intake stores them ---- */

static void sql(struct fixture *f, const char *text)
{
    harness_do(f->super, text);
}

static void push(struct fixture *f, const char *app, const char *id, const char *branch, const char *commit,
                 const char *body)
{
    sql(f, arena_printf(f->mem,
                        "SELECT berth.take_delivery('%s', '%s', 'push', NULL, sha256('%s'), '%s', 'acme/%s', 1, '%s', "
                        "repeat('%s', 40), 'Title', 'teo', 'new', NULL)",
                        app, id, body, body, app, branch, commit));
}

static void seed_app(struct fixture *f, const char *app)
{
    sql(f, arena_printf(f->mem,
                        "INSERT INTO berth.apps (app_name, repository, repository_id, webhook_policy) VALUES ('%s', "
                        "'acme/%s', 1, 'github')",
                        app, app));
}

static void seed(struct fixture *f)
{
    seed_app(f, "shop");
    seed_app(f, "slow");
    seed_app(f, "small");
    seed_app(f, "rest");
    sql(f, "INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour) VALUES ('slow', 1, 1);"
           "INSERT INTO berth.quotas (app_name, cpu_units) VALUES ('small', 128);"
           "UPDATE berth.apps SET state = 'paused' WHERE app_name = 'rest'");
    push(f, "shop", "accepted-0001", "main", "a", "1");
    push(f, "shop", "again-0000002", "main", "a", "1");
    push(f, "shop", "commit-000003", "main", "a", "3");
    push(f, "shop", "branch-000004", "wip", "b", "4");
    push(f, "slow", "slow-00000005", "main", "a", "5");
    push(f, "slow", "limited-00006", "main", "b", "6");
    push(f, "small", "quota-0000007", "main", "a", "7");
    push(f, "rest", "paused-000008", "main", "a", "8");
    sql(f,
        "SELECT berth.take_delivery('shop', 'ping-00000009', 'ping', 'not a push', sha256('9'), '9', 'acme/shop', 1, "
        "NULL, NULL, NULL, NULL, 'new', NULL)");
    sql(f,
        "INSERT INTO berth.listener_slots (listener_arn, priority, app_name) VALUES ('" FIRST "', 1, 'shop'), ('" FIRST
        "', 2, NULL), ('" SECOND "', 1, 'slow'), ('" OTHER "', 1, 'rest');"
        "INSERT INTO berth.audit_log (actor, action, app_name, before, after) VALUES"
        " ('ines', 'app.create', 'shop', NULL, '{\"branch\": \"main\", \"tasks\": 1}'),"
        " ('mara', 'app.update', 'shop', '{\"cpu_units\": 256, \"tasks\": 1}', '{\"cpu_units\": 512, \"tasks\": 1}'),"
        " ('mara', 'made.up', NULL, NULL, NULL)");
}

/* ---- A doctor that asks nobody ---- */

static int runs;

static int fake_run(const struct doctor_options *options, struct arena *mem, struct doctor_check **out, size_t *count,
                    struct err *e)
{
    static const struct doctor_check found[] = {
        { "clock", "Clock", DOCTOR_OK, "It agrees.", NULL, 3 },
        { "secrets", "Secrets", DOCTOR_SKIPPED, "There are no AWS credentials.", NULL, 0 },
        { "room", "Room", DOCTOR_WARNING, "<b>72</b> of 90.", "Add to `listeners`.", 3 },
        { "github", "GitHub", DOCTOR_FAILED, "No answer.", NULL, 5000 },
    };

    (void)options;
    if (++runs == 2)
        return err_set(e, ERR_NO_MEMORY, "no thread for the check room");
    *count = sizeof found / sizeof *found;
    *out = arena_array(mem, *count, sizeof **out);
    memcpy(*out, found, sizeof found);
    return 0;
}

static struct doctor_watch_found wait_for_run(struct fixture *f)
{
    struct admin *admin = f->application.context;
    struct doctor_watch_found found = { .running = true };

    for (int i = 0; i < 500 && found.running; i++) {
        usleep(10000);
        doctor_watch_look(admin->doctor, f->mem, &found);
    }
    assert_false(found.running);
    return found;
}

/* ---- Data and bindings ---- */

static void collect_leaves(const json_object *value, const char *path, json_object *leaves, struct arena *mem)
{
    if (json_is_object(value)) {
        for (struct json_member m = json_first(value); m.name; m = json_next(m))
            collect_leaves(m.value, arena_printf(mem, "%s/%s", path, m.name), leaves, mem);
        return;
    }
    json_put(leaves, path, json_number(1));
    for (size_t i = 0; i < json_length(value); i++)
        collect_leaves(json_item(value, i), arena_printf(mem, "%s/*", path), leaves, mem);
}

struct shown {
    enum admin_page page;
    admin_model *model;
    const char *app, *delivery;
    const char *targets[8];
};

static void render_one(struct fixture *f, const struct shown *shown, const char *target, json_object *used,
                       json_object *leaves)
{
    struct admin *admin = f->application.context;
    struct request request = { .mem = f->mem,
                               .method = "GET",
                               .remote_user = "operator",
                               .query = "",
                               .values = { { "app", shown->app }, { "delivery", shown->delivery } },
                               .value_count = 2 };
    AUTO_DB struct db *db = harness_take(admin->db);
    AUTO_JSON json_object *made = NULL;
    AUTO_BUF struct buf out = { 0 };
    struct err e = { 0 };

    request_set_target(&request, target);
    if (admin_load_key(admin, db, &e) || shown->model(admin, db, &request, &made, &e))
        fail_msg("%s: %s", target, e.message);
    collect_leaves(made, "", leaves, f->mem);
    admin_add_frame(made, &request);
    if (view_render(admin->views[shown->page], made, &out, used, &e))
        fail_msg("%s: %s", target, e.message);
}

static void every_member_of_the_models_is_shown(void **state)
{
    static const struct shown pages[] = {
        { PAGE_DELIVERIES, deliveries_model, "", "", { "/deliveries", "/deliveries?app=shop&only=ignored&q=x", NULL } },
        { PAGE_DELIVERY, delivery_model, "shop", "accepted-0001", { "/x", NULL } },
        { PAGE_DELIVERY, delivery_model, "slow", "limited-00006", { "/x", NULL } },
        { PAGE_BALANCERS,
          balancers_model,
          "",
          "",
          { "/load-balancers", "/load-balancers?app=shop&listener=" FIRST, NULL } },
        { PAGE_AUDIT, audit_model, "", "", { "/audit", "/audit?actor=mara&app=shop&since=2020-01-01", NULL } },
        { PAGE_DOCTOR, doctor_model, "", "", { "/doctor", NULL } },
    };
    struct fixture *f = *state;
    size_t unshown = 0;
    (void)page_of(f, "/doctor");
    (void)wait_for_run(f);

    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        AUTO_JSON json_object *used = json_new_object();
        AUTO_JSON json_object *leaves = json_new_object();
        for (const char *const *target = pages[i].targets; *target; target++)
            render_one(f, &pages[i], *target, used, leaves);
        for (struct json_member m = json_first(leaves); m.name; m = json_next(m))
            /* Of what is empty the element is not written, and what is inside of it isn't asked for. */
            if (!json_get(used, m.name) && !strstr(m.name, "ended_mark") && !strstr(m.name, "url") &&
                !strstr(m.name, "told/act") && !strstr(m.name, "percent_mark") && !strstr(m.name, "warning_mark") &&
                !strstr(m.name, "is_full") && !strstr(m.name, "run_") && !strstr(m.name, "/csrf/") &&
                strcmp(m.name, "/at") != 0 && strcmp(m.name, "/ago") != 0 && strcmp(m.name, "/summary") != 0) {
                print_error("page %d: the model's %s is shown by no binding\n", (int)pages[i].page, m.name);
                unshown++;
            }
    }
    assert_int_equal(unshown, 0);
}

/* ---- Deliveries ---- */

static void each_outcome_is_told_with_the_thing_that_it_became(void **state)
{
    struct fixture *f = *state;
    sql(f, "UPDATE berth.releases SET state = 'failed', step = 'build', finished_at = now() WHERE app_name = 'shop'");

    const char *page = page_of(f, "/deliveries");

    assert_shows(page, "<bdi>became</bdi> <a class=\"became\" href=\"/apps/shop/releases/1\">v1</a>");
    assert_shows(page, "<span class=\"mark failed\">failed at build</span>");
    assert_shows(page, "the same push as");
    assert_shows(page, "href=\"/apps/shop/deliveries/accepted-0001\">accepted</a>");
    assert_shows(page, "a push to wip; the app is built from main");
    assert_shows(page, "; main is looked at again at ");
    assert_shows(page, "CPU units: 0 of 128 in use, a rollout needs 256 more");
    assert_string_equal(link_of(f, page, "Raise the quota"), "/apps/small/limits");
    assert_string_equal(link_of(f, page, "Resume it"), "/apps/rest");
    for (const char *const *word =
             (const char *const[]){ "Accepted", "Ignored", "Duplicate", "Limited", "Over quota", "Paused", NULL };
         *word; word++)
        assert_shows(page, arena_printf(f->mem, ">%s</span></span>", *word));
}

static void a_duplicate_of_a_commit_links_the_release_that_has_it(void **state)
{
    struct fixture *f = *state;

    const char *page = page_of(f, "/apps/shop/deliveries/commit-000003");

    assert_shows(page, "href=\"/apps/shop/releases/1\">v1</a><span> is of this commit</span>");
}

static void each_answer_is_the_one_that_github_got(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *target, *answer;
    } answers[] = { { "/apps/shop/deliveries/accepted-0001", "<span>202</span>" },
                    { "/apps/shop/deliveries/branch-000004", "<span>200</span>" },
                    { "/apps/slow/deliveries/limited-00006", "<span>429</span>" },
                    { "/apps/small/deliveries/quota-0000007", "<span>403</span>" } };

    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        assert_shows(page_of(f, answers[i].target), answers[i].answer);
}

static void only_what_could_end_differently_can_be_run_again(void **state)
{
    struct fixture *f = *state;
    static const char *const can[] = { "shop/deliveries/branch-000004", "slow/deliveries/limited-00006",
                                       "small/deliveries/quota-0000007", "rest/deliveries/paused-000008" };
    static const char *const can_not[] = { "shop/deliveries/accepted-0001", "shop/deliveries/again-0000002",
                                           "shop/deliveries/commit-000003", "shop/deliveries/ping-00000009" };

    const char *page = page_of(f, "/deliveries");

    for (size_t i = 0; i < sizeof can / sizeof *can; i++)
        assert_shows(page, arena_printf(f->mem, "action=\"/apps/%s/run-again\"", can[i]));
    for (size_t i = 0; i < sizeof can_not / sizeof *can_not; i++)
        assert_hides(page, arena_printf(f->mem, "action=\"/apps/%s/run-again\"", can_not[i]));
}

static void a_push_whose_release_failed_can_be_run_again_but_not_while_its_app_goes_away(void **state)
{
    struct fixture *f = *state;
    sql(f, "UPDATE berth.releases SET state = 'failed', finished_at = now() WHERE app_name = 'shop'");

    assert_shows(page_of(f, "/apps/shop/deliveries/accepted-0001"), "accepted-0001/run-again\"");

    sql(f, "UPDATE berth.apps SET state = 'deleting'");
    assert_hides(page_of(f, "/deliveries"), "run-again\"");
}

static void a_search_for_an_apps_name_shows_that_apps(void **state)
{
    struct fixture *f = *state;

    const char *page = page_of(f, "/deliveries?q=slow");

    assert_int_equal(occurrences(page, "<td role=\"cell\" class=\"outcome\">"), 2);
    assert_shows(page, "Only of <a href=\"/apps/slow\">slow</a>");
    assert_string_equal(link_of(f, page, "Those of every app"), "/deliveries");
}

static void a_filter_keeps_the_others(void **state)
{
    struct fixture *f = *state;

    const char *page = page_of(f, "/deliveries?app=shop&only=duplicate&q=teo");

    assert_int_equal(occurrences(page, "<td role=\"cell\" class=\"outcome\">"), 2);
    assert_shows(page, "href=\"/deliveries?only=ignored&amp;app=shop&amp;q=teo\"");
    assert_shows(page, "name=\"only\" value=\"duplicate\"");
    assert_shows(page_of(f, "/deliveries?q=nothing-like-it"), "No delivery is like that");
}

static void deliveries_go_on_page_by_page_and_each_is_seen_once(void **state)
{
    struct fixture *f = *state;
    sql(f, "DELETE FROM berth.deliveries; INSERT INTO berth.deliveries (app_name, delivery_id, event, outcome, reason, "
           "body_sha256, received_at) SELECT 'shop', 'many-' || i, 'push', 'ignored', 'r', sha256('b'), now() - i * "
           "interval '1 second' FROM generate_series(1, 120) i");
    size_t seen = 0, pages = 0;

    for (const char *url = "/deliveries?only=ignored"; url; pages++) {
        const char *page = page_of(f, url);
        seen += occurrences(page, "<td role=\"cell\" class=\"outcome\">");
        url = link_of(f, page, "Older");
    }

    assert_int_equal(seen, 120);
    assert_int_equal(pages, 3);
}

static void without_a_delivery_the_page_teaches_where_to_look(void **state)
{
    struct fixture *f = *state;
    sql(f, "DELETE FROM berth.deliveries");

    const char *page = page_of(f, "/deliveries");

    assert_shows(page, "https://berth.example.org/hooks/github/{app}");
    assert_shows(page, "Recent Deliveries");
    assert_hides(page, "<table");
}

static void a_body_is_laid_out_and_what_looks_like_a_credential_is_masked(void **state)
{
    struct fixture *f = *state;
    sql(f,
        "UPDATE berth.deliveries SET body = '{\"ref\":\"refs/heads/main\",\"list\":[1,{\"a\":null}],\"none\":{},"
        "\"message\":\"password=hunter2secret ghp_0123456789abcdefghijABCDEFGHIJ012345 <script>\"}' WHERE delivery_id "
        "= 'accepted-0001'");

    const char *page = page_of(f, "/apps/shop/deliveries/accepted-0001");

    assert_shows(page, "{\n  &quot;ref&quot;: &quot;refs/heads/main&quot;,\n  &quot;list&quot;: [\n    1,\n    {\n");
    assert_shows(page, "&quot;none&quot;: {}");
    assert_hides(page, "hunter2secret");
    assert_hides(page, "ghp_0123");
    assert_hides(page, "<script>\"");
}

static void a_large_body_is_cut_and_says_so_and_the_page_stays_small(void **state)
{
    struct fixture *f = *state;
    static const char *const bodies[] = { "('[' || repeat('\"\"\"\",', 200000) || '1]')::bytea",
                                          "('{\"a\":\"' || repeat('<', 3000000) || '\"}')::bytea",
                                          "('[' || repeat('1,', 100000) || '1]')::bytea" };

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        sql(f, arena_printf(f->mem, "UPDATE berth.deliveries SET body = %s WHERE delivery_id = 'accepted-0001'",
                            bodies[i]));
        const char *page = page_of(f, "/apps/shop/deliveries/accepted-0001");
        assert_shows(page, "Cut: this is not the whole");
        assert_true(strlen(page) < 60000);
    }
}

static void a_body_that_is_no_longer_kept_is_said_to_be(void **state)
{
    struct fixture *f = *state;
    sql(f, "UPDATE berth.deliveries SET body = NULL");

    const char *page = page_of(f, "/apps/shop/deliveries/branch-000004");

    assert_shows(page, "no longer kept; its SHA-256 is");
    assert_shows(page, "head is looked at instead");
}

/* ---- What isn't as a link of ours has it ---- */

static void a_query_that_no_page_of_ours_sends_is_400(void **state)
{
    static const char *const wrong[] = { "/deliveries?only=all",       "/deliveries?app=UPPER",
                                         "/deliveries?after=",         "/deliveries?after=x",
                                         "/deliveries?q=%00",          "/deliveries?q=%ff",
                                         "/load-balancers?listener=x", "/load-balancers?after=-1.x",
                                         "/load-balancers?app=a'b",    "/audit?since=yesterday",
                                         "/audit?until=2026-13-45",    "/audit?after=1",
                                         "/audit?action=a%20b",        "/audit?actor=%01",
                                         "/audit.csv?since=2026-1-1",  "/audit.csv?after=99999999999999999999." };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        (void)body_of(f, wrong[i], 400);
    (void)body_of(f, arena_printf(f->mem, "/deliveries?q=%0*d", LIST_SEARCH_MAX + 1, 0), 400);
}

static void what_a_form_leaves_empty_is_no_filter(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        occurrences(page_of(f, "/audit?app=&actor=&action=&since=&until="), "<td role=\"cell\" class=\"what\">"), 3);
    assert_int_equal(
        occurrences(page_of(f, "/load-balancers?app=&listener="), "<td role=\"cell\" class=\"right priority\">"), 4);
    assert_int_equal(occurrences(page_of(f, "/deliveries?app=&q=&only="), "<td role=\"cell\" class=\"outcome\">"), 9);
}

static void what_is_not_there_is_404(void **state)
{
    struct fixture *f = *state;

    (void)body_of(f, "/apps/shop/deliveries/nobody", 404);
    (void)body_of(f, "/apps/nobody/deliveries/accepted-0001", 404);
    (void)body_of(f, "/apps/slow/deliveries/accepted-0001", 404);
    (void)body_of(f, "/apps/shop/deliveries/a%20b", 404);
}

/* ---- Load balancers ---- */

static void each_listener_tells_its_room_in_the_order_it_is_filled(void **state)
{
    struct fixture *f = *state;

    const char *page = page_of(f, "/load-balancers");

    assert_shows(page, "<p>3 of 180 slots taken, on 2 listeners</p>");
    assert_true(strstr(page, ">berth-1</a>") < strstr(page, ">berth-2</a>"));
    assert_true(strstr(page, ">berth-2</a>") < strstr(page, ">berth-0</a>"));
    assert_shows(page, "Takes the next app");
    assert_shows(page, "Not in [platform] listeners");
    assert_shows(page, "Not berth&#39;s");
    assert_shows(page, "load-balancer-limits.html");
    assert_shows(page, "*.apps.example.org");
    assert_shows(page, "needs a DNS alias of its own");
}

static void fill(struct fixture *f, const char *listener, int places)
{
    sql(f, arena_printf(f->mem,
                        "DELETE FROM berth.listener_slots WHERE listener_arn = '%s'; INSERT INTO berth.listener_slots "
                        "(listener_arn, priority) SELECT '%s', i FROM generate_series(1, %d) i",
                        listener, listener, places));
}

static void from_four_fifths_on_it_is_said_what_to_do(void **state)
{
    struct fixture *f = *state;
    fill(f, FIRST, LISTENER_ROOM);
    fill(f, SECOND, 53);
    assert_hides(page_of(f, "/load-balancers"), "Room for ");

    fill(f, SECOND, 54);
    const char *near = page_of(f, "/load-balancers");
    fill(f, SECOND, LISTENER_ROOM);
    const char *full = page_of(f, "/load-balancers");

    assert_shows(near, "Room for 36 more apps");
    assert_shows(near, "class=\"box\"");
    assert_shows(full, "Every listener is full");
    assert_shows(full, "<section class=\"failure\"");
    assert_int_equal(occurrences(full, ">100%</span>"), 2);
}

static void two_listeners_of_one_load_balancer_share_its_limit(void **state)
{
    struct fixture *f = *state;
    static const char *same[] = { FIRST, LISTENER "berth-1/50dc6c495c0c9188/ffffffffffffffff", NULL };
    f->settings.listeners.items = same;

    assert_int_equal(occurrences(page_of(f, "/load-balancers"), "for both together"), 2);
}

static void slots_go_on_page_by_page_and_by_listener(void **state)
{
    struct fixture *f = *state;
    fill(f, FIRST, 80);

    const char *first = page_of(f, "/load-balancers?listener=" FIRST);
    const char *second = page_of(f, link_of(f, first, "Next"));

    assert_int_equal(occurrences(first, "<td role=\"cell\" class=\"right priority\">"), 50);
    assert_int_equal(occurrences(second, "<td role=\"cell\" class=\"right priority\">"), 30);
    assert_null(link_of(f, second, "Next"));
    assert_shows(second, "Only of <span>berth-1</span>");
}

static void without_a_listener_the_page_says_how_to_name_one(void **state)
{
    struct fixture *f = *state;
    sql(f, "DELETE FROM berth.listener_slots");
    f->settings.listeners.count = 0;

    const char *page = page_of(f, "/load-balancers");

    assert_shows(page, "No listener is configured");
    assert_shows(page, "listeners = arn:aws:elasticloadbalancing:");
}

/* ---- Audit log ---- */

static void a_change_shows_only_the_members_that_differ(void **state)
{
    struct fixture *f = *state;

    const char *page = page_of(f, "/audit");

    assert_shows(page, "<span class=\"member\">CPU units</span> <bdi class=\"was\">256</bdi>");
    assert_shows(page, "<bdi>512</bdi>");
    assert_shows(page, "Changed settings");
    assert_shows(page, "<bdi>made.up</bdi>");
    assert_int_equal(occurrences(page, "<span class=\"member\">tasks</span>"), 1); /* of the creation */
}

static void an_odd_value_breaks_no_page(void **state)
{
    struct fixture *f = *state;
    sql(f,
        "INSERT INTO berth.audit_log (actor, action, before, after) VALUES"
        " ('<b>', 'x', '{\"a\": {\"b\": {\"c\": {\"d\": 1}}}, \"n\": null}', '{\"a\": {\"b\": {\"c\": {\"d\": 2}}}}'),"
        " ('x', 'x', '[1]', '\"text\"'), ('x', 'x', '1', 'null'), ('x', 'x', '{\"l\": [1, 2]}', '{\"l\": []}'),"
        " ('x', 'x', NULL, (SELECT jsonb_object_agg('m' || i, repeat('w', 1000)) FROM generate_series(1, 40) i))");

    const char *page = page_of(f, "/audit");

    assert_shows(page, "<span class=\"member\">a, b, c</span>");
    assert_shows(page, "&lt;b&gt;");
    assert_shows(page, "and 28 more, in the CSV");
    assert_true(strlen(page) < 60000);
}

static void the_log_is_filtered_by_who_what_which_app_and_when(void **state)
{
    static const struct {
        const char *query;
        size_t rows;
    } asked[] = { { "actor=mara", 2 },       { "action=app.create", 1 },
                  { "app=shop", 2 },         { "since=2020-01-01&until=2100-01-01", 3 },
                  { "until=2020-01-01", 0 }, { "actor=mara&app=shop", 1 } };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        const char *page = page_of(f, arena_printf(f->mem, "/audit?%s", asked[i].query));
        assert_int_equal(occurrences(page, "<td role=\"cell\" class=\"what\">"), asked[i].rows);
        const char *csv = page_of(f, arena_printf(f->mem, "/audit.csv?%s", asked[i].query));
        assert_int_equal(occurrences(csv, "\r\n"), asked[i].rows + 1);
    }
    assert_shows(page_of(f, "/audit?actor=mara"), "<option value=\"mara\" selected>mara</option>");
}

static const char *header_of(const struct response *response, const char *name)
{
    for (size_t i = 0; i < response->header_count; i++)
        if (!strcmp(response->headers[i].name, name))
            return response->headers[i].value;
    return "";
}

static void the_csv_is_a_file_and_no_cell_is_a_formula(void **state)
{
    struct fixture *f = *state;
    sql(f, "INSERT INTO berth.audit_log (actor, action) VALUES ('=HYPERLINK(\"http://x\")', '+1'), ('@SUM(A1)', '-1')");

    struct response response = ask(f, "/audit.csv");
    const char *body = buf_text(&response.body);

    assert_int_equal(response.status, 200);
    assert_non_null(strstr(response.content_type, "text/csv"));
    assert_string_equal(header_of(&response, "Content-Disposition"), "attachment; filename=\"berth-audit.csv\"");
    assert_string_equal(header_of(&response, "X-Content-Type-Options"), "nosniff");
    for (const char *const *bad = (const char *const[]){ "\"=", ",=", "\"+", ",+", "\"@", ",@", "\"-", ",-", NULL };
         *bad; bad++)
        assert_null(strstr(body, *bad));
    assert_non_null(strstr(body, "HYPERLINK(\"\"http://x\"\")"));
    response_free(&response);
}

static size_t commas(const char *line)
{
    size_t n = 0;

    for (bool quoted = false; *line && *line != '\r'; line++) {
        quoted ^= *line == '"';
        n += *line == ',' && !quoted;
    }
    return n;
}

static void a_csv_that_is_cut_says_so_in_its_last_line_and_links_the_next_one(void **state)
{
    struct fixture *f = *state;
    sql(f, "INSERT INTO berth.audit_log (actor, action) SELECT 'x', 'app.deploy' FROM generate_series(1, 10050)");

    struct response response = ask(f, "/audit.csv");
    const char *body = arena_copy(f->mem, buf_text(&response.body));
    const char *last = strstr(body, "\"Cut: these are the newest 10,000 rows");
    struct response next =
        ask(f, arena_copy_n(f->mem, header_of(&response, "Link") + 1, strcspn(header_of(&response, "Link"), ">") - 1));

    assert_non_null(last);
    assert_int_equal(commas(last), commas(body));
    assert_int_equal(occurrences(body, "\r\n"), 10000 + 2);
    assert_int_equal(occurrences(buf_text(&next.body), "\r\n"), 53 + 1);
    assert_null(strstr(buf_text(&next.body), "Cut: "));
    response_free(&response);
    response_free(&next);
}

static void the_log_goes_on_page_by_page(void **state)
{
    struct fixture *f = *state;
    sql(f, "INSERT INTO berth.audit_log (actor, action) SELECT 'x', 'app.deploy' FROM generate_series(1, 60)");

    const char *first = page_of(f, "/audit?actor=x");
    const char *second = page_of(f, link_of(f, first, "Older"));

    assert_int_equal(occurrences(first, "<td role=\"cell\" class=\"what\">"), 50);
    assert_int_equal(occurrences(second, "<td role=\"cell\" class=\"what\">"), 10);
    assert_string_equal(link_of(f, second, "Newest"), "/audit?actor=x");
}

/* ---- Doctor ---- */

static void the_first_look_begins_the_checks_and_shows_them_when_they_have_ended(void **state)
{
    struct fixture *f = *state;

    const char *first = page_of(f, "/doctor");
    (void)wait_for_run(f);
    const char *later = page_of(f, "/doctor");

    assert_shows(first, "Nothing was looked at yet");
    assert_shows(first, "class=\"moves\"");
    assert_shows(later, "2 of 4 checks need you");
    assert_shows(later, "&lt;b&gt;72&lt;/b&gt; of 90.");
    assert_shows(later, "<code>listeners</code>");
    assert_shows(later, "There are no AWS credentials.");
    assert_true(strstr(later, "<b>GitHub</b>") < strstr(later, "<b>Room</b>"));
    assert_true(strstr(later, "<b>Room</b>") < strstr(later, "<b>Clock</b>"));
    assert_hides(later, "class=\"moves\"");
    assert_int_equal(runs, 1);
}

static void however_many_look_the_checks_begin_once_a_minute(void **state)
{
    struct fixture *f = *state;
    struct admin *admin = f->application.context;

    for (int i = 0; i < 20; i++)
        (void)page_of(f, "/doctor");
    (void)wait_for_run(f);

    assert_false(doctor_watch_start(admin->doctor));
    assert_int_equal(runs, 1);
}

static void checks_that_could_not_be_run_say_why(void **state)
{
    struct fixture *f = *state;
    runs = 1;

    (void)page_of(f, "/doctor");
    struct doctor_watch_found found = wait_for_run(f);

    assert_string_equal(found.error, "no thread for the check room");
    assert_shows(page_of(f, "/doctor"), "The checks could not be run: <bdi>no thread for the check room</bdi>");
}

/* ---- Running again ---- */

struct sent {
    const char *body;
    size_t read;
};

static const char *param(void *source, const char *name)
{
    (void)source;
    if (!strcmp(name, "CONTENT_TYPE"))
        return "application/x-www-form-urlencoded";
    return strcmp(name, "HTTP_SEC_FETCH_SITE") ? NULL : "same-origin";
}

static int read_body(void *source, void *to, size_t room, size_t *got, struct err *e)
{
    struct sent *sent = source;
    size_t left = strlen(sent->body) - sent->read;

    (void)e;
    *got = left < room ? left : room;
    memcpy(to, sent->body + sent->read, *got);
    sent->read += *got;
    return 0;
}

/* As the page's button does it, with the token that the page carries. */
static struct response press(struct fixture *f, const char *page, const char *action)
{
    const char *form = strstr(page, arena_printf(f->mem, "action=\"%s\"", action)); /* or a button's formaction */
    const char *token = form ? strstr(strstr(page, "name=\"csrf\""), "value=\"") + strlen("value=\"") : NULL;
    struct sent sent = { .body = token ? arena_printf(f->mem, "csrf=%.*s", (int)strcspn(token, "\""), token) : "" };
    struct request request = { .mem = f->mem,
                               .method = "POST",
                               .remote_user = "operator",
                               .query = "",
                               .content_length = (int64_t)strlen(sent.body),
                               .param = param,
                               .read = read_body,
                               .source = &sent };
    struct response response;

    assert_non_null(form);
    response_init(&response);
    request_set_target(&request, action);
    router_answer(&f->application, &request, &response);
    return response;
}

static void a_delivery_is_run_again_and_its_page_says_so(void **state)
{
    struct fixture *f = *state;
    sql(f, "UPDATE berth.releases SET state = 'failed', finished_at = now() WHERE app_name = 'shop';"
           "UPDATE berth.deliveries SET body = NULL WHERE delivery_id = 'accepted-0001'");

    struct response response = press(f, page_of(f, "/deliveries"), "/apps/shop/deliveries/accepted-0001/run-again");
    const char *to = header_of(&response, "Location");

    assert_int_equal(response.status, 303);
    assert_true(strncmp(to, "/apps/shop/deliveries/accepted-0001?done=run-looked", 51) == 0);
    assert_shows(page_of(f, to), "class=\"notice\"");
    response_free(&response);
}

static void check_now_begins_the_checks_and_says_when_it_did_not(void **state)
{
    struct fixture *f = *state;
    (void)page_of(f, "/doctor");
    (void)wait_for_run(f);

    struct response response = press(f, page_of(f, "/doctor"), "/doctor/check");

    assert_int_equal(response.status, 303);
    assert_string_equal(header_of(&response, "Location"), "/doctor?done=check-recent");
    assert_shows(page_of(f, "/doctor?done=check-recent"), "began less than a minute ago");
    response_free(&response);
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
                                    .hooks_url = "https://berth.example.org",
                                    .listeners = { .items = listeners, .count = 2 },
                                    .admin_operators = { .items = operators, .count = 1 } };
    if (admin_open(&f.settings, &f.application, &e))
        fail_msg("%s", e.message);
    struct admin *admin = f.application.context;
    doctor_watch_free(admin->doctor);
    admin->doctor = doctor_watch_new(&(const struct doctor_options){ .clock = NULL }, fake_run);
    runs = 0;
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
        EACH(every_member_of_the_models_is_shown),
        EACH(each_outcome_is_told_with_the_thing_that_it_became),
        EACH(a_duplicate_of_a_commit_links_the_release_that_has_it),
        EACH(each_answer_is_the_one_that_github_got),
        EACH(only_what_could_end_differently_can_be_run_again),
        EACH(a_push_whose_release_failed_can_be_run_again_but_not_while_its_app_goes_away),
        EACH(a_search_for_an_apps_name_shows_that_apps),
        EACH(a_filter_keeps_the_others),
        EACH(deliveries_go_on_page_by_page_and_each_is_seen_once),
        EACH(without_a_delivery_the_page_teaches_where_to_look),
        EACH(a_body_is_laid_out_and_what_looks_like_a_credential_is_masked),
        EACH(a_large_body_is_cut_and_says_so_and_the_page_stays_small),
        EACH(a_body_that_is_no_longer_kept_is_said_to_be),
        EACH(a_query_that_no_page_of_ours_sends_is_400),
        EACH(what_a_form_leaves_empty_is_no_filter),
        EACH(what_is_not_there_is_404),
        EACH(each_listener_tells_its_room_in_the_order_it_is_filled),
        EACH(from_four_fifths_on_it_is_said_what_to_do),
        EACH(two_listeners_of_one_load_balancer_share_its_limit),
        EACH(slots_go_on_page_by_page_and_by_listener),
        EACH(without_a_listener_the_page_says_how_to_name_one),
        EACH(a_change_shows_only_the_members_that_differ),
        EACH(an_odd_value_breaks_no_page),
        EACH(the_log_is_filtered_by_who_what_which_app_and_when),
        EACH(the_csv_is_a_file_and_no_cell_is_a_formula),
        EACH(a_csv_that_is_cut_says_so_in_its_last_line_and_links_the_next_one),
        EACH(the_log_goes_on_page_by_page),
        EACH(the_first_look_begins_the_checks_and_shows_them_when_they_have_ended),
        EACH(however_many_look_the_checks_begin_once_a_minute),
        EACH(checks_that_could_not_be_run_say_why),
        EACH(a_delivery_is_run_again_and_its_page_says_so),
        EACH(check_now_begins_the_checks_and_says_when_it_did_not),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
