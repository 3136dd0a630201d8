/* The steps' table, and the pauses between looks and tries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/deploy/pipeline.h"

static void no_row_of_the_table_is_a_hole(void **state)
{
    (void)state;

    for (int i = 0; i < STEP_COUNT; i++) {
        assert_non_null(pipeline[i].name);
        assert_string_equal(pipeline[i].name, step_name_text((enum step_name)i));
        assert_non_null(pipeline[i].ensure);
        assert_true(pipeline[i].poll_s > 0);
        assert_true(pipeline[i].give_up_s > pipeline[i].poll_s);
    }
}

static void the_steps_lead_from_source_to_live_and_end_there(void **state)
{
    enum step_name step = STEP_SOURCE;
    int seen = 1;
    (void)state;

    for (; pipeline[step].next != step && seen <= STEP_COUNT; seen++)
        step = pipeline[step].next;

    assert_int_equal(step, STEP_LIVE);
    assert_int_equal(seen, STEP_COUNT);
}

static void looks_begin_close_together_and_end_at_the_step_s_interval(void **state)
{
    const struct pipeline_step step = { .poll_s = 5 };
    (void)state;

    assert_int_equal(pipeline_wait_ms(&step, 0), 500);
    assert_int_equal(pipeline_wait_ms(&step, 1), 750);
    for (int i = 0; i < 100; i++)
        assert_true(pipeline_wait_ms(&step, i) <= pipeline_wait_ms(&step, i + 1));
    assert_int_equal(pipeline_wait_ms(&step, 100), 5000);
    assert_int_equal(pipeline_wait_ms(&step, 2147483647), 5000);
}

static void tries_are_spread_below_a_bound_that_doubles(void **state)
{
    (void)state;

    for (uint32_t random = 0; random < 100000; random += 997) {
        assert_in_range(pipeline_backoff_ms(1, random), 1, 1000);
        assert_in_range(pipeline_backoff_ms(3, random), 1, 4000);
        assert_in_range(pipeline_backoff_ms(1000, random), 1, PIPELINE_BACKOFF_MAX_MS);
    }
    assert_int_equal(pipeline_backoff_ms(3, 3999), 4000);
    assert_int_equal(pipeline_backoff_ms(2147483647, UINT32_MAX), 1 + UINT32_MAX % PIPELINE_BACKOFF_MAX_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_row_of_the_table_is_a_hole),
        cmocka_unit_test(the_steps_lead_from_source_to_live_and_end_there),
        cmocka_unit_test(looks_begin_close_together_and_end_at_the_step_s_interval),
        cmocka_unit_test(tries_are_spread_below_a_bound_that_doubles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
