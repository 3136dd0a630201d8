#include "core/aws/aws.h"

#include <stdlib.h>
#include <string.h>

#include "core/aws/client.h"
#include "core/base/fatal.h"
#include "core/base/text.h"

enum { REGION_MAX = 32 };

/* NULL also when it is set to nothing, as a unit file's empty line does. */
static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

static char *copy_text(const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        fatal_no_memory();
    return copy;
}

/* The region becomes part of a host name. */
static int find_region(const char *given, const char **out, struct err *e)
{
    const char *region = given && *given ? given : environment("AWS_REGION");

    if (!region)
        region = environment("AWS_DEFAULT_REGION");
    if (!region) {
        err_set(e, ERR_INVALID, "no AWS region is set");
        return err_hint(e, "Set AWS_REGION, for example to eu-west-1.");
    }
    if (strlen(region) > REGION_MAX || region[strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-")]) {
        err_set(e, ERR_INVALID, "the AWS region isn't a region's name");
        return err_hint(e, "Set AWS_REGION to lower-case letters, digits and dashes, for example eu-west-1.");
    }
    *out = region;
    return 0;
}

static int check_credentials(struct err *e)
{
    static const char *const names[] = { "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", NULL };

    for (const char *const *name = names; *name; name++)
        if (!environment(*name)) {
            err_set(e, ERR_INVALID, "no AWS credentials: %s isn't set", *name);
            return err_hint(e,
                            "Set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for temporary ones, AWS_SESSION_TOKEN.");
        }
    return 0;
}

static int check_endpoints(const char *region, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct aws_endpoint endpoint;

    for (const struct aws_service *const *service = aws_services; *service; service++)
        if (aws_endpoint_of(*service, region, mem, &endpoint, e))
            return e->code;
    return 0;
}

int aws_new(const struct aws_options *options, struct aws **out, struct err *e)
{
    const char *region = NULL;
    struct aws *aws;

    if (find_region(options->region, &region, e) || check_credentials(e) || check_endpoints(region, e))
        return e->code;
    aws = calloc(1, sizeof *aws);
    if (!aws)
        fatal_no_memory();
    aws->region = copy_text(region);
    aws->access_key_id = copy_text(environment("AWS_ACCESS_KEY_ID"));
    aws->secret_access_key = secret_from_text(environment("AWS_SECRET_ACCESS_KEY"));
    aws->session_token = secret_from_text(environment("AWS_SESSION_TOKEN"));
    aws->transport = options->transport;
    aws->clock = options->clock ? options->clock : &clock_system;
    aws->tries = options->tries > 0 ? options->tries : AWS_TRIES_MAX;
    aws->retry_tokens = AWS_RETRY_TOKENS;
    pthread_mutex_init(&aws->lock, NULL);
    *out = aws;
    return 0;
}

void aws_free(struct aws *aws)
{
    if (!aws)
        return;
    pthread_mutex_destroy(&aws->lock);
    secret_free(aws->secret_access_key);
    secret_free(aws->session_token);
    free(aws->access_key_id);
    free(aws->region);
    free(aws);
}

const char *aws_region(const struct aws *aws)
{
    return aws->region;
}

void aws_observe(struct aws *aws, aws_observer *observer, void *context)
{
    aws->observer = observer;
    aws->observer_context = context;
}

/* arn:partition:service:region:account:resource */
int aws_arn_account(const char *arn, struct arena *mem, const char **partition, const char **account, struct err *e)
{
    enum { ARN, PARTITION, SERVICE, REGION, ACCOUNT, RESOURCE, PARTS };
    const char *parts[PARTS] = { 0 };
    size_t lens[PARTS] = { 0 };
    const char *at = arn;

    for (int i = 0; i < PARTS; i++) {
        parts[i] = at;
        lens[i] = i == RESOURCE ? strlen(at) : strcspn(at, ":");
        if (i < RESOURCE && !at[lens[i]])
            break;
        at += lens[i] + 1;
    }
    if (!text_starts(arn, "arn:") || lens[PARTITION] == 0 || lens[SERVICE] == 0 || lens[ACCOUNT] == 0 ||
        lens[RESOURCE] == 0) {
        char shown[128];
        text_excerpt(arn, shown, sizeof shown);
        return err_set(e, ERR_INVALID, "\"%s\" isn't an ARN with an account", shown);
    }
    *partition = arena_copy_n(mem, parts[PARTITION], lens[PARTITION]);
    *account = arena_copy_n(mem, parts[ACCOUNT], lens[ACCOUNT]);
    return 0;
}
