/*
 * admin_log - a release's build log on its pages: the end of it, all of it page by page, and what came since.
 */
#ifndef BERTH_FCGI_ADMIN_LOG_H
#define BERTH_FCGI_ADMIN_LOG_H

#include "fcgi/admin.h"
#include "fcgi/log_follow.h"

/* [admin] reads logs with its own AWS client (logs:GetLogEvents). */
int admin_log_open(struct admin *admin, struct err *e);

/* The last lines, for the release's page: {lines: […], next, follow: url or "", note, url, earlier}; false when nothing was built. */
json_object *log_tail_model(struct admin *admin, const struct release *release, struct arena *mem);

/* /apps/{app}/releases/{n}/log?from=1001: one page of all of it. */
admin_model log_model;

/* /apps/{app}/releases/{n}/log.json?from=1001: the lines from there on, as {"lines": [{"n", "at", "text", "bad"}], "next", "complete", "trouble"}; 304 when there are none. */
admin_reply log_reply;

#endif
