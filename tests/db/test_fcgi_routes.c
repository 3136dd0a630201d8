/* Every route of the admin pages, by the table: without sign-in, without token, from elsewhere, by another method, with hostile input. A new row is tried by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/hash.h"
#include "core/base/text.h"
#include "fcgi/admin.h"
#include "fcgi/application.h"
#include "fcgi/csrf.h"
#include "fcgi/link.h"
#include "tests/db/harness.h"
#include "tests/unit/support_clock.h"

#define HOST "berth.example.org"
#define HOSTILE "\"><script>alert('1')</script>&\xe2\x80\xae"
#define RAW "<script>alert"
#define FORM_TYPE "application/x-www-form-urlencoded"

struct fixture {
    struct harness_database *database;
    struct db_pool *super;
    struct settings settings;
    struct application application;
    struct fake_clock time;
    struct clock clock;
    struct arena *mem;
};

static const char *operators[] = { "operator", "second", NULL };

/* ---- Asking ---- */

struct ask {
    const char *method, *target, *user;
    const char *site, *origin, *type, *seen; /* headers; NULL: absent */
    const char *body;
    size_t read;
};

static const char *param(void *source, const char *name)
{
    const struct ask *ask = source;

    if (!strcmp(name, "HTTP_SEC_FETCH_SITE"))
        return ask->site;
    if (!strcmp(name, "HTTP_ORIGIN"))
        return ask->origin;
    if (!strcmp(name, "CONTENT_TYPE"))
        return ask->type;
    if (!strcmp(name, "HTTP_IF_NONE_MATCH"))
        return ask->seen;
    return strcmp(name, "HTTP_HOST") ? NULL : HOST;
}

static int read_body(void *source, void *to, size_t room, size_t *got, struct err *e)
{
    struct ask *ask = source;
    size_t left = ask->body ? strlen(ask->body) - ask->read : 0;

    (void)e;
    *got = left < room ? left : room;
    if (*got > 0)
        memcpy(to, ask->body + ask->read, *got);
    ask->read += *got;
    return 0;
}

static void seed(struct fixture *f); /* at the end of this file */

static struct response send(struct fixture *f, const struct ask *asked)
{
    struct ask ask = *asked;
    struct request request = { .mem = f->mem,
                               .method = ask.method,
                               .remote_user = ask.user,
                               .query = "",
                               .content_length = ask.body ? (int64_t)strlen(ask.body) : REQUEST_LENGTH_ABSENT,
                               .param = param,
                               .read = read_body,
                               .source = &ask };
    struct response response;

    response_init(&response);
    request_set_target(&request, ask.target);
    router_answer(&f->application, &request, &response);
    return response;
}

static const char *header(const struct response *response, const char *name)
{
    for (size_t i = 0; i < response->header_count; i++)
        if (!strcmp(response->headers[i].name, name))
            return response->headers[i].value;
    return NULL;
}

static void assert_safe(const struct ask *ask, const struct response *response)
{
    static const char *const wanted[] = { "Content-Security-Policy",
                                          "Cross-Origin-Opener-Policy",
                                          "Cross-Origin-Resource-Policy",
                                          "Permissions-Policy",
                                          "X-Content-Type-Options",
                                          "Referrer-Policy",
                                          "Cache-Control" };

    for (size_t w = 0; w < sizeof wanted / sizeof *wanted; w++) {
        size_t found = 0;
        for (size_t h = 0; h < response->header_count; h++)
            found += !strcmp(response->headers[h].name, wanted[w]);
        if (found != 1)
            fail_msg("%s %s: %zu headers %s in a %d", ask->method, ask->target, found, wanted[w], response->status);
    }
    if (strstr(buf_text(&response->body), RAW))
        fail_msg("%s %s echoes raw markup\n%s", ask->method, ask->target, buf_text(&response->body));
}

