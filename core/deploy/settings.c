#include "core/deploy/settings.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/aws/aws.h"
#include "core/base/buf.h"
#include "core/base/text.h"
#include "core/tenant/app.h"

#define DEFAULT_PATH "/etc/berth/berth.conf"

enum {
    CLUSTER_MAX = 255, /* ECS, CreateCluster */
    BUCKET_MIN = 3,    /* "General purpose bucket naming rules" */
    BUCKET_MAX = 63,
    URL_MAX = 1024,
    SECRET_NAME_MAX = 512, /* Secrets Manager, CreateSecret */
    SUBNETS_MAX = 16,      /* ECS, AwsVpcConfiguration */
    LISTENERS_MAX = 50,
    HOST_HEADER_MAX = 128, /* ELBv2, host-header condition */
    DOMAIN_MAX = HOST_HEADER_MAX - APP_NAME_MAX - 1,
    LABEL_MAX = 63, /* RFC 1035 */
    LEASE_LEAST_S =
        2, /* for tests: a try of a call is given three quarters of it, and AWS often needs more than that */
};

static const char *const log_levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const log_formats[] = { "logfmt", "json", NULL };

#define AT(field) offsetof(struct settings, field)

const struct config_option settings_table[] = {
    { "database", "owner", "BERTH_DATABASE_OWNER", CONFIG_SECRET, AT(database_owner),
      .help = "libpq connection string of the login that migrates (berth_migrate)" },
    { "database", "hooks", "BERTH_DATABASE_HOOKS", CONFIG_SECRET, AT(database_hooks),
      .help = "libpq connection string of berth-fcgi --hooks (berth_hooks)" },
    { "database", "worker", "BERTH_DATABASE_WORKER", CONFIG_SECRET, AT(database_worker),
      .help = "libpq connection string of berth worker (berth_worker)" },
    { "database", "admin", "BERTH_DATABASE_ADMIN", CONFIG_SECRET, AT(database_admin),
      .help = "libpq connection string of the command and of berth-fcgi --admin (berth_admin)" },
    { "database", "connections", "BERTH_DATABASE_CONNECTIONS", CONFIG_INT, AT(database_connections), "16", 1, 1000,
      .help = "connections that one process opens at most" },

    { "aws", "region", "BERTH_AWS_REGION", CONFIG_TEXT, AT(aws_region), .help = "AWS region; AWS_REGION when not set" },

    { "platform", "domain", "BERTH_PLATFORM_DOMAIN", CONFIG_TEXT, AT(domain),
      .help = "an app answers at {app}.{domain}; *.{domain} points at the load balancer" },
    { "platform", "cluster", "BERTH_PLATFORM_CLUSTER", CONFIG_TEXT, AT(cluster), .help = "name of the ECS cluster" },
    { "platform", "bucket", "BERTH_PLATFORM_BUCKET", CONFIG_TEXT, AT(bucket),
      .help = "S3 bucket of source archives, versioned" },
    { "platform", "vpc", "BERTH_PLATFORM_VPC", CONFIG_TEXT, AT(vpc),
      .help = "id of the VPC of subnets, load balancers and tasks" },
    { "platform", "subnets", "BERTH_PLATFORM_SUBNETS", CONFIG_LIST, AT(subnets),
      .help = "ids of the tasks' subnets, comma-separated" },
    { "platform", "security_group", "BERTH_PLATFORM_SECURITY_GROUP", CONFIG_TEXT, AT(security_group),
      .help = "id of the security group of all tenants' tasks" },
    { "platform", "listeners", "BERTH_PLATFORM_LISTENERS", CONFIG_LIST, AT(listeners),
      .help = "ARNs of HTTPS listeners, comma-separated, in the order they are filled" },
    { "platform", "permissions_boundary", "BERTH_PLATFORM_PERMISSIONS_BOUNDARY", CONFIG_TEXT, AT(permissions_boundary),
      .help = "ARN of the managed policy that bounds every tenant's roles" },
    { "platform", "build_image", "BERTH_PLATFORM_BUILD_IMAGE", CONFIG_TEXT, AT(build_image),
      "aws/codebuild/amazonlinux-x86_64-standard:5.0", .help = "CodeBuild's image" },
    { "platform", "build_compute", "BERTH_PLATFORM_BUILD_COMPUTE", CONFIG_TEXT, AT(build_compute),
      "BUILD_GENERAL1_SMALL", .help = "CodeBuild's compute type" },
    { "platform", "assign_public_ip", "BERTH_PLATFORM_ASSIGN_PUBLIC_IP", CONFIG_BOOL, AT(assign_public_ip), "false",
      .help = "true when tasks are in public subnets without a NAT gateway" },
    { "platform", "log_retention_days", "BERTH_PLATFORM_LOG_RETENTION_DAYS", CONFIG_INT, AT(log_retention_days), "30",
      1, 3653, .help = "days that CloudWatch keeps a tenant's logs" },

    { "github", "api_url", "BERTH_GITHUB_API_URL", CONFIG_TEXT, AT(github_api_url), "https://api.github.com",
      .help = "GitHub's API, or a GitHub Enterprise Server's" },
    { "github", "token_secret", "BERTH_GITHUB_TOKEN_SECRET", CONFIG_TEXT, AT(github_token_secret),
      .help = "name in Secrets Manager of GitHub's token; without it only public repositories" },

    { "hooks", "threads", "BERTH_HOOKS_THREADS", CONFIG_INT, AT(hooks_threads), "64", 1, 1024,
      .help = "threads that take deliveries" },
    { "hooks", "body_max", "BERTH_HOOKS_BODY_MAX", CONFIG_INT, AT(hooks_body_max), "26214400", 1024, 26214400,
      .help = "bytes of a delivery at most; GitHub's own cap is 25 MiB" },
    { "hooks", "delivery_body_days", "BERTH_HOOKS_DELIVERY_BODY_DAYS", CONFIG_INT, AT(delivery_body_days), "30", 1,
      3650, .help = "days that what GitHub sent is kept" },
    { "hooks", "delivery_days", "BERTH_HOOKS_DELIVERY_DAYS", CONFIG_INT, AT(delivery_days), "90", 7, 3650,
      .help = "days that a delivery, and what came of it, is kept; GitHub sends one again for 3 days" },
    { "hooks", "url", "BERTH_HOOKS_URL", CONFIG_TEXT, AT(hooks_url),
      .help = "where GitHub reaches berth-fcgi --hooks: https://berth.example.com" },

    { "admin", "threads", "BERTH_ADMIN_THREADS", CONFIG_INT, AT(admin_threads), "8", 1, 256,
      .help = "threads that serve pages" },
    { "admin", "operators", "BERTH_ADMIN_OPERATORS", CONFIG_LIST, AT(admin_operators),
      .help = "who may use the pages, as the web server signs them in, comma-separated" },
    { "admin", "www", "BERTH_ADMIN_WWW", CONFIG_TEXT, AT(www), "/usr/share/berth/www", .help = "folder of the pages" },

    { "worker", "threads", "BERTH_WORKER_THREADS", CONFIG_INT, AT(worker_threads), "2", 1, 256,
      .help = "releases that one worker takes further at a time" },
    { "worker", "lease_s", "BERTH_WORKER_LEASE_S", CONFIG_INT, AT(worker_lease_s), "30", LEASE_LEAST_S, 3600,
      .help = "seconds a worker holds a release without a word; another takes over after it" },
    { "worker", "role_settle_s", "BERTH_WORKER_ROLE_SETTLE_S", CONFIG_INT, AT(role_settle_s), "10", 0, 300,
      .help = "seconds between making an app's roles and its first tasks: AWS doesn't believe a role at once" },

    { "log", "level", "BERTH_LOG_LEVEL", CONFIG_ENUM, AT(log_level), "info", .choices = log_levels,
      .help = "least level: debug, info, warn or error" },
    { "log", "format", "BERTH_LOG_FORMAT", CONFIG_ENUM, AT(log_format), "logfmt", .choices = log_formats,
      .help = "logfmt or json" },
};
const size_t settings_count = sizeof settings_table / sizeof *settings_table;

