/*
 * POST /hooks/github/{app}, in the order that costs a stranger most and us least: app known, policy, headers, size, HMAC; then parse, and store.
 */
#include <malloc.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/github/signature.h"
#include "core/tenant/limit.h"
#include "fcgi/hooks.h"
#include "fcgi/webhook_body.h"

enum { EVENT_NAME_MAX = 64, DELIVERY_ID_MAX = 64 };

/* One delivery on its way. Each step below returns true to go on; false: it has answered. */
struct call {
    struct hooks *hooks;
    struct request *request;
    struct response *response;
    const char *app;
    struct directory_entry entry;
    const char *event_name;
    const char *delivery_id;
    uint8_t signature[HASH_SIZE];
    struct secret *current, *previous;
    struct webhook_body body;
    struct github_event event;
    const char *outcome; /* for the log: what it came to, or the refusal's code */
    int release;
};

static bool refuse(struct call *call, int status, const char *code, const char *message, const char *hint)
{
    call->outcome = code;
    response_error(call->response, status, code, message, hint);
    return false;
}

/* Not judged, and not stored: whoever sends it should send it again. e goes to the log; the stranger gets general words. */
static bool refuse_for_now(struct call *call, const char *code, const char *message, const struct err *e)
{
    if (e)
        log_err(LOG_ERROR, "a delivery could not be taken in", e, log_text("app", call->app),
                log_text("delivery", call->delivery_id));
    response_header(call->response, "Retry-After", "30");
    return refuse(call, 503, code, message,
                  "Nothing was stored. Redeliver it from the webhook's page on GitHub once berth is well.");
}

/* ---- who is asked, and by what ---- */

static bool find_app(struct call *call)
{
    if (directory_find(call->hooks->directory, call->app, &call->entry)) {
        if (call->entry.policy == WEBHOOK_GITHUB)
            return true;
        return refuse(call, 501, "policy_signed",
                      "This app takes deliveries signed by AWS IAM only, which this version of berth cannot check yet.",
                      "Create the app with --webhook github to deploy by GitHub's own webhook.");
    }
    if (!directory_ready(call->hooks->directory))
        return refuse_for_now(call, "starting", "The apps have not been read from the database yet.", NULL);
    return refuse(call, 404, "unknown_app", "There is no app of this name.",
                  "The webhook's address is the one that `berth apps create` printed.");
}