static void assert_answer(struct fixture *f, const struct ask *ask, int status)
{
    struct response response = send(f, ask);

    if (response.status != status)
        fail_msg("%s %s as %s: %d, not %d\nbody sent: %s\n%s", ask->method, ask->target,
                 ask->user ? ask->user : "nobody", response.status, status, ask->body ? ask->body : "none",
                 buf_text(&response.body));
    assert_safe(ask, &response);
    response_free(&response);
}

/* ---- The table ---- */

static const struct {
    const char *name, *sample;
} samples[] = { { "{app}", "shop" }, { "{release}", "1" }, { "{delivery}", "d-1" } };

/* hostile: of which place in the pattern it is; NULL: of none. */
static const char *path_of(const struct route *route, const char *hostile, struct arena *mem)
{
    const char *path = "";

    for (const char *c = route->pattern; *c;) {
        size_t len = *c == '{' ? strcspn(c, "}") + 1 : 1, s = 0;
        const char *piece = arena_copy_n(mem, c, len);
        while (*c == '{' && s < sizeof samples / sizeof *samples && strcmp(samples[s].name, piece) != 0)
            s++;
        if (s == sizeof samples / sizeof *samples)
            fail_msg("this test has no sample for %s", piece);
        if (*c == '{')
            piece = hostile == c ? link_encode("<script>alert(1)", mem) : samples[s].sample;
        path = arena_printf(mem, "%s%s", path, piece);
        c += len;
    }
    return path;
}

static bool is_change(const struct route *route)
{
    return route->handle == admin_take;
}

static const struct admin_change_route *change_of(const struct route *route)
{
    return route->detail;
}

static const char *token_for(struct fixture *f, const char *user, const char *form)
{
    struct admin *admin = f->application.context;
    AUTO_DB struct db *db = harness_take(admin->db);
    struct err e = { 0 };

    assert_int_equal(admin_load_key(admin, db, &e), 0);
    return csrf_token(admin->key, user, form, clock_now_ms(admin->clock), f->mem);
}

/* A form as a browser sends it, with its right token; text in each of its fields, NULL: none of them. */
static struct ask form_of(struct fixture *f, const struct route *route, const char *text)
{
    const char *body = arena_printf(f->mem, FORM_TOKEN "=%s", token_for(f, "operator", change_of(route)->form));

    for (const char *const *field = change_of(route)->fields; text && *field; field++)
        body = arena_printf(f->mem, "%s&%.*s=%s", body, (int)strcspn(*field, "*"), *field, link_encode(text, f->mem));
    return (struct ask){ .method = "POST",
                         .target = path_of(route, NULL, f->mem),
                         .user = "operator",
                         .site = "same-origin",
                         .origin = "https://" HOST,
                         .type = FORM_TYPE,
                         .body = body };
}

/* Of all rows of all tables. */
static int64_t state_of(struct fixture *f)
{
    return harness_number(
        f->super, NULL,
        "SELECT hashtext(string_agg(query_to_xml(format('SELECT x::text FROM berth.%I x ORDER BY 1', relname), true, "
        "false, '')::text, '' ORDER BY relname)) AS n"
        "  FROM pg_class WHERE relnamespace = 'berth'::regnamespace AND relkind = 'r'");
}

static void every_row_goes_through_the_door(void **state)
{
    size_t changes = 0;
    (void)state;

    assert_true(admin_route_count > 0);
    for (size_t i = 0; i < admin_route_count; i++) {
        const struct route *route = &admin_routes[i];
        assert_non_null(route->detail);
        if (strcmp(route->method, "GET") == 0) {
            assert_true(route->handle == admin_show || route->handle == admin_send);
            continue;
        }
        assert_string_equal(route->method, "POST");
        assert_true(is_change(route));
        assert_non_null(change_of(route)->change);
        assert_non_null(change_of(route)->fields);
        assert_non_null(change_of(route)->model);
        changes++;
        for (size_t other = 0; other < i; other++)
            assert_false(is_change(&admin_routes[other]) &&
                         !strcmp(change_of(&admin_routes[other])->form, change_of(route)->form));
    }
    assert_true(changes > 0);
}

