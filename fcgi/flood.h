/*
 * flood - a proven flood is refused from memory, so that it does not become the database's.
 *
 * When the database has refused FLOOD_REFUSALS pushes of one app and ref as `limited` within a second, further ones of that app and ref are refused here, for
 * FLOOD_MS at a time and never past the moment at which it said that there will be a token: then the database is asked again, so an edit of the limit is in
 * force within a second. What is refused here is not stored, and not lost: the database owes the branch a look once the bucket has refilled. A body that was
 * accepted here lately is not caught, as it is a duplicate. Only what was proven comes here. Safe from any thread.
 */
#ifndef BERTH_FCGI_FLOOD_H
#define BERTH_FCGI_FLOOD_H

#include "core/base/clock.h"
#include "core/deploy/intake.h"

enum { FLOOD_REFUSALS = 8, FLOOD_MS = 1000, FLOOD_ENTRIES = 1024, FLOOD_ACCEPTED = 16 };

struct flood;

struct flood *flood_new(const struct clock *clock);
void flood_free(struct flood *flood); /* NULL is fine */

/* Whether the delivery, a push, is refused. out: as the database would answer, texts in mem. */
bool flood_refuses(struct flood *flood, const struct delivery *delivery, struct arena *mem, struct intake_answer *out);

/* What the database answered to one. */
void flood_note(struct flood *flood, const struct delivery *delivery, const struct intake_answer *answer);

#endif
