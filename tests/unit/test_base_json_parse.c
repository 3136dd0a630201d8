/* json_parse refuses what RFC 8259 refuses, and what a C program cannot hold; everything else comes back as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/json.h"

struct sample {
    const char *name;
    const char *text;
    size_t len;       /* 0: strlen */
    const char *says; /* part of the refusal; or, for the accepted, how it is written again */
};

#define BYTES(literal) literal, sizeof(literal) - 1

/* clang-format off */
static const struct sample refused[] = {
    { "an empty text", "", 0, "ends too early at byte 0" },
    { "only space", "  \n", 0, "ends too early" },
    { "a byte order mark", "\xef\xbb\xbf{}", 0, "no JSON value" },
    { "UTF-16", BYTES("\xff\xfe[\0]\0"), "no JSON value" },
    { "an open array", "[", 0, "ends too early" },
    { "an open array with an item", "[1", 0, "ends too early" },
    { "an open array after a comma", "[1,", 0, "ends too early" },
    { "an open object", "{", 0, "ends too early" },
    { "an object that ends in a name", "{\"a\"", 0, "ends too early" },
    { "an object that ends in a colon", "{\"a\":", 0, "ends too early" },
    { "an object that ends in a value", "{\"a\":1", 0, "ends too early" },
    { "an open string", "\"abc", 0, "ends too early" },
    { "a string that ends in a backslash", "\"abc\\", 0, "ends too early" },
    { "a string that ends in half an escape", "\"\\u12", 0, "\\u without" },
    { "half a word", "tru", 0, "no JSON value" },
    { "a lone minus", "-", 0, "ends too early" },
    { "an array closed as an object", "[1}", 0, "neither a comma" },
    { "an object closed as an array", "{\"a\":1]", 0, "neither a comma" },
    { "a lone closing bracket", "]", 0, "no JSON value" },
    { "a comma at the end of an array", "[1,]", 0, "no JSON value at byte 3" },
    { "a comma at the end of an object", "{\"a\":1,}", 0, "no member's name at byte 7" },
    { "a comma at the start", "[,1]", 0, "no JSON value" },
    { "two commas", "[1,,2]", 0, "no JSON value" },
    { "no comma", "[1 2]", 0, "neither a comma" },
    { "no comma between members", "{\"a\":1 \"b\":2}", 0, "neither a comma" },
    { "no colon", "{\"a\" 1}", 0, "no colon" },
    { "a comma for a colon", "{\"a\",1}", 0, "no colon" },
    { "two colons", "{\"a\"::1}", 0, "no JSON value" },
    { "a member without a value", "{\"a\":}", 0, "no JSON value" },
    { "a name without quotes", "{a:1}", 0, "no member's name" },
    { "a number as a name", "{1:1}", 0, "no member's name" },
    { "single quotes", "['a']", 0, "no JSON value" },
    { "a name in single quotes", "{'a':1}", 0, "no member's name" },
    { "a block comment", "[1/* one */]", 0, "neither a comma" },
    { "a line comment", "// one\n[1]", 0, "no JSON value" },
    { "a comment at the end", "[1] // one", 0, "something after the value" },
    { "a hash comment", "#\n1", 0, "no JSON value" },
    { "garbage after an array", "[1]x", 0, "something after the value at byte 3" },
    { "garbage after a number", "1x", 0, "something after the value" },
    { "two values", "{}{}", 0, "something after the value" },
    { "two values in lines", "{}\n{}", 0, "something after the value" },
    { "a second closing bracket", "[1]]", 0, "something after the value" },
    { "NaN", "[NaN]", 0, "no JSON value" },
    { "Infinity", "[Infinity]", 0, "no JSON value" },
    { "minus Infinity", "[-Infinity]", 0, "no JSON value" },
    { "nan in lower case", "nan", 0, "no JSON value" },
    { "True", "[True]", 0, "no JSON value" },
    { "TRUE", "TRUE", 0, "no JSON value" },
    { "NULL", "NULL", 0, "no JSON value" },
    { "undefined", "undefined", 0, "no JSON value" },
    { "a plus sign", "[+1]", 0, "no JSON value" },
    { "two minus signs", "[--1]", 0, "no JSON value" },
    { "a leading zero", "[01]", 0, "begins with 0" },
    { "a leading zero after a minus", "[-01]", 0, "begins with 0" },
    { "two zeros", "00", 0, "begins with 0" },
    { "no digit before the point", "[.5]", 0, "no JSON value" },
    { "no digit after the point", "[1.]", 0, "no digit after" },
    { "an exponent after the point", "[1.e1]", 0, "no digit after" },
    { "an empty exponent", "[1e]", 0, "no digit in the exponent" },
    { "an exponent of a sign only", "[1e+]", 0, "no digit in the exponent" },
    { "a fraction in the exponent", "[1e1.5]", 0, "neither a comma" },
    { "a hexadecimal number", "[0x1f]", 0, "neither a comma" },
    { "a number with an underscore", "[1_000]", 0, "neither a comma" },
    { "one more than int64", "[9223372036854775808]", 0, "out of range at byte 1" },
    { "one less than int64", "[-9223372036854775809]", 0, "out of range" },
    { "uint64's largest", "18446744073709551615", 0, "out of range" },
    { "a number of 30 digits", "123456789012345678901234567890", 0, "out of range" },
    { "a double too large", "[1e400]", 0, "out of range" },
    { "a double too small", "[-1e999]", 0, "out of range" },
    { "a NUL between", BYTES("[1\0]"), "neither a comma" },
    { "a NUL at the end", BYTES("[1]\0"), "something after" },
    { "a NUL in a string", BYTES("\"a\0b\""), "control character" },
    { "an escaped NUL", "\"a\\u0000b\"", 0, "\\u0000" },
    { "an escaped NUL in a name", "{\"a\\u0000\":1}", 0, "\\u0000" },
    { "a line break in a string", "\"a\nb\"", 0, "control character" },
    { "a tab in a string", "\"a\tb\"", 0, "control character" },
    { "an escape that is none", "\"\\x41\"", 0, "unknown escape" },
    { "an escaped single quote", "\"\\'\"", 0, "unknown escape" },
    { "an escape before a NUL", BYTES("\"\\\0\""), "unknown escape" },
    { "an escape without its digits", "\"\\u00zz\"", 0, "\\u without" },
    { "a lone high surrogate", "\"\\ud800\"", 0, "lone high" },
    { "a lone low surrogate", "\"\\udc00\"", 0, "lone low" },
    { "two high surrogates", "\"\\ud800\\ud800\"", 0, "lone high" },
    { "a high surrogate before a letter", "\"\\ud800abcdef\"", 0, "lone high" },
    { "surrogates the wrong way round", "\"\\udc00\\ud800\"", 0, "lone low" },
    { "a raw continuation byte", "\"\x80\"", 0, "malformed UTF-8" },
    { "Latin-1", "\"caf\xe9\"", 0, "malformed UTF-8" },
    { "an overlong slash", "\"\xc0\xaf\"", 0, "malformed UTF-8" },
    { "an overlong NUL", "\"\xc0\x80\"", 0, "malformed UTF-8" },
    { "a surrogate in UTF-8", "\"\xed\xa0\x80\"", 0, "malformed UTF-8" },
    { "beyond U+10FFFF", "\"\xf4\x90\x80\x80\"", 0, "malformed UTF-8" },
    { "a cut UTF-8 character", "\"\xe2\x82\"", 0, "malformed UTF-8" },
    { "malformed UTF-8 in a name", "{\"\xff\":1}", 0, "malformed UTF-8" },
    { "a non-breaking space", "[\xc2\xa0" "1]", 0, "no JSON value" },
    { "a form feed", "[\f1]", 0, "no JSON value" },
    { "a name twice", "{\"a\":1,\"a\":2}", 0, "two members \"a\", the second at byte 7" },
    { "a name twice with equal values", "{\"a\":1,\"a\":1}", 0, "two members" },
    { "a name twice, once escaped", "{\"a\":1,\"\\u0061\":2}", 0, "two members \"a\"" },
    { "a name twice deep inside", "[{\"x\":{\"b\":null,\"c\":1,\"b\":null}}]", 0, "two members \"b\"" },
    { "the empty name twice", "{\"\":1,\"\":2}", 0, "two members \"\"" },
};

