/*
 * admin_strip - the six steps of a release, as far as it came, for the pages.
 */
#ifndef BERTH_FCGI_ADMIN_STRIP_H
#define BERTH_FCGI_ADMIN_STRIP_H

#include "core/base/json.h"
#include "core/deploy/release.h"

/* [{"name", "line", "mark", "word", "took"}]: line and mark are classes; took is "" where nothing was timed. Times are between the ends of steps. */
json_object *strip_of(const struct release *release, const struct release_event *events, size_t count, int64_t now_ms,
                      struct arena *mem);

#endif
