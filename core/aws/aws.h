/*
 * aws - one generic call for AWS's JSON 1.x, Query and EC2 protocols.
 *
 * aws_call signs, sends, retries, classifies and parses. Parameters and replies are JSON for every protocol, named as in the AWS API
 * reference; lists in Query and EC2 replies are always arrays (see xml.h). Retries follow the SDKs' standard mode: at most
 * AWS_TRIES_MAX tries, full jitter up to AWS_BACKOFF_MAX_MS, a retry quota shared by the process, x-amz-retry-after and
 * Retry-After within bounds, and one correction of the clock when AWS says that it is skewed.
 * A call with effects that is sent twice relies on its idempotency token, which the caller gives.
 *
 * Errors: e->detail is AWS's code ("PriorityInUse"), e->message names service, operation, AWS's words and the request id;
 * e->hint says which permission to add when AWS denied it.
 * Never logs or keeps a request's parameters.
 */
#ifndef BERTH_AWS_AWS_H
#define BERTH_AWS_AWS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/secret.h"
#include "core/net/http.h"

enum { AWS_TRIES_MAX = 3, AWS_BACKOFF_MAX_MS = 20000, AWS_CALL_TIMEOUT_MS = 15000 };

enum aws_protocol { AWS_JSON, AWS_QUERY, AWS_EC2, AWS_REST_XML, AWS_PROTOCOL_COUNT };

struct aws_service {
    const char *id;           /* as in AWS_ENDPOINT_URL_<ID>: "ELASTIC_LOAD_BALANCING_V2" */
    const char *signing_name; /* in the credential scope: "elasticloadbalancing" */
    const char *host_prefix;  /* of the regional endpoint: "elasticloadbalancing"; see global_host */
    const char *global_host;  /* set for services with one endpoint: "iam.amazonaws.com"; signed for us-east-1 */
    enum aws_protocol protocol;
    const char *version;       /* Query and EC2: API version */
    const char *target_prefix; /* JSON: "CodeBuild_20161006" */
    const char *json_version;  /* JSON: "1.0" or "1.1" */
};

extern const struct aws_service CODEBUILD, EC2, ECR, ECS, ELBV2, IAM, LOGS, S3, SECRETSMANAGER, STS;

struct aws_credentials {
    const char *access_key_id;
    const struct secret *secret_access_key;
    const struct secret *session_token; /* NULL: none */
};

struct aws; /* one per process, safe from any thread */

struct aws_options {
    const char *region; /* NULL: AWS_REGION, then AWS_DEFAULT_REGION */
    struct http transport;
    const struct clock *clock; /* NULL: clock_system */
    int tries;                 /* 0: AWS_TRIES_MAX */
};

/*
 * Credentials come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; endpoints from AWS_ENDPOINT_URL_<SERVICE>, then
 * AWS_ENDPOINT_URL, then AWS's own of the region. ERR_INVALID names what is missing.
 */
int aws_new(const struct aws_options *options, struct aws **out, struct err *e);
void aws_free(struct aws *aws);
const char *aws_region(const struct aws *aws);

/* Told of each HTTP request made (a retry is one more); status 0: no reply came. Set before the first call; called from any thread. */
typedef void aws_observer(void *context, const char *service, const char *operation, int status);
void aws_observe(struct aws *aws, aws_observer *observer, void *context);

/* reply may be NULL when nothing of it is wanted. ask may be NULL (no parameters). */
int aws_call(struct aws *aws, const struct aws_service *service, const char *operation, json_object *ask,
             json_object **reply, struct err *e);

/* Whether AWS took the call for one with credentials whose time is over: it was not carried out, and whoever has fresh ones may make it. */
bool aws_credentials_expired(const struct err *e);
/* Whether it was for the time in its signature that AWS turned the call away, though the clock was corrected by AWS's own: later it may be right. */
bool aws_clock_is_off(const struct err *e);

/*
 * Asked right before each try of a call. The try begins only when it answers 0, and is given up timeout_ms later at the latest, so nothing is
 * sent after that. Otherwise its error is the call's; it leaves e alone when it answers 0.
 */
struct aws_guard {
    int (*may_send)(void *context, int timeout_ms, struct err *e);
    void *context;
    int timeout_max_ms; /* no try is given longer than this; 0: as long as ever */
    bool
        once; /* what can't be asked twice: no other try unless AWS has turned the first one away for its rate. The caller looks what became of it */
};

/* aws_call under a guard; NULL: none. */
int aws_call_guarded(struct aws *aws, const struct aws_guard *guard, const struct aws_service *service,
                     const char *operation, json_object *ask, json_object **reply, struct err *e);

/* The same and the next pages: follows `token_out` in the reply into `token_in` of the ask, appending the array at `list` of each. At most
 * AWS_PAGES_MAX pages, then ERR_QUOTA. The reply is the joined array. */
enum { AWS_PAGES_MAX = 1000 };
int aws_call_paged(struct aws *aws, const struct aws_service *service, const char *operation, json_object *ask,
                   const char *list, const char *token_out, const char *token_in, json_object **array, struct err *e);
/* Where a page's items and the next page's token are; see aws_call_paged. */
struct aws_paging {
    const char *list, *token_out, *token_in;
};
int aws_call_paged_guarded(struct aws *aws, const struct aws_guard *guard, const struct aws_service *service,
                           const char *operation, json_object *ask, const struct aws_paging *paging,
                           json_object **array, struct err *e);

/* "arn:aws:sts::123456789012:..." parts; partition, account. Into mem; ERR_INVALID if it is no ARN. */
int aws_arn_account(const char *arn, struct arena *mem, const char **partition, const char **account, struct err *e);

#endif
