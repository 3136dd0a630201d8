/* platform_check - what berth stands on, looked at once before a worker begins. All that is missing is told at once. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/aws/s3.h"
#include "core/deploy/worker.h"

struct check {
    struct aws *aws;
    const struct settings *settings;
    struct arena *mem;
    struct buf problems;
    int count;
};

/* A problem, with what to do about it, as one sentence each. */
static void problem(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void problem(struct check *check, const char *format, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_printf(&check->problems, "%s(%d) %s", check->count ? " " : "", check->count + 1, text);
    check->count++;
}

/* A call whose "not found" is a problem to tell of, and not an error. *found false: it wasn't there. */
static int ask_about(struct check *check, const struct aws_service *service, const char *operation, json_object *ask,
                     json_object **reply, bool *found, struct err *e)
{
    *found = true;
    if (!aws_call(check->aws, service, operation, ask, reply, e))
        return 0;
    /* EC2 says InvalidSubnetID.NotFound for what isn't there and InvalidGroupId.Malformed for what can't be. */
    if (e->code != ERR_NOT_FOUND && e->code != ERR_INVALID)
        return e->code;
    *found = false;
    return 0;
}

/* Credentials of another account would see nothing that is named, and make things there. */
static int check_account(struct check *check, struct err *e)
{
    AUTO_JSON json_object *reply = NULL;
    const char *account, *partition, *named;

    if (aws_call(check->aws, &STS, "GetCallerIdentity", NULL, &reply, e) ||
        json_read_text(reply, "/Account", check->mem, &account, e) ||
        aws_arn_account(check->settings->permissions_boundary, check->mem, &partition, &named, e))
        return e->code;
    if (strcmp(account, named) != 0)
        problem(check,
                "The credentials are of account %s, but [platform] names things of account %s: use the right ones.",
                account, named);
    return 0;
}

static int check_cluster(struct check *check, struct err *e)
{
    const char *name = check->settings->cluster;
    AUTO_JSON json_object *ask = json_build("{s:[s]}", "clusters", name);
    AUTO_JSON json_object *reply = NULL;
    const char *status;
    bool found;

    if (ask_about(check, &ECS, "DescribeClusters", ask, &reply, &found, e))
        return e->code;
    status = json_find_text(reply, "/clusters/0/status", check->mem);
    if (!status || strcmp(status, "ACTIVE") != 0)
        problem(check, "ECS cluster %s is %s: create it, or name another in [platform] cluster.", name,
                status ? status : "not there");
    return 0;
}

static int check_bucket(struct check *check, struct err *e)
{
    const char *bucket = check->settings->bucket;
    bool versioned = false;

    if (s3_bucket_versioned(check->aws, bucket, &versioned, e)) {
        if (e->code != ERR_NOT_FOUND)
            return e->code;
        problem(check, "Bucket %s is not there: create it, or name another in [platform] bucket.", bucket);
        return 0;
    }
    if (!versioned)
        problem(check, "Bucket %s is not versioned: enable versioning, since a build names the version of its source.",
                bucket);
    return 0;
}

/* The VPC of the load balancer that a listener is of. */
static int read_vpc_of(struct check *check, const char *load_balancer, const char **vpc, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:[s]}", "LoadBalancerArns", load_balancer);
    AUTO_JSON json_object *reply = NULL;

    if (aws_call(check->aws, &ELBV2, "DescribeLoadBalancers", ask, &reply, e))
        return e->code;
    return json_read_text(reply, "/LoadBalancers/0/VpcId", check->mem, vpc, e);
}

static int check_listener(struct check *check, const char *arn, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:[s]}", "ListenerArns", arn);
    AUTO_JSON json_object *reply = NULL;
    const char *protocol, *load_balancer, *vpc;
    bool found;

    if (ask_about(check, &ELBV2, "DescribeListeners", ask, &reply, &found, e))
        return e->code;
    if (!found || json_length(json_at(reply, "/Listeners")) == 0) {
        problem(check,
                "Listener %s is not there: name the HTTPS listeners of your load balancers in [platform] "
                "listeners.",
                arn);
        return 0;
    }
    if (json_read_text(reply, "/Listeners/0/Protocol", check->mem, &protocol, e) ||
        json_read_text(reply, "/Listeners/0/LoadBalancerArn", check->mem, &load_balancer, e) ||
        read_vpc_of(check, load_balancer, &vpc, e))
        return e->code;
    if (strcmp(protocol, "HTTPS") != 0)
        problem(check, "Listener %s speaks %s: name the HTTPS one, since port 80 only redirects.", arn, protocol);
    if (strcmp(vpc, check->settings->vpc) != 0)
        problem(check, "Listener %s is in %s, not in [platform] vpc %s, so it can't reach the tasks.", arn, vpc,
                check->settings->vpc);
    return 0;
}

