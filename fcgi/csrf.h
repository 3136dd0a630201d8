/*
 * csrf - the token that a form carries so that only a page of ours can have sent it.
 *
 * There is no session: it is an HMAC-SHA256 over who is signed in, the form's name and when it expires, under a key that all responders of an installation share
 * (table admin_keys). Where the browser tells where a request comes from, that is checked besides.
 */
#ifndef BERTH_FCGI_CSRF_H
#define BERTH_FCGI_CSRF_H

#include "core/base/secret.h"
#include "fcgi/request.h"

enum { CSRF_KEY_SIZE = 32, CSRF_LIFE_MS = 12 * 60 * 60 * 1000 };

enum csrf_verdict {
    CSRF_VALID,
    CSRF_EXPIRED, /* ours, for this user and this form, but the page was open for too long */
    CSRF_WRONG    /* absent, another user's, another form's, or made up */
};

const char *csrf_token(const struct secret *key, const char *user, const char *form, int64_t now_ms, struct arena *mem);
enum csrf_verdict csrf_check(const struct secret *key, const char *user, const char *form, const char *token,
                             int64_t now_ms);

/* Sec-Fetch-Site is the browser's own word: only same-origin will do. Without it Origin must name the host that was asked. Neither: no browser of today; the token decides. */
bool csrf_is_same_origin(struct request *request);

#endif
