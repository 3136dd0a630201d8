/*
 * policies - what each of a tenant's roles may do, and the build project that its images come from.
 *
 * Pure: from a scope to documents, no call. Every statement names the app's own things and nothing else; what has no resource to name (ecr:GetAuthorizationToken)
 * is "*". docs/aws-permissions.md says of each statement why it is there. The permissions boundary bounds all of them again.
 * Trust policies carry aws:SourceAccount and aws:SourceArn, so that no other account's task or project can have a service assume the role ("The confused deputy
 * problem", AWS IAM User Guide).
 */
#ifndef BERTH_DEPLOY_POLICIES_H
#define BERTH_DEPLOY_POLICIES_H

#include "core/base/json.h"

struct policy_scope {
    const char *partition, *region, *account; /* "aws", "eu-central-1", "123456789012" */
    const char *app;
    const char *bucket; /* of source archives */
};

/* Who may assume it: Fargate for the task and execution role, the app's own build project for the build role. The caller frees. */
json_object *policy_trust_tasks(const struct policy_scope *scope);
json_object *policy_trust_builds(const struct policy_scope *scope);

/* What it may do. The task role, which the app's own code holds, has no policy: an app needs none of AWS to be served. */
json_object *policy_execution(const struct policy_scope *scope);
json_object *policy_build(const struct policy_scope *scope);

/* "123456789012.dkr.ecr.eu-central-1.amazonaws.com/berth/shop" */
const char *policy_repository_uri(const struct policy_scope *scope, struct arena *mem);

/* The stream prefixes in the app's log group. */
#define LOG_PREFIX_BUILD "build"
#define LOG_PREFIX_APP "app"
#define CONTAINER_NAME "app"

/* Minutes: CodeBuild's limits are 5 to 2160 and 5 to 480. The builds of an app that may run at a time: one, and one that a stop has not ended yet. */
enum { BUILD_TIMEOUT_MINUTES = 45, BUILD_QUEUED_MINUTES = 10, BUILD_CONCURRENT = 2 };

struct build_environment {
    const char *image, *compute; /* "aws/codebuild/…", "BUILD_GENERAL1_SMALL" */
    const char *role_arn;
};

/* CreateProject's and UpdateProject's parameters. */
json_object *policy_build_project(const struct policy_scope *scope, const struct build_environment *environment);

/* The buildspec, as JSON text (JSON is YAML). */
json_object *policy_buildspec(void);

#endif
