/* Checks on text from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/base/text.h"

static void malformed_utf8_is_told_from_well_formed(void **state)
{
    (void)state;
    static const char *const bad[] = { "\x80",
                                       "\xc0\xaf",
                                       "\xc1\xbf",
                                       "\xc3",
                                       "\xe0\x80\xaf",
                                       "\xe0\x9f\xbf",
                                       "\xed\xa0\x80",
                                       "\xed\xbf\xbf",
                                       "\xf0\x80\x80\xaf",
                                       "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80",
                                       "\xfe",
                                       "\xff",
                                       "a\xe2\x82",
                                       "\xe2\x28\xa1",
                                       "\xf0\x9f\x98" };
    static const char *const good[] = { "",
                                        "a",
                                        "\x7f",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf" };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (text_is_utf8(bad[i], strlen(bad[i])))
            fail_msg("malformed text %zu was accepted", i);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        if (!text_is_utf8(good[i], strlen(good[i])))
            fail_msg("well-formed text %zu was refused", i);
    }
}

static void control_characters_are_found_wherever_they_are(void **state)
{
    (void)state;

    assert_true(text_has_control("\0", 1));
    assert_true(text_has_control("ab\n", 3));
    assert_true(text_has_control("a\x7f", 2));
    assert_true(text_has_control("a\0b", 3));
    assert_false(text_has_control("", 0));
    assert_false(text_has_control("a b~\xc3\xa9", 6));
}

static void what_is_no_whole_number_in_range_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       "-",
                                       " 1",
                                       "1 ",
                                       "+1",
                                       "0x1",
                                       "1.0",
                                       "1e3",
                                       "--1",
                                       "one",
                                       "1\n",
                                       "9223372036854775808",
                                       "-9223372036854775809",
                                       "99999999999999999999999" };
    int64_t value = 77;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (text_parse_int(bad[i], INT64_MIN, INT64_MAX, &value))
            fail_msg("\"%s\" was accepted", bad[i]);
    }
    assert_false(text_parse_int("0", 1, 10, &value));
    assert_false(text_parse_int("11", 1, 10, &value));
    assert_int_equal(value, 77);
}

static void whole_numbers_up_to_both_ends_are_read(void **state)
{
    (void)state;
    int64_t value = 0;

    assert_true(text_parse_int("9223372036854775807", INT64_MIN, INT64_MAX, &value));
    assert_true(value == INT64_MAX);
    assert_true(text_parse_int("-9223372036854775808", INT64_MIN, INT64_MAX, &value));
    assert_true(value == INT64_MIN);
    assert_true(text_parse_int("-0", 0, 0, &value));
    assert_int_equal(value, 0);
    assert_true(text_parse_int("007", 1, 10, &value));
    assert_int_equal(value, 7);
}

static void an_excerpt_is_safe_to_show_and_never_cuts_a_character(void **state)
{
    (void)state;
    char out[8];

    text_excerpt("a\tb\nc", out, sizeof(out));
    assert_string_equal(out, "a b c");
    text_excerpt("123456\xc3\xa9", out, sizeof(out));
    assert_string_equal(out, "123456");
    text_excerpt("12345\xc3\xa9", out, sizeof(out));
    assert_string_equal(out, "12345\xc3\xa9");
    text_excerpt("\xff\xc2\x9b\xe2\x82", out, sizeof(out));
    assert_string_equal(out, "? ??");
    text_excerpt("long enough to be cut", out, 1);
    assert_string_equal(out, "");
    out[0] = 'x';
    text_excerpt("y", out, 0);
    assert_int_equal(out[0], 'x');
}

static void beginnings_and_ends_are_told(void **state)
{
    (void)state;

    assert_false(text_starts("ref", "refs/heads/"));
    assert_false(text_ends("s.zip", "notes.zip"));
    assert_false(text_ends("a.zipx", ".zip"));
    assert_true(text_starts("refs/heads/main", "refs/heads/"));
    assert_true(text_ends("a.zip", ".zip"));
    assert_true(text_starts("a", ""));
    assert_true(text_ends("", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_utf8_is_told_from_well_formed),
        cmocka_unit_test(control_characters_are_found_wherever_they_are),
        cmocka_unit_test(what_is_no_whole_number_in_range_is_refused),
        cmocka_unit_test(whole_numbers_up_to_both_ends_are_read),
        cmocka_unit_test(an_excerpt_is_safe_to_show_and_never_cuts_a_character),
        cmocka_unit_test(beginnings_and_ends_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
