/*
 * directory - the apps a responder knows in memory, so that a stranger's request costs no database work.
 *
 * Read whole at start; read again when Postgres notifies berth_apps and every DIRECTORY_REFRESH_MS besides. While the database is away the last known
 * apps stay. Safe from any thread; entries are values copied out.
 */
#ifndef BERTH_TENANT_DIRECTORY_H
#define BERTH_TENANT_DIRECTORY_H

#include <stdbool.h>

#include "core/tenant/app.h"
#include "core/tenant/path_filter.h"

enum { DIRECTORY_REFRESH_MS = 5000 };

struct directory;

struct directory_entry {
    char name[APP_NAME_MAX + 1];
    enum webhook_policy policy;
    char path_filter[PATH_FILTER_MAX + 1]; /* "": every push counts */
};

/* Starts the refreshing thread. Before the first success directory_ready is false. */
int directory_new(struct db_pool *hooks, struct directory **out, struct err *e);
void directory_free(struct directory *dir);
bool directory_find(struct directory *dir, const char *app, struct directory_entry *out);
bool directory_ready(struct directory *dir);

#endif
