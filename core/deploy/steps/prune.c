#include "core/deploy/steps/prune.h"

#include "core/base/log.h"
#include "core/base/test_point.h"
#include "core/deploy/steps/step_scope.h"
#include "core/tenant/names.h"

enum {
    PRUNED_AT_ONCE = 20,
    IMAGE_IDS_MAX = 100, /* BatchDeleteImage's limit */
    BUILD_MINUTES_MAX = BUILD_QUEUED_MINUTES + BUILD_TIMEOUT_MINUTES
};
_Static_assert(PRUNED_AT_ONCE *BUILD_ATTEMPTS_MAX <= IMAGE_IDS_MAX, "the images of all releases go with one call");

/* The image on record by its digest, and those of the attempts that have none on record by their tags: by its last tag an image goes as well, and one that has
 * a kept release's tag, too, stays. */
static void add_images(struct step_run *run, const struct db_rows *rows, size_t row, json_object *ids)
{
    const char *digest = db_get(rows, row, "image_digest");

    if (digest)
        json_append(ids, json_build("{s:s}", "imageDigest", digest));
    for (int attempt = 1; attempt <= db_get_int(rows, row, "tags"); attempt++)
        json_append(ids, json_build("{s:s}", "imageTag",
                                    name_image_tag(run->mem, (int)db_get_int(rows, row, "number"), attempt)));
}

static int delete_images(struct step_run *run, const struct db_rows *rows, struct err *e)
{
    const char *repository = name_repository(run->mem, run->app.name);
    json_object *ids = json_new_array();
    AUTO_JSON json_object *ask = json_build("{s:s, s:o}", "repositoryName", repository, "imageIds", ids);

    for (size_t i = 0; i < db_count(rows); i++)
        add_images(run, rows, i, ids);
    if (json_length(ids) == 0)
        return 0;
    /* One that is gone already, or never was, is told as a failure in a reply that is a success. */
    return step_call(run, &ECR, "BatchDeleteImage", repository, ask, NULL, e);
}

static int deregister(struct step_run *run, const char *arn, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "taskDefinition", arn);

    /* ECS has no code of its own for a revision that isn't there ("specifying an identifier that isn't valid"). */
    if (step_call(run, &ECS, "DeregisterTaskDefinition", arn, ask, NULL, e))
        return err_is(e, "ClientException") ? 0 : (int)e->code;
    return 0;
}

static int note_pruned(struct step_run *run, int64_t number, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    TEST_POINT("live", "pruned", "before");
    if (db_query(run->db, run->app.name, QUERY_RELEASE_PRUNED, &rows, e, db_text(run->app.name),
                 db_int(run->release.number), db_int(run->release.lease_token), db_int(number)))
        return e->code;
    TEST_POINT("live", "pruned", "after");
    return 0;
}

static int prune_one(struct step_run *run, const struct db_rows *rows, size_t row, struct err *e)
{
    const char *definition = db_get(rows, row, "task_definition_arn");

    if (definition && deregister(run, definition, e))
        return e->code;
    return note_pruned(run, db_get_int(rows, row, "number"), e);
}

static void tell(const struct step_run *run, int64_t number, const struct err *e)
{
    log_err(LOG_WARN, "old images not removed, the next release tries again", e, log_text("app", run->app.name),
            log_int("release", number));
}

/* What AWS says of one revision keeps no other; what holds for all of them (it is away, a permission is missing, the lease is lost) ends it. */
static int prune_all(struct step_run *run, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(run->db, run->app.name, QUERY_RELEASE_RETIRE, &rows, e, db_text(run->app.name),
                 db_int(run->release.number), db_int(run->release.lease_token), db_int(PRUNE_KEPT),
                 db_int(BUILD_MINUTES_MAX), db_int(PRUNED_AT_ONCE)) ||
        delete_images(run, rows, e))
        return e->code;
    for (size_t i = 0; i < db_count(rows); i++) {
        if (!prune_one(run, rows, i, e))
            continue;
        if (e->code != ERR_INVALID && e->code != ERR_NOT_FOUND)
            return e->code;
        tell(run, db_get_int(rows, i, "number"), e);
    }
    return 0;
}

void prune(struct step_run *run)
{
    struct err e = { 0 };

    if (prune_all(run, &e))
        tell(run, run->release.number, &e);
}
