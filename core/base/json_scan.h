/*
 * json_scan - what json-c lets pass, refused first. For json.c.
 *
 * One pass, no memory: RFC 8259's grammar, UTF-8, depth, numbers' range, no NUL, no lone surrogate.
 */
#ifndef BERTH_BASE_JSON_SCAN_H
#define BERTH_BASE_JSON_SCAN_H

#include <stddef.h>

#include "core/base/err.h"

/* Called for each member's name: the quoted token at `at`, in the object-th object of the text. Not 0 ends the scan. */
struct json_scan_names {
    int (*found)(void *context, size_t object, size_t at, size_t token_len);
    void *context;
};

/* members: how many members all objects of the text have together. names may be NULL. */
int json_scan(const char *bytes, size_t len, const struct json_scan_names *names, size_t *members, struct err *e);

#endif
