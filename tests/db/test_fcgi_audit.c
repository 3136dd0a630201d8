/* The page of the audit log and its CSV, over a real database: filters, paging, odd values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/db/page_harness.h"

static void a_change_shows_only_the_members_that_differ(void **state)
{
    struct page_harness *f = *state;

    const char *page = page_of(f, "/audit");

    assert_shows(page, "<span class=\"member\">CPU units</span> <bdi class=\"was\">256</bdi>");
    assert_shows(page, "<bdi>512</bdi>");
    assert_shows(page, "Changed settings");
    assert_shows(page, "<bdi>made.up</bdi>");
    assert_int_equal(occurrences(page, "<span class=\"member\">tasks</span>"), 1); /* of the creation */
}

static void what_an_operation_leaves_as_it_was_became_nothing(void **state)
{
    struct page_harness *f = *state;
    page_sql(f, "INSERT INTO berth.audit_log (actor, action, before, after) VALUES"
                " ('ann', 'app.cancel', '{\"live\": 5}', '{\"live\": 5, \"releases\": [6]}'),"
                " ('old', 'app.deploy', '{\"live\": 4}', '{\"release\": 5}'),"    /* as it was written once */
                " ('ann', 'limits.set', '{\"tasks\": 3}', '{\"tasks\": null}')"); /* null is a value */

    const char *now = page_of(f, "/audit?action=app.cancel"), *once = page_of(f, "/audit?action=app.deploy");

    assert_hides(now, "<span class=\"member\">live</span>");
    assert_shows(now, "<span class=\"member\">releases</span>");
    assert_shows(once, "<span class=\"member\">live</span> <bdi class=\"was\">4</bdi>");
    assert_hides(once, "class=\"arrow\"");
    assert_shows(page_of(f, "/audit?action=limits.set"), "class=\"arrow\"");
}

static void an_odd_value_breaks_no_page(void **state)
{
    struct page_harness *f = *state;
    page_sql(
        f,
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
    struct page_harness *f = *state;

    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        const char *page = page_of(f, arena_printf(f->mem, "/audit?%s", asked[i].query));
        assert_int_equal(occurrences(page, "<td role=\"cell\" class=\"what\">"), asked[i].rows);
        const char *csv = page_of(f, arena_printf(f->mem, "/audit.csv?%s", asked[i].query));
        assert_int_equal(occurrences(csv, "\r\n"), asked[i].rows + 1);
    }
    assert_shows(page_of(f, "/audit?actor=mara"), "<option value=\"mara\" selected>mara</option>");
}

static void the_csv_is_a_file_and_no_cell_is_a_formula(void **state)
{
    struct page_harness *f = *state;
    page_sql(
        f, "INSERT INTO berth.audit_log (actor, action) VALUES ('=HYPERLINK(\"http://x\")', '+1'), ('@SUM(A1)', '-1')");

    struct response response = page_ask(f, "/audit.csv");
    const char *body = buf_text(&response.body);

    assert_int_equal(response.status, 200);
    assert_non_null(strstr(response.content_type, "text/csv"));
    assert_string_equal(page_header(&response, "Content-Disposition"), "attachment; filename=\"berth-audit.csv\"");
    assert_string_equal(page_header(&response, "X-Content-Type-Options"), "nosniff");
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
    struct page_harness *f = *state;
    page_sql(f, "INSERT INTO berth.audit_log (actor, action) SELECT 'x', 'app.deploy' FROM generate_series(1, 10050)");

    struct response response = page_ask(f, "/audit.csv");
    const char *body = arena_copy(f->mem, buf_text(&response.body));
    const char *last = strstr(body, "\"Cut: these are the newest 10,000 rows");
    struct response next = page_ask(
        f, arena_copy_n(f->mem, page_header(&response, "Link") + 1, strcspn(page_header(&response, "Link"), ">") - 1));

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
    struct page_harness *f = *state;
    page_sql(f, "INSERT INTO berth.audit_log (actor, action) SELECT 'x', 'app.deploy' FROM generate_series(1, 60)");

    const char *first = page_of(f, "/audit?actor=x");
    const char *second = page_of(f, page_link(f, first, "Older"));

    assert_int_equal(occurrences(first, "<td role=\"cell\" class=\"what\">"), 50);
    assert_int_equal(occurrences(second, "<td role=\"cell\" class=\"what\">"), 10);
    assert_string_equal(page_link(f, second, "Newest"), "/audit?actor=x");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EACH(a_change_shows_only_the_members_that_differ),
        EACH(what_an_operation_leaves_as_it_was_became_nothing),
        EACH(an_odd_value_breaks_no_page),
        EACH(the_log_is_filtered_by_who_what_which_app_and_when),
        EACH(the_csv_is_a_file_and_no_cell_is_a_formula),
        EACH(a_csv_that_is_cut_says_so_in_its_last_line_and_links_the_next_one),
        EACH(the_log_goes_on_page_by_page),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
