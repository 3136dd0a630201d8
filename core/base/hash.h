/*
 * hash - SHA-256, HMAC-SHA256, hex, base64 and random bytes, through OpenSSL.
 *
 * The streaming forms take the body in pieces. OpenSSL's failure here means no memory or a broken library: the process ends.
 */
#ifndef BERTH_BASE_HASH_H
#define BERTH_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HASH_SIZE = 32, HASH_HEX_SIZE = 65 };

struct hash; /* a running SHA-256 or HMAC-SHA256 */

struct hash *hash_sha256_new(void);
struct hash *hash_hmac_new(const void *key, size_t key_len);
void hash_add(struct hash *h, const void *bytes, size_t len);
void hash_end(struct hash *h, uint8_t out[HASH_SIZE]); /* once; h is still to be freed */
void hash_free(struct hash *h);
void hash_cleanup(struct hash **h);
#define AUTO_HASH __attribute__((cleanup(hash_cleanup)))

void hash_sha256(const void *bytes, size_t len, uint8_t out[HASH_SIZE]);
void hash_hmac(const void *key, size_t key_len, const void *bytes, size_t len, uint8_t out[HASH_SIZE]);

void hash_hex(const uint8_t *bytes, size_t len, char *out);        /* out: 2*len + 1, lower case */
bool hash_from_hex(const char *hex, size_t hex_len, uint8_t *out); /* exactly hex_len/2 bytes; false on anything else */
size_t hash_base64(const void *bytes, size_t len, char *out);      /* out: 4*((len+2)/3) + 1; returns the length */
bool hash_equal(const uint8_t *a, const uint8_t *b, size_t len);   /* constant time */
bool hash_random(void *out, size_t len);                           /* the system's generator */
void hash_uuid(char out[37]);                                      /* a random UUID, version 4 */

#endif
