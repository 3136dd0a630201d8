/*
 * hooks - what the handlers of `berth-fcgi --hooks` share.
 */
#ifndef BERTH_FCGI_HOOKS_H
#define BERTH_FCGI_HOOKS_H

#include "core/deploy/intake.h"
#include "core/tenant/directory.h"
#include "core/tenant/hook_secret.h"
#include "fcgi/flood.h"
#include "fcgi/gate.h"
#include "fcgi/health.h"
#include "fcgi/router.h"

enum {
    HOOKS_LARGE_BODY = 1024 * 1024, /* larger ones wait at the gates */
    HOOKS_LARGE_BODIES = 4,         /* held in memory at a time: at most 25 MiB each */
    HOOKS_LARGE_PARSES = 1,         /* parsed at a time: json-c makes about 190 MiB of 25 */
    HOOKS_GATE_MS = 4000,           /* GitHub gives up after 10 s */
    HOOKS_TAKE_MS = 3000,           /* for a database connection */
    HOOKS_STATEMENT_MS = 5000,
    HOOKS_RETRY_AFTER_S = 30
};

struct hooks {
    int64_t body_max;
    struct db_pool *pool;
    struct http_curl *curl;
    struct aws *aws;
    struct directory *directory;
    struct hook_secrets *secrets;
    struct intake *intake;
    struct flood *flood;
    struct gate *large_bodies;
    struct gate *large_parses;
    struct health *health;
};

/* Handlers; context is a struct hooks. */
void webhook_take(void *context, struct request *request, struct response *response); /* POST /hooks/github/{app} */

#endif
