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

#include "core/base/json.h"
#include "core/db/db.h"

enum {
    APP_NAME_MAX = 22,
    APP_REPOSITORY_MAX = 140,
    APP_BRANCH_MAX = 255,
    APP_HEALTH_PATH_MAX = 1024,
    APP_PATHS_MAX = 1000
};

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
    const char *path_filter; /* see path_filter.h; "" or NULL: every push counts */
    const char *state;       /* "active", "paused", "deleting", "deleted" (only its history is left) */
};

const char *webhook_policy_name(enum webhook_policy policy); /* "github", "signed" */
bool webhook_policy_parse(const char *name, enum webhook_policy *out);

/* Each says what is wrong and what would be right. */
int app_check_name(const char *name, struct err *e);
int app_check_repository(const char *repository, struct err *e); /* owner/name as GitHub allows */
int app_check_branch(const char *branch, struct err *e);         /* as git-check-ref-format */
int app_check_health_path(const char *path, struct err *e);
int app_check_size(int cpu_units, int memory_mib, struct err *e); /* Fargate's pairs; names the nearest */
int app_check(const struct app *app, struct err *e); /* these and the rest; state and repository_id aside */

/* As the admin login. create: ERR_CONFLICT when the name is taken; writes the audit row in the same transaction. */
int app_create(struct db_pool *admin, const struct app *app, const char *actor, struct err *e);
int app_get(struct db *db, const char *name, struct arena *mem, struct app *out, struct err *e);
int app_list(struct db *db, struct arena *mem, struct app **out, size_t *count, struct err *e);

/* Every size that Fargate runs, by CPU units and then memory: what a page offers. */
struct app_size {
    int cpu_units, memory_mib;
};
size_t app_sizes(struct arena *mem, const struct app_size **out);

/* What can be changed of an app; the next release is the first that runs with it. The names are those of the database, the audit log and forms. */
enum app_setting {
    APP_CPU_UNITS,
    APP_MEMORY_MIB,
    APP_TASKS,
    APP_PORT,
    APP_HEALTH_CHECK_PATH,
    APP_BRANCH,      /* pushes to the new one count from now on */
    APP_PATH_FILTER, /* from the next push on */
    APP_SETTING_COUNT
};
const char *app_setting_name(enum app_setting setting);                                     /* "cpu_units" */
const char *app_setting_title(enum app_setting setting);                                    /* "CPU units" */
const char *app_setting_text(const struct app *app, enum app_setting s, struct arena *mem); /* its value: "256" */
json_object *app_setting_json(const struct app *app, enum app_setting setting); /* a number where it is one */
bool app_setting_find(const char *name, enum app_setting *out);

struct app_edit {
    enum app_setting setting;
    const char *to;
    const char *was; /* what its author saw; NULL: whatever it is now. Somebody else's change to the same is none */
};
/* An edit that another operator was quicker with. */
struct app_difference {
    enum app_setting setting;
    const char *was, *now;               /* what this author saw, and what is there */
    const char *changed_by, *changed_at; /* ISO 8601, UTC; NULL: the audit log doesn't tell */
};
struct app_update {
    struct app before, after;
    bool changed;                       /* false: it was so already, and nothing was written */
    struct app_difference *differences; /* of ERR_CONFLICT; several of them, and the error names the first */
    size_t difference_count;
    enum app_setting
        at_fault; /* of ERR_INVALID and ERR_QUOTA: the setting that is refused; APP_SETTING_COUNT: none in particular */
};

/*
 * As the admin login; the audit row ("app.update", before and after) is written in the same transaction. Of several edits all or none are made. out is set on errors too.
 * ERR_CONFLICT: of the edits that carry what their author saw some are outdated, see differences; or the app is being deleted. ERR_INVALID: a value can't be.
 * ERR_QUOTA: a rollout of that size, which runs twice as much for a while, would go over a quota; the message has its numbers.
 */
int app_update(struct db_pool *admin, const char *name, const char *actor, const struct app_edit *edits, size_t count,
               struct arena *mem, struct app_update *out, struct err *e);
/* The same, but nothing is written: what it would change, or why it would be refused. */
int app_update_try(struct db_pool *admin, const char *name, const struct app_edit *edits, size_t count,
                   struct arena *mem, struct app_update *out, struct err *e);

/*
 * Paused, an app takes no pushes: they are stored, and its branch is looked at when it is resumed. What is under way goes on, and what is live stays. *changed false: it
 * was so already. *look: a push came meanwhile, so the branch's head is looked at now.
 */
int app_pause(struct db_pool *admin, const char *name, const char *actor, bool *changed, struct err *e);
int app_resume(struct db_pool *admin, const char *name, const char *actor, bool *changed, bool *look, struct err *e);

#endif
