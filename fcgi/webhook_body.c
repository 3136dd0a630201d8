#include "fcgi/webhook_body.h"

static enum webhook_body_result too_large(const struct hooks *hooks, struct err *e)
{
    err_set(e, ERR_QUOTA, "the body is larger than %lld bytes", (long long)hooks->body_max);
    return BODY_TOO_LARGE;
}

static enum webhook_body_result check_length(const struct hooks *hooks, const struct request *request, struct err *e)
{
    if (request->content_length == REQUEST_LENGTH_MALFORMED) {
        err_set(e, ERR_INVALID, "Content-Length is no number");
        return BODY_NOT_AS_SAID;
    }
    return request->content_length > hooks->body_max ? too_large(hooks, e) : BODY_WHOLE;
}

/* A large body waits until few enough others are in memory. */
static bool make_room(struct hooks *hooks, struct webhook_body *body, size_t len, struct err *e)
{
    if (body->large || len <= HOOKS_LARGE_BODY)
        return true;
    if (!gate_enter(hooks->large_bodies, HOOKS_GATE_MS)) {
        err_set(e, ERR_TRANSIENT, "too many large deliveries are being taken in");
        return false;
    }
    body->large = true;
    return true;
}

static enum webhook_body_result add_piece(struct hooks *hooks, struct webhook_body *body, const char *piece, size_t len,
                                          struct err *e)
{
    if (body->bytes.len + len > (size_t)hooks->body_max)
        return too_large(hooks, e);
    if (!make_room(hooks, body, body->bytes.len + len, e))
        return BODY_NO_ROOM;
    buf_add(&body->bytes, piece, len);
    if (body->bytes.failed) {
        err_set(e, ERR_NO_MEMORY, "there is no memory left for the body");
        return BODY_NO_ROOM;
    }
    return BODY_WHOLE;
}

static enum webhook_body_result check_whole(const struct request *request, const struct webhook_body *body,
                                            struct err *e)
{
    if (request->content_length == REQUEST_LENGTH_ABSENT || (size_t)request->content_length == body->bytes.len)
        return BODY_WHOLE;
    err_set(e, ERR_INVALID, "Content-Length says %lld bytes, and %zu came", (long long)request->content_length,
            body->bytes.len);
    return BODY_NOT_AS_SAID;
}

enum webhook_body_result webhook_body_read(struct hooks *hooks, struct request *request, const struct secret *current,
                                           const struct secret *previous, struct webhook_body *body, struct err *e)
{
    AUTO_HASH struct hash *with_current = hash_hmac_new(secret_bytes(current), secret_len(current));
    AUTO_HASH struct hash *with_previous =
        previous ? hash_hmac_new(secret_bytes(previous), secret_len(previous)) : NULL;
    char *piece = arena_alloc(request->mem, REQUEST_PIECE);
    size_t got = 1;

    enum webhook_body_result result = check_length(hooks, request, e);
    while (result == BODY_WHOLE && got > 0) {
        if (request_read(request, piece, REQUEST_PIECE, &got, e))
            return err_may_retry(e) ? BODY_SLOW : BODY_NOT_AS_SAID;
        hash_add(with_current, piece, got);
        if (with_previous)
            hash_add(with_previous, piece, got);
        result = add_piece(hooks, body, piece, got, e);
    }
    if (result != BODY_WHOLE)
        return result;
    hash_end(with_current, body->with_current);
    if (with_previous)
        hash_end(with_previous, body->with_previous);
    return check_whole(request, body, e);
}

void webhook_body_free(struct hooks *hooks, struct webhook_body *body)
{
    buf_free(&body->bytes);
    if (body->large)
        gate_leave(hooks->large_bodies);
}
