#include "core/github/signature.h"

#include <string.h>

#include "core/base/text.h"

#define PREFIX "sha256="

bool github_signature_parse(const char *header, uint8_t out[HASH_SIZE])
{
    if (!header || !text_starts(header, PREFIX))
        return false;

    const char *hex = header + strlen(PREFIX);
    return strlen(hex) == 2 * HASH_SIZE && hash_from_hex(hex, 2 * HASH_SIZE, out);
}