static const struct sample accepted[] = {
    { "an empty object", "{}", 0, "{}" },
    { "an empty array", "[]", 0, "[]" },
    { "space all around", " \t\r\n[ 1 , 2 ] \n", 0, "[1,2]" },
    { "a bare string", "\"a\"", 0, "\"a\"" },
    { "a bare number", "7", 0, "7" },
    { "a bare true", "true", 0, "true" },
    { "a bare false with space", " false ", 0, "false" },
    { "a bare null", "null", 0, "null" },
    { "a null inside", "[null]", 0, "[null]" },
    { "int64's largest", "9223372036854775807", 0, "9223372036854775807" },
    { "int64's least", "-9223372036854775808", 0, "-9223372036854775808" },
    { "zero", "0", 0, "0" },
    { "a fraction", "[1.5]", 0, "[1.5]" },
    { "an exponent", "[1E+2]", 0, "[1E+2]" },
    { "a zero with an exponent", "[0e1]", 0, "[0e1]" },
    { "double's largest", "[1.7976931348623157e308]", 0, "[1.7976931348623157e308]" },
    { "all short escapes", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", 0, "\"\\\"\\\\/\\b\\f\\n\\r\\t\"" },
    { "an escaped letter", "\"\\u0041\\u00E9\"", 0, "\"A\xc3\xa9\"" },
    { "a surrogate pair", "\"\\ud83d\\ude00\"", 0, "\"\xf0\x9f\x98\x80\"" },
    { "raw UTF-8", "\"\xf0\x9f\x98\x80\xe2\x82\xac\"", 0, "\"\xf0\x9f\x98\x80\xe2\x82\xac\"" },
    { "a raw DEL", "\"\x7f\"", 0, "\"\x7f\"" },
    { "the empty name", "{\"\":1}", 0, "{\"\":1}" },
    { "one name in two objects", "[{\"a\":1},{\"a\":2}]", 0, "[{\"a\":1},{\"a\":2}]" },
    { "one name at two depths", "{\"a\":{\"a\":{\"a\":1}}}", 0, "{\"a\":{\"a\":{\"a\":1}}}" },
};
/* clang-format on */

