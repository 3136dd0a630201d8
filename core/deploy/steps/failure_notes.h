/*
 * failure_notes - what the timeline shows of a failure beside the one sentence that ends it: the end of a log, and how the tasks ended. Secrets are masked.
 */
#ifndef BERTH_DEPLOY_FAILURE_NOTES_H
#define BERTH_DEPLOY_FAILURE_NOTES_H

#include "core/deploy/steps/build_log.h"
#include "core/deploy/steps/step.h"

enum { NOTED_LINES = 5, NOTED_TASKS = 3 };

/* The last NOTED_LINES lines that say something, a line of the timeline each: "build log: npm ERR! ...". */
int failure_note_log(struct step_run *run, const char *what, const struct log_page *log, struct err *e);

/* Up to NOTED_TASKS of the release's stopped tasks, as DescribeTasks shows them: why, and with which exit code. */
int failure_note_tasks(struct step_run *run, const json_object *tasks, struct err *e);

#endif
