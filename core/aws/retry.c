/* "Retry behavior" in the AWS SDKs and Tools Reference Guide, standard mode. */
#include <stdlib.h>

#include "core/aws/client.h"
#include "core/base/hash.h"
#include "core/base/text.h"

enum {
    RETRY_COST = 5,
    RETRY_COST_TIMEOUT = 10,
    BACKOFF_BASE_MS = 1000,
    RETRY_AFTER_SLACK_MS = 5000, /* x-amz-retry-after may ask for this much more than our own delay */
    SKEW_MS = 4 * 60 * 1000      /* AWS takes 5 minutes */
};

static bool take_tokens(struct aws *aws, int cost)
{
    bool enough;

    pthread_mutex_lock(&aws->lock);
    enough = aws->retry_tokens >= cost;
    if (enough)
        aws->retry_tokens -= cost;
    pthread_mutex_unlock(&aws->lock);
    return enough;
}

void aws_retry_succeeded(struct aws *aws, const struct aws_attempts *attempts)
{
    pthread_mutex_lock(&aws->lock);
    aws->retry_tokens += attempts->held ? attempts->held : 1;
    if (aws->retry_tokens > AWS_RETRY_TOKENS)
        aws->retry_tokens = AWS_RETRY_TOKENS;
    pthread_mutex_unlock(&aws->lock);
}

/* Anything from nothing to the whole: processes that failed together must not come back together. */
static int64_t jitter(int64_t whole)
{
    uint32_t random = UINT32_MAX;

    hash_random(&random, sizeof random);
    return (int64_t)((double)whole * ((double)random / UINT32_MAX));
}

static int64_t backoff_ms(int retries_made)
{
    int64_t most = BACKOFF_BASE_MS;

    while (retries_made-- > 0 && most < AWS_BACKOFF_MAX_MS)
        most *= 2;
    return jitter(most < AWS_BACKOFF_MAX_MS ? most : AWS_BACKOFF_MAX_MS);
}

static int64_t delay_ms(const struct http_reply *reply, int retries_made)
{
    int64_t own = backoff_ms(retries_made), asked;
    const char *ms = reply ? http_reply_header(reply, "x-amz-retry-after") : NULL;
    const char *s = reply ? http_reply_header(reply, "retry-after") : NULL;

    if (ms && text_parse_int(ms, 0, INT32_MAX, &asked)) {
        if (asked < own)
            return own;
        return asked < own + RETRY_AFTER_SLACK_MS ? asked : own + RETRY_AFTER_SLACK_MS;
    }
    if (s && text_parse_int(s, 0, INT32_MAX, &asked) && asked * 1000 > own)
        return asked * 1000 < AWS_BACKOFF_MAX_MS ? asked * 1000 : AWS_BACKOFF_MAX_MS;
    return own;
}

bool aws_retry(struct aws *aws, struct aws_attempts *attempts, const struct http_reply *reply, const struct err *e)
{
    int cost = err_is(e, "CURLE_OPERATION_TIMEDOUT") ? RETRY_COST_TIMEOUT : RETRY_COST;

    if (!err_may_retry(e) || attempts->made >= aws->tries || !take_tokens(aws, cost))
        return false;
    attempts->held = cost;
    clock_sleep_ms(aws->clock, delay_ms(reply, attempts->made - 1));
    return true;
}

int64_t aws_now_ms(const struct aws *aws)
{
    return clock_now_ms(aws->clock) + atomic_load(&aws->clock_offset_ms);
}

bool aws_clock_correct(struct aws *aws, struct aws_attempts *attempts, int64_t signed_ms,
                       const struct http_reply *reply, const char *code)
{
    const char *date = http_reply_header(reply, "date");
    int64_t theirs;

    if (attempts->clock_corrected || !aws_may_be_clock_skew(code, reply->status) || !date ||
        clock_parse_http_date(date, &theirs) || llabs(theirs - signed_ms) < SKEW_MS)
        return false;
    atomic_store(&aws->clock_offset_ms, theirs - clock_now_ms(aws->clock));
    attempts->clock_corrected = true;
    return true;
}
