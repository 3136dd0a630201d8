/* What of a thing is not as berth made it. AWS describes more than was asked for, so what was asked for must be found in what it describes. */
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "core/deploy/estate/ownership.h"
#include "core/deploy/estate/reconcile_parts.h"
#include "core/deploy/steps/policies.h"
#include "core/deploy/steps/specs.h"
#include "core/tenant/names.h"

enum { SHOWN_MAX = 80 };

struct drift {
    struct estate_place *place;
    const struct reconcile_subject *subject;
    const struct estate_thing *thing;
    const struct resource_row *row;
    struct findings *out;
};

static void report(struct drift *d, enum finding_kind kind, const char *name, const char *detail)
{
    const struct finding finding = { .kind = kind,
                                     .app = d->subject->app.name,
                                     .what = estate_kind_name(d->thing->kind),
                                     .name = name ? name : d->thing->name,
                                     .arn = d->thing->arn,
                                     .detail = detail,
                                     .thing = d->thing->kind,
                                     .owner = d->thing->owner,
                                     .resource = d->row->kind };

    finding_add(d->place, d->out, &finding);
}

/* Comparing */

/* Query's replies have only texts, and JSON's have numbers. */
static const char *plain(struct arena *mem, const json_object *value)
{
    const char *text = json_find_text(value, "", mem);

    return text ? text : json_to_text(value, mem);
}

static bool covers(const json_object *is, const json_object *wanted, struct arena *mem, const char **where);

static bool covers_members(const json_object *is, const json_object *wanted, struct arena *mem, const char **where)
{
    for (struct json_member m = json_first(wanted); m.name; m = json_next(m)) {
        const char *below = NULL;
        if (covers(json_get(is, m.name), m.value, mem, &below))
            continue;
        *where = below ? arena_printf(mem, "%s.%s", m.name, below) : arena_copy(mem, m.name);
        return false;
    }
    return true;
}

/* In any order. */
static bool covers_items(const json_object *is, const json_object *wanted, struct arena *mem)
{
    const char *ignored = NULL;

    if (json_length(is) != json_length(wanted))
        return false;
    for (size_t i = 0; i < json_length(wanted); i++) {
        bool there = false;
        for (size_t j = 0; j < json_length(is) && !there; j++)
            there = covers(json_item(is, j), json_item(wanted, i), mem, &ignored);
        if (!there)
            return false;
    }
    return true;
}

static bool covers(const json_object *is, const json_object *wanted, struct arena *mem, const char **where)
{
    if (!is)
        return false;
    if (json_is_object(wanted))
        return json_is_object(is) && covers_members(is, wanted, mem, where);
    if (json_is_array(wanted))
        return covers_items(is, wanted, mem);
    return strcmp(plain(mem, is), plain(mem, wanted)) == 0;
}

static const char *shown(struct arena *mem, const json_object *value)
{
    char *out = arena_alloc(mem, SHOWN_MAX);

    if (!value)
        return "missing";
    text_excerpt(plain(mem, value), out, SHOWN_MAX);
    return out;
}

/* "a.b" of an object. */
static const json_object *at(const json_object *object, const char *where, struct arena *mem)
{
    char *copy = arena_copy(mem, where);

    for (char *rest = NULL, *name = strtok_r(copy, ".", &rest); name && object; name = strtok_r(NULL, ".", &rest))
        object = json_get(object, name);
    return object;
}

/* Reports the first difference; there being more says nothing new, since all of it is made anew. wanted is dropped. */
static void compare(struct drift *d, const json_object *is, json_object *wanted)
{
    AUTO_JSON json_object *taken = wanted;
    struct arena *mem = d->place->mem;
    const char *where = NULL;

    if (covers(is, taken, mem, &where))
        return;
    where = where ? where : "";
    report(d, FINDING_CHANGED, NULL,
           arena_printf(mem, "%s is %s, not %s", where, shown(mem, at(is, where, mem)),
                        shown(mem, at(taken, where, mem))));
}

/* Service, rule, target group */

static void compare_service(struct drift *d)
{
    const struct reconcile_subject *s = d->subject;
    const struct resource_row *group = subject_row(s, "target_group");
    json_object *wanted = spec_service(d->place->settings, &s->app, group ? group->arn : NULL);

    /* Without a release that went live, what its tasks are and how many is what the failed one left. */
    if (s->live.release) {
        json_put(wanted, "desiredCount", json_number(s->app.tasks));
        json_put(wanted, "taskDefinition", json_text(s->live.task_definition_arn));
    }
    json_put(wanted, "status", json_text("ACTIVE"));
    compare(d, d->thing->is, wanted);
}

