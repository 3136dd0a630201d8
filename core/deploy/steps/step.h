/*
 * step - what one step of the pipeline works with, and how it tells what came of it.
 *
 * A step finds or creates, records, and never sleeps; it may be run again at any point, by another worker. It returns 0 with *answer DONE or WAIT (run me
 * again after the pipeline's interval), or an error: TRANSIENT, THROTTLED, CONFLICT and QUOTA are tried again with back-off until the step's deadline, any other
 * ends the release as failed with the error's message and hint, which are written for the person who pushed.
 *
 * Every call that changes AWS goes through step_call, which renews the lease, commits the intent, asks, and notes that an answer came. Each of its tries is
 * begun only while the lease, by our own clock and counted from when it was asked for, outlasts the try's timeout; otherwise it is renewed first, and when another
 * worker holds the release by now nothing is sent (ERR_CONFLICT, detail LEASE_LOST). So a worker that was frozen sends nothing after its lease.
 * On an app whose resources are unchanged (resource_find gives the wanted spec hash), a step asks nothing of AWS for them.
 */
#ifndef BERTH_DEPLOY_STEP_H
#define BERTH_DEPLOY_STEP_H

#include "core/aws/aws.h"
#include "core/deploy/lease.h"
#include "core/deploy/release.h"
#include "core/deploy/settings.h"
#include "core/github/rest.h"
#include "core/tenant/app.h"

enum step_answer { STEP_DONE, STEP_WAIT, STEP_ENDED /* the step has ended the release itself */ };

struct step_run {
    const struct settings *settings;
    struct db *db; /* between transactions */
    struct aws *aws;
    const struct github *github;
    const struct clock *clock;
    const char *partition, *account; /* "aws", "123456789012" */
    struct lease lease;              /* its length is given; the rest is kept by step.c */
    struct aws_guard guard;          /* see step_guard */
    int64_t
        patience_ms; /* set by a step that waits: until it must look, whatever the poller says; 0: until its deadline */
    const char *waits_for;  /* set by a step that waits: see WAITS_FOR_BUILD; NULL: its own next look is all there is */
    bool cleared;           /* set by a step that fails: what it had started has ended or is taken back already */
    const char *intended;   /* the operation of the last intent: "StartBuild" */
    struct arena *mem;      /* of this run of the step */
    struct app app;         /* as this release runs it: see release_app */
    struct release release; /* kept up to date by release_set */
};

/* The steps, in their order; each in step_<name>.c. */
int source_ensure(struct step_run *run, enum step_answer *answer, struct err *e);
int identity_ensure(struct step_run *run, enum step_answer *answer, struct err *e);
int build_ensure(struct step_run *run, enum step_answer *answer, struct err *e);
int route_ensure(struct step_run *run, enum step_answer *answer, struct err *e);
int rollout_ensure(struct step_run *run, enum step_answer *answer, struct err *e);
int live_ensure(struct step_run *run, enum step_answer *answer, struct err *e);

/* For a release that fails while such a thing may be under way: the build is stopped; the service is put back to what is live, or, for a first release, to no
 * tasks. Safe to repeat. */
int build_abandon(struct step_run *run, struct err *e);
int rollout_abandon(struct step_run *run, struct err *e);

/* A call that changes AWS: lease renewed (ERR_CONFLICT: another worker holds the release), intent committed, call made, answer noted. A definite refusal by AWS
 * counts as an answer; a lost one does not. target names the thing, for the intents table, where the operation is "codebuild:StartBuild" (signing name
 * and operation). */
int step_call(struct step_run *run, const struct aws_service *service, const char *operation, const char *target,
              json_object *ask, json_object **reply, struct err *e);
/* A call that changes nothing, and aws_call_paged of one. The lease is renewed on the way; ERR_CONFLICT, LEASE_LOST when another worker has the release by now. */
int step_read(struct step_run *run, const struct aws_service *service, const char *operation, json_object *ask,
              json_object **reply, struct err *e);
int step_read_paged(struct step_run *run, const struct aws_service *service, const char *operation, json_object *ask,
                    const char *list, const char *token_out, const char *token_in, json_object **array, struct err *e);

/* The lease is renewed when a third of it is gone: before something that is no aws_call and may keep us waiting. ERR_CONFLICT, LEASE_LOST as above. */
int step_keep(struct step_run *run, struct err *e);

/* The two halves, for what is no aws_call (an upload). */
int step_intend(struct step_run *run, const char *operation, const char *target, int64_t *intent, struct err *e);
int step_answered(struct step_run *run, int64_t intent, struct err *e);
int step_renew(struct step_run *run, struct err *e);      /* the lease alone: between the parts of something long */
const struct aws_guard *step_guard(struct step_run *run); /* for what has effects and is no step_call */

/* Whether an earlier run asked this in this release and its answer was not noted: look it up before asking again. operation as in the intents table,
 * "codebuild:StartBuild"; target NULL: any; within_ms: asked so lately, 0: ever. An answer to the same question later on settles it. */
int step_left_open(struct step_run *run, const char *operation, const char *target, int64_t within_ms, bool *open,
                   struct err *e);

/* How often this release has asked for it, answered or not. */
int step_times_asked(struct step_run *run, const char *operation, int64_t *times, struct err *e);

/* One line of the timeline. kind: "info", "done", "retry". */
int step_note(struct step_run *run, const char *kind, struct err *e, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Facts of the release, each NULL to leave as it is; under the lease. Updates run->release too. */
struct release_facts {
    const char *source_version, *build_id, *image_digest, *task_definition_arn, *ecs_deployment_id;
    int build_attempt; /* 0: as it is */
};
int release_set(struct step_run *run, const struct release_facts *facts, struct err *e);

/* For an answer WAIT: what the poller watches, so that this release needn't look by itself. */
#define WAITS_FOR_BUILD "build"
#define WAITS_FOR_SERVICE "service"

enum resource_kind {
    RESOURCE_TASK_ROLE,
    RESOURCE_EXECUTION_ROLE,
    RESOURCE_BUILD_ROLE,
    RESOURCE_REPOSITORY,
    RESOURCE_LOG_GROUP,
    RESOURCE_BUILD_PROJECT,
    RESOURCE_TARGET_GROUP,
    RESOURCE_LISTENER_RULE,
    RESOURCE_SERVICE,
    RESOURCE_KIND_COUNT
};

struct resource {
    const char *name, *arn, *spec_hash; /* all NULL: not recorded */
};

int resource_find(struct step_run *run, enum resource_kind kind, struct resource *out, struct err *e);
int resource_record(struct step_run *run, enum resource_kind kind, const char *name, const char *arn,
                    const char *spec_hash, struct err *e);
const char *resource_kind_name(enum resource_kind kind); /* "task_role" */

/* Hex SHA-256 of a specification's JSON text: what a resource was made from. */
const char *spec_hash(struct arena *mem, const json_object *spec);

#endif
