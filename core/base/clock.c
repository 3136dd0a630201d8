#include "core/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { HTTP_DATE_SIZE = 30 };

static const int64_t LAST_MS = 253402300799999; /* 9999-12-31T23:59:59.999Z: four digits of year */

static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char months[12][4] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

static int64_t read_ms(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_now_ms(void *context)
{
    (void)context;
    return read_ms(CLOCK_REALTIME);
}

static int64_t system_monotonic_ms(void *context)
{
    (void)context;
    return read_ms(CLOCK_BOOTTIME); /* also counts while the machine sleeps: a lease runs out meanwhile */
}

static void system_sleep_ms(void *context, int64_t length)
{
    (void)context;
    if (length <= 0)
        return;

    struct timespec rest = { .tv_sec = (time_t)(length / 1000), .tv_nsec = (long)(length % 1000) * 1000000 };
    clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
}

const struct clock clock_system = { system_now_ms, system_monotonic_ms, system_sleep_ms, NULL };

/* The calendar has four digits of year: what lies outside is shown as the nearest moment inside. */
static struct tm calendar(int64_t *ms)
{
    struct tm when;

    if (*ms < 0)
        *ms = 0;
    if (*ms > LAST_MS)
        *ms = LAST_MS;
    time_t seconds = (time_t)(*ms / 1000);
    gmtime_r(&seconds, &when);
    return when;
}

void clock_format_amz(int64_t ms, char out[CLOCK_AMZ_SIZE])
{
    struct tm when = calendar(&ms);

    strftime(out, CLOCK_AMZ_SIZE, "%Y%m%dT%H%M%SZ", &when);
}

void clock_format_iso(int64_t ms, char out[CLOCK_ISO_SIZE])
{
    struct tm when = calendar(&ms);
    size_t used = strftime(out, CLOCK_ISO_SIZE, "%Y-%m-%dT%H:%M:%S", &when);

    snprintf(out + used, CLOCK_ISO_SIZE - used, ".%03uZ", (unsigned)(ms % 1000) & 0x3ffu);
}

static int month_of(const char *name)
{
    for (int i = 0; i < 12; i++) {
        if (strcmp(months[i], name) == 0)
            return i;
    }
    return -1;
}

/* Whatever is loose in the reading is caught by writing the moment again: only one text is right. */
int clock_parse_http_date(const char *text, int64_t *out_ms)
{
    char month[4] = "";
    char again[HTTP_DATE_SIZE * 4];
    struct tm when = { 0 };

    if (strlen(text) != HTTP_DATE_SIZE - 1 || sscanf(text, "%*3c, %2d %3c %4d %2d:%2d:%2d GMT", &when.tm_mday, month,
                                                     &when.tm_year, &when.tm_hour, &when.tm_min, &when.tm_sec) != 6)
        return -1;
    when.tm_year -= 1900;
    when.tm_mon = month_of(month);
    if (when.tm_mon < 0)
        return -1;

    time_t seconds = timegm(&when);
    gmtime_r(&seconds, &when);
    snprintf(again, sizeof(again), "%s, %02d %s %04d %02d:%02d:%02d GMT", days[when.tm_wday], when.tm_mday,
             months[when.tm_mon], when.tm_year + 1900, when.tm_hour, when.tm_min, when.tm_sec);
    if (strcmp(again, text) != 0)
        return -1;
    *out_ms = (int64_t)seconds * 1000;
    return 0;
}

struct timespec clock_after_ms(int64_t ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (ms % 1000) * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000L;
    }
    return t;
}
