#include "core/base/hash.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fatal.h"

struct hash {
    EVP_MD_CTX *digest; /* one of the two is set */
    EVP_MAC_CTX *mac;
};

/* A fetch by name costs more than hashing a small text: fetched once, and kept for the life of the process. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static EVP_MAC_CTX *hmac; /* knows its digest; each use is a copy of it, given its own key */

static _Noreturn void broken(void)
{
    fatal("OpenSSL cannot compute SHA-256: no memory left, or the library is broken");
}

static void prepare(void)
{
    char name[] = "SHA256";
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                            OSSL_PARAM_construct_end() };
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);

    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    hmac = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);
    /* A context that never had a key cannot be copied. */
    if (!sha256 || !hmac || !EVP_MAC_init(hmac, (const unsigned char *)"", 0, params))
        broken();
}

static struct hash *hash_new(void)
{
    pthread_once(&once, prepare);

    struct hash *h = calloc(1, sizeof(*h));
    if (!h)
        fatal_no_memory();
    return h;
}

struct hash *hash_sha256_new(void)
{
    struct hash *h = hash_new();

    h->digest = EVP_MD_CTX_new();
    if (!h->digest || !EVP_DigestInit_ex2(h->digest, sha256, NULL))
        broken();
    return h;
}

static EVP_MAC_CTX *mac_new(const void *key, size_t key_len)
{
    EVP_MAC_CTX *mac = EVP_MAC_CTX_dup(hmac);

    /* A NULL key would mean the one before. */
    if (!mac || !EVP_MAC_init(mac, key_len == 0 ? (const unsigned char *)"" : key, key_len, NULL))
        broken();
    return mac;
}

struct hash *hash_hmac_new(const void *key, size_t key_len)
{
    struct hash *h = hash_new();

    h->mac = mac_new(key, key_len);
    return h;
}

void hash_add(struct hash *h, const void *bytes, size_t len)
{
    if (len == 0)
        return;

    int fine = h->digest ? EVP_DigestUpdate(h->digest, bytes, len) : EVP_MAC_update(h->mac, bytes, len);
    if (!fine)
        broken();
}

void hash_end(struct hash *h, uint8_t out[HASH_SIZE])
{
    size_t len = 0;
    int fine = h->digest ? EVP_DigestFinal_ex(h->digest, out, NULL) : EVP_MAC_final(h->mac, out, &len, HASH_SIZE);

    if (!fine)
        broken();
}

void hash_free(struct hash *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->digest);
    EVP_MAC_CTX_free(h->mac);
    free(h);
}

void hash_cleanup(struct hash **h)
{
    hash_free(*h);
}

void hash_sha256(const void *bytes, size_t len, uint8_t out[HASH_SIZE])
{
    pthread_once(&once, prepare);
    if (!EVP_Digest(len == 0 ? "" : bytes, len, out, NULL, sha256, NULL))
        broken();
}

void hash_hmac(const void *key, size_t key_len, const void *bytes, size_t len, uint8_t out[HASH_SIZE])
{
    size_t out_len = 0;

    pthread_once(&once, prepare);
    EVP_MAC_CTX *mac = mac_new(key, key_len);
    if ((len > 0 && !EVP_MAC_update(mac, bytes, len)) || !EVP_MAC_final(mac, out, &out_len, HASH_SIZE))
        broken();
    EVP_MAC_CTX_free(mac);
}

void hash_hex(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool hash_from_hex(const char *hex, size_t hex_len, uint8_t *out)
{
    if (hex_len % 2 != 0)
        return false;
    for (size_t i = 0; i < hex_len; i++) {
        if (hex_digit(hex[i]) < 0)
            return false;
    }
    for (size_t i = 0; i < hex_len / 2; i++)
        out[i] = (uint8_t)((unsigned)hex_digit(hex[2 * i]) << 4 | (unsigned)hex_digit(hex[2 * i + 1]));
    return true;
}

size_t hash_base64(const void *bytes, size_t len, char *out)
{
    const unsigned char *from = bytes;
    const size_t piece = (size_t)3 << 20; /* OpenSSL counts in int; a multiple of 3 leaves no padding in between */
    size_t used = 0;

    out[0] = '\0';
    while (len > 0) {
        size_t now = len < piece ? len : piece;

        used += (size_t)EVP_EncodeBlock((unsigned char *)out + used, from, (int)now);
        from += now;
        len -= now;
    }
    return used;
}

bool hash_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

bool hash_random(void *out, size_t len)
{
    return len <= INT_MAX && RAND_bytes(out, (int)len) == 1;
}

void hash_uuid(char out[37])
{
    uint8_t raw[16];
    char hex[33];

    if (!hash_random(raw, sizeof(raw)))
        fatal("the system's random generator failed");
    raw[6] = (uint8_t)((raw[6] & 0x0f) | 0x40);
    raw[8] = (uint8_t)((raw[8] & 0x3f) | 0x80);
    hash_hex(raw, sizeof(raw), hex);

    char *to = out;
    for (size_t i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            *to++ = '-';
        *to++ = hex[i];
    }
    *to = '\0';
}