static void every_value_in_a_path_is_checked(void **state)
{
    struct fixture *f = *state;
    size_t values = 0;

    for (size_t i = 0; i < admin_route_count; i++)
        for (const char *c = strchr(admin_routes[i].pattern, '{'); c; c = strchr(c + 1, '{'), values++) {
            struct ask ask = { .method = admin_routes[i].method,
                               .target = path_of(&admin_routes[i], c, f->mem),
                               .user = "operator" };
            assert_answer(f, &ask, 404);
        }
    assert_true(values > 0);
}

/* ---- Who gets in ---- */

static void nobody_but_an_operator_gets_in_and_the_database_is_not_even_asked(void **state)
{
    static const char *const users[] = { NULL, "", "visitor", "Operator", "operator ", "operator\n" };
    struct fixture *f = *state;
    struct settings settings = f->settings;
    struct fixture away = { .mem = f->mem };
    struct err e = { 0 };
    settings.database_admin = "host=/nonexistent dbname=berth user=berth_admin";
    assert_int_equal(admin_open(&settings, &away.application, &e), 0);

    for (size_t i = 0; i < admin_route_count; i++) {
        struct ask ask = { .method = admin_routes[i].method, .target = path_of(&admin_routes[i], NULL, f->mem) };
        for (size_t u = 0; u < sizeof users / sizeof *users; u++) {
            ask.user = users[u];
            assert_answer(&away, &ask, 403);
        }
    }
    away.application.close(away.application.context);
}

static void nobody_learns_which_addresses_there_are(void **state)
{
    static const struct ask asks[] = {
        { .method = "GET", .target = "/nothing" },
        { .method = "GET", .target = "/%00" },
        { .method = "DELETE", .target = "/" },
        { .method = "GET", .target = "/apps/Not-A-Name" },
        { .method = "GET", .target = "/audit?since=never" },
    };
    static const int signed_in[] = { 404, 400, 405, 404, 400 };
    static const char *const users[] = { NULL, "", "visitor" };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        struct ask ask = asks[i];
        for (size_t u = 0; u < sizeof users / sizeof *users; u++) {
            ask.user = users[u];
            assert_answer(f, &ask, 403);
        }
        ask.user = "operator";
        assert_answer(f, &ask, signed_in[i]);
    }
}

static void no_route_takes_another_method(void **state)
{
    static const char *const methods[] = { "GET",   "HEAD",    "POST",  "PUT", "DELETE",
                                           "PATCH", "OPTIONS", "TRACE", "get", "" };
    struct fixture *f = *state;

    for (size_t i = 0; i < admin_route_count; i++)
        for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
            struct ask ask = { .method = methods[m],
                               .target = path_of(&admin_routes[i], NULL, f->mem),
                               .user = "operator",
                               .site = "same-origin" };
            struct response response = send(f, &ask);
            const char *allow = header(&response, "Allow");
            if (response.status == 405) {
                assert_non_null(allow);
                assert_non_null(strstr(allow, admin_routes[i].method));
                assert_null(*methods[m] ? strstr(allow, methods[m]) : NULL);
                assert_safe(&ask, &response);
            } else if (strcmp(methods[m], "GET") != 0 && strcmp(methods[m], "HEAD") != 0 &&
                       strcmp(methods[m], "POST") != 0) {
                fail_msg("%s %s: %d, not 405", methods[m], ask.target, response.status);
            }
            response_free(&response);
        }
}

static void a_change_is_not_made_by_a_get(void **state)
{
    struct fixture *f = *state;
    int64_t before = state_of(f);

    for (size_t i = 0; i < admin_route_count; i++) {
        struct ask ask = { .method = "GET", .target = path_of(&admin_routes[i], NULL, f->mem), .user = "operator" };
        struct response response = send(f, &ask);
        assert_true(response.status == 405 || !is_change(&admin_routes[i]) || response.status == 200);
        response_free(&response);
    }
    assert_int_equal(state_of(f), before);
}

