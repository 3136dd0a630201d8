/*
 * health - is the process alive, and can it do its work?
 *
 * Anyone may ask, and often: the database is looked at once in HEALTH_FRESH_MS at most, over a connection of its own, by one thread; others get what was found
 * last.
 */
#ifndef BERTH_FCGI_HEALTH_H
#define BERTH_FCGI_HEALTH_H

#include "core/tenant/directory.h"
#include "fcgi/request.h"
#include "fcgi/response.h"

enum {
    HEALTH_FRESH_MS = 1000,
    HEALTH_DATABASE_MS = 1000 /* a database that takes longer is not ready */
};

struct health;

/* Borrows directory. conninfo: of the login that the process works under. */
int health_new(const char *conninfo, struct directory *directory, struct health **out, struct err *e);
void health_free(struct health *health); /* NULL is fine */

void health_alive(struct response *response); /* GET /healthz: 200, whatever else is down */
void health_ready(struct health *health,
                  struct response *response); /* GET /readyz: 200, or 503 with the reason in general words */

#endif
