/* What stands in addresses: encoded values, cursors, and notices after a redirect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fcgi/link.h"
#include "fcgi/notice.h"

static const char *said(struct arena *mem, const char *target)
{
    struct request request = { .mem = mem };

    request_set_target(&request, target);
    return notice_of(&request);
}

static void what_could_end_a_value_is_encoded(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    (void)state;

    assert_string_equal(link_encode("aZ0-._~", mem), "aZ0-._~");
    assert_string_equal(link_encode("a&b=c d/e?f#g%\"<\n\xc3\xa4", mem), "a%26b%3Dc%20d%2Fe%3Ff%23g%25%22%3C%0A%C3%A4");
    assert_string_equal(link_encode("", mem), "");
}

static void a_cursor_comes_back_as_it_was(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    const struct link_cursor cursor = { .number = INT64_MAX, .name = "a.b/&c" };
    struct link_cursor found = { 0 };
    (void)state;

    const char *text = link_cursor_text(&cursor, mem);
    struct request request = { .mem = mem };
    request_set_target(&request, arena_printf(mem, "/?after=%s", text));
    assert_true(link_cursor_parse(request_query(&request, "after"), mem, &found));

    assert_int_equal(found.number, cursor.number);
    assert_string_equal(found.name, cursor.name);
}

static void what_is_no_cursor_is_told_apart(void **state)
{
    static const char *const wrong[] = { "", "1", ".", ".a", "x.a", "-1.a", "1e3.a", " 1.a", "9223372036854775808.a" };
    char far[LINK_CURSOR_NAME_MAX + 4] = "1.";
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(link_is_cursor(wrong[i]));
    memset(far + 2, 'a', LINK_CURSOR_NAME_MAX);
    assert_true(link_is_cursor(far));
    far[LINK_CURSOR_NAME_MAX + 2] = 'a';
    assert_false(link_is_cursor(far));
    assert_true(link_is_cursor("1."));
}

static void a_notice_comes_back_from_its_address(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    const struct notice_values values = {
        .release = 7, .to = 5, .all = { .of = (const int[]){ 6, 7 }, .count = 2 }, .app = "shop"
    };
    (void)state;

    for (enum notice n = NOTICE_NONE + 1; n < NOTICE_COUNT; n++) {
        const char *text = said(mem, notice_url("/apps/shop", n, &values, mem));
        assert_string_not_equal(text, "");
        assert_null(strchr(text, '{'));
        assert_string_equal(said(mem, notice_url("/apps/shop?x=1", n, &values, mem)), text);
    }
    assert_string_equal(notice_url("/apps/shop", NOTICE_NONE, &values, mem), "/apps/shop");
}

static void a_crafted_link_can_write_nothing_on_the_page(void **state)
{
    static const char *const links[] = { "/",
                                         "/?done=",
                                         "/?done=Call+0123",
                                         "/?done=rolled-back",
                                         "/?done=rolled-back&v=7",
                                         "/?done=rolled-back&v=7&to=x",
                                         "/?done=rolled-back&v=0&to=1",
                                         "/?done=rolled-back&v=-7&to=1",
                                         "/?done=rolled-back&v=99999999999&to=1",
                                         "/?done=rolled-back&v=%3Cb%3E&to=1",
                                         "/?done=all-cancelled",
                                         "/?done=all-cancelled&all=",
                                         "/?done=all-cancelled&all=7,",
                                         "/?done=all-cancelled&all=7,%3Cb%3E",
                                         "/?done=all-cancelled&all=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
                                         "/?done=destroying",
                                         "/?done=destroying&app=Call+0123",
                                         "/?done=destroying&app=%3Cb%3E",
                                         "/?done=deployed&v=%00",
                                         "/?done=%ff" };
    AUTO_ARENA struct arena *mem = arena_new();
    (void)state;

    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        assert_string_equal(said(mem, links[i]), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_could_end_a_value_is_encoded),
        cmocka_unit_test(a_cursor_comes_back_as_it_was),
        cmocka_unit_test(what_is_no_cursor_is_told_apart),
        cmocka_unit_test(a_notice_comes_back_from_its_address),
        cmocka_unit_test(a_crafted_link_can_write_nothing_on_the_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
