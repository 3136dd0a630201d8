/* aws_call, aws_call_paged: what a caller sees of AWS. An exchange (exchange.c) is one request; retry.c says which are sent again. */
#include <string.h>

#include "core/aws/client.h"

/* The headers and body of a call, in its service's protocol. */
static int prepare(const struct aws_service *service, const char *operation, const json_object *ask, struct arena *mem,
                   struct http_header *headers, struct aws_exchange *x, struct err *e)
{
    const char *body = "{}";

    x->headers = headers;
    if (service->protocol == AWS_JSON) {
        headers[0] = (struct http_header){ "Content-Type",
                                           arena_printf(mem, "application/x-amz-json-%s", service->json_version) };
        headers[1] =
            (struct http_header){ "X-Amz-Target", arena_printf(mem, "%s.%s", service->target_prefix, operation) };
        x->header_count = 2;
        if (ask)
            body = json_to_text(ask, mem);
    } else {
        headers[0] = (struct http_header){ "Content-Type", "application/x-www-form-urlencoded; charset=utf-8" };
        x->header_count = 1;
        if (aws_query_body(service, operation, ask, mem, &body, e))
            return e->code;
    }
    x->body = body;
    x->body_len = strlen(body);
    return 0;
}

int aws_call_guarded(struct aws *aws, const struct aws_guard *guard, const struct aws_service *service,
                     const char *operation, json_object *ask, json_object **reply, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct aws_exchange x = { .service = service,
                              .operation = operation,
                              .method = "POST",
                              .path = "/",
                              .query = "",
                              .guard = guard,
                              .once = guard && guard->once };
    struct http_header headers[AWS_OWN_HEADERS_MAX];
    struct http_reply answer;

    if (service->protocol == AWS_REST_XML)
        return err_set(e, ERR_INTERNAL, "%s %s: aws_call has no REST calls, see s3.h", service->signing_name,
                       operation);
    if (aws_endpoint_of(service, aws->region, mem, &x.endpoint, e) ||
        prepare(service, operation, ask, mem, headers, &x, e))
        return e->code;
    if (aws_exchange(aws, &x, mem, &answer, e))
        return e->code;
    return reply ? aws_reply_read(service, operation, &answer, mem, reply, e) : 0;
}

int aws_call(struct aws *aws, const struct aws_service *service, const char *operation, json_object *ask,
             json_object **reply, struct err *e)
{
    return aws_call_guarded(aws, NULL, service, operation, ask, reply, e);
}

static json_object *shallow_copy(const json_object *object)
{
    json_object *copy = json_new_object();

    if (object)
        for (struct json_member m = json_first(object); m.name; m = json_next(m))
            json_put(copy, m.name, json_hold(m.value));
    return copy;
}

static const char *pointer_of(const char *name, struct arena *mem)
{
    return *name == '/' ? name : arena_printf(mem, "/%s", name);
}

static void append_all(json_object *all, const json_object *page, const char *list)
{
    const json_object *items = json_at(page, list);

    for (size_t i = 0; i < json_length(items); i++)
        json_append(all, json_hold(json_item(items, i)));
}

int aws_call_paged(struct aws *aws, const struct aws_service *service, const char *operation, json_object *ask,
                   const char *list, const char *token_out, const char *token_in, json_object **array, struct err *e)
{
    const struct aws_paging paging = { .list = list, .token_out = token_out, .token_in = token_in };

    return aws_call_paged_guarded(aws, NULL, service, operation, ask, &paging, array, e);
}

int aws_call_paged_guarded(struct aws *aws, const struct aws_guard *guard, const struct aws_service *service,
                           const char *operation, json_object *ask, const struct aws_paging *paging,
                           json_object **array, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *page_ask = shallow_copy(ask);
    AUTO_JSON json_object *all = json_new_array();
    const char *token = NULL;

    for (int page = 0; page < AWS_PAGES_MAX; page++) {
        AUTO_JSON json_object *reply = NULL;
        const char *next;

        if (aws_call_guarded(aws, guard, service, operation, page_ask, &reply, e)) {
            /* Only the token differs from the page before, and what it points at may be gone by now: a list begun anew is another one. */
            return token && e->code == ERR_INVALID ? (int)(e->code = ERR_TRANSIENT) : (int)e->code;
        }
        append_all(all, reply, pointer_of(paging->list, mem));
        next = json_find_text(reply, pointer_of(paging->token_out, mem), mem);
        if (!next || !*next || (token && strcmp(next, token) == 0)) {
            *array = json_hold(all);
            return 0;
        }
        token = next; /* the same one again is how CloudWatch Logs says "the end" */
        json_put(page_ask, paging->token_in, json_text(token));
    }
    return err_set(e, ERR_QUOTA, "%s %s: more than %d pages", service->signing_name, operation, AWS_PAGES_MAX);
}
