/* Where a service is: the environment's override, or AWS's own endpoint of the region. */
#include <stdlib.h>
#include <string.h>

#include "core/aws/client.h"
#include "core/base/text.h"

/* "Service endpoints" in the AWS General Reference. A region belongs to the first row whose prefix it has. */
static const struct partition {
    const char *region_prefix;
    const char *dns_suffix;
    const char *global_host; /* of IAM; NULL: the service's own */
    const char *global_region;
} partitions[] = {
    { "cn-", "amazonaws.com.cn", "iam.cn-north-1.amazonaws.com.cn", "cn-north-1" },
    { "us-gov-", "amazonaws.com", "iam.us-gov.amazonaws.com", "us-gov-west-1" },
    { "eusc-", "amazonaws.eu", "iam.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1" },
    { "", "amazonaws.com", NULL, "us-east-1" },
};

static const struct partition *partition_of(const char *region)
{
    const struct partition *partition = partitions;

    while (!text_starts(region, partition->region_prefix))
        partition++;
    return partition;
}

static const char *override_of(const struct aws_service *service, struct arena *mem, const char **variable)
{
    const char *value;

    *variable = arena_printf(mem, "AWS_ENDPOINT_URL_%s", service->id);
    value = getenv(*variable);
    if (value && *value)
        return value;
    *variable = "AWS_ENDPOINT_URL";
    value = getenv(*variable);
    return value && *value ? value : NULL;
}

/* "http://127.0.0.1:5000/prefix/" taken apart. */
static int read_url(const char *url, const char *variable, struct arena *mem, struct aws_endpoint *out, struct err *e)
{
    bool tls = text_starts(url, "https://");
    const char *host = url + (tls ? 8 : 7);
    size_t host_len = strcspn(host, "/");
    const char *own_port = tls ? ":443" : ":80";
    char *prefix = arena_copy(mem, host + (tls || text_starts(url, "http://") ? host_len : 0));

    if ((!tls && !text_starts(url, "http://")) || host_len == 0 || host[host_len - 1] == ':' ||
        url[strcspn(url, "@?# \t\r\n")]) {
        err_set(e, ERR_INVALID, "%s isn't an address of the form http[s]://host[:port][/path]", variable);
        return err_hint(e, "Correct %s, or unset it to use AWS's own endpoints.", variable);
    }
    out->scheme = tls ? "https" : "http";
    out->host = arena_copy_n(mem, host, host_len);
    if (text_ends(out->host, own_port))
        out->host = arena_copy_n(mem, host, host_len - strlen(own_port));
    while (text_ends(prefix, "/"))
        prefix[strlen(prefix) - 1] = '\0';
    out->prefix = prefix;
    return 0;
}

int aws_endpoint_of(const struct aws_service *service, const char *region, struct arena *mem, struct aws_endpoint *out,
                    struct err *e)
{
    const struct partition *partition = partition_of(region);
    const char *variable, *url = override_of(service, mem, &variable);
    struct aws_endpoint endpoint = { .scheme = "https", .prefix = "", .region = region };

    if (service->global_host)
        endpoint.region = partition->global_region;
    if (url) {
        if (read_url(url, variable, mem, &endpoint, e))
            return e->code;
        endpoint.overridden = true;
    } else if (service->global_host) {
        endpoint.host = partition->global_host ? partition->global_host : service->global_host;
    } else {
        endpoint.host = arena_printf(mem, "%s.%s.%s", service->host_prefix, region, partition->dns_suffix);
    }
    *out = endpoint;
    return 0;
}
