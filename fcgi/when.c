#include "fcgi/when.h"

#include <string.h>
#include <time.h>

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, HOUR_MS = 60 * MINUTE_MS, DAY_MS = 24 * HOUR_MS, DATE_AFTER_DAYS = 14 };

int64_t when_parse(const char *iso)
{
    struct tm parts = { 0 };
    const char *rest = iso ? strptime(iso, "%Y-%m-%dT%H:%M:%S", &parts) : NULL;
    int64_t fraction = 0;

    if (!rest)
        return -1;
    if (*rest == '.') {
        int64_t worth = 100;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, worth /= 10)
            fraction += (*rest - '0') * worth;
    }
    return *rest == 'Z' ? (int64_t)timegm(&parts) * SECOND_MS + fraction : -1;
}

const char *when_ago(struct arena *mem, const char *iso, int64_t now_ms)
{
    int64_t then = when_parse(iso);
    int64_t age = now_ms - then;

    if (then < 0)
        return "";
    if (age < MINUTE_MS)
        return "just now";
    if (age < HOUR_MS)
        return arena_printf(mem, "%d min ago", (int)(age / MINUTE_MS));
    if (age < DAY_MS)
        return arena_printf(mem, "%d h ago", (int)(age / HOUR_MS));
    if (age < 2 * (int64_t)DAY_MS)
        return "yesterday";
    if (age < DATE_AFTER_DAYS * (int64_t)DAY_MS)
        return arena_printf(mem, "%d days ago", (int)(age / DAY_MS));
    return arena_copy_n(mem, iso, strlen("2015-08-30"));
}

const char *when_length(struct arena *mem, int64_t ms)
{
    if (ms < 10 * SECOND_MS)
        return arena_printf(mem, "%d.%d s", (int)(ms / SECOND_MS), (int)(ms % SECOND_MS / 100));
    if (ms < MINUTE_MS)
        return arena_printf(mem, "%d s", (int)(ms / SECOND_MS));
    if (ms < HOUR_MS)
        return arena_printf(mem, "%d min %d s", (int)(ms / MINUTE_MS), (int)(ms % MINUTE_MS / SECOND_MS));
    return arena_printf(mem, "%d h %d min", (int)(ms / HOUR_MS), (int)(ms % HOUR_MS / MINUTE_MS));
}
