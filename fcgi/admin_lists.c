#include "fcgi/admin_lists.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/text.h"
#include "core/tenant/app.h"
#include "fcgi/link.h"
#include "fcgi/request.h"
#include "fcgi/when.h"

enum { DAY_MS = 24 * 60 * 60 * 1000, TIME_AT = sizeof "2015-08-30T" - 1, TIME_LEN = sizeof "12:36:00" - 1 };

const char *list_url(struct arena *mem, const char *path, const struct list_part *parts)
{
    AUTO_BUF struct buf url = { 0 };
    char before = '?';

    buf_add_text(&url, path);
    for (; parts->name; parts++) {
        if (!parts->value || !*parts->value)
            continue;
        buf_printf(&url, "%c%s=%s", before, parts->name, link_encode(parts->value, mem));
        before = '&';
    }
    return arena_copy(mem, buf_text(&url));
}

json_object *list_filter(struct arena *mem, const char *url, const char *mark, const char *word, int64_t number,
                         bool current)
{
    json_object *one = json_build("{s:s, s:s, s:s, s:s, s:s}", "url", url, "mark", mark, "word", word, "class",
                                  current ? "current" : "", "number", list_number(mem, number));

    json_put(one, "current", current ? json_text("true") : json_build("b", 0));
    return one;
}

const char *list_number(struct arena *mem, int64_t number)
{
    const char *digits = arena_printf(mem, "%" PRId64, number);
    size_t sign = *digits == '-', len = strlen(digits);
    AUTO_BUF struct buf out = { 0 };

    for (size_t i = 0; i < len; i++) {
        if (i > sign && (len - i) % 3 == 0)
            buf_add_char(&out, ',');
        buf_add_char(&out, digits[i]);
    }
    return arena_copy(mem, buf_text(&out));
}

const char *list_short(struct arena *mem, const char *text, size_t max)
{
    if (!text || strlen(text) <= max)
        return text ? text : "";
    char *cut = arena_alloc(mem, max + 1);
    text_excerpt(text, cut, max + 1);
    return arena_printf(mem, "%s\xe2\x80\xa6", cut);
}

struct list_time list_time(struct arena *mem, const char *at, int64_t now_ms)
{
    int64_t then = when_parse(at);

    if (then < 0)
        return (struct list_time){ .day = "", .time = at ? at : "" };
    int64_t days = now_ms / DAY_MS - then / DAY_MS;
    return (struct list_time){ .day = days == 0   ? "Today"
                                      : days == 1 ? "Yesterday"
                                                  : when_date(mem, at, now_ms),
                               .time = arena_copy_n(mem, at + TIME_AT, TIME_LEN) };
}

bool list_is_search(const char *text)
{
    return strlen(text) <= LIST_SEARCH_MAX && text_is_utf8(text, strlen(text)) && !text_has_control(text, strlen(text));
}

bool list_is_app_or_empty(const char *text)
{
    struct err e = { 0 };

    return !*text || app_check_name(text, &e) == 0;
}

const char *list_asked(struct request *request, const char *name)
{
    const char *text = request_query(request, name);

    return text && *text ? text : NULL;
}
