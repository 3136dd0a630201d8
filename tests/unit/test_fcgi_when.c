/* Times as a reader wants them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fcgi/when.h"

#define NOW "2026-06-15T12:00:00Z"

static void assert_ago(const char *iso, const char *expected)
{
    AUTO_ARENA struct arena *mem = arena_new();

    assert_string_equal(when_ago(mem, iso, when_parse(NOW)), expected);
}

static void a_time_is_parsed_to_the_millisecond(void **state)
{
    (void)state;
    assert_int_equal(when_parse("1970-01-01T00:00:01.25Z"), 1250);
    assert_int_equal(when_parse("2026-06-15T12:00:00Z"), 1781524800000);
}

static void what_is_no_time_is_told_apart(void **state)
{
    static const char *const wrong[] = { NULL,
                                         "",
                                         "infinity",
                                         "2026-06-15",
                                         "2026-06-15T12:00:00",
                                         "2026-06-15T12:00:00+02:00",
                                         "10000-01-01T00:00:00Z",
                                         "2026-06-15T12:00:00Zx",
                                         "2026-13-45T99:99:99Z" };
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(when_parse(wrong[i]), -1);
        assert_ago(wrong[i], "");
    }
}

static void the_past_is_told_by_its_distance_then_by_its_date(void **state)
{
    (void)state;
    assert_ago("2026-06-15T11:59:01Z", "just now");
    assert_ago("2026-06-15T11:59:00Z", "1 min ago");
    assert_ago("2026-06-15T11:00:01Z", "59 min ago");
    assert_ago("2026-06-15T11:00:00Z", "1 h ago");
    assert_ago("2026-06-14T12:00:01Z", "23 h ago");
    assert_ago("2026-06-14T12:00:00Z", "yesterday");
    assert_ago("2026-06-13T12:00:00Z", "2 days ago");
    assert_ago("2026-06-02T11:00:00Z", "13 days ago");
    assert_ago("2026-06-01T12:00:00Z", "1 June");
    assert_ago("2025-12-31T23:59:59Z", "31 December 2025");
    assert_ago("1970-01-01T00:00:00Z", "1 January 1970");
}

static void a_clock_that_is_a_little_ahead_shows_no_negative_time(void **state)
{
    (void)state;
    assert_ago("2026-06-15T12:00:03Z", "just now");
    assert_ago("2026-06-17T12:00:00Z", "17 June");
    assert_ago("9999-12-31T00:00:00Z", "31 December 9999");
}

static void a_length_names_its_two_greatest_units(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    (void)state;

    assert_string_equal(when_length(mem, 0), "0.0 s");
    assert_string_equal(when_length(mem, 9999), "9.9 s");
    assert_string_equal(when_length(mem, 10000), "10 s");
    assert_string_equal(when_length(mem, 62000), "1 min 2 s");
    assert_string_equal(when_length(mem, 7500000), "2 h 5 min");
    assert_string_equal(when_length(mem, INT64_C(86400000) * 400), "400 days");
    assert_string_equal(when_length(mem, -5), "0.0 s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_is_parsed_to_the_millisecond),
        cmocka_unit_test(what_is_no_time_is_told_apart),
        cmocka_unit_test(the_past_is_told_by_its_distance_then_by_its_date),
        cmocka_unit_test(a_clock_that_is_a_little_ahead_shows_no_negative_time),
        cmocka_unit_test(a_length_names_its_two_greatest_units),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
