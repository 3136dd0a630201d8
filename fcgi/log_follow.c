#include "fcgi/log_follow.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/fatal.h"
#include "core/base/log.h"

enum {
    TROUBLE_PAUSE_MS = 5000,
    TROUBLE_KNOWN_MS =
        30000, /* nobody waits so long after a log could not be read: the next one likely can't be either */
    BEHIND_LINES = 500
};

struct kept_line {
    size_t at; /* in the log's text */
    int64_t at_ms;
};

struct followed_log {
    char *app, *build_id; /* NULL: the place is free */
    char *from;           /* where the next page begins; NULL: at the log's beginning */
    int64_t ended_ms;
    int64_t wanted_until, due, used, read_at; /* monotonic */
    bool reading, looked, complete;
    bool behind; /* the last page read was full, or the build has ended: there is likely more */
    char *trouble;
    struct buf text; /* the lines, each ended by a NUL */
    struct kept_line *lines;
    size_t count, room;
    int64_t first; /* number of lines[0] */
};

struct log_follow {
    struct log_source source;
    const struct clock *clock;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked; /* something is wanted, or it is over */
    pthread_cond_t read;  /* a page was read */
    bool stop;
    int64_t no_wait_until; /* monotonic; see TROUBLE_KNOWN_MS */
    struct followed_log logs[FOLLOW_LOGS_MAX];
};

static char *copied(const char *text)
{
    char *copy = text ? strdup(text) : NULL;

    if (text && !copy)
        fatal_no_memory();
    return copy;
}

static void replace(char **text, const char *by)
{
    char *old = *text;

    *text = copied(by);
    free(old);
}

static void forget(struct followed_log *log)
{
    free(log->app);
    free(log->build_id);
    free(log->from);
    free(log->trouble);
    free(log->lines);
    buf_free(&log->text);
    *log = (struct followed_log){ 0 };
}

/* ---- What is kept ---- */

/* The older half goes. Who watches from the beginning is told so by view.first. */
static void drop_half(struct followed_log *log)
{
    size_t dropped = log->count - log->count / 2;
    size_t cut = dropped < log->count ? log->lines[dropped].at : log->text.len;

    memmove(log->text.data, log->text.data + cut, log->text.len - cut);
    log->text.len -= cut;
    memmove(log->lines, log->lines + dropped, (log->count - dropped) * sizeof *log->lines);
    log->count -= dropped;
    log->first += (int64_t)dropped;
    for (size_t i = 0; i < log->count; i++)
        log->lines[i].at -= cut;
}

static void keep_line(struct followed_log *log, const struct log_line *line)
{
    size_t len = strlen(line->text) + 1;

    while (log->count > 0 && (log->count == FOLLOW_LINES_MAX || log->text.len + len > FOLLOW_BYTES_MAX))
        drop_half(log);
    if (log->count == log->room) {
        log->room = log->room ? log->room * 2 : 256;
        log->lines = realloc(log->lines, log->room * sizeof *log->lines);
        if (!log->lines)
            fatal_no_memory();
    }
    log->lines[log->count++] = (struct kept_line){ .at = log->text.len, .at_ms = line->at_ms };
    buf_add(&log->text, line->text, len);
    if (log->text.failed)
        fatal_no_memory();
}

static void keep_page(struct followed_log *log, const struct log_page *page, int64_t asked_ms)
{
    for (size_t i = 0; i < page->count; i++)
        keep_line(log, &page->lines[i]);
    /* A page may be empty and yet not the last: only the same mark again says that there is nothing more. */
    log->complete = page->count == 0 && (!page->next || (log->from && strcmp(page->next, log->from) == 0)) &&
                    log->ended_ms > 0 && asked_ms >= log->ended_ms + FOLLOW_SETTLE_MS;
    if (page->next)
        replace(&log->from, page->next);
}

/* ---- The thread that reads ---- */

/* What is wanted and due longest; *pause_ms: until something will be, if nobody asks before. */
static struct followed_log *next_log(struct log_follow *follow, int64_t now, int64_t *pause_ms)
{
    struct followed_log *next = NULL;

