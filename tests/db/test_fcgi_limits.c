/* The pages of quotas and rate limits over a real database: an effect is shown before it is saved, a save is in force with the next push, and nobody's edit is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/text.h"
#include "core/tenant/limit.h"
#include "fcgi/admin.h"
#include "fcgi/application.h"
#include "fcgi/csrf.h"
#include "fcgi/link.h"
#include "tests/db/harness.h"

#define HOST "berth.example.org"
#define SHOP "/apps/shop/limits"

struct fixture {
    struct harness_database *database;
    struct db_pool *super;
    struct settings settings;
    struct application application;
    struct arena *mem;
};

static const char *operators[] = { "mara", "ines", NULL };

/* ---- Asking ---- */

struct ask {
    const char *method, *target, *user, *body;
    size_t read;
};

static const char *param(void *source, const char *name)
{
    const struct ask *ask = source;

    if (!strcmp(name, "HTTP_SEC_FETCH_SITE"))
        return "same-origin";
    if (!strcmp(name, "CONTENT_TYPE"))
        return ask->body ? "application/x-www-form-urlencoded" : NULL;
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

/* What was answered; location "" without a redirect. */
struct answer {
    int status;
    const char *body, *location;
};

static struct answer send(struct fixture *f, struct ask ask)
{
    struct request request = { .mem = f->mem,
                               .method = ask.method,
                               .remote_user = ask.user,
                               .query = "",
                               .content_length = ask.body ? (int64_t)strlen(ask.body) : REQUEST_LENGTH_ABSENT,
                               .param = param,
                               .read = read_body,
                               .source = &ask };
    struct response response;
    struct answer answer = { .location = "" };

    response_init(&response);
    request_set_target(&request, ask.target);
    router_answer(&f->application, &request, &response);
    answer.status = response.status;
    answer.body = arena_copy(f->mem, buf_text(&response.body));
    for (size_t i = 0; i < response.header_count; i++)
        if (!strcmp(response.headers[i].name, "Location"))
            answer.location = arena_copy(f->mem, response.headers[i].value);
    response_free(&response);
    return answer;
}

static const char *page_of(struct fixture *f, const char *target)
{
    struct answer answer = send(f, (struct ask){ .method = "GET", .target = target, .user = "mara" });

    if (answer.status != 200)
        fail_msg("GET %s: %d\n%s", target, answer.status, answer.body);
    return answer.body;
}

static const char *token_of(struct fixture *f, const char *user, const char *form)
{
    struct admin *admin = f->application.context;
    AUTO_DB struct db *db = harness_take(admin->db);
    struct err e = { 0 };

    assert_int_equal(admin_load_key(admin, db, &e), 0);
    return csrf_token(admin->key, user, form, clock_now_ms(admin->clock), f->mem);
}

/* fields as they are encoded: "do=save&tasks=4&was.tasks=" */
static struct answer post(struct fixture *f, const char *user, const char *target, const char *fields)
{
    const char *form = strcmp(target, "/limits") == 0 ? "default_limits" : "limits";

    return send(f, (struct ask){ .method = "POST",
                                 .target = target,
                                 .user = user,
                                 .body = arena_printf(f->mem, "csrf=%s&%s", token_of(f, user, form), fields) });
}

static void assert_shows(const char *page, const char *text)
{
    if (!strstr(page, text))
        fail_msg("\"%s\" is not in\n%s", text, strstr(page, "<main") ? strstr(page, "<main") : page);
}

static void assert_hides(const char *page, const char *text)
{
    if (strstr(page, text))
        fail_msg("\"%s\" is in\n%s", text, strstr(page, "<main") ? strstr(page, "<main") : page);
}

static void assert_status(const struct answer *answer, int status)
{
    if (answer->status != status)
        fail_msg("%d, not %d\n%s", answer->status, status,
                 strstr(answer->body, "<main") ? strstr(answer->body, "<main") : answer->body);
}

static int64_t number(struct fixture *f, const char *sql)
{
    return harness_number(f->super, NULL, sql);
}

/* The element of that id, with its attributes. */
static const char *field_of(struct fixture *f, const char *page, const char *name)
{
    const char *at = strstr(page, arena_printf(f->mem, " id=\"%s\"", name));

    if (!at)
        fail_msg("no field %s in\n%s", name, page);
    while (at > page && *at != '<')
        at--;
    return arena_copy_n(f->mem, at, strcspn(at, ">"));
}

/* ---- What is shown ---- */

static void each_limit_has_its_field_with_use_and_default_beside(void **state)
{
    struct fixture *f = *state;
    const char *page = page_of(f, SHOP);

    for (int i = 0; i < LIMIT_COUNT; i++) {
        const char *field = field_of(f, page, limit_info((enum limit)i)->name);
        assert_shows(field, arena_printf(f->mem, "name=\"%s\"", limit_info((enum limit)i)->name));
        assert_shows(page, arena_printf(f->mem, "name=\"was.%s\"", limit_info((enum limit)i)->name));
    }
    assert_shows(field_of(f, page, "cpu_units"), "value=\"2048\"");
    assert_shows(page, "default 16,384");
    assert_shows(field_of(f, page, "tasks"), "value=\"\" placeholder=\"20\"");
    assert_shows(page, "the default, 20");
    assert_shows(page, "1,024 / 2,048");
    assert_shows(page, "never changed");
}

static void an_app_that_is_not_there_is_404_for_a_reader_and_an_editor(void **state)
{
    struct fixture *f = *state;
    struct answer read = send(f, (struct ask){ .method = "GET", .target = "/apps/nobody/limits", .user = "mara" });
    struct answer saved = post(f, "mara", "/apps/nobody/limits", "do=save&tasks=4&was.tasks=");

    assert_status(&read, 404);
    assert_shows(read.body, "there is no app named &quot;nobody&quot;");
    assert_status(&saved, 404);
    assert_int_equal(number(f, "SELECT count(*) AS n FROM berth.audit_log"), 0);
}

/* ---- What an edit does, before it is saved ---- */

static void an_effect_is_told_and_nothing_is_saved(void **state)
{
    struct fixture *f = *state;
    struct answer answer =
        post(f, "mara", SHOP,
             "do=preview&cpu_units=4096&was.cpu_units=2048&pushes_burst=3&was.pushes_burst=&tasks=&was.tasks=");

    assert_status(&answer, 200);
    assert_shows(answer.body, "Effect of these edits");
    assert_shows(answer.body, "Room for a rollout of 6 tasks");
    assert_shows(answer.body, "of 512 units; today 2.");
    assert_shows(answer.body, ">50%</span> <span class=\"then\">then 25%<");
    assert_shows(answer.body, "The 4th push at once is answered");
    assert_shows(answer.body, "pushes&quot;;q=3;");
    assert_shows(field_of(f, answer.body, "cpu_units"), "value=\"4096\"");
    assert_shows(answer.body, "Drop the edits");
    assert_int_equal(number(f, "SELECT cpu_units AS n FROM berth.quotas WHERE app_name = 'shop'"), 2048);
    assert_int_equal(number(f, "SELECT count(*) AS n FROM berth.audit_log"), 0);
}

static void a_form_without_a_button_saves_nothing(void **state)
{
    struct fixture *f = *state;
    struct answer answer = post(f, "mara", SHOP, "tasks=4&was.tasks=");

    assert_status(&answer, 200);
    assert_int_equal(number(f, "SELECT count(*) AS n FROM berth.audit_log"), 0);
}

static void an_effect_of_the_defaults_tells_for_how_many_apps(void **state)
{
    struct fixture *f = *state;
    struct answer answer = post(f, "mara", "/limits", "do=preview&cpu_units=8192&was.cpu_units=16384");

    assert_status(&answer, 200);
    assert_shows(answer.body, "In force for 1 app");
    assert_shows(answer.body, "of 2, and for new ones.");
    assert_int_equal(number(f, "SELECT cpu_units AS n FROM berth.default_limits"), 16384);
}

/* ---- Saving ---- */

static int64_t accepted(struct fixture *f, const char *commit)
{
    return number(f, arena_printf(f->mem,
                                  "SELECT count(*) AS n FROM berth.take_delivery('shop', 'id-%s', 'push', NULL, "
                                  "sha256('%s'), '%s', 'acme/shop', 1, 'main', rpad('%s', 40, '0'), 'Title', 'teo', "
                                  "'new', NULL) WHERE outcome = 'accepted'",
                                  commit, commit, commit, commit));
}

static void a_saved_quota_is_audited_and_refuses_the_next_push_by_name(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(accepted(f, "a1"), 1);

    struct answer answer = post(f, "mara", SHOP, "do=save&cpu_units=1536&was.cpu_units=2048");

    assert_status(&answer, 303);
    assert_string_equal(answer.location, SHOP "?done=limits-saved&app=shop");
    assert_shows(page_of(f, answer.location), "The limits of shop are changed; in force from the next push.");
    assert_shows(page_of(f, answer.location), "last changed by @<bdi>mara</bdi>");
    assert_int_equal(number(f, "SELECT count(*) AS n FROM berth.audit_log WHERE actor = 'mara' AND action = "
                               "'limits.set' AND app_name = 'shop' AND before = '{\"cpu_units\": 2048}' AND after = "
                               "'{\"cpu_units\": 1536}'"),
                     1);
    assert_int_equal(accepted(f, "b2"), 0);
    assert_int_equal(number(f, "SELECT count(*) AS n FROM berth.deliveries WHERE outcome = 'over_quota' AND reason "
                               "LIKE '%CPU units%'"),
                     1);
}

static void a_saved_rate_limit_limits_the_next_push(void **state)
{
    struct fixture *f = *state;

    struct answer answer =
        post(f, "mara", SHOP, "do=save&pushes_burst=1&was.pushes_burst=&pushes_per_hour=1&was.pushes_per_hour=");

    assert_status(&answer, 303);
    assert_int_equal(accepted(f, "a1"), 1);
    assert_int_equal(accepted(f, "b2"), 0);
    assert_int_equal(number(f, "SELECT count(*) AS n FROM berth.deliveries WHERE outcome = 'limited'"), 1);
}

static void an_emptied_field_is_back_to_the_default(void **state)
{
    struct fixture *f = *state;
    struct answer preview = post(f, "mara", SHOP, "do=preview&cpu_units=&was.cpu_units=2048");

    struct answer saved = post(f, "mara", SHOP, "do=save&cpu_units=+&was.cpu_units=2048");

    assert_shows(preview.body, "now 2,048; default 16,384");
    assert_shows(preview.body, "50%</span> <span class=\"then\">then 6%<");
    assert_status(&saved, 303);
    assert_int_equal(
        number(f, "SELECT count(*) AS n FROM berth.quotas WHERE app_name = 'shop' AND cpu_units IS NOT NULL"), 0);
    assert_shows(page_of(f, SHOP), "1,024 / 16,384");
}

static void a_save_without_an_edit_writes_nothing(void **state)
{
    struct fixture *f = *state;
    struct answer answer =
        post(f, "mara", SHOP,
             "do=save&cpu_units=2048&was.cpu_units=2048&tasks=default&was.tasks=&image_mib=&was.image_mib=");

    assert_status(&answer, 303);
    assert_string_equal(answer.location, SHOP "?done=limits-same");
    assert_int_equal(number(f, "SELECT count(*) AS n FROM berth.audit_log"), 0);
}

static void saved_defaults_are_in_force_where_an_app_has_no_number_of_its_own(void **state)
{
    struct fixture *f = *state;

    struct answer answer =
        post(f, "mara", "/limits", "do=save&cpu_units=8192&was.cpu_units=16384&tasks=9&was.tasks=20");

    assert_status(&answer, 303);
    assert_string_equal(answer.location, "/limits?done=defaults-saved");
    assert_shows(page_of(f, SHOP), "1,024 / 2,048");
    assert_shows(page_of(f, SHOP), "default 8,192");
    assert_shows(page_of(f, "/apps/cellar/limits"), "the default, 8,192");
    assert_int_equal(number(f, "SELECT count(*) AS n FROM berth.audit_log WHERE app_name IS NULL AND action = "
                               "'limits.set' AND actor = 'mara'"),
                     1);
}

/* ---- What is wrong ---- */

static void a_wrong_value_is_told_beside_its_field_and_everything_typed_is_kept(void **state)
{
    static const struct {
        const char *typed, *said;
    } wrong[] = { { "8 GiB", "Write whole MiB without a unit: 8 GiB is 8192." },
                  { "-1", "Write 0 at least." },
                  { "1000000001", "Write 1000000000 at most." },
                  { "99999999999999999999999", "Write 1000000000 at most." },
                  { "4,096", "Write the digits alone: 4,096 is 4096." },
                  { "1e3", "or &quot;default&quot;" },
                  { "\"><script>alert(1)</script>", "or &quot;default&quot;" },
                  { "' OR 1=1 --", "or &quot;default&quot;" } };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        for (int save = 0; save < 2; save++) {
            struct answer answer = post(f, "mara", SHOP,
                                        arena_printf(f->mem, "do=%s&memory_mib=%s&was.memory_mib=&tasks=7&was.tasks=",
                                                     save ? "save" : "preview", link_encode(wrong[i].typed, f->mem)));
            assert_status(&answer, 422);
            assert_shows(answer.body, wrong[i].said);
            assert_shows(answer.body, "id=\"error-memory_mib\"");
            assert_shows(answer.body, "<a href=\"#memory_mib\">");
            assert_shows(field_of(f, answer.body, "memory_mib"), "aria-invalid=\"true\"");
            assert_shows(field_of(f, answer.body, "memory_mib"), "autofocus");
            assert_shows(field_of(f, answer.body, "tasks"), "value=\"7\"");
            assert_hides(answer.body, "<script>alert");
        }
    assert_int_equal(number(f, "SELECT count(*) AS n FROM berth.audit_log"), 0);
    assert_int_equal(number(f, "SELECT count(*) AS n FROM berth.quotas WHERE tasks IS NOT NULL"), 0);
}

static void a_rate_of_nothing_is_refused(void **state)
{
    struct fixture *f = *state;
    struct answer answer = post(f, "mara", SHOP, "do=save&pushes_burst=0&was.pushes_burst=");

    assert_status(&answer, 422);
    assert_shows(answer.body, "Write 1 at least.");
}

static void a_default_is_never_the_default(void **state)
{
    static const char *const typed[] = { "", "default", "x" };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof typed / sizeof *typed; i++) {
        struct answer answer =
            post(f, "mara", "/limits", arena_printf(f->mem, "do=save&tasks=%s&was.tasks=20", typed[i]));
        assert_status(&answer, 422);
        assert_shows(answer.body, "Write a whole number");
        assert_hides(answer.body, "or &quot;default&quot;");
    }
    assert_int_equal(number(f, "SELECT tasks AS n FROM berth.default_limits"), 20);
}

