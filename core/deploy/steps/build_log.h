/*
 * build_log - the log lines of an app's build, or of one of its tasks, from CloudWatch Logs; masked (see log_mask.h).
 *
 * Lines go to CloudWatch Logs with a delay of some seconds; a stream that isn't there yet is an empty one.
 */
#ifndef BERTH_DEPLOY_BUILD_LOG_H
#define BERTH_DEPLOY_BUILD_LOG_H

#include "core/deploy/steps/step.h"

struct log_line {
    int64_t at_ms; /* since 1970, UTC */
    const char *text;
};

struct log_page {
    struct log_line *lines;
    size_t count;
    const char *next; /* where to go on; the same as `from` when nothing more is there now. NULL: no such stream */
};

/* A page of a build's log, oldest first; from: NULL to begin, then the page's `next`. build_id: "berth-shop:1a2b…". */
int build_log_read(struct aws *aws, const char *app, const char *build_id, const char *from, struct arena *mem,
                   struct log_page *out, struct err *e);

/* For a step: the last lines of it, at most LOG_TAIL_LINES. */
enum { LOG_TAIL_LINES = 200 };
int build_log_tail(struct step_run *run, const char *build_id, struct log_page *out, struct err *e);

/* The last lines of one task's container. task_id: the end of the task's ARN. */
int app_log_tail(struct step_run *run, const char *task_id, struct log_page *out, struct err *e);

#endif
