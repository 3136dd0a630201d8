/*
 * server - the threads that accept and answer, and the way they end.
 *
 * SIGTERM, SIGINT, SIGHUP and SIGUSR1 mean: accept nothing more, finish what is in hand, and leave within SERVER_LEAVE_MS.
 */
#ifndef BERTH_FCGI_SERVER_H
#define BERTH_FCGI_SERVER_H

#include <stdbool.h>

#include "fcgi/router.h"

enum {
    SERVER_BACKLOG = 1024,
    SERVER_THREADS_MAX = 512, /* file descriptors must stay below FD_SETSIZE, and each thread may hold two */
    SERVER_LEAVE_MS = 2000,
    SERVER_LEAVE_BY_MS = 1800,   /* when those that have not finished are left behind */
    SERVER_ACCEPT_PAUSE_MS = 100 /* after an accept that failed, for want of a file descriptor say */
};

/* Before any thread starts: those signals are for server_run alone. */
void server_block_signals(void);

/*
 * A unix socket of our own, mode 0660. A socket that nobody answers at is replaced; one that somebody does, or a file of another kind, is refused.
 */
int server_listen(const char *path, int backlog, int *fd, struct err *e);

/* The socket on standard input, as spawn-fcgi, lighttpd and mod_fcgid give it. ERR_INVALID when there is none. */
int server_inherit(int backlog, int *fd, struct err *e);

/* Answers until a signal. *finished: every thread has ended; if not, what they use must not be freed. */
int server_run(const struct application *application, int listen_fd, int threads, bool *finished, struct err *e);

#endif
