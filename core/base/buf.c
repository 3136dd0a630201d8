#include "core/base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_LEAST = 64 };

/* Makes room for `more` bytes and the NUL; false, and failed, when that cannot be. */
static bool reserve(struct buf *b, size_t more)
{
    size_t need = 0;

    if (b->failed)
        return false;
    if (__builtin_add_overflow(b->len, more, &need) || need == SIZE_MAX || (b->max != 0 && need > b->max)) {
        b->failed = true;
        return false;
    }
    if (need < b->room)
        return true;

    size_t room = b->room < ROOM_LEAST ? ROOM_LEAST : b->room;
    while (room <= need)
        room = room > SIZE_MAX / 2 ? need + 1 : room * 2;
    if (b->max != 0 && room > b->max && b->max < SIZE_MAX)
        room = b->max + 1;

    char *data = realloc(b->data, room);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->room = room;
    return true;
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
    if (!reserve(b, len))
        return;
    if (len > 0)
        memcpy(b->data + b->len, bytes, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_add_text(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_add_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        b->failed = true;
    if (len < 0 || !reserve(b, (size_t)len))
        return;

    va_start(args, format);
    vsnprintf(b->data + b->len, (size_t)len + 1, format, args);
    va_end(args);
    b->len += (size_t)len;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

const char *buf_text(const struct buf *b)
{
    return b->data ? b->data : "";
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){ .max = b->max };
}
