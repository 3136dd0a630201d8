/*
 * webhook_body - a delivery's body, read and proven.
 *
 * The HMAC runs while the body comes in; nothing is parsed, and nothing of it trusted, before it matches. Room grows with what came, never with what
 * Content-Length promises.
 */
#ifndef BERTH_FCGI_WEBHOOK_BODY_H
#define BERTH_FCGI_WEBHOOK_BODY_H

#include "core/base/buf.h"
#include "core/base/hash.h"
#include "core/base/secret.h"
#include "fcgi/hooks.h"

struct webhook_body {
    struct buf bytes;
    bool large; /* has passed hooks->large_bodies */
    uint8_t with_current[HASH_SIZE];
    uint8_t with_previous[HASH_SIZE]; /* of use only when there is a previous secret */
};

enum webhook_body_result {
    BODY_WHOLE,
    BODY_TOO_LARGE,   /* more than hooks->body_max, said or sent */
    BODY_NOT_AS_SAID, /* Content-Length is no number, or another one than came, or the body was cut off */
    BODY_SLOW,        /* it stopped coming */
    BODY_NO_ROOM      /* too many large ones at once */
};

/* previous may be NULL. e: why, unless BODY_WHOLE. */
enum webhook_body_result webhook_body_read(struct hooks *hooks, struct request *request, const struct secret *current,
                                           const struct secret *previous, struct webhook_body *body, struct err *e);
void webhook_body_free(struct hooks *hooks, struct webhook_body *body);

#endif
