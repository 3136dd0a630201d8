/*
 * admin_strip - the six steps of a release, as far as it came, for the pages.
 */
#ifndef BERTH_FCGI_ADMIN_STRIP_H
#define BERTH_FCGI_ADMIN_STRIP_H

#include "core/base/json.h"
#include "core/deploy/release.h"

/*
 * [{"name", "line", "mark", "word", "took", "since"}]: line and mark are classes; word is what was made where that is short, else how it stands; took is "" where nothing was
 * timed; since is when the step under way began, for who wants to count on, "" for any other. Times are between the ends of steps.
 */
json_object *strip_of(const struct release *release, const struct release_event *events, size_t count, int64_t now_ms,
                      struct arena *mem);

#endif
