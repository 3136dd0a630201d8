/*
 * admin_delivery_words - what came of deliveries, in words, with the thing each became: for the list and for a delivery's own page.
 *
 * What a delivery became is read for all rows of a page at once: two statements, whatever their number.
 */
#ifndef BERTH_FCGI_ADMIN_DELIVERY_WORDS_H
#define BERTH_FCGI_ADMIN_DELIVERY_WORDS_H

#include "core/base/json.h"
#include "core/deploy/delivery.h"
#include "fcgi/admin_words.h"

struct delivery_context; /* the releases and apps that the rows name; in mem */

int delivery_context_read(struct db *db, const struct delivery_entry *entries, size_t count, struct arena *mem,
                          struct delivery_context **out, struct err *e);

struct mark mark_of_delivery(enum delivery_outcome outcome);

/*
 * {mark, word, before, at, time, link, url, after, ended_mark, ended, act, act_url}: "became", "", "", "v57", "/apps/...", "", "mark failed", "failed at build". What
 * doesn't apply is "". at and time: of the look that is owed, whole and its time of day; link is the thing it became; act is what a person can do, in words, with its address.
 */
json_object *delivery_told(const struct delivery_context *context, const struct delivery_entry *entry,
                           struct arena *mem);

/* The status that GitHub got. */
int delivery_answered(enum delivery_outcome outcome);

/* Whether it could end differently if it were judged now. */
bool delivery_may_differ(const struct delivery_context *context, const struct delivery_entry *entry);

const char *delivery_url(const char *app, const char *id, struct arena *mem); /* "/apps/shop/deliveries/72d3162e-..." */
const char *short_delivery(const char *id, struct arena *mem);                /* "72d3162e" */
bool delivery_is_id(const char *text);

#endif
