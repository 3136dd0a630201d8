/*
 * look - the branch of an app whose push was turned away for the moment (rate limit, quota, pause) is looked at again: GitHub sends a push once only.
 *
 * A look is a row of berth.looks, leased as releases are; the rules are in berth.settle_look (sql/migrations). It ends by a release of the branch's head, or because
 * the head needs none; until then the row stays, whatever happens to workers, GitHub or the database.
 */
#ifndef BERTH_DEPLOY_LOOK_H
#define BERTH_DEPLOY_LOOK_H

#include "core/deploy/turn.h"

/* One worker's turn. *taken: there was a look, and it was dealt with, well or badly. An error: the database could not be asked for one. */
int look_take(struct turn_place *place, const char *worker_name, bool *taken, struct err *e);

#endif