/* ---- Tokens and origins ---- */

static void assert_refused_with(struct fixture *f, const struct route *route, const char *token)
{
    struct ask ask = form_of(f, route, NULL);

    ask.body = token ? arena_printf(f->mem, FORM_TOKEN "=%s", token) : "";
    assert_answer(f, &ask, 403);
}

static void no_change_is_made_without_its_own_token(void **state)
{
    struct fixture *f = *state;
    int64_t before = state_of(f);

    for (size_t i = 0; i < admin_route_count; i++) {
        const struct route *route = &admin_routes[i];
        if (!is_change(route))
            continue;
        const char *right = token_for(f, "operator", change_of(route)->form);
        assert_refused_with(f, route, NULL);
        assert_refused_with(f, route, "");
        assert_refused_with(f, route, "1");
        assert_refused_with(f, route, arena_printf(f->mem, "9%s", right));
        assert_refused_with(f, route, arena_printf(f->mem, "%s0", right));
        assert_refused_with(f, route, arena_copy_n(f->mem, right, strlen(right) - 1));
        assert_refused_with(f, route, token_for(f, "second", change_of(route)->form));
        assert_refused_with(f, route, token_for(f, "operator", "another"));
        for (size_t other = 0; other < admin_route_count; other++)
            if (other != i && is_change(&admin_routes[other]))
                assert_refused_with(f, route, token_for(f, "operator", change_of(&admin_routes[other])->form));
    }
    assert_int_equal(state_of(f), before);
}

static void no_change_is_made_from_elsewhere_whatever_its_token(void **state)
{
    static const struct {
        const char *site, *origin;
    } from[] = { { "cross-site", NULL },
                 { "same-site", NULL },
                 { "none", NULL },
                 { "", NULL },
                 { "cross-site", "https://" HOST },
                 { NULL, "https://evil.example" },
                 { NULL, "https://" HOST ".evil.example" },
                 { NULL, "https://evil.example/" HOST },
                 { NULL, "https://" HOST ":8443" },
                 { NULL, "ftp://" HOST },
                 { NULL, "null" },
                 { NULL, "" } };
    struct fixture *f = *state;
    int64_t before = state_of(f);

    for (size_t i = 0; i < admin_route_count; i++)
        for (size_t o = 0; is_change(&admin_routes[i]) && o < sizeof from / sizeof *from; o++) {
            struct ask ask = form_of(f, &admin_routes[i], NULL);
            ask.site = from[o].site;
            ask.origin = from[o].origin;
            assert_answer(f, &ask, 403);
        }
    assert_int_equal(state_of(f), before);
}

static void a_page_that_was_open_too_long_is_shown_again_with_a_fresh_token(void **state)
{
    struct fixture *f = *state;
    int64_t before = state_of(f);

    for (size_t i = 0; i < admin_route_count; i++) {
        if (!is_change(&admin_routes[i]))
            continue;
        struct ask ask = form_of(f, &admin_routes[i], "typed");
        f->time.now_ms += CSRF_LIFE_MS;
        struct response response = send(f, &ask);
        assert_int_equal(response.status, 403);
        assert_non_null(strstr(buf_text(&response.body), "open for more than 12 hours"));
        assert_safe(&ask, &response);
        response_free(&response);
    }
    assert_int_equal(state_of(f), before);
}

/* ---- Bodies ---- */

static void a_body_that_is_no_form_is_refused(void **state)
{
    struct fixture *f = *state;
    int64_t before = state_of(f);
    char *large = arena_alloc(f->mem, FORM_BODY_MAX + 2);
    memset(large, 'a', FORM_BODY_MAX + 1);

    for (size_t i = 0; i < admin_route_count; i++) {
        if (!is_change(&admin_routes[i]))
            continue;
        struct ask ask = form_of(f, &admin_routes[i], NULL), other = ask;
        other.type = "application/json";
        assert_answer(f, &other, 415);
        other.type = NULL;
        assert_answer(f, &other, 415);
        other = ask;
        other.body = large;
        assert_answer(f, &other, 413);
        other.body = arena_printf(f->mem, "%s&%s", ask.body, ask.body);
        assert_answer(f, &other, 400);
        other.body = arena_printf(f->mem, "%s&x=%%00", ask.body);
        assert_answer(f, &other, 400);
    }
    assert_int_equal(state_of(f), before);
}

