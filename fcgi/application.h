/*
 * application - the two that berth-fcgi can be.
 *
 * Each opens what its handlers share (pools, caches, templates) and fills *out; application.close frees it. None waits for Postgres: it may come up later.
 */
#ifndef BERTH_FCGI_APPLICATION_H
#define BERTH_FCGI_APPLICATION_H

#include "core/deploy/settings.h"
#include "fcgi/router.h"

int hooks_open(const struct settings *settings, struct application *out, struct err *e); /* hooks.c */
int admin_open(const struct settings *settings, struct application *out, struct err *e); /* admin.c */

#endif
