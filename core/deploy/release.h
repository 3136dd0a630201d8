/*
 * release - one version of an app on its way from a push to live, and its timeline.
 *
 * Reading is for everyone; the moves are the worker's, made under a lease: each names the lease's token and changes nothing (ERR_CONFLICT) when another worker holds
 * the release by now.
 */
#ifndef BERTH_DEPLOY_RELEASE_H
#define BERTH_DEPLOY_RELEASE_H

#include "core/db/db.h"

enum step_name { STEP_SOURCE, STEP_IDENTITY, STEP_BUILD, STEP_ROUTE, STEP_ROLLOUT, STEP_LIVE, STEP_COUNT };
enum release_state {
    RELEASE_QUEUED,
    RELEASE_RUNNING,
    RELEASE_LIVE,       /* went live; whether it still is, the deployment says */
    RELEASE_FAILED,
    RELEASE_SUPERSEDED,
    RELEASE_CANCELLED,
    RELEASE_STATE_COUNT
};

struct release {
    const char *app;
    int number;
    const char *kind; /* "push", "redeploy", "rollback" */
    enum release_state state;
    enum step_name step;
    int attempt;               /* tries of this step since it last made headway, this one included */
    int waits;                 /* how often this step answered that it has to wait */
    int64_t lease_token;
    int64_t step_age_ms;       /* since the step began, by the database's clock */
    const char *commit_sha, *commit_title, *pushed_by;
    const char *source_version; /* S3 version id */
    int build_attempt;
    const char *build_id, *image_digest, *task_definition_arn, *ecs_deployment_id;
    const char *error, *hint;
    const char *created_at, *finished_at; /* ISO 8601, UTC */
};

struct release_event {
    const char *at, *step, *kind, *message;
};

struct deployment {
    int release; /* 0: nothing is live yet */
    const char *commit_sha, *image_digest, *task_definition_arn, *host, *live_since;
};

int release_get(struct db *db, const char *app, int number, struct arena *mem, struct release *out, struct err *e);
int release_list(struct db *db, const char *app, int limit, struct arena *mem, struct release **out, size_t *count,
                 struct err *e); /* newest first */
int release_events(struct db *db, const char *app, int number, struct arena *mem, struct release_event **out,
                   size_t *count, struct err *e);
int deployment_find(struct db *db, const char *app, struct arena *mem, struct deployment *out, struct err *e);

const char *release_state_name(enum release_state state); /* "queued" */
const char *step_name_text(enum step_name step);          /* "source" */

#endif
