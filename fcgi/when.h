/*
 * when - a time as a reader wants it: "9 min ago", "2 h ago", "3 days ago", then the date: "19 October", with the year when it is another.
 */
#ifndef BERTH_FCGI_WHEN_H
#define BERTH_FCGI_WHEN_H

#include <stdint.h>

#include "core/base/arena.h"

/* ms since 1970 of "2015-08-30T12:36:00Z" (a fraction of a second is cut off); -1 for anything else. */
int64_t when_parse(const char *iso);

const char *when_ago(struct arena *mem, const char *iso, int64_t now_ms);

/* The date alone: "19 October", with the year when it is another; "" for what is no such time. */
const char *when_date(struct arena *mem, const char *iso, int64_t now_ms);

/* "59 s", "1 min 2 s", "2 h 5 min", "3 days"; 0.4 s for less than ten seconds. */
const char *when_length(struct arena *mem, int64_t ms);

#endif
