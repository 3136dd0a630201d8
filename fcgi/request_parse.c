/* What of a request needs no FastCGI: its target, its query, its headers' names. */
#include <ctype.h>
#include <string.h>

#include "core/base/fatal.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "fcgi/request.h"

enum { HEADER_NAME_MAX = 64 };

const char *request_header(struct request *request, const char *name)
{
    char variable[sizeof("HTTP_") + HEADER_NAME_MAX] = "HTTP_";
    size_t len = strlen(name);

    if (len > HEADER_NAME_MAX)
        fatal("a header's name is too long");
    for (size_t i = 0; i < len; i++)
        variable[5 + i] = name[i] == '-' ? '_' : (char)toupper((unsigned char)name[i]);
    /* CGI gives these two without HTTP_. */
    bool bare = strcmp(variable, "HTTP_CONTENT_TYPE") == 0 || strcmp(variable, "HTTP_CONTENT_LENGTH") == 0;
    return arena_copy(request->mem, request->param(request->source, bare ? variable + 5 : variable));
}

const char *request_value(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->value_count; i++) {
        if (strcmp(request->values[i].name, name) == 0)
            return request->values[i].text;
    }
    fatal("a handler asks for a value that its route's pattern lacks");
}

char *request_decode(struct arena *mem, const char *text, size_t len, bool plus_is_space, size_t *got)
{
    char *out = arena_alloc(mem, len + 1);
    size_t used = 0;

    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)text[i];

        if (byte == '%') {
            if (len - i < 3 || !hash_from_hex(text + i + 1, 2, &byte))
                return NULL;
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        out[used++] = (char)byte;
    }
    *got = used;
    return out;
}

/* NULL: malformed, a NUL, another control character, or no UTF-8. */
static const char *decode(struct arena *mem, const char *text, size_t len, bool plus_is_space)
{
    size_t got = 0;
    const char *out = request_decode(mem, text, len, plus_is_space, &got);

    return !out || text_has_control(out, got) || !text_is_utf8(out, got) ? NULL : out;
}

/* An encoded slash would become a separator. */
static bool has_encoded_slash(const char *path, size_t len)
{
    for (size_t i = 0; i + 2 < len; i++) {
        if (path[i] == '%' && path[i + 1] == '2' && (path[i + 2] == 'f' || path[i + 2] == 'F'))
            return true;
    }
    return false;
}

void request_set_target(struct request *request, const char *target)
{
    size_t path_len = strcspn(target, "?");
    const char *query = target[path_len] == '?' ? target + path_len + 1 : "";

    request->path = NULL;
    request->query = strlen(query) <= REQUEST_QUERY_MAX ? arena_copy(request->mem, query) : "";
    if (path_len <= REQUEST_PATH_MAX && target[0] == '/' && !has_encoded_slash(target, path_len))
        request->path = decode(request->mem, target, path_len, false);
}

/* The parameter's text, still encoded, and its length; NULL: absent. */
static const char *query_find(const char *query, const char *name, size_t *len)
{
    size_t name_len = strlen(name);

    for (const char *at = query; *at != '\0';) {
        size_t pair = strcspn(at, "&");

        if (pair >= name_len && memcmp(at, name, name_len) == 0 && (pair == name_len || at[name_len] == '=')) {
            const char *text = pair == name_len ? at + pair : at + name_len + 1;
            *len = (size_t)(at + pair - text);
            return text;
        }
        at += pair + (at[pair] == '&');
    }
    return NULL;
}

bool request_has_query(const struct request *request, const char *name)
{
    size_t len = 0;

    return query_find(request->query, name, &len) != NULL;
}

const char *request_query(struct request *request, const char *name)
{
    size_t len = 0;
    const char *text = query_find(request->query, name, &len);

    return text ? decode(request->mem, text, len, true) : NULL;
}

int request_read(struct request *request, void *to, size_t room, size_t *got, struct err *e)
{
    return request->read(request->source, to, room, got, e);
}

int64_t request_parse_length(const char *text)
{
    int64_t length = 0;

    if (!text || *text == '\0')
        return REQUEST_LENGTH_ABSENT;
    if (strspn(text, "0123456789") != strlen(text) || !text_parse_int(text, 0, INT64_MAX, &length))
        return REQUEST_LENGTH_MALFORMED;
    return length;
}
