/*
 * estate_kinds - the finders and removers of each kind of thing, and what they share.
 *
 * Private to core/deploy/estate*.c.
 */
#ifndef BERTH_DEPLOY_ESTATE_KINDS_H
#define BERTH_DEPLOY_ESTATE_KINDS_H

#include "core/deploy/estate/estate.h"

typedef int estate_finder(struct estate_place *place, const char *app, struct estate *out, struct err *e);
typedef int estate_remover(struct estate_place *place, const struct estate_thing *thing, struct err *e);

estate_finder estate_find_service, estate_find_task_definitions, estate_find_rules, estate_find_target_groups;
estate_finder estate_find_project, estate_find_repository, estate_find_log_group, estate_find_roles,
    estate_find_sources, estate_find_secrets;
estate_remover estate_remove_service, estate_remove_task_definition, estate_remove_rule, estate_remove_target_group;
estate_remover estate_remove_project, estate_remove_repository, estate_remove_log_group, estate_remove_role,
    estate_remove_source, estate_remove_secret;

/* The thing's texts are copied; is: one reference is taken. */
void estate_add(struct estate_place *place, struct estate *out, const struct estate_thing *thing);

/* A call that changes nothing, and aws_call_paged of one. The lease is kept on the way. */
int estate_read(struct estate_place *place, const struct aws_service *service, const char *operation, json_object *ask,
                json_object **reply, struct err *e);
int estate_read_paged(struct estate_place *place, const struct aws_service *service, const char *operation,
                      json_object *ask, const struct aws_paging *paging, json_object **array, struct err *e);

/* A call that changes AWS: the lease is renewed, and each try is begun only within it. */
int estate_change(struct estate_place *place, const struct aws_service *service, const char *operation,
                  json_object *ask, json_object **reply, struct err *e);
/* The same of a removal. An error with this code (NULL: none) means that the thing is gone, which is a success. */
int estate_ask(struct estate_place *place, const struct aws_service *service, const char *operation, json_object *ask,
               const char *gone, struct err *e);

/* For what is no aws_call: the guard, made in room; NULL: there is no lease to keep to. To change, the lease is renewed before. */
const struct aws_guard *estate_to_look(struct estate_place *place, struct aws_guard *room);
int estate_to_change(struct estate_place *place, struct aws_guard *room, const struct aws_guard **guard, struct err *e);

/* The app in a name between fixed parts, "berth-" "" : "berth-shop" is "shop"; NULL when it isn't such a name. */
const char *estate_app_of(struct arena *mem, const char *name, const char *before, const char *after);

#endif
