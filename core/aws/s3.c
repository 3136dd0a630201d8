#include "core/aws/s3.h"

#include <string.h>

#include "core/aws/s3_request.h"
#include "core/base/text.h"
#include "core/base/xml.h"

enum { KEY_BYTES_MAX = 1024 }; /* "Naming Amazon S3 objects" */

/* "Bucket naming rules": also keeps a name from becoming another host. */
static bool is_bucket_name(const char *name)
{
    size_t len = strlen(name);

    return len >= 3 && len <= 63 && !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-")] && *name != '.' &&
           *name != '-' && !strstr(name, "..");
}

/* The bucket is part of the host, but for a stand-in's address and where dots would break the certificate's name. */
static void address(const struct s3_request *request, struct arena *mem, struct aws_exchange *x)
{
    const char *key = request->key ? http_encode(mem, request->key, true) : "";

    if (x->endpoint.overridden || strchr(request->bucket, '.')) {
        x->path = arena_printf(mem, "/%s%s%s", request->bucket, request->key ? "/" : "", key);
        return;
    }
    x->endpoint.host = arena_printf(mem, "%s.%s", request->bucket, x->endpoint.host);
    x->path = arena_printf(mem, "/%s", key);
}

static int with_names(const struct s3_request *request, struct err *e)
{
    return request->key ? err_context(e, "s3://%s/%s", request->bucket, request->key)
                        : err_context(e, "s3://%s", request->bucket);
}

int s3_send(struct aws *aws, const struct s3_request *request, struct arena *mem, struct http_reply *reply,
            struct err *e)
{
    struct http_header type = { "Content-Type", request->content_type };
    struct aws_exchange x = { .service = &S3,
                              .operation = request->operation,
                              .action = request->action,
                              .method = request->method,
                              .query = request->query ? request->query : "",
                              .headers = &type,
                              .header_count = request->content_type ? 1 : 0,
                              .body = request->body,
                              .body_len = request->body_len,
                              .timeout_ms = request->timeout_ms,
                              .guard = request->guard,
                              .error_in_success = request->error_in_success,
                              .once = request->once };

    if (!is_bucket_name(request->bucket))
        return err_set(e, ERR_INVALID, "\"%.64s\" isn't the name of an S3 bucket", request->bucket);
    if (request->key && (!*request->key || strlen(request->key) > KEY_BYTES_MAX))
        return err_set(e, ERR_INVALID, "an S3 key has 1 to %d bytes", KEY_BYTES_MAX);
    if (aws_endpoint_of(&S3, aws_region(aws), mem, &x.endpoint, e))
        return e->code;
    address(request, mem, &x);
    return aws_exchange(aws, &x, mem, reply, e) ? with_names(request, e) : 0;
}

struct s3_object s3_object_read(const struct http_reply *reply, struct arena *mem)
{
    const char *length = http_reply_header(reply, "content-length");
    struct s3_object object = { .version_id = arena_copy(mem, http_reply_header(reply, "x-amz-version-id")),
                                .etag = arena_copy(mem, http_reply_header(reply, "etag")) };

    if (length)
        text_parse_int(length, 0, INT64_MAX, &object.bytes);
    return object;
}

int s3_head(struct aws *aws, const char *bucket, const char *key, struct arena *mem, bool *found, struct s3_object *out,
            struct err *e)
{
    struct s3_request request = {
        .operation = "HeadObject", .action = "s3:GetObject", .method = "HEAD", .bucket = bucket, .key = key
    };
    struct http_reply reply;

    if (s3_send(aws, &request, mem, &reply, e)) {
        if (e->code != ERR_NOT_FOUND)
            return e->code;
        *found = false;
        return 0;
    }
    *out = s3_object_read(&reply, mem);
    *found = true;
    return 0;
}

int s3_head_bucket(struct aws *aws, const char *bucket, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct s3_request request = {
        .operation = "HeadBucket", .action = "s3:ListBucket", .method = "HEAD", .bucket = bucket
    };
    struct http_reply reply;

    return s3_send(aws, &request, mem, &reply, e);
}

int s3_delete(struct aws *aws, const struct aws_guard *guard, const char *bucket, const char *key,
              const char *version_id, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct s3_request request = { .operation = "DeleteObject",
                                  .action = version_id ? "s3:DeleteObjectVersion" : "s3:DeleteObject",
                                  .method = "DELETE",
                                  .bucket = bucket,
                                  .key = key,
                                  .guard = guard };
    struct http_reply reply;

    if (version_id)
        request.query = arena_printf(mem, "versionId=%s", http_encode(mem, version_id, false));
    return s3_send(aws, &request, mem, &reply, e);
}

int s3_bucket_versioned(struct aws *aws, const char *bucket, bool *versioned, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *reply_body = NULL;
    struct s3_request request = { .operation = "GetBucketVersioning",
                                  .action = "s3:GetBucketVersioning",
                                  .method = "GET",
                                  .bucket = bucket,
                                  .query = "versioning=" };
    struct http_reply reply;
    const char *status;

    if (s3_send(aws, &request, mem, &reply, e) || xml_to_json(reply.body, reply.body_len, &reply_body, e))
        return e->code;
    status = json_find_text(json_first(reply_body).value, "/Status", mem); /* below the root, whatever it is called */
    *versioned = status && strcmp(status, "Enabled") == 0;
    return 0;
}
