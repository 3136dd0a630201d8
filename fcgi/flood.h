/*
 * flood - a proven flood is refused from memory, so that it does not become the database's.
 *
 * When the database has refused FLOOD_REFUSALS pushes of one app and ref as `limited` or `over_quota` within a second, further ones of that app and ref get
 * the last refusal's answer from here, for FLOOD_MS at a time and never past the moment at which the database said that there will be a token or room: then it
 * is asked again, so an edit of a limit or quota is in force within a second. What is refused here is not stored, and not lost: the database owes the branch a
 * look, and one that was made less than two seconds after a refusal is made again (berth.settle_look). A body that was accepted here lately is not caught, as it
 * is a duplicate. Only what was proven comes here. Safe from any thread.
 */
#ifndef BERTH_FCGI_FLOOD_H
#define BERTH_FCGI_FLOOD_H

#include "core/base/clock.h"
#include "core/deploy/intake.h"

enum {
    FLOOD_REFUSALS = 8,
    FLOOD_MS = 1000,
    FLOOD_ENTRIES = 1024,
    FLOOD_ACCEPTED = 16,
    FLOOD_TEXT_MAX = 512 /* bytes, NUL included; an answer with a longer text is not remembered */
};

struct flood;

struct flood *flood_new(const struct clock *clock);
void flood_free(struct flood *flood); /* NULL is fine */

/* Whether the delivery, a push, is refused. out: as the database answered the last one, with the time that is left; texts in mem. */
bool flood_refuses(struct flood *flood, const struct delivery *delivery, struct arena *mem, struct intake_answer *out);

/* What the database answered to one. */
void flood_note(struct flood *flood, const struct delivery *delivery, const struct intake_answer *answer);

#endif
