#include "core/base/fatal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No stdio: it may want memory, and there may be none. */
_Noreturn void fatal(const char *what)
{
    char line[256] = "berth: fatal: ";
    size_t used = strlen(line);
    size_t len = strnlen(what, sizeof(line) - used - 1);

    memcpy(line + used, what, len);
    line[used + len] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, used + len + 1);
    (void)ignored;
    abort();
}

_Noreturn void fatal_no_memory(void)
{
    fatal("no memory left; the process ends and its supervisor starts it again");
}
