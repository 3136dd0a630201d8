#include "fcgi/response.h"

#include <string.h>

#include "core/base/fatal.h"
#include "core/base/text.h"

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    { 200, "OK" },
    { 202, "Accepted" },
    { 303, "See Other" },
    { 304, "Not Modified" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 413, "Content Too Large" },
    { 415, "Unsupported Media Type" },
    { 422, "Unprocessable Content" },
    { 429, "Too Many Requests" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
};

const char *response_reason(int status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Unknown";
}

void response_init(struct response *response)
{
    *response = (struct response){ .status = 200 };
}

void response_free(struct response *response)
{
    buf_free(&response->body);
}

void response_header(struct response *response, const char *name, const char *value)
{
    if (response->header_count == RESPONSE_HEADERS_MAX)
        fatal("a response has too many headers");
    if (text_has_control(value, strlen(value)))
        fatal("a response header holds a control character");
    response->headers[response->header_count++] = (struct response_header){ name, value };
}

void response_json(struct response *response, int status, json_object *value)
{
    AUTO_JSON json_object *owned = value;

    response->status = status;
    response->content_type = "application/json";
    buf_clear(&response->body);
    json_write(owned, &response->body);
    buf_add_char(&response->body, '\n');
}

void response_error(struct response *response, int status, const char *code, const char *message, const char *hint)
{
    response_json(response, status,
                  json_build("{s:{s:s, s:s, s:s}}", "error", "code", code, "message", message, "hint", hint));
}

void response_write(const struct response *response, bool head, struct buf *out)
{
    buf_printf(out, "Status: %d %s\r\n", response->status, response_reason(response->status));
    if (response->content_type)
        buf_printf(out, "Content-Type: %s\r\n", response->content_type);
    for (size_t i = 0; i < response->header_count; i++)
        buf_printf(out, "%s: %s\r\n", response->headers[i].name, response->headers[i].value);
    if (response->status != 304)
        buf_printf(out, "Content-Length: %zu\r\n", response->body.len);
    buf_add_text(out, "\r\n");
    if (!head)
        buf_add(out, response->body.data, response->body.len);
}
