/*
 * form - what a browser's form sent: application/x-www-form-urlencoded, read whole, checked, and kept to be shown again with what is wrong of it.
 *
 * Only fields that the form's route declares are kept. Texts are UTF-8 without control characters but line ends (LF, whatever the browser sent; a tab is
 * a space), and live in the request's arena. Errors stand beside their field: a page that is shown again shows what was typed (form_value) and what is right (form_error).
 */
#ifndef BERTH_FCGI_FORM_H
#define BERTH_FCGI_FORM_H

#include "core/base/json.h"
#include "fcgi/request.h"

enum { FORM_BODY_MAX = 64 * 1024, FORM_FIELDS_MAX = 200 };

#define FORM_TOKEN "csrf" /* the hidden field that each form has, besides those declared */

struct form_field {
    const char *name;
    const char *text;  /* NULL: it was not sent */
    const char *error; /* NULL: nothing is wrong with it */
};

struct form {
    struct arena *mem;
    const char *const *declared; /* ended by NULL; "limit.*" stands for all names that begin with "limit." */
    struct form_field fields[FORM_FIELDS_MAX * 2]; /* what was sent, and what wasn't but was refused */
    size_t count;
    size_t errors; /* fields that have one */
    /* Of the form as a whole: shown on top of the page, with the hint. */
    const char *problem;
    const char *hint;
};

/* Reads the request's body. *status is what a failure is to be answered with: 400 malformed, 408 too slow, 413 too large, 415 of another type. */
int form_read(struct request *request, const char *const *declared, struct form **out, int *status, struct err *e);

/* What was sent; NULL: the field is absent, as an unchecked box is. Asking for one that was not declared is a bug and ends the process. */
const char *form_text(const struct form *form, const char *name);

/* A whole decimal number, blanks around it allowed. False: the field now says what would be right. */
bool form_number(struct form *form, const char *name, int64_t least, int64_t most, int64_t *out);

/* Says what would be right, beside the field ("Write whole MiB without a unit: 8 GiB is 8192."); the first one said of a field stays. */
void form_refuse(struct form *form, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* For models; form may be NULL (the page was not sent anything): then what the database has, and no error. A checkbox that was not checked is absent: ask form_text. */
const char *form_value(const struct form *form, const char *name, const char *stored);
const char *form_error(const struct form *form, const char *name); /* "" for none */

#endif
