/* The pages that list things, over a real database: that a binding shows each member of a model, what a query may not be; load balancers and doctor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/deploy/steps/listener_room.h"
#include "fcgi/admin_lists.h"
#include "fcgi/doctor_watch.h"
#include "tests/db/page_harness.h"

static struct doctor_watch_found wait_for_run(struct page_harness *f)
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

static void render_one(struct page_harness *f, const struct shown *shown, const char *target, json_object *used,
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
    struct page_harness *f = *state;
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
                !strstr(m.name, "told/act") && !strstr(m.name, "told/time") && !strstr(m.name, "percent_mark") &&
                !strstr(m.name, "warning_mark") && !strstr(m.name, "is_full") && !strstr(m.name, "run_") &&
                !strstr(m.name, "/csrf/") && strcmp(m.name, "/at") != 0 && strcmp(m.name, "/ago") != 0 &&
                strcmp(m.name, "/summary") != 0) {
                print_error("page %d: the model's %s is shown by no binding\n", (int)pages[i].page, m.name);
                unshown++;
            }
    }
    assert_int_equal(unshown, 0);
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
                                         "/audit.csv?since=2026-1-1",  "/audit.csv?after=99999999999999999999.",
                                         "/audit?since=2026-02-31",    "/audit?until=2025-02-29",
                                         "/deliveries?after=5.x",      "/audit.csv?since=2026-02-31" };
    struct page_harness *f = *state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        (void)page_body(f, wrong[i], 400);
    (void)page_body(f, arena_printf(f->mem, "/deliveries?q=%0*d", LIST_SEARCH_MAX + 1, 0), 400);
}

static void what_a_form_leaves_empty_is_no_filter(void **state)
{
    struct page_harness *f = *state;

    assert_int_equal(
        occurrences(page_of(f, "/audit?app=&actor=&action=&since=&until="), "<td role=\"cell\" class=\"what\">"), 3);
    assert_int_equal(
        occurrences(page_of(f, "/load-balancers?app=&listener="), "<td role=\"cell\" class=\"right priority\">"), 4);
    assert_int_equal(occurrences(page_of(f, "/deliveries?app=&q=&only="), "<td role=\"cell\" class=\"outcome\">"), 9);
}

static void what_is_not_there_is_404(void **state)
{
    struct page_harness *f = *state;

    (void)page_body(f, "/apps/shop/deliveries/nobody", 404);
    (void)page_body(f, "/apps/nobody/deliveries/accepted-0001", 404);
    (void)page_body(f, "/apps/slow/deliveries/accepted-0001", 404);
    (void)page_body(f, "/apps/shop/deliveries/a%20b", 404);
}

/* ---- Load balancers ---- */

