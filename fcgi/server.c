#include "fcgi/server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/fatal.h"
#include "core/base/log.h"

#ifdef BERTH_ARENA_ITEMS
enum { STACK_BYTES = 1024 * 1024 }; /* the address sanitizer's frames are larger */
#else
enum { STACK_BYTES = 256 * 1024 };
#endif

enum { WAKE_EVERY_MS = 20, COMPLAIN_EVERY_MS = 10000 };

struct server {
    const struct application *application;
    int listen_fd;
    pthread_t *threads;
    atomic_bool *ended; /* by thread */
    int count;
    _Atomic int64_t complained_ms;
};

struct place {
    struct server *server;
    int index;
};

static void stop_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1);
}

void server_block_signals(void)
{
    sigset_t set;

    stop_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* Every thread fails alike when descriptors run out: one line in ten seconds is enough. */
static void complain(struct server *server, const struct err *e)
{
    int64_t now = clock_monotonic_ms(&clock_system);
    int64_t last = atomic_load(&server->complained_ms);

    if ((last == 0 || now - last >= COMPLAIN_EVERY_MS) &&
        atomic_compare_exchange_strong(&server->complained_ms, &last, now))
        log_err(LOG_ERROR, "a request could not be accepted", e, log_text("application", server->application->name));
}

static void answer_one(struct server *server, struct request_source *source, struct request *request)
{
    struct response response;

    response_init(&response);
    router_answer(server->application, request, &response);
    request_answer(source, request, &response);
    response_free(&response);
}

static void *serve(void *context)
{
    struct place place = *(struct place *)context;
    struct server *server = place.server;
    struct request_source *source = request_source_new(server->listen_fd);
    AUTO_ARENA struct arena *mem = arena_new();
    struct request request;
    struct err e = { 0 };

    free(context);
    for (;;) {
        enum request_accepted accepted = request_accept(source, mem, &request, &e);

        if (accepted == REQUEST_STOPPED)
            break;
        if (accepted == REQUEST_FAILED) {
            complain(server, &e);
            clock_sleep_ms(&clock_system, SERVER_ACCEPT_PAUSE_MS);
            continue;
        }
        answer_one(server, source, &request);
        arena_reset(mem);
    }
    request_source_free(source);
    atomic_store(&server->ended[place.index], true);
    return NULL;
}

static int start_threads(struct server *server, int threads, struct err *e)
{
    pthread_attr_t attributes;
    int failure = 0;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    while (server->count < threads && failure == 0) {
        struct place *place = malloc(sizeof(*place));
        if (!place)
            fatal_no_memory();
        *place = (struct place){ server, server->count };
        failure = pthread_create(&server->threads[server->count], &attributes, serve, place);
        if (failure == 0)
            server->count++;
        else
            free(place);
    }
    pthread_attr_destroy(&attributes);
    if (failure != 0)
        return err_set(e, ERR_TRANSIENT, "only %d of %d threads could be started: %s", server->count, threads,
                       strerror(failure));
    return 0;
}

/* How many have not ended yet; those that wait in an accept are interrupted. */
static int wake_threads(struct server *server)
{
    int left = 0;

    for (int i = 0; i < server->count; i++) {
        if (atomic_load(&server->ended[i]))
            continue;
        pthread_kill(server->threads[i], REQUEST_WAKE_SIGNAL);
        left++;
    }
    return left;
}

/* One signal may come just before the thread enters accept, so it is sent until the thread has ended. */
static bool stop_threads(struct server *server)
{
    int64_t leave_by = clock_monotonic_ms(&clock_system) + SERVER_LEAVE_BY_MS;
    int left = 0;

    request_stop_accepting();
    while ((left = wake_threads(server)) > 0 && clock_monotonic_ms(&clock_system) < leave_by)
        clock_sleep_ms(&clock_system, WAKE_EVERY_MS);
    for (int i = 0; i < server->count; i++) {
        if (atomic_load(&server->ended[i]))
            pthread_join(server->threads[i], NULL);
    }
    if (left > 0)
        log_event(LOG_WARN, "stopped with requests in hand", log_text("application", server->application->name),
                  log_int("requests", left));
    return left == 0;
}

int server_run(const struct application *application, int listen_fd, int threads, bool *finished, struct err *e)
{
    struct server server = { .application = application, .listen_fd = listen_fd };
    sigset_t set;
    int number = 0;

    server.threads = calloc((size_t)threads, sizeof(*server.threads));
    server.ended = calloc((size_t)threads, sizeof(*server.ended));
    if (!server.threads || !server.ended)
        fatal_no_memory();

    int code = start_threads(&server, threads, e);
    if (!code) {
        log_event(LOG_INFO, "ready", log_text("application", application->name), log_int("threads", threads));
        stop_signals(&set);
        while (sigwait(&set, &number) != 0)
            continue;
        log_event(LOG_INFO, "stopping", log_text("application", application->name), log_int("signal", number));
    }
    *finished = stop_threads(&server);
    if (*finished) {
        free(server.threads);
        free(server.ended);
    }
    return code;
}
