/* So many at a time, in the order they came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "core/base/clock.h"
#include "fcgi/gate.h"

enum { THREADS = 16, ROUNDS = 200, ROOM = 3 };

static struct gate *gate;
static atomic_int inside, most, entered, arrived;
static int order[THREADS];

static void *go_through(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        if (!gate_enter(gate, 10000))
            return unused;
        int now = atomic_fetch_add(&inside, 1) + 1;
        int seen = atomic_load(&most);
        while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
            continue;
        atomic_fetch_add(&entered, 1);
        atomic_fetch_sub(&inside, 1);
        gate_leave(gate);
    }
    return NULL;
}

static void *take_a_number(void *number)
{
    atomic_fetch_add(&arrived, 1);
    if (gate_enter(gate, 10000)) {
        order[atomic_fetch_add(&entered, 1)] = *(int *)number;
        gate_leave(gate);
    }
    return NULL;
}

static int set_up(void **state)
{
    (void)state;
    atomic_store(&entered, 0);
    atomic_store(&most, 0);
    atomic_store(&arrived, 0);
    return 0;
}

static void one_that_finds_no_room_in_time_is_turned_away(void **state)
{
    (void)state;
    gate = gate_new(1);
    assert_true(gate_enter(gate, 0));
    int64_t started = clock_monotonic_ms(&clock_system);

    assert_false(gate_enter(gate, 50));

    assert_true(clock_monotonic_ms(&clock_system) - started >= 50);
    gate_leave(gate);
    assert_true(gate_enter(gate, 0)); /* whoever gave up holds no place */
    gate_leave(gate);
    gate_free(gate);
}

static void never_more_are_inside_than_there_is_room(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    gate = gate_new(ROOM);

    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, go_through, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    assert_int_equal(atomic_load(&entered), THREADS * ROUNDS);
    assert_in_range(atomic_load(&most), 1, ROOM);
    gate_free(gate);
}

static void who_waits_longest_is_next(void **state)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    (void)state;
    gate = gate_new(1);
    gate_enter(gate, 0);

    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, take_a_number, &numbers[i]);
        while (atomic_load(&arrived) <= i)
            clock_sleep_ms(&clock_system, 1);
        clock_sleep_ms(&clock_system, 50); /* from there into the line */
    }
    gate_leave(gate);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(order[i], i);
    gate_free(gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_that_finds_no_room_in_time_is_turned_away, set_up),
        cmocka_unit_test_setup(never_more_are_inside_than_there_is_room, set_up),
        cmocka_unit_test_setup(who_waits_longest_is_next, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
