#include "fcgi/notice.h"

#include <string.h>

#include "core/base/buf.h"
#include "core/base/text.h"
#include "core/tenant/app.h"

/* {v}, {to}, {all} and {app} are the values; a sentence is only shown with each value that it names. */
static const struct {
    const char *name;
    const char *sentence;
} notices[NOTICE_COUNT] = {
    [NOTICE_NONE] = { "", "" },
    [NOTICE_ROLLED_BACK] = { "rolled-back", "v{v} is on its way, with the image of v{to}: nothing is built." },
    [NOTICE_DEPLOYED] = { "deployed", "v{v} is on its way." },
    [NOTICE_CANCELLED] = { "cancelled", "v{v} is being cancelled. What is live stays live." },
    [NOTICE_ALL_CANCELLED] = { "all-cancelled", "{all} are being cancelled. What is live stays live." },
    [NOTICE_DESTROYING] = { "destroying", "The teardown of {app} has begun: it takes no more pushes." },
    [NOTICE_RUN_ACCEPTED] = { "run-accepted", "The delivery was run again and became v{v}." },
    [NOTICE_RUN_JUDGED] = { "run-judged", "The delivery was judged anew. What came of it stands below." },
    [NOTICE_RUN_LOOKED] = { "run-looked",
                            "What GitHub sent is no longer kept, so the branch of {app} is looked at instead." },
    [NOTICE_DOCTOR_BEGUN] = { "check-begun", "The checks have begun; they take some seconds." },
    [NOTICE_DOCTOR_RECENT] = { "check-recent", "The checks began less than a minute ago, so none were begun anew." },
    [NOTICE_SETTINGS_SAVED] = { "saved", "The settings are saved: the next release is the first that runs with them." },
    [NOTICE_SETTINGS_SAME] = { "same", "The settings were so already: nothing was changed." },
    [NOTICE_SETTINGS_DEPLOYED] = { "saved-deployed", "The settings are saved, and v{v} is on its way with them." },
    [NOTICE_LIMITS_SAVED] = { "limits-saved", "The limits of {app} are changed; in force from the next push." },
    [NOTICE_LIMITS_SAME] = { "limits-same", "The limits were so already: nothing was changed." },
    [NOTICE_DEFAULTS_SAVED] = { "defaults-saved", "The defaults are changed; in force from the next push." },
    [NOTICE_PAUSED] = { "paused", "{app} is paused: it takes no pushes. What is live stays live." },
    [NOTICE_RESUMED] = { "resumed", "{app} takes pushes again." },
    [NOTICE_RESUMED_LOOKS] = { "resumed-looks",
                               "{app} takes pushes again. One came meanwhile, so its branch is looked at now." },
    [NOTICE_DESTROY_GOES_ON] = { "destroy-goes-on", "The teardown of {app} was under way already, and goes on." },
};

static bool is_named(enum notice notice, const char *value)
{
    return strstr(notices[notice].sentence, value) != NULL;
}

const char *notice_url(const char *path, enum notice notice, const struct notice_values *values, struct arena *mem)
{
    const char *url = path;

    if (notice == NOTICE_NONE)
        return path;
    url = arena_printf(mem, "%s%cdone=%s", url, strchr(url, '?') ? '&' : '?', notices[notice].name);
    if (is_named(notice, "{v}"))
        url = arena_printf(mem, "%s&v=%d", url, values->release);
    if (is_named(notice, "{to}"))
        url = arena_printf(mem, "%s&to=%d", url, values->to);
    if (is_named(notice, "{all}"))
        url = arena_printf(mem, "%s&all=%s", url, release_numbers_list(&values->all, mem));
    if (is_named(notice, "{app}"))
        url = arena_printf(mem, "%s&app=%s", url, values->app);
    return url;
}

static enum notice notice_parse(const char *name)
{
    for (enum notice n = NOTICE_NONE + 1; name && n < NOTICE_COUNT; n++)
        if (strcmp(notices[n].name, name) == 0)
            return n;
    return NOTICE_NONE;
}

static const char *number_of(struct request *request, const char *name)
{
    const char *text = request_query(request, name);
    int64_t number;

    return text && text_parse_int(text, 1, INT32_MAX, &number) ? text : NULL;
}

static const char *numbers_of(struct request *request, const char *name)
{
    const char *list = request_query(request, name);
    struct release_numbers numbers = { 0 };

    return list && release_numbers_parse(list, request->mem, &numbers) && numbers.count > 0
               ? release_numbers_text(&numbers, request->mem)
               : NULL;
}

static const char *app_of(struct request *request)
{
    const char *name = request_query(request, "app");
    struct err e = { 0 };

    return name && !app_check_name(name, &e) ? name : NULL;
}

/* The value of the placeholder that stands at the beginning of text; NULL: it has none, or a wrong one. */
static const char *value_at(struct request *request, const char *text)
{
    if (text_starts(text, "{v}"))
        return number_of(request, "v");
    if (text_starts(text, "{to}"))
        return number_of(request, "to");
    if (text_starts(text, "{all}"))
        return numbers_of(request, "all");
    return text_starts(text, "{app}") ? app_of(request) : NULL;
}

const char *notice_of(struct request *request)
{
    AUTO_BUF struct buf out = { 0 };

    for (const char *c = notices[notice_parse(request_query(request, "done"))].sentence; *c; c++) {
        const char *value = "";
        if (*c != '{') {
            buf_add_char(&out, *c);
            continue;
        }
        value = value_at(request, c);
        if (!value)
            return "";
        buf_add_text(&out, value);
        c = strchr(c, '}');
    }
    return arena_copy(request->mem, buf_text(&out));
}
