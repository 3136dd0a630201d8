/*
 * client - what the files of core/aws share: where a service is, one signed exchange, and what its failure means.
 *
 * Private to core/aws.
 */
#ifndef BERTH_AWS_CLIENT_H
#define BERTH_AWS_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/aws/aws.h"

struct aws {
    char *region;
    char *access_key_id;
    struct secret *secret_access_key;
    struct secret *session_token; /* NULL: none */
    struct http transport;
    const struct clock *clock;
    int tries;
    aws_observer *observer; /* NULL: none */
    void *observer_context;
    _Atomic int64_t clock_offset_ms; /* added to our clock to have AWS's; 0 until AWS complains */
    pthread_mutex_t lock;
    int retry_tokens; /* under lock; see retry.c */
};

/* endpoint.c */
struct aws_endpoint {
    const char *scheme; /* "https" */
    const char *host;   /* as in the Host header: with a port unless it is the scheme's own */
    const char *prefix; /* of each path; "" or "/some/where" */
    const char *region; /* in the credential scope */
    bool overridden;    /* by the environment */
};

int aws_endpoint_of(const struct aws_service *service, const char *region, struct arena *mem, struct aws_endpoint *out,
                    struct err *e);

/* services.c: all of them, NULL at the end */
extern const struct aws_service *const aws_services[];

/* exchange.c */
enum { AWS_OWN_HEADERS_MAX = 8 };

struct aws_exchange {
    const struct aws_service *service;
    const char *operation;
    const char *action; /* the IAM action, where it isn't named as the operation; NULL: it is */
    const char *method;
    struct aws_endpoint endpoint;
    const char *path;  /* after the endpoint's prefix, encoded */
    const char *query; /* encoded; "" for none */
    const struct http_header *headers;
    size_t header_count; /* at most AWS_OWN_HEADERS_MAX */
    const void *body;
    size_t body_len;
    int timeout_ms;
    const struct aws_guard *guard; /* NULL: none */
    bool error_in_success;         /* a 200 may hold an error: CompleteMultipartUpload */
    bool once;                     /* see aws_guard */
};

/* Signs, sends, tries again where that helps. Success is a 2xx reply. */
int aws_exchange(struct aws *aws, const struct aws_exchange *x, struct arena *mem, struct http_reply *reply,
                 struct err *e);

/* fault.c: what AWS said about a failure; texts are never NULL */
struct aws_fault {
    const char *code;
    const char *message;
    const char *request_id;
    const char *region; /* where S3 says that the bucket is */
};

struct aws_fault aws_fault_read(const struct aws_service *service, const struct http_reply *reply, struct arena *mem);
const char *aws_request_id(const struct http_reply *reply); /* of the headers; "" if absent */
int aws_fault_err(const struct aws_exchange *x, const struct aws_fault *fault, int status, struct err *e);

/* classify.c */
#define AWS_SIGNATURE_OUTDATED                                                                                         \
    "SignatureOutdated" /* ours: InvalidSignatureException and the like, when the message says that the time is what's wrong */
#define AWS_HEAD_REFUSED "HeadBadRequest" /* ours: S3 answers a HEAD with 400 and no word, "HeadObject" */
enum err_code aws_classify(const char *code, int status);
const char *aws_code_hint(const char *code); /* NULL: none */
bool aws_may_be_clock_skew(const char *code, int status);

/* retry.c: the attempts of one call */
enum { AWS_RETRY_TOKENS = 500 };

struct aws_attempts {
    int made;
    int held; /* retry tokens taken for the last retry */
    bool clock_corrected;
};

/* Whether to try again; has slept then. reply NULL: none came. */
bool aws_retry(struct aws *aws, struct aws_attempts *attempts, const struct http_reply *reply, const struct err *e);
void aws_retry_succeeded(struct aws *aws, const struct aws_attempts *attempts);
/*
 * Sets the clock offset by the reply's Date when that explains the failure; once per call. What counts is the time that was signed: since then another thread may
 * have corrected the clock, or this one may have stood still before it sent.
 */
bool aws_clock_correct(struct aws *aws, struct aws_attempts *attempts, int64_t signed_ms,
                       const struct http_reply *reply, const char *code);
int64_t aws_now_ms(const struct aws *aws); /* AWS's clock, as far as known */

/* query.c: the form body of Query and EC2 calls */
int aws_query_body(const struct aws_service *service, const char *operation, const json_object *ask, struct arena *mem,
                   const char **out, struct err *e);

/* reply.c: a reply's body as JSON, without the protocol's wrappers */
int aws_reply_read(const struct aws_service *service, const char *operation, const struct http_reply *reply,
                   struct arena *mem, json_object **out, struct err *e);

#endif
