/* github_signature_parse on any header: what it takes is 71 bytes that write back the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/arena.h"
#include "core/github/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    AUTO_ARENA struct arena *mem = arena_new();
    const char *header = arena_copy_n(mem, bytes, len);
    uint8_t mac[HASH_SIZE];
    char hex[HASH_HEX_SIZE];

    if (!github_signature_parse(header, mac))
        return 0;
    hash_hex(mac, HASH_SIZE, hex);
    if (strncmp(header, "sha256=", 7) != 0 || strcasecmp(header + 7, hex) != 0)
        abort();
    return 0;
}
