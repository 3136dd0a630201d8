/*
 * route - how requests reach the app: a target group of its own, and a rule that sends {app}.{domain} there.
 *
 * A rule's priority is taken in Postgres before the rule is made, so two workers never ask AWS for the same one. A listener's rules are read once before: a rule for
 * our host that isn't ours would win or lose against ours by chance, so it is refused, and priorities that others hold are marked and passed over.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/deploy/estate/ownership.h"
#include "core/deploy/steps/health_check.h"
#include "core/deploy/steps/listener_room.h"
#include "core/deploy/steps/specs.h"
#include "core/deploy/steps/step_scope.h"
#include "core/tenant/names.h"

enum { SLOT_TRIES_MAX = 400, GENERATIONS_MAX = 999 };

static const char deregistration_delay_s[] = SPEC_DEREGISTRATION_DELAY_S;

/* Each task is registered with its own port, so the group's is never used; fixed, it lets an app change its port without another group. */
enum { TARGET_GROUP_PORT = 80 };

struct slot {
    const char *listener_arn;
    int priority;
};

/* Target group */

/* ERR_NONE with *arn NULL when there is no such group. *fits: what can't be changed is as wanted. */
static int target_group_find(struct step_run *run, const char *name, const char **arn, bool *fits, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:[s]}", "Names", name);
    AUTO_JSON json_object *reply = NULL;
    const char *vpc, *type;

    *arn = NULL;
    if (step_read(run, &ELBV2, "DescribeTargetGroups", ask, &reply, e))
        return err_is(e, "TargetGroupNotFound") ? 0 : (int)e->code;
    if (json_length(json_at(reply, "/TargetGroups")) == 0)
        return 0;
    vpc = json_find_text(reply, "/TargetGroups/0/VpcId", run->mem);
    type = json_find_text(reply, "/TargetGroups/0/TargetType", run->mem);
    *fits = vpc && type && strcmp(vpc, run->settings->vpc) == 0 && strcmp(type, "ip") == 0;
    return json_read_text(reply, "/TargetGroups/0/TargetGroupArn", run->mem, arn, e);
}

static int require_ours(struct step_run *run, const char *arn, const char *what, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:[s]}", "ResourceArns", arn);
    AUTO_JSON json_object *reply = NULL;

    if (step_read(run, &ELBV2, "DescribeTags", ask, &reply, e) ||
        ownership_require(json_at(reply, "/TagDescriptions/0/Tags"), what, run->app.name, e))
        return step_not_shown(run, e);
    return 0;
}

static int target_group_create(struct step_run *run, const struct app *checked, const char *name, const char **arn,
                               struct err *e)
{
    AUTO_JSON json_object *ask = spec_health_check(checked);
    AUTO_JSON json_object *reply = NULL;

    json_put(ask, "Name", json_text(name));
    json_put(ask, "Protocol", json_text("HTTP"));
    json_put(ask, "Port", json_number(TARGET_GROUP_PORT));
    json_put(ask, "VpcId", json_text(run->settings->vpc));
    json_put(ask, "TargetType", json_text("ip"));
    json_put(ask, "Tags", ownership_tags(run->app.name));
    if (step_call(run, &ELBV2, "CreateTargetGroup", name, ask, &reply, e))
        return e->code;
    return json_read_text(reply, "/TargetGroups/0/TargetGroupArn", run->mem, arn, e);
}

/* A group of the first generation, from the given one on, that is free or ours and can be made to fit. */
static int target_group_make(struct step_run *run, const struct app *checked, int generation, const char **name,
                             const char **arn, struct err *e)
{
    for (; generation <= GENERATIONS_MAX; generation++) {
        bool fits = false;
        *name = name_target_group(run->mem, run->app.name, generation);
        if (target_group_find(run, *name, arn, &fits, e))
            return e->code;
        if (!*arn)
            return target_group_create(run, checked, *name, arn, e);
        if (require_ours(run, *arn, arena_printf(run->mem, "target group %s", *name), e))
            return e->code;
        if (fits) {
            AUTO_JSON json_object *check = spec_health_check(checked);
            return health_check_put(run, *name, *arn, check, e);
        }
    }
    return err_set(e, ERR_QUOTA, "%s has used up its %d target group names", run->app.name, GENERATIONS_MAX);
}

