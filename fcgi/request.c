/*
 * Requests over libfcgi 2.4.2, and its pitfalls.
 *
 * - The environment dies with the request: what is kept is copied.
 * - No read or write of libfcgi has a time limit: each connection gets the kernel's.
 * - An accept that waits is ended by a signal alone. That signal is unblocked only around the accept, so that it never cuts off a request in hand.
 * - A connection hung up with bytes unread makes the web server drop the answer: what is left is heard out, within bounds.
 * - libfcgi select()s on each connection, so file descriptors must stay below FD_SETSIZE.
 */
#include "fcgi/request.h"

#include <errno.h>
#include <fcgiapp.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "core/base/clock.h"
#include "core/base/fatal.h"

enum {
    DRAIN_BYTES_MAX = 64 * 1024 * 1024, /* after the answer: no more than this of the body is heard out */
    DRAIN_MS = 2000
};

struct request_source {
    FCGX_Request fcgx;
    int64_t deadline_ms; /* of the body, monotonic */
};

static atomic_bool stopping;

static void wake(int number)
{
    (void)number; /* interrupting the accept is all it is for */
}

static void wake_signal_mask(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, REQUEST_WAKE_SIGNAL);
    pthread_sigmask(how, &set, NULL);
}

static int limit_descriptors(struct err *e)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return err_set(e, ERR_INTERNAL, "cannot read the limit of open files: %s", strerror(errno));
    if (limit.rlim_cur <= FD_SETSIZE)
        return 0;
    limit.rlim_cur = FD_SETSIZE;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return err_set(e, ERR_INTERNAL, "cannot lower the limit of open files to %d: %s", FD_SETSIZE, strerror(errno));
    return 0;
}

int request_library_init(struct err *e)
{
    /* Without SA_RESTART, or the accept would go on waiting. */
    struct sigaction action = { .sa_handler = wake };

    sigemptyset(&action.sa_mask);
    sigaction(REQUEST_WAKE_SIGNAL, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    wake_signal_mask(SIG_BLOCK);
    if (limit_descriptors(e))
        return e->code;
    if (FCGX_Init() != 0)
        return err_set(e, ERR_INTERNAL, "libfcgi could not be initialised");
    return 0;
}

struct request_source *request_source_new(int listen_fd)
{
    struct request_source *source = calloc(1, sizeof(*source));

    if (!source)
        fatal_no_memory();
    if (FCGX_InitRequest(&source->fcgx, listen_fd, FCGI_FAIL_ACCEPT_ON_INTR) != 0)
        fatal("libfcgi was not initialised");
    return source;
}

void request_source_free(struct request_source *source)
{
    if (!source)
        return;
    FCGX_Free(&source->fcgx, 1);
    free(source);
}

static const char *read_param(void *context, const char *name)
{
    struct request_source *source = context;

    return FCGX_GetParam(name, source->fcgx.envp);
}

/* Why the body ended before the web server said so. */
static int read_failure(struct request_source *source, struct err *e)
{
    int why = FCGX_GetError(source->fcgx.in);

    if (why == EAGAIN || why == EWOULDBLOCK)
        return err_set(e, ERR_TRANSIENT, "the body stopped coming for %d ms", REQUEST_SILENCE_MS);
    return err_set(e, ERR_INVALID, "the body was cut off");
}

static int read_body(void *context, void *to, size_t room, size_t *got, struct err *e)
{
    struct request_source *source = context;
    FCGX_Stream *in = source->fcgx.in;

    if (clock_monotonic_ms(&clock_system) > source->deadline_ms)
        return err_set(e, ERR_TRANSIENT, "the body took longer than %d ms", REQUEST_BODY_MS);
    *got = 0;
    if (room == 0)
        return 0;

    int first = FCGX_GetChar(in);
    if (first == EOF)
        return FCGX_GetError(in) != 0 ? read_failure(source, e) : 0;
    *(char *)to = (char)first;
    *got = 1;

    /* FCGX_GetStr waits until it has all it was asked for: a peer that drips would outlive any deadline. So ask for what is there. */
    size_t there = (size_t)(in->stop - in->rdNext);
    if (there > room - 1)
        there = room - 1;
    while (there > 0) {
        int some = FCGX_GetStr((char *)to + *got, there > INT_MAX ? INT_MAX : (int)there, in);
        if (some <= 0)
            break;
        *got += (size_t)some;
        there -= (size_t)some;
    }
    return 0;
}

static void limit_silence(int fd)
{
    const struct timeval limit = { .tv_sec = REQUEST_SILENCE_MS / 1000 };

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

static void request_fill(struct request_source *source, struct arena *mem, struct request *request)
{
    const char *method = read_param(source, "REQUEST_METHOD");
    const char *target = read_param(source, "REQUEST_URI");
    const char *user = read_param(source, "REMOTE_USER");

    *request = (struct request){ .mem = mem, .param = read_param, .read = read_body, .source = source };
    request->method = method ? arena_copy(mem, method) : "";
    request->remote_user = user && *user != '\0' ? arena_copy(mem, user) : NULL;
    request->content_length = request_parse_length(read_param(source, "CONTENT_LENGTH"));
    request_set_target(request, target ? target : "");
}

enum request_accepted request_accept(struct request_source *source, struct arena *mem, struct request *request,
                                     struct err *e)
{
    if (atomic_load(&stopping))
        return REQUEST_STOPPED;

    wake_signal_mask(SIG_UNBLOCK);
    int result = FCGX_Accept_r(&source->fcgx);
    wake_signal_mask(SIG_BLOCK);

    if (result < 0 && atomic_load(&stopping))
        return REQUEST_STOPPED;
    if (result < 0) {
        err_set(e, ERR_TRANSIENT, "cannot accept a FastCGI connection: %s", strerror(-result));
        return REQUEST_FAILED;
    }
    source->deadline_ms = clock_monotonic_ms(&clock_system) + REQUEST_BODY_MS;
    limit_silence(source->fcgx.ipcFd);
    request_fill(source, mem, request);
    return REQUEST_TAKEN;
}

static void drain(struct request_source *source)
{
    char piece[8192];
    size_t total = 0;
    size_t got = 1;
    struct err ignored = { 0 };

    source->deadline_ms = clock_monotonic_ms(&clock_system) + DRAIN_MS;
    while (got > 0 && total < DRAIN_BYTES_MAX) {
        if (read_body(source, piece, sizeof(piece), &got, &ignored))
            return;
        total += got;
    }
}

void request_answer(struct request_source *source, const struct request *request, const struct response *response)
{
    AUTO_BUF struct buf text = { 0 };
    FCGX_Stream *out = source->fcgx.out;

    response_write(response, strcmp(request->method, "HEAD") == 0, &text);
    if (text.failed || text.len > INT_MAX)
        fatal_no_memory();
    FCGX_PutStr(buf_text(&text), (int)text.len, out);
    /* The end of the request is sent with the last stream that is closed. */
    FCGX_FClose(source->fcgx.err);
    FCGX_FClose(out);
    drain(source);
    FCGX_Finish_r(&source->fcgx);
}

void request_stop_accepting(void)
{
    atomic_store(&stopping, true);
    FCGX_ShutdownPending();
}
