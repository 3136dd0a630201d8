/* One signed exchange: sign, send, and again where that helps. */
#include <string.h>

#include "core/aws/client.h"
#include "core/aws/sigv4.h"
#include "core/base/log.h"

/* Host, X-Amz-Date, X-Amz-Security-Token, X-Amz-Content-Sha256, Authorization */
enum { HEADERS_MAX = AWS_OWN_HEADERS_MAX + 5 };

struct signed_request {
    struct http_header headers[HEADERS_MAX];
    size_t header_count;
    struct sigv4_scope scope;
    int64_t signed_ms;
    char payload_hash[HASH_HEX_SIZE];
};

static void add_header(struct signed_request *out, const char *name, const char *value)
{
    out->headers[out->header_count++] = (struct http_header){ name, value };
}

static void sign(const struct aws *aws, const struct aws_exchange *x, const char *path, struct arena *mem,
                 struct signed_request *out)
{
    bool s3 = x->service->protocol == AWS_REST_XML;
    struct sigv4_style style = { .normalize_path = !s3, .double_encode_path = !s3 };

    out->header_count = 0;
    out->signed_ms = aws_now_ms(aws);
    clock_format_amz(out->signed_ms, out->scope.amz_date);
    add_header(out, "Host", x->endpoint.host);
    add_header(out, "X-Amz-Date", out->scope.amz_date);
    if (s3)
        add_header(out, "X-Amz-Content-Sha256", out->payload_hash);
    if (aws->session_token)
        add_header(out, "X-Amz-Security-Token", secret_bytes(aws->session_token));
    for (size_t i = 0; i < x->header_count && i < AWS_OWN_HEADERS_MAX; i++)
        out->headers[out->header_count++] = x->headers[i];

    struct sigv4_request request = { x->method, path, x->query, out->headers, out->header_count, out->payload_hash };
    add_header(out, "Authorization",
               sigv4_authorization(mem, &request, style, &out->scope, aws->access_key_id, aws->secret_access_key));
}

static int timeout_of(const struct aws_exchange *x)
{
    int timeout_ms = x->timeout_ms ? x->timeout_ms : AWS_CALL_TIMEOUT_MS;

    if (x->guard && x->guard->timeout_max_ms && timeout_ms > x->guard->timeout_max_ms)
        return x->guard->timeout_max_ms;
    return timeout_ms;
}

static int send_once(struct aws *aws, const struct aws_exchange *x, struct signed_request *request, struct arena *mem,
                     struct http_reply *reply, struct err *e)
{
    const char *path = arena_printf(mem, "%s%s", x->endpoint.prefix, x->path);
    const char *url =
        arena_printf(mem, "%s://%s%s%s%s", x->endpoint.scheme, x->endpoint.host, path, *x->query ? "?" : "", x->query);
    struct http_request http;
    int failure;

    sign(aws, x, path, mem, request);
    http = (struct http_request){ .method = x->method,
                                  .url = url,
                                  .headers = request->headers,
                                  .header_count = request->header_count,
                                  .body = x->body,
                                  .body_len = x->body_len,
                                  .timeout_ms = timeout_of(x),
                                  .once = x->once };
    if (x->guard && x->guard->may_send(x->guard->context, http.timeout_ms, e))
        return e->code;
    failure = aws->transport.send(aws->transport.context, &http, mem, reply, e);
    if (aws->observer)
        aws->observer(aws->observer_context, x->service->signing_name, x->operation, failure ? 0 : reply->status);
    return failure ? err_context(e, "%s %s", x->service->signing_name, x->operation) : 0;
}

static void log_call(const struct aws *aws, const struct aws_exchange *x, const struct http_reply *reply, int64_t start,
                     int tries)
{
    log_event(LOG_DEBUG, "aws call", log_text("service", x->service->signing_name), log_text("operation", x->operation),
              log_int("status", reply ? reply->status : 0), log_int("ms", clock_monotonic_ms(aws->clock) - start),
              log_int("tries", tries), log_text("aws_request_id", reply ? aws_request_id(reply) : NULL));
}

/* Sends once and says what came of it. *reply_came: there is a reply, be it an error's. */
static int attempt(struct aws *aws, const struct aws_exchange *x, struct signed_request *request,
                   struct aws_attempts *attempts, struct arena *mem, struct http_reply *reply, struct err *e)
{
    struct aws_fault fault;
    bool success;

    for (;;) {
        *reply = (struct http_reply){ 0 };
        attempts->made++;
        if (send_once(aws, x, request, mem, reply, e))
            return e->code;
        success = reply->status >= 200 && reply->status < 300;
        if (success && !x->error_in_success)
            return 0;
        fault = aws_fault_read(x->service, reply, mem);
        if (success && !*fault.code)
            return 0;
        if (!aws_clock_correct(aws, attempts, request->signed_ms, reply, fault.code))
            return aws_fault_err(x, &fault, success ? 500 : reply->status, e);
    }
}

/* Of a failure other than for the rate nobody knows whether it was carried out. */
static bool may_repeat(const struct aws_exchange *x, const struct err *e)
{
    return !x->once || e->code == ERR_THROTTLED;
}

int aws_exchange(struct aws *aws, const struct aws_exchange *x, struct arena *mem, struct http_reply *reply,
                 struct err *e)
{
    int64_t start = clock_monotonic_ms(aws->clock);
    struct aws_attempts attempts = { 0 };
    struct signed_request request = { 0 };
    struct http_reply last;
    uint8_t digest[HASH_SIZE];
    int failure;

    request.scope.region = x->endpoint.region;
    request.scope.service = x->service->signing_name;
    hash_sha256(x->body ? x->body : "", x->body ? x->body_len : 0, digest);
    hash_hex(digest, sizeof digest, request.payload_hash);
    do
        failure = attempt(aws, x, &request, &attempts, mem, &last, e);
    while (failure && may_repeat(x, e) && aws_retry(aws, &attempts, last.status ? &last : NULL, e));
    log_call(aws, x, last.status ? &last : NULL, start, attempts.made);
    if (failure)
        return attempts.made > 1 ? err_context(e, "after %d tries", attempts.made) : failure;
    aws_retry_succeeded(aws, &attempts);
    *reply = last;
    return 0;
}
