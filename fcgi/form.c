#include "fcgi/form.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/fatal.h"
#include "core/base/text.h"

static bool is_declared(const struct form *form, const char *name)
{
    if (strcmp(name, FORM_TOKEN) == 0)
        return true;
    for (const char *const *d = form->declared; *d; d++) {
        size_t stem = strcspn(*d, "*");
        if ((*d)[stem] == '*' ? strncmp(*d, name, stem) == 0 : strcmp(*d, name) == 0)
            return true;
    }
    return false;
}

/* form->count: there is none. */
static size_t place_of(const struct form *form, const char *name)
{
    size_t i = 0;

    while (i < form->count && strcmp(form->fields[i].name, name) != 0)
        i++;
    return i;
}

static const struct form_field *field_find(const struct form *form, const char *name)
{
    size_t place = form ? place_of(form, name) : 0;

    return form && place < form->count ? &form->fields[place] : NULL;
}

/* ---- Reading ---- */

static int refuse(int *status, int with, struct err *e, const char *why)
{
    *status = with;
    return err_set(e, ERR_INVALID, "%s", why);
}

static bool is_form_type(const char *type)
{
    static const char wanted[] = "application/x-www-form-urlencoded";
    size_t len = type ? strcspn(type, "; \t") : 0;

    return len == sizeof wanted - 1 && strncasecmp(type, wanted, len) == 0;
}

/*
 * No control characters but line ends and tabs. Line ends become LF alone, as a script on the page would see them; a tab, which comes with what is pasted out of a
 * table, becomes the space that fields trim.
 */
static bool check_text(char *text, size_t len)
{
    size_t used = 0;

    for (size_t i = 0, step; i < len; i += step) {
        uint32_t code = 0;
        step = text_utf8_char(text + i, len - i, &code);
        if (step == 0 || (code < 0x20 && code != '\r' && code != '\n' && code != '\t') || (code >= 0x7f && code < 0xa0))
            return false;
        if (code == '\r' && i + 1 < len && text[i + 1] == '\n')
            continue;
        if (code == '\r')
            text[i] = '\n';
        if (code == '\t')
            text[i] = ' ';
        memmove(text + used, text + i, step);
        used += step;
    }
    text[used] = '\0';
    return true;
}

/* NULL: malformed. */
static const char *decode(struct form *form, const char *text, size_t len)
{
    size_t got = 0;
    char *plain = request_decode(form->mem, text, len, true, &got);

    return plain && check_text(plain, got) ? plain : NULL;
}

static int take_pair(struct form *form, const char *pair, size_t len, int *status, struct err *e)
{
    const char *equals = memchr(pair, '=', len);
    size_t name_len = equals ? (size_t)(equals - pair) : len;
    const char *name = decode(form, pair, name_len);
    const char *text = equals ? decode(form, equals + 1, len - name_len - 1) : "";

    if (!name || !text)
        return refuse(status, 400, e, "The form holds text that is malformed, or control characters.");
    if (!is_declared(form, name))
        return 0;
    if (field_find(form, name))
        return refuse(status, 400, e, "The form has a field twice.");
    if (form->count == FORM_FIELDS_MAX)
        return refuse(status, 413, e, "The form has too many fields.");
    form->fields[form->count++] = (struct form_field){ .name = name, .text = text };
    return 0;
}

static int parse(struct form *form, const struct buf *body, int *status, struct err *e)
{
    size_t pairs = 0;

    for (size_t at = 0, len; at < body->len; at += len + 1) {
        const char *pair = body->data + at;
        const char *end = memchr(pair, '&', body->len - at);
        len = end ? (size_t)(end - pair) : body->len - at;
        if (++pairs > FORM_FIELDS_MAX)
            return refuse(status, 413, e, "The form has too many fields.");
        if (len > 0 && take_pair(form, pair, len, status, e))
            return e->code;
    }
    return 0;
}

static int read_body(struct request *request, struct buf *body, int *status, struct err *e)
{
    char piece[8192];
    size_t got = 1;

    body->max = FORM_BODY_MAX + 1; /* and its end */
    while (got > 0) {
        if (request_read(request, piece, sizeof piece, &got, e)) {
            *status = e->code == ERR_TRANSIENT ? 408 : 400;
            return e->code;
        }
        buf_add(body, piece, got);
        if (body->failed || body->len > FORM_BODY_MAX)
            return refuse(status, 413, e, "The form is larger than 64 KiB.");
    }
    if (request->content_length >= 0 && (size_t)request->content_length != body->len)
        return refuse(status, 400, e, "The form was cut off on its way.");
    return 0;
}

int form_read(struct request *request, const char *const *declared, struct form **out, int *status, struct err *e)
{
    struct form *form = arena_alloc(request->mem, sizeof *form);
    AUTO_BUF struct buf body = { 0 };

    form->mem = request->mem;
    form->declared = declared;
    if (!is_form_type(request_header(request, "Content-Type")))
        return refuse(status, 415, e, "Only a form that is sent as application/x-www-form-urlencoded is taken here.");
    if (request->content_length == REQUEST_LENGTH_MALFORMED)
        return refuse(status, 400, e, "The form's length is malformed.");
    if (request->content_length > FORM_BODY_MAX)
        return refuse(status, 413, e, "The form is larger than 64 KiB.");
    if (read_body(request, &body, status, e) || parse(form, &body, status, e))
        return e->code;
    *out = form;
    return 0;
}

/* ---- What was sent, and what is wrong with it ---- */

const char *form_text(const struct form *form, const char *name)
{
    const struct form_field *field = field_find(form, name);

    if (!is_declared(form, name))
        fatal("a handler asks for a field that its route does not declare");
    return field ? field->text : NULL;
}

bool form_number(struct form *form, const char *name, int64_t least, int64_t most, int64_t *out)
{
    const char *text = form_text(form, name);
    const char *start = text ? text + strspn(text, " ") : "";
    size_t len = strlen(start);

    while (len > 0 && start[len - 1] == ' ')
        len--;
    if (text_parse_int(arena_copy_n(form->mem, start, len), least, most, out))
        return true;
    form_refuse(form, name, "Write a whole number from %" PRId64 " to %" PRId64 ", without unit or separators.", least,
                most);
    return false;
}

void form_refuse(struct form *form, const char *name, const char *format, ...)
{
    size_t place = place_of(form, name);
    char error[ERR_TEXT_MAX];
    va_list args;

    if (!is_declared(form, name))
        fatal("a handler refuses a field that its route does not declare");
    if (place == FORM_FIELDS_MAX * 2 || (place < form->count && form->fields[place].error))
        return;
    va_start(args, format);
    vsnprintf(error, sizeof error, format, args);
    va_end(args);
    if (place == form->count)
        form->fields[form->count++] = (struct form_field){ .name = arena_copy(form->mem, name) };
    form->fields[place].error = arena_copy(form->mem, error);
    form->errors++;
}

const char *form_value(const struct form *form, const char *name, const char *stored)
{
    const struct form_field *field = field_find(form, name);

    return field && field->text ? field->text : stored;
}

const char *form_error(const struct form *form, const char *name)
{
    const struct form_field *field = field_find(form, name);

    return field && field->error ? field->error : "";
}
