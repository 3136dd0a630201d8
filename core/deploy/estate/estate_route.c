/* Listener rules and target groups. Neither is described with its tags: those are asked for in twenties, DescribeTags' limit. */
#include <string.h>

#include "core/base/text.h"
#include "core/deploy/estate/estate_kinds.h"
#include "core/deploy/estate/ownership.h"
#include "core/tenant/names.h"

enum { TAGS_ASKED_MAX = 20 };

static const struct aws_paging paged_rules = { "Rules", "NextMarker", "Marker" };
static const struct aws_paging paged_target_groups = { "TargetGroups", "NextMarker", "Marker" };

/* The tags of items[from..], at most TAGS_ASKED_MAX of them, as an array of {ResourceArn, Tags}. */
static int tags_read(struct estate_place *place, const json_object *items, const char *arn_at, size_t from,
                     json_object **tags, struct err *e)
{
    AUTO_JSON json_object *arns = json_new_array();
    AUTO_JSON json_object *ask = NULL, *reply = NULL;

    for (size_t i = from; i < json_length(items) && i < from + TAGS_ASKED_MAX; i++)
        json_append(arns, json_text(json_find_text(json_item(items, i), arn_at, place->mem)));
    ask = json_build("{s:O}", "ResourceArns", arns);
    if (estate_read(place, &ELBV2, "DescribeTags", ask, &reply, e))
        return e->code;
    *tags = json_hold(json_at(reply, "/TagDescriptions"));
    return 0;
}

/* Where an item says what it is, and which items of one app are found though their tag doesn't say so: those of this name (NULL: all). */
struct look {
    enum estate_kind kind;
    const char *arn_at, *name_at, *named;
};

static bool is_wanted(const struct look *look, const struct estate_thing *thing, const char *app)
{
    if (!app)
        return thing->owner != NULL;
    return (thing->owner && strcmp(thing->owner, app) == 0) || !look->named ||
           strcasecmp(thing->name, look->named) == 0;
}

static int add_owned(struct estate_place *place, const json_object *items, const struct look *look, const char *app,
                     struct estate *out, struct err *e)
{
    AUTO_JSON json_object *tags = NULL;

    for (size_t i = 0; i < json_length(items); i++) {
        json_object *item = json_item(items, i);
        struct estate_thing thing = { .kind = look->kind, .is = item };
        if (i % TAGS_ASKED_MAX == 0) {
            json_drop(tags);
            tags = NULL;
            if (tags_read(place, items, look->arn_at, i, &tags, e))
                return e->code;
        }
        if (json_read_text(item, look->arn_at, place->mem, &thing.arn, e))
            return e->code;
        thing.name = json_find_text(item, look->name_at, place->mem);
        thing.owner = tag_find(json_at(item_find(tags, "/ResourceArn", thing.arn), "/Tags"), NAMES_TAG_APP, place->mem);
        thing.name = thing.name ? thing.name : thing.arn;
        if (is_wanted(look, &thing, app))
            estate_add(place, out, &thing);
    }
    return 0;
}

/* Listener rules */

static int rules_of_listener(struct estate_place *place, const char *listener, const char *app, struct estate *out,
                             struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "ListenerArn", listener);
    AUTO_JSON json_object *rules = NULL, *real = json_new_array();
    const struct look look = { ESTATE_LISTENER_RULE, "/RuleArn", "/Conditions/0/HostHeaderConfig/Values/0",
                               app ? name_host(place->mem, app, place->settings->domain) : NULL };

    if (estate_read_paged(place, &ELBV2, "DescribeRules", ask, &paged_rules, &rules, e))
        return err_is(e, "ListenerNotFound") ? 0 : (int)e->code;
    for (size_t i = 0; i < json_length(rules); i++) {
        json_object *rule = json_item(rules, i);
        const char *priority = json_find_text(rule, "/Priority", place->mem);
        if (priority && strcmp(priority, "default") != 0) {
            json_put(rule, "ListenerArn", json_text(listener));
            json_append(real, json_hold(rule));
        }
    }
    return add_owned(place, real, &look, app, out, e);
}

int estate_find_rules(struct estate_place *place, const char *app, struct estate *out, struct err *e)
{
    const struct config_list *listeners = &place->settings->listeners;
    bool more = place->more_listener != NULL;

    for (size_t i = 0; i < listeners->count; i++) {
        more = more && strcmp(listeners->items[i], place->more_listener) != 0;
        if (rules_of_listener(place, listeners->items[i], app, out, e))
            return e->code;
    }
    return more ? rules_of_listener(place, place->more_listener, app, out, e) : 0;
}

int estate_remove_rule(struct estate_place *place, const struct estate_thing *thing, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "RuleArn", thing->arn);

    return estate_ask(place, &ELBV2, "DeleteRule", ask, "RuleNotFound", e);
}

/* Target groups */

/* "berth-shop-2" is the app's, "berth-shop-two-1" another's. */
static bool is_group_of(struct arena *mem, const char *name, const char *app)
{
    const char *hyphen = name ? strrchr(name, '-') : NULL;
    int64_t generation;

    if (!hyphen || !text_starts(name, "berth-") || !text_parse_int(hyphen + 1, 1, 999, &generation))
        return false;
    return !app || strcmp(name, name_target_group(mem, app, (int)generation)) == 0;
}

int estate_find_target_groups(struct estate_place *place, const char *app, struct estate *out, struct err *e)
{
    AUTO_JSON json_object *ask = json_new_object(), *all = NULL, *ours = json_new_array();
    const struct look look = { ESTATE_TARGET_GROUP, "/TargetGroupArn", "/TargetGroupName", NULL };

    if (estate_read_paged(place, &ELBV2, "DescribeTargetGroups", ask, &paged_target_groups, &all, e))
        return e->code;
    for (size_t i = 0; i < json_length(all); i++)
        if (is_group_of(place->mem, json_find_text(json_item(all, i), "/TargetGroupName", place->mem), app))
            json_append(ours, json_hold(json_item(all, i)));
    return add_owned(place, ours, &look, app, out, e);
}

int estate_remove_target_group(struct estate_place *place, const struct estate_thing *thing, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "TargetGroupArn", thing->arn);

    return estate_ask(place, &ELBV2, "DeleteTargetGroup", ask, "TargetGroupNotFound", e);
}
