#include "fcgi/when.h"

#include <time.h>

enum {
    SECOND_MS = 1000,
    MINUTE_MS = 60 * SECOND_MS,
    HOUR_MS = 60 * MINUTE_MS,
    DAY_MS = 24 * HOUR_MS,
    DATE_AFTER_DAYS = 14
};

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
    return rest[0] == 'Z' && rest[1] == '\0' ? (int64_t)timegm(&parts) * SECOND_MS + fraction : -1;
}

/* "19 October", and the year when it is another. */
static const char *date(struct arena *mem, int64_t then_ms, int64_t now_ms)
{
    static const char *const months[] = { "January", "February", "March",     "April",   "May",      "June",
                                          "July",    "August",   "September", "October", "November", "December" };
    time_t then = (time_t)(then_ms / SECOND_MS), now = (time_t)(now_ms / SECOND_MS);
    struct tm day = { 0 }, today = { 0 };

    if (!gmtime_r(&then, &day) || !gmtime_r(&now, &today))
        return "";
    if (day.tm_year == today.tm_year)
        return arena_printf(mem, "%d %s", day.tm_mday, months[day.tm_mon]);
    return arena_printf(mem, "%d %s %d", day.tm_mday, months[day.tm_mon], day.tm_year + 1900);
}

const char *when_ago(struct arena *mem, const char *iso, int64_t now_ms)
{
    int64_t then = when_parse(iso);
    int64_t age = now_ms - then;

    if (then < 0)
        return "";
    if (age < -(int64_t)DAY_MS) /* a clock that is wrong by so much is not hidden */
        return date(mem, then, now_ms);
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
    return date(mem, then, now_ms);
}

const char *when_date(struct arena *mem, const char *iso, int64_t now_ms)
{
    int64_t then = when_parse(iso);

    return then < 0 ? "" : date(mem, then, now_ms);
}

const char *when_length(struct arena *mem, int64_t ms)
{
    if (ms < 0)
        ms = 0;
    if (ms < 10 * SECOND_MS)
        return arena_printf(mem, "%d.%d s", (int)(ms / SECOND_MS), (int)(ms % SECOND_MS / 100));
    if (ms < MINUTE_MS)
        return arena_printf(mem, "%d s", (int)(ms / SECOND_MS));
    if (ms < HOUR_MS)
        return arena_printf(mem, "%d min %d s", (int)(ms / MINUTE_MS), (int)(ms % MINUTE_MS / SECOND_MS));
    if (ms >= 2 * (int64_t)DAY_MS)
        return arena_printf(mem, "%d days", (int)(ms / DAY_MS));
    return arena_printf(mem, "%d h %d min", (int)(ms / HOUR_MS), (int)(ms % HOUR_MS / MINUTE_MS));
}