static void hostile_text_in_a_form_changes_nothing_or_is_taken_as_text(void **state)
{
    static const char *const texts[] = { HOSTILE,
                                         "",
                                         "-1",
                                         "99999999999999999999",
                                         "' OR 1=1 --",
                                         "../../etc/passwd",
                                         "=cmd|' /C calc'!A0",
                                         "%s%n",
                                         "a\r\nSet-Cookie: x=y" };
    struct fixture *f = *state;

    for (size_t i = 0; i < admin_route_count; i++)
        for (size_t t = 0;
             is_change(&admin_routes[i]) && *change_of(&admin_routes[i])->fields && t < sizeof texts / sizeof *texts;
             t++) {
            int64_t before = state_of(f);
            struct ask ask = form_of(f, &admin_routes[i], texts[t]);
            struct response response = send(f, &ask);
            if (response.status == 500)
                fail_msg("%s with \"%s\": 500\n%s", ask.target, texts[t], buf_text(&response.body));
            assert_safe(&ask, &response);
            if (response.status != 303)
                assert_int_equal(state_of(f), before);
            response_free(&response);
        }
}

static void hostile_text_in_a_query_is_refused_or_shown_as_text(void **state)
{
    struct fixture *f = *state;
    const char *text = link_encode(HOSTILE, f->mem);

    for (size_t i = 0; i < admin_route_count; i++) {
        const char *target = arena_printf(f->mem, "%s?done=%s&v=%s&unknown=%s", path_of(&admin_routes[i], NULL, f->mem),
                                          text, text, text);
        for (size_t n = 0; n <= ROUTE_FIELDS_MAX; n++) {
            bool named = n < ROUTE_FIELDS_MAX && admin_routes[i].fields[n].name;
            struct ask ask = { .method = admin_routes[i].method, .target = target, .user = "operator" };
            if (named)
                ask.target = arena_printf(f->mem, "%s&%s=%s", target, admin_routes[i].fields[n].name, text);
            struct response response = send(f, &ask);
            if (response.status == 500)
                fail_msg("%s: 500\n%s", ask.target, buf_text(&response.body));
            assert_safe(&ask, &response);
            response_free(&response);
        }
    }
}

/* ---- What a change answers ---- */

static const struct route *route_of(const char *form)
{
    for (size_t i = 0; i < admin_route_count; i++)
        if (is_change(&admin_routes[i]) && !strcmp(change_of(&admin_routes[i])->form, form))
            return &admin_routes[i];
    fail_msg("there is no form %s", form);
    return NULL;
}

static void a_change_leads_back_to_its_page_which_says_what_was_done(void **state)
{
    struct fixture *f = *state;
    struct ask ask = form_of(f, route_of("rollback"), "v1");

    struct response response = send(f, &ask);

    if (response.status != 303)
        fail_msg("%d, not 303\n%s", response.status, buf_text(&response.body));
    assert_string_equal(header(&response, "Location"), "/apps/shop?done=rolled-back&v=4&to=1");
    assert_int_equal(response.body.len, 0);
    assert_safe(&ask, &response);
    response_free(&response);
    response =
        send(f, &(struct ask){ .method = "GET", .target = "/apps/shop?done=rolled-back&v=4&to=1", .user = "operator" });
    assert_non_null(strstr(buf_text(&response.body), "v4 is on its way, with the image of v1"));
    response_free(&response);
    assert_int_equal(harness_number(f->super, NULL,
                                    "SELECT count(*) AS n FROM berth.audit_log WHERE actor = 'operator' AND "
                                    "action = 'app.rollback' AND app_name = 'shop'"),
                     1);
}

