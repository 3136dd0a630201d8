/* Time as AWS, a log line and an HTTP header write it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/clock.h"

static void what_is_no_imf_fixdate_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "now",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMTx",
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun,  6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Fri, 31 Feb 1995 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, -6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov +994 08:49:37 GMT",
    };
    int64_t ms = 77;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (clock_parse_http_date(bad[i], &ms) != -1)
            fail_msg("\"%s\" was accepted", bad[i]);
    }
    assert_int_equal(ms, 77);
}

static void an_imf_fixdate_is_read(void **state)
{
    (void)state;
    int64_t ms = 0;

    assert_int_equal(clock_parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT", &ms), 0);
    assert_true(ms == 784111777000);
    assert_int_equal(clock_parse_http_date("Thu, 29 Feb 2024 23:59:59 GMT", &ms), 0);
    assert_true(ms == 1709251199000);
    assert_int_equal(clock_parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT", &ms), 0);
    assert_true(ms == 0);
}

static void times_are_written_as_aws_and_iso_want_them(void **state)
{
    (void)state;
    char amz[CLOCK_AMZ_SIZE];
    char iso[CLOCK_ISO_SIZE];

    clock_format_amz(1440938160000, amz);
    clock_format_iso(1440938160042, iso);

    assert_string_equal(amz, "20150830T123600Z");
    assert_string_equal(iso, "2015-08-30T12:36:00.042Z");
}

static void a_time_beyond_the_calendar_is_written_as_its_end(void **state)
{
    (void)state;
    char amz[CLOCK_AMZ_SIZE];
    char iso[CLOCK_ISO_SIZE];

    clock_format_amz(-1, amz);
    clock_format_iso(INT64_MAX, iso);

    assert_string_equal(amz, "19700101T000000Z");
    assert_string_equal(iso, "9999-12-31T23:59:59.999Z");
}

static void the_system_clock_goes_on_while_sleeping(void **state)
{
    (void)state;
    int64_t wall = clock_now_ms(&clock_system);
    int64_t before = clock_monotonic_ms(&clock_system);

    clock_sleep_ms(&clock_system, 20);
    clock_sleep_ms(&clock_system, 0);
    clock_sleep_ms(&clock_system, -5);

    assert_true(clock_monotonic_ms(&clock_system) - before >= 19);
    assert_true(wall > 1700000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_imf_fixdate_is_refused),
        cmocka_unit_test(a_time_beyond_the_calendar_is_written_as_its_end),
        cmocka_unit_test(an_imf_fixdate_is_read),
        cmocka_unit_test(times_are_written_as_aws_and_iso_want_them),
        cmocka_unit_test(the_system_clock_goes_on_while_sleeping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
