/*
 * router - one table of method, path pattern and handler.
 *
 * A pattern is literal but for segments in braces: "/apps/{app}/releases/{release}"; such a segment is one non-empty path segment. A handler only sees
 * fields that passed their check: one in the path that fails is 404, one in the query 400. GET answers HEAD too. Unknown paths are 404, other
 * methods 405 with Allow.
 */
#ifndef BERTH_FCGI_ROUTER_H
#define BERTH_FCGI_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "fcgi/request.h"
#include "fcgi/response.h"

enum { ROUTE_FIELDS_MAX = 8 };

enum route_field_place { FIELD_IN_PATH, FIELD_IN_QUERY /* may be absent */ };

struct route_field {
    const char *name;
    enum route_field_place place;
    bool (*valid)(const char *text);
};

struct route {
    const char *method;
    const char *pattern;
    void (*handle)(void *context, struct request *request, struct response *response);
    struct route_field fields[ROUTE_FIELDS_MAX]; /* ended by a NULL name, or full */
    const void *detail;                          /* the application's own; a handler finds it by request->route */
};

/* One FastCGI application: its routes and what its handlers share. */
struct application {
    const char *name; /* "hooks", "admin" */
    const struct route *routes;
    size_t route_count;
    void *context; /* given to each handler; owned */
    /* Asked of every request before anything of it is looked at; false: it is answered. NULL: everybody may ask. */
    bool (*let_in)(void *context, struct request *request, struct response *response);
    /* Answers a request that no handler sees: 400, 404 or 405 (Allow is set afterwards). message: one sentence for a person. */
    void (*refuse)(void *context, struct request *request, struct response *response, int status, const char *message);
    /* False: threads of its own are at work with what the context holds, so it must not be freed; NULL: it has none. */
    bool (*is_idle)(void *context);
    void (*close)(void *context); /* frees it; NULL: nothing to free */
};

void router_answer(const struct application *application, struct request *request, struct response *response);

#endif
