#include "core/net/http.h"

#include <string.h>

const char *http_reply_header(const struct http_reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->header_count; i++)
        if (strcmp(reply->headers[i].name, name) == 0)
            return reply->headers[i].value;
    return NULL;
}

static bool is_unreserved(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

char *http_encode(struct arena *mem, const char *text, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF"; /* AWS signs upper case */
    char *encoded = arena_array(mem, strlen(text) + 1, 3);
    char *out = encoded;

    for (const char *at = text; *at; at++) {
        unsigned char c = (unsigned char)*at;
        if (is_unreserved(c) || (keep_slash && c == '/')) {
            *out++ = (char)c;
            continue;
        }
        *out++ = '%';
        *out++ = digits[c >> 4];
        *out++ = digits[c & 15];
    }
    *out = '\0';
    return encoded;
}

char *http_url_shown(struct arena *mem, const char *url)
{
    char *shown = arena_copy_n(mem, url, strcspn(url, "?#"));
    char *host = strstr(shown, "://");
    char *at;

    host = host ? host + 3 : shown;
    at = memrchr(host, '@', strcspn(host, "/")); /* the last: a password may hold one */
    if (at)
        memmove(host, at + 1, strlen(at + 1) + 1);
    return shown;
}
