/*
 * The threads take turns (see turn.h), and one more asks AWS for all releases that wait for it (see poller.h). The calling thread listens for NOTIFY
 * berth_releases on a connection of its own and wakes them; without a word they look for what is due by the clock, at the latest every LOOK_MS.
 */
#include "core/deploy/worker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fatal.h"
#include "core/deploy/delivery.h"
#include "core/deploy/estate/teardown.h"
#include "core/deploy/look.h"
#include "core/deploy/poller.h"
#include "core/deploy/turn.h"

enum {
    LOOK_MS = 5000,
    LOOK_LEAST_MS = 50, /* what is due now, but was just taken by another worker */
    TROUBLE_PAUSE_MS = 250,
    TROUBLE_PAUSE_MAX_MS = 5000,
    EXPIRE_MS = 3600000, /* how often it is looked for deliveries that are kept no longer */
    HOST_MAX = 64
};

struct worker {
    struct turn_place place;
    struct arena *mem;
    char host[HOST_MAX];
    int stop_fd;
    int done_fd; /* an eventfd: the last thread has ended */
    int wake_fd; /* an epoll of the two */

    pthread_mutex_t mutex;
    pthread_cond_t woken;
    unsigned wakes; /* counts what might have brought work */
    int threads_left;
    int next_index;
    int64_t look_ms;    /* of a drain that ended: until the next look at a branch is due; -1: none is */
    bool in_trouble;    /* the database can't be asked; said once */
    struct err failure; /* why a drain ended with work left */
};

static void wake_all(struct worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    worker->wakes++;
    pthread_cond_broadcast(&worker->woken);
    pthread_mutex_unlock(&worker->mutex);
}

static unsigned wakes_so_far(struct worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    unsigned wakes = worker->wakes;
    pthread_mutex_unlock(&worker->mutex);
    return wakes;
}

/* Until someone wakes all, counted from what was seen before, or the time. */
static void wait_for_wake(struct worker *worker, unsigned seen, int64_t ms)
{
    struct timespec deadline = clock_after_ms(ms);

    pthread_mutex_lock(&worker->mutex);
    while (worker->wakes == seen && !worker->place.stopping &&
           pthread_cond_timedwait(&worker->woken, &worker->mutex, &deadline) != ETIMEDOUT)
        continue;
    pthread_mutex_unlock(&worker->mutex);
}

/* Said once when trouble begins and once when it ends, not by each thread at each try. */
static void set_trouble(struct worker *worker, const struct err *e)
{
    bool before;

    pthread_mutex_lock(&worker->mutex);
    before = worker->in_trouble;
    worker->in_trouble = e != NULL;
    pthread_mutex_unlock(&worker->mutex);
    if (e && !before)
        log_err(LOG_ERROR, "no releases can be taken from the database", e, log_text("worker", worker->host));
    if (!e && before)
        log_event(LOG_INFO, "releases can be taken from the database again", log_text("worker", worker->host));
}

/* Until there is something to claim, ms; -1: nothing waits at all. */
struct due {
    int64_t release_ms; /* a teardown too */
    int64_t look_ms;
};

static int next_due(struct worker *worker, struct due *due, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_run_once(worker->place.options->db, NULL, QUERY_RELEASE_NEXT_DUE, NULL, 0, &rows, e))
        return e->code;
    due->release_ms = db_get(rows, 0, "due_ms") ? db_get_int(rows, 0, "due_ms") : -1;
    due->look_ms = db_get(rows, 0, "look_ms") ? db_get_int(rows, 0, "look_ms") : -1;
    return 0;
}

/* A drain takes a look that is due, and does not wait for one that will be: a bucket may take an hour to refill. */
static bool is_drained(struct worker *worker, const struct due *due)
{
    if (!worker->place.options->drain || due->release_ms >= 0 || due->look_ms == 0)
        return false;
    pthread_mutex_lock(&worker->mutex);
    worker->look_ms = due->look_ms;
    pthread_mutex_unlock(&worker->mutex);
    return true;
}

static int64_t pause_until(const struct due *due)
{
    int64_t ms = LOOK_MS;

    if (due->release_ms >= 0 && due->release_ms < ms)
        ms = due->release_ms;
    if (due->look_ms >= 0 && due->look_ms < ms)
        ms = due->look_ms;
    return ms < LOOK_LEAST_MS ? LOOK_LEAST_MS : ms;
}

/*
 * Teardowns are rare and their turns short; after the releases they would wait for ever while there is always one due. Looks wait for GitHub, so they and the
 * releases take turns: neither then waits while there is always one of the other due.
 */
static int take(struct worker *worker, const char *name, unsigned turn, bool *taken, struct err *e)
{
    int (*const first)(struct turn_place *, const char *, bool *, struct err *) = turn % 2 ? turn_take : look_take;
    int (*const second)(struct turn_place *, const char *, bool *, struct err *) = turn % 2 ? look_take : turn_take;

    if (teardown_take(&worker->place, name, taken, e) || (!*taken && first(&worker->place, name, taken, e)) ||
        (!*taken && second(&worker->place, name, taken, e)))
        return e->code;
    return 0;
}