static void each_listener_tells_its_room_in_the_order_it_is_filled(void **state)
{
    struct page_harness *f = *state;

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

static void fill_every(struct page_harness *f, const char *listener, int places, int apart)
{
    page_sql(
        f, arena_printf(f->mem,
                        "DELETE FROM berth.listener_slots WHERE listener_arn = '%s'; INSERT INTO berth.listener_slots "
                        "(listener_arn, priority) SELECT '%s', i * %d FROM generate_series(1, %d) i",
                        listener, listener, apart, places));
}

static void fill(struct page_harness *f, const char *listener, int places)
{
    fill_every(f, listener, places, 1);
}

static void from_four_fifths_on_it_is_said_what_to_do(void **state)
{
    struct page_harness *f = *state;
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
    struct page_harness *f = *state;
    static const char *same[] = { FIRST, LISTENER "berth-1/50dc6c495c0c9188/ffffffffffffffff", NULL };
    f->settings.listeners.items = same;

    assert_int_equal(occurrences(page_of(f, "/load-balancers"), "for both together"), 2);
}

static void slots_go_on_page_by_page_and_by_listener(void **state)
{
    struct page_harness *f = *state;
    fill_every(f, FIRST, 80, 2);

    const char *first = page_of(f, "/load-balancers?listener=" FIRST);
    const char *second = page_of(f, page_link(f, first, "Next"));

    assert_int_equal(occurrences(first, "<td role=\"cell\" class=\"right priority\">"), 50);
    assert_int_equal(occurrences(second, "<td role=\"cell\" class=\"right priority\">"), 30);
    assert_null(page_link(f, second, "Next"));
    assert_shows(second, "Only of <span>berth-1</span>");
}

static void priorities_in_a_row_that_are_not_berths_are_told_as_one(void **state)
{
    struct page_harness *f = *state;
    fill(f, FIRST, 80);
    page_sql(f, "DELETE FROM berth.listener_slots WHERE listener_arn = '" FIRST "' AND priority IN (21, 23)");

    const char *first = page_of(f, "/load-balancers?listener=" FIRST);
    const char *second = page_of(f, page_link(f, first, "Next"));

    assert_shows(first, ">1 to 20</td>");
    assert_shows(first, ">22</td>");
    assert_shows(first, "another rule has this priority");
    assert_shows(first, ">24 to 52</td>");
    assert_shows(second, ">53 to 80</td>");
}

static void without_a_listener_the_page_says_how_to_name_one(void **state)
{
    struct page_harness *f = *state;
    page_sql(f, "DELETE FROM berth.listener_slots");
    f->settings.listeners.count = 0;

    const char *page = page_of(f, "/load-balancers");

    assert_shows(page, "No listener is configured");
    assert_shows(page, "listeners = arn:aws:elasticloadbalancing:");
}

/* ---- Doctor ---- */

static void the_first_look_begins_the_checks_and_shows_them_when_they_have_ended(void **state)
{
    struct page_harness *f = *state;

    const char *first = page_of(f, "/doctor");
    (void)wait_for_run(f);
    const char *later = page_of(f, "/doctor");

    assert_shows(first, "Nothing was looked at yet");
    assert_shows(first, "class=\"moves\"");
    assert_shows(later, "2 of 4 checks need you, 1 not looked at");
    assert_shows(later, "&lt;b&gt;72&lt;/b&gt; of 90.");
    assert_shows(later, "<code>listeners</code>");
    assert_shows(later, "There are no AWS credentials.");
    assert_true(strstr(later, "<b>GitHub</b>") < strstr(later, "<b>Room</b>"));
    assert_true(strstr(later, "<b>Room</b>") < strstr(later, "<b>Clock</b>"));
    assert_hides(later, "class=\"moves\"");
    assert_int_equal(page_doctor_runs, 1);
}

static void however_many_look_the_checks_begin_once_a_minute(void **state)
{
    struct page_harness *f = *state;
    struct admin *admin = f->application.context;

    for (int i = 0; i < 20; i++)
        (void)page_of(f, "/doctor");
    (void)wait_for_run(f);

    assert_false(doctor_watch_start(admin->doctor));
    assert_int_equal(page_doctor_runs, 1);
}

static void checks_that_could_not_be_run_say_why(void **state)
{
    struct page_harness *f = *state;
    page_doctor_runs = 1;

    (void)page_of(f, "/doctor");
    struct doctor_watch_found found = wait_for_run(f);

    assert_string_equal(found.error, "no thread for the check room");
    assert_shows(page_of(f, "/doctor"), "The checks could not be run: <bdi>no thread for the check room</bdi>");
}

static void what_was_not_looked_at_is_not_called_well(void **state)
{
    struct page_harness *f = *state;
    page_doctor_runs = 2;

    (void)page_of(f, "/doctor");
    (void)wait_for_run(f);
    const char *page = page_of(f, "/doctor");

    assert_shows(page, "nothing wrong found, 1 not looked at");
    assert_hides(page, "all is well");
}

static void all_is_well_when_each_check_was_made_and_none_found_anything(void **state)
{
    struct page_harness *f = *state;
    page_doctor_runs = 3;

    (void)page_of(f, "/doctor");
    (void)wait_for_run(f);

    assert_shows(page_of(f, "/doctor"), "all is well");
}

static void check_now_begins_the_checks_and_says_when_it_did_not(void **state)
{
    struct page_harness *f = *state;
    (void)page_of(f, "/doctor");
    (void)wait_for_run(f);

    struct response response = page_press(f, page_of(f, "/doctor"), "/doctor/check");

    assert_int_equal(response.status, 303);
    assert_string_equal(page_header(&response, "Location"), "/doctor?done=check-recent");
    assert_shows(page_of(f, "/doctor?done=check-recent"), "began less than a minute ago");
    response_free(&response);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EACH(every_member_of_the_models_is_shown),
        EACH(a_query_that_no_page_of_ours_sends_is_400),
        EACH(what_a_form_leaves_empty_is_no_filter),
        EACH(what_is_not_there_is_404),
        EACH(each_listener_tells_its_room_in_the_order_it_is_filled),
        EACH(from_four_fifths_on_it_is_said_what_to_do),
        EACH(two_listeners_of_one_load_balancer_share_its_limit),
        EACH(slots_go_on_page_by_page_and_by_listener),
        EACH(priorities_in_a_row_that_are_not_berths_are_told_as_one),
        EACH(without_a_listener_the_page_says_how_to_name_one),
        EACH(the_first_look_begins_the_checks_and_shows_them_when_they_have_ended),
        EACH(however_many_look_the_checks_begin_once_a_minute),
        EACH(checks_that_could_not_be_run_say_why),
        EACH(what_was_not_looked_at_is_not_called_well),
        EACH(all_is_well_when_each_check_was_made_and_none_found_anything),
        EACH(check_now_begins_the_checks_and_says_when_it_did_not),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
