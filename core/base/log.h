/*
 * log - one line an event, on standard error, logfmt or JSON.
 *
 * A line carries the time (UTC, ms), level, event, and fields; ids are fields (app, release, delivery, aws_request_id), never
 * part of the event's words, so lines can be grouped. Control characters and quotes are escaped; a line is written by one
 * write(2). Safe from any thread. A struct secret has no way in here.
 */
#ifndef BERTH_BASE_LOG_H
#define BERTH_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVEL_COUNT };
enum log_format { LOG_LOGFMT, LOG_JSON, LOG_FORMAT_COUNT };

struct log_field {
    const char *name;
    const char *text; /* NULL: the number counts, unless is_text (then the field is left out) */
    int64_t number;
    int is_text;
};

static inline struct log_field log_text(const char *name, const char *text)
{
    return (struct log_field){ name, text, 0, 1 };
}

static inline struct log_field log_int(const char *name, int64_t number)
{
    return (struct log_field){ name, NULL, number, 0 };
}

void log_setup(enum log_level least, enum log_format format);
void log_to(int fd); /* for tests; standard error by default */

void log_fields(enum log_level level, const char *event, const struct log_field *fields, size_t count);

/* log_event(LOG_INFO, "release is live", log_text("app", app), log_int("release", 3)); at least one field. */
#define log_event(level, event, ...)                                                                                   \
    log_fields(level, event, (const struct log_field[]){ __VA_ARGS__ },                                                \
               sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field))

/* An error that is given up on here: its code, detail, message and hint as fields, after those given. */
void log_err_fields(enum log_level level, const char *event, const struct err *e, const struct log_field *fields,
                    size_t count);
#define log_err(level, event, e, ...)                                                                                  \
    log_err_fields(level, event, e, (const struct log_field[]){ __VA_ARGS__ },                                         \
                   sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field))

int log_level_parse(const char *text, enum log_level *out);   /* 0 or -1 */
int log_format_parse(const char *text, enum log_format *out); /* 0 or -1 */

#endif
