#include "core/base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/text.h"

enum { LOG_LINE_MAX = 16 * 1024, VALUE_MAX = 2048, END_ROOM = 32 };

static atomic_int log_least = LOG_INFO;
static atomic_int log_shape = LOG_LOGFMT;
static atomic_int log_fd = STDERR_FILENO;

static const char *const level_names[LOG_LEVEL_COUNT] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"
};

static const char *const format_names[LOG_FORMAT_COUNT] = { [LOG_LOGFMT] = "logfmt", [LOG_JSON] = "json" };

/* A field that does not fit is left out whole, so that a line is well-formed whatever was logged. */
struct line {
    enum log_format format;
    size_t len;
    bool full;
    bool shortened;
    char bytes[LOG_LINE_MAX];
};

void log_setup(enum log_level least, enum log_format format)
{
    atomic_store(&log_least, (int)least);
    atomic_store(&log_shape, (int)format);
}

void log_to(int fd)
{
    atomic_store(&log_fd, fd);
}

static void add(struct line *line, const char *bytes, size_t len)
{
    if (line->full || len > LOG_LINE_MAX - END_ROOM - line->len) {
        line->full = true;
        return;
    }
    memcpy(line->bytes + line->len, bytes, len);
    line->len += len;
}

static void add_text(struct line *line, const char *text)
{
    add(line, text, strlen(text));
}

static void add_escaped(struct line *line, uint32_t code)
{
    static const char named[] = "\"\"\\\\\nn\rr\tt";
    char escape[8];

    for (const char *pair = named; *pair; pair += 2) {
        if ((uint32_t)pair[0] == code) {
            add(line, (const char[]){ '\\', pair[1] }, 2);
            return;
        }
    }
    snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)code & 0xffffu);
    add_text(line, escape);
}

/* One rule for both formats: JSON's escapes, and also DEL and the C1 controls, which a terminal might obey. */
static void add_quoted(struct line *line, const char *text)
{
    size_t left = strlen(text);
    size_t most = VALUE_MAX;

    add(line, "\"", 1);
    while (left > 0 && most > 0) {
        uint32_t code = 0;
        size_t size = text_utf8_char(text, left, &code);

        if (size == 0)
            add_text(line, "\xef\xbf\xbd");
        else if (code < 0x20 || code == '"' || code == '\\' || (code >= 0x7f && code <= 0x9f))
            add_escaped(line, code);
        else
            add(line, text, size);
        size = size == 0 ? 1 : size;
        text += size;
        left -= size;
        most = most > size ? most - size : 0;
    }
    if (left > 0)
        add_text(line, "...");
    add(line, "\"", 1);
}

/* What logfmt may show without quotes. */
static bool is_plain(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/@+,*";
    size_t len = strlen(text);

    return len > 0 && len <= VALUE_MAX && strspn(text, plain) == len;
}

static void add_name(struct line *line, const char *name)
{
    bool json = line->format == LOG_JSON;

    if (line->len > (json ? 1u : 0u))
        add(line, json ? "," : " ", 1);
    if (json)
        add_quoted(line, name);
    else
        add_text(line, name);
    add(line, json ? ":" : "=", 1);
}

static void add_field(struct line *line, const char *name, const char *text)
{
    size_t before = line->len;

    add_name(line, name);
    if (line->format == LOG_LOGFMT && is_plain(text))
        add_text(line, text);
    else
        add_quoted(line, text);
    if (line->full) {
        line->len = before;
        line->full = false;
        line->shortened = true;
    }
}

static void add_number(struct line *line, const char *name, int64_t number)
{
    size_t before = line->len;
    char digits[24];

    snprintf(digits, sizeof(digits), "%lld", (long long)number);
    add_name(line, name);
    add_text(line, digits);
    if (line->full) {
        line->len = before;
        line->full = false;
        line->shortened = true;
    }
}

static void begin(struct line *line, enum log_level level, const char *event)
{
    char now[CLOCK_ISO_SIZE];

    line->format = (enum log_format)atomic_load(&log_shape);
    line->len = 0;
    line->full = false;
    line->shortened = false;
    clock_format_iso(clock_now_ms(&clock_system), now);
    if (line->format == LOG_JSON)
        add(line, "{", 1);
    add_field(line, "time", now);
    add_field(line, "level", level_names[level]);
    add_field(line, "event", event);
}

static void add_fields(struct line *line, const struct log_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fields[i].text)
            add_field(line, fields[i].name, fields[i].text);
        else if (!fields[i].is_text)
            add_number(line, fields[i].name, fields[i].number);
    }
}

static void end(struct line *line)
{
    const char *note = line->format == LOG_JSON ? ",\"shortened\":true" : " shortened=true";
    const char *close = line->format == LOG_JSON ? "}\n" : "\n";

    /* END_ROOM was kept for these. */
    if (line->shortened) {
        memcpy(line->bytes + line->len, note, strlen(note));
        line->len += strlen(note);
    }
    memcpy(line->bytes + line->len, close, strlen(close));
    line->len += strlen(close);

    ssize_t written = 0;
    do
        written = write(atomic_load(&log_fd), line->bytes, line->len);
    while (written < 0 && errno == EINTR);
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    struct line line;

    if ((int)level < atomic_load(&log_least))
        return;
    begin(&line, level, event);
    add_fields(&line, fields, count);
    end(&line);
}

void log_err_fields(enum log_level level, const char *event, const struct err *e, const struct log_field *fields,
                    size_t count)
{
    struct line line;

    if ((int)level < atomic_load(&log_least))
        return;
    begin(&line, level, event);
    add_fields(&line, fields, count);
    add_field(&line, "code", err_code_name(e->code));
    if (e->detail[0])
        add_field(&line, "detail", e->detail);
    add_field(&line, "message", e->message);
    if (e->hint[0])
        add_field(&line, "hint", e->hint);
    end(&line);
}

static int index_of(const char *text, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], text) == 0)
            return i;
    }
    return -1;
}

int log_level_parse(const char *text, enum log_level *out)
{
    int found = index_of(text, level_names, LOG_LEVEL_COUNT);

    if (found < 0)
        return -1;
    *out = (enum log_level)found;
    return 0;
}

int log_format_parse(const char *text, enum log_format *out)
{
    int found = index_of(text, format_names, LOG_FORMAT_COUNT);

    if (found < 0)
        return -1;
    *out = (enum log_format)found;
    return 0;
}
