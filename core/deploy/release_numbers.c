#include "core/deploy/release_numbers.h"

#include <string.h>

#include "core/base/text.h"

bool release_numbers_have(const struct release_numbers *numbers, int number)
{
    for (size_t i = 0; i < numbers->count; i++)
        if (numbers->of[i] == number)
            return true;
    return false;
}

const char *release_numbers_text(const struct release_numbers *numbers, struct arena *mem)
{
    const char *text = "";

    for (size_t i = 0; i < numbers->count; i++) {
        const char *between = i == 0 ? "" : i + 1 == numbers->count ? " and " : ", ";
        text = arena_printf(mem, "%s%sv%d", text, between, numbers->of[i]);
    }
    return text;
}

const char *release_numbers_list(const struct release_numbers *numbers, struct arena *mem)
{
    const char *list = "";

    for (size_t i = 0; i < numbers->count; i++)
        list = arena_printf(mem, "%s%s%d", list, i == 0 ? "" : ",", numbers->of[i]);
    return list;
}

bool release_numbers_parse(const char *list, struct arena *mem, struct release_numbers *out)
{
    int *of = arena_array(mem, RELEASE_NUMBERS_MAX, sizeof *of);
    size_t count = 0;

    for (const char *at = list; *list;) {
        size_t len = strcspn(at, ",");
        int64_t number = 0;
        if (count == RELEASE_NUMBERS_MAX || !text_parse_int(arena_copy_n(mem, at, len), 1, INT32_MAX, &number))
            return false;
        of[count++] = (int)number;
        if (!at[len])
            break;
        at += len + 1;
    }
    *out = (struct release_numbers){ of, count };
    return true;
}