static int set_deregistration_delay(struct step_run *run, const char *name, const char *arn, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s, s:[{s:s, s:s}]}", "TargetGroupArn", arn, "Attributes", "Key",
                                            "deregistration_delay.timeout_seconds", "Value", deregistration_delay_s);

    return step_call(run, &ELBV2, "ModifyTargetGroupAttributes", name, ask, NULL, e);
}

static int generation_of(const struct resource *group)
{
    const char *hyphen = group->name ? strrchr(group->name, '-') : NULL;
    int generation = hyphen ? atoi(hyphen + 1) : 1;

    return generation > 0 ? generation : 1;
}

static int target_group_ensure(struct step_run *run, struct resource *group, struct err *e)
{
    struct app checked;
    const char *hash;

    /* A health check that this release changes is the rollout's to change. */
    if (health_check_of_live(run, &checked, e) || resource_find(run, RESOURCE_TARGET_GROUP, group, e))
        return e->code;
    hash = health_check_hash(run, &checked);
    if (group->spec_hash && strcmp(group->spec_hash, hash) == 0)
        return 0;
    if (target_group_make(run, &checked, generation_of(group), &group->name, &group->arn, e) ||
        set_deregistration_delay(run, group->name, group->arn, e))
        return step_not_yet(e);
    return resource_record(run, RESOURCE_TARGET_GROUP, group->name, group->arn, hash, e);
}

/* Slot: the listener and priority that the app's rule has */

static const char *joined_listeners(const struct step_run *run)
{
    struct buf AUTO_BUF joined = { 0 };

    for (size_t i = 0; i < run->settings->listeners.count; i++)
        buf_printf(&joined, "%s%s", i ? "," : "", run->settings->listeners.items[i]);
    return arena_copy(run->mem, buf_text(&joined));
}

static int slot_take(struct step_run *run, struct slot *slot, struct err *e)
{
    struct db_rows AUTO_ROWS *rows = NULL;

    if (db_query(run->db, run->app.name, QUERY_LISTENER_SLOT_TAKE, &rows, e, db_text(run->app.name),
                 db_text(joined_listeners(run)), db_int(LISTENER_ROOM)))
        return e->code;
    if (db_count(rows) == 0) {
        err_set(e, ERR_QUOTA, "%s needs a listener rule, and each of the %zu listeners has %d of %d in use",
                run->app.name, run->settings->listeners.count, LISTENER_ROOM, LISTENER_ROOM);
        return err_hint(e, "Add a listener of another load balancer to [platform] listeners, or remove an app that is "
                           "no longer needed.");
    }
    slot->listener_arn = db_get_copy(rows, 0, "listener_arn", run->mem);
    slot->priority = (int)db_get_int(rows, 0, "priority");
    return 0;
}

static int slot_give_up(struct step_run *run, const struct slot *slot, struct err *e)
{
    struct db_rows AUTO_ROWS *rows = NULL;

    return db_query(run->db, run->app.name, QUERY_LISTENER_SLOT_FOREIGN, &rows, e, db_text(run->app.name),
                    db_text(slot->listener_arn), db_int(slot->priority));
}

/* Rule */

static json_object *conditions(const char *host)
{
    return json_build("[{s:s, s:{s:[s]}}]", "Field", "host-header", "HostHeaderConfig", "Values", host);
}

static json_object *forward_to(const char *target_group_arn)
{
    return json_build("[{s:s, s:s}]", "Type", "forward", "TargetGroupArn", target_group_arn);
}

static int rules_read(struct step_run *run, const char *listener_arn, json_object **rules, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "ListenerArn", listener_arn);

    return step_read_paged(run, &ELBV2, "DescribeRules", ask, "Rules", "NextMarker", "Marker", rules, e);
}

static bool names_host(const json_object *rule, const char *host, struct arena *mem)
{
    const json_object *all = json_at(rule, "/Conditions");

    for (size_t i = 0; i < json_length(all); i++) {
        const json_object *values = json_at(json_item(all, i), "/HostHeaderConfig/Values");
        for (size_t j = 0; j < json_length(values); j++) {
            const char *value = json_find_text(json_item(values, j), "", mem);
            if (value && strcasecmp(value, host) == 0)
                return true;
        }
    }
    return false;
}

static const char *rule_of_host(const json_object *rules, const char *host, struct arena *mem)
{
    for (size_t i = 0; i < json_length(rules); i++)
        if (names_host(json_item(rules, i), host, mem))
            return json_find_text(json_item(rules, i), "/RuleArn", mem);
    return NULL;
}

