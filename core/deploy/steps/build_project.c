/*
 * The build project: one a tenant, so that no build can read a neighbour's source. What a build runs is written here and not taken from the repository, so a push
 * can't change how the build signs in, what it may push, or under which tag.
 *
 * The values that differ from build to build come as environment variables (see step_build.c). Each of them is berth's own or checked by it (a SHA, a number, a
 * name); nothing that a pusher writes, such as a commit's title or a branch, reaches a shell.
 */
#include "core/deploy/estate/ownership.h"
#include "core/deploy/steps/policies.h"
#include "core/tenant/names.h"

/* GitHub's archive has one folder at its top, named after repository and commit. */
static const char into_folder[] = "cd \"$CODEBUILD_SRC_DIR\"/*/";
static const char sign_in[] =
    "aws ecr get-login-password | docker login --username AWS --password-stdin \"${IMAGE_REPOSITORY_URI%%/*}\"";
static const char build[] = "docker build --progress plain --label \"org.opencontainers.image.revision=$COMMIT_SHA\""
                            " --label \"berth.app=$BERTH_APP\" --label \"berth.release=$BERTH_RELEASE\""
                            " --tag \"$IMAGE_REPOSITORY_URI:$IMAGE_TAG\" .";
static const char push[] = "docker push \"$IMAGE_REPOSITORY_URI:$IMAGE_TAG\"";
/* An image may be known under several names; the digest wanted is the one in the app's own repository. */
static const char read_digest[] =
    "IMAGE_DIGEST=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}'"
    " \"$IMAGE_REPOSITORY_URI:$IMAGE_TAG\" | sed -n \"s|^$IMAGE_REPOSITORY_URI@||p\" | head -n 1); export IMAGE_DIGEST";
static const char require_digest[] =
    "if [ -z \"$IMAGE_DIGEST\" ]; then echo 'berth: the pushed image has no digest' >&2; exit 1; fi";

json_object *policy_buildspec(void)
{
    json_object *before = json_build("[s, s]", into_folder, sign_in);
    json_object *during = json_build("[s, s, s, s, s]", into_folder, build, push, read_digest, require_digest);

    return json_build("{s:s, s:{s:s, s:[s]}, s:{s:{s:o}, s:{s:s, s:o}}}", "version", "0.2", "env", "shell", "bash",
                      "exported-variables", "IMAGE_DIGEST", "phases", "pre_build", "commands", before, "build",
                      "on-failure", "ABORT", "commands", during);
}

static json_object *source(const struct policy_scope *scope, struct arena *mem)
{
    AUTO_JSON json_object *spec = policy_buildspec();

    /* Each build names its own object; a project must name one, and this one never exists. */
    return json_build("{s:s, s:s, s:s}", "type", "S3", "location",
                      arena_printf(mem, "%s/tenants/%s/none.zip", scope->bucket, scope->app), "buildspec",
                      json_to_text(spec, mem));
}

json_object *policy_build_project(const struct policy_scope *scope, const struct build_environment *environment)
{
    AUTO_ARENA struct arena *mem = arena_new();
    json_object *machine =
        json_build("{s:s, s:s, s:s, s:b, s:s}", "type", "LINUX_CONTAINER", "image", environment->image, "computeType",
                   environment->compute, "privilegedMode", 1, "imagePullCredentialsType", "CODEBUILD");
    json_object *logs = json_build("{s:{s:s, s:s, s:s}}", "cloudWatchLogs", "status", "ENABLED", "groupName",
                                   name_log_group(mem, scope->app), "streamName", LOG_PREFIX_BUILD);

    return json_build("{s:s, s:s, s:o, s:{s:s}, s:{s:s}, s:o, s:s, s:i, s:i, s:i, s:o, s:o}", "name",
                      name_build_project(mem, scope->app), "description",
                      arena_printf(mem, "Images of the app %s, made by berth", scope->app), "source",
                      source(scope, mem), "artifacts", "type", "NO_ARTIFACTS", "cache", "type", "NO_CACHE",
                      "environment", machine, "serviceRole", environment->role_arn, "timeoutInMinutes",
                      BUILD_TIMEOUT_MINUTES, "queuedTimeoutInMinutes", BUILD_QUEUED_MINUTES, "concurrentBuildLimit",
                      BUILD_CONCURRENT, "logsConfig", logs, "tags", ownership_tags_lower(scope->app));
}