/* One turn, or a wait for work; *finished when draining and nothing is left. */
static int turn_or_wait(struct worker *worker, const char *name, unsigned turn, bool *finished, struct err *e)
{
    unsigned seen = wakes_so_far(worker);
    struct due due = { 0 };
    bool taken = false;

    if (take(worker, name, turn, &taken, e))
        return e->code;
    if (taken) {
        wake_all(worker); /* it may have ended, and let the app's next release begin */
        return 0;
    }
    if (next_due(worker, &due, e))
        return e->code;
    *finished = is_drained(worker, &due);
    if (!*finished)
        wait_for_wake(worker, seen, pause_until(&due));
    return 0;
}

static void last_one_tells(struct worker *worker)
{
    uint64_t one = 1;

    pthread_mutex_lock(&worker->mutex);
    if (--worker->threads_left == 0 && write(worker->done_fd, &one, sizeof one) != sizeof one)
        fatal("an eventfd could not be written");
    pthread_cond_broadcast(&worker->woken); /* the poller ends with the last one */
    pthread_mutex_unlock(&worker->mutex);
}

/* A drain is started again by cron; a hanging one would only be joined by the next. */
static bool give_up_draining(struct worker *worker, const struct err *e)
{
    pthread_mutex_lock(&worker->mutex);
    worker->failure = *e;
    pthread_mutex_unlock(&worker->mutex);
    return true;
}

static void *thread_main(void *context)
{
    struct worker *worker = context;
    char name[WORKER_NAME_MAX];
    int64_t pause_ms = TROUBLE_PAUSE_MS;
    unsigned turn = 0;
    bool finished = false;

    pthread_mutex_lock(&worker->mutex);
    snprintf(name, sizeof name, "%s:%ld:%d", worker->host, (long)getpid(), worker->next_index++);
    pthread_mutex_unlock(&worker->mutex);
    while (!worker->place.stopping && !finished) {
        struct err e = { 0 };
        if (turn_or_wait(worker, name, turn++, &finished, &e) == 0) {
            set_trouble(worker, NULL);
            pause_ms = TROUBLE_PAUSE_MS;
            continue;
        }
        set_trouble(worker, &e);
        if (worker->place.options->drain && pause_ms == TROUBLE_PAUSE_MAX_MS)
            finished = give_up_draining(worker, &e);
        else
            wait_for_wake(worker, wakes_so_far(worker), pause_ms);
        pause_ms = pause_ms * 2 < TROUBLE_PAUSE_MAX_MS ? pause_ms * 2 : TROUBLE_PAUSE_MAX_MS;
    }
    last_one_tells(worker);
    return NULL;
}

/* True when the worker is over. */
static bool rest_of_poller(struct worker *worker, int64_t ms)
{
    struct timespec deadline = clock_after_ms(ms);
    bool over;

    pthread_mutex_lock(&worker->mutex);
    while (!worker->place.stopping && worker->threads_left > 0 &&
           pthread_cond_timedwait(&worker->woken, &worker->mutex, &deadline) != ETIMEDOUT)
        continue;
    over = worker->place.stopping || worker->threads_left == 0;
    pthread_mutex_unlock(&worker->mutex);
    return over;
}

/* Now and then; of many one batch a round. */
static void expire_deliveries(struct worker *worker, int64_t *next_ms)
{
    int64_t now_ms = clock_monotonic_ms(worker->place.clock);
    struct err e = { 0 };
    bool more = false;

    if (now_ms < *next_ms)
        return;
    if (delivery_expire(worker->place.options->db, worker->place.options->settings, &more, &e))
        log_err(LOG_WARN, "old deliveries could not be deleted", &e, log_text("worker", worker->host));
    *next_ms = more ? now_ms : now_ms + EXPIRE_MS;
}

static void *poller_main(void *context)
{
    struct worker *worker = context;
    const struct worker_options *options = worker->place.options;
    char holder[WORKER_NAME_MAX];
    const struct poller poller = {
        .db = options->db, .aws = options->aws, .settings = options->settings, .holder = holder
    };
    int64_t pause_ms = 0, expire_ms = 0;
    bool in_trouble = false;

    snprintf(holder, sizeof holder, "%s:%ld", worker->host, (long)getpid());
    while (!rest_of_poller(worker, pause_ms)) {
        struct err e = { 0 };
        if (poller_round(&poller, &pause_ms, &e)) {
            if (!in_trouble)
                log_err(LOG_WARN, "AWS is not asked about what waits for it; releases look by themselves, later", &e,
                        log_text("worker", holder));
            pause_ms = TROUBLE_PAUSE_MAX_MS;
        }
        in_trouble = e.code != 0;
        expire_deliveries(worker, &expire_ms);
    }
    return NULL;
}

static bool is_readable(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

    return poll(&poll_fd, 1, 0) > 0;
}

static bool is_over(struct worker *worker)
{
    if (is_readable(worker->stop_fd) && !worker->place.stopping) {
        worker->place.stopping = true;
        wake_all(worker);
    }
    return is_readable(worker->done_fd);
}

