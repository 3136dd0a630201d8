/* A request's target, query and length on anything: no path holds a control character, and a decoded one is UTF-8. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "fcgi/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_text(const char *text)
{
    if (text && (text_has_control(text, strlen(text)) || !text_is_utf8(text, strlen(text))))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct request request = { .mem = mem };
    const char *target = arena_copy_n(mem, bytes, len);

    request_set_target(&request, target);
    check_text(request.path);
    check_text(request_query(&request, "a"));
    check_text(request_query(&request, ""));
    if (request.path && (request.path[0] != '/' || strlen(request.path) > REQUEST_PATH_MAX))
        abort();
    if (request_parse_length(target) < REQUEST_LENGTH_MALFORMED)
        abort();
    return 0;
}
