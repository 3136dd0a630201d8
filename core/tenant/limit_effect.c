/* What an edit of limits does, told before it is saved. Pure: from what was read, and the edits. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/tenant/limit.h"

enum { HOUR_MS = 3600 * 1000, MINUTE_MS = 60 * 1000, SECOND_MS = 1000 };

/* ---- The limits as they would be ---- */

static void refill(const struct limits *now, struct limits *out)
{
    int64_t burst = out->of[LIMIT_PUSHES_BURST].in_force, per_hour = out->of[LIMIT_PUSHES_PER_HOUR].in_force;
    int64_t spent = now->of[LIMIT_PUSHES_BURST].in_force - now->tokens;

    if (spent > burst)
        spent = burst;
    out->tokens = burst - spent;
    out->next_ms = spent > 0 ? now->next_ms * now->of[LIMIT_PUSHES_PER_HOUR].in_force / per_hour : 0;
    if (spent > 0 && out->next_ms == 0)
        out->next_ms = HOUR_MS / per_hour;
    out->wait_ms = out->tokens > 0 ? 0 : out->next_ms;
    out->full_ms = spent * HOUR_MS / per_hour;
    out->of[LIMIT_PUSHES_BURST].used = out->of[LIMIT_PUSHES_BURST].base = spent;
}

void limits_with(const struct limits *now, const struct limit_edit *edits, size_t count, struct limits *out)
{
    *out = *now;
    for (size_t i = 0; i < count; i++) {
        struct limit_state *state = &out->of[edits[i].limit];
        state->own = edits[i].value;
        state->in_force = edits[i].value == LIMIT_DEFAULT ? state->standard : edits[i].value;
    }
    if (out->of[LIMIT_PUSHES_BURST].in_force != now->of[LIMIT_PUSHES_BURST].in_force ||
        out->of[LIMIT_PUSHES_PER_HOUR].in_force != now->of[LIMIT_PUSHES_PER_HOUR].in_force)
        refill(now, out);
}

/* ---- Words ---- */

/* "48 s", "3.6 s", "20 min", "3 h". */
static const char *length_text(struct arena *mem, int64_t ms)
{
    if (ms < SECOND_MS)
        return arena_printf(mem, "%lld ms", (long long)ms);
    if (ms < 10 * SECOND_MS && ms % SECOND_MS >= 100)
        return arena_printf(mem, "%.1f s", (double)ms / SECOND_MS);
    if (ms <= 2 * MINUTE_MS)
        return arena_printf(mem, "%lld s", (long long)((ms + SECOND_MS / 2) / SECOND_MS));
    if (ms <= 2 * HOUR_MS)
        return arena_printf(mem, "%lld min", (long long)((ms + MINUTE_MS / 2) / MINUTE_MS));
    return arena_printf(mem, "%s h", limit_number(mem, (ms + HOUR_MS / 2) / HOUR_MS));
}

static const char *plural(struct arena *mem, int64_t n, const char *one, const char *many)
{
    return arena_printf(mem, "%s %s", limit_number(mem, n), n == 1 ? one : many);
}

/* "20 June", by UTC. */
static const char *day_text(struct arena *mem, int64_t ms)
{
    static const char *const months[] = { "January", "February", "March",     "April",   "May",      "June",
                                          "July",    "August",   "September", "October", "November", "December" };
    time_t seconds = (time_t)(ms / SECOND_MS);
    struct tm day;

    gmtime_r(&seconds, &day);
    return arena_printf(mem, "%d %s", day.tm_mday, months[day.tm_mon]);
}

/* The first moment of the month that ms is in, or of a later one. */
static int64_t month_start(int64_t ms, int later)
{
    time_t seconds = (time_t)(ms / SECOND_MS);
    struct tm day;

    gmtime_r(&seconds, &day);
    struct tm first = { .tm_year = day.tm_year, .tm_mon = day.tm_mon + later, .tm_mday = 1 };
    return (int64_t)timegm(&first) * SECOND_MS;
}

/* ---- A row ---- */

/* One limit's comparison on its way. */
struct row {
    const struct limits *now, *then;
    enum limit limit;
    int64_t before, after; /* in force */
    bool changed;
    enum limit_level level;
    struct arena *mem;
    const char *lead, *rest;
};

static const char *today(struct row *row, int64_t before, int64_t after, const char *unit)
{
    return before == after ? "as today." : arena_printf(row->mem, "today %s%s.", limit_number(row->mem, before), unit);
}

