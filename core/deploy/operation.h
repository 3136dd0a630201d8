/*
 * operation - what an operator has berth do with an app's releases: the one place for the command, the page and later an API.
 *
 * Each is one transaction as the admin login with its audit row, and wakes the workers. Errors: ERR_NOT_FOUND no such app or release; ERR_INVALID a release that can't
 * be gone back to; ERR_CONFLICT it is so already, or the app is being deleted; ERR_QUOTA a quota refuses the release; each with what to do.
 * A new release takes the place of every one that was accepted before it and has not come to its rollout; one in its rollout finishes first.
 */
#ifndef BERTH_DEPLOY_OPERATION_H
#define BERTH_DEPLOY_OPERATION_H

#include "core/deploy/release.h"
#include "core/deploy/release_numbers.h"
#include "core/github/rest.h"

/*
 * A new release with an old one's image and configuration: nothing is fetched or built. *to: the release to go back to; 0: the one that was live before the
 * one that is, and *to says which. *made: the new release's number.
 */
int operation_rollback(struct db_pool *admin, const char *app, const char *actor, int *to, int *made, struct err *e);

/* A new release of that commit (40 hex digits), built anew. */
int operation_deploy(struct db_pool *admin, const char *app, const char *actor, const struct github_commit *commit,
                     int *made, struct err *e);

/*
 * The same of what is live, so that it runs with the app's settings of now: only while that is still release `live` (0: nothing is), and nothing newer is on its way,
 * which it would undo. ERR_CONFLICT: it isn't so, and which settings the newer one has.
 */
int operation_redeploy(struct db_pool *admin, const char *app, const char *actor, int live,
                       const struct github_commit *commit, int *made, struct err *e);

/* What a cancel would end: all that is under way and not being cancelled already. */
int operation_under_way(struct db *db, const char *app, struct arena *mem, struct release_numbers *out, struct err *e);

/*
 * Ends all that is under way: what is queued at once, what runs at its worker's next turn (watch it end: it may still go live or fail first). Safe to repeat. named: what
 * its author saw under way, and nothing else is ended; NULL: whatever is. live: the release that stays, 0: none. ERR_CONFLICT: there is nothing to cancel, and nothing was
 * cancelled before; or something else than was named is under way, or one of those came to another end.
 */
struct cancelled {
    struct release_numbers all;
    int running; /* the one of them that its worker has still to end; 0: none */
    int live;
};
int operation_cancel(struct db_pool *admin, const char *app, const char *actor, const struct release_numbers *named,
                     struct arena *mem, struct cancelled *out, struct err *e);

#endif
