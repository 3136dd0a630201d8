/*
 * support_clock - a clock that tests own: it stands still but for sleeps, which take no time and are remembered.
 */
#ifndef BERTH_TESTS_SUPPORT_CLOCK_H
#define BERTH_TESTS_SUPPORT_CLOCK_H

#include <stddef.h>

#include "core/base/clock.h"

enum { FAKE_SLEEPS_MAX = 64 };

struct fake_clock {
    int64_t now_ms;
    int64_t slept_ms[FAKE_SLEEPS_MAX];
    size_t sleeps;
};

struct clock fake_clock_of(struct fake_clock *fake);

#endif
