/*
 * request - what a handler is asked: the method, the path's values, headers, and the body piece by piece.
 *
 * Everything here lives as long as the request: texts that FastCGI gives are copied into mem. Where they come from is behind two function pointers, so
 * that a unit test is its own web server; the real source, over libfcgi, is in the second half.
 */
#ifndef BERTH_FCGI_REQUEST_H
#define BERTH_FCGI_REQUEST_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "fcgi/response.h"

enum {
    REQUEST_PATH_MAX = 2048,
    REQUEST_QUERY_MAX = 4096,
    REQUEST_VALUES_MAX = 8,    /* {names} in a route's pattern */
    REQUEST_SILENCE_MS = 5000, /* the web server says nothing for so long: the request is given up */
    REQUEST_BODY_MS = 30000,   /* a whole body takes no longer */
    REQUEST_PIECE = 64 * 1024  /* bytes that are worth reading at once */
};

enum { REQUEST_LENGTH_ABSENT = -1, REQUEST_LENGTH_MALFORMED = -2 };

struct route; /* router.h */
struct form;  /* form.h */

struct request_value {
    const char *name; /* as in the pattern: "app" for {app} */
    const char *text; /* percent-decoded */
};

struct request {
    struct arena *mem;
    const char *method;      /* "GET"; "" when the web server gave none */
    const char *path;        /* percent-decoded; NULL: too long, malformed, or holds a control character */
    const char *query;       /* after the '?', still encoded; "" when there is none */
    const char *remote_user; /* who the web server signed in; NULL: nobody */
    int64_t content_length;  /* or REQUEST_LENGTH_… */
    struct request_value values[REQUEST_VALUES_MAX]; /* set by the router */
    size_t value_count;
    const struct route *route; /* set by the router */
    struct form *form;         /* what a POST of the admin pages sent, once it was checked; else NULL */

    const char *(*param)(void *source, const char *name); /* a CGI variable; NULL: absent */
    int (*read)(void *source, void *to, size_t room, size_t *got, struct err *e);
    void *source;
};

/* A header by its usual name, "X-GitHub-Event"; NULL: absent. Copied into mem. */
const char *request_header(struct request *request, const char *name);

/* A value of the path, by its name in the route's pattern. Asking for one that the pattern lacks is a bug and ends the process. */
const char *request_value(const struct request *request, const char *name);

/* The first parameter of that name in the query, decoded; NULL: absent, or malformed. */
const char *request_query(struct request *request, const char *name);

bool request_has_query(const struct request *request, const char *name);

/*
 * The next bytes of the body, as many as there are up to room; *got 0: the body has ended. ERR_INVALID: it was cut off. ERR_TRANSIENT: nothing came for
 * REQUEST_SILENCE_MS.
 */
int request_read(struct request *request, void *to, size_t room, size_t *got, struct err *e);

/* Percent-decodes into mem, unchecked: it may hold a NUL, *got says how long it is. NULL: malformed. */
char *request_decode(struct arena *mem, const char *text, size_t len, bool plus_is_space, size_t *got);

/* Splits a request target ("/a%20b?c=d") into path and query, as told in struct request. */
void request_set_target(struct request *request, const char *target);

/* "12" is 12; NULL or "" is REQUEST_LENGTH_ABSENT; anything else but digits is REQUEST_LENGTH_MALFORMED. */
int64_t request_parse_length(const char *text);

/* ---- The FastCGI side: one source a thread ---- */

struct request_source;

/* Once a process, before any other call. */
int request_library_init(struct err *e);

struct request_source *request_source_new(int listen_fd);
void request_source_free(struct request_source *source); /* NULL is fine */

enum request_accepted {
    REQUEST_TAKEN,  /* *request is to be answered by request_answer */
    REQUEST_FAILED, /* e says why (no file descriptor left, say): pause, then accept again */
    REQUEST_STOPPED /* request_stop_accepting was called */
};

/* Waits for a request. mem is the request's arena. */
enum request_accepted request_accept(struct request_source *source, struct arena *mem, struct request *request,
                                     struct err *e);

/* Sends the answer, hears out what is left of the body for a moment (or the web server would lose the answer), and hangs up. */
void request_answer(struct request_source *source, const struct request *request, const struct response *response);

/* From now on accepts end; a thread that waits in one must be sent REQUEST_WAKE_SIGNAL besides, again and again until it has ended. */
void request_stop_accepting(void);
#define REQUEST_WAKE_SIGNAL SIGUSR2

#endif