/* ---- Two operators ---- */

static void a_second_operator_sees_what_changed_and_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct answer first =
        post(f, "ines", SHOP, "do=save&cpu_units=3072&was.cpu_units=2048&image_mib=10&was.image_mib=");
    assert_status(&first, 303);

    struct answer second =
        post(f, "mara", SHOP, "do=save&cpu_units=4096&was.cpu_units=2048&tasks=8&was.tasks=&image_mib=&was.image_mib=");

    assert_status(&second, 409);
    assert_shows(second.body, "Changed while you were here");
    assert_shows(second.body, "<span>2,048</span> became <b>3,072</b>");
    assert_shows(second.body, "by @<bdi>ines</bdi>");
    assert_shows(second.body, "Yours is still <span>4096</span>");
    assert_shows(second.body, "<span>the default</span> became <b>10</b>");
    assert_shows(field_of(f, second.body, "cpu_units"), "value=\"4096\"");
    assert_shows(field_of(f, second.body, "tasks"), "value=\"8\"");
    assert_shows(field_of(f, second.body, "image_mib"), "value=\"10\"");
    assert_shows(second.body, "name=\"was.cpu_units\" value=\"3072\"");
    assert_int_equal(number(f, "SELECT cpu_units AS n FROM berth.quotas WHERE app_name = 'shop'"), 3072);
    assert_int_equal(number(f, "SELECT count(*) AS n FROM berth.audit_log"), 1);
    struct answer again = post(f, "mara", SHOP, "do=save&cpu_units=4096&was.cpu_units=3072&tasks=8&was.tasks=");
    assert_status(&again, 303);
    assert_int_equal(number(f, "SELECT cpu_units AS n FROM berth.quotas WHERE app_name = 'shop'"), 4096);
    assert_int_equal(number(f, "SELECT image_mib AS n FROM berth.quotas WHERE app_name = 'shop'"), 10);
}

