/*
 * admin_limit_form - the form of limits, an app's own or the defaults: what is used of them, what an edit does before it is saved, and saving it.
 *
 * A field holds the app's own number; empty it is the default's. What somebody else changed meanwhile and this operator left alone is shown as it is now; an edit of both
 * is a conflict: nothing is saved, the edits stay in their fields, and the page says who changed what.
 */
#ifndef BERTH_FCGI_ADMIN_LIMIT_FORM_H
#define BERTH_FCGI_ADMIN_LIMIT_FORM_H

#include "fcgi/admin.h"

/* Of its routes; a test holds them to be the names of limit.h. */
#define LIMIT_FORM_FIELDS                                                                                              \
    "cpu_units", "memory_mib", "tasks", "concurrent_builds", "build_minutes", "releases_per_hour", "image_mib",        \
        "pushes_burst", "pushes_per_hour", "was.*", "do"

/*
 * Into the model: wrong [{to, title, error}], meanwhile (what others changed), groups of rows, sums, answer_title and answer, previewed, effect_title, save_class,
 * changed_by, changed_at, changed_ago. app NULL: the defaults, whose rows tell their followers instead of use.
 */
int limit_form_put(struct admin *admin, struct db *db, struct request *request, const char *app, json_object *model,
                   struct err *e);

/* do=save saves and leads to the page; anything else shows the effect and changes nothing. */
int limit_form_take(struct admin *admin, struct request *request, struct form *form, const char *app, const char *to,
                    struct admin_answer *answer, struct err *e);

#endif
