/* An upload in pieces: one PutObject while everything fits one part, else a multipart upload. */
#include <stdlib.h>
#include <string.h>

#include "core/aws/s3_request.h"
#include "core/base/fatal.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/base/xml.h"

/* A line of 256 KiB/s is fast enough for a part; a try that takes longer than a worker's lease could not be made under it. */
enum { PART_TIMEOUT_MS = 10000, PART_BYTES_PER_MS = 256 };

struct s3_upload {
    struct aws *aws;
    const struct aws_guard *guard;
    struct arena *mem; /* names, upload id, the parts' ETags */
    const char *bucket;
    const char *key;
    const char *content_type;
    const char *upload_id; /* NULL: no multipart upload has begun */
    struct buf part;
    const char **etags; /* of the parts sent */
    size_t part_count;
    size_t part_room;
    int64_t bytes;
    bool failed;
    bool done;
};

struct s3_upload *s3_upload_new(struct aws *aws, const char *bucket, const char *key, const char *content_type)
{
    struct s3_upload *upload = calloc(1, sizeof *upload);

    if (!upload)
        fatal_no_memory();
    upload->aws = aws;
    upload->mem = arena_new();
    upload->bucket = arena_copy(upload->mem, bucket);
    upload->key = arena_copy(upload->mem, key);
    upload->content_type = arena_copy(upload->mem, content_type);
    upload->part.max = S3_PART_BYTES;
    return upload;
}

void s3_upload_guard(struct s3_upload *upload, const struct aws_guard *guard)
{
    upload->guard = guard;
}

static struct s3_request request_of(const struct s3_upload *upload, const char *operation, const char *method)
{
    return (struct s3_request){ .operation = operation,
                                .action = "s3:PutObject",
                                .method = method,
                                .bucket = upload->bucket,
                                .key = upload->key,
                                .guard = upload->guard };
}

static int part_timeout_ms(size_t bytes)
{
    return PART_TIMEOUT_MS + (int)(bytes / PART_BYTES_PER_MS);
}

static int begin(struct s3_upload *upload, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *body = NULL;
    struct s3_request request = request_of(upload, "CreateMultipartUpload", "POST");
    struct http_reply reply;
    const char *id;

    request.query = "uploads=";
    request.once = upload->guard && upload->guard->once;
    request.content_type = upload->content_type;
    if (s3_send(upload->aws, &request, mem, &reply, e))
        return e->code;
    if (xml_to_json(reply.body, reply.body_len, &body, e) ||
        json_read_text(body, "/InitiateMultipartUploadResult/UploadId", mem, &id, e)) {
        err_context(e, "s3 CreateMultipartUpload: the reply can't be read");
        return e->code = ERR_TRANSIENT;
    }
    upload->upload_id = arena_copy(upload->mem, id);
    return 0;
}

static void keep_etag(struct s3_upload *upload, const char *etag)
{
    if (upload->part_count == upload->part_room) {
        upload->part_room = upload->part_room ? upload->part_room * 2 : 16;
        upload->etags = realloc(upload->etags, upload->part_room * sizeof *upload->etags);
        if (!upload->etags)
            fatal_no_memory();
    }
    upload->etags[upload->part_count++] = arena_copy(upload->mem, etag);
}

static int send_part(struct s3_upload *upload, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct s3_request request = request_of(upload, "UploadPart", "PUT");
    struct http_reply reply;
    const char *etag;

    if (upload->part_count == S3_PARTS_MAX)
        return err_set(e, ERR_QUOTA, "s3://%s/%s: larger than the %d parts of %d bytes that berth sends",
                       upload->bucket, upload->key, S3_PARTS_MAX, S3_PART_BYTES);
    if (!upload->upload_id && begin(upload, e))
        return e->code;
    request.query = arena_printf(mem, "partNumber=%zu&uploadId=%s", upload->part_count + 1,
                                 http_encode(mem, upload->upload_id, false));
    request.body = buf_text(&upload->part);
    request.body_len = upload->part.len;
    request.timeout_ms = part_timeout_ms(request.body_len);
    if (s3_send(upload->aws, &request, mem, &reply, e))
        return e->code;
    etag = http_reply_header(&reply, "etag");
    if (!etag)
        return err_set(e, ERR_TRANSIENT, "s3 UploadPart: the reply has no ETag (request %s)", aws_request_id(&reply));
    keep_etag(upload, etag);
    buf_clear(&upload->part);
    return 0;
}

static int refuse_failed(const struct s3_upload *upload, struct err *e)
{
    return err_set(e, ERR_INTERNAL, "s3://%s/%s: the upload has failed or ended before", upload->bucket, upload->key);
}

/* A full part is sent when more comes, so that what fits one part exactly is still one PutObject. */
int s3_upload_add(struct s3_upload *upload, const void *bytes, size_t len, struct err *e)
{
    const char *from = bytes;

    if (upload->failed || upload->done)
        return refuse_failed(upload, e);
    while (len > 0) {
        size_t now = S3_PART_BYTES - upload->part.len;

        if (now == 0 && send_part(upload, e)) {
            upload->failed = true;
            return e->code;
        }
        now = S3_PART_BYTES - upload->part.len;
        now = now < len ? now : len;
        buf_add(&upload->part, from, now);
        if (upload->part.failed) {
            upload->failed = true;
            return err_set(e, ERR_NO_MEMORY, "no memory for a part of %d bytes", S3_PART_BYTES);
        }
        from += now;
        len -= now;
        upload->bytes += (int64_t)now;
    }
    return 0;
}

