/*
 * err - what failed, for the caller and for a person.
 *
 * A fallible function returns an `enum err_code` as int (0 is fine) and takes `struct err *e`
 * last, owned by the caller. It is set once, where the failure happens, and passed up
 * untouched; the main loop that gives up on it logs it once. Outputs are written on success only.
 */
#ifndef BERTH_BASE_ERR_H
#define BERTH_BASE_ERR_H

#include <stdarg.h>

/* What the caller should do about it. */
enum err_code {
    ERR_NONE = 0,
    ERR_TRANSIENT, /* the other side may do better later: try again with back-off */
    ERR_THROTTLED, /* asked too often: try again, slower */
    ERR_CONFLICT,  /* the state changed under us: look again, then decide */
    ERR_DENIED,    /* a permission is missing: a person must act */
    ERR_NOT_FOUND, /* the thing named does not exist */
    ERR_INVALID,   /* the input is wrong: asking again will not help */
    ERR_QUOTA,     /* a limit is reached: something must be freed or raised */
    ERR_NO_MEMORY, /* a bounded buffer or the machine is full */
    ERR_INTERNAL,  /* a bug or a broken promise of a library */
    ERR_CODE_COUNT
};

enum { ERR_DETAIL_MAX = 128, ERR_TEXT_MAX = 1024 };

struct err {
    enum err_code code;
    char detail[ERR_DETAIL_MAX]; /* the outside code: AWS error code, SQLSTATE, curl's name; "" if none */
    char message[ERR_TEXT_MAX];  /* what failed, with which ids, and why */
    char hint[ERR_TEXT_MAX];     /* what a person can do about it; "" if nothing */
};

/* Sets code and message, clears detail and hint, and returns code. A text too long is cut at a UTF-8 boundary; a
   control character becomes a space. The arguments may be parts of e itself. */
int err_set(struct err *e, enum err_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
int err_setv(struct err *e, enum err_code code, const char *format, va_list args) __attribute__((format(printf, 3, 0)));

/* Adds to an err already set; both return e->code so that they can end a function. */
int err_hint(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
int err_detail(struct err *e, const char *outside_code);

/* Puts "context: " before the message, and returns e->code. */
int err_context(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether e carries that outside code (exact match). */
int err_is(const struct err *e, const char *outside_code);

/* Whether trying again later can help (TRANSIENT, THROTTLED). */
int err_may_retry(const struct err *e);

/* "transient", "throttled", ...; never NULL. */
const char *err_code_name(enum err_code code);

#endif
