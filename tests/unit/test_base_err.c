/* An err is safe to show whatever was put into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/base/err.h"
#include "core/base/text.h"

static void a_text_too_long_is_cut_between_characters(void **state)
{
    (void)state;
    struct err e = { 0 };
    char text[2 * ERR_TEXT_MAX];

    /* The cut meets each byte of a character of three in turn. */
    for (size_t lead = 0; lead < 3; lead++) {
        memset(text, 'a', lead);
        for (size_t at = lead; at + 4 < sizeof(text); at += 3)
            strcpy(text + at, "\xe2\x82\xac");

        err_set(&e, ERR_INVALID, "%s", text);

        size_t len = strlen(e.message);
        assert_in_range(len, ERR_TEXT_MAX - 4, ERR_TEXT_MAX - 1);
        assert_true(text_is_utf8(e.message, len));
        assert_null(strchr(e.message, '?'));
    }
}

static void control_characters_become_spaces(void **state)
{
    (void)state;
    struct err e = { 0 };

    err_set(&e, ERR_INVALID, "a\r\nb\x1b[31m\x7f%s", "\xc2\x9b!");
    err_hint(&e, "c\td");
    err_detail(&e, "X\nY");

    assert_string_equal(e.message, "a  b [31m  !");
    assert_string_equal(e.hint, "c d");
    assert_string_equal(e.detail, "X Y");
}

static void malformed_bytes_become_question_marks(void **state)
{
    (void)state;
    struct err e = { 0 };

    err_set(&e, ERR_INVALID, "caf%s", "\xe9!");

    assert_string_equal(e.message, "caf?!");
}

static void an_outside_code_too_long_is_cut(void **state)
{
    (void)state;
    struct err e = { 0 };
    char code[2 * ERR_DETAIL_MAX];
    memset(code, 'x', sizeof(code) - 1);
    code[sizeof(code) - 1] = '\0';

    err_set(&e, ERR_DENIED, "no");
    err_detail(&e, code);

    assert_int_equal(strlen(e.detail), ERR_DETAIL_MAX - 1);
    assert_false(err_is(&e, code));
}

static void setting_again_forgets_detail_and_hint(void **state)
{
    (void)state;
    struct err e = { 0 };
    err_set(&e, ERR_DENIED, "first");
    err_detail(&e, "AccessDenied");
    err_hint(&e, "ask");

    assert_int_equal(err_set(&e, ERR_CONFLICT, "again: %s", e.message), ERR_CONFLICT);

    assert_int_equal(e.code, ERR_CONFLICT);
    assert_string_equal(e.message, "again: first");
    assert_string_equal(e.detail, "");
    assert_string_equal(e.hint, "");
}

static void context_goes_before_the_message_and_keeps_the_rest(void **state)
{
    (void)state;
    struct err e = { 0 };
    err_set(&e, ERR_THROTTLED, "slow down");
    err_detail(&e, "ThrottlingException");
    err_hint(&e, "wait");

    assert_int_equal(err_context(&e, "app %s, release %d", "shop", 3), ERR_THROTTLED);

    assert_string_equal(e.message, "app shop, release 3: slow down");
    assert_true(err_is(&e, "ThrottlingException"));
    assert_string_equal(e.hint, "wait");
}

static void only_what_may_get_better_is_tried_again(void **state)
{
    (void)state;
    for (int code = 0; code < ERR_CODE_COUNT; code++) {
        struct err e = { .code = (enum err_code)code };

        assert_int_equal(err_may_retry(&e), code == ERR_TRANSIENT || code == ERR_THROTTLED);
    }
}

static void every_code_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int code = 0; code < ERR_CODE_COUNT; code++) {
        assert_non_null(err_code_name((enum err_code)code));
        for (int other = 0; other < code; other++)
            assert_string_not_equal(err_code_name((enum err_code)code), err_code_name((enum err_code)other));
    }
    assert_string_equal(err_code_name(ERR_CODE_COUNT), "unknown");
    assert_string_equal(err_code_name((enum err_code) - 1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_too_long_is_cut_between_characters),
        cmocka_unit_test(control_characters_become_spaces),
        cmocka_unit_test(malformed_bytes_become_question_marks),
        cmocka_unit_test(an_outside_code_too_long_is_cut),
        cmocka_unit_test(setting_again_forgets_detail_and_hint),
        cmocka_unit_test(context_goes_before_the_message_and_keeps_the_rest),
        cmocka_unit_test(only_what_may_get_better_is_tried_again),
        cmocka_unit_test(every_code_has_a_name_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
