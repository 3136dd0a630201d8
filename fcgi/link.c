#include "fcgi/link.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/text.h"

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

const char *link_encode(const char *text, struct arena *mem)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = arena_alloc(mem, strlen(text) * 3 + 1);
    size_t used = 0;

    for (const char *c = text; *c; c++) {
        if (is_unreserved(*c)) {
            out[used++] = *c;
            continue;
        }
        out[used++] = '%';
        out[used++] = digits[(unsigned char)*c >> 4];
        out[used++] = digits[(unsigned char)*c & 15];
    }
    return out;
}

const char *link_cursor_text(const struct link_cursor *cursor, struct arena *mem)
{
    return arena_printf(mem, "%" PRId64 ".%s", cursor->number, link_encode(cursor->name, mem));
}

bool link_cursor_parse(const char *text, struct arena *mem, struct link_cursor *out)
{
    const char *dot = strchr(text, '.');
    int64_t number = 0;

    if (!dot || strlen(dot + 1) > LINK_CURSOR_NAME_MAX ||
        !text_parse_int(arena_copy_n(mem, text, (size_t)(dot - text)), 0, INT64_MAX, &number))
        return false;
    *out = (struct link_cursor){ .number = number, .name = arena_copy(mem, dot + 1) };
    return true;
}

bool link_is_cursor(const char *text)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct link_cursor cursor;

    return link_cursor_parse(text, mem, &cursor);
}