static void assert_says(struct fixture *f, const struct ask *ask, int status, const char *text)
{
    struct response response = send(f, ask);

    assert_int_equal(response.status, status);
    if (!strstr(buf_text(&response.body), text))
        fail_msg("\"%s\" is not said:\n%s", text, buf_text(&response.body));
    assert_safe(ask, &response);
    response_free(&response);
}

static void what_an_operation_refuses_is_said_on_the_page_with_what_to_do(void **state)
{
    struct fixture *f = *state;
    struct ask ask = form_of(f, route_of("rollback"), "v3");
    int64_t before = state_of(f);

    assert_says(f, &ask, 409, "v3 is what is live of shop");
    assert_says(f, &ask, 409, "<code>berth releases shop</code>");
    assert_says(f, &ask, 409, "<h1>shop</h1>");
    ask = form_of(f, route_of("rollback"), "77");
    assert_says(f, &ask, 404, "<h1>shop</h1>");
    ask = form_of(f, route_of("cancel"), NULL);
    assert_says(f, &ask, 409, "<h1>shop</h1>");

    assert_int_equal(state_of(f), before);
}

static void what_was_typed_wrong_is_said_and_nothing_done(void **state)
{
    struct fixture *f = *state;
    int64_t before = state_of(f);

    struct ask destroy = form_of(f, route_of("destroy"), "sho");
    struct ask deploy = form_of(f, route_of("deploy"), "main");
    assert_says(f, &destroy, 422, "A field needs another value");
    assert_says(f, &deploy, 422, "A field needs another value");

    assert_int_equal(state_of(f), before);
}

static void an_app_is_destroyed_once_its_name_was_typed(void **state)
{
    struct fixture *f = *state;
    struct ask ask = form_of(f, route_of("destroy"), "shop");

    for (int i = 0; i < 2; i++) {
        struct response response = send(f, &ask);
        assert_int_equal(response.status, 303);
        assert_string_equal(header(&response, "Location"), i == 0 ? "/apps/shop?done=destroying&app=shop"
                                                                  : "/apps/shop?done=destroy-goes-on&app=shop");
        response_free(&response);
    }
    assert_int_equal(
        harness_number(f->super, NULL,
                       "SELECT count(*) AS n FROM berth.apps WHERE app_name = 'shop' AND state = 'deleting'"),
        1);
}

static void a_change_of_an_app_that_is_not_there_is_404(void **state)
{
    struct fixture *f = *state;
    struct ask ask = form_of(f, route_of("cancel"), NULL);

    ask.target = "/apps/nobody/cancel";
    assert_says(f, &ask, 404, "there is no app named &quot;nobody&quot;");
}

/* Nothing is asked of a GitHub or of an AWS here: where they are can't be found out. */
static void an_operation_that_lacks_its_other_side_says_so_and_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct ask ask = form_of(f, route_of("deploy"), "");
    int64_t before = state_of(f);

    struct response response = send(f, &ask);

    assert_int_equal(response.status, 503);
    assert_non_null(strstr(buf_text(&response.body), "<h1>shop</h1>"));
    response_free(&response);
    assert_int_equal(state_of(f), before);
}

static void a_change_while_the_database_is_away_is_503_with_a_page(void **state)
{
    struct fixture *f = *state;
    struct settings settings = f->settings;
    struct fixture away = { .mem = f->mem };
    struct ask ask = form_of(f, route_of("cancel"), NULL);
    struct err e = { 0 };
    settings.database_admin = "host=/nonexistent dbname=berth user=berth_admin";
    assert_int_equal(admin_open(&settings, &away.application, &e), 0);

    assert_says(&away, &ask, 503, "Postgres does not answer");

    away.application.close(away.application.context);
}

/* ---- The audit log ---- */

