/* GitHub's REST API over a scripted transport: where the token goes, what each refusal means, and archives that are cut off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/json.h"
#include "core/github/rest.h"
#include "tests/unit/support_server.h"
#include "tests/unit/support_transport.h"

#define API "https://api.github.com"
#define SHA "1a2b3c4d5e6f7081920a1b2c3d4e5f6071829304"
#define ZIPBALL API "/repos/acme/shop/zipball/" SHA
#define TOKEN "ghp_verysecret"

struct fixture {
    struct fake_transport *fake;
    struct secret *token;
    struct github gh;
    struct buf got;
    int64_t bytes;
    struct err e;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->fake = fake_new();
    f->token = secret_from_text(TOKEN);
    f->gh = (struct github){ .transport = fake_http(f->fake), .api_url = API, .token = f->token };
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    fake_free(f->fake);
    secret_free(f->token);
    buf_free(&f->got);
    free(f);
    return 0;
}

static int keep(void *context, const void *bytes, size_t len, struct err *e)
{
    (void)e;
    buf_add(context, bytes, len);
    return 0;
}

static int refuse(void *context, const void *bytes, size_t len, struct err *e)
{
    (void)context, (void)bytes, (void)len;
    return err_set(e, ERR_CONFLICT, "the sink is full");
}

static int archive(struct fixture *f)
{
    return github_archive(&f->gh, "acme/shop", SHA, keep, &f->got, &f->bytes, &f->e);
}

static void the_token_stays_behind_on_a_redirect_to_another_origin(void **state)
{
    static const char *const others[] = { "https://codeload.github.com/acme/shop/legacy.zip/" SHA "?token=once",
                                          "https://api.github.com:8443/elsewhere",
                                          "https://api.github.com.evil.example/x" };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct fixture *f = *state;
        struct fake_transport *fake = fake_new();
        char location[256];
        snprintf(location, sizeof location, "location: %s\n", others[i]);
        f->gh.transport = fake_http(fake);
        fake_expect(fake, "GET", ZIPBALL, NULL);
        fake_reply(fake, 302, location, "");
        fake_expect(fake, "GET", NULL, NULL);
        fake_reply(fake, 200, NULL, "PK");

        assert_int_equal(archive(f), 0);

        assert_string_equal(fake_header(fake, 0, "Authorization"), "Bearer " TOKEN);
        assert_string_equal(fake_url(fake, 1), others[i]);
        assert_null(fake_header(fake, 1, "Authorization"));
        fake_done(fake);
        fake_free(fake);
    }
}

static void the_token_goes_along_on_a_redirect_within_the_api(void **state)
{
    static const char *const same[] = { "/repositories/7/zipball/x", "https://api.github.com/repositories/7/zipball/x",
                                        "HTTPS://API.github.com:443/repositories/7/zipball/x" };

    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct fixture *f = *state;
        struct fake_transport *fake = fake_new();
        char location[256];
        snprintf(location, sizeof location, "location: %s\n", same[i]);
        f->gh.transport = fake_http(fake);
        fake_expect(fake, "GET", ZIPBALL, NULL);
        fake_reply(fake, 301, location, "");
        fake_expect(fake, "GET", NULL, NULL);
        fake_reply(fake, 200, NULL, "PK");

        assert_int_equal(archive(f), 0);

        assert_string_equal(fake_header(fake, 1, "Authorization"), "Bearer " TOKEN);
        assert_non_null(strstr(fake_url(fake, 1), "/repositories/7/zipball/x"));
        fake_done(fake);
        fake_free(fake);
    }
}

static void a_redirect_that_leads_nowhere_good_is_refused(void **state)
{
    static const char *const bad[] = { "location: http://codeload.github.com/x\n", "location: file:///etc/passwd\n",
                                       "location: //codeload.github.com/x\n",
                                       "location: https://u:p@codeload.github.com/x\n", "x-nothing: here\n" };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct fixture *f = *state;
        struct fake_transport *fake = fake_new();
        f->gh.transport = fake_http(fake);
        fake_expect(fake, "GET", ZIPBALL, NULL);
        fake_reply(fake, 302, bad[i], "");

        assert_int_equal(archive(f), ERR_INVALID);

        assert_int_equal(fake_count(fake), 1);
        fake_free(fake);
    }
}

static void redirects_end_after_five(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < GITHUB_REDIRECTS_MAX + 1; i++) {
        fake_expect(f->fake, "GET", NULL, NULL);
        fake_reply(f->fake, 302, "location: https://api.github.com/again\n", "");
    }

    assert_int_equal(archive(f), ERR_INVALID);

    fake_done(f->fake);
    assert_non_null(strstr(f->e.message, "more than 5"));
}

static void each_refusal_means_what_the_caller_must_do(void **state)
{
    static const struct {
        int status;
        const char *headers;
        int code;
    } cases[] = {
        { 401, NULL, ERR_DENIED },
        { 403, NULL, ERR_DENIED },
        { 403, "x-ratelimit-remaining: 12\n", ERR_DENIED },
        { 403, "x-ratelimit-remaining: 0\n", ERR_THROTTLED },
        { 403, "retry-after: 60\n", ERR_THROTTLED },
        { 429, NULL, ERR_THROTTLED },
        { 404, NULL, ERR_NOT_FOUND },
        { 409, NULL, ERR_INVALID },
        { 422, NULL, ERR_INVALID },
        { 408, NULL, ERR_TRANSIENT },
        { 500, NULL, ERR_TRANSIENT },
        { 503, NULL, ERR_TRANSIENT },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture *f = *state;
        struct fake_transport *fake = fake_new();
        f->gh.transport = fake_http(fake);
        fake_expect(fake, "GET", ZIPBALL, NULL);
        fake_reply(fake, cases[i].status, cases[i].headers, "{\"message\":\"no luck\"}");

        assert_int_equal(archive(f), cases[i].code);

        assert_non_null(strstr(f->e.message, "acme/shop"));
        assert_non_null(strstr(f->e.message, "no luck"));
        assert_null(strstr(f->e.message, TOKEN));
        fake_free(fake);
    }
    assert_int_equal(((struct fixture *)*state)->got.len, 0);
}

static void a_missing_repository_s_hint_depends_on_whether_there_is_a_token(void **state)
{
    struct fixture *f = *state;
    fake_expect(f->fake, "GET", ZIPBALL, NULL);
    fake_reply(f->fake, 404, NULL, "{}");
    fake_expect(f->fake, "GET", ZIPBALL, NULL);
    fake_reply(f->fake, 404, NULL, "{}");

    archive(f);
    assert_non_null(strstr(f->e.hint, "may not see"));
    f->gh.token = NULL;
    archive(f);

    assert_non_null(strstr(f->e.hint, "a token is needed"));
    assert_null(fake_header(f->fake, 1, "Authorization"));
}

static void an_archive_that_is_cut_off_is_transient(void **state)
{
    static const struct server_step cut[] = {
        { .send = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nPK half", .after = SERVER_CLOSE },
        { .send = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nPK half\r\n", .after = SERVER_CLOSE },
        { .send = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nPK half", .after = SERVER_CLOSE },
        { .send = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nPK half", .after = SERVER_RESET },
        { .send = NULL, .after = SERVER_CLOSE },
    };
    struct http_curl *curl = NULL;
    struct fixture *f = *state;
    assert_int_equal(http_curl_new("berth-test", &curl, &f->e), 0);

    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        struct server *server = server_new(&cut[i], 1);
        f->gh = (struct github){ .transport = http_curl_transport(curl), .api_url = server_url(server) };
        if (archive(f) != ERR_TRANSIENT)
            fail_msg("case %zu: %s", i, f->e.message);
        server_free(server);
    }
    http_curl_free(curl);
}

static void what_the_sink_refuses_ends_the_archive(void **state)
{
    struct fixture *f = *state;
    fake_expect(f->fake, "GET", ZIPBALL, NULL);
    fake_reply(f->fake, 200, NULL, "PK and so on");

    assert_int_equal(github_archive(&f->gh, "acme/shop", SHA, refuse, NULL, &f->bytes, &f->e), ERR_CONFLICT);

    assert_non_null(strstr(f->e.message, "the sink is full"));
}

static void an_archive_is_handed_on_whole(void **state)
{
    struct fixture *f = *state;
    fake_expect(f->fake, "GET", ZIPBALL, NULL);
    fake_reply_bytes(f->fake, 200, NULL, "PK\0with\0zeroes", 14);

    assert_int_equal(archive(f), 0);

    assert_int_equal(f->bytes, 14);
    assert_memory_equal(f->got.data, "PK\0with\0zeroes", 14);
    assert_string_equal(fake_header(f->fake, 0, "Accept"), "application/vnd.github+json");
    assert_string_equal(fake_header(f->fake, 0, "X-GitHub-Api-Version"), "2022-11-28");
}

static void a_branch_s_head_that_can_t_be_read_is_refused(void **state)
{
    static const char *const bad[] = { "", "[]", "{\"commit\":{}}", "{\"commit\":{\"sha\":7}}", "<html>" };
    struct fixture *f = *state;
    AUTO_ARENA struct arena *mem = arena_new();

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct github_commit commit = { 0 };
        fake_expect(f->fake, "GET", NULL, NULL);
        fake_reply(f->fake, 200, NULL, bad[i]);
        assert_int_equal(github_branch_head(&f->gh, "acme/shop", "main", mem, &commit, &f->e), ERR_INVALID);
        assert_null(commit.sha);
    }
}

static void a_branch_s_head_is_its_commit(void **state)
{
    struct fixture *f = *state;
    AUTO_ARENA struct arena *mem = arena_new();
    struct github_commit commit = { 0 };
    fake_expect(f->fake, "GET", API "/repos/acme/shop/branches/release/1%20x", NULL);
    fake_reply(f->fake, 200, NULL,
               "{\"name\":\"release/1 x\",\"commit\":{\"sha\":\"" SHA
               "\",\"commit\":{\"message\":\"Open\\n\\nAll day.\"}}}");

    assert_int_equal(github_branch_head(&f->gh, "acme/shop", "release/1 x", mem, &commit, &f->e), 0);

    assert_string_equal(commit.sha, SHA);
    assert_string_equal(commit.title, "Open");
    fake_done(f->fake);
}

static void a_branch_that_is_gone_is_told_from_a_repository_that_is(void **state)
{
    struct fixture *f = *state;
    AUTO_ARENA struct arena *mem = arena_new();
    struct github_commit commit = { 0 };
    fake_expect(f->fake, "GET", API "/repos/acme/shop/branches/main", NULL);
    fake_reply(f->fake, 404, NULL, "{\"message\":\"Branch not found\"}");
    fake_expect(f->fake, "GET", API "/repos/acme/shop", NULL);
    fake_reply(f->fake, 200, NULL, "{\"id\":1}");

    assert_int_equal(github_branch_head(&f->gh, "acme/shop", "main", mem, &commit, &f->e), ERR_NOT_FOUND);
    assert_true(err_is(&f->e, GITHUB_NO_BRANCH));

    fake_expect(f->fake, "GET", API "/repos/acme/shop/branches/main", NULL);
    fake_reply(f->fake, 404, NULL, "{\"message\":\"Not Found\"}");
    fake_expect(f->fake, "GET", API "/repos/acme/shop", NULL);
    fake_reply(f->fake, 404, NULL, "{\"message\":\"Not Found\"}");
    assert_int_equal(github_branch_head(&f->gh, "acme/shop", "main", mem, &commit, &f->e), ERR_NOT_FOUND);
    assert_false(err_is(&f->e, GITHUB_NO_BRANCH));

    fake_expect(f->fake, "GET", API "/repos/acme/shop/branches/main", NULL);
    fake_reply(f->fake, 404, NULL, "{\"message\":\"Not Found\"}");
    fake_expect(f->fake, "GET", API "/repos/acme/shop", NULL);
    fake_reply(f->fake, 502, NULL, "");
    assert_int_equal(github_branch_head(&f->gh, "acme/shop", "main", mem, &commit, &f->e), ERR_TRANSIENT);
    fake_done(f->fake);
}

static void a_commit_is_found_by_its_beginning(void **state)
{
    struct fixture *f = *state;
    AUTO_ARENA struct arena *mem = arena_new();
    struct github_commit commit = { 0 };
    fake_expect(f->fake, "GET", API "/repos/acme/shop/commits/1a2b3c4", NULL);
    fake_reply(f->fake, 200, NULL, "{\"sha\":\"" SHA "\",\"commit\":{\"message\":\"Open\"}}");

    assert_int_equal(github_commit_find(&f->gh, "acme/shop", "1a2b3c4", mem, &commit, &f->e), 0);

    assert_string_equal(commit.sha, SHA);
    assert_string_equal(commit.title, "Open");
    fake_done(f->fake);
}

static void a_status_s_description_is_cut_where_github_would_refuse_it(void **state)
{
    struct fixture *f = *state;
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *body = NULL;
    char description[400];
    memset(description, 'x', sizeof description - 1);
    description[sizeof description - 1] = '\0';
    fake_expect(f->fake, "POST", API "/repos/acme/shop/statuses/" SHA, NULL);
    fake_reply(f->fake, 201, NULL, "{}");

    assert_int_equal(
        github_set_status(&f->gh, "acme/shop", SHA, GITHUB_FAILURE, "berth/shop", description, NULL, &f->e), 0);

    assert_int_equal(json_parse(fake_body(f->fake, 0), fake_body_len(f->fake, 0), &body, &f->e), 0);
    assert_int_equal(strlen(json_find_text(body, "/description", mem)), 140);
    assert_string_equal(json_find_text(body, "/state", mem), "failure");
    assert_string_equal(json_find_text(body, "/context", mem), "berth/shop");
    assert_null(json_at(body, "/target_url"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_token_stays_behind_on_a_redirect_to_another_origin),
        TEST(the_token_goes_along_on_a_redirect_within_the_api),
        TEST(a_redirect_that_leads_nowhere_good_is_refused),
        TEST(redirects_end_after_five),
        TEST(each_refusal_means_what_the_caller_must_do),
        TEST(a_missing_repository_s_hint_depends_on_whether_there_is_a_token),
        TEST(an_archive_that_is_cut_off_is_transient),
        TEST(what_the_sink_refuses_ends_the_archive),
        TEST(an_archive_is_handed_on_whole),
        TEST(a_branch_s_head_that_can_t_be_read_is_refused),
        TEST(a_branch_s_head_is_its_commit),
        TEST(a_branch_that_is_gone_is_told_from_a_repository_that_is),
        TEST(a_commit_is_found_by_its_beginning),
        TEST(a_status_s_description_is_cut_where_github_would_refuse_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
