#include "core/deploy/steps/rollout_reason.h"

#include <string.h>

#include "core/base/text.h"
#include "core/deploy/estate/ownership.h"
#include "core/deploy/steps/log_mask.h"
#include "core/deploy/steps/policies.h"

enum { QUOTE_MAX = 400, KILLED = 137 };

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

bool rollout_task_tells(const json_object *task)
{
    AUTO_ARENA struct arena *mem = arena_new();
    const char *code = or_empty(json_find_text(task, "/stopCode", mem));
    const char *reason = or_empty(json_find_text(task, "/stoppedReason", mem));

    if (strcmp(code, "ServiceSchedulerInitiated") == 0)
        return text_starts(reason, "Task failed");
    return strcmp(code, "UserInitiated") != 0 && *reason;
}

static const char *last_line(const struct log_page *log)
{
    for (size_t i = log->count; i-- > 0;)
        if (*log->lines[i].text)
            return log->lines[i].text;
    return NULL;
}

/* The hint, and after it what visitors notice. */
static int advise(const struct rollout_failure *failure, struct err *e, const char *what_to_do)
{
    if (failure->live_release > 0)
        return err_hint(e, "%s v%d is still live: visitors saw nothing.", what_to_do, failure->live_release);
    return err_hint(e, "%s Nothing of this app is live yet.", what_to_do);
}

static int say_out_of_memory(const struct rollout_failure *failure, struct arena *mem, struct err *e)
{
    err_set(e, ERR_INVALID, "The rollout stopped: the app needed more than its %d MiB of memory and was ended",
            failure->app->memory_mib);
    return advise(failure, e,
                  arena_printf(mem, "Give %s more memory, or make it need less, and push again.", failure->app->name));
}

static int say_exit(const struct rollout_failure *failure, int64_t exit_code, struct arena *mem, struct err *e)
{
    const char *line = last_line(&failure->log);

    if (line)
        err_set(e, ERR_INVALID, "The rollout stopped: the app ended by itself with exit code %lld, saying: %.*s",
                (long long)exit_code, QUOTE_MAX, line);
    else
        err_set(e, ERR_INVALID,
                "The rollout stopped: the app ended by itself with exit code %lld, and its log is empty",
                (long long)exit_code);
    return advise(failure, e,
                  arena_printf(mem,
                               "Run the image with PORT=%d where you work to see the same, repair it and push again.",
                               failure->app->port));
}

static int say_unhealthy(const struct rollout_failure *failure, struct arena *mem, struct err *e)
{
    const char *said = failure->health ? arena_printf(mem, " (the load balancer says: %s)", failure->health) : "";

    err_set(e, ERR_INVALID,
            "The rollout stopped: the app runs, but doesn't answer GET %s on port %d with a status of 200 to 399%s",
            failure->app->health_check_path, failure->app->port, said);
    return advise(failure, e,
                  arena_printf(mem,
                               "Let it listen on 0.0.0.0 and the port in PORT (%d), and answer GET %s within 5 seconds "
                               "and within a minute of its start; then push again.",
                               failure->app->port, failure->app->health_check_path));
}

static int say_not_started(const struct rollout_failure *failure, const char *reason, struct err *e)
{
    err_set(e, ERR_INVALID, "The rollout stopped: the app's tasks could not start: %.*s", QUOTE_MAX, reason);
    if (strstr(reason, "CannotPull") || strstr(reason, "ResourceInitializationError"))
        return advise(failure, e,
                      "The operator should see whether the tasks' subnets reach ECR, CloudWatch Logs and "
                      "Secrets Manager (public addresses, NAT or endpoints); then push again.");
    return advise(failure, e, "Push again; if it stays, show this to the operator.");
}

static int say_task(const struct rollout_failure *failure, struct arena *mem, struct err *e)
{
    const json_object *container = item_find(json_at(failure->task, "/containers"), "/name", CONTAINER_NAME);
    const char *container_reason = or_empty(json_find_text(container, "/reason", mem));
    const char *code = or_empty(json_find_text(failure->task, "/stopCode", mem));
    const char *reason = log_mask(mem, or_empty(json_find_text(failure->task, "/stoppedReason", mem)));
    int64_t exit_code = json_find_int(container, "/exitCode", -1);

    if (strstr(container_reason, "OutOfMemory") || (exit_code == KILLED && strstr(reason, "OutOfMemory")))
        return say_out_of_memory(failure, mem, e);
    if (strcmp(code, "EssentialContainerExited") == 0 && exit_code >= 0)
        return say_exit(failure, exit_code, mem, e);
    if (strstr(reason, "health check"))
        return say_unhealthy(failure, mem, e);
    return say_not_started(failure, reason, e);
}

int rollout_reason(const struct rollout_failure *failure, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();

    if (failure->task)
        return say_task(failure, mem, e);
    if (failure->health)
        return say_unhealthy(failure, mem, e);
    err_set(e, ERR_INVALID, "The rollout stopped: %.*s", QUOTE_MAX,
            failure->said ? failure->said : "Amazon ECS gave no reason");
    return advise(failure, e, "Push again; if it stays, show this to the operator.");
}