static void compare_rule(struct drift *d)
{
    const struct reconcile_subject *s = d->subject;
    const struct resource_row *group = subject_row(s, "target_group");
    json_object *wanted =
        json_build("{s:[{s:s, s:{s:[s]}}], s:[{s:s, s:s}]}", "Conditions", "Field", "host-header", "HostHeaderConfig",
                   "Values", name_host(d->place->mem, s->app.name, d->place->settings->domain), "Actions", "Type",
                   "forward", "TargetGroupArn", group ? group->arn : NULL);

    compare(d, d->thing->is, wanted);
}

static int compare_target_group(struct drift *d, struct err *e)
{
    static const char delay[] = "deregistration_delay.timeout_seconds";
    AUTO_JSON json_object *ask = json_build("{s:s}", "TargetGroupArn", d->thing->arn), *reply = NULL;
    struct arena *mem = d->place->mem;
    const char *is;

    compare(d, d->thing->is, spec_health_check(&d->subject->app));
    if (aws_call(d->place->aws, &ELBV2, "DescribeTargetGroupAttributes", ask, &reply, e))
        return e->code == ERR_NOT_FOUND ? 0 : (int)e->code;
    is = json_find_text(item_find(json_at(reply, "/Attributes"), "/Key", delay), "/Value", mem);
    if (!is || strcmp(is, SPEC_DEREGISTRATION_DELAY_S) != 0)
        report(d, FINDING_CHANGED, NULL,
               arena_printf(mem, "%s is %s, not %s", delay, is ? is : "missing", SPEC_DEREGISTRATION_DELAY_S));
    return 0;
}

/* What the identity step makes */

static struct policy_scope scope_of(const struct drift *d)
{
    return (struct policy_scope){ .partition = d->place->partition,
                                  .region = aws_region(d->place->aws),
                                  .account = d->place->account,
                                  .app = d->subject->app.name,
                                  .bucket = d->place->settings->bucket };
}

static const char *role_arn(const struct drift *d, const char *name)
{
    return arena_printf(d->place->mem, "arn:%s:iam::%s:role/%s", d->place->partition, d->place->account, name);
}

static void compare_project(struct drift *d)
{
    const struct policy_scope scope = scope_of(d);
    const struct build_environment environment = {
        .image = d->place->settings->build_image,
        .compute = d->place->settings->build_compute,
        .role_arn = role_arn(d, name_build_role(d->place->mem, scope.app)),
    };

    compare(d, d->thing->is, policy_build_project(&scope, &environment));
}

static void compare_repository(struct drift *d)
{
    compare(
        d, d->thing->is,
        json_build("{s:s, s:{s:b}}", "imageTagMutability", "IMMUTABLE", "imageScanningConfiguration", "scanOnPush", 1));
}

static void compare_log_group(struct drift *d)
{
    compare(d, d->thing->is, json_build("{s:I}", "retentionInDays", d->place->settings->log_retention_days));
}

/* IAM gives policy documents encoded for a URL. NULL: it is no JSON. */
static json_object *document_read(struct arena *mem, const char *encoded)
{
    char *text = arena_copy(mem, encoded ? encoded : ""), *to = text;
    json_object *document = NULL;
    struct err ignored = { 0 };

    for (const char *from = text; *from; to++) {
        char hex[3] = { 0 }, *end = hex;
        if (*from == '%' && from[1] && from[2])
            memcpy(hex, from + 1, 2);
        long byte = *hex ? strtol(hex, &end, 16) : 0;
        bool is_escape = *hex && end == hex + 2;
        *to = is_escape ? (char)byte : *from;
        from += is_escape ? 3 : 1;
    }
    *to = '\0';
    return json_parse(text, strlen(text), &document, &ignored) ? NULL : document;
}

/* Both ways: a policy that allows more covers what was wanted, too. */
static void compare_document(struct drift *d, const char *what, const char *encoded, json_object *wanted)
{
    AUTO_JSON json_object *taken = wanted, *is = document_read(d->place->mem, encoded);
    const char *where = NULL;

    if (is && covers(is, taken, d->place->mem, &where) && covers(taken, is, d->place->mem, &where))
        return;
    report(d, FINDING_CHANGED, NULL, arena_printf(d->place->mem, "its %s is not as berth wrote it", what));
}

