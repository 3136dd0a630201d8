#include "fcgi/csrf.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "core/base/hash.h"
#include "core/base/text.h"

/* Each part with its length before it: no two triples make the same bytes. */
static void sign(const struct secret *key, const char *user, const char *form, int64_t expiry_ms,
                 uint8_t out[HASH_SIZE], struct arena *mem)
{
    const char *text = arena_printf(mem, "%zu:%s %zu:%s %" PRId64, strlen(user), user, strlen(form), form, expiry_ms);

    hash_hmac(secret_bytes(key), secret_len(key), text, strlen(text), out);
}

const char *csrf_token(const struct secret *key, const char *user, const char *form, int64_t now_ms, struct arena *mem)
{
    int64_t expiry_ms = now_ms + CSRF_LIFE_MS;
    uint8_t mac[HASH_SIZE];
    char hex[HASH_HEX_SIZE];

    sign(key, user, form, expiry_ms, mac, mem);
    hash_hex(mac, sizeof mac, hex);
    return arena_printf(mem, "%" PRId64 ".%s", expiry_ms, hex);
}

enum csrf_verdict csrf_check(const struct secret *key, const char *user, const char *form, const char *token,
                             int64_t now_ms)
{
    AUTO_ARENA struct arena *mem = arena_new();
    const char *dot = token ? strchr(token, '.') : NULL;
    uint8_t given[HASH_SIZE], right[HASH_SIZE];
    int64_t expiry_ms = 0;

    if (!dot || strlen(dot + 1) != HASH_HEX_SIZE - 1 || !hash_from_hex(dot + 1, HASH_HEX_SIZE - 1, given) ||
        !text_parse_int(arena_copy_n(mem, token, (size_t)(dot - token)), 0, INT64_MAX, &expiry_ms))
        return CSRF_WRONG;
    sign(key, user, form, expiry_ms, right, mem);
    if (!hash_equal(given, right, sizeof right))
        return CSRF_WRONG;
    return expiry_ms <= now_ms ? CSRF_EXPIRED : CSRF_VALID;
}

bool csrf_is_same_origin(struct request *request)
{
    const char *site = request_header(request, "Sec-Fetch-Site");
    const char *origin = request_header(request, "Origin");
    const char *host = request_header(request, "Host");

    if (site)
        return strcmp(site, "same-origin") == 0;
    if (!origin)
        return true;
    if (!text_starts(origin, "https://") && !text_starts(origin, "http://"))
        return false; /* "null" too: a page without an origin of its own */
    return host && strcasecmp(strstr(origin, "//") + 2, host) == 0;
}
