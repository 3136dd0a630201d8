/*
 * live: the app's deployment names this release from now on, and GitHub is told.
 *
 * Right before, the service is looked at once more: what a frozen worker of an older release did meanwhile is put right first (see step_rollout.c).
 */
#include "core/base/test_point.h"
#include "core/deploy/steps/commit_status.h"
#include "core/deploy/steps/image_size.h"
#include "core/deploy/steps/prune.h"
#include "core/deploy/steps/step_scope.h"
#include "core/tenant/names.h"

static int go_live(struct step_run *run, const char *host, struct err *e)
{
    AUTO_ROWS struct db_rows *moved = NULL;
    const struct release *release = &run->release;
    const char *line = arena_printf(run->mem, "v%d is live at %s.", release->number, host);

    if (db_query(run->db, run->app.name, QUERY_DEPLOYMENT_UPSERT, NULL, e, db_text(run->app.name),
                 db_int(release->number), db_text(release->commit_sha), db_text(release->image_digest),
                 db_text(release->task_definition_arn), db_text(host)) ||
        db_query(run->db, run->app.name, QUERY_RELEASE_GO_LIVE, &moved, e, db_text(run->app.name),
                 db_int(release->number), db_int(release->lease_token), db_text(line)))
        return e->code;
    if (db_count(moved) == 0)
        return err_set(e, ERR_CONFLICT, "another worker has taken over release v%d of %s", release->number,
                       run->app.name);
    return 0;
}

int live_commit(struct step_run *run, struct err *e)
{
    const char *host = name_host(run->mem, run->app.name, run->settings->domain);

    TEST_POINT("live", "go_live", "before");
    if (db_begin(run->db, run->app.name, e))
        return e->code;
    if (go_live(run, host, e)) {
        db_rollback(run->db);
        return e->code;
    }
    if (db_commit(run->db, e))
        return e->code;
    TEST_POINT("live", "go_live", "after");
    commit_status_tell(run, GITHUB_SUCCESS, arena_printf(run->mem, "https://%s/", host), "v%d is live",
                       run->release.number);
    return 0;
}

int live_ensure(struct step_run *run, enum step_answer *answer, struct err *e)
{
    if (!run->release.image_digest || !run->release.task_definition_arn)
        return err_set(e, ERR_INTERNAL, "release v%d of %s came to its last step without an image or a task definition",
                       run->release.number, run->app.name);
    prune(run);
    image_size_learn(run); /* of what was not told after its build */
    if (rollout_look(run, answer, e))
        return e->code;
    return *answer == STEP_DONE ? live_commit(run, e) : 0; /* e may still hold what a call got over by itself */
}
