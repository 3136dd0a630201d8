/*
 * s3 - the few object operations that berth needs, in bounded memory.
 *
 * Objects up to S3_PART_BYTES go by one PutObject, larger ones by a multipart upload whose parts are sent one at a time, so an upload holds one part in
 * memory whatever the object's size. Limits: parts of 5 MiB to 5 GiB but for the last, 10,000 parts ("Amazon S3 multipart upload limits").
 */
#ifndef BERTH_AWS_S3_H
#define BERTH_AWS_S3_H

#include <stdbool.h>

#include "core/aws/aws.h"

enum { S3_PART_BYTES = 8 * 1024 * 1024, S3_PARTS_MAX = 10000 };

struct s3_object {
    const char *version_id; /* NULL on an unversioned bucket */
    const char *etag;
    int64_t bytes;
};

/* Absent (404) is a success with *found false. 403 without ListBucket looks like absent to nobody: it is ERR_DENIED. */
int s3_head(struct aws *aws, const char *bucket, const char *key, struct arena *mem, bool *found, struct s3_object *out,
            struct err *e);
int s3_head_bucket(struct aws *aws, const char *bucket, struct err *e);
int s3_bucket_versioned(struct aws *aws, const char *bucket, bool *versioned,
                        struct err *e); /* enabled, not suspended */
/* A guard is asked before each try, see aws.h; NULL: none. */
int s3_delete(struct aws *aws, const struct aws_guard *guard, const char *bucket, const char *key,
              const char *version_id, struct err *e);

/* The first of what is kept under a prefix, at most S3_LIST_MAX: every version of every object, delete markers too; and uploads that were never ended. */
enum { S3_LIST_MAX = 1000 };
struct s3_kept {
    const char *key;
    const char *id; /* version id, "null" on an unversioned bucket; of an upload its upload id */
};
int s3_list_versions(struct aws *aws, const struct aws_guard *guard, const char *bucket, const char *prefix,
                     struct arena *mem, struct s3_kept **out, size_t *count, struct err *e);
int s3_list_uploads(struct aws *aws, const struct aws_guard *guard, const char *bucket, const char *prefix,
                    struct arena *mem, struct s3_kept **out, size_t *count, struct err *e);
int s3_abort_upload(struct aws *aws, const struct aws_guard *guard, const char *bucket, const char *key,
                    const char *upload_id, struct err *e);
/* The folders right below a prefix, whole ("tenants/shop/"), as an array of texts; those too that hold nothing but old versions. */
int s3_list_folders(struct aws *aws, const char *bucket, const char *prefix, json_object **out, struct err *e);

/* An upload in pieces. After a failure, or when it isn't ended, s3_upload_free aborts what was begun. */
struct s3_upload;
struct s3_upload *s3_upload_new(struct aws *aws, const char *bucket, const char *key, const char *content_type);
void s3_upload_guard(struct s3_upload *upload,
                     const struct aws_guard *guard); /* asked before each request, see aws.h */
int s3_upload_add(struct s3_upload *upload, const void *bytes, size_t len, struct err *e);
int s3_upload_end(struct s3_upload *upload, struct arena *mem, struct s3_object *out, struct err *e);
void s3_upload_free(struct s3_upload *upload);

#endif