static bool is_of(const char *text, size_t max, const char *set)
{
    size_t len = text ? strlen(text) : 0;

    return len > 0 && len <= max && strspn(text, set) == len;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool read_ids(struct call *call)
{
    const char *event_name = request_header(call->request, "X-GitHub-Event");
    const char *delivery_id = request_header(call->request, "X-GitHub-Delivery");

    if (!is_of(event_name, EVENT_NAME_MAX, LOWER DIGITS "_"))
        return refuse(call, 400, "bad_event", "The header X-GitHub-Event is missing or is no event's name.",
                      "It has 1 to 64 characters of a-z, 0-9 and _, as GitHub sends it.");
    if (!is_of(delivery_id, DELIVERY_ID_MAX, LOWER UPPER DIGITS "-"))
        return refuse(call, 400, "bad_delivery", "The header X-GitHub-Delivery is missing or is no delivery's id.",
                      "It has 1 to 64 letters, digits and hyphens, as GitHub sends it.");
    call->event_name = event_name;
    call->delivery_id = delivery_id;
    return true;
}

/* The media type, without parameters such as a charset. */
static bool is_media_type(const char *header, const char *type)
{
    size_t len = strlen(type);

    return header && strncasecmp(header, type, len) == 0 && (header[len] == '\0' || strchr("; \t", header[len]));
}

static bool check_content_type(struct call *call)
{
    const char *type = request_header(call->request, "Content-Type");

    if (is_media_type(type, "application/json"))
        return true;
    if (is_media_type(type, "application/x-www-form-urlencoded"))
        return refuse(call, 415, "form_content_type", "The webhook is set to send a form.",
                      "In the webhook's settings on GitHub, set Content type to application/json.");
    return refuse(call, 415, "bad_content_type", "The Content-Type is not application/json.",
                  "In the webhook's settings on GitHub, set Content type to application/json.");
}

static bool read_signature(struct call *call)
{
    const char *header = request_header(call->request, "X-Hub-Signature-256");

    if (!header || *header == '\0')
        return refuse(call, 401, "no_signature", "The header X-Hub-Signature-256 is missing.",
                      "In the webhook's settings on GitHub, paste the secret that `berth apps create` printed.");
    if (!github_signature_parse(header, call->signature))
        return refuse(call, 401, "bad_signature",
                      "The header X-Hub-Signature-256 is not \"sha256=\" and 64 hexadecimal digits.", NULL);
    return true;
}

/* ---- the proof ---- */

static bool get_secrets(struct call *call, bool mismatch, bool *fresh)
{
    struct secret *current = NULL;
    struct secret *previous = NULL;
    struct err e = { 0 };

    if (hook_secrets_get(call->hooks->secrets, call->app, mismatch, &current, &previous, fresh, &e))
        return refuse_for_now(call, "secret_unavailable", "The app's webhook secret cannot be read at the moment.", &e);
    secret_free(call->current);
    secret_free(call->previous);
    call->current = current;
    call->previous = previous;
    return true;
}

static bool read_body(struct call *call)
{
    struct err e = { 0 };

    switch (webhook_body_read(call->hooks, call->request, call->current, call->previous, &call->body, &e)) {
    case BODY_WHOLE:
        return true;
    case BODY_TOO_LARGE:
        return refuse(call, 413, "too_large", e.message, "GitHub itself sends no delivery of more than 25 MiB.");
    case BODY_NOT_AS_SAID:
        return refuse(call, 400, "bad_body", e.message, NULL);
    case BODY_SLOW:
        return refuse(call, 408, "slow_body", e.message, NULL);
    case BODY_NO_ROOM:
        break;
    }
    return refuse_for_now(call, "busy", "Too many large deliveries are being taken in.", &e);
}

static bool is_signed_by(const struct call *call, const struct secret *secret)
{
    uint8_t mac[HASH_SIZE];

    if (!secret)
        return false;
    hash_hmac(secret_bytes(secret), secret_len(secret), buf_text(&call->body.bytes), call->body.bytes.len, mac);
    return hash_equal(mac, call->signature, HASH_SIZE);
}

/* Both are compared always: how long it takes says nothing of which one it was. */
static bool matches(const struct call *call)
{
    bool current = hash_equal(call->body.with_current, call->signature, HASH_SIZE);
    bool previous = hash_equal(call->body.with_previous, call->signature, HASH_SIZE);

    return current || (call->previous && previous);
}

static bool verify(struct call *call)
{
    bool fresh = false;

    if (matches(call))
        return true;
    if (!get_secrets(call, true, &fresh))
        return false;
    if (fresh && (is_signed_by(call, call->current) || is_signed_by(call, call->previous)))
        return true;
    return refuse(call, 401, "wrong_signature", "The signature does not match the body.",
                  "Check the secret in the webhook's settings on GitHub. If it was changed a moment ago, redeliver in "
                  "half a minute.");
}

/* ---- what it says ---- */

static bool parse(struct call *call)
{
    AUTO_JSON json_object *body = NULL;
    struct err e = { 0 };

    if (json_parse(buf_text(&call->body.bytes), call->body.bytes.len, &body, &e))
        return refuse(call, 400, "bad_json", e.message, NULL);
    if (github_event_read(call->event_name, body, call->request->mem, &call->event, &e))
        return refuse(call, 422, "bad_payload", e.message,
                      "A payload of this event, as GitHub documents it, has other members.");
    path_filter_judge(call->entry.path_filter, body, call->request->mem, &call->event);
    return true;
}

/* A large text becomes a far larger tree, so those take turns. */
static bool read_event(struct call *call)
{
    if (!call->body.large)
        return parse(call);
    if (!gate_enter(call->hooks->large_parses, HOOKS_GATE_MS))
        return refuse_for_now(call, "busy", "Too many large deliveries are being taken in.", NULL);
    bool parsed = parse(call);
    /* glibc would keep the tree's 200 MiB for this thread, and as much for each other thread that ever had such a delivery. */
    malloc_trim(0);
    gate_leave(call->hooks->large_parses);
    return parsed;
}

/* ---- storing it ---- */

static bool refuse_store(struct call *call, const struct err *e)
{
    if (e->code == ERR_TRANSIENT || e->code == ERR_THROTTLED || e->code == ERR_CONFLICT || e->code == ERR_DENIED)
        return refuse_for_now(call, "database_unavailable", "The delivery cannot be stored at the moment.", e);
    log_err(LOG_ERROR, "a delivery could not be stored", e, log_text("app", call->app),
            log_text("delivery", call->delivery_id));
    if (e->code == ERR_INVALID)
        return refuse(call, 422, "bad_payload", "The payload holds a value that cannot be stored.", NULL);
    return refuse(call, 500, "internal", "The delivery could not be stored.", "The responder's log tells more.");
}

/* ---- the answer ---- */

static int status_of(enum intake_outcome outcome)
{
    switch (outcome) {
    case INTAKE_ACCEPTED:
        return 202;
    case INTAKE_LIMITED:
        return 429;
    case INTAKE_OVER_QUOTA:
        return 403;
    default:
        return 200;
    }
}

static void tell_bucket(struct call *call, const struct intake_answer *taken)
{
    struct arena *mem = call->request->mem;
    struct limit_headers headers;

    limit_headers(mem, taken->bucket.burst, taken->bucket.per_hour, taken->bucket.tokens, taken->wait_ms, &headers);
    response_header(call->response, "RateLimit-Policy", headers.policy);
    response_header(call->response, "RateLimit", headers.state);
    response_header(call->response, "RateLimit-Limit", headers.limit);
    response_header(call->response, "RateLimit-Remaining", headers.remaining);
    response_header(call->response, "RateLimit-Reset", headers.reset);
}

/* In whole seconds, rounded up: earlier it would be refused again. */
static void tell_wait(struct call *call, int64_t wait_ms)
{
    int64_t seconds = wait_ms <= 1000 ? 1 : (wait_ms + 999) / 1000;

    response_header(call->response, "Retry-After", arena_printf(call->request->mem, "%lld", (long long)seconds));
}

static void answer(struct call *call, const struct intake_answer *taken)
{
    json_object *body = json_build("{s:s, s:s, s:s, s:s}", "outcome", intake_outcome_name(taken->outcome), "reason",
                                   taken->reason, "hint", taken->hint, "delivery", call->delivery_id);

    if (taken->release > 0)
        json_put(body, "release", json_number(taken->release));
    if (taken->quota.name)
        json_put(body, "quota",
                 json_build("{s:s, s:I, s:I, s:I}", "name", taken->quota.name, "used", taken->quota.used, "limit",
                            taken->quota.limit, "needed", taken->quota.needed));
    if (taken->bucket.burst > 0)
        tell_bucket(call, taken);
    if (taken->outcome == INTAKE_LIMITED || (taken->outcome == INTAKE_OVER_QUOTA && taken->wait_ms >= 0))
        tell_wait(call, taken->wait_ms);
    call->outcome = intake_outcome_name(taken->outcome);
    call->release = taken->release;
    response_json(call->response, status_of(taken->outcome), body);
}

static int take(struct call *call, const struct delivery *delivery, struct intake_answer *out, struct err *e)
{
    if (flood_refuses(call->hooks->flood, delivery, call->request->mem, out))
        return 0;
    if (intake_take(call->hooks->intake, delivery, call->request->mem, out, e))
        return (int)e->code;
    flood_note(call->hooks->flood, delivery, out);
    return 0;
}

static bool store(struct call *call)
{
    uint8_t digest[HASH_SIZE];
    struct intake_answer taken = { 0 };
    struct err e = { 0 };

    hash_sha256(buf_text(&call->body.bytes), call->body.bytes.len, digest);
    struct delivery delivery = {
        .app = call->app,
        .id = call->delivery_id,
        .body = buf_text(&call->body.bytes),
        .body_len = call->body.bytes.len,
        .body_sha256 = digest,
        .event = &call->event,
    };
    if (take(call, &delivery, &taken, &e))
        return refuse_store(call, &e);
    if (taken.outcome == INTAKE_OTHER_REPOSITORY)
        return refuse(call, 422, "other_repository", "The delivery is of another repository than the app's.",
                      "Each app has a webhook of its own, in the repository that it is built from.");
    if (taken.outcome == INTAKE_UNKNOWN)
        return refuse(call, 404, "unknown_app", "There is no app of this name any more.", NULL);
    answer(call, &taken);
    return true;
}

static void log_call(const struct call *call, int64_t started_ms)
{
    /* Strangers decide how many of these there are. */
    enum log_level level = call->response->status == 404 ? LOG_DEBUG : LOG_INFO;
    char app[APP_NAME_MAX * 2];

    text_excerpt(call->app, app, sizeof(app));
    log_event(level, "delivery", log_text("app", app), log_text("delivery", call->delivery_id),
              log_text("github_event", call->event_name), log_int("status", call->response->status),
              log_text("outcome", call->outcome), log_int("release", call->release),
              log_int("bytes", (int64_t)call->body.bytes.len),
              log_int("ms", clock_monotonic_ms(&clock_system) - started_ms));
}

void webhook_take(void *context, struct request *request, struct response *response)
{
    struct call call = {
        .hooks = context, .request = request, .response = response, .app = request_value(request, "app")
    };
    int64_t started_ms = clock_monotonic_ms(&clock_system);
    bool fresh = false;

    response_header(response, "Cache-Control", "no-store");
    if (find_app(&call) && read_ids(&call) && check_content_type(&call) && read_signature(&call) &&
        get_secrets(&call, false, &fresh) && read_body(&call) && verify(&call) && read_event(&call))
        store(&call);
    log_call(&call, started_ms);
    webhook_body_free(call.hooks, &call.body);
    secret_free(call.current);
    secret_free(call.previous);
}
