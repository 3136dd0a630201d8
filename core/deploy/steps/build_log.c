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

static int read_page(struct aws *aws, json_object *ask, struct arena *mem, struct log_page *out, struct err *e)
{
    AUTO_JSON json_object *reply = NULL;

    if (aws_call(aws, &LOGS, "GetLogEvents", ask, &reply, e)) {
        if (!err_is(e, "ResourceNotFoundException"))
            return e->code;
        *out = (struct log_page){ 0 };
        return 0;
    }
    read_lines(json_at(reply, "/events"), mem, out);
    out->next = json_find_text(reply, "/nextForwardToken", mem);
    return 0;
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

    return read_page(aws, ask, mem, out, e);
}

static int read_tail(struct aws *aws, const char *app, const char *stream, struct arena *mem, struct log_page *out,
                     struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s, s:s, s:b, s:i}", "logGroupName", name_log_group(mem, app),
                                            "logStreamName", stream, "startFromHead", 0, "limit", LOG_TAIL_LINES);

    return read_page(aws, ask, mem, out, e);
}

int build_log_tail(struct aws *aws, const char *app, const char *build_id, struct arena *mem, struct log_page *out,
                   struct err *e)
{
    return read_tail(aws, app, build_stream(build_id, mem), mem, out, e);
}

int app_log_tail(struct aws *aws, const char *app, const char *task_id, struct arena *mem, struct log_page *out,
                 struct err *e)
{
    return read_tail(aws, app, arena_printf(mem, "%s/%s/%s", LOG_PREFIX_APP, CONTAINER_NAME, task_id), mem, out, e);
}
