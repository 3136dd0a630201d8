#include "core/deploy/steps/build_log.h"

#include <string.h>

#include "core/deploy/steps/log_mask.h"
#include "core/deploy/steps/policies.h"
#include "core/tenant/names.h"

enum { LOG_PAGE_LINES = 1000 };

static void read_lines(const json_object *events, struct arena *mem, struct log_page *out)
{
    out->count = json_length(events);
    out->lines = arena_array(mem, out->count, sizeof *out->lines);
    for (size_t i = 0; i < out->count; i++) {
        const json_object *event = json_item(events, i);
        const char *text = json_find_text(event, "/message", mem);
        out->lines[i] = (struct log_line){ .at_ms = json_find_int(event, "/timestamp", 0),
                                           .text = log_mask(mem, text ? text : "") };
    }
}

static void read_page(const json_object *reply, struct arena *mem, struct log_page *out)
{
    read_lines(json_at(reply, "/events"), mem, out);
    out->next = json_find_text(reply, "/nextForwardToken", mem);
}

/* A stream that isn't there yet is an empty one. */
static int read_none(struct log_page *out, const struct err *e)
{
    *out = (struct log_page){ 0 };
    return err_is(e, "ResourceNotFoundException") ? 0 : (int)e->code;
}

static const char *build_stream(const char *build_id, struct arena *mem)
{
    const char *uuid = strrchr(build_id, ':');

    return arena_printf(mem, "%s/%s", LOG_PREFIX_BUILD, uuid ? uuid + 1 : build_id);
}

int build_log_read(struct aws *aws, const char *app, const char *build_id, const char *from, struct arena *mem,
                   struct log_page *out, struct err *e)
{
    AUTO_JSON json_object *ask =
        json_build("{s:s, s:s, s:b, s:i, s:s}", "logGroupName", name_log_group(mem, app), "logStreamName",
                   build_stream(build_id, mem), "startFromHead", 1, "limit", LOG_PAGE_LINES, "nextToken", from);
    AUTO_JSON json_object *reply = NULL;

    if (aws_call(aws, &LOGS, "GetLogEvents", ask, &reply, e))
        return read_none(out, e);
    read_page(reply, mem, out);
    return 0;
}

static int read_tail(struct step_run *run, const char *stream, struct log_page *out, struct err *e)
{
    AUTO_JSON json_object *ask =
        json_build("{s:s, s:s, s:b, s:i}", "logGroupName", name_log_group(run->mem, run->app.name), "logStreamName",
                   stream, "startFromHead", 0, "limit", LOG_TAIL_LINES);
    AUTO_JSON json_object *reply = NULL;

    if (step_read(run, &LOGS, "GetLogEvents", ask, &reply, e))
        return read_none(out, e);
    read_page(reply, run->mem, out);
    return 0;
}

int build_log_tail(struct step_run *run, const char *build_id, struct log_page *out, struct err *e)
{
    return read_tail(run, build_stream(build_id, run->mem), out, e);
}

int app_log_tail(struct step_run *run, const char *task_id, struct log_page *out, struct err *e)
{
    return read_tail(run, arena_printf(run->mem, "%s/%s/%s", LOG_PREFIX_APP, CONTAINER_NAME, task_id), out, e);
}