    *pause_ms = FOLLOW_WANTED_MS;
    for (size_t i = 0; i < FOLLOW_LOGS_MAX; i++) {
        struct followed_log *log = &follow->logs[i];
        if (!log->build_id || log->complete || log->wanted_until <= now)
            continue;
        if (log->due <= now && (!next || log->due < next->due))
            next = log;
        else if (log->due > now && log->due - now < *pause_ms)
            *pause_ms = log->due - now;
    }
    return next;
}

static void take_page(struct log_follow *follow, struct followed_log *log, const struct log_page *page,
                      int64_t asked_ms, const struct err *e)
{
    int64_t now = clock_monotonic_ms(follow->clock);

    log->looked = true;
    log->read_at = now;
    log->behind = !e->code && page->count > 0 && (log->ended_ms > 0 || page->count >= BEHIND_LINES);
    log->due = now + (e->code ? TROUBLE_PAUSE_MS : log->behind ? 0 : FOLLOW_PAUSE_MS);
    follow->no_wait_until = e->code ? now + TROUBLE_KNOWN_MS : 0;
    if (e->code && !log->trouble)
        log_err(LOG_WARN, "a build's log cannot be read", e, log_text("app", log->app),
                log_text("build", log->build_id));
    replace(&log->trouble, e->code ? e->message : NULL);
    if (!e->code)
        keep_page(log, page, asked_ms);
}

/* Holds the lock but for the call itself; the log stays while it is being read. */
static void read_one(struct log_follow *follow, struct followed_log *log)
{
    AUTO_ARENA struct arena *mem = arena_new();
    const char *from = log->from ? arena_copy(mem, log->from) : NULL;
    int64_t asked_ms = clock_now_ms(follow->clock);
    struct log_page page = { 0 };
    struct err e = { 0 };

    log->reading = true;
    pthread_mutex_unlock(&follow->lock);
    if (follow->source.read(follow->source.context, log->app, log->build_id, from, mem, &page, &e) == 0)
        e = (struct err){ 0 }; /* a stream that isn't there is an empty one; the error was for the reader alone */
    pthread_mutex_lock(&follow->lock);
    log->reading = false;
    take_page(follow, log, &page, asked_ms, &e);
    pthread_cond_broadcast(&follow->read);
}

static void *read_logs(void *context)
{
    struct log_follow *follow = context;

    pthread_mutex_lock(&follow->lock);
    while (!follow->stop) {
        int64_t pause_ms = 0;
        struct followed_log *log = next_log(follow, clock_monotonic_ms(follow->clock), &pause_ms);
        if (log) {
            read_one(follow, log);
            continue;
        }
        struct timespec until = clock_after_ms(pause_ms);
        pthread_cond_timedwait(&follow->asked, &follow->lock, &until);
    }
    pthread_mutex_unlock(&follow->lock);
    return NULL;
}

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void destroy(struct log_follow *follow)
{
    for (size_t i = 0; i < FOLLOW_LOGS_MAX; i++)
        forget(&follow->logs[i]);
    pthread_cond_destroy(&follow->asked);
    pthread_cond_destroy(&follow->read);
    pthread_mutex_destroy(&follow->lock);
    free(follow);
}

int log_follow_new(const struct log_source *source, const struct clock *clock, struct log_follow **out, struct err *e)
{
    struct log_follow *follow = calloc(1, sizeof *follow);
    int failure;

    if (!follow)
        fatal_no_memory();
    follow->source = *source;
    follow->clock = clock;
    pthread_mutex_init(&follow->lock, NULL);
    init_condition(&follow->asked);
    init_condition(&follow->read);
    failure = pthread_create(&follow->thread, NULL, read_logs, follow);
    if (failure != 0) {
        destroy(follow);
        return err_set(e, ERR_INTERNAL, "cannot start the thread that reads logs: %s", strerror(failure));
    }
    *out = follow;
    return 0;
}

void log_follow_free(struct log_follow *follow)
{
    if (!follow)
        return;
    pthread_mutex_lock(&follow->lock);
    follow->stop = true;
    pthread_cond_signal(&follow->asked);
    pthread_mutex_unlock(&follow->lock);
    pthread_join(follow->thread, NULL);
    destroy(follow);
}

