/* What a browser's form sends: read, decoded, refused; and what a page shows of it again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fcgi/form.h"

#define FORM_TYPE "application/x-www-form-urlencoded"

static const char *const declared[] = { "tasks", "note", "limit.*", NULL };

struct body {
    const char *type, *text;
    size_t len, at, piece; /* piece: bytes at a time; 0: all */
    int code;              /* what a read ends with after the last byte; 0: its end */
};

static const char *param(void *source, const char *name)
{
    const struct body *body = source;

    return strcmp(name, "CONTENT_TYPE") ? NULL : body->type;
}

static int read_body(void *source, void *to, size_t room, size_t *got, struct err *e)
{
    struct body *body = source;
    size_t left = body->len - body->at;

    if (left == 0 && body->code)
        return err_set(e, (enum err_code)body->code, "cut");
    *got = left < room ? left : room;
    if (body->piece && *got > body->piece)
        *got = body->piece;
    memcpy(to, body->text + body->at, *got);
    body->at += *got;
    return 0;
}

/* The status that it is refused with; 0: it was read. length: as the web server told it. */
static int read_form(struct arena *mem, struct body *body, int64_t length, struct form **out)
{
    struct request request = {
        .mem = mem, .method = "POST", .content_length = length, .param = param, .read = read_body, .source = body
    };
    struct err e = { 0 };
    int status = 0;
    int code = form_read(&request, declared, out, &status, &e);

    assert_true((code != 0) == (status != 0));
    assert_true(code == 0 || *e.message);
    return status;
}

static int read_text(struct arena *mem, const char *text, struct form **out)
{
    struct body body = { .type = FORM_TYPE, .text = text, .len = strlen(text) };

    return read_form(mem, &body, (int64_t)body.len, out);
}

static void another_type_is_refused(void **state)
{
    static const char *const types[] = {
        NULL, "", "text/plain", "application/json", "multipart/form-data; boundary=x", FORM_TYPE "x", "x" FORM_TYPE
    };
    AUTO_ARENA struct arena *mem = arena_new();
    struct form *form = NULL;
    (void)state;

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct body body = { .type = types[i], .text = "tasks=2", .len = 7 };
        assert_int_equal(read_form(mem, &body, 7, &form), 415);
    }
    struct body with_charset = { .type = "Application/X-WWW-Form-Urlencoded; charset=UTF-8",
                                 .text = "tasks=2",
                                 .len = 7 };
    assert_int_equal(read_form(mem, &with_charset, 7, &form), 0);
}

static void a_form_that_is_too_large_is_refused_whatever_length_was_told(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    char *text = arena_alloc(mem, FORM_BODY_MAX + 2);
    struct form *form = NULL;
    (void)state;
    memset(text, 'a', FORM_BODY_MAX + 1);

    struct body over = { .type = FORM_TYPE, .text = text, .len = FORM_BODY_MAX + 1 };
    assert_int_equal(read_form(mem, &over, FORM_BODY_MAX + 1, &form), 413);
    assert_int_equal(over.at, 0);
    assert_int_equal(read_form(mem, &over, REQUEST_LENGTH_ABSENT, &form), 413);
    struct body just = { .type = FORM_TYPE, .text = text, .len = FORM_BODY_MAX };
    assert_int_equal(read_form(mem, &just, FORM_BODY_MAX, &form), 0);
}

static void a_form_has_so_many_fields_at_most(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_BUF struct buf text = { 0 };
    struct form *form = NULL;
    (void)state;

    for (int i = 0; i < FORM_FIELDS_MAX; i++)
        buf_printf(&text, "%slimit.%d=1", i ? "&" : "", i);
    assert_int_equal(read_text(mem, buf_text(&text), &form), 0);
    assert_int_equal(form->count, FORM_FIELDS_MAX);
    buf_add_text(&text, "&x=1");
    assert_int_equal(read_text(mem, buf_text(&text), &form), 413);
}

static void a_body_that_ends_too_soon_is_refused(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct form *form = NULL;
    struct body slow = { .type = FORM_TYPE, .text = "tasks=2", .len = 7, .code = ERR_TRANSIENT };
    struct body cut = { .type = FORM_TYPE, .text = "tasks=2", .len = 7, .code = ERR_INVALID };
    struct body short_of = { .type = FORM_TYPE, .text = "tasks=2", .len = 7 };
    (void)state;

    assert_int_equal(read_form(mem, &slow, 9, &form), 408);
    assert_int_equal(read_form(mem, &cut, 9, &form), 400);
    assert_int_equal(read_form(mem, &short_of, 9, &form), 400);
    short_of.at = 0;
    assert_int_equal(read_form(mem, &short_of, REQUEST_LENGTH_MALFORMED, &form), 400);
}

static void text_that_is_malformed_or_holds_controls_is_refused(void **state)
{
    static const char *const texts[] = { "note=%",          "note=%4",      "note=%zz",    "note=%00",
                                         "note=a%00b",      "note=%01",     "note=%0b",    "note=%1b",
                                         "note=%7f",        "note=%c2%85",  "note=%ff",    "note=%c0%80",
                                         "note=%ed%a0%80",  "%00=1",        "unknown=%00", "note=1&note=2",
                                         "note=1&n%6fte=2", "csrf=1&csrf=2" };
    AUTO_ARENA struct arena *mem = arena_new();
    struct form *form = NULL;
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (read_text(mem, texts[i], &form) != 400)
            fail_msg("%s was not refused", texts[i]);
}

