/* One exchange with a scripted peer: what is refused, what is sent, what is kept of a reply. */
#include "core/base/buf.h"
#include "tests/unit/net_fixture.h"

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
    static const struct server_step steps[] = { { OK_LINE "Transfer-Encoding: chunked\r\n\r\nff\r\nhalf", 0,
                                                  SERVER_CLOSE } };
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
        struct http_request request = {
            .method = "GET", .url = url_of(f, "/"), .headers = &headers[i], .header_count = 1
        };
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
        { "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\nHTTP/1.1 503 Slow Down\r\nContent-Length: 2\r\n\r\nno", 0,
          SERVER_KEEP }
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
        { OK_LINE "Transfer-Encoding: chunked\r\nX-Padded:  \t v \r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 0,
          SERVER_KEEP }
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

static void only_unreserved_characters_stay_as_they_are(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(http_encode(f->mem, "aZ09-._~", false), "aZ09-._~");
    assert_string_equal(http_encode(f->mem, "a/b c+d*é", false), "a%2Fb%20c%2Bd%2A%C3%A9");
    assert_string_equal(http_encode(f->mem, "a/b", true), "a/b");
    assert_string_equal(http_encode(f->mem, "", true), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(a_peer_that_hangs_up_before_replying_is_transient),
        NET_TEST(half_a_reply_is_transient_and_not_a_reply),
        NET_TEST(half_a_chunked_reply_is_transient),
        NET_TEST(a_connection_reset_midway_is_transient),
        NET_TEST(a_silent_peer_times_out_and_is_named_without_its_query),
        NET_TEST(nobody_listening_is_transient_with_a_hint),
        NET_TEST(a_reply_larger_than_allowed_is_refused),
        NET_TEST(one_header_more_than_allowed_is_refused),
        NET_TEST(headers_of_more_bytes_than_allowed_are_refused),
        NET_TEST(a_peer_that_speaks_no_http_is_a_wrong_address),
        NET_TEST(other_schemes_are_refused),
        NET_TEST(a_line_break_in_a_header_is_refused_and_not_sent),
        NET_TEST(a_password_in_an_address_is_not_shown),
        NET_TEST(a_redirect_is_a_reply_and_is_not_followed),
        NET_TEST(any_status_is_a_success_and_1xx_are_passed_over),
        NET_TEST(a_chunked_reply_is_put_together),
        NET_TEST(a_reply_as_large_as_allowed_is_kept),
        NET_TEST(as_many_headers_as_allowed_are_kept),
        NET_TEST(nothing_is_sent_that_was_not_asked_for),
        NET_TEST(each_method_is_sent_with_the_body_length_it_has),
        NET_TEST(a_head_reply_has_a_length_and_no_body),
        NET_TEST(a_large_body_is_sent_without_waiting_to_be_told_to),
        NET_TEST(only_unreserved_characters_stay_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
