#include "core/tenant/limit.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/text.h"

enum { NEAR_PERCENT = 80, HOUR_MS = 3600 * 1000 };

/* The bounds are the CHECKs of sql/migrations/0002_limits.sql, the titles those of berth.quota_title there; tests compare them. */
static const struct limit_info infos[LIMIT_COUNT] = {
    [LIMIT_CPU_UNITS] = { "cpu_units", "CPU units", "1,024 is one vCPU", "", 0, 100000000, false },
    [LIMIT_MEMORY_MIB] = { "memory_mib", "Memory, MiB", "of all tasks together", "MiB", 0, 1000000000, false },
    [LIMIT_TASKS] = { "tasks", "Tasks", "counted twice during a rollout", "", 0, 100000, false },
    [LIMIT_CONCURRENT_BUILDS] = { "concurrent_builds", "Builds at once", "0 keeps it from building", "", 0, 100,
                                  false },
    [LIMIT_BUILD_MINUTES] = { "build_minutes", "Build minutes a month", "from the 1st, by UTC", "min", 0, 10000000,
                              false },
    [LIMIT_RELEASES_PER_HOUR] = { "releases_per_hour", "Releases an hour", "of the last 60 minutes", "", 0, 100000,
                                  false },
    [LIMIT_IMAGE_MIB] = { "image_mib", "Image storage, MiB", "older images are pruned first", "MiB", 0, 100000000,
                          false },
    [LIMIT_PUSHES_BURST] = { "pushes_burst", "Pushes in a burst", "as many may come at once", "", 1, 100000, true },
    [LIMIT_PUSHES_PER_HOUR] = { "pushes_per_hour", "Pushes an hour, steady", "as many come back in an hour", "", 1,
                                1000000, true },
};

const struct limit_info *limit_info(enum limit limit)
{
    return &infos[limit];
}

bool limit_find(const char *name, enum limit *out)
{
    for (int i = 0; i < LIMIT_COUNT; i++) {
        if (strcmp(infos[i].name, name) == 0) {
            *out = (enum limit)i;
            return true;
        }
    }
    return false;
}

/* ---- How full it is ---- */

int limit_percent(const struct limit_state *state)
{
    if (state->in_force <= 0)
        return 100;
    /* used may be far over a limit that was lowered */
    return (int)(state->used / state->in_force >= 1000 ? 99999 : state->used * 100 / state->in_force);
}

enum limit_level limit_level(const struct limit_state *state)
{
    int percent = limit_percent(state);

    return percent >= 100 ? LIMIT_FULL : percent >= NEAR_PERCENT ? LIMIT_NEAR : LIMIT_FREE;
}

const char *limit_level_word(enum limit_level level)
{
    static const char *const words[LIMIT_LEVEL_COUNT] = {
        [LIMIT_FREE] = "", [LIMIT_NEAR] = "near", [LIMIT_FULL] = "full"
    };

    return words[level];
}

const char *limit_number(struct arena *mem, int64_t n)
{
    char digits[24], out[32];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n), at = 0;

    for (int i = 0; i < len; i++) {
        if (i > 0 && digits[i - 1] != '-' && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    return arena_copy_n(mem, out, (size_t)at);
}

/* ---- A field's text ---- */

/* "8 GiB", "8gb", "512 MB", "8192MiB": what is meant in MiB. */
static bool read_size(const char *text, int64_t *mib)
{
    static const struct {
        const char *unit;
        int64_t mib;
    } units[] = { { "mib", 1 },  { "mb", 1 },        { "m", 1 },        { "gib", 1024 }, { "gb", 1024 },
                  { "g", 1024 }, { "tib", 1048576 }, { "tb", 1048576 }, { "t", 1048576 } };
    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits + strspn(text + digits, " ");

    if (digits == 0 || digits > 9)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcasecmp(unit, units[i].unit) == 0) {
            *mib = strtoll(text, NULL, 10) * units[i].mib;
            return true;
        }
    }
    return false;
}

/* "2 vCPU", "0.5 vCPU", "2vcpus": what is meant in CPU units. */
static bool read_vcpus(const char *text, int64_t *cpu_units)
{
    char *end;
    double vcpus = strtod(text, &end);

    end += strspn(end, " ");
    if (end == text || !isdigit((unsigned char)*text) || vcpus > 100000 ||
        (strcasecmp(end, "vcpu") != 0 && strcasecmp(end, "vcpus") != 0 && strcasecmp(end, "cpu") != 0))
        return false;
    *cpu_units = (int64_t)(vcpus * 1024);
    return true;
}

