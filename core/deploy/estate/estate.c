#include "core/deploy/estate/estate.h"

#include <string.h>

#include "core/base/test_point.h"
#include "core/base/text.h"
#include "core/deploy/estate/estate_kinds.h"
#include "core/deploy/estate/ownership.h"
#include "core/tenant/names.h"

static const struct {
    const char *name, *resources;
    estate_finder *find;
    estate_remover *remove;
} kinds[ESTATE_KIND_COUNT] = {
    [ESTATE_SERVICE] = { "service", "service", estate_find_service, estate_remove_service },
    [ESTATE_LISTENER_RULE] = { "listener rule", "listener_rule", estate_find_rules, estate_remove_rule },
    [ESTATE_TARGET_GROUP] = { "target group", "target_group", estate_find_target_groups, estate_remove_target_group },
    [ESTATE_TASK_DEFINITION] = { "task definition", NULL, estate_find_task_definitions, estate_remove_task_definition },
    [ESTATE_BUILD_PROJECT] = { "build project", "build_project", estate_find_project, estate_remove_project },
    [ESTATE_REPOSITORY] = { "image repository", "repository", estate_find_repository, estate_remove_repository },
    [ESTATE_LOG_GROUP] = { "log group", "log_group", estate_find_log_group, estate_remove_log_group },
    [ESTATE_ROLE] = { "role", "task_role,execution_role,build_role", estate_find_roles, estate_remove_role },
    [ESTATE_SOURCE] = { "source archive", NULL, estate_find_sources, estate_remove_source },
    [ESTATE_SECRET] = { "secret", NULL, estate_find_secrets, estate_remove_secret },
};

const char *estate_kind_name(enum estate_kind kind)
{
    return kinds[kind].name;
}

const char *estate_resource_kinds(enum estate_kind kind)
{
    return kinds[kind].resources;
}

void estate_cleanup(struct estate *estate)
{
    json_drop(estate->kept);
}

void estate_add(struct estate_place *place, struct estate *out, const struct estate_thing *thing)
{
    struct arena *mem = place->mem;

    if (out->count == out->room) {
        size_t room = out->room ? out->room * 2 : 16;
        struct estate_thing *grown = arena_array(mem, room, sizeof *grown);
        if (out->count)
            memcpy(grown, out->things, out->count * sizeof *grown);
        out->things = grown;
        out->room = room;
    }
    if (thing->is) {
        if (!out->kept)
            out->kept = json_new_array();
        json_append(out->kept, json_hold(thing->is));
    }
    out->things[out->count++] = (struct estate_thing){ .kind = thing->kind,
                                                       .name = arena_copy(mem, thing->name),
                                                       .arn = arena_copy(mem, thing->arn),
                                                       .owner = arena_copy(mem, thing->owner),
                                                       .state = arena_copy(mem, thing->state),
                                                       .is = thing->is };
}

const struct aws_guard *estate_to_look(struct estate_place *place, struct aws_guard *room)
{
    if (!place->lease)
        return NULL;
    *room = lease_to_look(place->lease);
    return room;
}

int estate_to_change(struct estate_place *place, struct aws_guard *room, const struct aws_guard **guard, struct err *e)
{
    *guard = NULL;
    if (!place->lease)
        return 0;
    if (lease_renew(place->lease, e))
        return e->code;
    *room = lease_to_change(place->lease);
    *guard = room;
    return 0;
}

int estate_read(struct estate_place *place, const struct aws_service *service, const char *operation, json_object *ask,
                json_object **reply, struct err *e)
{
    struct aws_guard room;

    return aws_call_guarded(place->aws, estate_to_look(place, &room), service, operation, ask, reply, e);
}

int estate_read_paged(struct estate_place *place, const struct aws_service *service, const char *operation,
                      json_object *ask, const struct aws_paging *paging, json_object **array, struct err *e)
{
    struct aws_guard room;

    return aws_call_paged_guarded(place->aws, estate_to_look(place, &room), service, operation, ask, paging, array, e);
}

int estate_change(struct estate_place *place, const struct aws_service *service, const char *operation,
                  json_object *ask, json_object **reply, struct err *e)
{
    struct aws_guard room;
    const struct aws_guard *guard;
    int code;

    if (estate_to_change(place, &room, &guard, e))
        return e->code;
    TEST_POINT("teardown", operation, "before");
    code = aws_call_guarded(place->aws, guard, service, operation, ask, reply, e);
    TEST_POINT("teardown", operation, "after");
    return code;
}

int estate_ask(struct estate_place *place, const struct aws_service *service, const char *operation, json_object *ask,
               const char *gone, struct err *e)
{
    int code = estate_change(place, service, operation, ask, NULL, e);

    return code && !(gone && err_is(e, gone)) ? code : 0;
}

const char *estate_app_of(struct arena *mem, const char *name, const char *before, const char *after)
{
    size_t len = strlen(name), head = strlen(before), tail = strlen(after);

    if (len <= head + tail || !text_starts(name, before) || !text_ends(name, after))
        return NULL;
    return arena_copy_n(mem, name + head, len - head - tail);
}

int estate_find(struct estate_place *place, enum estate_kind kind, const char *app, struct estate *out, struct err *e)
{
    return kinds[kind].find(place, app, out, e);
}

int estate_remove(struct estate_place *place, const struct estate_thing *thing, const char *app, struct err *e)
{
    AUTO_JSON json_object *tags = thing->owner ? ownership_tags(thing->owner) : json_new_array();
    const char *what = arena_printf(place->mem, "%s %s", kinds[thing->kind].name, thing->name);

    if (ownership_require(tags, what, app, e))
        return err_hint(e,
                        "Remove it by hand if nothing needs it, or tag it %s=%s to hand it over to berth; "
                        "then try again.",
                        NAMES_TAG_APP, app);
    return kinds[thing->kind].remove(place, thing, e);
}
