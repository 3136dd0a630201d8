/* The table of a release's moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/deploy/pipeline.h"
#include "core/deploy/release_state.h"

enum { PLACES = RELEASE_STATE_COUNT * STEP_COUNT };

static struct release_place place(int i)
{
    return (struct release_place){ (enum release_state)(i / STEP_COUNT), (enum step_name)(i % STEP_COUNT) };
}

static void what_has_ended_goes_nowhere(void **state)
{
    (void)state;

    for (int from = 0; from < PLACES; from++)
        for (int to = 0; to < PLACES; to++)
            if (release_has_ended(place(from).state))
                assert_false(release_may_move(place(from), place(to)));
}

static void no_move_goes_back_or_leaves_a_step_out(void **state)
{
    (void)state;

    for (int from = 0; from < PLACES; from++)
        for (int to = 0; to < PLACES; to++) {
            if (!release_may_move(place(from), place(to)))
                continue;
            assert_int_not_equal(place(to).state, RELEASE_QUEUED);
            if (place(to).step != place(from).step)
                assert_int_equal(place(to).step, pipeline[place(from).step].next);
        }
}

static void what_has_come_to_its_rollout_is_not_superseded(void **state)
{
    (void)state;

    for (int step = STEP_ROLLOUT; step < STEP_COUNT; step++)
        assert_false(release_may_move((struct release_place){ RELEASE_RUNNING, (enum step_name)step },
                                      (struct release_place){ RELEASE_SUPERSEDED, (enum step_name)step }));
}

/* Along the table, from where a release of the kind begins. */
static void reach(struct release_place from, bool *reached)
{
    int here = (int)from.state * STEP_COUNT + (int)from.step;

    if (reached[here])
        return;
    reached[here] = true;
    for (int to = 0; to < PLACES; to++)
        if (release_may_move(from, place(to)))
            reach(place(to), reached);
}

static void each_kind_can_come_to_each_end_and_live_only_at_the_last_step(void **state)
{
    static const char *const kinds[] = { "push", "redeploy", "rollback" };
    (void)state;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        bool reached[PLACES] = { false };
        reach((struct release_place){ RELEASE_QUEUED, release_first_step(kinds[i]) }, reached);
        for (int end = RELEASE_LIVE; end < RELEASE_STATE_COUNT; end++) {
            bool some = false;
            for (int step = 0; step < STEP_COUNT; step++) {
                some = some || reached[end * STEP_COUNT + step];
                assert_false(end == RELEASE_LIVE && step != STEP_LIVE && reached[end * STEP_COUNT + step]);
            }
            assert_true(some);
        }
        assert_int_equal(reached[RELEASE_RUNNING * STEP_COUNT + STEP_BUILD], i < 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_ended_goes_nowhere),
        cmocka_unit_test(no_move_goes_back_or_leaves_a_step_out),
        cmocka_unit_test(what_has_come_to_its_rollout_is_not_superseded),
        cmocka_unit_test(each_kind_can_come_to_each_end_and_live_only_at_the_last_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
