/*
 * estate - what there is on AWS of an app, or of all apps, whatever berth has on record; and how each kind of it is removed.
 *
 * Finding goes by the names and places that only berth makes things under (see names.h); whose a thing is, its tag berth:app says. Things of one app are looked
 * up, those of all apps listed page by page. Nothing is removed whose tag doesn't name the app: estate_remove refuses it, whoever asks.
 */
#ifndef BERTH_DEPLOY_ESTATE_H
#define BERTH_DEPLOY_ESTATE_H

#include "core/aws/aws.h"
#include "core/deploy/lease.h"
#include "core/deploy/settings.h"

/* In the order in which they are removed: each before what it stands on. */
enum estate_kind {
    ESTATE_SERVICE,
    ESTATE_LISTENER_RULE,
    ESTATE_TARGET_GROUP,
    ESTATE_TASK_DEFINITION,
    ESTATE_BUILD_PROJECT,
    ESTATE_REPOSITORY,
    ESTATE_LOG_GROUP,
    ESTATE_ROLE,
    ESTATE_SOURCE, /* versions of archives, and uploads that never ended */
    ESTATE_SECRET,
    ESTATE_KIND_COUNT
};

struct estate_thing {
    enum estate_kind kind;
    const char *name, *arn;
    const char *owner; /* the app that its tag names, or its place in the bucket; NULL: it has no such tag */
    const char *
        state; /* what AWS says of it where that matters: a service "DRAINING", a task definition "INACTIVE", an "upload" */
    json_object *is; /* as AWS describes it; NULL where nothing more is known; lives as long as the estate */
};

struct estate {
    struct estate_thing *things;
    size_t count, room;
    json_object *kept; /* what the things' descriptions live in */
};
void estate_cleanup(struct estate *estate);
#define AUTO_ESTATE __attribute__((cleanup(estate_cleanup)))

struct estate_place {
    const struct settings *settings;
    struct aws *aws;
    const char *partition, *account;
    const char *more_listener; /* the app's slot, where its listener is no longer in the settings; NULL: none */
    struct lease *lease;       /* every call keeps to it, see lease.h; NULL: a person's, who holds none */
    struct arena *mem;
};

/* Adds what there is of one kind: of the app, its own and what merely has its names (owner tells); or of all apps, tagged things only (app NULL). */
int estate_find(struct estate_place *place, enum estate_kind kind, const char *app, struct estate *out, struct err *e);

/* Removes one thing of the app, or begins to; gone already is a success. ERR_INVALID, and nothing asked, when it isn't the app's. */
int estate_remove(struct estate_place *place, const struct estate_thing *thing, const char *app, struct err *e);

/* Stops the app's builds that run; *left: how many still do. ERR_INVALID when the project isn't the app's. */
int estate_stop_builds(struct estate_place *place, const char *app, size_t *left, struct err *e);

const char *estate_kind_name(enum estate_kind kind); /* "log group" */
const char *estate_resource_kinds(
    enum estate_kind kind); /* the kinds in the table resources: "task_role,execution_role,…"; NULL: none */

#endif
