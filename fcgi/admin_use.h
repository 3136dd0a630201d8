/*
 * admin_use - how the pages draw what is used of a limit: a bar, figures, and from four fifths on a word with a mark.
 */
#ifndef BERTH_FCGI_ADMIN_USE_H
#define BERTH_FCGI_ADMIN_USE_H

#include "core/base/json.h"

struct use {
    const char *title;
    int64_t used, limit;
    int64_t rolling; /* the share of used that a rollout has only until it is done */
};

/*
 * {class, title, value, max, figures, mark, word, rolling, staying}: class "use", "use near" or "use full"; word "" below four fifths, then "85%" or "full", or "over";
 * rolling: whether the bar has two parts; staying: its first part.
 */
json_object *use_model(const struct use *use, struct arena *mem);

#endif
