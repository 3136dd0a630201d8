#include "core/base/secret.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fatal.h"
#include "core/base/hash.h"

struct secret {
    size_t len;
    char bytes[]; /* and a NUL */
};

static struct secret *sized(size_t len)
{
    if (len > SIZE_MAX - sizeof(struct secret) - 1)
        fatal_no_memory();

    struct secret *s = calloc(1, sizeof(*s) + len + 1);
    if (!s)
        fatal_no_memory();
    s->len = len;
    return s;
}

struct secret *secret_new(const void *bytes, size_t len)
{
    struct secret *s = sized(len);

    if (len > 0)
        memcpy(s->bytes, bytes, len);
    return s;
}

struct secret *secret_from_text(const char *text)
{
    return text ? secret_new(text, strlen(text)) : NULL;
}

struct secret *secret_random_hex(size_t bytes)
{
    if (bytes > SIZE_MAX / 4)
        return NULL;

    struct secret *raw = sized(bytes);
    struct secret *s = NULL;

    if (hash_random(raw->bytes, bytes)) {
        s = sized(2 * bytes);
        hash_hex((const uint8_t *)raw->bytes, bytes, s->bytes);
    }
    secret_free(raw);
    return s;
}

struct secret *secret_copy(const struct secret *s)
{
    return s ? secret_new(s->bytes, s->len) : NULL;
}

void secret_free(struct secret *s)
{
    if (!s)
        return;
    OPENSSL_cleanse(s->bytes, s->len);
    free(s);
}

void secret_cleanup(struct secret **s)
{
    secret_free(*s);
}

const char *secret_bytes(const struct secret *s)
{
    return s->bytes;
}

size_t secret_len(const struct secret *s)
{
    return s->len;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    return a->len == b->len && CRYPTO_memcmp(a->bytes, b->bytes, a->len) == 0;
}

void secret_wipe(void *bytes, size_t len)
{
    OPENSSL_cleanse(bytes, len);
}
