/*
 * names - every AWS name made from an app's name, in one place, with the limit it must fit.
 *
 * No name is cut or hashed: an app's name of APP_NAME_MAX characters fits all, and two apps never share one (each is the app's name between fixed parts; a test
 * tries all pairs of kinds). Everything is tagged berth:app={app}; a thing that lacks the tag is refused, never adopted.
 */
#ifndef BERTH_TENANT_NAMES_H
#define BERTH_TENANT_NAMES_H

#include "core/base/arena.h"

#define NAMES_TAG_APP "berth:app"

/* All into mem. */
const char *name_task_role(struct arena *mem, const char *app);      /* berth-{app}-task; IAM: 64 */
const char *name_execution_role(struct arena *mem, const char *app); /* berth-{app}-execution; IAM: 64 */
const char *name_build_role(struct arena *mem, const char *app);     /* berth-{app}-build; IAM: 64 */
const char *name_repository(struct arena *mem, const char *app);     /* berth/{app}; ECR: 256 */
const char *
name_image_tag(struct arena *mem, int release,
               int attempt); /* v{release}-a{attempt}: each build has another, as tags are immutable; ECR: 128 */
const char *name_log_group(struct arena *mem, const char *app);     /* /berth/{app}; CloudWatch Logs: 512 */
const char *name_build_project(struct arena *mem, const char *app); /* berth-{app}; CodeBuild: 150 */
const char *name_target_group(struct arena *mem, const char *app, int generation); /* berth-{app}-{n}; ELBv2: 32 */
const char *name_service(struct arena *mem, const char *app);                      /* berth-{app}; ECS: 255 */
const char *name_task_family(struct arena *mem, const char *app);                  /* berth-{app}; ECS: 255 */
const char *name_source_key(struct arena *mem, const char *app,
                            const char *commit_sha);                /* tenants/{app}/{sha}.zip; S3: 1024 bytes */
const char *name_hook_secret(struct arena *mem, const char *app);   /* berth/hooks/{app}; Secrets Manager: 512 */
const char *name_config_secret(struct arena *mem, const char *app); /* berth/apps/{app}/config */
const char *name_host(struct arena *mem, const char *app,
                      const char *domain); /* {app}.{domain}; ELBv2 host-header: 128 */

#endif
