/*
 * release_state - the table of a release's moves: every one that there is, whoever makes it.
 *
 * A release begins queued at its kind's first step, goes step by step while it runs, and ends once. move.c makes no other moves; intake and the operations end only
 * what is queued (sql/migrations); tests hold every transition that Postgres sees against this table.
 */
#ifndef BERTH_DEPLOY_RELEASE_STATE_H
#define BERTH_DEPLOY_RELEASE_STATE_H

#include "core/deploy/release.h"

struct release_place {
    enum release_state state;
    enum step_name step;
};

bool release_may_move(struct release_place from, struct release_place to);

/* Where a release of this kind begins: a rollback has its image, and nothing to fetch or to build. */
enum step_name release_first_step(const char *kind);

/* Whether nothing follows any more. */
bool release_has_ended(enum release_state state);

#endif
