/*
 * poller - asks AWS for all releases that wait for it together: 100 builds or 10 services a call, so that the number of calls follows what waits, not how
 * many apps there are.
 *
 * One worker of the installation polls at a time, under a lease of its own (table poll_leases); any may take over. A release is asked about each second while it is young,
 * and up to every 15 seconds when it is old. What a poll says is only a hint: it wakes the release, whose own step then looks. When nobody polls, each
 * release looks by itself every PIPELINE_POLLED_WAIT_MS; when AWS refuses to be polled, at once.
 */
#ifndef BERTH_DEPLOY_POLLER_H
#define BERTH_DEPLOY_POLLER_H

#include "core/aws/aws.h"
#include "core/db/db.h"
#include "core/deploy/settings.h"

enum { POLL_BUILDS_MAX = 100, POLL_SERVICES_MAX = 10 }; /* ids a call: BatchGetBuilds, DescribeServices */

struct poller {
    struct db_pool *db; /* the worker login's */
    struct aws *aws;
    const struct settings *settings;
    const char *holder; /* tells this worker from all others */
};

/* Asks about what is due now. *next_ms: until the next round, at most POLL_LOOK_MS. */
enum { POLL_LOOK_MS = 1000 };
int poller_round(const struct poller *poller, int64_t *next_ms, struct err *e);

#endif
