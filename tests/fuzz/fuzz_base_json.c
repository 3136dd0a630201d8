/* json_parse on anything: what it accepts, it writes as JSON that it accepts again and writes the same; json-c never knows better. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *first = NULL;
    AUTO_JSON json_object *second = NULL;
    struct err e = { 0 };
    int code = json_parse((const char *)bytes, len, &first, &e);

    if (code == ERR_INVALID)
        return 0;
    if (code != 0)
        abort();

    const char *text = json_to_text(first, mem);
    if (json_parse(text, strlen(text), &second, &e) != 0 || strcmp(json_to_text(second, mem), text) != 0)
        abort();
    return 0;
}
