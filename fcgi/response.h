/*
 * response - what a handler answers: a status, headers and a body, sent when the handler is done.
 */
#ifndef BERTH_FCGI_RESPONSE_H
#define BERTH_FCGI_RESPONSE_H

#include <stddef.h>

#include "core/base/buf.h"
#include "core/base/json.h"

enum { RESPONSE_HEADERS_MAX = 16 };

struct response_header {
    const char *name;
    const char *value;
};

struct response {
    int status;               /* 200 unless the handler says otherwise */
    const char *content_type; /* NULL: no body */
    struct response_header headers[RESPONSE_HEADERS_MAX];
    size_t header_count;
    struct buf body;
};

void response_init(struct response *response);
void response_free(struct response *response);

/* Both texts must outlive the response (a literal, or in the request's arena). A control character in value is a bug and ends the process. */
void response_header(struct response *response, const char *name, const char *value);

/* The body as JSON; takes value over. Replaces what was there. */
void response_json(struct response *response, int status, json_object *value);

/* {"error":{"code":…,"message":…,"hint":…}}; hint NULL: none. */
void response_error(struct response *response, int status, const char *code, const char *message, const char *hint);

/* The whole answer as CGI text: Status, headers, Content-Length, and the body unless it is of a HEAD. */
void response_write(const struct response *response, bool head, struct buf *out);

const char *response_reason(int status); /* "Not Found" */

#endif
