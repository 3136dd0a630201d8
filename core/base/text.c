#include "core/base/text.h"

#include <string.h>

/* The number of bytes that a lead byte announces, with the bits of it that count; 0: no lead byte. */
static size_t announced(unsigned char lead, uint32_t *bits)
{
    *bits = lead;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf) {
        *bits = lead & 0x1f;
        return 2;
    }
    if (lead >= 0xe0 && lead <= 0xef) {
        *bits = lead & 0x0f;
        return 3;
    }
    *bits = lead & 0x07;
    return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

size_t text_utf8_char(const char *bytes, size_t len, uint32_t *out)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint32_t code = 0;
    size_t size = len == 0 ? 0 : announced((unsigned char)bytes[0], &code);

    if (size == 0 || size > len)
        return 0;
    for (size_t i = 1; i < size; i++) {
        unsigned char next = (unsigned char)bytes[i];

        if ((next & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (next & 0x3f);
    }
    if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *out = code;
    return size;
}

bool text_is_utf8(const char *bytes, size_t len)
{
    size_t at = 0;

    while (at < len) {
        uint32_t code = 0;
        size_t size = text_utf8_char(bytes + at, len - at, &code);

        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

bool text_has_control(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (c < 0x20 || c == 0x7f)
            return true;
    }
    return false;
}

bool text_parse_int(const char *text, int64_t least, int64_t most, int64_t *out)
{
    bool negative = *text == '-';
    int64_t value = 0;

    text += negative;
    if (*text == '\0')
        return false;
    for (; *text; text++) {
        int digit = *text - '0';

        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value))
            return false;
    }
    /* Gathered below zero, where there is room for one more. */
    if (!negative && __builtin_sub_overflow((int64_t)0, value, &value))
        return false;
    if (value < least || value > most)
        return false;
    *out = value;
    return true;
}

bool text_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *text, const char *suffix)
{
    size_t len = strlen(text);
    size_t end = strlen(suffix);

    return len >= end && memcmp(text + len - end, suffix, end) == 0;
}

void text_excerpt(const char *text, char *out, size_t size)
{
    size_t left = strlen(text);
    size_t used = 0;

    if (size == 0)
        return;
    while (left > 0) {
        uint32_t code = 0;
        size_t taken = text_utf8_char(text, left, &code);
        bool plain = taken > 0 && code >= 0x20 && (code < 0x7f || code > 0x9f);
        size_t given = plain ? taken : 1;

        if (used + given >= size)
            break;
        if (plain)
            memcpy(out + used, text, taken);
        else
            out[used] = taken == 0 ? '?' : ' ';
        used += given;
        text += taken == 0 ? 1 : taken;
        left -= taken == 0 ? 1 : taken;
    }
    out[used] = '\0';
}
