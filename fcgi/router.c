#include "fcgi/router.h"

#include <string.h>

#include "core/base/buf.h"

/* One segment: up to the next slash or the end. */
static size_t segment_len(const char *at)
{
    return strcspn(at, "/");
}

/* Fills the request's values; false when the path is not of this pattern. */
static bool pattern_match(const char *pattern, const char *path, struct request *request)
{
    request->value_count = 0;
    while (*pattern == '/' && *path == '/') {
        size_t wanted = segment_len(++pattern);
        size_t given = segment_len(++path);

        if (*pattern == '{') {
            if (given == 0 || request->value_count == REQUEST_VALUES_MAX)
                return false;
            request->values[request->value_count++] = (struct request_value){
                .name = arena_copy_n(request->mem, pattern + 1, wanted - 2),
                .text = arena_copy_n(request->mem, path, given),
            };
        } else if (wanted != given || memcmp(pattern, path, given) != 0) {
            return false;
        }
        pattern += wanted;
        path += given;
    }
    return *pattern == '\0' && *path == '\0';
}

static bool method_match(const char *route, const char *method)
{
    return strcmp(route, method) == 0 || (strcmp(route, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* 0 when every field passes, else the status to refuse with. */
static int fields_check(const struct route *route, struct request *request)
{
    for (size_t i = 0; i < ROUTE_FIELDS_MAX && route->fields[i].name; i++) {
        const struct route_field *field = &route->fields[i];

        if (field->place == FIELD_IN_PATH && !field->valid(request_value(request, field->name)))
            return 404;
        if (field->place == FIELD_IN_QUERY && request_has_query(request, field->name)) {
            const char *text = request_query(request, field->name);
            if (!text || !field->valid(text))
                return 400;
        }
    }
    return 0;
}

static void refuse(const struct application *application, struct request *request, struct response *response,
                   int status, const char *message)
{
    application->refuse(application->context, request, response, status, message);
    response->status = status;
}

/* What the path's other routes would answer to, for 405; NULL: no route has this path. */
static const char *methods_of(const struct application *application, struct request *request)
{
    AUTO_BUF struct buf methods = { 0 };

    for (size_t i = 0; i < application->route_count; i++) {
        const char *method = application->routes[i].method;

        if (!pattern_match(application->routes[i].pattern, request->path, request))
            continue;
        buf_printf(&methods, "%s%s%s", methods.len > 0 ? ", " : "", method, strcmp(method, "GET") == 0 ? ", HEAD" : "");
    }
    return methods.len > 0 ? arena_copy(request->mem, methods.data) : NULL;
}

static void answer_no_route(const struct application *application, struct request *request, struct response *response)
{
    const char *methods = methods_of(application, request);

    request->value_count = 0;
    if (!methods) {
        refuse(application, request, response, 404, "There is nothing at this address.");
        return;
    }
    refuse(application, request, response, 405,
           arena_printf(request->mem, "This address answers to %s only.", methods));
    response_header(response, "Allow", methods);
}

static void answer_route(const struct application *application, const struct route *route, struct request *request,
                         struct response *response)
{
    int status = fields_check(route, request);

    request->route = route;
    if (status == 404)
        refuse(application, request, response, 404, "There is nothing at this address.");
    else if (status != 0)
        refuse(application, request, response, status, "A parameter of the query is malformed.");
    else
        route->handle(application->context, request, response);
}

void router_answer(const struct application *application, struct request *request, struct response *response)
{
    if (application->let_in && !application->let_in(application->context, request, response))
        return;
    if (!request->path) {
        refuse(application, request, response, 400, "The path is malformed or too long.");
        return;
    }
    for (size_t i = 0; i < application->route_count; i++) {
        const struct route *route = &application->routes[i];

        if (method_match(route->method, request->method) && pattern_match(route->pattern, request->path, request)) {
            answer_route(application, route, request, response);
            return;
        }
    }
    answer_no_route(application, request, response);
}
