/* What a delivery says, and what is refused in one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/github/event.h"

#define SHA "1a2b3c4d5e6f7081920a1b2c3d4e5f6071829304"
#define ZERO "0000000000000000000000000000000000000000"
#define REPOSITORY "\"repository\":{\"id\":4711,\"full_name\":\"acme/shop\"}"
#define PUSHER "\"pusher\":{\"name\":\"mara\"}"

struct reading {
    struct arena *mem;
    json_object *body;
    struct github_event event;
    struct err e;
    int code;
};

static void read_event(struct reading *r, const char *name, const char *text)
{
    *r = (struct reading){ .mem = arena_new() };
    assert_int_equal(json_parse(text, strlen(text), &r->body, &r->e), 0);
    r->code = github_event_read(name, r->body, r->mem, &r->event, &r->e);
}

static void done(struct reading *r)
{
    json_drop(r->body);
    arena_free(r->mem);
}

static char *push_with(struct arena *mem, const char *ref, const char *after, const char *deleted, const char *head,
                       const char *rest)
{
    return arena_printf(mem, "{\"ref\":%s,\"after\":%s,\"deleted\":%s,\"head_commit\":%s,%s," REPOSITORY "," PUSHER "}",
                        ref, after, deleted, head, rest);
}

static void what_is_no_object_is_no_payload(void **state)
{
    static const char *const texts[] = { "[]", "1", "\"x\"", "true", "null" };
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct reading r;
        read_event(&r, "issues", texts[i]);
        assert_int_equal(r.code, ERR_INVALID);
        assert_null(r.event.name);
        done(&r);
    }
}

static void a_push_that_lacks_or_garbles_a_member_names_it(void **state)
{
    static const struct {
        const char *ref, *after, *deleted, *head, *rest, *named;
    } rows[] = {
        { "1", "\"" SHA "\"", "false", "null", "\"commits\":[]", "/ref" },
        { "\"\"", "\"" SHA "\"", "false", "null", "\"commits\":[]", "/ref" },
        { "\"refs/heads/a\\u0007\"", "\"" SHA "\"", "false", "null", "\"commits\":[]", "/ref" },
        { "\"refs/heads/main\"", "\"HEAD\"", "false", "null", "\"commits\":[]", "/after" },
        { "\"refs/heads/main\"", "\"" ZERO "\"", "false", "null", "\"commits\":[]", "/after" },
        { "\"refs/heads/main\"", "null", "false", "null", "\"commits\":[]", "/after" },
        { "\"refs/heads/main\"", "\"" SHA "\"", "\"no\"", "null", "\"commits\":[]", "/deleted" },
        { "\"refs/heads/main\"", "\"" SHA "\"", "false", "\"x\"", "\"commits\":[]", "/head_commit" },
        { "\"refs/heads/main\"", "\"" SHA "\"", "false", "{\"message\":7}", "\"commits\":[]", "/head_commit/message" },
        { "\"refs/heads/main\"", "\"" SHA "\"", "false", "null", "\"commits\":{}", "/commits" },
        { "\"refs/heads/main\"", "\"" SHA "\"", "false", "null", "\"x\":0", "/commits" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_ARENA struct arena *mem = arena_new();
        struct reading r;
        read_event(&r, "push", push_with(mem, rows[i].ref, rows[i].after, rows[i].deleted, rows[i].head, rows[i].rest));
        assert_int_equal(r.code, ERR_INVALID);
        assert_non_null(strstr(r.e.message, rows[i].named));
        done(&r);
    }
}

static void a_push_without_its_repository_is_refused(void **state)
{
    struct reading r;
    (void)state;

    read_event(&r, "push",
               "{\"ref\":\"refs/heads/main\",\"after\":\"" SHA "\",\"deleted\":false,\"commits\":[]," PUSHER "}");

    assert_int_equal(r.code, ERR_INVALID);
    done(&r);
}

static void a_repository_that_is_malformed_is_refused_in_every_event(void **state)
{
    static const char *const bodies[] = {
        "{\"repository\":\"acme/shop\"}",
        "{\"repository\":{}}",
        "{\"repository\":{\"id\":1}}",
        "{\"repository\":{\"full_name\":\"a/b\"}}",
        "{\"repository\":{\"id\":0,\"full_name\":\"a/b\"}}",
        "{\"repository\":{\"id\":-1,\"full_name\":\"a/b\"}}",
        "{\"repository\":{\"id\":1.5,\"full_name\":\"a/b\"}}",
        "{\"repository\":{\"id\":1,\"full_name\":\"\"}}",
    };
    (void)state;

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct reading r;
        read_event(&r, "issues", bodies[i]);
        assert_int_equal(r.code, ERR_INVALID);
        done(&r);
    }
}

static void more_commits_than_github_sends_are_refused(void **state)
{
    AUTO_BUF struct buf commits = { 0 };
    AUTO_ARENA struct arena *mem = arena_new();
    (void)state;

    for (int i = 0; i <= GITHUB_COMMITS_MAX; i++)
        buf_add_text(&commits, i == 0 ? "{}" : ",{}");
    for (int over = 0; over <= 1; over++) {
        struct reading r;
        const char *list = arena_printf(mem, "\"commits\":[%s]", buf_text(&commits) + (over ? 0 : strlen("{},")));
        read_event(&r, "push", push_with(mem, "\"refs/heads/main\"", "\"" SHA "\"", "false", "null", list));
        assert_int_equal(r.code, over ? ERR_INVALID : 0);
        done(&r);
    }
}

static void a_push_to_a_branch_tells_all_that_a_release_needs(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct reading r;
    (void)state;

    read_event(&r, "push",
               push_with(mem, "\"refs/heads/feature/x\"", "\"" SHA "\"", "false", "{\"message\":\"Title\\n\\nBody\"}",
                         "\"commits\":[{}]"));

    assert_int_equal(r.code, 0);
    assert_null(r.event.ignored);
    assert_string_equal(r.event.name, "push");
    assert_string_equal(r.event.repository, "acme/shop");
    assert_int_equal(r.event.repository_id, 4711);
    assert_string_equal(r.event.branch, "feature/x");
    assert_string_equal(r.event.commit_sha, SHA);
    assert_string_equal(r.event.commit_title, "Title");
    assert_string_equal(r.event.pushed_by, "mara");
    done(&r);
}

static void what_can_make_no_release_says_why(void **state)
{
    static const struct {
        const char *event, *body, *why;
    } rows[] = {
        { "ping", "{\"zen\":\"x\"}", "a ping" },
        { "ping", "{" REPOSITORY "}", "a ping" },
        { "issues", "{" REPOSITORY "}", "event issues" },
        { "organization", "{\"repository\":null}", "event organization" },
        { "push", "{\"ref\":\"refs/tags/v1\",\"deleted\":false," REPOSITORY "}", "the tag v1" },
        { "push", "{\"ref\":\"refs/tags/v1\",\"deleted\":true," REPOSITORY "}", "the tag v1" },
        { "push", "{\"ref\":\"refs/notes/x\",\"deleted\":false," REPOSITORY "}", "refs/notes/x is no branch" },
        { "push", "{\"ref\":\"refs/heads/\",\"deleted\":false," REPOSITORY "}", "refs/heads/ is no branch" },
        { "push", "{\"ref\":\"refs/heads/old\",\"deleted\":true,\"after\":\"" ZERO "\"," REPOSITORY "}",
          "branch old was deleted" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct reading r;
        read_event(&r, rows[i].event, rows[i].body);
        assert_int_equal(r.code, 0);
        assert_string_equal(r.event.ignored, rows[i].why);
        assert_null(r.event.commit_sha);
        done(&r);
    }
}

static void a_title_is_cut_between_characters(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_BUF struct buf head = { 0 };
    struct reading r;
    (void)state;
    buf_add_text(&head, "{\"message\":\"x");
    for (int i = 0; i < 150; i++)
        buf_add_text(&head, "ä");
    buf_add_text(&head, "\"}");

    read_event(&r, "push",
               push_with(mem, "\"refs/heads/main\"", "\"" SHA "\"", "false", buf_text(&head), "\"commits\":[]"));

    assert_int_equal(r.code, 0);
    assert_int_equal(strlen(r.event.commit_title), 199); /* x and 99 of two bytes */
    done(&r);
}

static void a_repository_of_sha256_is_read_too(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct reading r;
    (void)state;

    read_event(&r, "push",
               push_with(mem, "\"refs/heads/main\"",
                         "\"1a2b3c4d5e6f7081920a1b2c3d4e5f60718293041a2b3c4d5e6f7081920a1b2c\"", "false", "null",
                         "\"commits\":[]"));

    assert_int_equal(r.code, 0);
    assert_int_equal(strlen(r.event.commit_sha), 64);
    done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_object_is_no_payload),
        cmocka_unit_test(a_push_that_lacks_or_garbles_a_member_names_it),
        cmocka_unit_test(a_push_without_its_repository_is_refused),
        cmocka_unit_test(a_repository_that_is_malformed_is_refused_in_every_event),
        cmocka_unit_test(more_commits_than_github_sends_are_refused),
        cmocka_unit_test(a_push_to_a_branch_tells_all_that_a_release_needs),
        cmocka_unit_test(what_can_make_no_release_says_why),
        cmocka_unit_test(a_title_is_cut_between_characters),
        cmocka_unit_test(a_repository_of_sha256_is_read_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
