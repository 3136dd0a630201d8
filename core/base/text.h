/*
 * text - checks on text from outside.
 */
#ifndef BERTH_BASE_TEXT_H
#define BERTH_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool text_is_utf8(const char *bytes, size_t len); /* strict: no overlong forms, no surrogates, at most U+10FFFF */

/* The length of the well-formed character at the start of bytes (1..4), or 0 when there is none; its code point in *out. */
size_t text_utf8_char(const char *bytes, size_t len, uint32_t *out);

bool text_has_control(const char *bytes, size_t len); /* any byte below 0x20, or 0x7f */
bool text_parse_int(const char *text, int64_t least, int64_t most,
                    int64_t *out); /* whole decimal text, no sign but '-', no space */
bool text_starts(const char *text, const char *prefix);
bool text_ends(const char *text, const char *suffix);

/*
 * Copies at most size-1 bytes, cut at a UTF-8 boundary, control characters (C1 too) replaced by a space and malformed bytes by
 * a question mark. For showing a stranger's text.
 */
void text_excerpt(const char *text, char *out, size_t size);

#endif
