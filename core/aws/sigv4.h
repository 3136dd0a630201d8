/*
 * sigv4 - AWS Signature Version 4, its stages exposed so that each can be tested.
 *
 * Source: "Create a signed AWS API request" in the AWS IAM User Guide. Pure: no clock, no environment, no I/O.
 */
#ifndef BERTH_AWS_SIGV4_H
#define BERTH_AWS_SIGV4_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/secret.h"
#include "core/net/http.h"

struct sigv4_request {
    const char *method;
    const char *path;  /* as sent on the wire, already encoded once for S3; raw for others, see path_encoding */
    const char *query; /* after '?', as sent; "" for none */
    const struct http_header *headers; /* all of them are signed; Host must be there */
    size_t header_count;
    const char *payload_hash; /* hex SHA-256 of the body, or "UNSIGNED-PAYLOAD" */
};

struct sigv4_scope {
    const char *region;
    const char *service;
    char amz_date[CLOCK_AMZ_SIZE]; /* 20150830T123600Z */
};

struct sigv4_style {
    bool normalize_path;     /* all but S3: "." and ".." and "//" are resolved */
    bool double_encode_path; /* all but S3: the path is encoded once more */
};

char *sigv4_canonical_request(struct arena *mem, const struct sigv4_request *request, struct sigv4_style style);
char *sigv4_signed_headers(struct arena *mem, const struct sigv4_request *request);
char *sigv4_string_to_sign(struct arena *mem, const char *canonical_request, const struct sigv4_scope *scope);
void sigv4_signature(const struct secret *secret_access_key, const struct sigv4_scope *scope,
                     const char *string_to_sign, char out[HASH_HEX_SIZE]);

/* The value of the Authorization header. */
char *sigv4_authorization(struct arena *mem, const struct sigv4_request *request, struct sigv4_style style,
                          const struct sigv4_scope *scope, const char *access_key_id,
                          const struct secret *secret_access_key);

#endif
