/* The listeners' priorities against the slots that berth keeps of them. */
#include <stdlib.h>
#include <string.h>

#include "core/deploy/estate/ownership.h"
#include "core/deploy/estate/reconcile_parts.h"

/* One listener: its rules as AWS has them, and whose they are. */
struct listener {
    const char *arn;
    json_object *rules; /* of anybody, the default one too */
    const struct estate *ours;
    const struct db_rows *slots;
};

static int priority_of(const json_object *rule, struct arena *mem)
{
    const char *text = json_find_text(rule, "/Priority", mem);

    return text ? atoi(text) : 0; /* "default" is 0 */
}

static const struct estate_thing *ours_at(const struct listener *l, int priority, struct arena *mem)
{
    for (size_t i = 0; i < l->ours->count; i++) {
        const char *listener = json_find_text(l->ours->things[i].is, "/ListenerArn", mem);
        if (listener && strcmp(listener, l->arn) == 0 && priority_of(l->ours->things[i].is, mem) == priority)
            return &l->ours->things[i];
    }
    return NULL;
}

static bool slot_at(const struct listener *l, int priority, size_t *row)
{
    for (*row = 0; *row < db_count(l->slots); ++*row)
        if (strcmp(db_get(l->slots, *row, "listener_arn"), l->arn) == 0 &&
            (int)db_get_int(l->slots, *row, "priority") == priority)
            return true;
    return false;
}

static bool is_wanted(const char *app, const char *only)
{
    return !only || (app && strcmp(app, only) == 0);
}

/* A rule whose priority no slot says is taken, or taken by another. */
static void compare_rule(struct estate_place *place, const struct listener *l, const json_object *rule,
                         const char *only, struct findings *out)
{
    int priority = priority_of(rule, place->mem);
    const struct estate_thing *ours = ours_at(l, priority, place->mem);
    const char *app = ours ? ours->owner : NULL, *kept;
    struct finding finding = { .kind = FINDING_SLOT_TAKEN,
                               .app = app,
                               .what = "listener priority",
                               .name = arena_printf(place->mem, "%d", priority),
                               .arn = l->arn,
                               .thing = ESTATE_LISTENER_RULE,
                               .priority = priority };
    size_t row;

    if (priority == 0 || !is_wanted(app, only))
        return;
    if (slot_at(l, priority, &row)) {
        kept = db_get(l->slots, row, "app_name");
        if (!app || (kept && strcmp(kept, app) == 0) || db_get_bool(l->slots, row, "busy"))
            return;
        finding.detail = arena_printf(place->mem, "the rule of %s has it, and its slot says %s", app,
                                      kept ? kept : "that it isn't berth's");
    } else {
        finding.detail = app ? arena_printf(place->mem, "the rule of %s has it, and no slot says so", app)
                             : "a rule that isn't berth's has it, and no slot says so";
    }
    finding_add(place, out, &finding);
}

/* A slot whose priority no rule has. One that an app keeps for a rule that is merely missing stays: the rule comes back to it. */
static void compare_slot(struct estate_place *place, const struct listener *l, size_t row, const char *only,
                         struct findings *out)
{
    int priority = (int)db_get_int(l->slots, row, "priority");
    const char *app = db_get_copy(l->slots, row, "app_name", place->mem);
    const struct finding finding = {
        .kind = FINDING_SLOT_FREE,
        .app = app,
        .what = "listener priority",
        .name = arena_printf(place->mem, "%d", priority),
        .arn = l->arn,
        .detail = app ? arena_printf(place->mem, "it is kept for %s, which has no rule", app)
                      : "it is kept as somebody else's, and no rule has it any more",
        .thing = ESTATE_LISTENER_RULE,
        .priority = priority,
    };

    if (!is_wanted(app, only) || db_get_bool(l->slots, row, "recorded") || db_get_bool(l->slots, row, "busy"))
        return;
    for (size_t i = 0; i < json_length(l->rules); i++)
        if (priority_of(json_item(l->rules, i), place->mem) == priority)
            return;
    finding_add(place, out, &finding);
}

static int compare_listener(struct db *db, struct estate_place *place, const char *arn, const struct estate *ours,
                            const char *only, struct findings *out, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "ListenerArn", arn), *rules = NULL;
    AUTO_ROWS struct db_rows *slots = NULL;
    struct listener l = { .arn = arn, .ours = ours };

    if (aws_call_paged(place->aws, &ELBV2, "DescribeRules", ask, "Rules", "NextMarker", "Marker", &rules, e) ||
        db_run(db, NULL, QUERY_LISTENER_SLOTS_ALL, NULL, 0, &slots, e))
        return e->code;
    l.rules = rules;
    l.slots = slots;
    for (size_t i = 0; i < json_length(rules); i++)
        compare_rule(place, &l, json_item(rules, i), only, out);
    for (size_t row = 0; row < db_count(slots); row++)
        if (strcmp(db_get(slots, row, "listener_arn"), arn) == 0)
            compare_slot(place, &l, row, only, out);
    return 0;
}

int slots_compare(struct db *db, struct estate_place *place, const char *only, struct findings *out, struct err *e)
{
    const struct config_list *listeners = &place->settings->listeners;
    AUTO_ESTATE struct estate ours = { 0 };

    if (estate_find(place, ESTATE_LISTENER_RULE, NULL, &ours, e))
        return e->code;
    for (size_t i = 0; i < listeners->count; i++)
        if (compare_listener(db, place, listeners->items[i], &ours, only, out, e))
            return e->code;
    return 0;
}
