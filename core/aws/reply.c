/* A reply's body as JSON, without the protocol's wrappers. */
#include <string.h>

#include "core/aws/client.h"
#include "core/base/xml.h"

/*
 * Logs are anyone's bytes, and a \u0000 among them would make the whole reply unreadable (see json.h): it becomes U+FFFD, which is what
 * readers show for what can't be shown.
 */
static char *without_nul(const struct http_reply *reply, struct arena *mem)
{
    char *text = arena_copy_n(mem, reply->body, reply->body_len);

    for (char *at = text; (at = strchr(at, '\\')) && at[1];) {
        if (strncmp(at, "\\u0000", 6) == 0)
            memcpy(at, "\\ufffd", 6);
        at += 2;
    }
    return text;
}

static int read_json(const struct http_reply *reply, struct arena *mem, json_object **out, struct err *e)
{
    const char *body = strstr(reply->body, "\\u0000") ? without_nul(reply, mem) : reply->body;

    if (reply->body_len == 0) {
        *out = json_new_object();
        return 0;
    }
    return json_parse(body, reply->body_len, out, e);
}

/* <XResponse><XResult>...</XResult><ResponseMetadata/></XResponse>; EC2 has no XResult. */
static int read_xml(const struct aws_service *service, const char *operation, const struct http_reply *reply,
                    struct arena *mem, json_object **out, struct err *e)
{
    AUTO_JSON json_object *whole = NULL;
    json_object *inner;

    if (xml_to_json(reply->body, reply->body_len, &whole, e))
        return e->code;
    inner = json_first(whole).value;
    if (service->protocol == AWS_QUERY)
        inner = json_at(inner, arena_printf(mem, "/%sResult", operation));
    *out = json_is_object(inner) ? json_hold(inner) : json_new_object();
    return 0;
}

int aws_reply_read(const struct aws_service *service, const char *operation, const struct http_reply *reply,
                   struct arena *mem, json_object **out, struct err *e)
{
    int failure = service->protocol == AWS_JSON ? read_json(reply, mem, out, e)
                                                : read_xml(service, operation, reply, mem, out, e);

    if (!failure)
        return 0;
    /* A proxy's page, or half a reply: what was asked may have happened all the same. */
    err_context(e, "%s %s: the reply (HTTP %d, request %s) can't be read", service->signing_name, operation,
                reply->status, aws_request_id(reply));
    return e->code = ERR_TRANSIENT;
}
