/*
 * admin_lists - what the pages that list things share: addresses with their filters, counts that are filters, numbers, and a row's time.
 */
#ifndef BERTH_FCGI_ADMIN_LISTS_H
#define BERTH_FCGI_ADMIN_LISTS_H

#include "core/base/json.h"

enum { LIST_PAGE = 50, LIST_SEARCH_MAX = 100 };

/* One parameter of a query; a value that is NULL or "" is left out. */
struct list_part {
    const char *name, *value;
};

/* "/audit?app=shop&actor=mara": the parts end with a NULL name. */
const char *list_url(struct arena *mem, const char *path, const struct list_part *parts);

/* {url, mark, word, number, class, current}: a count on top of a list, which is a link to what it counts. */
json_object *list_filter(struct arena *mem, const char *url, const char *mark, const char *word, int64_t number,
                         bool current);

/* 1204 as "1,204" */
const char *list_number(struct arena *mem, int64_t number);

/* At most max bytes of it, and an ellipsis when there is more; "" for NULL. Rows stay rows, and pages small: the whole is on the thing's own page. */
const char *list_short(struct arena *mem, const char *text, size_t max);

/* A row's time: at for <time>, day ("Today", "Yesterday", "19 October") and time ("14:30:55"), both UTC; "" and the text itself for one that isn't ISO. */
struct list_time {
    const char *day, *time;
};
struct list_time list_time(struct arena *mem, const char *at, int64_t now_ms);

/* For a route's field: what a person may look for, or filter by. "" is fine: a form sends its empty fields too. */
bool list_is_search(const char *text);
bool list_is_app_or_empty(const char *text);

/* The query's parameter; NULL for absent and for "". */
struct request;
const char *list_asked(struct request *request, const char *name);

#endif
