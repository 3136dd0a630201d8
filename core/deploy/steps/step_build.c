/*
 * build - the image of a release, by the app's own CodeBuild project.
 *
 * A build is asked for under an idempotency token of its own (release and attempt), and found again by the variables it was given: CodeBuild forgets a token after
 * five minutes. Tags are immutable, so each attempt has another. A second attempt is made only when CodeBuild itself is at fault.
 */
#include <string.h>

#include "core/base/text.h"
#include "core/deploy/estate/ownership.h"
#include "core/deploy/steps/build_log.h"
#include "core/deploy/steps/build_reason.h"
#include "core/deploy/steps/failure_notes.h"
#include "core/deploy/steps/image_size.h"
#include "core/deploy/steps/step_scope.h"
#include "core/tenant/names.h"

enum { DIGEST_LEN = 71 };

static const char *image_tag(const struct step_run *run)
{
    return name_image_tag(run->mem, run->release.number, run->release.build_attempt);
}

static json_object *variable(const char *name, const char *value)
{
    return json_build("{s:s, s:s, s:s}", "name", name, "value", value, "type", "PLAINTEXT");
}

static json_object *variables(const struct step_run *run)
{
    const struct policy_scope scope = step_scope(run);

    return json_build("[o, o, o, o, o]", variable("IMAGE_REPOSITORY_URI", policy_repository_uri(&scope, run->mem)),
                      variable("IMAGE_TAG", image_tag(run)), variable("COMMIT_SHA", run->release.commit_sha),
                      variable("BERTH_APP", run->app.name),
                      variable("BERTH_RELEASE", arena_printf(run->mem, "%d", run->release.number)));
}

static int keep_build(struct step_run *run, const char *build_id, struct err *e)
{
    const struct release_facts facts = { .build_id = build_id };

    if (release_set(run, &facts, e))
        return e->code;
    run->waits_for = WAITS_FOR_BUILD;
    return step_note(run, "info", e, "Build %s started.", build_id);
}

/* The build that this attempt started, if its answer was lost; *id NULL: it never began. */
static int find_started(struct step_run *run, const char *project, const char **id, struct err *e)
{
    AUTO_JSON json_object *list = json_build("{s:s, s:s}", "projectName", project, "sortOrder", "DESCENDING");
    AUTO_JSON json_object *ids = NULL, *by_id = NULL, *builds = NULL;

    *id = NULL;
    /* One release of an app builds at a time, so the build looked for is among the newest, on the first page. */
    if (step_read(run, &CODEBUILD, "ListBuildsForProject", list, &ids, e))
        return e->code;
    if (json_length(json_at(ids, "/ids")) == 0)
        return 0;
    by_id = json_build("{s:O}", "ids", json_at(ids, "/ids"));
    if (step_read(run, &CODEBUILD, "BatchGetBuilds", by_id, &builds, e))
        return e->code;
    for (size_t i = 0; i < json_length(json_at(builds, "/builds")); i++) {
        const json_object *build = json_item(json_at(builds, "/builds"), i);
        const json_object *given = json_at(build, "/environment/environmentVariables");
        const char *tag = json_find_text(item_find(given, "/name", "IMAGE_TAG"), "/value", run->mem);
        if (tag && strcmp(tag, image_tag(run)) == 0)
            return json_read_text(build, "/id", run->mem, id, e);
    }
    return 0;
}

static int start(struct step_run *run, const char *project, const char *token, struct err *e)
{
    const char *key = name_source_key(run->mem, run->app.name, run->release.commit_sha);
    AUTO_JSON json_object *ask = json_build(
        "{s:s, s:s, s:s, s:o, s:s}", "projectName", project, "sourceLocationOverride",
        arena_printf(run->mem, "%s/%s", run->settings->bucket, key), "sourceVersion", run->release.source_version,
        "environmentVariablesOverride", variables(run), "idempotencyToken", token);
    AUTO_JSON json_object *reply = NULL;
    const char *id;

    if (step_call(run, &CODEBUILD, "StartBuild", token, ask, &reply, e))
        return step_not_yet(e);
    if (json_read_text(reply, "/build/id", run->mem, &id, e))
        return e->code;
    return keep_build(run, id, e);
}

static int find_or_start(struct step_run *run, struct err *e)
{
    const char *project = name_build_project(run->mem, run->app.name);
    const char *token = arena_printf(run->mem, "%s-%s", run->app.name, image_tag(run));
    const char *id = NULL;

    /* Whether or not the answer was noted: the worker may have died between noting it and recording the build. */
    if (step_was_tried(run) && find_started(run, project, &id, e))
        return e->code;
    return id ? keep_build(run, id, e) : start(run, project, token, e);
}

static int next_attempt(struct step_run *run, struct err *e)
{
    /* An empty build id is none: the attempt is on record before its build is asked for. */
    const struct release_facts facts = { .build_attempt = run->release.build_attempt + 1, .build_id = "" };

    return release_set(run, &facts, e);
}