/* ---- Viewers ---- */

static struct followed_log *find(struct log_follow *follow, const char *build_id)
{
    for (size_t i = 0; i < FOLLOW_LOGS_MAX; i++)
        if (follow->logs[i].build_id && strcmp(follow->logs[i].build_id, build_id) == 0)
            return &follow->logs[i];
    return NULL;
}

/* A free place, or that of the log nobody has asked for longest. One place is being read at most, so there is one. */
static struct followed_log *make_place(struct log_follow *follow, const struct log_wish *wish)
{
    struct followed_log *place = NULL;

    for (size_t i = 0; i < FOLLOW_LOGS_MAX; i++) {
        struct followed_log *log = &follow->logs[i];
        if (!log->reading && (!place || !log->build_id || (place->build_id && log->used < place->used)))
            place = log;
    }
    forget(place);
    place->app = copied(wish->app);
    place->build_id = copied(wish->build_id);
    place->first = 1;
    return place;
}

/* How many lines from there on are given: as many as were asked for, are there, and fit. */
static size_t fitting(const struct followed_log *log, const struct log_wish *wish, size_t begin)
{
    size_t count = begin;

    while (count < log->count && count - begin < wish->limit &&
           (wish->bytes == 0 || log->lines[count].at - log->lines[begin].at <= wish->bytes))
        count++;
    return count - begin;
}

static void copy_lines(const struct followed_log *log, const struct log_wish *wish, struct arena *mem,
                       struct log_view *out)
{
    int64_t next = log->first + (int64_t)log->count;
    int64_t from = wish->from > 0 ? wish->from : next - (int64_t)wish->limit;
    int64_t begin = from < log->first ? log->first : from;
    size_t skipped = begin < next ? (size_t)(begin - log->first) : log->count;
    size_t count = fitting(log, wish, skipped);

    out->lines = arena_array(mem, count + 1, sizeof *out->lines);
    for (size_t i = 0; i < count; i++) {
        const struct kept_line *line = &log->lines[skipped + i];
        out->lines[i] = (struct followed_line){ .number = begin + (int64_t)i,
                                                .at_ms = line->at_ms,
                                                .text = arena_copy(mem, log->text.data + line->at) };
    }
    out->count = count;
    out->first = log->first;
    out->next = begin + (int64_t)count;
    out->newest = next - 1;
    out->looked = log->looked;
    out->complete = log->complete && out->next >= next;
    out->trouble = log->trouble ? arena_copy(mem, log->trouble) : NULL;
}

/* What was read while nobody watched is old: then another look is worth a moment. */
static bool has_enough(const struct log_follow *follow, const struct followed_log *log, const struct log_wish *wish,
                       int64_t now)
{
    int64_t next = log->first + (int64_t)log->count;

    if (log->complete || follow->no_wait_until > now)
        return true;
    if (!log->looked || now - log->read_at > FOLLOW_WANTED_MS)
        return false;
    return !log->behind || (wish->from > 0 && next - (int64_t)wish->limit >= wish->from);
}

void log_follow_view(struct log_follow *follow, const struct log_wish *wish, struct arena *mem, struct log_view *out)
{
    struct timespec until = clock_after_ms(wish->wait_ms);
    struct followed_log *log;
    int64_t now;

    pthread_mutex_lock(&follow->lock);
    now = clock_monotonic_ms(follow->clock);
    log = find(follow, wish->build_id);
    if (!log)
        log = make_place(follow, wish);
    log->ended_ms = wish->ended_ms;
    log->used = now;
    log->wanted_until = now + FOLLOW_WANTED_MS;
    pthread_cond_signal(&follow->asked);
    /* Looked up again each time: another viewer may have taken the place meanwhile. */
    while (wish->wait_ms > 0 && log && !has_enough(follow, log, wish, now) &&
           pthread_cond_timedwait(&follow->read, &follow->lock, &until) != ETIMEDOUT)
        log = find(follow, wish->build_id);
    *out = (struct log_view){ .first = 1, .next = wish->from > 0 ? wish->from : 1 };
    if (log)
        copy_lines(log, wish, mem, out);
    pthread_mutex_unlock(&follow->lock);
}
