/* xml_to_json on anything: what it accepts is JSON that json_parse accepts. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *value = NULL;
    AUTO_JSON json_object *again = NULL;
    struct err e = { 0 };
    int code = xml_to_json((const char *)bytes, len, &value, &e);

    if (code != 0 && code != ERR_INVALID)
        abort();
    if (code != 0)
        return 0;

    const char *text = json_to_text(value, mem);
    if (json_parse(text, strlen(text), &again, &e) != 0 && !strstr(e.message, "nested too deep"))
        abort();
    return 0;
}
