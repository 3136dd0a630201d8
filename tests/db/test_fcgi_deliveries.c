/* The pages of deliveries, over a real database: what they say of each outcome, what they let through, and what can be run again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/db/page_harness.h"

static void each_outcome_is_told_with_the_thing_that_it_became(void **state)
{
    struct page_harness *f = *state;
    page_sql(f,
             "UPDATE berth.releases SET state = 'failed', step = 'build', finished_at = now() WHERE app_name = 'shop'");

    const char *page = page_of(f, "/deliveries");

    assert_shows(page, "<bdi>became</bdi> <a class=\"became\" href=\"/apps/shop/releases/1\">v1</a>");
    assert_shows(page, "<span class=\"mark failed\">failed at build</span>");
    assert_shows(page, "the same push as");
    assert_shows(page, "href=\"/apps/shop/deliveries/accepted-0001\">accepted</a>");
    assert_shows(page, "a push to wip; the app is built from main");
    assert_shows(page, "; main is looked at again at</bdi> <time datetime=\"20");
    assert_shows(page, "CPU units: 0 of 128 in use, a rollout needs 256 more");
    assert_string_equal(page_link(f, page, "Raise the quota"), "/apps/small/limits");
    assert_string_equal(page_link(f, page, "Resume it"), "/apps/rest");
    for (const char *const *word =
             (const char *const[]){ "Accepted", "Ignored", "Duplicate", "Limited", "Over quota", "Paused", NULL };
         *word; word++)
        assert_shows(page, arena_printf(f->mem, ">%s</span></span>", *word));
}

static void a_duplicate_of_a_commit_links_the_release_that_has_it(void **state)
{
    struct page_harness *f = *state;

    const char *page = page_of(f, "/apps/shop/deliveries/commit-000003");

    assert_shows(page, "href=\"/apps/shop/releases/1\">v1</a><span> is of this commit</span>");
}

static void each_answer_is_the_one_that_github_got(void **state)
{
    struct page_harness *f = *state;
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
    struct page_harness *f = *state;
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
    struct page_harness *f = *state;
    page_sql(f, "UPDATE berth.releases SET state = 'failed', finished_at = now() WHERE app_name = 'shop'");

    assert_shows(page_of(f, "/apps/shop/deliveries/accepted-0001"), "accepted-0001/run-again\"");

    page_sql(f, "UPDATE berth.apps SET state = 'deleting'");
    assert_hides(page_of(f, "/deliveries"), "run-again\"");
}

static void a_search_for_an_apps_name_shows_that_apps(void **state)
{
    struct page_harness *f = *state;

    const char *page = page_of(f, "/deliveries?q=slow");

    assert_int_equal(occurrences(page, "<td role=\"cell\" class=\"outcome\">"), 2);
    assert_shows(page, "Only of <a href=\"/apps/slow\">slow</a>");
    assert_string_equal(page_link(f, page, "Those of every app"), "/deliveries");
}

static void a_filter_keeps_the_others(void **state)
{
    struct page_harness *f = *state;

    const char *page = page_of(f, "/deliveries?app=shop&only=duplicate&q=teo");

    assert_int_equal(occurrences(page, "<td role=\"cell\" class=\"outcome\">"), 2);
    assert_shows(page, "href=\"/deliveries?only=ignored&amp;app=shop&amp;q=teo\"");
    assert_shows(page, "name=\"only\" value=\"duplicate\"");
    assert_shows(page_of(f, "/deliveries?q=nothing-like-it"), "No delivery is like that");
}

static void deliveries_go_on_page_by_page_and_each_is_seen_once(void **state)
{
    struct page_harness *f = *state;
    page_sql(
        f, "DELETE FROM berth.deliveries; INSERT INTO berth.deliveries (app_name, delivery_id, event, outcome, reason, "
           "body_sha256, received_at) SELECT 'shop', 'many-' || i, 'push', 'ignored', 'r', sha256('b'), now() - i * "
           "interval '1 second' FROM generate_series(1, 120) i");
    size_t seen = 0, pages = 0;

    for (const char *url = "/deliveries?only=ignored"; url; pages++) {
        const char *page = page_of(f, url);
        seen += occurrences(page, "<td role=\"cell\" class=\"outcome\">");
        url = page_link(f, page, "Older");
    }

    assert_int_equal(seen, 120);
    assert_int_equal(pages, 3);
}

static void without_a_delivery_the_page_teaches_where_to_look(void **state)
{
    struct page_harness *f = *state;
    page_sql(f, "DELETE FROM berth.deliveries");

    const char *page = page_of(f, "/deliveries");

    assert_shows(page, "https://berth.example.org/hooks/github/{app}");
    assert_shows(page, "Recent Deliveries");
    assert_hides(page, "<table");
}

static void a_body_is_laid_out_and_what_looks_like_a_credential_is_masked(void **state)
{
    struct page_harness *f = *state;
    page_sql(
        f,
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
    struct page_harness *f = *state;
    static const char *const bodies[] = { "('[' || repeat('\"\"\"\",', 200000) || '1]')::bytea",
                                          "('{\"a\":\"' || repeat('<', 3000000) || '\"}')::bytea",
                                          "('[' || repeat('1,', 100000) || '1]')::bytea" };

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        page_sql(f, arena_printf(f->mem, "UPDATE berth.deliveries SET body = %s WHERE delivery_id = 'accepted-0001'",
                                 bodies[i]));
        const char *page = page_of(f, "/apps/shop/deliveries/accepted-0001");
        assert_shows(page, "Cut: this is not the whole");
        assert_true(strlen(page) < 60000);
    }
}

static void a_body_that_is_no_longer_kept_is_said_to_be(void **state)
{
    struct page_harness *f = *state;
    page_sql(f, "UPDATE berth.deliveries SET body = NULL");

    const char *page = page_of(f, "/apps/shop/deliveries/branch-000004");

    assert_shows(page, "no longer kept; its SHA-256 is");
    assert_shows(page, "head is looked at instead");
}

static void a_delivery_is_run_again_and_its_page_says_so(void **state)
{
    struct page_harness *f = *state;
    page_sql(f, "UPDATE berth.releases SET state = 'failed', finished_at = now() WHERE app_name = 'shop';"
                "UPDATE berth.deliveries SET body = NULL WHERE delivery_id = 'accepted-0001'");

    struct response response =
        page_press(f, page_of(f, "/deliveries"), "/apps/shop/deliveries/accepted-0001/run-again");
    const char *to = page_header(&response, "Location");

    assert_int_equal(response.status, 303);
    assert_true(strncmp(to, "/apps/shop/deliveries/accepted-0001?done=run-looked", 51) == 0);
    assert_shows(page_of(f, to), "class=\"notice\"");
    response_free(&response);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
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
        EACH(a_delivery_is_run_again_and_its_page_says_so),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