static int check_listeners(struct check *check, struct err *e)
{
    for (size_t i = 0; i < check->settings->listeners.count; i++)
        if (check_listener(check, check->settings->listeners.items[i], e))
            return e->code;
    return 0;
}

/* *zone NULL: the subnet isn't there, and that was told. */
static int check_subnet(struct check *check, const char *id, const char **zone, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:[s]}", "SubnetId", id);
    AUTO_JSON json_object *reply = NULL;
    const char *vpc;
    bool found;

    *zone = NULL;
    if (ask_about(check, &EC2, "DescribeSubnets", ask, &reply, &found, e))
        return e->code;
    if (!found) {
        problem(check, "Subnet %s is not there: correct [platform] subnets.", id);
        return 0;
    }
    if (json_read_text(reply, "/subnetSet/0/vpcId", check->mem, &vpc, e))
        return e->code;
    if (strcmp(vpc, check->settings->vpc) != 0)
        problem(check, "Subnet %s is in %s, not in [platform] vpc %s.", id, vpc, check->settings->vpc);
    return json_read_text(reply, "/subnetSet/0/availabilityZone", check->mem, zone, e);
}

/* Subnets, each in the VPC, and together in two zones or more: a zone may fail. */
static int check_subnets(struct check *check, struct err *e)
{
    const char *zone, *first_zone = NULL;
    bool all_in_one = true;

    for (size_t i = 0; i < check->settings->subnets.count; i++) {
        if (check_subnet(check, check->settings->subnets.items[i], &zone, e))
            return e->code;
        if (!zone || (first_zone && strcmp(first_zone, zone) != 0))
            all_in_one = false;
        first_zone = zone;
    }
    if (all_in_one && first_zone)
        problem(check, "All subnets are in %s: add one of another availability zone to [platform] subnets.",
                first_zone);
    return 0;
}

static int check_security_group(struct check *check, struct err *e)
{
    const char *id = check->settings->security_group;
    AUTO_JSON json_object *ask = json_build("{s:[s]}", "GroupId", id);
    AUTO_JSON json_object *reply = NULL;
    const char *vpc;
    bool found;

    if (ask_about(check, &EC2, "DescribeSecurityGroups", ask, &reply, &found, e))
        return e->code;
    vpc = json_find_text(reply, "/securityGroupInfo/0/vpcId", check->mem);
    if (!vpc)
        problem(check, "Security group %s is not there: correct [platform] security_group.", id);
    else if (strcmp(vpc, check->settings->vpc) != 0)
        problem(check, "Security group %s is in %s, not in [platform] vpc %s.", id, vpc, check->settings->vpc);
    return 0;
}

static int check_boundary(struct check *check, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "PolicyArn", check->settings->permissions_boundary);
    AUTO_JSON json_object *reply = NULL;
    bool found;

    if (ask_about(check, &IAM, "GetPolicy", ask, &reply, &found, e))
        return e->code;
    if (!found)
        problem(check,
                "Managed policy %s is not there: create it (docs/aws-permissions.md), or correct [platform] "
                "permissions_boundary.",
                check->settings->permissions_boundary);
    return 0;
}

static int check_all(struct check *check, struct err *e)
{
    static int (*const checks[])(struct check *, struct err *) = { check_account,   check_cluster, check_bucket,
                                                                   check_listeners, check_subnets, check_security_group,
                                                                   check_boundary };

    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (checks[i](check, e))
            return e->code;
    return 0;
}

int platform_check(struct aws *aws, const struct settings *settings, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct check check = { .aws = aws, .settings = settings, .mem = mem };
    int failure = check_all(&check, e);

    if (failure)
        err_context(e, "What berth stands on can't be checked");
    else if (check.count > 0)
        failure =
            err_set(e, ERR_INVALID, "What berth stands on is not as [platform] says: %s", buf_text(&check.problems));
    buf_free(&check.problems);
    return failure;
}
