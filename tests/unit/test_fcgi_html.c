/* What a stranger's text is written as, and which addresses a page may carry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/text.h"
#include "fcgi/html.h"

#define REPLACED "\xef\xbf\xbd"

static void assert_escaped(const char *text, const char *expected)
{
    AUTO_BUF struct buf out = { 0 };

    html_escape(&out, text);

    assert_string_equal(buf_text(&out), expected);
}

static void what_could_end_a_text_or_an_attribute_is_a_reference(void **state)
{
    (void)state;
    assert_escaped("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;");
    assert_escaped("\"'&", "&quot;&#39;&amp;");
    assert_escaped("&lt;", "&amp;lt;");
    assert_escaped("", "");
}

static void controls_are_replaced_but_for_tab_and_line_end(void **state)
{
    (void)state;
    assert_escaped("a\tb\nc", "a\tb\nc");
    assert_escaped("\x01|\r|\x1b[31m|\x7f", REPLACED "|" REPLACED "|" REPLACED "[31m|" REPLACED);
    assert_escaped("\xc2\x80|\xc2\x9f|\xc2\xa0", REPLACED "|" REPLACED "|\xc2\xa0");
}

static void other_characters_stay_as_they_are(void **state)
{
    (void)state;
    assert_escaped("\xe2\x80\xa8\xe2\x80\xae\xf0\x9f\x9a\xa2\xc3\xbc",
                   "\xe2\x80\xa8\xe2\x80\xae\xf0\x9f\x9a\xa2\xc3\xbc");
}

static void what_is_no_utf8_is_replaced_and_hides_nothing(void **state)
{
    (void)state;
    assert_escaped("\xff<", REPLACED "&lt;");
    assert_escaped("\xc3<b", REPLACED "&lt;b");               /* a first byte alone does not swallow what follows */
    assert_escaped("\xc3\xbc\x80|", "\xc3\xbc" REPLACED "|"); /* a continuation too many */
    assert_escaped("\xe2\x80", REPLACED REPLACED);            /* cut off at the end */
    assert_escaped("\xc0\xbc"
                   "b",
                   REPLACED REPLACED "b"); /* an overlong "<" */
    assert_escaped("\xed\xa0\x80", REPLACED REPLACED REPLACED);
}

static void any_bytes_come_out_as_utf8_without_a_markup_character(void **state)
{
    unsigned seed = 4711;
    (void)state;

    for (int round = 0; round < 2000; round++) {
        AUTO_BUF struct buf out = { 0 };
        char text[64];
        for (size_t i = 0; i + 1 < sizeof text; i++)
            text[i] = (char)(1 + rand_r(&seed) % 255);
        text[sizeof text - 1] = '\0';

        html_escape(&out, text);

        assert_true(text_is_utf8(buf_text(&out), out.len));
        assert_null(strpbrk(buf_text(&out), "<>\"'\r\x1b"));
    }
}

static void an_address_of_this_site_or_of_a_known_scheme_is_kept(void **state)
{
    static const char *const safe[] = {
        "/",         "/apps/shop", "apps/shop",  "?only=failed", "#content", "",     "https://shop.example.com/",
        "http://x/", "HTTPS://x/", "mailto:a@b", "/a:b",         "?a:b",     "#a:b", "https://x/?q=\xc3\xbc"
    };
    (void)state;

    for (size_t i = 0; i < sizeof safe / sizeof *safe; i++)
        if (!html_is_safe_url(safe[i]))
            fail_msg("\"%s\" was refused", safe[i]);
}

static void every_other_address_is_refused(void **state)
{
    static const char *const hostile[] = {
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "\tjavascript:x",
        "java\tscript:x",
        "java\nscript:x",
        "java\rscript:x",
        "\x01javascript:x",
        "javascript\x7f:x",
        "data:text/html,<script>",
        "DATA:text/html,x",
        "vbscript:x",
        "blob:x",
        "file:///etc/passwd",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        ":x",
        "https\t://x",
        "javascript&colon;alert(1):",
        "x-javascript:1",
        "httpss:x",
        "http s:x",
        "view-source:x",
        "intent://x",
    };
    (void)state;

    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++)
        if (html_is_safe_url(hostile[i]))
            fail_msg("\"%s\" was kept", hostile[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_could_end_a_text_or_an_attribute_is_a_reference),
        cmocka_unit_test(controls_are_replaced_but_for_tab_and_line_end),
        cmocka_unit_test(other_characters_stay_as_they_are),
        cmocka_unit_test(what_is_no_utf8_is_replaced_and_hides_nothing),
        cmocka_unit_test(any_bytes_come_out_as_utf8_without_a_markup_character),
        cmocka_unit_test(an_address_of_this_site_or_of_a_known_scheme_is_kept),
        cmocka_unit_test(every_other_address_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