static int keep_image(struct step_run *run, const json_object *build, enum step_answer *answer, struct err *e)
{
    const json_object *exported = json_at(build, "/exportedEnvironmentVariables");
    const char *digest = json_find_text(item_find(exported, "/name", "IMAGE_DIGEST"), "/value", run->mem);
    const struct release_facts facts = { .image_digest = digest };

    if (!digest || !text_starts(digest, "sha256:") || strlen(digest) != DIGEST_LEN ||
        strspn(digest + 7, "0123456789abcdef") != DIGEST_LEN - 7) {
        err_set(e, ERR_INVALID, "Build %s ended well, but did not say the digest of its image (it says \"%.80s\")",
                run->release.build_id, digest ? digest : "");
        return err_hint(e,
                        "`berth logs %s v%d` shows what it did. Push again; if it stays, the build image lacks "
                        "docker or sed.",
                        run->app.name, run->release.number);
    }
    if (release_set(run, &facts, e))
        return e->code;
    image_size_learn(run);
    *answer = STEP_DONE;
    return step_note(run, "info", e, "Image %s built.", digest);
}

/* A fault of CodeBuild's own, or a role or policy that AWS didn't believe yet: neither is the repository's. */
static bool is_worth_another(struct step_run *run, const json_object *build, const char *status)
{
    const char *phases = json_to_text(json_at(build, "/phases"), run->mem);

    if (run->release.build_attempt >= BUILD_ATTEMPTS_MAX)
        return false;
    return strcmp(status, "FAULT") == 0 ||
           (strcmp(status, "FAILED") == 0 && (strstr(phases, "ACCESS_DENIED") || strstr(phases, "AccessDenied")));
}

/* Once more, under the next tag. */
static int try_again(struct step_run *run, const char *status, enum step_answer *answer, struct err *e)
{
    *answer = STEP_WAIT;
    run->cleared = false;
    if (step_note(run, "retry", e, "Build %s ended as %s through no fault of the repository: building again.",
                  run->release.build_id, status) ||
        next_attempt(run, e))
        return e->code;
    return find_or_start(run, e);
}

static int fail(struct step_run *run, const json_object *build, struct err *e)
{
    const struct build_subject subject = { .app = run->app.name,
                                           .release = run->release.number,
                                           .repository = run->app.repository };
    struct log_page log = { 0 };

    /* A log that we may not read doesn't keep the build's own words from being told. */
    if (build_log_tail(run, run->release.build_id, &log, e) && err_may_retry(e))
        return e->code;
    if (failure_note_log(run, "build log", &log, e))
        return e->code;
    return build_reason(&subject, build, &log, e);
}

/* Seconds since 1970, as CodeBuild tells times; NULL: it doesn't tell. */
static const char *seconds_at(const json_object *build, const char *pointer, struct arena *mem)
{
    const json_object *at = json_at(build, pointer);
    const char *text = at ? json_to_text(at, mem) : "";

    return *text && strspn(text, "0123456789.") == strlen(text) ? text : NULL;
}

/* Its minutes are counted until then, and not until the release's own end. */
static int note_end(struct step_run *run, const json_object *build, struct err *e)
{
    return db_query(run->db, run->app.name, QUERY_BUILD_ENDED, NULL, e, db_text(run->app.name),
                    db_text(run->release.build_id), db_text(seconds_at(build, "/startTime", run->mem)),
                    db_text(seconds_at(build, "/endTime", run->mem)));
}

static int look(struct step_run *run, enum step_answer *answer, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:[s]}", "ids", run->release.build_id);
    AUTO_JSON json_object *reply = NULL;
    const json_object *build;
    const char *status;

    if (step_read(run, &CODEBUILD, "BatchGetBuilds", ask, &reply, e))
        return e->code;
    build = json_at(reply, "/builds/0");
    status = json_find_text(build, "/buildStatus", run->mem);
    run->cleared = status && strcmp(status, "IN_PROGRESS") != 0;
    if (!status) {
        err_set(e, ERR_NOT_FOUND, "CodeBuild shows no build %s", run->release.build_id);
        err_hint(e, "If it stays so, somebody has deleted it: push again to build anew.");
        return step_not_shown(run, e);
    }
    *answer = STEP_WAIT;
    if (!run->cleared) {
        run->waits_for = WAITS_FOR_BUILD;
        return 0;
    }
    if (note_end(run, build, e))
        return e->code;
    if (strcmp(status, "SUCCEEDED") == 0)
        return keep_image(run, build, answer, e);
    if (is_worth_another(run, build, status))
        return try_again(run, status, answer, e);
    return fail(run, build, e);
}

int build_ensure(struct step_run *run, enum step_answer *answer, struct err *e)
{
    if (run->release.image_digest) { /* a rollback has its image already */
        *answer = STEP_DONE;
        return 0;
    }
    if (run->release.build_attempt == 0 && next_attempt(run, e))
        return e->code;
    if (run->release.build_id && *run->release.build_id)
        return look(run, answer, e);
    *answer = STEP_WAIT;
    return find_or_start(run, e);
}

int build_abandon(struct step_run *run, struct err *e)
{
    const char *id = run->release.build_id;
    AUTO_JSON json_object *ask = NULL;
    int64_t starts = 0;

    if ((!id || !*id) && step_times_asked(run, "codebuild:StartBuild", &starts, e))
        return e->code;
    if (starts > 0 && build_find(run, &id, e))
        return e->code;
    if (!id || !*id)
        return 0;
    ask = json_build("{s:s}", "id", id);
    if (!step_call(run, &CODEBUILD, "StopBuild", id, ask, NULL, e))
        return step_note(run, "info", e, "Build %s stopped.", id);
    return e->code == ERR_NOT_FOUND ? 0 : (int)e->code;
}

int build_find(struct step_run *run, const char **id, struct err *e)
{
    return find_started(run, name_build_project(run->mem, run->app.name), id, e);
}