static bool all_in(const char *text, size_t len, const char *set)
{
    return len > 0 && strspn(text, set) >= len;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static int check_domain(const char *domain, struct err *e)
{
    size_t labels = 0;

    if (strlen(domain) > DOMAIN_MAX)
        return err_set(e, ERR_INVALID,
                       "[platform] domain is too long: at most %d characters leave room for an app's name in a load "
                       "balancer's host-header rule",
                       DOMAIN_MAX);
    for (const char *label = domain; label; labels++) {
        const char *dot = strchr(label, '.');
        size_t len = dot ? (size_t)(dot - label) : strlen(label);
        if (len == 0 || len > LABEL_MAX || !all_in(label, len, LOWER DIGITS "-") || label[0] == '-' ||
            label[len - 1] == '-')
            return err_set(e, ERR_INVALID, "[platform] domain is not a DNS name in lower case: \"%s\"", domain);
        label = dot ? dot + 1 : NULL;
    }
    if (labels < 2)
        return err_set(e, ERR_INVALID, "[platform] domain has only one label: \"%s\"; it is like apps.example.com",
                       domain);
    return 0;
}

/* EC2's ids: a prefix and 8 or 17 hex digits. */
static int check_id(const char *key, const char *id, const char *prefix, struct err *e)
{
    size_t skip = strlen(prefix);
    size_t len = strlen(id);

    if (strncmp(id, prefix, skip) == 0 && (len - skip == 8 || len - skip == 17) &&
        all_in(id + skip, len - skip, DIGITS "abcdef"))
        return 0;
    return err_set(e, ERR_INVALID, "[platform] %s holds \"%s\", which is not an id like %s0123456789abcdef0", key, id,
                   prefix);
}

/* arn:partition:service:region:account:resource, with the resource beginning as given. */
static bool is_arn(const char *arn, const char *service, bool regional, const char *resource)
{
    const char *parts[6] = { arn };
    size_t lengths[6];

    for (int i = 0; i < 5; i++) {
        const char *colon = strchr(parts[i], ':');
        if (!colon)
            return false;
        lengths[i] = (size_t)(colon - parts[i]);
        parts[i + 1] = colon + 1;
    }
    return strncmp(arn, "arn:aws", 7) == 0 && lengths[2] == strlen(service) &&
           strncmp(parts[2], service, lengths[2]) == 0 && (lengths[3] > 0) == regional &&
           ((lengths[4] == 12 && all_in(parts[4], 12, DIGITS)) || (!regional && strncmp(parts[4], "aws:", 4) == 0)) &&
           text_starts(parts[5], resource) && strlen(parts[5]) > strlen(resource);
}

static int check_listeners(const struct config_list *listeners, struct err *e)
{
    if (listeners->count > LISTENERS_MAX)
        return err_set(e, ERR_INVALID, "[platform] listeners names %zu; at most %d", listeners->count, LISTENERS_MAX);
    for (size_t i = 0; i < listeners->count; i++) {
        if (!is_arn(listeners->items[i], "elasticloadbalancing", true, "listener/app/"))
            return err_set(e, ERR_INVALID,
                           "[platform] listeners holds \"%s\", which is not the ARN of an Application Load Balancer's "
                           "listener (arn:aws:elasticloadbalancing:region:account:listener/app/...)",
                           listeners->items[i]);
        for (size_t j = 0; j < i; j++)
            if (strcmp(listeners->items[i], listeners->items[j]) == 0)
                return err_set(e, ERR_INVALID, "[platform] listeners names \"%s\" twice", listeners->items[i]);
    }
    return 0;
}

static int check_network(const struct settings *s, struct err *e)
{
    if (s->vpc && check_id("vpc", s->vpc, "vpc-", e))
        return e->code;
    if (s->security_group && check_id("security_group", s->security_group, "sg-", e))
        return e->code;
    if (s->subnets.count > SUBNETS_MAX)
        return err_set(e, ERR_INVALID, "[platform] subnets names %zu; ECS takes at most %d", s->subnets.count,
                       SUBNETS_MAX);
    for (size_t i = 0; i < s->subnets.count; i++)
        if (check_id("subnets", s->subnets.items[i], "subnet-", e))
            return e->code;
    return check_listeners(&s->listeners, e);
}

static int check_build(const struct settings *s, struct err *e)
{
    static const char *const computes[] = { "BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE",
                                            "BUILD_GENERAL1_XLARGE", "BUILD_GENERAL1_2XLARGE" };

    if (!all_in(s->build_image, strlen(s->build_image), LOWER UPPER DIGITS "._-/:@"))
        return err_set(e, ERR_INVALID, "[platform] build_image is not the name of an image: \"%s\"", s->build_image);
    for (size_t i = 0; i < sizeof computes / sizeof *computes; i++)
        if (strcmp(s->build_compute, computes[i]) == 0)
            return 0;
    return err_set(e, ERR_INVALID,
                   "[platform] build_compute is \"%s\"; it is BUILD_GENERAL1_ and SMALL, MEDIUM, LARGE, XLARGE or "
                   "2XLARGE",
                   s->build_compute);
}

/* PutRetentionPolicy takes these and no others. */
static int check_retention(int64_t days, struct err *e)
{
    static const int allowed[] = { 1,   3,   5,   7,   14,   30,   60,   90,   120,  150,  180,
                                   365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653 };

    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (days == allowed[i])
            return 0;
    return err_set(e, ERR_INVALID,
                   "[platform] log_retention_days is %lld; CloudWatch Logs takes 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, "
                   "180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653",
                   (long long)days);
}

static int check_platform(const struct settings *s, struct err *e)
{
    if (s->domain && check_domain(s->domain, e))
        return e->code;
    if (s->cluster &&
        (strlen(s->cluster) > CLUSTER_MAX || !all_in(s->cluster, strlen(s->cluster), LOWER UPPER DIGITS "-_")))
        return err_set(e, ERR_INVALID, "[platform] cluster is not the name of an ECS cluster: \"%s\"", s->cluster);
    if (s->bucket && (strlen(s->bucket) < BUCKET_MIN || strlen(s->bucket) > BUCKET_MAX ||
                      !all_in(s->bucket, strlen(s->bucket), LOWER DIGITS ".-")))
        return err_set(e, ERR_INVALID, "[platform] bucket is not the name of an S3 bucket: \"%s\"", s->bucket);
    if (s->permissions_boundary && !is_arn(s->permissions_boundary, "iam", false, "policy/"))
        return err_set(e, ERR_INVALID,
                       "[platform] permissions_boundary is not the ARN of a managed policy "
                       "(arn:aws:iam::account:policy/name): \"%s\"",
                       s->permissions_boundary);
    if (check_network(s, e) || check_build(s, e))
        return e->code;
    return check_retention(s->log_retention_days, e);
}

/* A URL without user, query, fragment and slash at its end, so that paths can be added to it. */
static bool is_base_url(const char *url)
{
    const char *host = text_starts(url, "https://") ? url + 8 : text_starts(url, "http://") ? url + 7 : NULL;

    return host && strlen(url) <= URL_MAX && host[strcspn(host, "@?# \"\\<>")] == '\0' &&
           !text_has_control(url, strlen(url)) && host[0] != '/' && host[0] != '\0' && !text_ends(url, "/");
}

/* Whether an unencrypted URL stays on this machine: a stand-in for tests. */
static bool is_loopback(const char *url)
{
    const char *host = url + strlen("http://");
    size_t len = strcspn(host, ":/");

    if (host[0] == '[')
        return text_starts(host, "[::1]");
    return (len == 9 && (strncmp(host, "127.0.0.1", 9) == 0 || strncmp(host, "localhost", 9) == 0)) ||
           (len > 10 && strncmp(host + len - 10, ".localhost", 10) == 0);
}

static int check_urls(const struct settings *s, struct err *e)
{
    if (!is_base_url(s->github_api_url))
        return err_set(e, ERR_INVALID,
                       "[github] api_url is not a URL like https://api.github.com, without a slash at its end");
    if (text_starts(s->github_api_url, "http:") && !is_loopback(s->github_api_url))
        return err_set(e, ERR_INVALID, "[github] api_url must begin with https://: GitHub's token is sent to it");
    if (s->hooks_url && !is_base_url(s->hooks_url))
        return err_set(e, ERR_INVALID,
                       "[hooks] url is not a URL like https://berth.example.com, without a slash at its end");
    return 0;
}

static int check(const struct settings *s, struct err *e)
{
    if (s->aws_region && !all_in(s->aws_region, strlen(s->aws_region), LOWER DIGITS "-"))
        return err_set(e, ERR_INVALID, "[aws] region is not a region's name like eu-central-1: \"%s\"", s->aws_region);
    if (check_platform(s, e) || check_urls(s, e))
        return e->code;
    if (s->github_token_secret &&
        (strlen(s->github_token_secret) > SECRET_NAME_MAX ||
         !all_in(s->github_token_secret, strlen(s->github_token_secret), LOWER UPPER DIGITS "/_+=.@:-")))
        return err_set(e, ERR_INVALID,
                       "[github] token_secret is not the name of a secret in Secrets Manager (letters, digits and "
                       "/_+=.@-); the token itself does not belong into the configuration");
    return 0;
}

int settings_load(const char *path, struct arena *mem, struct loaded_settings *out, struct err *e)
{
    struct loaded_settings loaded = { .path = path };

    if (!loaded.path)
        loaded.path = getenv("BERTH_CONFIG");
    if (loaded.path && loaded.path[0] == '\0')
        loaded.path = NULL;
    if (!loaded.path && access(DEFAULT_PATH, F_OK) == 0)
        loaded.path = DEFAULT_PATH;
    loaded.path = arena_copy(mem, loaded.path);
    loaded.values = arena_array(mem, settings_count, sizeof *loaded.values);
    if (config_load(settings_table, settings_count, loaded.path, &loaded.settings, loaded.values, mem, e) ||
        check(&loaded.settings, e))
        return e->code;
    loaded.settings.config_path = loaded.path;
    *out = loaded;
    return 0;
}

int settings_require_platform(const struct settings *s, struct err *e)
{
    const struct {
        const char *key;
        bool missing;
    } needed[] = {
        { "domain", !s->domain },
        { "cluster", !s->cluster },
        { "bucket", !s->bucket },
        { "vpc", !s->vpc },
        { "subnets", s->subnets.count == 0 },
        { "security_group", !s->security_group },
        { "listeners", s->listeners.count == 0 },
        { "permissions_boundary", !s->permissions_boundary },
    };
    AUTO_BUF struct buf missing = { 0 };

    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (needed[i].missing)
            buf_printf(&missing, "%s%s", missing.len ? ", " : "", needed[i].key);
    if (missing.len == 0)
        return 0;
    err_set(e, ERR_INVALID, "the configuration does not say what berth stands on: [platform] %s", buf_text(&missing));
    return err_hint(e, "Name each in the section [platform] of the configuration file, or by the environment "
                       "(BERTH_PLATFORM_DOMAIN=...); `berth config` shows what is set.");
}
