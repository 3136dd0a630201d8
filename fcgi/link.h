/*
 * link - parts of addresses that pages make: encoded values, and keyset cursors.
 *
 * A list that goes on is paged by the last row shown: a number (microseconds, an id) and a name that tells rows of the same number apart. No OFFSET: a row that comes or
 * goes meanwhile shifts nothing.
 */
#ifndef BERTH_FCGI_LINK_H
#define BERTH_FCGI_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"

enum { LINK_CURSOR_NAME_MAX = 200 };

/* Percent-encoded, but for unreserved characters: fit for a query's value and for a path's segment. */
const char *link_encode(const char *text, struct arena *mem);

struct link_cursor {
    int64_t number;   /* 0 or more */
    const char *name; /* "" when the number alone is unique */
};

const char *link_cursor_text(const struct link_cursor *cursor,
                             struct arena *mem); /* "1700000000000000.3f2a"; encoded */
bool link_cursor_parse(const char *text, struct arena *mem, struct link_cursor *out);
bool link_is_cursor(const char *text); /* for a route's field */

#endif