static void edits_of_different_limits_do_not_collide(void **state)
{
    struct fixture *f = *state;
    struct answer first = post(f, "ines", SHOP, "do=save&cpu_units=3072&was.cpu_units=2048&tasks=&was.tasks=");
    struct answer second = post(f, "mara", SHOP, "do=save&cpu_units=2048&was.cpu_units=2048&tasks=8&was.tasks=");

    assert_status(&first, 303);
    assert_status(&second, 303);
    assert_int_equal(number(f, "SELECT cpu_units AS n FROM berth.quotas WHERE app_name = 'shop'"), 3072);
    assert_int_equal(number(f, "SELECT tasks AS n FROM berth.quotas WHERE app_name = 'shop'"), 8);
}

/* ---- All apps ---- */

static void the_app_that_is_nearest_to_a_limit_comes_first(void **state)
{
    struct fixture *f = *state;
    const char *before = page_of(f, "/limits");
    assert_true(strstr(before, "/apps/shop/limits") < strstr(before, "/apps/cellar/limits"));
    assert_shows(before, "no app is near one");

    harness_do(f->super, "INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour, spent) VALUES "
                         "('cellar', 10, 1, 9)");

    const char *after = page_of(f, "/limits");
    assert_true(strstr(after, "/apps/cellar/limits") < strstr(after, "/apps/shop/limits"));
    assert_shows(after, "1 app is near one, or was refused");
    assert_shows(after, ">90%<");
}

