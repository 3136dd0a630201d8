#include "tests/unit/support_clock.h"

static int64_t fake_now(void *context)
{
    return ((struct fake_clock *)context)->now_ms;
}

static void fake_sleep(void *context, int64_t length)
{
    struct fake_clock *fake = context;

    if (fake->sleeps < FAKE_SLEEPS_MAX)
        fake->slept_ms[fake->sleeps++] = length;
    fake->now_ms += length;
}

struct clock fake_clock_of(struct fake_clock *fake)
{
    return (struct clock){ .now_ms = fake_now, .monotonic_ms = fake_now, .sleep_ms = fake_sleep, .context = fake };
}
