#include "fcgi/doctor_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fatal.h"
#include "core/base/log.h"

enum { IDLE_WAIT_MS = 1000, STACK_BYTES = 256 * 1024 };

struct doctor_watch {
    struct doctor_options options;
    doctor_watch_run *run;
    struct arena *mem; /* of options */
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool running;
    int64_t begun_ms, ended_ms; /* monotonic; 0: never */
    int64_t at_ms;
    struct arena *last; /* of what the last run found; NULL: none */
    struct doctor_check *checks;
    size_t count;
    const char *error;
};

struct doctor_watch *doctor_watch_new(const struct doctor_options *options, doctor_watch_run *run)
{
    struct doctor_watch *watch = calloc(1, sizeof *watch);
    pthread_condattr_t attributes;

    if (!watch)
        fatal_no_memory();
    watch->mem = arena_new();
    watch->options = *options;
    watch->options.config_path = arena_copy(watch->mem, options->config_path);
    if (!watch->options.clock)
        watch->options.clock = &clock_system;
    watch->run = run;
    pthread_mutex_init(&watch->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    return watch;
}

bool doctor_watch_is_idle(struct doctor_watch *watch)
{
    struct timespec until = clock_after_ms(IDLE_WAIT_MS);

    pthread_mutex_lock(&watch->lock);
    while (watch->running && pthread_cond_timedwait(&watch->ended, &watch->lock, &until) != ETIMEDOUT)
        continue;
    /* A check that was given up may hang on for a while after its run. */
    bool idle =
        !watch->running && (!watch->ended_ms || clock_monotonic_ms(watch->options.clock) - watch->ended_ms > DOCTOR_MS);
    pthread_mutex_unlock(&watch->lock);
    return idle;
}

void doctor_watch_free(struct doctor_watch *watch)
{
    if (!watch)
        return;
    pthread_mutex_lock(&watch->lock);
    while (watch->running)
        pthread_cond_wait(&watch->ended, &watch->lock);
    pthread_mutex_unlock(&watch->lock);
    arena_free(watch->last);
    arena_free(watch->mem);
    pthread_cond_destroy(&watch->ended);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

/* ---- Running ---- */

static void keep(struct doctor_watch *watch, struct arena *mem, struct doctor_check *checks, size_t count,
                 const char *error)
{
    pthread_mutex_lock(&watch->lock);
    arena_free(watch->last);
    watch->last = mem;
    watch->checks = checks;
    watch->count = count;
    watch->error = error;
    watch->at_ms = clock_now_ms(watch->options.clock);
    watch->ended_ms = clock_monotonic_ms(watch->options.clock);
    watch->running = false;
    pthread_cond_broadcast(&watch->ended);
    pthread_mutex_unlock(&watch->lock);
}

static void *run(void *argument)
{
    struct doctor_watch *watch = argument;
    struct arena *mem = arena_new();
    struct doctor_check *checks = NULL;
    struct err e = { 0 };
    size_t count = 0;
    const char *error = NULL;

    if (watch->run(&watch->options, mem, &checks, &count, &e)) {
        log_err(LOG_ERROR, "the doctor could not run", &e, log_int("code", (int)e.code));
        error = arena_copy(mem, e.message);
        count = 0;
    }
    keep(watch, mem, checks, count, error);
    return NULL;
}

static int start_thread(struct doctor_watch *watch)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int failure = pthread_create(&thread, &attributes, run, watch);
    pthread_attr_destroy(&attributes);
    return failure;
}

bool doctor_watch_start(struct doctor_watch *watch)
{
    int64_t now = clock_monotonic_ms(watch->options.clock);
    bool due = false;
    int failure = 0;

    pthread_mutex_lock(&watch->lock);
    due = !watch->running && (!watch->begun_ms || now - watch->begun_ms >= DOCTOR_WATCH_EVERY_MS);
    if (due) {
        failure = start_thread(watch);
        watch->running = failure == 0;
        watch->begun_ms = now;
    }
    pthread_mutex_unlock(&watch->lock);
    if (failure)
        log_event(LOG_ERROR, "no thread for the doctor", log_text("error", strerror(failure)));
    return due && failure == 0;
}

void doctor_watch_look(struct doctor_watch *watch, struct arena *mem, struct doctor_watch_found *out)
{
    int64_t now = clock_monotonic_ms(watch->options.clock);

    pthread_mutex_lock(&watch->lock);
    *out = (struct doctor_watch_found){ .count = watch->count,
                                        .at_ms = watch->at_ms,
                                        .age_ms = watch->ended_ms ? now - watch->ended_ms : 0,
                                        .running = watch->running,
                                        .error = arena_copy(mem, watch->error) };
    out->checks = arena_array(mem, watch->count, sizeof *out->checks);
    for (size_t i = 0; i < watch->count; i++) {
        out->checks[i] = watch->checks[i]; /* id and title are constants */
        out->checks[i].told = arena_copy(mem, watch->checks[i].told);
        out->checks[i].hint = arena_copy(mem, watch->checks[i].hint);
        out->count_of[watch->checks[i].verdict]++;
    }
    pthread_mutex_unlock(&watch->lock);
}