static int64_t at_least_0(int64_t n)
{
    return n > 0 ? n : 0;
}

/* CPU units, memory: how many tasks of the app's size fit beside what runs. */
static void tell_size(struct row *row)
{
    bool cpu = row->limit == LIMIT_CPU_UNITS;
    int64_t each = cpu ? row->now->cpu_units : row->now->memory_mib;
    int64_t base = row->then->of[row->limit].base;
    const char *unit = cpu ? "units" : "MiB";

    if (each <= 0)
        return;
    int64_t fits = at_least_0(row->after - base) / each, fitted = at_least_0(row->before - base) / each;
    if (fits < row->now->tasks) {
        row->lead = "No room for a rollout:";
        row->rest = arena_printf(row->mem, "it needs %s %s beside %s in use.",
                                 limit_number(row->mem, each * row->now->tasks), unit, limit_number(row->mem, base));
    } else if (row->changed || row->level != LIMIT_FREE) {
        row->lead = arena_printf(row->mem, "Room for a rollout of %s", plural(row->mem, fits, "task", "tasks"));
        row->rest =
            arena_printf(row->mem, "of %s %s%s", limit_number(row->mem, each), unit,
                         !row->changed    ? "."
                         : fits == fitted ? ", as today."
                                          : arena_printf(row->mem, "; today %s.", limit_number(row->mem, fitted)));
    }
}

static void tell_tasks(struct row *row)
{
    int64_t base = row->then->of[LIMIT_TASKS].base;

    if (row->now->cpu_units <= 0)
        return;
    if (base + row->now->tasks > row->after) {
        row->lead = "No room for a rollout:";
        row->rest = arena_printf(row->mem, "it needs %s beside %s.", plural(row->mem, row->now->tasks, "task", "tasks"),
                                 plural(row->mem, base, "that runs", "that run"));
    } else if (row->changed || row->level != LIMIT_FREE) {
        row->lead = arena_printf(row->mem, "%s through a rollout%s", plural(row->mem, row->after / 2, "task", "tasks"),
                                 row->changed ? ";" : ".");
        row->rest = row->changed ? today(row, row->before / 2, row->after / 2, "") : "";
    }
}

static void tell_builds(struct row *row)
{
    if (row->after == 0) {
        row->lead = "Nothing is built:";
        row->rest = "pushes are refused; a rollback still works.";
    } else if (row->changed) {
        row->lead = arena_printf(row->mem, "%s at once;", plural(row->mem, row->after, "build", "builds"));
        row->rest = today(row, row->before, row->after, "");
    }
}

/* When the month's minutes end if builds go on as they did since its 1st. */
static void tell_minutes(struct row *row)
{
    int64_t used = row->then->of[LIMIT_BUILD_MINUTES].used, start = month_start(row->now->now_ms, 0);
    int64_t next = month_start(row->now->now_ms, 1);
    double pace = (double)(row->now->now_ms - start);
    double reached = used > 0 ? (double)start + pace * (double)row->after / (double)used : (double)next;

    if (used >= row->after) {
        row->lead = "Reached:";
        row->rest =
            arena_printf(row->mem, "pushes are refused until %s; a rollback still works.", day_text(row->mem, next));
    } else if (reached < (double)next) {
        row->lead = arena_printf(row->mem, "Reached on %s", day_text(row->mem, (int64_t)reached));
        row->rest = arena_printf(row->mem, "at this pace; builds are then refused until %s.", day_text(row->mem, next));
    } else {
        row->lead = "Not reached this month";
        row->rest = "at this pace.";
    }
}

static void tell_releases(struct row *row)
{
    int64_t used = row->then->of[LIMIT_RELEASES_PER_HOUR].used;

    if (used >= row->after) {
        row->lead = row->after == 0 ? "Nothing is deployed:" : "Reached:";
        row->rest = row->after == 0 ? "pushes are refused; a rollback still works."
                                    : "a push is looked at again when the hour has passed.";
    } else {
        row->lead = arena_printf(row->mem, "%s more", limit_number(row->mem, row->after - used));
        row->rest = row->changed ? arena_printf(row->mem, "within this hour; today %s.",
                                                limit_number(row->mem, at_least_0(row->before - used)))
                                 : "within this hour.";
    }
}