static int put_whole(struct s3_upload *upload, struct arena *mem, struct s3_object *out, struct err *e)
{
    struct s3_request request = request_of(upload, "PutObject", "PUT");
    struct http_reply reply;

    request.content_type = upload->content_type;
    request.body = buf_text(&upload->part);
    request.body_len = upload->part.len;
    request.timeout_ms = part_timeout_ms(request.body_len);
    request.once = upload->guard && upload->guard->once;
    if (s3_send(upload->aws, &request, mem, &reply, e))
        return e->code;
    *out = s3_object_read(&reply, mem);
    return 0;
}

static void add_escaped(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '&' || *text == '<' || *text == '>')
            buf_add_text(out, *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : "&gt;");
        else
            buf_add_char(out, *text);
    }
}

static void list_parts(const struct s3_upload *upload, struct buf *out)
{
    buf_add_text(out, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t i = 0; i < upload->part_count; i++) {
        buf_printf(out, "<Part><PartNumber>%zu</PartNumber><ETag>", i + 1);
        add_escaped(out, upload->etags[i]);
        buf_add_text(out, "</ETag></Part>");
    }
    buf_add_text(out, "</CompleteMultipartUpload>");
}

/*
 * A CompleteMultipartUpload whose answer was lost is sent again, and then S3 may know no such upload any more. The object tells: ours has this
 * many bytes, and an ETag that ends with our count of parts.
 */
static bool was_completed(const struct s3_upload *upload, struct arena *mem, struct s3_object *out)
{
    const char *ending = arena_printf(mem, "-%zu\"", upload->part_count);
    struct err ignored;
    bool found = false;

    return s3_head(upload->aws, upload->bucket, upload->key, mem, &found, out, &ignored) == 0 && found &&
           out->bytes == upload->bytes && out->etag && text_ends(out->etag, ending);
}

static int complete(struct s3_upload *upload, struct arena *mem, struct s3_object *out, struct err *e)
{
    AUTO_BUF struct buf parts = { 0 };
    AUTO_JSON json_object *body = NULL;
    struct s3_request request = request_of(upload, "CompleteMultipartUpload", "POST");
    struct http_reply reply;
    struct err unread;

    list_parts(upload, &parts);
    if (parts.failed)
        return err_set(e, ERR_NO_MEMORY, "no memory for the list of %zu parts", upload->part_count);
    request.query = arena_printf(mem, "uploadId=%s", http_encode(mem, upload->upload_id, false));
    request.content_type = "application/xml";
    request.body = buf_text(&parts);
    request.body_len = parts.len;
    request.timeout_ms = part_timeout_ms(S3_PART_BYTES); /* S3 may take its time to join them */
    request.error_in_success = true;
    if (s3_send(upload->aws, &request, mem, &reply, e))
        return err_is(e, "NoSuchUpload") && was_completed(upload, mem, out) ? 0 : e->code;
    *out = s3_object_read(&reply, mem);
    if (xml_to_json(reply.body, reply.body_len, &body, &unread) == 0)
        out->etag = json_find_text(body, "/CompleteMultipartUploadResult/ETag", mem);
    if (!out->etag && !was_completed(upload, mem, out))
        return err_set(e, ERR_TRANSIENT, "s3://%s/%s: s3 CompleteMultipartUpload: the reply can't be read (request %s)",
                       upload->bucket, upload->key, aws_request_id(&reply));
    return 0;
}

int s3_upload_end(struct s3_upload *upload, struct arena *mem, struct s3_object *out, struct err *e)
{
    struct s3_object object = { 0 };
    int failure;

    if (upload->failed || upload->done)
        return refuse_failed(upload, e);
    if (upload->upload_id)
        failure = send_part(upload, e) ? (int)e->code : complete(upload, mem, &object, e);
    else
        failure = put_whole(upload, mem, &object, e);
    upload->failed = failure != 0;
    upload->done = failure == 0;
    if (failure)
        return failure;
    object.bytes = upload->bytes; /* the reply's length is that of the reply */
    *out = object;
    return 0;
}

/* What is left behind costs money; the bucket's AbortIncompleteMultipartUpload rule removes what even this can't. */
static void abort_upload(struct s3_upload *upload)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct s3_request request = request_of(upload, "AbortMultipartUpload", "DELETE");
    struct http_reply reply;
    struct err e = { 0 };

    request.action = "s3:AbortMultipartUpload";
    request.guard = NULL; /* its own upload and nobody else's: harmless, whoever holds the release by now */
    request.query = arena_printf(mem, "uploadId=%s", http_encode(mem, upload->upload_id, false));
    if (s3_send(upload->aws, &request, mem, &reply, &e) && e.code != ERR_NOT_FOUND)
        log_err(LOG_WARN, "multipart upload not aborted", &e, log_text("bucket", upload->bucket),
                log_text("key", upload->key));
}

void s3_upload_free(struct s3_upload *upload)
{
    if (!upload)
        return;
    if (upload->upload_id && !upload->done)
        abort_upload(upload);
    buf_free(&upload->part);
    free(upload->etags);
    arena_free(upload->mem);
    free(upload);
}
