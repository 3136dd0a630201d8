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

/* Renews the lease, then asks. An error with this code (NULL: none) means that the thing is gone, which is a success. */
int estate_ask(struct estate_place *place, const struct aws_service *service, const char *operation, json_object *ask,
               const char *gone, struct err *e);
int estate_renew(struct estate_place *place, struct err *e);

/* The app in a name between fixed parts, "berth-" "" : "berth-shop" is "shop"; NULL when it isn't such a name. */
const char *estate_app_of(struct arena *mem, const char *name, const char *before, const char *after);

#endif
