#include "core/deploy/steps/failure_notes.h"

#include <string.h>

#include "core/base/text.h"
#include "core/deploy/estate/ownership.h"
#include "core/deploy/steps/log_mask.h"
#include "core/deploy/steps/policies.h"
#include "core/deploy/steps/rollout_reason.h"

/* Not a rule, and not CodeBuild's own word about its phases: what the build itself printed. */
static bool says_something(const char *line)
{
    return line[strspn(line, " \t\r\n-=")] != '\0' && !text_starts(line, "[Container] ");
}

int failure_note_log(struct step_run *run, const char *what, const struct log_page *log, struct err *e)
{
    size_t first = log->count;

    for (int wanted = NOTED_LINES; first > 0 && wanted > 0; first--)
        wanted -= says_something(log->lines[first - 1].text);
    for (size_t i = first; i < log->count; i++)
        if (says_something(log->lines[i].text) && step_note(run, "info", e, "%s: %s", what, log->lines[i].text))
            return e->code;
    return 0;
}

static int note_task(struct step_run *run, const json_object *task, struct err *e)
{
    const json_object *container = item_find(json_at(task, "/containers"), "/name", CONTAINER_NAME);
    const char *arn = json_find_text(task, "/taskArn", run->mem);
    const char *slash = arn ? strrchr(arn, '/') : NULL;
    const char *why = json_find_text(task, "/stoppedReason", run->mem);
    const char *detail = json_find_text(container, "/reason", run->mem);
    int64_t exit_code = json_find_int(container, "/exitCode", -1);
    const char *code = exit_code >= 0 ? arena_printf(run->mem, ", exit code %lld", (long long)exit_code) : "";

    return step_note(run, "info", e, "Task %.8s stopped: %s%s%s%s", slash ? slash + 1 : "?",
                     log_mask(run->mem, why ? why : "ECS gave no reason"), code, detail ? ", " : "",
                     detail ? log_mask(run->mem, detail) : "");
}

int failure_note_tasks(struct step_run *run, const json_object *tasks, struct err *e)
{
    int noted = 0;

    for (size_t i = 0; i < json_length(json_at(tasks, "/tasks")) && noted < NOTED_TASKS; i++) {
        const json_object *task = json_item(json_at(tasks, "/tasks"), i);
        const char *definition = json_find_text(task, "/taskDefinitionArn", run->mem);
        if (!definition || strcmp(definition, run->release.task_definition_arn) != 0 || !rollout_task_tells(task))
            continue;
        if (note_task(run, task, e))
            return e->code;
        noted++;
    }
    return 0;
}
