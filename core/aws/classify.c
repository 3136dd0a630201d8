/* What the caller should do about each of AWS's error codes: one table, the first pattern that fits. */
#include <fnmatch.h>
#include <stddef.h>

#include "core/aws/client.h"

static const char new_credentials[] = "The credentials have expired: give fresh ones in AWS_ACCESS_KEY_ID, "
                                      "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and start again.";
/* EC2 says the same of a wrong clock: "Error codes for the Amazon EC2 API", RequestExpired. */
static const char new_credentials_or_clock[] =
    "The credentials have expired, or this machine's clock is off by more than 5 minutes: give fresh ones in "
    "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN and start again, or set the clock (NTP).";
static const char unsaid[] =
    "S3 gives a HEAD no reason; most often it is that the credentials have expired: give fresh "
    "ones in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and start again.";
static const char unknown_key[] = "AWS doesn't know this access key: check AWS_ACCESS_KEY_ID and, for temporary keys, "
                                  "AWS_SESSION_TOKEN, and the region.";
static const char wrong_secret[] = "Check AWS_SECRET_ACCESS_KEY: it isn't the one of this access key.";
static const char clock_is_off[] = "Set this machine's clock (NTP): AWS takes at most 5 minutes of difference.";
static const char opt_in[] = "Enable this service or region for the account in the AWS console.";
static const char more_quota[] = "Raise the limit in AWS Service Quotas, or remove what is no longer used.";

/* Throttling and transient codes: "Retry behavior" in the AWS SDKs and Tools Reference Guide; the others: each service's API reference. */
static const struct {
    const char *pattern;
    enum err_code code;
    const char *hint;
} rows[] = {
    { "Throttl*", ERR_THROTTLED, NULL },
    { "*ThrottledException", ERR_THROTTLED, NULL },
    { "RequestThrottled*", ERR_THROTTLED, NULL },
    { "RequestLimitExceeded", ERR_THROTTLED, NULL },
    { "TooManyRequests*", ERR_THROTTLED, NULL },
    { "BandwidthLimitExceeded", ERR_THROTTLED, NULL },
    { "ProvisionedThroughputExceededException", ERR_THROTTLED, NULL },
    { "SlowDown", ERR_THROTTLED, NULL },

    { "RequestTimeout*", ERR_TRANSIENT, NULL },
    { "PriorRequestNotComplete", ERR_TRANSIENT, NULL },
    { "Internal*", ERR_TRANSIENT, NULL },
    { "*ServiceUnavailable*", ERR_TRANSIENT, NULL },
    { "Unavailable", ERR_TRANSIENT, NULL },
    { "ServerException", ERR_TRANSIENT, NULL },
    { "ServiceFailure*", ERR_TRANSIENT, NULL },
    { "IDPCommunicationError", ERR_TRANSIENT, NULL },

    { "ExpiredToken*", ERR_DENIED, new_credentials },
    { AWS_HEAD_REFUSED, ERR_DENIED, unsaid },
    { "InvalidClientTokenId", ERR_DENIED, unknown_key },
    { "UnrecognizedClientException", ERR_DENIED, unknown_key },
    { "InvalidAccessKeyId", ERR_DENIED, unknown_key },
    { "InvalidToken*", ERR_DENIED, unknown_key },
    { "AuthFailure", ERR_DENIED, unknown_key },
    { AWS_SIGNATURE_OUTDATED, ERR_DENIED, clock_is_off },
    { "SignatureDoesNotMatch", ERR_DENIED, wrong_secret },
    { "InvalidSignature*", ERR_DENIED, wrong_secret },
    { "IncompleteSignature*", ERR_DENIED, NULL },
    { "MissingAuthenticationToken*", ERR_DENIED, NULL },
    { "RequestTimeTooSkewed", ERR_DENIED, clock_is_off },
    { "RequestExpired", ERR_DENIED, new_credentials_or_clock },
    { "RequestInTheFuture", ERR_DENIED, clock_is_off },
    { "OptInRequired", ERR_DENIED, opt_in },
    { "SubscriptionRequiredException", ERR_DENIED, opt_in },
    { "AccessDenied*", ERR_DENIED, NULL },
    { "Unauthorized*", ERR_DENIED, NULL },
    { "NotAuthorized*", ERR_DENIED, NULL },
    { "AllAccessDisabled", ERR_DENIED, NULL },
    { "BlockedException", ERR_DENIED, "AWS has blocked this account: contact AWS Support." },
    { "DecryptionFailure", ERR_DENIED, "Allow kms:Decrypt on the secret's key." },

    { "*NotFound*", ERR_NOT_FOUND, NULL },
    { "NoSuch*", ERR_NOT_FOUND, NULL },

    { "*LimitExceeded*", ERR_QUOTA, more_quota },
    { "*QuotaExceeded*", ERR_QUOTA, more_quota },
    { "*AssociationLimit", ERR_QUOTA, more_quota },
    { "TooMany*", ERR_QUOTA, more_quota },

    { "*AlreadyExists*", ERR_CONFLICT, NULL },
    { "ResourceExists*", ERR_CONFLICT, NULL },
    { "BucketAlready*", ERR_CONFLICT, NULL },
    { "Duplicate*", ERR_CONFLICT, NULL },
    { "*InUse*", ERR_CONFLICT, NULL },
    { "*Conflict*", ERR_CONFLICT, NULL },
    { "Concurrent*", ERR_CONFLICT, NULL },
    { "OperationAborted*", ERR_CONFLICT, NULL },
    { "DependencyViolation", ERR_CONFLICT, NULL },
    { "EntityTemporarilyUnmodifiable*", ERR_CONFLICT, NULL },
    { "RepositoryNotEmptyException", ERR_CONFLICT, NULL },
    { "ServiceNotActiveException", ERR_CONFLICT, NULL },
    { "UpdateInProgressException", ERR_CONFLICT, NULL },
    { "PreconditionFailed", ERR_CONFLICT, NULL },

    { "Validation*", ERR_INVALID, NULL },
    { "Invalid*", ERR_INVALID, NULL },
    { "Malformed*", ERR_INVALID, NULL },
};