static void tell_images(struct row *row)
{
    int64_t used = row->then->of[LIMIT_IMAGE_MIB].used;

    if (used >= row->after) {
        row->lead = "Full:";
        row->rest = "pushes are refused until images are pruned, or this is raised.";
    } else {
        row->lead = arena_printf(row->mem, "Room for %s MiB", limit_number(row->mem, row->after - used));
        row->rest = row->changed ? arena_printf(row->mem, "more; today %s.",
                                                limit_number(row->mem, at_least_0(row->before - used)))
                                 : "more.";
    }
}

/* "The empty bucket is full after 10 min, today 20 min." */
static const char *filling(struct row *row)
{
    const struct limit_state *now = row->now->of, *then = row->then->of;
    int64_t was = now[LIMIT_PUSHES_BURST].in_force * HOUR_MS / now[LIMIT_PUSHES_PER_HOUR].in_force;
    int64_t is = then[LIMIT_PUSHES_BURST].in_force * HOUR_MS / then[LIMIT_PUSHES_PER_HOUR].in_force;

    return arena_printf(row->mem, "The empty bucket is full after %s%s%s.", length_text(row->mem, is),
                        was == is ? "" : ", today ", was == is ? "" : length_text(row->mem, was));
}

static void tell_burst(struct row *row)
{
    if (row->changed) {
        row->lead = arena_printf(row->mem, "%s at once,", plural(row->mem, row->after, "push", "pushes"));
        row->rest = arena_printf(row->mem, "today %s. %s", limit_number(row->mem, row->before), filling(row));
    } else if (row->then->tokens <= 0) {
        row->lead = "Empty:";
        row->rest = arena_printf(row->mem, "the next token comes in %s.", length_text(row->mem, row->then->next_ms));
    } else {
        row->lead = arena_printf(row->mem, "%s left;", plural(row->mem, row->then->tokens, "token is", "tokens are"));
        row->rest = arena_printf(row->mem, "the next comes in %s.", length_text(row->mem, row->then->next_ms));
    }
}

static void tell_rate(struct row *row)
{
    row->lead = arena_printf(row->mem, "Refills every %s%s", length_text(row->mem, HOUR_MS / row->after),
                             row->changed ? "," : ".");
    row->rest = row->changed
                    ? arena_printf(row->mem, "today %s. %s", length_text(row->mem, HOUR_MS / row->before), filling(row))
                    : "";
}

static void tell_followers(struct row *row)
{
    int64_t followers = row->now->of[row->limit].followers;

    if (!row->changed)
        return;
    row->lead = arena_printf(row->mem, "In force for %s", plural(row->mem, followers, "app", "apps"));
    row->rest = arena_printf(row->mem, "of %s, and for new ones.", limit_number(row->mem, row->now->apps));
}

static bool is_of_defaults(const struct limits *limits)
{
    return limits->cpu_units == 0;
}

/* Without an edit a row speaks only when its limit is near; one that leaves no room for a rollout speaks always. */
static void tell(struct row *row)
{
    static void (*const tellers[LIMIT_COUNT])(struct row * row) = {
        [LIMIT_CPU_UNITS] = tell_size,        [LIMIT_MEMORY_MIB] = tell_size,
        [LIMIT_TASKS] = tell_tasks,           [LIMIT_CONCURRENT_BUILDS] = tell_builds,
        [LIMIT_BUILD_MINUTES] = tell_minutes, [LIMIT_RELEASES_PER_HOUR] = tell_releases,
        [LIMIT_IMAGE_MIB] = tell_images,      [LIMIT_PUSHES_BURST] = tell_burst,
        [LIMIT_PUSHES_PER_HOUR] = tell_rate,
    };
    bool of_size = row->limit <= LIMIT_TASKS;

    if (is_of_defaults(row->now))
        tell_followers(row);
    else if (row->changed || row->level != LIMIT_FREE || of_size)
        tellers[row->limit](row);
}

void limit_effect(const struct limits *now, const struct limits *then, enum limit limit, struct arena *mem,
                  struct limit_effect *out)
{
    const struct limit_state *before = &now->of[limit], *after = &then->of[limit];
    struct row row = {
        .now = now,
        .then = then,
        .limit = limit,
        .before = before->in_force,
        .after = after->in_force,
        .changed = before->in_force != after->in_force,
        .level = limit_level(after),
        .mem = mem,
        .lead = "",
        .rest = "",
    };

