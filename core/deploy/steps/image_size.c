#include "core/deploy/steps/image_size.h"

#include <string.h>

#include "core/base/log.h"
#include "core/deploy/permission.h"
#include "core/tenant/names.h"

static int note_size(struct step_run *run, const char *digest, int64_t bytes, struct err *e)
{
    return db_query(run->db, run->app.name, QUERY_IMAGE_SIZE, NULL, e, db_text(run->app.name), db_text(digest),
                    db_int(bytes));
}

/* Each is asked for by itself: where one of several is missing, ECR tells of none. */
static int learn(struct step_run *run, const char *digest, struct err *e)
{
    AUTO_JSON json_object *ask =
        json_build("{s:s, s:[{s:s}]}", "repositoryName", name_repository(run->mem, run->app.name), "imageIds",
                   "imageDigest", digest);
    AUTO_JSON json_object *reply = NULL;
    bool is_new = run->release.image_digest == NULL || strcmp(run->release.image_digest, digest) == 0;

    if (!step_read(run, &ECR, "DescribeImages", ask, &reply, e))
        return note_size(run, digest, json_find_int(json_at(reply, "/imageDetails/0"), "/imageSizeInBytes", 0), e);
    if (e->code != ERR_NOT_FOUND || is_new)
        return e->code;
    *e = (struct err){ 0 };
    return note_size(run, digest, 0, e); /* somebody removed it: it takes no room */
}

static int learn_all(struct step_run *run, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(run->db, run->app.name, QUERY_IMAGE_UNSIZED, &rows, e, db_text(run->app.name),
                 db_int(IMAGE_SIZES_AT_ONCE)))
        return e->code;
    for (size_t i = 0; i < db_count(rows); i++)
        if (learn(run, db_get(rows, i, "image_digest"), e))
            return e->code;
    return 0;
}

void image_size_learn(struct step_run *run)
{
    struct err e = { 0 };

    if (!learn_all(run, &e))
        return;
    permission_hint(&e);
    log_err(LOG_WARN, "the size of an image is not known yet, the next release asks again", &e,
            log_text("app", run->app.name), log_int("release", run->release.number));
}