static void every_app_is_on_one_page_of_the_list_and_on_one_only(void **state)
{
    struct fixture *f = *state;
    const char *target = "/limits";
    size_t pages = 0, apps = 0;
    harness_do(f->super, "INSERT INTO berth.apps (app_name, repository, webhook_policy) SELECT 'app' || i, 'a/b', "
                         "'github' FROM generate_series(1, 58) i");

    while (target) {
        const char *page = page_of(f, target);
        assert_true(strlen(page) <= 60 * 1024);
        for (const char *at = page; (at = strstr(at, "class=\"strong\" href=\"/apps/")); at++)
            apps++;
        const char *next = strstr(page, "rel=\"next\" href=\"");
        target = next ? arena_copy_n(f->mem, next + 17, strcspn(next + 17, "\"")) : NULL;
        assert_true(++pages < 10);
    }

    assert_int_equal(pages, 3);
    assert_int_equal(apps, 60);
}

static void a_list_counts_as_the_push_does(void **state)
{
    struct fixture *f = *state;
    harness_do(f->super,
               "INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, image_digest, image_bytes)"
               " VALUES ('shop', 2, 'push', 'running', 'rollout', repeat('b', 40), 'sha256:' || repeat('1', 64), "
               "5000000);"
               "UPDATE berth.apps SET last_release = 2 WHERE app_name = 'shop';"
               "INSERT INTO berth.builds (app_name, build_id, release, started_at, ended_at) VALUES ('shop', 'b', 2, "
               "now(), now() + interval '61 s')");

    AUTO_DB struct db *db = harness_take(((struct admin *)f->application.context)->db);
    AUTO_ROWS struct db_rows *rows = NULL, *uses = NULL;
    struct err e = { 0 };
    assert_int_equal(db_query(db, NULL, QUERY_LIMIT_PAGE, &rows, &e, db_int(0), db_null(), db_int(1)), 0);
    assert_int_equal(db_query(db, "shop", QUERY_LIMIT_STATES, &uses, &e, db_text("shop")), 0);

    assert_string_equal(db_get(rows, 0, "app_name"), "shop");
    assert_int_equal(db_count(uses), 7);
    for (size_t i = 0; i < db_count(uses); i++) {
        const char *name = db_get(uses, i, "quota");
        if (db_get_int(rows, 0, name) != db_get_int(uses, i, "used"))
            fail_msg("%s: %lld, not %lld", name, (long long)db_get_int(rows, 0, name),
                     (long long)db_get_int(uses, i, "used"));
        assert_int_equal(db_get_int(rows, 0, arena_printf(f->mem, "most_%s", name)), db_get_int(uses, i, "in_force"));
    }
    assert_int_equal(db_get_int(rows, 0, "build_minutes"), 2);
    assert_int_equal(db_get_int(rows, 0, "cpu_units"), 2048);
}

