/* Builds' logs on the pages: page by page, since a cursor, at the end of a release's page; over a real database and a log that tests own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/base/json.h"
#include "tests/db/page_harness.h"

enum { PATIENCE = 4000, LARGEST_PAGE = 60 * 1024 };

#define BUILD "berth-shop:00000000-0000-4000-8000-000000000001"
#define RELEASE "/apps/shop/releases/1"
#define LOG RELEASE "/log"
#define REPLY RELEASE "/log.json"

static void build_release(struct page_harness *f, const char *state, const char *error)
{
    page_log_begin(f);
    page_sql(f,
             arena_printf(f->mem,
                          "UPDATE berth.releases SET state = '%s', step = 'build', build_id = '" BUILD
                          "', error = %s, finished_at = CASE WHEN '%s' = 'failed' THEN now() - interval '1 hour' END "
                          "WHERE app_name = 'shop' AND number = 1",
                          state, error ? arena_printf(f->mem, "'%s'", error) : "NULL", state));
}

static void fill(struct page_harness *f, int lines)
{
    for (int i = 1; i <= lines; i++)
        page_log_add(f, arena_printf(f->mem, "#8 %d.0 word %d of a line as long as those of builds are", i, i));
}

/* ---- Replies ---- */

struct reply {
    int status;
    const char *tag, *type;
    json_object *body; /* NULL: none */
};

static struct reply ask(struct page_harness *f, const char *target, const char *seen)
{
    struct response response = page_ask_again(f, target, seen);
    struct reply reply = { .status = response.status,
                           .tag = arena_copy(f->mem, page_header(&response, "ETag")),
                           .type = response.content_type };
    struct err e = { 0 };

    if (response.body.len > 0 && json_parse(response.body.data, response.body.len, &reply.body, &e))
        fail_msg("%s: %s", target, e.message);
    response_free(&response);
    return reply;
}

static size_t lines_of(const struct reply *reply)
{
    return json_length(json_at(reply->body, "/lines"));
}

static int64_t number_at(const struct reply *reply, size_t i)
{
    return json_find_int(json_item(json_at(reply->body, "/lines"), i), "/n", -1);
}

/* Until the log is read so far that this many lines come from there on. */
static struct reply ask_until(struct page_harness *f, const char *target, size_t lines)
{
    struct reply reply = ask(f, target, NULL);

