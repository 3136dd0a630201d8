/* Links from what is on record to AWS's own console, by kind, region and partition. */
#include <string.h>

#include "fcgi/admin_app.h"
#include "fcgi/link.h"

/* arn:partition:service:region:account:resource */
enum arn_part { ARN_WORD, ARN_PARTITION, ARN_SERVICE, ARN_REGION, ARN_ACCOUNT, ARN_RESOURCE, ARN_PARTS };

static bool split(const char *arn, struct arena *mem, const char *parts[ARN_PARTS])
{
    for (int i = 0; i < ARN_RESOURCE; i++) {
        size_t len = strcspn(arn, ":");
        if (!arn[len])
            return false;
        parts[i] = arena_copy_n(mem, arn, len);
        arn += len + 1;
    }
    parts[ARN_RESOURCE] = arn;
    return strcmp(parts[ARN_WORD], "arn") == 0 && *arn;
}

static const char *console_host(const char *partition)
{
    static const char *const hosts[][2] = {
        { "aws", "console.aws.amazon.com" },
        { "aws-cn", "console.amazonaws.cn" },
        { "aws-us-gov", "console.amazonaws-us-gov.com" },
    };

    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (strcmp(hosts[i][0], partition) == 0)
            return hosts[i][1];
    return NULL;
}

/* What a console's address is made of; each part encoded. */
struct place {
    const char *region, *account, *name, *arn, *cluster;
};

/* service/cluster/name; the older form has no cluster. */
static const char *cluster_of(const char *resource, struct arena *mem)
{
    const char *from = strchr(resource, '/');
    const char *to = from ? strchr(from + 1, '/') : NULL;

    return to ? arena_copy_n(mem, from + 1, (size_t)(to - from - 1)) : "default";
}

static const char *path_of(const char *kind, const struct place *p, struct arena *mem)
{
    if (!strcmp(kind, "service"))
        return arena_printf(mem, "/ecs/v2/clusters/%s/services/%s/health?region=%s", p->cluster, p->name, p->region);
    if (!strcmp(kind, "repository"))
        return arena_printf(mem, "/ecr/repositories/private/%s/%s?region=%s", p->account, p->name, p->region);
    if (!strcmp(kind, "build_project"))
        return arena_printf(mem, "/codesuite/codebuild/%s/projects/%s/history?region=%s", p->account, p->name,
                            p->region);
    if (!strcmp(kind, "target_group"))
        return arena_printf(mem, "/ec2/home?region=%s#TargetGroup:targetGroupArn=%s", p->region, p->arn);
    if (!strcmp(kind, "listener_rule"))
        return arena_printf(mem, "/ec2/home?region=%s#ListenerRuleDetails:ruleArn=%s", p->region, p->arn);
    if (!strcmp(kind, "log_group")) /* the console wants the name encoded twice */
        return arena_printf(mem, "/cloudwatch/home?region=%s#logsV2:log-groups/log-group/%s", p->region,
                            link_encode(p->name, mem));
    return NULL;
}

static bool is_role(const char *kind)
{
    return !strcmp(kind, "task_role") || !strcmp(kind, "execution_role") || !strcmp(kind, "build_role");
}

const char *console_url(const struct resource_row *resource, struct arena *mem)
{
    const char *parts[ARN_PARTS];
    const char *host;

    if (!split(resource->arn, mem, parts) || !(host = console_host(parts[ARN_PARTITION])))
        return "";
    const struct place place = { .region = link_encode(parts[ARN_REGION], mem),
                                 .account = link_encode(parts[ARN_ACCOUNT], mem),
                                 .name = link_encode(resource->name, mem),
                                 .arn = link_encode(resource->arn, mem),
                                 .cluster = link_encode(cluster_of(parts[ARN_RESOURCE], mem), mem) };
    if (is_role(resource->kind)) /* IAM has no region */
        return arena_printf(mem, "https://%s/iam/home#/roles/details/%s", host, place.name);
    const char *path = path_of(resource->kind, &place, mem);
    return path && *place.region ? arena_printf(mem, "https://%s.%s%s", place.region, host, path) : "";
}

const char *console_build_url(const char *project_arn, const char *build_id, struct arena *mem)
{
    const char *parts[ARN_PARTS];
    const char *host, *name;

    if (!project_arn || !build_id || !split(project_arn, mem, parts) || !(host = console_host(parts[ARN_PARTITION])) ||
        !(name = strchr(parts[ARN_RESOURCE], '/')))
        return "";
    const char *region = link_encode(parts[ARN_REGION], mem);
    return arena_printf(mem, "https://%s.%s/codesuite/codebuild/%s/projects/%s/build/%s/?region=%s", region, host,
                        link_encode(parts[ARN_ACCOUNT], mem), link_encode(name + 1, mem), link_encode(build_id, mem),
                        region);
}
