/* What AWS said about a failure, in each protocol's shape, and the err that a person reads. */
#include <stdio.h>
#include <string.h>

#include "core/aws/client.h"
#include "core/base/text.h"
#include "core/base/xml.h"

enum { WORDS_MAX = 600, CODE_MAX = 100, ID_MAX = 100 };

static const char *excerpt(const char *text, struct arena *mem, size_t most)
{
    char *out = arena_alloc(mem, most);

    text_excerpt(text, out, most);
    return out;
}

static const char *first_text(const json_object *value, const char *const *pointers, struct arena *mem)
{
    for (; *pointers; pointers++) {
        const char *text = json_find_text(value, *pointers, mem);
        if (text && *text)
            return text;
    }
    return "";
}

/* "com.amazonaws.ecs#ClusterNotFoundException:http://..." names its code between # and the first ":" or ";". */
static const char *bare_code(const char *given, struct arena *mem)
{
    const char *hash = strchr(given, '#');
    const char *start = hash ? hash + 1 : given;

    return arena_copy_n(mem, start, strcspn(start, ":;"));
}

static void read_json(const struct http_reply *reply, struct arena *mem, struct aws_fault *out)
{
    static const char *const codes[] = { "/__type", "/code", "/Code", NULL };
    static const char *const messages[] = { "/message", "/Message", "/errorMessage", NULL };
    const char *type = http_reply_header(reply, "x-amzn-errortype");
    const char *query_type = http_reply_header(reply, "x-amzn-query-error");
    AUTO_JSON json_object *body = NULL;
    struct err unread;

    if (json_parse(reply->body, reply->body_len, &body, &unread) == 0 && json_is_object(body)) {
        out->code = bare_code(first_text(body, codes, mem), mem);
        out->message = first_text(body, messages, mem);
    }
    if (type && *type)
        out->code = bare_code(type, mem);
    if (!*out->code && query_type)
        out->code = bare_code(query_type, mem);
}

static void read_xml(const struct http_reply *reply, struct arena *mem, struct aws_fault *out)
{
    static const char *const codes[] = { "/ErrorResponse/Error/Code", "/Response/Errors/Error/Code",
                                         "/Response/Errors/Error/0/Code", "/Error/Code", NULL };
    static const char *const messages[] = { "/ErrorResponse/Error/Message", "/Response/Errors/Error/Message",
                                            "/Response/Errors/Error/0/Message", "/Error/Message", NULL };
    static const char *const ids[] = { "/ErrorResponse/RequestId", "/Response/RequestID", "/Response/RequestId",
                                       "/Error/RequestId", NULL };
    AUTO_JSON json_object *body = NULL;
    struct err unread;

    if (xml_to_json(reply->body, reply->body_len, &body, &unread))
        return;
    out->code = first_text(body, codes, mem);
    out->message = first_text(body, messages, mem);
    if (!*out->request_id)
        out->request_id = first_text(body, ids, mem);
}

const char *aws_request_id(const struct http_reply *reply)
{
    static const char *const names[] = { "x-amzn-requestid", "x-amzn-request-id", "x-amz-request-id", NULL };

    for (const char *const *name = names; *name; name++) {
        const char *id = http_reply_header(reply, *name);
        if (id && *id)
            return id;
    }
    return "";
}

/* AWS adds its canonical request to a refused signature's words, and that holds the session token. */
static const char *safe_words(const char *message, struct arena *mem)
{
    const char *canonical = strstr(message, "The Canonical String");
    char *words = arena_copy_n(mem, message, canonical ? (size_t)(canonical - message) : strlen(message));

    while (*words && strchr(" \r\n", words[strlen(words) - 1]))
        words[strlen(words) - 1] = '\0';
    return excerpt(words, mem, WORDS_MAX);
}

struct aws_fault aws_fault_read(const struct aws_service *service, const struct http_reply *reply, struct arena *mem)
{
    struct aws_fault fault = { .code = "", .message = "", .request_id = aws_request_id(reply), .region = "" };
    const char *region = http_reply_header(reply, "x-amz-bucket-region");

