/*
 * github_access - GitHub as the configuration names it, with the token from Secrets Manager when there is one; and which commit a deploy is to take.
 */
#ifndef BERTH_DEPLOY_GITHUB_ACCESS_H
#define BERTH_DEPLOY_GITHUB_ACCESS_H

#include "core/aws/aws.h"
#include "core/db/db.h"
#include "core/deploy/settings.h"
#include "core/github/rest.h"

enum { COMMIT_NAME_LEAST = 4, COMMIT_NAME_MOST = 64 };

/* token is what out holds of it: the caller frees it after its last call. It is read once: whoever keeps it takes a restart for a new one. */
int github_access(const struct settings *settings, struct aws *aws, struct http transport, struct github *out,
                  struct secret **token, struct err *e);

/* ERR_INVALID for what can be no commit's hexadecimal name, nor the beginning of one. */
int github_check_commit(const char *name, struct err *e);

/* The app's commit of that name, or its branch's head. No connection is held while GitHub is asked. */
struct commit_ask {
    struct db_pool *admin;
    const struct settings *settings;
    struct aws *aws;
    struct http transport;
    const char *app;
    const char *commit; /* its hexadecimal name or the beginning of it; NULL: the branch's head */
};
int github_app_commit(const struct commit_ask *ask, struct arena *mem, struct github_commit *out, struct err *e);

#endif
