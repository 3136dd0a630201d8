/*
 * ownership - whether a thing that is already there is the app's, by its tag berth:app.
 *
 * berth makes each thing of a tenant itself and tags it. A thing of the wanted name that lacks the tag is somebody else's: it is refused, never adopted, since what
 * is adopted would be changed and in the end deleted.
 * Tags come in three shapes: a list of {Key, Value} (IAM, ECR, ELBv2), a list of {key, value} (CodeBuild, ECS), an object (CloudWatch Logs).
 */
#ifndef BERTH_DEPLOY_OWNERSHIP_H
#define BERTH_DEPLOY_OWNERSHIP_H

#include "core/base/json.h"

/* The value of a tag; NULL when there is no such tag. */
const char *tag_find(const json_object *tags, const char *key, struct arena *mem);

/* ERR_INVALID, saying what to do, unless the tags name this app; with the detail OWNERSHIP_UNTAGGED when they name none. what: "role berth-shop-task". */
#define OWNERSHIP_UNTAGGED "untagged"
int ownership_require(const json_object *tags, const char *what, const char *app, struct err *e);

/* The first item of an array whose text at the pointer is this one; NULL: none. Borrowed. */
json_object *item_find(const json_object *array, const char *pointer, const char *text);

/* The tag berth:app={app} in each shape, for what is made. */
json_object *ownership_tags(const char *app);       /* [{Key, Value}] */
json_object *ownership_tags_lower(const char *app); /* [{key, value}] */
json_object *ownership_tags_map(const char *app);   /* {name: value} */

#endif
