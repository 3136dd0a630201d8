/* Building, reading and writing JSON values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/json.h"

/* Whether this ends the process, as a bug must. */
static bool dies(void (*act)(void))
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        close(STDERR_FILENO);
        act();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void build_without_end(void)
{
    json_build("{s:s", "a", "b");
}

static void build_without_colon(void)
{
    json_build("{s s}", "a", "b");
}

static void build_without_comma(void)
{
    json_build("[s s]", "a", "b");
}

static void build_unknown_letter(void)
{
    json_build("[x]", 1);
}

static void build_rest(void)
{
    json_build("{} s", "a");
}

static void build_nothing(void)
{
    json_build("s", (const char *)NULL);
}

static void build_number_as_name(void)
{
    json_build("{i:s}", 1, "a");
}

static void build_infinity(void)
{
    json_build("[d]", (double)INFINITY);
}

static void put_into_array(void)
{
    json_put(json_new_array(), "a", NULL);
}

static void append_to_object(void)
{
    json_append(json_new_object(), NULL);
}

static void a_wrong_template_ends_the_process(void **state)
{
    (void)state;

    assert_true(dies(build_without_end));
    assert_true(dies(build_without_colon));
    assert_true(dies(build_without_comma));
    assert_true(dies(build_unknown_letter));
    assert_true(dies(build_rest));
    assert_true(dies(build_nothing));
    assert_true(dies(build_number_as_name));
    assert_true(dies(build_infinity));
    assert_true(dies(put_into_array));
    assert_true(dies(append_to_object));
}

static void a_template_builds_what_it_says(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *shared = json_text("kept");

    AUTO_JSON json_object *value =
        json_build("{s:s, s:[s, i], s:{s:I,s:b},s:d, s:o, s:O, s:[], s:{}}", "name", "shop", "list", "a", -1, "inner",
                   "big", INT64_MAX, "yes", 1, "half", 0.5, "taken", json_number(7), "held", shared, "none", "empty");

    assert_string_equal(json_to_text(value, mem),
                        "{\"name\":\"shop\",\"list\":[\"a\",-1],\"inner\":{\"big\":9223372036854775807,\"yes\":true},"
                        "\"half\":0.5,\"taken\":7,\"held\":\"kept\",\"none\":[],\"empty\":{}}");
    assert_string_equal(json_find_text(shared, "", mem), "kept");
}

static void what_is_null_is_left_out(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *mem = arena_new();
    const char *no_text = NULL;
    json_object *no_value = NULL;

    AUTO_JSON json_object *value = json_build("{s:s, s:o, s:O, s:[s, s, o]}", "a", no_text, "b", no_value, "c",
                                              no_value, "d", no_text, "kept", no_value);

    assert_string_equal(json_to_text(value, mem), "{\"d\":[\"kept\"]}");
}

static void malformed_text_is_written_as_valid_json(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *mem = arena_new();

    AUTO_JSON json_object *value = json_build("[s, s]", "caf\xe9 \x80\xe2\x82", "\x01\"\\/");

    assert_string_equal(json_to_text(value, mem),
                        "[\"caf\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\",\"\\u0001\\\"\\\\/\"]");
}

static json_object *sample(void)
{
    static const char text[] = "{\"text\":\"t\",\"int\":3,\"fraction\":1.5,\"yes\":true,\"null\":null,"
                               "\"list\":[{\"a\":1},{\"a\":2}],\"a/b\":{\"m~n\":\"escaped\"},\"\":\"empty name\"}";
    json_object *value = NULL;
    struct err e = { 0 };

    assert_int_equal(json_parse(text, sizeof(text) - 1, &value, &e), 0);
    return value;
}

