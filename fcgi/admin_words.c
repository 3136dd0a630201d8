#include "fcgi/admin_words.h"

#include <string.h>

static const struct {
    const char *word, *phrase;
} steps[STEP_COUNT] = {
    [STEP_SOURCE] = { "Fetching", "is being fetched from GitHub" },
    [STEP_IDENTITY] = { "Preparing", "gets its roles, repository and build project" },
    [STEP_BUILD] = { "Building", "is building" },
    [STEP_ROUTE] = { "Routing", "gets its target group and listener rule" },
    [STEP_ROLLOUT] = { "Rolling out", "is rolling out" },
    [STEP_LIVE] = { "Going live", "is going live" },
};

struct mark mark_of(const char *state, const char *kind, int number, int live)
{
    if (number == live)
        return (struct mark){ "mark live", "live" };
    if (!strcmp(state, "live"))
        return strcmp(kind, "rollback") ? (struct mark){ "mark was-live", "went live" }
                                        : (struct mark){ "mark rollback", "rollback, went live" };
    if (!strcmp(state, "failed"))
        return (struct mark){ "mark failed", "failed" };
    if (!strcmp(state, "running"))
        return (struct mark){ "mark moving", "moving" };
    if (!strcmp(state, "queued"))
        return (struct mark){ "mark queued", "queued" };
    return (struct mark){ "mark dropped", state };
}

struct mark mark_of_condition(enum app_condition condition)
{
    static const struct mark marks[APP_CONDITION_COUNT] = {
        [APP_FAILED] = { "mark failed", "Failed" }, [APP_OVER_QUOTA] = { "mark warning", "Over quota" },
        [APP_MOVING] = { "mark moving", "Moving" }, [APP_QUEUED] = { "mark queued", "Queued" },
        [APP_PAUSED] = { "mark paused", "Paused" }, [APP_LIVE] = { "mark live", "Live" },
        [APP_NONE] = { "mark none", "No release" },
    };

    return marks[condition];
}

struct mark mark_of_event(const char *kind)
{
    if (!strcmp(kind, "done"))
        return (struct mark){ "mark done", "done" };
    if (!strcmp(kind, "failed"))
        return (struct mark){ "mark failed", "failed" };
    if (!strcmp(kind, "retry"))
        return (struct mark){ "mark warning", "to be tried again" };
    if (!strcmp(kind, "superseded") || !strcmp(kind, "cancelled"))
        return (struct mark){ "mark dropped", kind };
    return (struct mark){ "mark note", "noted" };
}

const char *moving_word(enum step_name step)
{
    return steps[step].word;
}

const char *moving_phrase(enum step_name step)
{
    return steps[step].phrase;
}

bool step_parse(const char *name, enum step_name *out)
{
    for (int i = 0; name && i < STEP_COUNT; i++) {
        if (!strcmp(name, step_name_text((enum step_name)i))) {
            *out = (enum step_name)i;
            return true;
        }
    }
    return false;
}

const char *release_sentence(const struct release *release, int live, struct arena *mem)
{
    static const char *const words[RELEASE_STATE_COUNT] = {
        [RELEASE_QUEUED] = "Queued",
        [RELEASE_LIVE] = "Went live",
        [RELEASE_SUPERSEDED] = "Superseded",
        [RELEASE_CANCELLED] = "Cancelled",
    };

    if (release->state == RELEASE_FAILED)
        return arena_printf(mem, "Failed at %s", step_name_text(release->step));
    if (release->state == RELEASE_RUNNING)
        return moving_word(release->step);
    if (release->number == live)
        return "Live";
    if (release->state == RELEASE_LIVE && !strcmp(release->kind, "rollback"))
        return "Rollback went live";
    return words[release->state];
}

const char *visitors_see(const struct release *release, int live, struct arena *mem)
{
    if (release->state == RELEASE_FAILED)
        return live ? arena_printf(mem, "v%d is still live. Visitors saw nothing.", live) : "Nothing is live yet.";
    return live ? arena_printf(mem, "v%d serves every visitor until v%d is healthy.", live, release->number)
                : arena_printf(mem, "Nothing is live until v%d is healthy.", release->number);
}

const char *short_commit(const char *sha, struct arena *mem)
{
    return arena_printf(mem, "%.7s", sha ? sha : "");
}

json_object *text_parts(const char *text, struct arena *mem)
{
    json_object *parts = json_new_array();
    bool is_code = false;

    for (const char *at = text_or_empty(text); *at; is_code = !is_code) {
        const char *end = strchr(at, '`');
        size_t len = end ? (size_t)(end - at) : strlen(at);
        if (len)
            json_append(parts, json_build("{s:s, s:b}", "text", arena_copy_n(mem, at, len), "is_code", is_code && end));
        at += end ? len + 1 : len;
    }
    return parts;
}

const char *text_or_empty(const char *text)
{
    return text ? text : "";
}