/* "4,096", "4 096", "4'096", "4.096": groups of three. */
static bool read_grouped(const char *text, int64_t *number)
{
    char plain[24];
    size_t len = 0, since = 0;
    bool grouped = false;

    for (const char *c = text; *c; c++) {
        if (isdigit((unsigned char)*c) && len + 1 < sizeof plain) {
            plain[len++] = *c;
            since++;
        } else if (strchr(",.' _", *c) && since > 0 && since <= 3 && (!grouped || since == 3)) {
            grouped = true;
            since = 0;
        } else {
            return false;
        }
    }
    plain[len] = '\0';
    return grouped && since == 3 && text_parse_int(plain, 0, INT64_MAX, number);
}

static int refuse_text(enum limit limit, const char *text, struct err *e)
{
    const struct limit_info *info = &infos[limit];
    bool size = limit == LIMIT_MEMORY_MIB || limit == LIMIT_IMAGE_MIB;
    char shown[48];
    int64_t meant;

    text_excerpt(text, shown, sizeof shown);
    if (*text == '\0')
        return err_set(e, ERR_INVALID, "Write a whole number, or \"default\".");
    if (size && read_size(text, &meant))
        return err_set(e, ERR_INVALID, "Write whole MiB without a unit: %s is %lld.", shown, (long long)meant);
    if (limit == LIMIT_CPU_UNITS && read_vcpus(text, &meant))
        return err_set(e, ERR_INVALID, "Write whole CPU units, of which 1024 are one vCPU: %s is %lld.", shown,
                       (long long)meant);
    if (read_grouped(text, &meant))
        return err_set(e, ERR_INVALID, "Write the digits alone: %s is %lld.", shown, (long long)meant);
    return err_set(e, ERR_INVALID, "Write a whole number from %lld to %lld, or \"default\"; \"%s\" is none.",
                   (long long)info->least, (long long)info->most, shown);
}

static int check_bounds(enum limit limit, int64_t value, struct err *e)
{
    const struct limit_info *info = &infos[limit];

    if (value < info->least && info->rate)
        return err_set(e, ERR_INVALID,
                       "Write 1 at least. `berth apps pause` is what keeps an app from taking pushes at all.");
    if (value < info->least)
        return err_set(e, ERR_INVALID, "Write %lld at least.", (long long)info->least);
    if (value > info->most)
        return err_set(e, ERR_INVALID, "Write %lld at most.", (long long)info->most);
    return 0;
}

int limit_parse(enum limit limit, const char *text, int64_t *out, struct err *e)
{
    char trimmed[48];
    size_t len;
    int64_t value;

    text += strspn(text, " \t");
    len = strlen(text);
    while (len > 0 && strchr(" \t", text[len - 1]))
        len--;
    if (len >= sizeof trimmed)
        return refuse_text(limit, text, e);
    memcpy(trimmed, text, len);
    trimmed[len] = '\0';

    if (strcasecmp(trimmed, "default") == 0) {
        *out = LIMIT_DEFAULT;
        return 0;
    }
    if (len > 18 && strspn(trimmed, "0123456789") == len)
        return err_set(e, ERR_INVALID, "Write %lld at most.", (long long)infos[limit].most);
    if (!text_parse_int(trimmed, INT64_MIN, INT64_MAX, &value))
        return refuse_text(limit, trimmed, e);
    if (check_bounds(limit, value, e))
        return e->code;
    *out = value;
    return 0;
}

/* ---- Headers ---- */

static int64_t seconds_up(int64_t ms)
{
    return (ms + 999) / 1000;
}

void limit_headers(struct arena *mem, int64_t burst, int64_t per_hour, int64_t tokens, int64_t wait_ms,
                   struct limit_headers *out)
{
    /* w: in which a whole burst comes back. t: until there is a token again, or with some left until all are back. */
    int64_t window = seconds_up(burst * HOUR_MS / per_hour);
    int64_t reset = seconds_up(tokens > 0 ? (burst - tokens) * HOUR_MS / per_hour : wait_ms);

    if (tokens <= 0 && reset < 1)
        reset = 1;
    *out = (struct limit_headers){
        .policy = arena_printf(mem, "\"pushes\";q=%lld;w=%lld", (long long)burst, (long long)window),
        .state = arena_printf(mem, "\"pushes\";r=%lld;t=%lld", (long long)tokens, (long long)reset),
        .limit = arena_printf(mem, "%lld", (long long)burst),
        .remaining = arena_printf(mem, "%lld", (long long)tokens),
        .reset = arena_printf(mem, "%lld", (long long)reset),
    };
}
