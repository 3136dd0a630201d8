/*
 * admin_edits - what of a form its author edited, and what somebody else changed meanwhile.
 *
 * Beside a field "tasks" a hidden "was.tasks" tells what its author saw. Only what differs from that is an edit: a field that was left alone is shown as it is now when
 * the form comes back, so that sending it again undoes nobody's change. form may be NULL: nothing was sent.
 */
#ifndef BERTH_FCGI_ADMIN_EDITS_H
#define BERTH_FCGI_ADMIN_EDITS_H

#include "fcgi/form.h"

const char *edit_was_name(const char *name, struct arena *mem); /* "was.tasks" */

/* What the author saw; NULL: it was not sent. */
const char *edit_was(const struct form *form, const char *name, struct arena *mem);

/* What was written, without the blanks around it; NULL: the field was not sent, or was left as its author saw it. */
const char *edit_text(const struct form *form, const char *name, struct arena *mem);

/* For the field: an edit as it was sent, else what is there now. */
const char *edit_shown(const struct form *form, const char *name, const char *now, struct arena *mem);

/* A field that somebody else changed since the form was opened, as the page tells it. */
struct edit_change {
    const char *name, *title;
    const char *was, *now;
    const char *by, *at; /* NULL: the audit log doesn't tell */
    const char *yours;   /* NULL: this author left it alone */
};
json_object *edit_change_row(const struct edit_change *change, int64_t now_ms, struct arena *mem);

#endif
