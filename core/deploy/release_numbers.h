/*
 * release_numbers - several releases of one app, named together: what a cancel ends, as a person reads it and as a form or an address carries it.
 */
#ifndef BERTH_DEPLOY_RELEASE_NUMBERS_H
#define BERTH_DEPLOY_RELEASE_NUMBERS_H

#include <stdbool.h>

#include "core/base/arena.h"

enum { RELEASE_NUMBERS_MAX = 16 }; /* of those that are parsed; no more than two are under way at a time */

struct release_numbers {
    const int *of; /* oldest first */
    size_t count;
};

bool release_numbers_have(const struct release_numbers *numbers, int number);

const char *release_numbers_text(const struct release_numbers *numbers, struct arena *mem); /* "v8, v9 and v10" */
const char *release_numbers_list(const struct release_numbers *numbers, struct arena *mem); /* "8,9,10"; "" for none */

/* Such a list. False: it is none. */
bool release_numbers_parse(const char *list, struct arena *mem, struct release_numbers *out);

#endif
