/*
 * secret - bytes that must not be shown.
 *
 * There is no printf path: whoever needs the bytes calls secret_bytes and answers for where they go. Freed secrets
 * are wiped (OPENSSL_cleanse). What a person may see of one is SECRET_SHOWN.
 */
#ifndef BERTH_BASE_SECRET_H
#define BERTH_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#define SECRET_SHOWN "***"

struct secret;

struct secret *secret_new(const void *bytes, size_t len);
struct secret *secret_from_text(const char *text); /* NULL gives NULL */
struct secret *
secret_random_hex(size_t bytes); /* 2*bytes hex characters from the system's generator; NULL if that fails */
struct secret *secret_copy(const struct secret *s);
void secret_free(struct secret *s); /* NULL is fine */

const char *secret_bytes(const struct secret *s); /* NUL-terminated; lives as long as s */
size_t secret_len(const struct secret *s);
bool secret_equal(const struct secret *a, const struct secret *b); /* constant time in the content */

void secret_cleanup(struct secret **s);
#define AUTO_SECRET __attribute__((cleanup(secret_cleanup)))

/* Wipes a plain buffer that held one. */
void secret_wipe(void *bytes, size_t len);

#endif
