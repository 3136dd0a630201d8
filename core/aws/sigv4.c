#include "core/aws/sigv4.h"

#include <stdlib.h>
#include <string.h>

enum { DATE_LEN = 8 };

/* A name and its value, of the query or a header, as they are sorted. */
struct pair {
    const char *name;
    const char *value;
    size_t position; /* as sent: headers of one name keep their order */
};

static int by_name_then_value(const void *a, const void *b)
{
    const struct pair *left = a, *right = b;
    int order = strcmp(left->name, right->name);

    return order ? order : strcmp(left->value, right->value);
}

static int by_name_then_position(const void *a, const void *b)
{
    const struct pair *left = a, *right = b;
    int order = strcmp(left->name, right->name);

    return order ? order : (left->position > right->position) - (left->position < right->position);
}

/* "/a/./b//../c/" is "/a/c/": RFC 3986's dot segments, and AWS's rule that slashes in a row are one. */
static char *normalize_path(struct arena *mem, const char *path)
{
    size_t len = strlen(path);
    char *out = arena_alloc(mem, len + 2);
    size_t end = 0;

    for (const char *at = path; *at;) {
        size_t segment = strcspn(at, "/");
        if (segment == 2 && memcmp(at, "..", 2) == 0) {
            while (end > 0 && out[--end] != '/')
                ;
        } else if (segment > 0 && !(segment == 1 && *at == '.')) {
            out[end++] = '/';
            memcpy(out + end, at, segment);
            end += segment;
        }
        at += segment + (at[segment] == '/');
    }
    if (end == 0 || path[len - 1] == '/')
        out[end++] = '/';
    out[end] = '\0';
    return out;
}

