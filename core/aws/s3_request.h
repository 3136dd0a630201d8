/*
 * s3_request - one S3 request: where a bucket and key are, and the exchange.
 *
 * Private to core/aws.
 */
#ifndef BERTH_AWS_S3_REQUEST_H
#define BERTH_AWS_S3_REQUEST_H

#include "core/aws/client.h"
#include "core/aws/s3.h"

struct s3_request {
    const char *operation;
    const char *action; /* IAM's name of what is asked, "s3:PutObject" */
    const char *method;
    const char *bucket;
    const char *key;   /* NULL: the bucket itself */
    const char *query; /* encoded; NULL: none */
    const char *content_type;
    const void *body;
    size_t body_len;
    int timeout_ms;
    const struct aws_guard *guard; /* NULL: none */
    bool error_in_success;
    bool once; /* see aws_guard */
};

int s3_send(struct aws *aws, const struct s3_request *request, struct arena *mem, struct http_reply *reply,
            struct err *e);
struct s3_object s3_object_read(const struct http_reply *reply, struct arena *mem); /* of the headers */

#endif