static int rule_modify(struct step_run *run, const char *arn, const char *host, const char *target_group_arn,
                       struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s, s:o, s:o}", "RuleArn", arn, "Conditions", conditions(host),
                                            "Actions", forward_to(target_group_arn));

    return step_call(run, &ELBV2, "ModifyRule", host, ask, NULL, e);
}

static int rule_create(struct step_run *run, const struct slot *slot, const char *host, const char *target_group_arn,
                       const char **arn, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s, s:i, s:o, s:o, s:o}", "ListenerArn", slot->listener_arn, "Priority",
                                            slot->priority, "Conditions", conditions(host), "Actions",
                                            forward_to(target_group_arn), "Tags", ownership_tags(run->app.name));
    AUTO_JSON json_object *reply = NULL;

    if (step_call(run, &ELBV2, "CreateRule", host, ask, &reply, e))
        return e->code;
    if (json_read_text(reply, "/Rules/0/RuleArn", run->mem, arn, e))
        return e->code;
    return step_note(run, "info", e, "Rule %d of the load balancer sends %s to the app.", slot->priority, host);
}

/* The rule for our host that is there already, made by an earlier run whose answer was lost; anybody else's is refused. *arn NULL: none. */
static int rule_adopt(struct step_run *run, const json_object *rules, const char *host, const char *target_group_arn,
                      const char **arn, struct err *e)
{
    *arn = rule_of_host(rules, host, run->mem);
    if (!*arn)
        return 0;
    if (require_ours(run, *arn, arena_printf(run->mem, "listener rule for %s (%s)", host, *arn), e))
        return e->code;
    return rule_modify(run, *arn, host, target_group_arn, e);
}

static bool is_taken(const json_object *rules, const struct slot *slot, struct arena *mem)
{
    return item_find(rules, "/Priority", arena_printf(mem, "%d", slot->priority)) != NULL;
}

static int rule_make(struct step_run *run, struct slot *slot, const char *host, const char *target_group_arn,
                     const char **arn, struct err *e)
{
    AUTO_JSON json_object *rules = NULL;
    const char *read_of = NULL;

    for (int i = 0; i < SLOT_TRIES_MAX; i++) {
        if (slot_take(run, slot, e))
            return e->code;
        if (!read_of || strcmp(read_of, slot->listener_arn) != 0) {
            json_drop(rules);
            rules = NULL;
            read_of = slot->listener_arn;
            if (rules_read(run, read_of, &rules, e) || rule_adopt(run, rules, host, target_group_arn, arn, e))
                return e->code;
            if (*arn)
                return 0;
        }
        if (!is_taken(rules, slot, run->mem)) {
            if (!rule_create(run, slot, host, target_group_arn, arn, e))
                return 0;
            if (!err_is(e, "PriorityInUse"))
                return step_not_yet(e);
            read_of = NULL; /* somebody was faster, or it was us and the answer was lost: look again */
            continue;
        }
        if (slot_give_up(run, slot, e))
            return e->code;
    }
    err_set(e, ERR_CONFLICT, "No free listener rule priority was found for %s in %d tries", host, SLOT_TRIES_MAX);
    return err_hint(e, "`berth reconcile --fix` marks the priorities that rules of others have taken.");
}

static int rule_ensure(struct step_run *run, const struct resource *group, struct err *e)
{
    const char *host = name_host(run->mem, run->app.name, run->settings->domain);
    AUTO_JSON json_object *spec = NULL;
    struct resource rule;
    struct slot slot;
    const char *hash;

    if (slot_take(run, &slot, e) || resource_find(run, RESOURCE_LISTENER_RULE, &rule, e))
        return e->code;
    spec = json_build("{s:s, s:s, s:s}", "listener", slot.listener_arn, "host", host, "target_group", group->arn);
    hash = spec_hash(run->mem, spec);
    if (rule.spec_hash && strcmp(rule.spec_hash, hash) == 0)
        return 0;
    if (!rule.arn || rule_modify(run, rule.arn, host, group->arn, e)) {
        if (rule.arn && !err_is(e, "RuleNotFound"))
            return e->code;
        if (rule_make(run, &slot, host, group->arn, &rule.arn, e))
            return e->code;
    }
    return resource_record(run, RESOURCE_LISTENER_RULE, host, rule.arn, hash, e);
}

int route_ensure(struct step_run *run, enum step_answer *answer, struct err *e)
{
    struct resource group;

    if (target_group_ensure(run, &group, e) || rule_ensure(run, &group, e))
        return e->code;
    *answer = STEP_DONE;
    return 0;
}
