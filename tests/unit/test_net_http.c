/* The real transport against a scripted peer on a real socket. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buf.h"
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

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->mem = arena_new();
    assert_int_equal(http_curl_new("berth-test", &f->curl, &f->e), 0);
    f->http = http_curl_transport(f->curl);
    *state = f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;

    http_curl_free(f->curl);
    if (f->server)
        server_free(f->server);
    arena_free(f->mem);
    free(f);
    return 0;
}

static void serve(struct fixture *f, const struct server_step *steps, size_t count)
{
    f->server = server_new(steps, count);
}

static int send_request(struct fixture *f, const struct http_request *request)
{
    return f->http.send(f->http.context, request, f->mem, &f->reply, &f->e);
}

static const char *url_of(struct fixture *f, const char *path)
{
    return arena_printf(f->mem, "%s%s", server_url(f->server), path);
}

static int get(struct fixture *f, const char *path)
{
    struct http_request request = { .method = "GET", .url = url_of(f, path), .timeout_ms = 2000 };

    return send_request(f, &request);
}

static void a_peer_that_hangs_up_before_replying_is_transient(void **state)
{
    static const struct server_step steps[] = { { NULL, 0, SERVER_CLOSE } };
    struct fixture *f = *state;
    serve(f, steps, 1);

    assert_int_equal(get(f, "/"), ERR_TRANSIENT);

    assert_string_equal(f->e.detail, "CURLE_GOT_NOTHING");
    assert_int_equal(f->reply.status, 0);
}

static void half_a_reply_is_transient_and_not_a_reply(void **state)
{
    static const struct server_step steps[] = { { OK_LINE "Content-Length: 100\r\n\r\nhalf", 0, SERVER_CLOSE } };
    struct fixture *f = *state;
    serve(f, steps, 1);

    assert_int_equal(get(f, "/"), ERR_TRANSIENT);

    assert_string_equal(f->e.detail, "CURLE_PARTIAL_FILE");
    assert_null(f->reply.body);
}

static void half_a_chunked_reply_is_transient(void **state)
{
    static const struct server_step steps[] = { { OK_LINE "Transfer-Encoding: chunked\r\n\r\nff\r\nhalf", 0, SERVER_CLOSE } };
    struct fixture *f = *state;
    serve(f, steps, 1);

    assert_int_equal(get(f, "/"), ERR_TRANSIENT);
}

static void a_connection_reset_midway_is_transient(void **state)
{
    static const struct server_step steps[] = { { OK_LINE "Content-Length: 100\r\n\r\n", 10, SERVER_RESET } };
    struct fixture *f = *state;
    serve(f, steps, 1);

    assert_int_equal(get(f, "/"), ERR_TRANSIENT);
}

static void a_silent_peer_times_out_and_is_named_without_its_query(void **state)
{
    static const struct server_step steps[] = { { NULL, 0, SERVER_SILENT } };
    struct fixture *f = *state;
    serve(f, steps, 1);
    struct http_request request = { .method = "GET", .url = url_of(f, "/key?X-Amz-Signature=abc"), .timeout_ms = 300 };

    assert_int_equal(send_request(f, &request), ERR_TRANSIENT);

    assert_string_equal(f->e.detail, "CURLE_OPERATION_TIMEDOUT");
    assert_non_null(strstr(f->e.message, "/key"));
    assert_null(strstr(f->e.message, "abc"));
}

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

static void nobody_listening_is_transient_with_a_hint(void **state)
{
    struct fixture *f = *state;
    struct http_request request = { .method = "GET", .url = "http://127.0.0.1:1/" };

    assert_int_equal(send_request(f, &request), ERR_TRANSIENT);

    assert_string_equal(f->e.detail, "CURLE_COULDNT_CONNECT");
    assert_true(f->e.hint[0]);
}

static void a_reply_larger_than_allowed_is_refused(void **state)
{
    static const struct server_step steps[] = { { OK_LINE "Connection: close\r\n\r\n", 5001, SERVER_CLOSE } };
    struct fixture *f = *state;
    serve(f, steps, 1);
    struct http_request request = { .method = "GET", .url = url_of(f, "/?secret"), .reply_max = 5000 };

    assert_int_equal(send_request(f, &request), ERR_QUOTA);

    assert_non_null(strstr(f->e.message, "5000"));
    assert_null(strstr(f->e.message, "secret"));
}

static void a_reply_as_large_as_allowed_is_kept(void **state)
{
    static const struct server_step steps[] = { { OK_LINE "Content-Length: 5000\r\n\r\n", 5000, SERVER_KEEP } };
    struct fixture *f = *state;
    serve(f, steps, 1);
    struct http_request request = { .method = "GET", .url = url_of(f, "/"), .reply_max = 5000 };

    assert_int_equal(send_request(f, &request), 0);

    assert_int_equal(f->reply.body_len, 5000);
    assert_int_equal(strlen(f->reply.body), 5000);
}

static char *many_headers(struct fixture *f, size_t count, const char *value)
{
    AUTO_BUF struct buf text = { 0 };

    buf_add_text(&text, OK_LINE "Content-Length: 0\r\n");
    for (size_t i = 1; i < count; i++)
        buf_printf(&text, "X-Header-%zu: %s\r\n", i, value);
    buf_add_text(&text, "\r\n");
    return arena_copy(f->mem, buf_text(&text));
}

static void one_header_more_than_allowed_is_refused(void **state)
{
    struct fixture *f = *state;
    struct server_step step = { many_headers(f, HTTP_HEADERS_MAX + 1, "v"), 0, SERVER_CLOSE };
    serve(f, &step, 1);

    assert_int_equal(get(f, "/"), ERR_QUOTA);
}

static void as_many_headers_as_allowed_are_kept(void **state)
{
    struct fixture *f = *state;
    struct server_step step = { many_headers(f, HTTP_HEADERS_MAX, "v"), 0, SERVER_KEEP };
    serve(f, &step, 1);

    assert_int_equal(get(f, "/"), 0);

    assert_int_equal(f->reply.header_count, HTTP_HEADERS_MAX);
    assert_string_equal(http_reply_header(&f->reply, "x-header-100"), "v");
    assert_null(http_reply_header(&f->reply, "x-header-1000"));
}

static void headers_of_more_bytes_than_allowed_are_refused(void **state)
{
    struct fixture *f = *state;
    char *value = arena_alloc(f->mem, 2001);
    memset(value, 'v', 2000);
    struct server_step step = { many_headers(f, 40, value), 0, SERVER_CLOSE };
    serve(f, &step, 1);

    assert_int_equal(get(f, "/"), ERR_QUOTA);
}

static void a_peer_that_speaks_no_http_is_a_wrong_address(void **state)
{
    static const struct server_step steps[] = { { "SSH-2.0-OpenSSH_9.2\r\n", 0, SERVER_CLOSE } };
    struct fixture *f = *state;
    serve(f, steps, 1);

    assert_int_equal(get(f, "/"), ERR_INVALID);
}

static void other_schemes_are_refused(void **state)
{
    static const char *const urls[] = { "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "" };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct http_request request = { .method = "GET", .url = urls[i] };
        assert_int_equal(send_request(f, &request), ERR_INVALID);
    }
}

static void a_line_break_in_a_header_is_refused_and_not_sent(void **state)
{
    static const struct server_step steps[] = { { HELLO, 0, SERVER_KEEP } };
    struct fixture *f = *state;
    struct http_header headers[] = { { "X-Name", "a\r\nX-Other: b" }, { "X: Y", "b" }, { "", "c" } };
    serve(f, steps, 1);

    for (size_t i = 0; i < 3; i++) {
        struct http_request request = { .method = "GET", .url = url_of(f, "/"), .headers = &headers[i], .header_count = 1 };
        assert_int_equal(send_request(f, &request), ERR_INVALID);
    }

    assert_int_equal(server_requests(f->server), 0);
}

static void a_password_in_an_address_is_not_shown(void **state)
{
    struct fixture *f = *state;

    const char *shown = http_url_shown(f->mem, "https://user:p@ss@host:8443/a?b=c#d");

    assert_string_equal(shown, "https://host:8443/a");
}

static void a_redirect_is_a_reply_and_is_not_followed(void **state)
{
    static const struct server_step steps[] = {
        { "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 0, SERVER_KEEP }
    };
    struct fixture *f = *state;
    serve(f, steps, 1);

    assert_int_equal(get(f, "/"), 0);

    assert_int_equal(f->reply.status, 302);
    assert_string_equal(http_reply_header(&f->reply, "location"), "http://127.0.0.1:1/");
}

static void any_status_is_a_success_and_1xx_are_passed_over(void **state)
{
    static const struct server_step steps[] = {
        { "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\nHTTP/1.1 503 Slow Down\r\nContent-Length: 2\r\n\r\nno", 0, SERVER_KEEP }
    };
    struct fixture *f = *state;
    serve(f, steps, 1);

    assert_int_equal(get(f, "/"), 0);

    assert_int_equal(f->reply.status, 503);
    assert_string_equal(f->reply.body, "no");
    assert_null(http_reply_header(&f->reply, "x-early"));
}

static void a_chunked_reply_is_put_together(void **state)
{
    static const struct server_step steps[] = {
        { OK_LINE "Transfer-Encoding: chunked\r\nX-Padded:  \t v \r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 0, SERVER_KEEP }
    };
    struct fixture *f = *state;
    serve(f, steps, 1);

    assert_int_equal(get(f, "/"), 0);

    assert_string_equal(f->reply.body, "hello");
    assert_string_equal(http_reply_header(&f->reply, "x-padded"), "v");
}

static void nothing_is_sent_that_was_not_asked_for(void **state)
{
    static const struct server_step steps[] = { { HELLO, 0, SERVER_KEEP } };
    struct fixture *f = *state;
    struct http_header headers[] = { { "X-One", "1" }, { "X-Empty", "" } };
    serve(f, steps, 1);
    struct http_request request = { .method = "POST",
                                    .url = url_of(f, "/a//../b/./%7e?q=%2B"),
                                    .headers = headers,
                                    .header_count = 2,
                                    .body = "body",
                                    .body_len = 4 };

    assert_int_equal(send_request(f, &request), 0);

    assert_string_equal(server_request(f->server, 0),
                        arena_printf(f->mem,
                                     "POST /a//../b/./%%7e?q=%%2B HTTP/1.1\r\nHost: %s\r\nUser-Agent: berth-test\r\n"
                                     "X-One: 1\r\nX-Empty:\r\nContent-Length: 4\r\n\r\nbody",
                                     server_url(f->server) + strlen("http://")));
}

static void each_method_is_sent_with_the_body_length_it_has(void **state)
{
    static const struct server_step steps[] = { { OK_LINE "Content-Length: 0\r\n\r\n", 0, SERVER_KEEP } };
    static const char *const methods[] = { "GET", "HEAD", "DELETE", "POST", "PUT" };
    struct fixture *f = *state;
    serve(f, steps, 1);

    for (size_t i = 0; i < 5; i++) {
        struct http_request request = { .method = methods[i], .url = url_of(f, "/") };
        assert_int_equal(send_request(f, &request), 0);
        const char *seen = server_request(f->server, i);
        assert_int_equal(strncmp(seen, methods[i], strlen(methods[i])), 0);
        assert_int_equal(strstr(seen, "Content-Length: 0") != NULL, i >= 3);
    }
}

static void a_head_reply_has_a_length_and_no_body(void **state)
{
    static const struct server_step steps[] = { { OK_LINE "Content-Length: 12345\r\n\r\n", 0, SERVER_KEEP } };
    struct fixture *f = *state;
    serve(f, steps, 1);
    struct http_request request = { .method = "HEAD", .url = url_of(f, "/"), .timeout_ms = 2000 };

    assert_int_equal(send_request(f, &request), 0);

    assert_string_equal(http_reply_header(&f->reply, "content-length"), "12345");
    assert_int_equal(f->reply.body_len, 0);
}

static void a_large_body_is_sent_without_waiting_to_be_told_to(void **state)
{
    static const struct server_step steps[] = { { OK_LINE "Content-Length: 0\r\n\r\n", 0, SERVER_CLOSE } };
    struct fixture *f = *state;
    char *body = arena_alloc(f->mem, 3 * 1024 * 1024);
    serve(f, steps, 1);
    struct http_request request = {
        .method = "PUT", .url = url_of(f, "/"), .body = body, .body_len = 60 * 1024, .timeout_ms = 5000
    };

    assert_int_equal(send_request(f, &request), 0);

    assert_null(strcasestr(server_request(f->server, 0), "expect:"));
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
    static const struct server_step steps[] = { { HELLO, 0, SERVER_KEEP }, { HELLO, 0, SERVER_CLOSE }, { HELLO, 0, SERVER_KEEP } };
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

static void only_unreserved_characters_stay_as_they_are(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(http_encode(f->mem, "aZ09-._~", false), "aZ09-._~");
    assert_string_equal(http_encode(f->mem, "a/b c+d*é", false), "a%2Fb%20c%2Bd%2A%C3%A9");
    assert_string_equal(http_encode(f->mem, "a/b", true), "a/b");
    assert_string_equal(http_encode(f->mem, "", true), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_peer_that_hangs_up_before_replying_is_transient),
        TEST(half_a_reply_is_transient_and_not_a_reply),
        TEST(half_a_chunked_reply_is_transient),
        TEST(a_connection_reset_midway_is_transient),
        TEST(a_silent_peer_times_out_and_is_named_without_its_query),
        TEST(a_peer_that_falls_silent_midway_ends_a_streamed_reply),
        TEST(nobody_listening_is_transient_with_a_hint),
        TEST(a_reply_larger_than_allowed_is_refused),
        TEST(one_header_more_than_allowed_is_refused),
        TEST(headers_of_more_bytes_than_allowed_are_refused),
        TEST(a_peer_that_speaks_no_http_is_a_wrong_address),
        TEST(other_schemes_are_refused),
        TEST(a_line_break_in_a_header_is_refused_and_not_sent),
        TEST(a_password_in_an_address_is_not_shown),
        TEST(a_sink_that_refuses_ends_the_exchange_with_its_own_error),
        TEST(a_redirect_is_a_reply_and_is_not_followed),
        TEST(any_status_is_a_success_and_1xx_are_passed_over),
        TEST(a_chunked_reply_is_put_together),
        TEST(a_reply_as_large_as_allowed_is_kept),
        TEST(as_many_headers_as_allowed_are_kept),
        TEST(nothing_is_sent_that_was_not_asked_for),
        TEST(each_method_is_sent_with_the_body_length_it_has),
        TEST(a_head_reply_has_a_length_and_no_body),
        TEST(a_large_body_is_sent_without_waiting_to_be_told_to),
        TEST(a_sink_gets_a_success_and_never_an_errors_body),
        TEST(a_connection_is_used_again_and_replaced_when_the_peer_closed_it),
        TEST(many_threads_share_the_transport),
        TEST(only_unreserved_characters_stay_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