    if (service->protocol == AWS_JSON)
        read_json(reply, mem, &fault);
    else if (reply->body_len > 0)
        read_xml(reply, mem, &fault);
    fault.code = excerpt(fault.code, mem, CODE_MAX);
    fault.request_id = excerpt(fault.request_id, mem, ID_MAX);
    if (region)
        fault.region = excerpt(region, mem, ID_MAX);
    fault.message = safe_words(fault.message, mem);
    return fault;
}

/* "User: arn:... is not authorized to perform: ecs:UpdateService on resource: ..." names the action; else it is the call's own. */
static void hint_permission(const struct aws_exchange *x, const struct aws_fault *fault, struct err *e)
{
    const char *said = strstr(fault->message, "authorized to perform: ");
    char action[ERR_DETAIL_MAX] = "";

    if (said) {
        said += strlen("authorized to perform: ");
        snprintf(action, sizeof action, "%.*s", (int)strcspn(said, " \""), said);
    } else if (x->action) {
        snprintf(action, sizeof action, "%s", x->action);
    } else {
        snprintf(action, sizeof action, "%s:%s", x->service->signing_name, x->operation);
    }
    if (strstr(fault->message, "explicit deny"))
        err_hint(e, "A policy denies %s by an explicit Deny, which no Allow overrides: change that policy.", action);
    else
        err_hint(e, "Allow %s to the identity that berth's AWS credentials belong to.", action);
}

/* A service that lacks a permission of its own ("CodeBuild is not authorized ...") is another matter: its role may be too young. */
static bool user_is_denied(const struct aws_fault *fault)
{
    return text_starts(fault->message, "User: ") && strstr(fault->message, "not authorized to perform: ");
}

static void hint_region(const struct aws_exchange *x, const struct aws_fault *fault, struct err *e)
{
    if (*fault->region)
        err_hint(e, "It is in the region %s: set AWS_REGION to that.", fault->region);
    else
        err_hint(e, "Check that AWS_REGION (%s) is the region where it is.", x->endpoint.region);
}

/* "ecs DescribeServices: ClusterNotFoundException: Cluster not found. (HTTP 400, request 01d3ad25-...)" */
static int say(const struct aws_exchange *x, const struct aws_fault *fault, int status, enum err_code code,
               struct err *e)
{
    const char *words = *fault->message ? fault->message : *fault->code ? "no more was said" : "no reason was given";
    const char *request_id = *fault->request_id ? fault->request_id : "unknown";

    return err_set(e, code, "%s %s: %s%s%s (HTTP %d, request %s)", x->service->signing_name, x->operation, fault->code,
                   *fault->code ? ": " : "", words, status, request_id);
}

/* "Signature expired: …", "Signature not yet current: …": nothing else is wrong with it. */
static bool is_outdated(const struct aws_fault *fault)
{
    return aws_may_be_clock_skew(fault->code, 0) && (text_starts(fault->message, "Signature expired") ||
                                                     text_starts(fault->message, "Signature not yet current"));
}

/* The answer to a HEAD has no body to name a code in. A bucket of another region says so in a header. */
static const char *code_of(const struct aws_exchange *x, const struct aws_fault *fault, int status)
{
    bool elsewhere = *fault->region && strcmp(fault->region, x->endpoint.region) != 0;
    bool wordless = !*fault->code && status == 400 && strcmp(x->method, "HEAD") == 0;

    if (is_outdated(fault))
        return AWS_SIGNATURE_OUTDATED;
    return wordless && !elsewhere ? AWS_HEAD_REFUSED : fault->code;
}

int aws_fault_err(const struct aws_exchange *x, const struct aws_fault *fault, int status, struct err *e)
{
    const char *said = code_of(x, fault, status);
    enum err_code code = user_is_denied(fault) ? ERR_DENIED : aws_classify(said, status);
    const char *hint = aws_code_hint(said);
    char http[32];

    say(x, fault, status, code, e);
    if (hint)
        err_hint(e, "%s", hint);
    else if (code == ERR_DENIED)
        hint_permission(x, fault, e);
    else if (status >= 300 && status < 400)
        hint_region(x, fault, e);
    snprintf(http, sizeof http, "HTTP %d", status);
    return err_detail(e, *said ? said : http);
}
