#include "core/base/err.h"

#include <stdio.h>
#include <string.h>

#include "core/base/text.h"

/* Formatted aside first: the arguments may point into the err itself. */
__attribute__((format(printf, 2, 0))) static void format_into(char out[ERR_TEXT_MAX], const char *format, va_list args)
{
    char raw[ERR_TEXT_MAX + 4]; /* room for a character that the cut would split */

    if (vsnprintf(raw, sizeof(raw), format, args) < 0)
        raw[0] = '\0';
    text_excerpt(raw, out, ERR_TEXT_MAX);
}

int err_setv(struct err *e, enum err_code code, const char *format, va_list args)
{
    format_into(e->message, format, args);
    e->code = code;
    e->detail[0] = '\0';
    e->hint[0] = '\0';
    return (int)code;
}

int err_set(struct err *e, enum err_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    err_setv(e, code, format, args);
    va_end(args);
    return (int)code;
}

int err_hint(struct err *e, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    format_into(e->hint, format, args);
    va_end(args);
    return (int)e->code;
}

int err_detail(struct err *e, const char *outside_code)
{
    text_excerpt(outside_code ? outside_code : "", e->detail, sizeof(e->detail));
    return (int)e->code;
}

int err_context(struct err *e, const char *format, ...)
{
    char context[ERR_TEXT_MAX];
    char both[2 * ERR_TEXT_MAX + 2];
    va_list args;

    va_start(args, format);
    format_into(context, format, args);
    va_end(args);
    snprintf(both, sizeof(both), "%s: %s", context, e->message);
    text_excerpt(both, e->message, sizeof(e->message));
    return (int)e->code;
}

int err_is(const struct err *e, const char *outside_code)
{
    return strcmp(e->detail, outside_code) == 0;
}

int err_may_retry(const struct err *e)
{
    return e->code == ERR_TRANSIENT || e->code == ERR_THROTTLED;
}

const char *err_code_name(enum err_code code)
{
    static const char *const names[ERR_CODE_COUNT] = {
        [ERR_NONE] = "none",         [ERR_TRANSIENT] = "transient", [ERR_THROTTLED] = "throttled",
        [ERR_CONFLICT] = "conflict", [ERR_DENIED] = "denied",       [ERR_NOT_FOUND] = "not_found",
        [ERR_INVALID] = "invalid",   [ERR_QUOTA] = "quota",         [ERR_NO_MEMORY] = "no_memory",
        [ERR_INTERNAL] = "internal",
    };

    return (unsigned)code < ERR_CODE_COUNT ? names[code] : "unknown";
}
