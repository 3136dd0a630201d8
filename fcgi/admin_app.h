/*
 * admin_app - the page of one app: what its parts share.
 */
#ifndef BERTH_FCGI_ADMIN_APP_H
#define BERTH_FCGI_ADMIN_APP_H

#include "core/deploy/estate/teardown.h"
#include "core/deploy/operation.h"
#include "core/tenant/app.h"
#include "fcgi/admin.h"

enum { APP_RELEASES = 20 };

/* What the page is made from. */
struct app_page {
    struct app app;
    struct app_standing standing;
    struct teardown teardown;
    struct deployment live;
    struct release told; /* on its way, else the newest one if that failed; number 0: nothing is to be told of one */
    struct release *releases; /* newest first, those of this page; one more than is shown when there are more */
    size_t count;
    struct release_numbers cancels; /* what a cancel would end */
    struct resource_row *resources;
    size_t resource_count;
    struct app_quota *quotas;
    size_t quota_count;
    bool can_change; /* it is neither going away nor gone */
};

/* Rows of the releases' table, each with what can be done with it. */
json_object *app_release_rows(struct admin *admin, const struct app_page *page, struct arena *mem);

/* What decides which release can be rolled back to, made again or cancelled. */
struct release_room {
    bool can_change;
    int live, live_rollback_to;     /* what is live, and what that is a rollback to; 0: nothing */
    int before;                     /* as in app_standing */
    struct release_numbers cancels; /* what a cancel would end: the first of them has the button */
};

/* "Cancel v12", "Cancel both v12 and v13" */
const char *cancel_label(const struct release_numbers *cancels, struct arena *mem);

/* A button of one of the page's forms: which form, the field's name and value; form "" for none. */
struct release_action {
    const char *form, *field, *value; /* "form-rollback", "release", "2" */
    const char *word, *label;         /* "Roll back", "Roll back to v2" */
};

/* What can be done with it. */
struct release_action release_action(const struct release_room *room, const struct release *release, struct arena *mem);

/* The form, with what was sent where it was refused; who was quicker, where that was the reason. */
int app_settings_model(struct admin *admin, struct db *db, const struct app_page *page, const struct form *form,
                       struct arena *mem, json_object **out, struct err *e);

/* Where AWS shows the thing; "" for an ARN that isn't one. */
const char *console_url(const struct resource_row *resource, struct arena *mem);

/* The same of one build. project_arn, build_id ("berth-shop:1a2b...") may be NULL. */
const char *console_build_url(const char *project_arn, const char *build_id, struct arena *mem);

#endif
