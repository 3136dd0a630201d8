/*
 * clock - the time, and waiting, behind function pointers so that tests own both.
 */
#ifndef BERTH_BASE_CLOCK_H
#define BERTH_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

struct clock {
    int64_t (*now_ms)(void *context); /* wall clock, ms since 1970 UTC */
    int64_t (*monotonic_ms)(
        void *context); /* never goes back, and goes on while the machine sleeps; only differences count */
    void (*sleep_ms)(void *context, int64_t length); /* returns early only on a signal */
    void *context;
};

extern const struct clock clock_system;

static inline int64_t clock_now_ms(const struct clock *clock)
{
    return clock->now_ms(clock->context);
}

static inline int64_t clock_monotonic_ms(const struct clock *clock)
{
    return clock->monotonic_ms(clock->context);
}

static inline void clock_sleep_ms(const struct clock *clock, int64_t length)
{
    clock->sleep_ms(clock->context, length);
}

/* The system's monotonic time in so many ms: what pthread_cond_timedwait takes on a condition set to CLOCK_MONOTONIC. */
struct timespec clock_after_ms(int64_t ms);

enum { CLOCK_AMZ_SIZE = 17, CLOCK_ISO_SIZE = 25 };

void clock_format_amz(int64_t ms, char out[CLOCK_AMZ_SIZE]);  /* 20150830T123600Z */
void clock_format_iso(int64_t ms, char out[CLOCK_ISO_SIZE]);  /* 2015-08-30T12:36:00.000Z */
int clock_parse_http_date(const char *text, int64_t *out_ms); /* RFC 9110 IMF-fixdate; 0 or -1 */

#endif