static void everything_that_is_not_json_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        const struct sample *sample = &refused[i];
        json_object *out = NULL;
        struct err e = { 0 };

        int code = json_parse(sample->text, sample->len ? sample->len : strlen(sample->text), &out, &e);

        if (code != ERR_INVALID || out != NULL)
            fail_msg("%s: not refused (%d)", sample->name, code);
        if (!strstr(e.message, sample->says))
            fail_msg("%s: \"%s\" does not say \"%s\"", sample->name, e.message, sample->says);
    }
}

static void everything_that_is_json_comes_back_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(accepted) / sizeof(*accepted); i++) {
        const struct sample *sample = &accepted[i];
        AUTO_ARENA struct arena *mem = arena_new();
        AUTO_JSON json_object *out = NULL;
        struct err e = { 0 };

        int code = json_parse(sample->text, strlen(sample->text), &out, &e);

        if (code != 0)
            fail_msg("%s: refused: %s", sample->name, e.message);
        assert_string_equal(json_to_text(out, mem), sample->says);
    }
}

/* opening brackets, a number, closing brackets */
static int parse_nested(size_t depth, const char *open, const char *close, struct err *e)
{
    AUTO_BUF struct buf text = { 0 };
    AUTO_JSON json_object *out = NULL;

    for (size_t i = 0; i < depth; i++)
        buf_add_text(&text, open);
    buf_add_text(&text, "1");
    for (size_t i = 0; i < depth; i++)
        buf_add_text(&text, close);
    return json_parse(text.data, text.len, &out, e);
}

static void a_text_nested_deeper_than_the_limit_is_refused(void **state)
{
    (void)state;
    struct err e = { 0 };

    assert_int_equal(parse_nested(JSON_DEPTH_MAX + 1, "[", "]", &e), ERR_INVALID);
    assert_non_null(strstr(e.message, "nested too deep at byte 32"));
    assert_int_equal(parse_nested(JSON_DEPTH_MAX + 1, "{\"a\":", "}", &e), ERR_INVALID);
    assert_int_equal(parse_nested(1000000, "[", "]", &e), ERR_INVALID);
}

