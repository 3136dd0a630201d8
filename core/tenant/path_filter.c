#include "core/tenant/path_filter.h"

#include <stdio.h>
#include <string.h>

#include "core/base/text.h"

enum { SHOWN_MAX = 80 };

struct pattern {
    const char *text;
    size_t len;
    bool excludes;
};

/* The next pattern at *at, which moves behind it; false: there is none. */
static bool next_pattern(const char **at, struct pattern *out)
{
    const char *text = *at + strspn(*at, " ");
    size_t len = strcspn(text, " ");

    *at = text + len;
    out->excludes = *text == '!';
    out->text = text + out->excludes;
    out->len = len - out->excludes;
    return len > 0;
}

/* ---- Fitting: all places of the pattern that the path may have come to, at once, so no pattern makes it slow ---- */

static bool is_across(const struct pattern *pattern, size_t at)
{
    return at + 1 < pattern->len && pattern->text[at] == '*' && pattern->text[at + 1] == '*';
}

/* Marks a place, and those that a wildcard which stands for nothing lets it come to. fresh: it comes to the place, and doesn't stay there. */
static void reach(const struct pattern *pattern, bool *places, size_t at, bool fresh)
{
    while (!places[at]) {
        places[at] = true;
        if (at == pattern->len || pattern->text[at] != '*')
            return;
        if (!is_across(pattern, at)) {
            at++;
            continue;
        }
        /* What is in a folder at any depth may be at the top, too. */
        if (fresh && at + 2 < pattern->len && pattern->text[at + 2] == '/' && (at == 0 || pattern->text[at - 1] == '/'))
            reach(pattern, places, at + 3, true);
        at += 2;
    }
}

static void step(const struct pattern *pattern, const bool *before, bool *after, char c)
{
    for (size_t at = 0; at < pattern->len; at++) {
        if (!before[at])
            continue;
        if (pattern->text[at] != '*') {
            if (pattern->text[at] == c)
                reach(pattern, after, at + 1, true);
        } else if (c != '/' || is_across(pattern, at)) {
            reach(pattern, after, at, false);
        }
    }
}

static bool fits(const struct pattern *pattern, const char *path)
{
    bool places[2][PATH_FILTER_MAX + 1] = { 0 };
    bool folder = pattern->len > 0 && pattern->text[pattern->len - 1] == '/';
    int now = 0;

    if (pattern->len > PATH_FILTER_MAX)
        return false;
    reach(pattern, places[now], 0, true);
    for (; *path; path++) {
        if (folder && places[now][pattern->len])
            return true;
        memset(places[!now], 0, pattern->len + 1);
        step(pattern, places[now], places[!now], *path);
        now = !now;
    }
    return places[now][pattern->len];
}

bool path_filter_matches(const char *filter, const char *path)
{
    struct pattern pattern;
    bool wanted = filter[strspn(filter, " ")] == '\0';

    while (next_pattern(&filter, &pattern))
        if (wanted == pattern.excludes && fits(&pattern, path))
            wanted = !pattern.excludes;
    return wanted;
}

/* ---- Checking ---- */

static int check_pattern(const struct pattern *pattern, bool first, struct err *e)
{
    char shown[SHOWN_MAX];
    const char *text = pattern->text, *odd = strpbrk(text, "?+[]\\");

    snprintf(shown, sizeof shown, "%s%.*s", pattern->excludes ? "!" : "", (int)pattern->len, text);
    if (pattern->len == 0)
        err_set(e, ERR_INVALID, "\"!\" alone takes nothing out");
    else if (odd && odd < text + pattern->len)
        err_set(e, ERR_INVALID, "\"%s\" has a \"%c\", which berth's path patterns do not know", shown, *odd);
    else if (*text == '/' || (*text == '.' && (text[1] == '/' || pattern->len == 1)))
        err_set(e, ERR_INVALID, "\"%s\" fits no file: paths begin at the repository's top, without / or ./", shown);
    else if (first && pattern->excludes)
        err_set(e, ERR_INVALID, "\"%s\" takes out of nothing: a pattern without ! comes first", shown);
    else
        return 0;
    return err_hint(e, "Write patterns with spaces between, like: src/** Dockerfile !**/*.md. * stands for any "
                       "characters within a folder, ** for any across folders.");
}

int path_filter_check(const char *filter, struct err *e)
{
    struct pattern pattern;
    int count = 0;

    if (strlen(filter) > PATH_FILTER_MAX)
        return err_set(e, ERR_INVALID, "the path patterns have %zu bytes together: at most %d are kept", strlen(filter),
                       PATH_FILTER_MAX);
    if (!text_is_utf8(filter, strlen(filter)) || text_has_control(filter, strlen(filter)))
        return err_set(e, ERR_INVALID, "the path patterns hold a control character: spaces separate them");
    while (next_pattern(&filter, &pattern))
        if (check_pattern(&pattern, count++ == 0, e))
            return e->code;
    if (count > PATH_PATTERNS_MAX)
        return err_set(e, ERR_INVALID, "there are %d path patterns: at most %d are looked through for each file", count,
                       PATH_PATTERNS_MAX);
    return 0;
}

const char *path_filter_tidy(const char *filter, struct arena *mem)
{
    char *out = arena_alloc(mem, strlen(filter) + 1), *to = out;
    struct pattern pattern;

    while (next_pattern(&filter, &pattern)) {
        if (to > out)
            *to++ = ' ';
        if (pattern.excludes)
            *to++ = '!';
        memcpy(to, pattern.text, pattern.len);
        to += pattern.len;
    }
    return out;
}

/* ---- Judging a push ---- */

static bool is_wanted(void *filter, const char *path)
{
    return path_filter_matches(filter, path);
}

void path_filter_judge(const char *filter, const json_object *push, struct arena *mem, struct github_event *event)
{
    char shown[SHOWN_MAX * 2];

    if (event->ignored || *filter == '\0' || github_push_may_touch(push, is_wanted, (void *)(uintptr_t)filter))
        return;
    text_excerpt(filter, shown, sizeof shown);
    event->ignored = arena_printf(mem, "touches none of %s", shown);
}
