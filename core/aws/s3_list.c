/* What a bucket keeps under a prefix. One element of a name is an object in the reply, several are an array: both are read. */
#include <string.h>

#include "core/aws/s3_request.h"
#include "core/base/xml.h"

static int ask(struct aws *aws, struct s3_request *request, const char *query, struct arena *mem, json_object **out,
               struct err *e)
{
    AUTO_JSON json_object *reply_body = NULL;
    struct http_reply reply;

    request->method = "GET";
    request->query = query;
    if (s3_send(aws, request, mem, &reply, e) || xml_to_json(reply.body, reply.body_len, &reply_body, e))
        return e->code;
    *out = json_hold(json_first(reply_body).value); /* below the root, whatever it is called */
    return 0;
}

static size_t count_of(const json_object *found)
{
    return json_is_array(found) ? json_length(found) : json_is_object(found) ? 1 : 0;
}

static const json_object *nth(const json_object *found, size_t n)
{
    return json_is_array(found) ? json_item(found, n) : found;
}

static int keep(const json_object *found, const char *id, struct arena *mem, struct s3_kept *out, size_t *count,
                struct err *e)
{
    for (size_t i = 0; i < count_of(found); i++, (*count)++)
        if (json_read_text(nth(found, i), "/Key", mem, &out[*count].key, e) ||
            json_read_text(nth(found, i), id, mem, &out[*count].id, e))
            return e->code;
    return 0;
}

int s3_list_versions(struct aws *aws, const struct aws_guard *guard, const char *bucket, const char *prefix,
                     struct arena *mem, struct s3_kept **out, size_t *count, struct err *e)
{
    struct s3_request request = {
        .operation = "ListObjectVersions", .action = "s3:ListBucketVersions", .bucket = bucket, .guard = guard
    };
    const char *query =
        arena_printf(mem, "max-keys=%d&prefix=%s&versions=", S3_LIST_MAX, http_encode(mem, prefix, false));
    AUTO_JSON json_object *reply = NULL;
    const json_object *versions, *markers;
    struct s3_kept *kept;
    size_t n = 0;

    if (ask(aws, &request, query, mem, &reply, e))
        return e->code;
    versions = json_at(reply, "/Version");
    markers = json_at(reply, "/DeleteMarker");
    kept = arena_array(mem, count_of(versions) + count_of(markers) + 1, sizeof *kept);
    if (keep(versions, "/VersionId", mem, kept, &n, e) || keep(markers, "/VersionId", mem, kept, &n, e))
        return e->code;
    *out = kept;
    *count = n;
    return 0;
}

int s3_list_uploads(struct aws *aws, const struct aws_guard *guard, const char *bucket, const char *prefix,
                    struct arena *mem, struct s3_kept **out, size_t *count, struct err *e)
{
    struct s3_request request = {
        .operation = "ListMultipartUploads", .action = "s3:ListBucketMultipartUploads", .bucket = bucket, .guard = guard
    };
    const char *query =
        arena_printf(mem, "max-uploads=%d&prefix=%s&uploads=", S3_LIST_MAX, http_encode(mem, prefix, false));
    AUTO_JSON json_object *reply = NULL;
    struct s3_kept *kept;
    size_t n = 0;

    if (ask(aws, &request, query, mem, &reply, e))
        return e->code;
    kept = arena_array(mem, count_of(json_at(reply, "/Upload")) + 1, sizeof *kept);
    if (keep(json_at(reply, "/Upload"), "/UploadId", mem, kept, &n, e))
        return e->code;
    *out = kept;
    *count = n;
    return 0;
}

int s3_abort_upload(struct aws *aws, const struct aws_guard *guard, const char *bucket, const char *key,
                    const char *upload_id, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct s3_request request = { .operation = "AbortMultipartUpload",
                                  .action = "s3:AbortMultipartUpload",
                                  .method = "DELETE",
                                  .bucket = bucket,
                                  .key = key,
                                  .guard = guard };
    struct http_reply reply;

    request.query = arena_printf(mem, "uploadId=%s", http_encode(mem, upload_id, false));
    if (s3_send(aws, &request, mem, &reply, e) && !err_is(e, "NoSuchUpload"))
        return e->code;
    return 0;
}

/* ListObjectVersions, not ListObjectsV2: a folder whose objects all have a delete marker is still kept and paid for. */
int s3_list_folders(struct aws *aws, const char *bucket, const char *prefix, json_object **out, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *folders = json_new_array();
    const char *after = "", *id = "";

    for (int page = 0; after; page++) {
        struct s3_request request = { .operation = "ListObjectVersions",
                                      .action = "s3:ListBucketVersions",
                                      .bucket = bucket };
        const char *query =
            arena_printf(mem, "delimiter=%%2F%s%s&max-keys=%d&prefix=%s%s%s&versions=", *after ? "&key-marker=" : "",
                         http_encode(mem, after, false), S3_LIST_MAX, http_encode(mem, prefix, false),
                         *id ? "&version-id-marker=" : "", http_encode(mem, id, false));
        AUTO_JSON json_object *reply = NULL;
        const char *more;
        if (page >= AWS_PAGES_MAX)
            return err_set(e, ERR_QUOTA, "s3://%s/%s has more folders than %d pages hold", bucket, prefix, page);
        if (ask(aws, &request, query, mem, &reply, e))
            return e->code;
        const json_object *found = json_at(reply, "/CommonPrefixes");
        for (size_t i = 0; i < count_of(found); i++)
            json_append(folders, json_text(json_find_text(nth(found, i), "/Prefix", mem)));
        more = json_find_text(reply, "/IsTruncated", mem);
        after = more && strcmp(more, "true") == 0 ? json_find_text(reply, "/NextKeyMarker", mem) : NULL;
        id = json_find_text(reply, "/NextVersionIdMarker", mem);
        id = id ? id : "";
    }
    *out = json_hold(folders);
    return 0;
}
