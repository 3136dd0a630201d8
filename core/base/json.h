/*
 * json - building, reading and strict parsing over json-c.
 *
 * json-c is included by json.c only; everyone else holds `json_object *` as a handle (AUTO_JSON) and reads
 * by JSON pointer (RFC 6901; "" is the value itself). `find` gives absent as NULL or the fallback; `read` refuses it.
 * Texts are copied into the arena. A text with a NUL inside is refused by json_parse, so C strings are whole.
 */
#ifndef BERTH_BASE_JSON_H
#define BERTH_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"

typedef struct json_object json_object;

void json_cleanup(json_object **value);
#define AUTO_JSON __attribute__((cleanup(json_cleanup)))

json_object *json_hold(json_object *value); /* one more reference */
void json_drop(json_object *value);         /* one less; NULL is fine */

enum { JSON_DEPTH_MAX = 32 };

/*
 * Parses exactly one RFC 8259 text: valid UTF-8, depth at most JSON_DEPTH_MAX, no NUL (raw or \u0000), no number outside
 * int64 or double, no duplicate key in any object, no lone surrogate, nothing after the value. ERR_INVALID says what and at which byte. A bare null gives *out NULL.
 */
int json_parse(const char *bytes, size_t len, json_object **out, struct err *e);

/*
 * Builds a value from a template; each letter takes one argument:
 *   s text (NULL: the member or item is left out)   i int   I int64_t   b bool (int)   d double
 *   o json_object* (taken over, NULL: left out)     O json_object* (one more reference is taken; NULL: left out)
 * "{s:s, s:[s, s], s:{s:i}}" - keys are arguments too. Never NULL: a wrong template is a bug and ends the process.
 */
json_object *json_build(const char *format, ...);

/* Adds to an object or array; takes value over. Replaces a member of that name. */
void json_put(json_object *object, const char *name, json_object *value);
void json_append(json_object *array, json_object *value);
json_object *json_text(const char *text); /* NULL gives NULL; malformed UTF-8 becomes U+FFFD */
json_object *json_number(int64_t number);
json_object *json_new_object(void);
json_object *json_new_array(void);

/* Reading. The handle returned by json_at is borrowed; NULL when nothing is there (or null is). */
json_object *json_at(const json_object *value, const char *pointer);
int json_read_text(const json_object *value, const char *pointer, struct arena *mem, const char **out, struct err *e);
int json_read_int(const json_object *value, const char *pointer, int64_t *out, struct err *e);
int json_read_bool(const json_object *value, const char *pointer, bool *out, struct err *e);
const char *json_find_text(const json_object *value, const char *pointer,
                           struct arena *mem); /* NULL: absent or no text */
int64_t json_find_int(const json_object *value, const char *pointer, int64_t fallback);
bool json_find_bool(const json_object *value, const char *pointer, bool fallback);

size_t json_length(const json_object *array); /* 0 for what is no array */
json_object *json_get(const json_object *object,
                      const char *name);                        /* borrowed; by its plain name; NULL when not there */
json_object *json_item(const json_object *array, size_t index); /* borrowed; NULL past the end */
bool json_is_object(const json_object *value);
bool json_is_array(const json_object *value);
bool json_is_text(const json_object *value);
bool json_is_int(const json_object *value);
bool json_is_bool(const json_object *value);

/* Each member of an object in order: for (struct json_member m = json_first(o); m.name; m = json_next(m)). Borrowed. */
struct json_member {
    const char *name;
    json_object *value;
    void *next;
};
struct json_member json_first(const json_object *object);
struct json_member json_next(struct json_member member);

/* Compact JSON, "/" unescaped. Not for one value from two threads at once: json-c keeps the text in the value. */
void json_write(const json_object *value, struct buf *out);
char *json_to_text(const json_object *value, struct arena *mem);

#endif
