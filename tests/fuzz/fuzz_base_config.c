/* config_load on anything: a clear refusal, or values within their bounds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct settings {
    const char *text;
    const char *secret;
    int64_t number;
    bool flag;
    struct config_list list;
    int choice;
};

static const char *const choices[] = { "one", "two", NULL };

static const struct config_option table[] = {
    { .section = "a", .key = "text", .type = CONFIG_TEXT, .offset = offsetof(struct settings, text) },
    { .section = "a", .key = "secret", .type = CONFIG_SECRET, .offset = offsetof(struct settings, secret) },
    { .section = "a",
      .key = "n",
      .type = CONFIG_INT,
      .offset = offsetof(struct settings, number),
      .least = -5,
      .most = 5 },
    { .section = "b", .key = "flag", .type = CONFIG_BOOL, .offset = offsetof(struct settings, flag) },
    { .section = "b", .key = "list", .type = CONFIG_LIST, .offset = offsetof(struct settings, list) },
    { .section = "b",
      .key = "choice",
      .type = CONFIG_ENUM,
      .offset = offsetof(struct settings, choice),
      .choices = choices },
};
enum { COUNT = sizeof(table) / sizeof(*table) };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct settings settings = { 0 };
    struct config_value values[COUNT];
    struct err e = { 0 };
    char path[64];
    int file = memfd_create("config", MFD_CLOEXEC);

    if (file < 0 || write(file, bytes, len) != (ssize_t)len)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    int code = config_load(table, COUNT, path, &settings, values, mem, &e);
    close(file);

    if (code != 0 && (code != ERR_INVALID || e.message[0] == '\0'))
        abort();
    if (code == 0 && (settings.number < -5 || settings.number > 5 || settings.choice < 0 || settings.choice > 1))
        abort();
    for (size_t i = 0; code == 0 && i < settings.list.count; i++) {
        if (settings.list.items[i][0] == '\0')
            abort();
    }
    return 0;
}