/* What makes a form's change succeed. A new form is asked for one here. */
static const struct {
    const char *form, *fields;
    const char *prepared; /* SQL before; NULL: none */
    bool
        outside; /* it writes no table, or asks GitHub first, who isn't here: the operation is in test_deploy_audited.c */
} good[] = {
    { "settings",
      "&size=256/512&was.size=256/512&tasks=2&was.tasks=1&port=8080&was.port=8080&health_check_path=/&was.health_check_"
      "path=/&branch=main&was.branch=main&path_filter=&was.path_filter=&do=save",
      NULL, false },
    { "pause", "", NULL, false },
    { "resume", "", "UPDATE berth.apps SET state = 'paused'", false },
    { "rollback", "&release=v1", NULL, false },
    { "deploy", "", NULL, true },
    { "cancel", "&releases=4",
      "INSERT INTO berth.releases (app_name, number, kind, commit_sha) VALUES ('shop', 4, 'push', repeat('b', 40))",
      false },
    { "destroy", "&confirm=shop", NULL, false },
    { "run_again", "",
      "INSERT INTO berth.deliveries (app_name, delivery_id, event, outcome, reason, body_sha256)"
      " VALUES ('shop', 'd-1', 'push', 'limited', 'x', sha256('x'))",
      false },
    { "default_limits", "&tasks=21&was.tasks=20&do=save", NULL, false },
    { "limits", "&tasks=21&was.tasks=&do=save", NULL, false },
    { "check_now", "", NULL, true },
};

static size_t good_of(const char *form)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!strcmp(good[i].form, form))
            return i;
    fail_msg("this test does not know what makes the form %s succeed", form);
    return 0;
}

static int status_of_good(struct fixture *f, const struct route *route, const char *fields)
{
    struct ask ask = form_of(f, route, NULL);

    ask.body = arena_printf(f->mem, "%s%s", ask.body, fields);
    struct response response = send(f, &ask);
    int status = response.status;
    assert_safe(&ask, &response);
    response_free(&response);
    return status;
}