static void an_installation_without_an_app_still_has_its_defaults(void **state)
{
    struct fixture *f = *state;
    harness_do(f->super, "UPDATE berth.apps SET state = 'deleted'");

    const char *page = page_of(f, "/limits");

    assert_shows(page, "No app yet.");
    assert_shows(field_of(f, page, "cpu_units"), "value=\"16384\"");
}

/* ---- */

static void seed(struct fixture *f)
{
    harness_do(f->super,
               "INSERT INTO berth.apps (app_name, repository, repository_id, webhook_policy, cpu_units, memory_mib, "
               "tasks, last_release) VALUES ('shop', 'acme/shop', 1, 'github', 512, 1024, 2, 1), ('cellar', "
               "'acme/cellar', 2, 'github', 256, 512, 1, 0);"
               "INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, image_digest, "
               "task_definition_arn, cpu_units, memory_mib, tasks, finished_at) VALUES ('shop', 1, 'push', 'live', "
               "'live', repeat('a', 40), 'sha256:' || repeat('0', 64), 'arn', 512, 1024, 2, now());"
               "INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host)"
               " VALUES ('shop', 1, repeat('a', 40), 'sha256:' || repeat('0', 64), 'arn', 'shop.example.org');"
               "INSERT INTO berth.quotas (app_name, cpu_units) VALUES ('shop', 2048)");
}