static void a_tab_is_white_space(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct form *form = NULL;
    int64_t tasks = 0;
    (void)state;

    assert_int_equal(read_text(mem, "tasks=%092%09&note=a%09b%09%0d%0ac", &form), 0);

    assert_true(form_number(form, "tasks", 0, 10, &tasks));
    assert_int_equal(tasks, 2);
    assert_string_equal(form_text(form, "note"), "a b \nc");
}

static void fields_are_decoded_and_only_declared_ones_kept(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct form *form = NULL;
    struct body body = { .type = FORM_TYPE,
                         .text = "tasks=2&unknown=x&limit.cpu=%31+&&note=%C3%A4%3D%26%2B&csrf=t",
                         .piece = 1 };
    (void)state;
    body.len = strlen(body.text);

    assert_int_equal(read_form(mem, &body, REQUEST_LENGTH_ABSENT, &form), 0);

    assert_int_equal(form->count, 4);
    assert_string_equal(form_text(form, "tasks"), "2");
    assert_string_equal(form_text(form, "limit.cpu"), "1 ");
    assert_string_equal(form_text(form, "note"), "\xc3\xa4=&+");
    assert_string_equal(form_text(form, FORM_TOKEN), "t");
    assert_null(form_text(form, "limit.memory"));
}

static void a_line_ends_with_lf_whatever_was_sent(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct form *form = NULL;
    (void)state;

    assert_int_equal(read_text(mem, "note=a%0D%0Ab%0Ac%0Dd%0D", &form), 0);

    assert_string_equal(form_text(form, "note"), "a\nb\nc\nd\n");
}

static void an_empty_form_has_no_fields(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct form *form = NULL;
    (void)state;

    assert_int_equal(read_text(mem, "", &form), 0);
    assert_int_equal(form->count, 0);
    assert_int_equal(read_text(mem, "tasks", &form), 0);
    assert_string_equal(form_text(form, "tasks"), "");
}

static void a_number_is_whole_and_within_its_bounds_or_the_field_says_what_is_right(void **state)
{
    static const char *const wrong[] = {
        "", "x", "1x", "1.5", "1,000", "0x5", "%2B5", "-1", "0", "101", "99999999999999999999", "1%0A"
    };
    AUTO_ARENA struct arena *mem = arena_new();
    struct form *form = NULL;
    int64_t number = 7;
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(read_text(mem, arena_printf(mem, "tasks=%s", wrong[i]), &form), 0);
        assert_false(form_number(form, "tasks", 1, 100, &number));
        assert_string_equal(form_error(form, "tasks"),
                            "Write a whole number from 1 to 100, without unit or separators.");
        assert_int_equal(number, 7);
    }
    assert_int_equal(read_text(mem, "tasks=+100+", &form), 0);
    assert_true(form_number(form, "tasks", 1, 100, &number));
    assert_int_equal(number, 100);
    assert_false(form_number(form, "note", 1, 100, &number));
}

static void what_was_typed_is_shown_again_beside_what_is_wrong(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct form *form = NULL;
    (void)state;

    assert_string_equal(form_value(NULL, "tasks", "3"), "3");
    assert_string_equal(form_error(NULL, "tasks"), "");
    assert_int_equal(read_text(mem, "tasks=many", &form), 0);
    form_refuse(form, "tasks", "At most %d.", 10);
    form_refuse(form, "tasks", "said later");
    form_refuse(form, "note", "Say why.");

    assert_string_equal(form_value(form, "tasks", "3"), "many");
    assert_string_equal(form_value(form, "note", "stored"), "stored");
    assert_string_equal(form_error(form, "tasks"), "At most 10.");
    assert_string_equal(form_error(form, "note"), "Say why.");
    assert_int_equal(form->errors, 2);
}

static void errors_of_more_fields_than_there_is_room_for_end_nothing(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct form *form = NULL;
    (void)state;
    assert_int_equal(read_text(mem, "", &form), 0);

    for (int i = 0; i < FORM_FIELDS_MAX * 2 + 5; i++)
        form_refuse(form, arena_printf(mem, "limit.%d", i), "wrong");

    assert_int_equal(form->errors, FORM_FIELDS_MAX * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_type_is_refused),
        cmocka_unit_test(a_form_that_is_too_large_is_refused_whatever_length_was_told),
        cmocka_unit_test(a_form_has_so_many_fields_at_most),
        cmocka_unit_test(a_body_that_ends_too_soon_is_refused),
        cmocka_unit_test(a_tab_is_white_space),
        cmocka_unit_test(text_that_is_malformed_or_holds_controls_is_refused),
        cmocka_unit_test(fields_are_decoded_and_only_declared_ones_kept),
        cmocka_unit_test(a_line_ends_with_lf_whatever_was_sent),
        cmocka_unit_test(an_empty_form_has_no_fields),
        cmocka_unit_test(a_number_is_whole_and_within_its_bounds_or_the_field_says_what_is_right),
        cmocka_unit_test(what_was_typed_is_shown_again_beside_what_is_wrong),
        cmocka_unit_test(errors_of_more_fields_than_there_is_room_for_end_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
