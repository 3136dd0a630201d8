/*
 * release - one version of an app on its way from a push to live, and its timeline.
 *
 * Reading is for everyone; the moves are the worker's, made under a lease: each names the lease's token and changes nothing (ERR_CONFLICT) when another worker holds
 * the release by now.
 */
#ifndef BERTH_DEPLOY_RELEASE_H
#define BERTH_DEPLOY_RELEASE_H

#include "core/db/db.h"
#include "core/tenant/app.h"

enum step_name { STEP_SOURCE, STEP_IDENTITY, STEP_BUILD, STEP_ROUTE, STEP_ROLLOUT, STEP_LIVE, STEP_COUNT };
enum release_state {
    RELEASE_QUEUED,
    RELEASE_RUNNING,
    RELEASE_LIVE, /* went live; whether it still is, the deployment says */
    RELEASE_FAILED,
    RELEASE_SUPERSEDED,
    RELEASE_CANCELLED,
    RELEASE_STATE_COUNT
};
/* How a release is to end at its worker's next turn, before its time. */
enum release_halt { HALT_NONE, HALT_SUPERSEDE, HALT_CANCEL, RELEASE_HALT_COUNT };

struct release {
    const char *app;
    int number;
    const char *kind; /* "push", "redeploy", "rollback" */
    enum release_state state;
    enum step_name step;
    int attempt; /* tries of this step since it last made headway, this one included */
    int waits;   /* how often this step answered that it has to wait */
    int claims;  /* how often a worker took it since one last let it go: more than one died with it, or froze */
    int64_t lease_token;
    int64_t step_age_ms; /* since the step began, by the database's clock */
    const char *commit_sha, *commit_title, *pushed_by;
    const char *source_version; /* S3 version id */
    int build_attempt;
    const char *build_id, *image_digest, *task_definition_arn, *ecs_deployment_id;
    bool pruned;     /* its image and task definition are gone from AWS, or about to be */
    int rollback_to; /* the release whose image and configuration it runs again; 0: none */
    enum release_halt halt;
    int halt_by;                    /* the release that takes or took its place; 0: none */
    int64_t halt_age_ms;            /* since the halt was asked for */
    const char *halt_deployment_id; /* ECS's, that puts back what was live; NULL: not asked for yet */
    const char *error, *hint;
    const char *created_at, *finished_at; /* ISO 8601, UTC */
};

struct release_event {
    const char *at, *step, *kind, *message;
};

struct deployment {
    int release; /* 0: nothing is live yet */
    const char *commit_sha, *image_digest, *task_definition_arn, *host, *live_since;
    int rollback_to; /* the release that it runs again; 0: none */
};

int release_get(struct db *db, const char *app, int number, struct arena *mem, struct release *out, struct err *e);
/* The app as that release runs it: size, port and health check are those of when it was queued. */
int release_app(struct db *db, const char *app, int number, struct arena *mem, struct app *out, struct err *e);
int release_list(struct db *db, const char *app, int limit, struct arena *mem, struct release **out, size_t *count,
                 struct err *e); /* newest first */
int release_list_before(struct db *db, const char *app, int before, int limit, struct arena *mem, struct release **out,
                        size_t *count, struct err *e); /* those older than that one; 0: all */
int release_events(struct db *db, const char *app, int number, struct arena *mem, struct release_event **out,
                   size_t *count, struct err *e);
int deployment_find(struct db *db, const char *app, struct arena *mem, struct deployment *out, struct err *e);

/* Whether its build has ended: it is in a later step, or over altogether. */
bool release_build_is_over(const struct release *release);

const char *release_halt_name(enum release_halt halt);    /* "supersede"; NULL for none */
const char *release_state_name(enum release_state state); /* "queued" */
const char *step_name_text(enum step_name step);          /* "source" */

#endif