static const char *canonical_path(struct arena *mem, const char *path, struct sigv4_style style)
{
    if (!*path)
        return "/";
    if (style.normalize_path)
        path = normalize_path(mem, path);
    return style.double_encode_path ? http_encode(mem, path, true) : path;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What was sent, decoded and encoded again strictly: "%7e" and "~" sign the same. %00 stays as it is, since C text ends there. */
static char *encode_again(struct arena *mem, const char *sent, size_t len)
{
    char *raw = arena_copy_n(mem, sent, len);
    char *out = raw;

    for (const char *at = raw; *at; at++) {
        int high = *at == '%' ? hex_digit(at[1]) : -1;
        int low = high >= 0 ? hex_digit(at[2]) : -1;
        if (low >= 0 && (high | low)) {
            *out++ = (char)(high << 4 | low);
            at += 2;
        } else {
            *out++ = *at;
        }
    }
    *out = '\0';
    return http_encode(mem, raw, false);
}

static struct pair query_pair(struct arena *mem, const char *piece, size_t len)
{
    const char *equals = memchr(piece, '=', len);
    size_t name_len = equals ? (size_t)(equals - piece) : len;
    struct pair pair = { .name = encode_again(mem, piece, name_len), .value = "" };

    if (equals)
        pair.value = encode_again(mem, equals + 1, len - name_len - 1);
    return pair;
}

static char *canonical_query(struct arena *mem, const char *query)
{
    size_t room = strlen(query) + 1, count = 0, size = 1;
    struct pair *pairs = arena_array(mem, room, sizeof *pairs);
    char *out, *end;

    for (const char *at = query; *at;) {
        size_t len = strcspn(at, "&");
        if (len > 0)
            pairs[count++] = query_pair(mem, at, len);
        at += len + (at[len] == '&');
    }
    qsort(pairs, count, sizeof *pairs, by_name_then_value);
    for (size_t i = 0; i < count; i++)
        size += strlen(pairs[i].name) + strlen(pairs[i].value) + 2;
    out = end = arena_alloc(mem, size);
    for (size_t i = 0; i < count; i++) {
        end = stpcpy(stpcpy(end, i > 0 ? "&" : ""), pairs[i].name);
        end = stpcpy(stpcpy(end, "="), pairs[i].value);
    }
    return out;
}

static char *lower(struct arena *mem, const char *text)
{
    char *copy = arena_copy(mem, text);

    for (char *c = copy; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + ('a' - 'A'));
    return copy;
}

/* Trimmed, and each run of white space inside is one space. */
static char *squeeze(struct arena *mem, const char *value)
{
    char *copy = arena_copy(mem, value), *out = copy;

    for (const char *at = copy; *at; at++) {
        if (!strchr(" \t\r\n\v\f", *at))
            *out++ = *at;
        else if (out > copy && out[-1] != ' ')
            *out++ = ' ';
    }
    if (out > copy && out[-1] == ' ')
        out--;
    *out = '\0';
    return copy;
}

static struct pair *sorted_headers(struct arena *mem, const struct sigv4_request *request)
{
    struct pair *pairs = arena_array(mem, request->header_count + 1, sizeof *pairs);

    for (size_t i = 0; i < request->header_count; i++)
        pairs[i] = (struct pair){ lower(mem, request->headers[i].name), squeeze(mem, request->headers[i].value), i };
    qsort(pairs, request->header_count, sizeof *pairs, by_name_then_position);
    return pairs;
}

char *sigv4_signed_headers(struct arena *mem, const struct sigv4_request *request)
{
    const struct pair *pairs = sorted_headers(mem, request);
    char *names = arena_copy(mem, "");

    for (size_t i = 0; i < request->header_count; i++)
        if (i == 0 || strcmp(pairs[i].name, pairs[i - 1].name) != 0)
            names = arena_printf(mem, "%s%s%s", names, *names ? ";" : "", pairs[i].name);
    return names;
}

static char *canonical_headers(struct arena *mem, const struct sigv4_request *request)
{
    const struct pair *pairs = sorted_headers(mem, request);
    size_t size = 1;
    char *out, *end;

    for (size_t i = 0; i < request->header_count; i++)
        size += strlen(pairs[i].name) + strlen(pairs[i].value) + 2;
    out = end = arena_alloc(mem, size);
    for (size_t i = 0; i < request->header_count; i++) {
        bool again = i > 0 && strcmp(pairs[i].name, pairs[i - 1].name) == 0;
        bool more = i + 1 < request->header_count && strcmp(pairs[i].name, pairs[i + 1].name) == 0;
        end = stpcpy(stpcpy(end, again ? "" : pairs[i].name), again ? "," : ":");
        end = stpcpy(stpcpy(end, pairs[i].value), more ? "" : "\n");
    }
    return out;
}

char *sigv4_canonical_request(struct arena *mem, const struct sigv4_request *request, struct sigv4_style style)
{
    return arena_printf(mem, "%s\n%s\n%s\n%s\n%s\n%s", request->method, canonical_path(mem, request->path, style),
                        canonical_query(mem, request->query), canonical_headers(mem, request),
                        sigv4_signed_headers(mem, request), request->payload_hash);
}

static char *credential_scope(struct arena *mem, const struct sigv4_scope *scope)
{
    return arena_printf(mem, "%.*s/%s/%s/aws4_request", DATE_LEN, scope->amz_date, scope->region, scope->service);
}

char *sigv4_string_to_sign(struct arena *mem, const char *canonical_request, const struct sigv4_scope *scope)
{
    uint8_t digest[HASH_SIZE];
    char hex[HASH_HEX_SIZE];

    hash_sha256(canonical_request, strlen(canonical_request), digest);
    hash_hex(digest, sizeof digest, hex);
    return arena_printf(mem, "AWS4-HMAC-SHA256\n%s\n%s\n%s", scope->amz_date, credential_scope(mem, scope), hex);
}

static void signing_key(const struct secret *secret_access_key, const struct sigv4_scope *scope, uint8_t key[HASH_SIZE])
{
    size_t len = strlen("AWS4") + secret_len(secret_access_key);
    struct arena *mem = arena_new();
    char *prefixed = arena_alloc(mem, len + 1);

    stpcpy(stpcpy(prefixed, "AWS4"), secret_bytes(secret_access_key));
    hash_hmac(prefixed, len, scope->amz_date, DATE_LEN, key);
    hash_hmac(key, HASH_SIZE, scope->region, strlen(scope->region), key);
    hash_hmac(key, HASH_SIZE, scope->service, strlen(scope->service), key);
    hash_hmac(key, HASH_SIZE, "aws4_request", strlen("aws4_request"), key);
    secret_wipe(prefixed, len);
    arena_free(mem);
}

void sigv4_signature(const struct secret *secret_access_key, const struct sigv4_scope *scope,
                     const char *string_to_sign, char out[HASH_HEX_SIZE])
{
    uint8_t key[HASH_SIZE], signature[HASH_SIZE];

    signing_key(secret_access_key, scope, key);
    hash_hmac(key, sizeof key, string_to_sign, strlen(string_to_sign), signature);
    secret_wipe(key, sizeof key);
    hash_hex(signature, sizeof signature, out);
}

char *sigv4_authorization(struct arena *mem, const struct sigv4_request *request, struct sigv4_style style,
                          const struct sigv4_scope *scope, const char *access_key_id,
                          const struct secret *secret_access_key)
{
    char *canonical = sigv4_canonical_request(mem, request, style);
    char *to_sign = sigv4_string_to_sign(mem, canonical, scope);
    char signature[HASH_HEX_SIZE];

    secret_wipe(canonical, strlen(canonical)); /* it holds the session token */
    sigv4_signature(secret_access_key, scope, to_sign, signature);
    return arena_printf(mem, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", access_key_id,
                        credential_scope(mem, scope), sigv4_signed_headers(mem, request), signature);
}