static void a_text_nested_up_to_the_limit_is_accepted(void **state)
{
    (void)state;
    struct err e = { 0 };

    assert_int_equal(parse_nested(JSON_DEPTH_MAX, "[", "]", &e), 0);
    assert_int_equal(parse_nested(JSON_DEPTH_MAX, "{\"a\":", "}", &e), 0);
}

static void a_number_of_a_thousand_digits_is_refused(void **state)
{
    (void)state;
    char text[1001];
    json_object *out = NULL;
    struct err e = { 0 };
    memset(text, '1', sizeof(text));
    text[1] = '.';

    assert_int_equal(json_parse(text, sizeof(text), &out, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "too many digits"));
}

static void no_prefix_of_a_push_is_accepted(void **state)
{
    (void)state;
    static const char push[] =
        "{\"ref\":\"refs/heads/main\",\"commits\":[{\"id\":\"\\u00e9\\ud83d\\ude00\",\"n\":-1.5e3}],\"x\":null}";
    struct err e = { 0 };

    for (size_t len = 0; len < sizeof(push) - 1; len++) {
        json_object *out = NULL;

        if (json_parse(push, len, &out, &e) != ERR_INVALID)
            fail_msg("the first %zu bytes were accepted", len);
    }

    AUTO_JSON json_object *out = NULL;
    assert_int_equal(json_parse(push, sizeof(push) - 1, &out, &e), 0);
}

static void object_of(struct buf *text, int members, const char *last)
{
    buf_add_char(text, '{');
    for (int i = 0; i < members; i++)
        buf_printf(text, "\"member %d\":%d,", i, i);
    buf_printf(text, "\"%s\":0}", last);
}

static void one_repeated_name_among_a_hundred_thousand_is_found(void **state)
{
    (void)state;
    AUTO_BUF struct buf text = { 0 };
    json_object *out = NULL;
    struct err e = { 0 };
    object_of(&text, 100000, "member 31415");
    clock_t start = clock();

    int code = json_parse(text.data, text.len, &out, &e);

    assert_int_equal(code, ERR_INVALID);
    assert_non_null(strstr(e.message, "two members \"member 31415\""));
    /* Linear time: a fraction of a second. Comparing all pairs would take minutes, also under valgrind. */
    assert_true((clock() - start) / CLOCKS_PER_SEC < 20);
}

static void an_object_of_a_hundred_thousand_names_is_accepted(void **state)
{
    (void)state;
    AUTO_BUF struct buf text = { 0 };
    AUTO_JSON json_object *out = NULL;
    struct err e = { 0 };
    object_of(&text, 100000, "last");

    assert_int_equal(json_parse(text.data, text.len, &out, &e), 0);

    assert_int_equal(json_find_int(out, "/member 99999", -1), 99999);
}

static void bytes_past_the_given_length_are_not_read(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *number = NULL;
    struct err e = { 0 };
    char *exact = arena_alloc(mem, 2); /* no NUL: the sanitizer would see a read past it */
    exact[0] = '4';
    exact[1] = '2';

    assert_int_equal(json_parse(exact, 2, &number, &e), 0);

    assert_int_equal(json_find_int(number, "", 0), 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_that_is_not_json_is_refused),
        cmocka_unit_test(a_text_nested_deeper_than_the_limit_is_refused),
        cmocka_unit_test(a_number_of_a_thousand_digits_is_refused),
        cmocka_unit_test(no_prefix_of_a_push_is_accepted),
        cmocka_unit_test(one_repeated_name_among_a_hundred_thousand_is_found),
        cmocka_unit_test(everything_that_is_json_comes_back_as_it_was),
        cmocka_unit_test(a_text_nested_up_to_the_limit_is_accepted),
        cmocka_unit_test(an_object_of_a_hundred_thousand_names_is_accepted),
        cmocka_unit_test(bytes_past_the_given_length_are_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