static void a_wrong_type_is_refused_and_says_what_is_there(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *value = sample();
    const char *text = "before";
    int64_t number = 77;
    bool flag = true;
    struct err e = { 0 };

    assert_int_equal(json_read_text(value, "/int", mem, &text, &e), ERR_INVALID);
    assert_string_equal(e.message, "at /int in the JSON there is a number, not a text");
    assert_int_equal(json_read_text(value, "/absent/deep", mem, &text, &e), ERR_INVALID);
    assert_string_equal(e.message, "at /absent/deep in the JSON there is nothing, not a text");
    assert_int_equal(json_read_int(value, "/fraction", &number, &e), ERR_INVALID);
    assert_string_equal(e.message, "at /fraction in the JSON there is a fraction, not a whole number");
    assert_int_equal(json_read_int(value, "/text", &number, &e), ERR_INVALID);
    assert_int_equal(json_read_bool(value, "/int", &flag, &e), ERR_INVALID);
    assert_int_equal(json_read_bool(value, "", &flag, &e), ERR_INVALID);
    assert_string_equal(e.message, "at the top in the JSON there is an object, not a boolean");

    assert_string_equal(text, "before");
    assert_int_equal(number, 77);
    assert_true(flag);
}

static void what_is_absent_gives_the_fallback(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *value = sample();

    assert_null(json_find_text(value, "/absent", mem));
    assert_null(json_find_text(value, "/int", mem));
    assert_null(json_find_text(NULL, "/text", mem));
    assert_int_equal(json_find_int(value, "/text", 9), 9);
    assert_int_equal(json_find_int(value, "/list/2/a", 9), 9);
    assert_int_equal(json_find_int(value, "/list/01/a", 9), 9);
    assert_true(json_find_bool(value, "/null", true));
    assert_null(json_at(value, "/null"));
    assert_null(json_at(value, "text"));
    assert_null(json_item(value, 0));
    assert_null(json_get(value, "absent"));
    assert_null(json_get(NULL, "text"));
    assert_int_equal(json_length(value), 0);
    assert_int_equal(json_length(NULL), 0);
}

static void values_are_found_by_pointer(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *value = sample();
    const char *text = NULL;
    int64_t number = 0;
    bool flag = false;
    struct err e = { 0 };

    assert_int_equal(json_read_text(value, "/text", mem, &text, &e), 0);
    assert_string_equal(text, "t");
    assert_int_equal(json_read_int(value, "/list/1/a", &number, &e), 0);
    assert_int_equal(number, 2);
    assert_int_equal(json_read_bool(value, "/yes", &flag, &e), 0);
    assert_true(flag);
    assert_string_equal(json_find_text(value, "/a~1b/m~0n", mem), "escaped");
    assert_string_equal(json_find_text(value, "/", mem), "empty name");
    assert_true(json_is_object(json_at(value, "")));
    assert_int_equal(json_length(json_at(value, "/list")), 2);
    assert_int_equal(json_find_int(json_item(json_get(value, "list"), 0), "/a", 0), 1);
}

static void a_text_outlives_its_value(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *mem = arena_new();
    json_object *value = sample();

    const char *text = json_find_text(value, "/text", mem);
    json_drop(value);

    assert_string_equal(text, "t");
}

static void members_come_in_the_order_of_the_text(void **state)
{
    (void)state;
    AUTO_JSON json_object *value = json_build("{s:i, s:i, s:i}", "b", 1, "a", 2, "c", 3);
    AUTO_BUF struct buf seen = { 0 };

    for (struct json_member m = json_first(value); m.name; m = json_next(m))
        buf_printf(&seen, "%s=%d ", m.name, (int)json_find_int(m.value, "", 0));

    assert_string_equal(buf_text(&seen), "b=1 a=2 c=3 ");
    assert_null(json_first(NULL).name);
}

static void putting_a_member_again_replaces_it(void **state)
{
    (void)state;
    AUTO_BUF struct buf out = { 0 };
    AUTO_JSON json_object *value = json_build("{s:s}", "a", "old");

    json_put(value, "a", json_text("new"));
    json_write(value, &out);

    assert_string_equal(buf_text(&out), "{\"a\":\"new\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_template_ends_the_process),
        cmocka_unit_test(a_wrong_type_is_refused_and_says_what_is_there),
        cmocka_unit_test(what_is_absent_gives_the_fallback),
        cmocka_unit_test(malformed_text_is_written_as_valid_json),
        cmocka_unit_test(a_template_builds_what_it_says),
        cmocka_unit_test(what_is_null_is_left_out),
        cmocka_unit_test(values_are_found_by_pointer),
        cmocka_unit_test(a_text_outlives_its_value),
        cmocka_unit_test(members_come_in_the_order_of_the_text),
        cmocka_unit_test(putting_a_member_again_replaces_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
