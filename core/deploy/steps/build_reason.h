/*
 * build_reason - why a build failed, for the person who pushed: from the build as CodeBuild describes it and the end of its log.
 *
 * Pure. Sets e to ERR_INVALID with one sentence that says in which phase it stopped and the line that says why, and a hint that can be followed now.
 */
#ifndef BERTH_DEPLOY_BUILD_REASON_H
#define BERTH_DEPLOY_BUILD_REASON_H

#include "core/base/json.h"
#include "core/deploy/steps/build_log.h"

struct build_subject {
    const char *app;
    int release;
    const char *repository; /* "acme/shop" */
};

enum { BUILD_QUOTE_MAX = 400 }; /* bytes of a line that are quoted */
int build_reason(const struct build_subject *subject, const json_object *build, const struct log_page *log,
                 struct err *e);

/* What is said where a build that has ended has no line in CloudWatch Logs. */
#define BUILD_LOG_GONE "CloudWatch Logs has no log of this build: it wrote none, or its time there is over"

/* Whether a line of a log, read by itself, is one that says why something stopped: "#8 1.02 npm ERR! ...", "fatal: ...". For marking lines on a page. */
bool build_line_blames(const char *line);

/* The line as its command printed it: without BuildKit's "#8 1.023 " before it. */
const char *build_line_text(const char *line);

/* Lines of CodeBuild's own agent: "[Container] 2026/06/15 14:23:40 Entering phase BUILD". */
bool build_line_is_agents(const char *line);

#endif