enum { ROWS = sizeof rows / sizeof *rows };

static size_t row_of(const char *code)
{
    size_t row = 0;

    while (row < ROWS && fnmatch(rows[row].pattern, code, 0) != 0)
        row++;
    return row;
}

static enum err_code classify_status(int status)
{
    switch (status) {
    case 401:
    case 403:
        return ERR_DENIED;
    case 404:
    case 410:
        return ERR_NOT_FOUND;
    case 408:
        return ERR_TRANSIENT;
    case 409:
    case 412:
        return ERR_CONFLICT;
    case 429:
        return ERR_THROTTLED;
    default:
        return status >= 500 ? ERR_TRANSIENT : ERR_INVALID;
    }
}

enum err_code aws_classify(const char *code, int status)
{
    size_t row = row_of(code);

    return row < ROWS ? rows[row].code : classify_status(status);
}

const char *aws_code_hint(const char *code)
{
    size_t row = row_of(code);

    return row < ROWS ? rows[row].hint : NULL;
}

static bool is_denied_as(const struct err *e, const char *const *codes)
{
    for (; *codes; codes++)
        if (e->code == ERR_DENIED && err_is(e, *codes))
            return true;
    return false;
}

bool aws_credentials_expired(const struct err *e)
{
    static const char *const codes[] = { "ExpiredToken", "ExpiredTokenException", "RequestExpired", AWS_HEAD_REFUSED,
                                         NULL };

    return is_denied_as(e, codes);
}

bool aws_clock_is_off(const struct err *e)
{
    static const char *const codes[] = { "RequestTimeTooSkewed", "RequestInTheFuture", AWS_SIGNATURE_OUTDATED, NULL };

    return is_denied_as(e, codes);
}

/* A HEAD's 403 has no code, so it may be skew as well. Whether it is, the reply's Date tells. */
bool aws_may_be_clock_skew(const char *code, int status)
{
    static const char *const codes[] = { "RequestTimeTooSkewed", "RequestExpired",        "RequestInTheFuture",
                                         "InvalidSignature*",    "SignatureDoesNotMatch", "AuthFailure" };

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (fnmatch(codes[i], code, 0) == 0)
            return true;
    return status == 403 && !*code;
}
