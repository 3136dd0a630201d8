/* One table of method, path and handler; and the answer's text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "fcgi/router.h"

static char seen[256];

static void show(void *context, struct request *request, struct response *response)
{
    (void)context, (void)response;
    snprintf(seen, sizeof seen, "show %s", request_value(request, "app"));
}

static void release(void *context, struct request *request, struct response *response)
{
    (void)context, (void)response;
    snprintf(seen, sizeof seen, "release %s of %s, cursor %s", request_value(request, "release"),
             request_value(request, "app"), request_query(request, "cursor"));
}

static void change(void *context, struct request *request, struct response *response)
{
    (void)context, (void)request;
    snprintf(seen, sizeof seen, "change");
    response->status = 303;
}

static void refuse(void *context, struct request *request, struct response *response, int status, const char *message)
{
    (void)context, (void)request;
    snprintf(seen, sizeof seen, "refuse %d", status);
    response_error(response, status, "refused", message, NULL);
}

static bool is_digits(const char *text)
{
    return *text != '\0' && strspn(text, "0123456789") == strlen(text);
}

static const struct route routes[] = {
    { "GET", "/apps/{app}", show, { { NULL, FIELD_IN_PATH, NULL } }, NULL },
    { "POST", "/apps/{app}", change, { { NULL, FIELD_IN_PATH, NULL } }, NULL },
    { "GET",
      "/apps/{app}/releases/{release}",
      release,
      { { "release", FIELD_IN_PATH, is_digits }, { "cursor", FIELD_IN_QUERY, is_digits } },
      NULL },
    { "GET", "/", change, { { NULL, FIELD_IN_PATH, NULL } }, NULL },
};

static const struct application application = { .name = "test", .routes = routes, .route_count = 4, .refuse = refuse };

struct asked {
    struct arena *mem;
    struct response response;
};

static void ask(struct asked *a, const char *method, const char *target)
{
    struct request request = { .method = method };

    *a = (struct asked){ .mem = arena_new() };
    request.mem = a->mem;
    request_set_target(&request, target);
    response_init(&a->response);
    *seen = '\0';
    router_answer(&application, &request, &a->response);
}

static void done(struct asked *a)
{
    response_free(&a->response);
    arena_free(a->mem);
}

static void what_no_route_has_is_not_found(void **state)
{
    static const char *const targets[] = { "/apps",
                                           "/apps/",
                                           "/apps/shop/",
                                           "//apps/shop",
                                           "/apps//x",
                                           "/apps/shop/releases/",
                                           "/apps/shop/releases/1/x",
                                           "/Apps/shop",
                                           "/app/shop",
                                           "/appsx/shop" };
    (void)state;

    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        struct asked a;
        ask(&a, "GET", targets[i]);
        assert_string_equal(seen, "refuse 404");
        assert_int_equal(a.response.status, 404);
        done(&a);
    }
}

static void a_malformed_path_is_a_bad_request(void **state)
{
    struct asked a;
    (void)state;

    ask(&a, "GET", "/apps/%00");

    assert_string_equal(seen, "refuse 400");
    done(&a);
}

static void another_method_is_told_which_there_are(void **state)
{
    struct asked a;
    (void)state;

    ask(&a, "DELETE", "/apps/shop");

    assert_int_equal(a.response.status, 405);
    assert_string_equal(a.response.headers[0].name, "Allow");
    assert_string_equal(a.response.headers[0].value, "GET, HEAD, POST");
    done(&a);
}

static void a_field_that_fails_its_check_never_reaches_the_handler(void **state)
{
    struct asked a;
    (void)state;

    ask(&a, "GET", "/apps/shop/releases/x");
    assert_string_equal(seen, "refuse 404");
    done(&a);
    ask(&a, "GET", "/apps/shop/releases/1?cursor=x");
    assert_string_equal(seen, "refuse 400");
    done(&a);
    ask(&a, "GET", "/apps/shop/releases/1?cursor=%zz");
    assert_string_equal(seen, "refuse 400");
    done(&a);
}

static void a_handler_gets_the_path_s_values(void **state)
{
    struct asked a;
    (void)state;

    ask(&a, "GET", "/apps/sh%20op");
    assert_string_equal(seen, "show sh op");
    done(&a);
    ask(&a, "GET", "/apps/shop/releases/12?cursor=7");
    assert_string_equal(seen, "release 12 of shop, cursor 7");
    done(&a);
}

static void head_is_answered_by_get_s_handler(void **state)
{
    struct asked a;
    (void)state;

    ask(&a, "HEAD", "/apps/shop");

    assert_string_equal(seen, "show shop");
    done(&a);
}

static void an_answer_has_its_length_and_of_a_head_no_body(void **state)
{
    AUTO_BUF struct buf out = { 0 };
    struct response response;
    (void)state;
    response_init(&response);
    response_error(&response, 404, "not_found", "There is \"nothing\".", NULL);
    response_header(&response, "Allow", "GET");

    response_write(&response, false, &out);
    assert_string_equal(
        buf_text(&out),
        "Status: 404 Not Found\r\nContent-Type: application/json\r\nAllow: GET\r\nContent-Length: 65\r\n\r\n"
        "{\"error\":{\"code\":\"not_found\",\"message\":\"There is \\\"nothing\\\".\"}}\n");
    buf_clear(&out);
    response_write(&response, true, &out);
    assert_non_null(strstr(buf_text(&out), "Content-Length: 65\r\n\r\n"));
    assert_null(strchr(buf_text(&out), '{'));
    response_free(&response);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_no_route_has_is_not_found),
        cmocka_unit_test(a_malformed_path_is_a_bad_request),
        cmocka_unit_test(another_method_is_told_which_there_are),
        cmocka_unit_test(a_field_that_fails_its_check_never_reaches_the_handler),
        cmocka_unit_test(a_handler_gets_the_path_s_values),
        cmocka_unit_test(head_is_answered_by_get_s_handler),
        cmocka_unit_test(an_answer_has_its_length_and_of_a_head_no_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