static void no_change_is_made_without_its_row_of_the_audit_log(void **state)
{
    struct fixture *f = *state;
    size_t tried = 0;

    harness_do(f->super, "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                         " RAISE EXCEPTION 'no' USING ERRCODE = '53100'; END $$");
    for (size_t i = 0; i < admin_route_count; i++) {
        const struct route *route = &admin_routes[i];
        if (!is_change(route) || good[good_of(change_of(route)->form)].outside)
            continue;
        size_t g = good_of(change_of(route)->form);
        harness_do(f->super, "TRUNCATE berth.apps CASCADE; TRUNCATE berth.teardowns, berth.audit_log");
        seed(f);
        if (good[g].prepared)
            harness_do(f->super, good[g].prepared);
        harness_do(f->super, "CREATE TRIGGER refuse BEFORE INSERT ON berth.audit_log FOR EACH ROW EXECUTE FUNCTION "
                             "public.refuse()");
        int64_t before = state_of(f);

        int refused = status_of_good(f, route, good[g].fields);
        if (refused != 503 || state_of(f) != before)
            fail_msg("%s without its audit row: %d, and %s", good[g].form, refused,
                     state_of(f) == before ? "nothing is changed" : "it is done");
        harness_do(f->super, "DROP TRIGGER refuse ON berth.audit_log");

        int done = status_of_good(f, route, good[g].fields);
        int64_t told = harness_number(f->super, NULL,
                                      "SELECT count(*) FILTER (WHERE actor = 'operator') AS n FROM berth.audit_log");
        if (done != 303 || told != 1)
            fail_msg("%s: %d, and %lld rows in the audit log", good[g].form, done, (long long)told);
        tried++;
    }
    assert_true(tried > 5);
}

/* ---- Versions ---- */

static void a_version_that_the_browser_has_is_not_sent_again(void **state)
{
    struct fixture *f = *state;
    struct ask ask = { .seen = NULL };
    struct request request = { .mem = f->mem, .remote_user = "operator", .param = param, .source = &ask };
    struct response first, again, other;
    response_init(&first);
    response_init(&again);
    response_init(&other);

    assert_false(admin_not_modified(&request, &first, "1"));
    ask.seen = arena_printf(f->mem, "\"x\", %s", header(&first, "ETag"));

    assert_true(admin_not_modified(&request, &again, "1"));
    assert_int_equal(again.status, 304);
    assert_string_equal(header(&again, "ETag"), header(&first, "ETag"));
    assert_false(admin_not_modified(&request, &other, "2"));
    assert_int_equal(other.status, 200);
}

/* ---- */

static void seed(struct fixture *f)
{
    harness_do(
        f->super,
        "INSERT INTO berth.apps (app_name, repository, webhook_policy, last_release) VALUES ('shop', 'acme/shop', "
        "'github', 3);"
        "INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, image_digest, "
        "task_definition_arn, finished_at)"
        " SELECT 'shop', n, 'push', 'live', 'live', repeat('a', 40), 'sha256:' || repeat('0', 64), 'arn', now()"
        "   FROM generate_series(1, 3) n;"
        "INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host)"
        " VALUES ('shop', 3, repeat('a', 40), 'sha256:' || repeat('0', 64), 'arn', 'shop.example.org')");
}

static int setup(void **state)
{
    static struct fixture f;
    struct err e = { 0 };

    setenv("AWS_REGION", "eu-central-1", 1);
    setenv("AWS_ACCESS_KEY_ID", "test", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "test", 1);
    f = (struct fixture){ .database = harness_database_new(), .mem = arena_new(), .time.now_ms = 1800000000000 };
    f.super = harness_pool(f.database, HARNESS_SUPERUSER, 1);
    f.settings = (struct settings){ .database_admin = harness_conninfo(f.database, HARNESS_ADMIN),
                                    .database_connections = 2,
                                    .www = SOURCE_DIR "/www",
                                    .domain = "apps.example.org",
                                    .github_api_url = "http://127.0.0.1:1",
                                    .admin_operators = { .items = operators, .count = 2 } };
    if (admin_open(&f.settings, &f.application, &e))
        fail_msg("%s", e.message);
    f.clock = fake_clock_of(&f.time);
    ((struct admin *)f.application.context)->clock = &f.clock;
    seed(&f);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    f->application.close(f->application.context);
    db_pool_free(f->super);
    harness_database_free(f->database);
    arena_free(f->mem);
    return 0;
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EACH(every_row_goes_through_the_door),
        EACH(every_value_in_a_path_is_checked),
        EACH(nobody_but_an_operator_gets_in_and_the_database_is_not_even_asked),
        EACH(nobody_learns_which_addresses_there_are),
        EACH(no_route_takes_another_method),
        EACH(a_change_is_not_made_by_a_get),
        EACH(no_change_is_made_without_its_own_token),
        EACH(no_change_is_made_from_elsewhere_whatever_its_token),
        EACH(a_page_that_was_open_too_long_is_shown_again_with_a_fresh_token),
        EACH(a_body_that_is_no_form_is_refused),
        EACH(hostile_text_in_a_form_changes_nothing_or_is_taken_as_text),
        EACH(hostile_text_in_a_query_is_refused_or_shown_as_text),
        EACH(a_change_leads_back_to_its_page_which_says_what_was_done),
        EACH(what_an_operation_refuses_is_said_on_the_page_with_what_to_do),
        EACH(what_was_typed_wrong_is_said_and_nothing_done),
        EACH(an_app_is_destroyed_once_its_name_was_typed),
        EACH(a_change_of_an_app_that_is_not_there_is_404),
        EACH(an_operation_that_lacks_its_other_side_says_so_and_changes_nothing),
        EACH(a_change_while_the_database_is_away_is_503_with_a_page),
        EACH(no_change_is_made_without_its_row_of_the_audit_log),
        EACH(a_version_that_the_browser_has_is_not_sent_again),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
