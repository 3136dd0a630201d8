/*
 * hook_secret - each app's webhook secret, in Secrets Manager under berth/hooks/{app}, cached.
 *
 * The cache keeps AWSCURRENT and, for HOOK_SECRET_OVERLAP_MS after that was made, AWSPREVIOUS. A failed match may refresh an app's entry at most once per HOOK_SECRET_REFRESH_MS, so
 * strangers can't drive calls; one call at a time per app, others use what is there. Safe from any thread.
 */
#ifndef BERTH_TENANT_HOOK_SECRET_H
#define BERTH_TENANT_HOOK_SECRET_H

#include "core/aws/aws.h"

enum {
    HOOK_SECRET_REFRESH_MS = 30000,
    HOOK_SECRET_TTL_MS = 600000,
    HOOK_SECRET_OVERLAP_MS = 24 * 60 * 60 * 1000 /* how long the one before works, from when the new one was made */
};

struct hook_secrets;

struct hook_secrets *hook_secrets_new(struct aws *aws, const struct clock *clock);
void hook_secrets_free(struct hook_secrets *cache);

/*
 * The app's secrets, current first, as copies the caller frees. *previous may become NULL.
 * mismatch: the caller tried what this gave before and it did not match; asks AWS again unless that was done within the interval
 * (*fresh false: nothing newer). ERR_TRANSIENT, ERR_DENIED, ERR_NOT_FOUND as Secrets Manager answered.
 */
int hook_secrets_get(struct hook_secrets *cache, const char *app, bool mismatch, struct secret **current,
                     struct secret **previous, bool *fresh, struct err *e);

/* Stores a fresh random secret for a new app, tagged berth:app. *out: to be shown to the operator once. ERR_CONFLICT when there is one
 * already and replace is false. *old_until_ms: when the one that it replaced ends, since 1970, by clock; 0: there was none. A responder that has read both
 * keeps them for HOOK_SECRET_TTL_MS, so there it may end so much later. */
int hook_secret_create(struct aws *aws, const struct clock *clock, const char *app, bool replace, struct secret **out,
                       int64_t *old_until_ms, struct err *e);

#endif