/* Until the stop, the end of all threads, or the time. */
static void rest(struct worker *worker, int ms)
{
    struct pollfd wake = { .fd = worker->place.stopping ? worker->done_fd : worker->wake_fd, .events = POLLIN };

    (void)poll(&wake, 1, ms);
}

/* Listens until something is over, or the connection is lost. */
static int listen_for_work(struct worker *worker, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    bool notified = false;

    if (db_take(worker->place.options->db, &db, e) || db_listen(db, "berth_releases", e))
        return e->code;
    wake_all(worker); /* what came before we listened */
    while (!is_over(worker) && !worker->place.stopping) {
        if (db_wait(db, LOOK_MS, worker->wake_fd, &notified, e))
            return e->code;
        if (notified)
            wake_all(worker);
    }
    return 0;
}

static void watch(struct worker *worker)
{
    int pause_ms = TROUBLE_PAUSE_MS;

    while (!is_over(worker)) {
        struct err e = { 0 };
        if (!worker->place.stopping && listen_for_work(worker, &e) == 0) {
            pause_ms = TROUBLE_PAUSE_MS;
            continue;
        }
        /* The threads say it when the database is away; they look by the clock meanwhile. */
        rest(worker, worker->place.stopping ? LOOK_MS : pause_ms);
        pause_ms = pause_ms * 2 < TROUBLE_PAUSE_MAX_MS ? pause_ms * 2 : TROUBLE_PAUSE_MAX_MS;
    }
}

static int open_wake(struct worker *worker, struct err *e)
{
    struct epoll_event event = { .events = EPOLLIN };

    worker->done_fd = eventfd(0, EFD_CLOEXEC);
    worker->wake_fd = epoll_create1(EPOLL_CLOEXEC);
    if (worker->done_fd < 0 || worker->wake_fd < 0 ||
        epoll_ctl(worker->wake_fd, EPOLL_CTL_ADD, worker->done_fd, &event) ||
        epoll_ctl(worker->wake_fd, EPOLL_CTL_ADD, worker->stop_fd, &event))
        return err_set(e, ERR_INTERNAL, "the worker can't watch for its stop: %s", strerror(errno));
    return 0;
}

static int set_up(struct worker *worker, const struct worker_options *options, struct err *e)
{
    const struct settings *settings = options->settings;
    struct turn_place *place = &worker->place;
    pthread_condattr_t attributes;

    place->options = options;
    place->clock = options->clock ? options->clock : &clock_system;
    place->steps = options->steps ? options->steps : pipeline;
    place->lease_ms = settings->worker_lease_s * 1000;
    if (gethostname(worker->host, sizeof worker->host - 1))
        snprintf(worker->host, sizeof worker->host, "worker");
    pthread_mutex_init(&worker->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->woken, &attributes);
    pthread_condattr_destroy(&attributes);
    /* The account that all of this stands in is in each of its ARNs. */
    if (settings->listeners.count > 0 &&
        aws_arn_account(settings->listeners.items[0], worker->mem, &place->partition, &place->account, e))
        return e->code;
    return open_wake(worker, e);
}

/* Starts the threads; when the system gives fewer than asked, it works with those. */
static int start(struct worker *worker, pthread_t *threads, int count, int *started, struct err *e)
{
    int failure = 0;

    worker->threads_left = count;
    for (*started = 0; *started < count && !failure; *started += !failure)
        failure = pthread_create(&threads[*started], NULL, thread_main, worker);
    for (int i = *started; i < count; i++)
        last_one_tells(worker);
    if (*started == 0)
        return err_set(e, ERR_INTERNAL, "the worker can't start a thread: %s", strerror(failure));
    if (failure)
        log_event(LOG_WARN, "fewer worker threads than asked for", log_int("asked", count),
                  log_int("started", *started));
    return 0;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

int worker_run(const struct worker_options *options, int stop_fd, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct worker worker = { .mem = mem, .stop_fd = stop_fd, .done_fd = -1, .wake_fd = -1, .look_ms = -1 };
    pthread_t *threads = arena_array(mem, (size_t)options->threads, sizeof *threads);
    pthread_t poller;
    bool polls = false;
    int started = 0;
    int code = set_up(&worker, options, e);

    if (!code)
        code = start(&worker, threads, options->threads, &started, e);
    if (!code && options->aws)
        polls = pthread_create(&poller, NULL, poller_main, &worker) == 0;
    if (!code)
        watch(&worker);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (polls)
        pthread_join(poller, NULL);
    if (worker.look_ms > 0)
        log_event(LOG_INFO, "nothing is left but to look at a branch again, later",
                  log_int("in_s", (worker.look_ms + 999) / 1000));
    close_fd(worker.wake_fd);
    close_fd(worker.done_fd);
    pthread_cond_destroy(&worker.woken);
    pthread_mutex_destroy(&worker.mutex);
    if (!code && worker.failure.code) {
        *e = worker.failure;
        code = e->code;
    }
    return code;
}