    tell(&row);
    *out = (struct limit_effect){ .lead = row.lead,
                                  .rest = row.rest,
                                  .use = row.changed && before->used > 0
                                             ? arena_printf(mem, "%d%% then %d%%", limit_percent(before),
                                                            limit_percent(after))
                                             : "",
                                  .level = row.level,
                                  .changed = row.changed };
}

/* ---- Together ---- */

/* "CPU units, Tasks": what is over its limit. */
static const char *over(const struct limits *then, struct arena *mem)
{
    const char *list = "";

    for (int i = 0; i < LIMIT_COUNT; i++)
        if (!limit_info((enum limit)i)->rate && then->of[i].used > then->of[i].in_force)
            list = arena_printf(mem, "%s%s%s", list, *list ? ", " : "", limit_info((enum limit)i)->title);
    return list;
}

static const char *sum_now(const struct limits *then, struct arena *mem)
{
    const char *list = over(then, mem);

    if (*list == '\0')
        return "Nothing running is stopped.";
    return arena_printf(mem, "Nothing running is stopped, though it is over: %s. The next push is refused.", list);
}

static const char *sum_rollout(const struct limits *now, const struct limits *then, struct arena *mem)
{
    const struct limit_state *cpu = &then->of[LIMIT_CPU_UNITS];
    int64_t peak = cpu->base + (int64_t)now->cpu_units * now->tasks, before = now->of[LIMIT_CPU_UNITS].in_force;
    const char *limit = limit_number(mem, cpu->in_force);

    if (peak > cpu->in_force)
        return arena_printf(mem, "The next rollout needs %s CPU units of %s: pushes are refused.",
                            limit_number(mem, peak), limit);
    return arena_printf(mem, "CPU peaks at %s of %s units%s", limit_number(mem, peak), limit,
                        before == cpu->in_force ? ", as today."
                                                : arena_printf(mem, "; of %s today.", limit_number(mem, before)));
}

static bool raises(const struct limits *now, const struct limits *then)
{
    for (int i = 0; i < LIMIT_COUNT; i++)
        if (then->of[i].in_force > now->of[i].in_force)
            return true;
    return false;
}

static const char *sum_waiting(const struct limits *now, const struct limits *then, struct arena *mem)
{
    const char *bucket =
        then->next_ms == 0
            ? arena_printf(mem, "the bucket is full, with %s", plural(mem, then->tokens, "token", "tokens"))
            : arena_printf(mem, "%s left, the next comes in %s", plural(mem, then->tokens, "token is", "tokens are"),
                           length_text(mem, then->next_ms));

    if (!now->owed)
        return arena_printf(mem, "None waits: %s.", bucket);
    if (strcmp(now->owed, "paused") == 0)
        return "One waits until the app is resumed.";
    if (raises(now, then))
        return arena_printf(mem, "One waits, and is looked at again as soon as this is saved: %s.", bucket);
    if (now->owed_at_ms == 0 && now->refusal)
        return arena_printf(mem, "One waits until a quota is raised. %s.", now->refusal);
    if (now->owed_at_ms == 0)
        return "One waits until a quota is raised.";
    return arena_printf(mem, "One waits, and is looked at again in %s.",
                        length_text(mem, at_least_0(now->owed_at_ms - now->now_ms)));
}

static const char *sum_all(const struct limits *now, const struct limits *then, struct arena *mem)
{
    int64_t more = then->of[LIMIT_CPU_UNITS].in_force - now->of[LIMIT_CPU_UNITS].in_force;
    int64_t promised = now->promised_cpu_units;

    if (is_of_defaults(now))
        more *= now->of[LIMIT_CPU_UNITS].followers;
    return arena_printf(mem, "Quotas promise %s CPU units to %s%s", limit_number(mem, promised + more),
                        plural(mem, now->apps, "app", "apps"),
                        more == 0 ? ", as today." : arena_printf(mem, "; %s today.", limit_number(mem, promised)));
}

void limit_sums(const struct limits *now, const struct limits *then, struct arena *mem,
                struct limit_sum out[LIMIT_SUMS])
{
    bool defaults = is_of_defaults(now);

    out[0] = (struct limit_sum){ "Right now", defaults ? "Nothing running is stopped." : sum_now(then, mem) };
    out[1] = (struct limit_sum){ "During a rollout", defaults ? "" : sum_rollout(now, then, mem) };
    out[2] = (struct limit_sum){ "Pushes that wait", defaults ? "" : sum_waiting(now, then, mem) };
    out[3] = (struct limit_sum){ "All apps together", sum_all(now, then, mem) };
}
