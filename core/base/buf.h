/*
 * buf - a growing byte string with a bound.
 *
 * Append many, check once: when memory ends or `max` would be passed, `failed` sticks, and further
 * appends do nothing. `data` is NUL-terminated whenever it is not NULL.
 */
#ifndef BERTH_BASE_BUF_H
#define BERTH_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data;  /* owned; NULL while empty */
    size_t len;  /* bytes, without the NUL */
    size_t room; /* bytes allocated */
    size_t max;  /* bytes at most; 0: no bound of its own */
    bool failed;
};

void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_add_text(struct buf *b, const char *text);
void buf_add_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_clear(struct buf *b);             /* empties, keeps the room and max, forgets failed */
const char *buf_text(const struct buf *b); /* "" when empty; never NULL */
void buf_free(struct buf *b);              /* wipes nothing; see secret.h */

#define AUTO_BUF __attribute__((cleanup(buf_free)))

#endif
