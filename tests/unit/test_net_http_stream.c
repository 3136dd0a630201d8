/* Replies handed on piece by piece, and connections that last. */
#include <pthread.h>

#include "tests/unit/net_fixture.h"

static int count_bytes(void *context, const void *bytes, size_t len, struct err *e)
{
    (void)bytes;
    (void)e;
    *(size_t *)context += len;
    return 0;
}

static void a_peer_that_falls_silent_midway_ends_a_streamed_reply(void **state)
{
    static const struct server_step steps[] = { { OK_LINE "Content-Length: 100\r\n\r\n", 10, SERVER_SILENT } };
    struct fixture *f = *state;
    size_t seen = 0;
    serve(f, steps, 1);
    struct http_request request = {
        .method = "GET", .url = url_of(f, "/"), .timeout_ms = 1000, .sink = count_bytes, .sink_context = &seen
    };

    assert_int_equal(send_request(f, &request), ERR_TRANSIENT);

    assert_string_equal(f->e.detail, "CURLE_OPERATION_TIMEDOUT");
    assert_int_equal(seen, 10);
}

static int refuse_piece(void *context, const void *bytes, size_t len, struct err *e)
{
    (void)context;
    (void)bytes;
    (void)len;
    return err_set(e, ERR_QUOTA, "the archive is too large");
}

static void a_sink_that_refuses_ends_the_exchange_with_its_own_error(void **state)
{
    static const struct server_step steps[] = { { OK_LINE "Content-Length: 5000\r\n\r\n", 5000, SERVER_CLOSE } };
    struct fixture *f = *state;
    serve(f, steps, 1);
    struct http_request request = { .method = "GET", .url = url_of(f, "/"), .sink = refuse_piece };

    assert_int_equal(send_request(f, &request), ERR_QUOTA);

    assert_string_equal(f->e.message, "the archive is too large");
}

static void a_sink_gets_a_success_and_never_an_errors_body(void **state)
{
    static const struct server_step steps[] = {
        { "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone", 0, SERVER_KEEP },
        { OK_LINE "Content-Length: 100000\r\n\r\n", 100000, SERVER_KEEP },
    };
    struct fixture *f = *state;
    size_t seen = 0;
    serve(f, steps, 2);
    struct http_request request = { .method = "GET",
                                    .url = url_of(f, "/"),
                                    .sink = count_bytes,
                                    .sink_context = &seen,
                                    .timeout_ms = 2000,
                                    .reply_max = 1000 };

    assert_int_equal(send_request(f, &request), 0);
    assert_string_equal(f->reply.body, "gone");
    assert_int_equal(seen, 0);

    assert_int_equal(send_request(f, &request), 0);
    assert_int_equal(seen, 100000);
    assert_int_equal(f->reply.body_len, 0);
}

static void a_connection_is_used_again_and_replaced_when_the_peer_closed_it(void **state)
{
    static const struct server_step steps[] = { { HELLO, 0, SERVER_KEEP },
                                                { HELLO, 0, SERVER_CLOSE },
                                                { HELLO, 0, SERVER_KEEP } };
    struct fixture *f = *state;
    serve(f, steps, 3);

    assert_int_equal(get(f, "/1"), 0);
    assert_int_equal(get(f, "/2"), 0);
    assert_int_equal(server_connections(f->server), 1);

    assert_int_equal(get(f, "/3"), 0);
    assert_int_equal(server_connections(f->server), 2);
}

enum { THREADS = 8, REQUESTS_EACH = 25 };

static void *ask_often(void *context)
{
    struct fixture *f = context;
    intptr_t failures = 0;

    for (int i = 0; i < REQUESTS_EACH; i++) {
        AUTO_ARENA struct arena *mem = arena_new();
        struct http_request request = { .method = "GET", .url = arena_printf(mem, "%s/", server_url(f->server)) };
        struct http_reply reply;
        struct err e;
        if (f->http.send(f->http.context, &request, mem, &reply, &e) || strcmp(reply.body, "hello") != 0)
            failures++;
    }
    return (void *)failures;
}

static void many_threads_share_the_transport(void **state)
{
    static const struct server_step steps[] = { { HELLO, 0, SERVER_KEEP } };
    struct fixture *f = *state;
    pthread_t threads[THREADS];
    void *failures;
    serve(f, steps, 1);

    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, f), 0);

    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &failures);
        assert_null(failures);
    }
    assert_int_equal(server_requests(f->server), THREADS * REQUESTS_EACH);
    assert_true(server_connections(f->server) <= THREADS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(a_peer_that_falls_silent_midway_ends_a_streamed_reply),
        NET_TEST(a_sink_that_refuses_ends_the_exchange_with_its_own_error),
        NET_TEST(a_sink_gets_a_success_and_never_an_errors_body),
        NET_TEST(a_connection_is_used_again_and_replaced_when_the_peer_closed_it),
        NET_TEST(many_threads_share_the_transport),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
