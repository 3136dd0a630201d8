/*
 * app - a tenant: its name, where its source is, and how it is run.
 *
 * An app's name is a DNS label that fits every AWS name made from it (see names.h), so it is at most APP_NAME_MAX characters of a-z, 0-9 and single
 * hyphens, beginning with a letter. The database holds the same rules as CHECKs. Reserved are www, admin, berth and hooks: under the platform's
 * domain they would pass for hosts of the installation itself.
 */
#ifndef BERTH_TENANT_APP_H
#define BERTH_TENANT_APP_H

#include <stdint.h>

#include "core/db/db.h"

enum { APP_NAME_MAX = 22, APP_REPOSITORY_MAX = 140, APP_BRANCH_MAX = 255, APP_HEALTH_PATH_MAX = 1024 };

enum webhook_policy { WEBHOOK_GITHUB, WEBHOOK_SIGNED, WEBHOOK_POLICY_COUNT };

struct app {
    const char *name;
    const char *repository; /* "acme/shop" */
    int64_t repository_id;  /* 0 until the first proven push binds it */
    const char *branch;
    enum webhook_policy policy;
    const char *health_check_path;
    int port;
    int cpu_units; /* 1024 is one vCPU */
    int memory_mib;
    int tasks;
    const char *state; /* "active", "paused", "deleting", "deleted" (only its history is left) */
};

const char *webhook_policy_name(enum webhook_policy policy); /* "github", "signed" */
bool webhook_policy_parse(const char *name, enum webhook_policy *out);

/* Each says what is wrong and what would be right. */
int app_check_name(const char *name, struct err *e);
int app_check_repository(const char *repository, struct err *e);  /* owner/name as GitHub allows */
int app_check_branch(const char *branch, struct err *e);          /* as git-check-ref-format */
int app_check_size(int cpu_units, int memory_mib, struct err *e); /* Fargate's pairs; names the nearest */
int app_check(const struct app *app, struct err *e); /* these and the rest; state and repository_id aside */

/* As the admin login. create: ERR_CONFLICT when the name is taken; writes the audit row in the same transaction. */
int app_create(struct db_pool *admin, const struct app *app, const char *actor, struct err *e);
int app_get(struct db *db, const char *name, struct arena *mem, struct app *out, struct err *e);
int app_list(struct db *db, struct arena *mem, struct app **out, size_t *count, struct err *e);

#endif