static int setup(void **state)
{
    static struct fixture f;
    struct err e = { 0 };

    f = (struct fixture){ .database = harness_database_new(), .mem = arena_new() };
    f.super = harness_pool(f.database, HARNESS_SUPERUSER, 1);
    f.settings = (struct settings){ .database_admin = harness_conninfo(f.database, HARNESS_ADMIN),
                                    .database_connections = 2,
                                    .www = SOURCE_DIR "/www",
                                    .domain = "apps.example.org",
                                    .admin_operators = { .items = operators, .count = 2 } };
    if (admin_open(&f.settings, &f.application, &e))
        fail_msg("%s", e.message);
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
        EACH(each_limit_has_its_field_with_use_and_default_beside),
        EACH(an_app_that_is_not_there_is_404_for_a_reader_and_an_editor),
        EACH(an_effect_is_told_and_nothing_is_saved),
        EACH(a_form_without_a_button_saves_nothing),
        EACH(an_effect_of_the_defaults_tells_for_how_many_apps),
        EACH(a_saved_quota_is_audited_and_refuses_the_next_push_by_name),
        EACH(a_saved_rate_limit_limits_the_next_push),
        EACH(an_emptied_field_is_back_to_the_default),
        EACH(a_save_without_an_edit_writes_nothing),
        EACH(saved_defaults_are_in_force_where_an_app_has_no_number_of_its_own),
        EACH(a_wrong_value_is_told_beside_its_field_and_everything_typed_is_kept),
        EACH(a_rate_of_nothing_is_refused),
        EACH(a_default_is_never_the_default),
        EACH(a_second_operator_sees_what_changed_and_loses_nothing),
        EACH(edits_of_different_limits_do_not_collide),
        EACH(the_app_that_is_nearest_to_a_limit_comes_first),
        EACH(every_app_is_on_one_page_of_the_list_and_on_one_only),
        EACH(a_list_counts_as_the_push_does),
        EACH(an_installation_without_an_app_still_has_its_defaults),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
