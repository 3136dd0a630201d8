/*
 * net_fixture - the real transport and a scripted peer on a real socket.
 */
#ifndef BERTH_TESTS_NET_FIXTURE_H
#define BERTH_TESTS_NET_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/net/http.h"
#include "tests/unit/support_server.h"

#define OK_LINE "HTTP/1.1 200 OK\r\n"
#define HELLO OK_LINE "Content-Length: 5\r\n\r\nhello"

struct fixture {
    struct http_curl *curl;
    struct http http;
    struct server *server;
    struct arena *mem;
    struct http_reply reply;
    struct err e;
};

static inline int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->mem = arena_new();
    assert_int_equal(http_curl_new("berth-test", &f->curl, &f->e), 0);
    f->http = http_curl_transport(f->curl);
    *state = f;
    return 0;
}

static inline int stop(void **state)
{
    struct fixture *f = *state;

    http_curl_free(f->curl);
    if (f->server)
        server_free(f->server);
    arena_free(f->mem);
    free(f);
    return 0;
}

static inline void serve(struct fixture *f, const struct server_step *steps, size_t count)
{
    f->server = server_new(steps, count);
}

static inline int send_request(struct fixture *f, const struct http_request *request)
{
    return f->http.send(f->http.context, request, f->mem, &f->reply, &f->e);
}

static inline const char *url_of(struct fixture *f, const char *path)
{
    return arena_printf(f->mem, "%s%s", server_url(f->server), path);
}

static inline int get(struct fixture *f, const char *path)
{
    struct http_request request = { .method = "GET", .url = url_of(f, path), .timeout_ms = 2000 };

    return send_request(f, &request);
}

#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

#endif
