/*
 * source: the commit's archive, streamed from GitHub into the bucket in bounded memory; its S3 version is pinned in the release.
 *
 * Newest means the branch's head, not the order of arrival: a push's release asks GitHub first, and gives way when another release has the head's commit.
 * The key is made of the commit, so whatever version is found there is this commit's.
 */
#include <string.h>

#include "core/aws/s3.h"
#include "core/deploy/steps/archive_check.h"
#include "core/deploy/steps/commit_status.h"
#include "core/deploy/steps/step_scope.h"
#include "core/tenant/names.h"

enum { FRESH_PUSH_MS = 15000 }; /* so long GitHub may not know a commit that it has just told us of */

#define STORE "s3:PutObject"

static bool is_fresh(const struct step_run *run)
{
    return run->release.step_age_ms < FRESH_PUSH_MS;
}

struct passage {
    struct step_run *run;
    struct s3_upload *upload;
    struct archive_check check;
};

/* A large archive takes longer than a lease: it is renewed on the way. */
static int pass_on(void *context, const void *bytes, size_t len, struct err *e)
{
    struct passage *passage = context;

    archive_check_add(&passage->check, bytes, len);
    if (step_keep(passage->run, e))
        return e->code;
    return s3_upload_add(passage->upload, bytes, len, e);
}

static void upload_cleanup(struct s3_upload **upload)
{
    s3_upload_free(*upload);
}
#define AUTO_UPLOAD __attribute__((cleanup(upload_cleanup)))

/* From GitHub to S3. *ending: S3 was asked to make the object, so that an error leaves it unknown whether it is there. */
static int stream(struct step_run *run, const char *key, struct s3_object *out, bool *ending, struct err *e)
{
    AUTO_UPLOAD struct s3_upload *upload = s3_upload_new(run->aws, run->settings->bucket, key, "application/zip");
    struct passage passage = { .run = run, .upload = upload };
    int64_t bytes = 0;

    s3_upload_guard(upload, step_guard(run));
    run->guard.once = true; /* asked again, S3 would keep a second version */
    if (github_archive(run->github, run->app.repository, run->release.commit_sha, pass_on, &passage, &bytes, e)) {
        if (e->code == ERR_NOT_FOUND && is_fresh(run))
            e->code = ERR_TRANSIENT;
        return e->code;
    }
    if (archive_check_end(&passage.check, e))
        return err_context(e, "the archive of %s at %.12s", run->app.repository, run->release.commit_sha);
    if (step_renew(run, e))
        return e->code;
    *ending = true;
    return s3_upload_end(upload, run->mem, out, e);
}

static int store(struct step_run *run, const char *key, struct s3_object *out, struct err *e)
{
    struct err unnoted = { 0 };
    int64_t intent = 0;
    bool ending = false;

    if (step_intend(run, STORE, key, &intent, e))
        return e->code;
    if (stream(run, key, out, &ending, e)) {
        if (!ending)
            (void)step_answered(run, intent, &unnoted); /* nothing was stored for sure */
        return e->code;
    }
    return step_answered(run, intent, e);
}

/* An earlier try may have stored it. */
static int find_stored(struct step_run *run, const char *key, bool *found, struct s3_object *out, struct err *e)
{
    bool may_be = step_was_tried(run); /* noted or not: its worker may have died before it pinned the version */

    *found = false;
    if (!may_be && step_left_open(run, STORE, key, 0, &may_be, e))
        return e->code;
    if (!may_be)
        return 0;
    if (step_keep(run, e))
        return e->code;
    return s3_head(run->aws, run->settings->bucket, key, run->mem, found, out, e);
}

static const char *size_shown(struct arena *mem, int64_t bytes)
{
    if (bytes < 1024 * 1024)
        return arena_printf(mem, "%.1f KiB", (double)bytes / 1024);
    return arena_printf(mem, "%.1f MiB", (double)bytes / (1024 * 1024));
}

static int pin(struct step_run *run, const char *key, bool found, const struct s3_object *object, struct err *e)
{
    const struct release_facts facts = { .source_version = object->version_id };

    if (!object->version_id) {
        err_set(e, ERR_INVALID, "the bucket %s keeps no versions, so the source of a build can't be pinned",
                run->settings->bucket);
        return err_hint(e, "Turn versioning on for the bucket, then push again.");
    }
    if (release_set(run, &facts, e))
        return e->code;
    return step_note(run, "info", e, "%s %s of source at %s.", found ? "Found" : "Stored",
                     size_shown(run->mem, object->bytes), key);
}

/* *head NULL: the branch is gone. */
static int find_head(struct step_run *run, const char **head, struct err *e)
{
    struct github_commit commit = { 0 };

    *head = NULL;
    if (step_keep(run, e))
        return e->code;
    if (github_branch_head(run->github, run->app.repository, run->app.branch, run->mem, &commit, e)) {
        if (err_is(e, GITHUB_NO_BRANCH))
            return 0;
        if (e->code == ERR_NOT_FOUND && is_fresh(run))
            e->code = ERR_TRANSIENT;
        return e->code;
    }
    *head = commit.sha;
    return 0;
}

/* DONE: this release is the one to deploy, as far as anyone knows. */
static int follow_head(struct step_run *run, enum step_answer *answer, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    const struct release *release = &run->release;
    const char *head, *verdict;

    if (find_head(run, &head, e) ||
        db_query(run->db, run->app.name, QUERY_RELEASE_FOLLOW_HEAD, &rows, e, db_text(run->app.name),
                 db_int(release->number), db_int(release->lease_token), db_text(head), db_bool(is_fresh(run))))
        return e->code;
    verdict = db_get(rows, 0, "verdict");
    if (strcmp(verdict, "lost") == 0)
        return err_set(e, ERR_CONFLICT, "another worker has taken over release v%d of %s", release->number,
                       run->app.name);
    *answer = strcmp(verdict, "go_on") == 0 ? STEP_DONE : STEP_WAIT;
    if (strcmp(verdict, "superseded") == 0) {
        *answer = STEP_ENDED;
        commit_status_tell(run, GITHUB_ERROR, NULL, "v%d was superseded: %s", release->number,
                           db_get(rows, 0, "reason"));
    }
    return 0;
}

int source_ensure(struct step_run *run, enum step_answer *answer, struct err *e)
{
    const char *key = name_source_key(run->mem, run->app.name, run->release.commit_sha);
    struct s3_object object = { 0 };
    bool found = false;

    if (!run->release.source_version) {
        *answer = STEP_DONE;
        if (strcmp(run->release.kind, "push") == 0 && follow_head(run, answer, e))
            return e->code;
        if (*answer != STEP_DONE)
            return 0; /* not e->code: that the branch is gone was no error */
        if (find_stored(run, key, &found, &object, e))
            return e->code;
        if (!found && store(run, key, &object, e))
            return e->code;
        if (pin(run, key, found, &object, e))
            return e->code;
    }
    *answer = STEP_DONE;
    return 0;
}
