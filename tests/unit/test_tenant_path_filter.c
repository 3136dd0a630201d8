/* Path filters: which files they fit, and which pushes they turn away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/tenant/path_filter.h"

static void patterns_fit_as_in_github_actions(void **state)
{
    static const struct {
        const char *filter, *path;
        bool wanted;
    } cases[] = {
        { "", "a", true },
        { "src/**", "src/a/b.c", true },
        { "src/**", "srcs/a", false },
        { "*.js", "a.js", true },
        { "*.js", "x/a.js", false },
        { "**.js", "x/a.js", true },
        { "**/README.md", "README.md", true },
        { "**/README.md", "a/b/README.md", true },
        { "**/README.md", "aREADME.md", false },
        { "docs/", "docs/a/b", true },
        { "docs/", "docs", false },
        { "docs", "docs/a", false },
        { "a/*/c", "a/b/c", true },
        { "a/*/c", "a/b/d/c", false },
        { "a*b*c*d", "axbxcxd", true },
        { "**/a/**/b", "a/b", true },
        { "**/a/**/b", "x/a/y/z/b", true },
        { "src/* Dockerfile", "Dockerfile", true },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (path_filter_matches(cases[i].filter, cases[i].path) != cases[i].wanted)
            fail_msg("%s on %s", cases[i].filter, cases[i].path);
}

static void of_several_that_fit_the_last_counts(void **state)
{
    (void)state;

    assert_false(path_filter_matches("src/** !src/*.md", "src/a.md"));
    assert_true(path_filter_matches("src/** !src/*.md", "src/x/a.md"));
    assert_true(path_filter_matches("src/** !src/** src/keep", "src/keep"));
}

static void what_can_be_no_pattern_is_refused(void **state)
{
    static const char *const wrong[] = { "!src/**", "src !", "/src/**", "./src", "src/[a]", "a?b", "a\tb", "\xff" };
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err e = { 0 };
        assert_int_equal(path_filter_check(wrong[i], &e), ERR_INVALID);
    }
}

static const char *judged(const char *filter, const char *push, struct arena *mem)
{
    struct github_event event = { 0 };
    json_object *body = NULL;
    struct err e = { 0 };

    assert_int_equal(json_parse(push, strlen(push), &body, &e), 0);
    path_filter_judge(filter, body, mem, &event);
    json_drop(body);
    return event.ignored;
}

#define COMMIT "{\"added\":[],\"modified\":[\"docs/a.md\"],\"removed\":[]}"

static void a_push_that_touches_none_of_it_is_ignored(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    (void)state;

    assert_string_equal(
        judged("src/** Dockerfile", "{\"created\":false,\"forced\":false,\"commits\":[" COMMIT "]}", mem),
        "touches none of src/** Dockerfile");
    assert_null(judged("docs/", "{\"created\":false,\"forced\":false,\"commits\":[" COMMIT "]}", mem));
}

static void a_push_whose_payload_cannot_tell_counts(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    (void)state;

    assert_null(judged("src/**", "{\"created\":true,\"forced\":false,\"commits\":[" COMMIT "]}", mem));
    assert_null(judged("src/**", "{\"created\":false,\"forced\":true,\"commits\":[" COMMIT "]}", mem));
    assert_null(judged("src/**", "{\"created\":false,\"forced\":false,\"commits\":[]}", mem));
    assert_null(judged("src/**", "{\"created\":false,\"forced\":false,\"commits\":[{\"added\":[]}]}", mem));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_fit_as_in_github_actions),
        cmocka_unit_test(of_several_that_fit_the_last_counts),
        cmocka_unit_test(what_can_be_no_pattern_is_refused),
        cmocka_unit_test(a_push_that_touches_none_of_it_is_ignored),
        cmocka_unit_test(a_push_whose_payload_cannot_tell_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
