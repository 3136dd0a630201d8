/*
 * signature - GitHub's proof that a delivery is genuine: X-Hub-Signature-256, HMAC-SHA256 over the raw body.
 *
 * Source: "Validating webhook deliveries", GitHub Docs. Take the body in pieces by hash_hmac_new/hash_add, then compare.
 */
#ifndef BERTH_GITHUB_SIGNATURE_H
#define BERTH_GITHUB_SIGNATURE_H

#include <stdbool.h>

#include "core/base/hash.h"

/* "sha256=" and 64 hex digits, nothing else. False when the header (NULL: absent) has not that shape. */
bool github_signature_parse(const char *header, uint8_t out[HASH_SIZE]);

#endif
