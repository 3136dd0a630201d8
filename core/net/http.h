/*
 * http - one HTTP exchange, behind a function pointer so that tests own the transport.
 *
 * http_curl is the real transport, over libcurl: HTTP/1.1 and TLS with the system's trust, no redirects followed, no header
 * added that the caller didn't give (but Host, Content-Length), only http and https, reply size bounded, connections kept and reused
 * per thread. A reply with any status is a success here; what a status means is the caller's affair.
 * Errors: ERR_TRANSIENT (could not connect, timed out, cut off; detail is curl's name of it), ERR_INVALID (URL, TLS trust, a control character
 * in a header), ERR_QUOTA (reply larger than allowed). Their texts never hold a URL's query: presigned links keep their signature there.
 * A proxy is taken from the standard environment (https_proxy, no_proxy).
 */
#ifndef BERTH_NET_HTTP_H
#define BERTH_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/err.h"

enum {
    HTTP_REPLY_MAX = 16 * 1024 * 1024,
    HTTP_HEADERS_MAX = 128,
    HTTP_HEADER_BYTES_MAX = 64 * 1024,
    HTTP_TIMEOUT_MS = 30000,
    HTTP_CONNECT_TIMEOUT_MS = 5000,
    HTTP_SILENCE_MS = 30000 /* no byte either way for so long ends any exchange, whatever its timeout */
};

struct http_header {
    const char *name;
    const char *value;
};

struct http_request {
    const char *method; /* "GET", "HEAD", "POST", "PUT", "DELETE" */
    const char *url;    /* absolute, already encoded; sent exactly so */
    const struct http_header *headers;
    size_t header_count;
    const void *body; /* NULL: none */
    size_t body_len;
    int timeout_ms; /* whole exchange; 0: HTTP_TIMEOUT_MS. With a sink: longest silence instead */
    bool once; /* sent at most once: on a connection of its own, since libcurl sends again what a kept one swallowed */
    size_t reply_max; /* bytes kept of the reply's body; 0: HTTP_REPLY_MAX */
    /* When set, a 2xx reply's body is handed on piece by piece instead of being kept; non-zero (an err_code set in e) aborts. */
    int (*sink)(void *context, const void *bytes, size_t len, struct err *e);
    void *sink_context;
};

struct http_reply {
    int status;
    const struct http_header *headers; /* names in lower case */
    size_t header_count;
    const char *body; /* NUL-terminated; "" when none */
    size_t body_len;
};

struct http {
    int (*send)(void *context, const struct http_request *request, struct arena *mem, struct http_reply *reply,
                struct err *e);
    void *context;
};

const char *http_reply_header(const struct http_reply *reply, const char *name); /* NULL: absent */

/* The real transport; one per process, safe from any thread. user_agent is sent with each request. */
struct http_curl;
int http_curl_new(const char *user_agent, struct http_curl **out, struct err *e);
struct http http_curl_transport(struct http_curl *curl);
void http_curl_free(struct http_curl *curl);

/* Percent-encodes everything but unreserved characters (RFC 3986); keep_slash leaves '/' as it is. */
char *http_encode(struct arena *mem, const char *text, bool keep_slash);

/* A URL as it may be shown: without user, password and query. */
char *http_url_shown(struct arena *mem, const char *url);

#endif