    for (int i = 0; lines_of(&reply) < lines; i++) {
        if (i > PATIENCE)
            fail_msg("%s: %zu lines, not %zu", target, lines_of(&reply), lines);
        json_drop(reply.body);
        nanosleep(&(const struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
        reply = ask(f, target, NULL);
    }
    return reply;
}

static void a_cursor_gets_what_came_since_as_json(void **state)
{
    struct page_harness *f = *state;
    build_release(f, "running", NULL);
    fill(f, 30);

    struct reply all = ask_until(f, REPLY "?from=1", 30);
    struct reply some = ask(f, REPLY "?from=28", NULL);
    struct reply none = ask(f, REPLY "?from=31", NULL);

    assert_int_equal(all.status, 200);
    assert_string_equal(all.type, "application/json");
    assert_int_equal(json_find_int(all.body, "/next", 0), 31);
    assert_false(json_find_bool(all.body, "/complete", true));
    assert_int_equal(lines_of(&some), 3);
    assert_int_equal(number_at(&some, 0), 28);
    assert_int_equal(lines_of(&none), 0);
    assert_int_equal(json_find_int(none.body, "/next", 0), 31);
    json_drop(all.body);
    json_drop(some.body);
    json_drop(none.body);
}

static void nothing_new_is_a_304_and_a_new_line_is_not(void **state)
{
    struct page_harness *f = *state;
    build_release(f, "running", NULL);
    fill(f, 5);
    struct reply first = ask_until(f, REPLY "?from=1", 5);

    struct reply same = ask(f, REPLY "?from=6", first.tag);
    page_log_add(f, "the sixth");
    json_drop(ask_until(f, REPLY "?from=6", 1).body);
    struct reply grown = ask(f, REPLY "?from=6", first.tag);

    assert_int_equal(same.status, 304);
    assert_null(same.body);
    assert_int_equal(grown.status, 200);
    assert_int_equal(lines_of(&grown), 1);
    assert_int_equal(number_at(&grown, 0), 6);
    json_drop(first.body);
    json_drop(grown.body);
}

static void trouble_is_news_and_so_is_its_end(void **state)
{
    struct page_harness *f = *state;
    build_release(f, "running", NULL);
    fill(f, 1);
    struct reply first = ask_until(f, REPLY "?from=1", 1), next = first;

    page_log_fail(f, "CloudWatch Logs is away");
    for (int i = 0; i < PATIENCE && (next = ask(f, REPLY "?from=2", first.tag)).status == 304; i++)
        nanosleep(&(const struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);

    assert_int_equal(next.status, 200);
    assert_string_equal(json_find_text(next.body, "/note", f->mem),
                        "The log can't be read at the moment: CloudWatch Logs is away.");
    json_drop(first.body);
    json_drop(next.body);
}

static void a_release_that_is_built_anew_begins_its_log_again(void **state)
{
    struct page_harness *f = *state;
    build_release(f, "running", NULL);
    fill(f, 5);
    json_drop(ask_until(f, REPLY "?from=1", 5).body);

    struct reply same = ask(f, REPLY "?from=6&build=berth-shop%3A00000000-0000-4000-8000-000000000001", NULL);
    struct reply other = ask(f, REPLY "?from=6&build=berth-shop%3Aearlier", NULL);

    assert_int_equal(lines_of(&same), 0);
    assert_int_equal(lines_of(&other), 5);
    assert_string_equal(json_find_text(other.body, "/build", f->mem), BUILD);
    json_drop(same.body);
    json_drop(other.body);
}

/* ---- All of it ---- */

static void a_log_is_read_page_by_page_without_a_gap_or_a_repeat(void **state)
{
    struct page_harness *f = *state;
    int expected = 1, pages = 0;
    build_release(f, "failed", "x");
    fill(f, 900);

    for (const char *to = LOG; to; pages++) {
        const char *page = page_of(f, to);
        assert_true(strlen(page) <= LARGEST_PAGE);
        for (const char *at = strstr(page, "id=\"L"); at; at = strstr(at + 1, "id=\"L"))
            assert_int_equal(atoi(at + strlen("id=\"L")), expected++);
        to = page_link(f, page, "Later");
    }

    assert_int_equal(expected, 901);
    assert_int_equal(pages, 3);
    assert_string_equal(page_link(f, page_of(f, LOG), "Last lines"), LOG "?from=501");
    assert_string_equal(page_link(f, page_of(f, LOG "?from=801"), "Earlier"), LOG "?from=401");
    assert_null(page_link(f, page_of(f, LOG), "Earlier"));
    assert_shows(page_of(f, LOG "?from=401"), "Lines 401 to 800 of 900");
    assert_shows(page_of(f, LOG "?from=5000"), "The log ends with line 900.");
}

static void long_lines_make_shorter_pages(void **state)
{
    struct page_harness *f = *state;
    char line[1500];
    build_release(f, "failed", "x");
    memset(line, '<', sizeof line - 1); /* four times as long in HTML */
    line[sizeof line - 1] = '\0';
    for (int i = 0; i < 100; i++)
        page_log_add(f, line);

    const char *page = page_of(f, LOG);

    assert_true(strlen(page) < 4 * 32 * 1024 + 16 * 1024);
    assert_non_null(page_link(f, page, "Later"));
}

static void a_release_shows_the_end_of_its_log_and_the_line_that_says_why(void **state)
{
    struct page_harness *f = *state;
    build_release(f, "failed", "The build stopped in BUILD: cannot find module left-pad (exit code: 1)");
    fill(f, 300);
    page_log_add(f, "#9 4.2 cannot find module left-pad");
    page_log_add(f, "#9 ERROR: exit code: 1");
    page_log_add(f, "[Container] 2026/06/15 14:23:40 Phase complete: BUILD State: FAILED");

    const char *page = page_of(f, RELEASE);

    assert_shows(page, "The last 200 of 303 lines");
    assert_int_equal(occurrences(page, "id=\"L"), 200);
    assert_shows(page, "<a href=\"#L301\">Line 301 of the log</a>");
    assert_shows(page, "<span class=\"line bad\" id=\"L301\">");
    assert_shows(page, "<span class=\"line bad\" id=\"L302\">");
    assert_shows(page, "<span class=\"line agent\" id=\"L303\">");
    assert_shows(page, "<span class=\"line\" id=\"L300\">");
    assert_string_equal(page_link(f, page, "The whole log"), LOG);
    assert_true(strlen(page) <= LARGEST_PAGE);
}

static void only_the_line_that_is_quoted_whole_is_the_one_that_says_why(void **state)
{
    struct page_harness *f = *state;
    AUTO_BUF struct buf longest = { 0 };
    for (int i = 0; i < 120; i++)
        buf_printf(&longest, "word %d ", i);
    build_release(f, "failed",
                  arena_printf(f->mem, "The build stopped in BUILD: npm failure Missing: %.379s (exit code: 1)",
                               buf_text(&longest)));
    page_log_add(f, "#7 4.714 npm failure");
    page_log_add(f, "#7 4.714 npm failure Missing:");
    page_log_add(f, arena_printf(f->mem, "#7 4.714 npm failure Missing: %s", buf_text(&longest)));

    const char *page = page_of(f, RELEASE);

    assert_int_equal(occurrences(page, "\"line bad\""), 1);
    assert_shows(page, "Line 3 of the log");
}

static void a_failure_that_is_not_quoted_leads_to_the_last_line_that_blames(void **state)
{
    struct page_harness *f = *state;
    build_release(f, "failed", "The build stopped: acme/shop has no Dockerfile at its top");
    page_log_add(f, "#1 transferring dockerfile: 2B done");
    page_log_add(f, "error: something else");
    page_log_add(f, "ERROR: failed to solve: failed to read dockerfile: open Dockerfile: no such file or directory");
    page_log_add(f, "done");

    assert_shows(page_of(f, RELEASE), "Line 3 of the log");
}

static void a_release_without_a_build_has_no_log(void **state)
{
    struct page_harness *f = *state;
    page_log_begin(f);

    assert_shows(page_body(f, LOG, 404), "shop v1 has no build, and so no log");
    assert_shows(page_body(f, REPLY, 404), "shop v1 has no build, and so no log");
    assert_hides(page_of(f, RELEASE), "Build log");
    page_body(f, "/apps/shop/releases/99/log", 404);
    page_body(f, "/apps/nobody/releases/1/log", 404);
}

static void a_log_that_cannot_be_read_does_not_take_the_page_with_it(void **state)
{
    struct page_harness *f = *state;
    build_release(f, "failed", "x");
    page_log_fail(f, "CloudWatch Logs is away");

    assert_shows(page_of(f, LOG), "The log can&#39;t be read at the moment: CloudWatch Logs is away.");
    assert_shows(page_of(f, RELEASE), "The log can&#39;t be read at the moment: CloudWatch Logs is away.");
}

static void a_releases_page_has_another_version_when_its_log_is_all_there_or_cannot_be_read(void **state)
{
    struct page_harness *f = *state;
    build_release(f, "failed", "x");
    page_log_fail(f, "CloudWatch Logs is away");
    page_of(f, RELEASE);
    struct response away = page_ask(f, RELEASE);
    const char *tag = arena_copy(f->mem, page_header(&away, "ETag"));
    struct response same = page_ask_again(f, RELEASE, tag);
    assert_int_equal(same.status, 304);
    response_free(&same);
    response_free(&away);

    page_log_begin(f);
    page_log_add(f, "one");
    page_of(f, LOG);
    struct response all = page_ask_again(f, RELEASE, tag);

    assert_int_equal(all.status, 200);
    assert_shows(buf_text(&all.body), "<bdi>one");
    response_free(&all);
}

static void strangers_lines_are_text_and_their_secrets_stars(void **state)
{
    static const char *const lines[] = { "<script>alert(1)</script>", "\"><img src=x onerror=alert(2)>",
                                         "</bdi></span></code></pre><h1>berth</h1>", "\033[31mred\033[0m and \x07",
                                         "export API_TOKEN=s3cr3t-value-of-mine" };
    struct page_harness *f = *state;
    build_release(f, "failed", "x");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        page_log_add(f, lines[i]);
    const char *targets[] = { LOG, RELEASE };

    for (size_t i = 0; i < 2; i++) {
        const char *page = page_of(f, targets[i]);
        assert_hides(page, "<script>alert");
        assert_hides(page, "<img src=x");
        assert_int_equal(occurrences(page, "<h1>"), 1);
        assert_hides(page, "s3cr3t");
        assert_hides(page, "\033");
        assert_shows(page, "&lt;script&gt;alert(1)&lt;/script&gt;");
    }
    struct reply reply = ask_until(f, REPLY, 5);
    assert_string_equal(json_find_text(reply.body, "/lines/0/text", f->mem), lines[0]);
    assert_string_equal(json_find_text(reply.body, "/lines/3/text", f->mem), "red and");
    assert_null(strstr(json_find_text(reply.body, "/lines/4/text", f->mem), "s3cr3t"));
    json_drop(reply.body);
}

static void a_cursor_that_is_no_line_is_refused(void **state)
{
    static const char *const wrong[] = { "?from=0",           "?from=-1",       "?from=",     "?from=x",
                                         "?from=99999999999", "?from=1&build=", "?build=a%00" };
    struct page_harness *f = *state;
    build_release(f, "running", NULL);

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        page_body(f, arena_printf(f->mem, "%s%s", REPLY, wrong[i]), 400);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EACH(a_cursor_gets_what_came_since_as_json),
        EACH(nothing_new_is_a_304_and_a_new_line_is_not),
        EACH(trouble_is_news_and_so_is_its_end),
        EACH(a_release_that_is_built_anew_begins_its_log_again),
        EACH(a_log_is_read_page_by_page_without_a_gap_or_a_repeat),
        EACH(long_lines_make_shorter_pages),
        EACH(a_release_shows_the_end_of_its_log_and_the_line_that_says_why),
        EACH(only_the_line_that_is_quoted_whole_is_the_one_that_says_why),
        EACH(a_failure_that_is_not_quoted_leads_to_the_last_line_that_blames),
        EACH(a_release_without_a_build_has_no_log),
        EACH(a_log_that_cannot_be_read_does_not_take_the_page_with_it),
        EACH(a_releases_page_has_another_version_when_its_log_is_all_there_or_cannot_be_read),
        EACH(strangers_lines_are_text_and_their_secrets_stars),
        EACH(a_cursor_that_is_no_line_is_refused),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