static bool is_role(const struct drift *d, const char *kind)
{
    return strcmp(d->row->kind, kind) == 0;
}

static int compare_own_policy(struct drift *d, const json_object *names, struct err *e)
{
    const struct policy_scope scope = scope_of(d);
    AUTO_JSON json_object *ask = json_build("{s:s, s:s}", "RoleName", d->thing->name, "PolicyName", SPEC_ROLE_POLICY),
                          *reply = NULL;
    bool there = false;

    for (size_t i = 0; i < json_length(names) && !there; i++)
        there = strcmp(plain(d->place->mem, json_item(names, i)), SPEC_ROLE_POLICY) == 0;
    if (is_role(d, "task_role"))
        return 0;
    if (!there) {
        report(d, FINDING_CHANGED, NULL, "its policy \"" SPEC_ROLE_POLICY "\" is missing");
        return 0;
    }
    if (aws_call(d->place->aws, &IAM, "GetRolePolicy", ask, &reply, e))
        return e->code;
    compare_document(d, "policy", json_find_text(reply, "/PolicyDocument", d->place->mem),
                     is_role(d, "build_role") ? policy_build(&scope) : policy_execution(&scope));
    return 0;
}

/* Policies that berth didn't give it: a build, or whoever starts the tasks, may do more than berth meant it to. What the app itself may is the operator's to
 * give, to its task role, within the boundary. */
static int find_extra_policies(struct drift *d, const json_object *names, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "RoleName", d->thing->name), *attached = NULL;
    struct arena *mem = d->place->mem;

    if (is_role(d, "task_role"))
        return 0;
    for (size_t i = 0; i < json_length(names); i++) {
        const char *name = plain(mem, json_item(names, i));
        if (strcmp(name, SPEC_ROLE_POLICY) != 0)
            report(d, FINDING_EXTRA_POLICY, NULL, arena_printf(mem, "policy %s", name));
    }
    if (aws_call_paged(d->place->aws, &IAM, "ListAttachedRolePolicies", ask, "AttachedPolicies", "Marker", "Marker",
                       &attached, e))
        return e->code;
    for (size_t i = 0; i < json_length(attached); i++)
        report(d, FINDING_EXTRA_POLICY, NULL,
               arena_printf(mem, "policy %s", json_find_text(json_item(attached, i), "/PolicyArn", mem)));
    return 0;
}

static int compare_role(struct drift *d, struct err *e)
{
    const struct policy_scope scope = scope_of(d);
    AUTO_JSON json_object *ask = json_build("{s:s}", "RoleName", d->thing->name), *names = NULL;
    struct arena *mem = d->place->mem;

    compare(d, d->thing->is,
            json_build("{s:{s:s}}", "PermissionsBoundary", "PermissionsBoundaryArn",
                       d->place->settings->permissions_boundary));
    compare_document(d, "trust policy", json_find_text(d->thing->is, "/AssumeRolePolicyDocument", mem),
                     is_role(d, "build_role") ? policy_trust_builds(&scope) : policy_trust_tasks(&scope));
    if (aws_call_paged(d->place->aws, &IAM, "ListRolePolicies", ask, "PolicyNames", "Marker", "Marker", &names, e) ||
        compare_own_policy(d, names, e) || find_extra_policies(d, names, e))
        return e->code == ERR_NOT_FOUND ? 0 : (int)e->code;
    return 0;
}

int drift_find(struct estate_place *place, const struct reconcile_subject *subject, const struct estate_thing *thing,
               const struct resource_row *row, struct findings *out, struct err *e)
{
    struct drift d = { .place = place, .subject = subject, .thing = thing, .row = row, .out = out };

    switch (thing->kind) {
    case ESTATE_SERVICE:
        compare_service(&d);
        return 0;
    case ESTATE_LISTENER_RULE:
        compare_rule(&d);
        return 0;
    case ESTATE_TARGET_GROUP:
        return compare_target_group(&d, e);
    case ESTATE_BUILD_PROJECT:
        compare_project(&d);
        return 0;
    case ESTATE_REPOSITORY:
        compare_repository(&d);
        return 0;
    case ESTATE_LOG_GROUP:
        compare_log_group(&d);
        return 0;
    case ESTATE_ROLE:
        return compare_role(&d, e);
    default:
        return 0;
    }
}
