#include "core/base/json_scan.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/text.h"

enum { NUMBER_LEN_MAX = 512, SAFE_DIGITS = 300 };

struct scan {
    const char *start;
    const char *at;
    const char *end;
    const struct json_scan_names *names;
    size_t members;
    size_t objects;
    int depth;
    struct err *e;
};

static bool refuse(struct scan *s, const char *why)
{
    err_set(s->e, ERR_INVALID, "not valid JSON: %s at byte %zu", s->at == s->end ? "the text ends too early" : why,
            (size_t)(s->at - s->start));
    return false;
}

static bool next_is(const struct scan *s, char c)
{
    return s->at < s->end && *s->at == c;
}

static void skip_space(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

/* The four hex digits after \u; -1 when they are not there. */
static int32_t hex4(const char *at, const char *end)
{
    int32_t unit = 0;

    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'                     ? c - '0'
                    : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                             : -1;

        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* At the u of \u. */
static bool scan_unicode_escape(struct scan *s)
{
    int32_t unit = hex4(s->at + 1, s->end);

    if (unit < 0)
        return refuse(s, "\\u without four hex digits");
    if (unit == 0)
        return refuse(s, "\\u0000, which no text may have");
    if (unit >= 0xdc00 && unit <= 0xdfff)
        return refuse(s, "a lone low surrogate");
    s->at += 5;
    if (unit < 0xd800 || unit > 0xdbff)
        return true;

    bool escape = s->end - s->at >= 6 && s->at[0] == '\\' && s->at[1] == 'u';
    int32_t low = escape ? hex4(s->at + 2, s->end) : -1;

    if (low < 0xdc00 || low > 0xdfff)
        return refuse(s, "a lone high surrogate");
    s->at += 6;
    return true;
}

static bool scan_escape(struct scan *s)
{
    s->at++;
    if (next_is(s, 'u'))
        return scan_unicode_escape(s);
    if (s->at == s->end || *s->at == '\0' || !strchr("\"\\/bfnrt", *s->at))
        return refuse(s, "an unknown escape");
    s->at++;
    return true;
}

static bool scan_beyond_ascii(struct scan *s)
{
    uint32_t code = 0;
    size_t size = text_utf8_char(s->at, (size_t)(s->end - s->at), &code);

    if (size == 0)
        return refuse(s, "malformed UTF-8");
    s->at += size;
    return true;
}

static bool scan_string(struct scan *s)
{
    bool fine = true;

    s->at++;
    while (fine) {
        while (s->at < s->end && (unsigned char)*s->at >= 0x20 && (unsigned char)*s->at < 0x80 && *s->at != '"' &&
               *s->at != '\\')
            s->at++;
        if (s->at == s->end || (unsigned char)*s->at < 0x20)
            return refuse(s, "a control character in a string");
        if (*s->at == '"')
            break;
        fine = *s->at == '\\' ? scan_escape(s) : scan_beyond_ascii(s);
    }
    s->at += fine;
    return fine;
}

static size_t skip_digits(struct scan *s)
{
    const char *from = s->at;

    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return (size_t)(s->at - from);
}

/* A number's token is whole: what is left is whether it has a value here. */
static bool number_fits(struct scan *s, const char *from, bool integer, bool may_overflow)
{
    char token[NUMBER_LEN_MAX + 1];
    size_t len = (size_t)(s->at - from);
    int64_t ignored = 0;

    if (len > NUMBER_LEN_MAX) {
        s->at = from;
        return refuse(s, "a number of too many digits");
    }
    if (!integer && !may_overflow)
        return true;
    memcpy(token, from, len);
    token[len] = '\0';
    if (integer ? text_parse_int(token, INT64_MIN, INT64_MAX, &ignored) : isfinite(strtod(token, NULL)))
        return true;
    s->at = from;
    return refuse(s, "a number out of range");
}

static bool scan_number(struct scan *s)
{
    const char *from = s->at;
    bool integer = true;
    bool exponent = false;

    s->at += *s->at == '-';
    bool zero = next_is(s, '0');
    size_t digits = skip_digits(s);
    if (digits == 0)
        return refuse(s, "no JSON value");
    if (zero && digits > 1) {
        s->at = from;
        return refuse(s, "a number that begins with 0");
    }
    if (next_is(s, '.')) {
        integer = false;
        s->at++;
        if (skip_digits(s) == 0)
            return refuse(s, "no digit after the decimal point");
    }
    if (next_is(s, 'e') || next_is(s, 'E')) {
        integer = false;
        exponent = true;
        s->at++;
        s->at += next_is(s, '+') || next_is(s, '-');
        if (skip_digits(s) == 0)
            return refuse(s, "no digit in the exponent");
    }
    return number_fits(s, from, integer, exponent || digits > SAFE_DIGITS);
}

static bool scan_word(struct scan *s, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0)
        return refuse(s, "no JSON value");
    s->at += len;
    return true;
}

static bool scan_value(struct scan *s);

static bool scan_member(struct scan *s, size_t object)
{
    const char *name = s->at;

    if (!next_is(s, '"'))
        return refuse(s, "no member's name");
    if (!scan_string(s))
        return false;
    s->members++;
    if (s->names && s->names->found(s->names->context, object, (size_t)(name - s->start), (size_t)(s->at - name)) != 0)
        return false;
    skip_space(s);
    if (!next_is(s, ':'))
        return refuse(s, "no colon after a member's name");
    s->at++;
    return scan_value(s);
}

/* An object's members or an array's items; `at` is at the opening bracket. */
static bool scan_list(struct scan *s, char close)
{
    size_t object = close == '}' ? ++s->objects : 0;

    s->at++;
    skip_space(s);
    if (next_is(s, close)) {
        s->at++;
        return true;
    }
    for (;;) {
        skip_space(s);
        if (!(object ? scan_member(s, object) : scan_value(s)))
            return false;
        skip_space(s);
        if (!next_is(s, ','))
            break;
        s->at++;
    }
    if (!next_is(s, close))
        return refuse(s, "neither a comma nor the end of a list");
    s->at++;
    return true;
}

static bool scan_nested(struct scan *s, char close)
{
    if (s->depth == JSON_DEPTH_MAX)
        return refuse(s, "nested too deep");
    s->depth++;
    bool fine = scan_list(s, close);
    s->depth--;
    return fine;
}

static bool scan_value(struct scan *s)
{
    skip_space(s);
    if (s->at == s->end)
        return refuse(s, "");
    switch (*s->at) {
    case '{':
        return scan_nested(s, '}');
    case '[':
        return scan_nested(s, ']');
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        return scan_number(s);
    }
}

int json_scan(const char *bytes, size_t len, const struct json_scan_names *names, size_t *members, struct err *e)
{
    struct scan s = { .start = bytes, .at = bytes, .end = bytes + len, .names = names, .e = e };

    if (!scan_value(&s))
        return (int)e->code;
    skip_space(&s);
    if (s.at != s.end) {
        refuse(&s, "something after the value");
        return (int)e->code;
    }
    *members = s.members;
    return ERR_NONE;
}
