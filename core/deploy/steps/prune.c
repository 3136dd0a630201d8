#include "core/deploy/steps/prune.h"

#include "core/base/log.h"
#include "core/base/test_point.h"
#include "core/tenant/names.h"

static int delete_images(struct step_run *run, const struct db_rows *rows, struct err *e)
{
    const char *repository = name_repository(run->mem, run->app.name);
    json_object *ids = json_new_array();
    AUTO_JSON json_object *ask = json_build("{s:s, s:o}", "repositoryName", repository, "imageIds", ids);

    for (size_t i = 0; i < db_count(rows); i++)
        if (db_get(rows, i, "image_digest"))
            json_append(ids, json_build("{s:s}", "imageDigest", db_get(rows, i, "image_digest")));
    if (json_length(ids) == 0)
        return 0;
    /* One that is gone already is told as a failure in a reply that is a success. */
    return step_call(run, &ECR, "BatchDeleteImage", repository, ask, NULL, e);
}

static int deregister(struct step_run *run, const char *arn, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "taskDefinition", arn);

    return step_call(run, &ECS, "DeregisterTaskDefinition", arn, ask, NULL, e);
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

static int prune_all(struct step_run *run, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(run->db, run->app.name, QUERY_RELEASE_PRUNABLE, &rows, e, db_text(run->app.name),
                 db_int(run->release.number), db_int(PRUNE_KEPT)) ||
        delete_images(run, rows, e))
        return e->code;
    for (size_t i = 0; i < db_count(rows); i++) {
        const char *definition = db_get(rows, i, "task_definition_arn");
        if ((definition && deregister(run, definition, e)) || note_pruned(run, db_get_int(rows, i, "number"), e))
            return e->code;
    }
    return 0;
}

void prune(struct step_run *run)
{
    struct err e = { 0 };

    if (prune_all(run, &e))
        log_err(LOG_WARN, "old images not removed, the next release tries again", &e, log_text("app", run->app.name),
                log_int("release", run->release.number));
}
