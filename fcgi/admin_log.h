/*
 * admin_log - a release's build log on its pages: the end of it, all of it page by page, and what came since.
 *
 * Lines have numbers, the log's first is 1, and anchors by them (#L211); the numbers are the same at every responder. Lines that say why the build stopped are marked.
 */
#ifndef BERTH_FCGI_ADMIN_LOG_H
#define BERTH_FCGI_ADMIN_LOG_H

#include "fcgi/admin.h"
#include "fcgi/log_follow.h"

/* [admin] reads logs with its own AWS client (logs:GetLogEvents). */
int admin_log_open(struct admin *admin, struct err *e);

/*
 * The last lines, for the release's page: {lines, told: "The last 200 of 219 lines", note, url, follow: url of what comes next, "" when nothing does}; false when nothing
 * was built. *evidence: number of the line that the failure speaks of; 0: none is among them.
 */
json_object *log_tail_model(struct admin *admin, const struct release *release, struct arena *mem, int64_t *evidence);

/* How far the log is read, for the version of a page that shows its end: changes when it is all there, and when it can't be read. Lines that come meanwhile have log_reply. */
const char *log_version(struct admin *admin, const struct release *release, struct arena *mem);

/* /apps/{app}/releases/{n}/log?from=401: one page of all of it. */
admin_model log_model;

/*
 * /apps/{app}/releases/{n}/log.json?from=401&build=...: the lines from there on, as {build, lines: [{n, look, text}], next, complete, note}; 304 when that version is known.
 * `next` is where to go on, `look` the class of the line, `note` what a reader should know. When the release is built anew meanwhile, `build` is another one and the lines are from the first.
 */
admin_reply log_reply;

bool log_is_line_number(const char *text);
bool log_is_build(const char *text);

#endif
