/* The source step and the ground that all steps stand on: intents before calls, the lease under everything. A real Postgres; GitHub and AWS are scripted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/deploy/steps/step.h"
#include "tests/db/harness.h"
#include "tests/unit/support_clock.h"
#include "tests/unit/support_transport.h"

#define SHA "1a2b3c4d5e6f7081920a1b2c3d4e5f6071829304"
#define ZIPBALL "https://api.github.test/repos/acme/shop/zipball/" SHA
#define OBJECT "https://*sources*/tenants/shop/" SHA ".zip*"

/* A folder and an empty Dockerfile, as `git archive --format=zip --prefix=shop/` writes it, and the same without the file. */
static const char zip_head[] = "PK\3\4\12\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0shop/";
static const char end_of_two[] = "PK\5\6\0\0\0\0\2\0\2\0\0\0\0\0\0\0\0\0\0\0";
static const char end_of_one[] = "PK\5\6\0\0\0\0\1\0\1\0\0\0\0\0\0\0\0\0\0\0";
enum { HEAD_LEN = sizeof zip_head - 1, END_LEN = sizeof end_of_two - 1, WHOLE_LEN = HEAD_LEN + END_LEN };

static struct harness_database *database;
static struct db_pool *superuser;

static const struct settings settings = { .bucket = "sources", .domain = "apps.example.test" };

struct fixture {
    struct fake_transport *github_fake, *aws_fake;
    struct fake_clock time;
    struct clock clock;
    struct aws *aws;
    struct github github;
    struct db_pool *pool;
    struct db *db;
    struct arena *mem;
    struct step_run run;
    enum step_answer answer;
    struct err e;
    char whole[WHOLE_LEN], empty[WHOLE_LEN];
};

static void script(struct fixture *f)
{
    fake_free(f->github_fake);
    fake_free(f->aws_fake);
    aws_free(f->aws);
    f->github_fake = fake_new();
    f->aws_fake = fake_new();
    f->github = (struct github){ .transport = fake_http(f->github_fake), .api_url = "https://api.github.test" };
    const struct aws_options options = {
        .region = "eu-central-1", .transport = fake_http(f->aws_fake), .clock = &f->clock, .tries = 1
    };
    assert_int_equal(aws_new(&options, &f->aws, &f->e), 0);
    f->run.aws = f->aws;
    f->run.github = &f->github;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    harness_do(
        superuser,
        "TRUNCATE berth.apps, berth.releases, berth.release_events, berth.deployments, berth.intents CASCADE;"
        "INSERT INTO berth.apps (app_name, repository, webhook_policy) VALUES ('shop', 'acme/shop', 'github');"
        "INSERT INTO berth.releases (app_name, number, kind, state, commit_sha, attempt, lease_token, lease_until,"
        " step_started_at) VALUES ('shop', 1, 'redeploy', 'running', '" SHA "', 1, 42, now() + interval '1 minute',"
        " now() - interval '1 minute')");
    memcpy(f->whole, zip_head, HEAD_LEN);
    memcpy(f->whole + HEAD_LEN, end_of_two, END_LEN);
    memcpy(f->empty, zip_head, HEAD_LEN);
    memcpy(f->empty + HEAD_LEN, end_of_one, END_LEN);
    f->clock = fake_clock_of(&f->time);
    f->mem = arena_new();
    f->pool = harness_pool(database, HARNESS_WORKER, 1);
    assert_int_equal(db_take(f->pool, &f->db, &f->e), 0);
    f->run = (struct step_run){
        .settings = &settings, .db = f->db, .clock = &f->clock, .lease = { .length_ms = 150000 }, .mem = f->mem
    };
    script(f);
    assert_int_equal(app_get(f->db, "shop", f->mem, &f->run.app, &f->e), 0);
    assert_int_equal(release_get(f->db, "shop", 1, f->mem, &f->run.release, &f->e), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    db_give(f->db);
    db_pool_free(f->pool);
    arena_free(f->mem);
    aws_free(f->aws);
    fake_free(f->github_fake);
    fake_free(f->aws_fake);
    free(f);
    return 0;
}

static int64_t count(const char *sql)
{
    return harness_number(superuser, NULL, sql);
}

static void github_sends(struct fixture *f, const char *bytes, size_t len)
{
    fake_expect(f->github_fake, "GET", ZIPBALL, NULL);
    fake_reply_bytes(f->github_fake, 200, NULL, bytes, len);
}

static int source(struct fixture *f)
{
    f->e = (struct err){ 0 };
    f->answer = STEP_WAIT;
    return source_ensure(&f->run, &f->answer, &f->e);
}

static void an_archive_that_is_cut_off_is_never_stored(void **state)
{
    struct fixture *f = *state;

    for (size_t len = 0; len < WHOLE_LEN; len += 9) {
        script(f);
        github_sends(f, f->whole, len);
        assert_int_equal(source(f), ERR_TRANSIENT);
        assert_int_equal(fake_count(f->aws_fake), 0);
    }
    assert_int_equal(count("SELECT count(*) AS n FROM berth.intents WHERE answered_at IS NULL"), 0);
}

static void a_commit_without_files_fails_and_is_not_stored(void **state)
{
    struct fixture *f = *state;
    github_sends(f, f->empty, WHOLE_LEN);

    assert_int_equal(source(f), ERR_INVALID);

    assert_non_null(strstr(f->e.message, "the commit has no files"));
    assert_non_null(strstr(f->e.hint, "Dockerfile"));
    assert_int_equal(fake_count(f->aws_fake), 0);
}

static void a_commit_that_github_does_not_know_yet_is_asked_for_again(void **state)
{
    struct fixture *f = *state;
    fake_expect(f->github_fake, "GET", ZIPBALL, NULL);
    fake_reply(f->github_fake, 404, NULL, "{}");
    fake_expect(f->github_fake, "GET", ZIPBALL, NULL);
    fake_reply(f->github_fake, 404, NULL, "{}");

    f->run.release.step_age_ms = 1000;
    assert_int_equal(source(f), ERR_TRANSIENT);
    f->run.release.step_age_ms = 60000;
    assert_int_equal(source(f), ERR_NOT_FOUND);

    assert_true(f->e.hint[0]);
}

static void a_bucket_without_versions_is_refused(void **state)
{
    struct fixture *f = *state;
    github_sends(f, f->whole, WHOLE_LEN);
    fake_expect(f->aws_fake, "PUT", OBJECT, NULL);
    fake_reply(f->aws_fake, 200, "etag: \"e\"\n", "");

    assert_int_equal(source(f), ERR_INVALID);

    assert_non_null(strstr(f->e.message, "keeps no versions"));
}

static void a_worker_without_the_lease_stores_nothing(void **state)
{
    struct fixture *f = *state;
    harness_do(superuser, "UPDATE berth.releases SET lease_token = 43");

    assert_int_equal(source(f), ERR_CONFLICT);

    assert_int_equal(fake_count(f->github_fake) + fake_count(f->aws_fake), 0);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.intents"), 0);
}

static void an_upload_whose_answer_was_lost_is_looked_up_first(void **state)
{
    struct fixture *f = *state;
    github_sends(f, f->whole, WHOLE_LEN);
    fake_expect(f->aws_fake, "PUT", OBJECT, NULL);
    fake_fail(f->aws_fake, ERR_TRANSIENT, "OPERATION_TIMEDOUT");
    assert_int_equal(source(f), ERR_TRANSIENT);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.intents WHERE answered_at IS NULL"), 1);
    script(f);
    fake_expect(f->aws_fake, "HEAD", OBJECT, NULL);
    fake_reply(f->aws_fake, 200, "x-amz-version-id: v-7\netag: \"e\"\ncontent-length: 57\n", "");

    assert_int_equal(source(f), 0);

    assert_int_equal(f->answer, STEP_DONE);
    assert_string_equal(f->run.release.source_version, "v-7");
    assert_int_equal(fake_count(f->github_fake), 0);
    fake_done(f->aws_fake);
}

static void a_lost_upload_that_is_not_there_is_made_again_and_settles_both(void **state)
{
    struct fixture *f = *state;
    github_sends(f, f->whole, WHOLE_LEN);
    fake_expect(f->aws_fake, "PUT", OBJECT, NULL);
    fake_fail(f->aws_fake, ERR_TRANSIENT, "COULDNT_CONNECT");
    assert_int_equal(source(f), ERR_TRANSIENT);
    script(f);
    fake_expect(f->aws_fake, "HEAD", OBJECT, NULL);
    fake_reply(f->aws_fake, 404, NULL, "");
    github_sends(f, f->whole, WHOLE_LEN);
    fake_expect(f->aws_fake, "PUT", OBJECT, NULL);
    fake_reply(f->aws_fake, 200, "x-amz-version-id: v-8\netag: \"e\"\n", "");

    assert_int_equal(source(f), 0);

    assert_string_equal(f->run.release.source_version, "v-8");
    assert_int_equal(count("SELECT count(*) AS n FROM berth.intents WHERE answered_at IS NULL"), 0);
}

static void a_first_try_asks_s3_for_one_put_and_pins_its_version(void **state)
{
    struct fixture *f = *state;
    github_sends(f, f->whole, WHOLE_LEN);
    fake_expect(f->aws_fake, "PUT", OBJECT, NULL);
    fake_reply(f->aws_fake, 200, "x-amz-version-id: v-1\netag: \"e\"\n", "");

    assert_int_equal(source(f), 0);

    assert_int_equal(f->answer, STEP_DONE);
    assert_int_equal(fake_count(f->aws_fake), 1);
    assert_int_equal(fake_body_len(f->aws_fake, 0), WHOLE_LEN);
    assert_memory_equal(fake_body(f->aws_fake, 0), f->whole, WHOLE_LEN);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE source_version = 'v-1'"), 1);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.intents WHERE operation = 's3:PutObject'"
                           " AND target = 'tenants/shop/" SHA ".zip' AND answered_at IS NOT NULL AND lease_token = 42"),
                     1);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.release_events WHERE message LIKE 'Stored % of source at"
                           " tenants/shop/" SHA ".zip.'"),
                     1);
}

static void a_source_that_is_pinned_is_not_asked_for_again(void **state)
{
    struct fixture *f = *state;
    f->run.release.source_version = "v-1";

    assert_int_equal(source(f), 0);

    assert_int_equal(f->answer, STEP_DONE);
    assert_int_equal(fake_count(f->github_fake) + fake_count(f->aws_fake), 0);
}

/* A clock on which much time passes between two looks. */
static int64_t hurried_ms(void *context)
{
    int64_t *now = context;

    return *now += 60000;
}

static void the_lease_is_renewed_while_a_slow_archive_passes(void **state)
{
    struct fixture *f = *state;
    int64_t now = 0;
    const struct clock hurried = { clock_system.now_ms, hurried_ms, clock_system.sleep_ms, &now };
    f->run.clock = &hurried;
    f->run.lease.length_ms = 150000;
    github_sends(f, f->whole, WHOLE_LEN);
    fake_expect(f->aws_fake, "PUT", OBJECT, NULL);
    fake_reply(f->aws_fake, 200, "x-amz-version-id: v-1\netag: \"e\"\n", "");
    harness_do(superuser, "CREATE TABLE public.renewals (n int);"
                          "CREATE FUNCTION public.note_renewal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
                          " $$ BEGIN INSERT INTO public.renewals VALUES (1); RETURN NEW; END $$;"
                          "CREATE TRIGGER t AFTER UPDATE OF lease_until ON berth.releases FOR EACH ROW EXECUTE "
                          "FUNCTION public.note_renewal()");

    int code = source(f);
    int64_t renewals = count("SELECT count(*) AS n FROM public.renewals");
    harness_do(superuser,
               "DROP TRIGGER t ON berth.releases; DROP FUNCTION public.note_renewal; DROP TABLE public.renewals");

    if (code)
        fail_msg("%s", f->e.message);
    assert_true(renewals >
                2 + (int64_t)WHOLE_LEN / 14); /* the intent's, the end's, and one for each piece of 7 bytes or so */
}

static int ask_for_a_role(struct fixture *f, json_object **reply)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "RoleName", "berth-shop-task");

    f->e = (struct err){ 0 };
    return step_call(&f->run, &IAM, "CreateRole", "berth-shop-task", ask, reply, &f->e);
}

static void a_call_whose_answer_is_lost_leaves_its_intent_open(void **state)
{
    struct fixture *f = *state;
    bool open = false, other = true;
    fake_expect(f->aws_fake, "POST", NULL, "CreateRole");
    fake_fail(f->aws_fake, ERR_TRANSIENT, "OPERATION_TIMEDOUT");

    assert_int_equal(ask_for_a_role(f, NULL), ERR_TRANSIENT);

    assert_int_equal(step_left_open(&f->run, "iam:CreateRole", "berth-shop-task", 0, &open, &f->e), 0);
    assert_int_equal(step_left_open(&f->run, "iam:CreateRole", "berth-shop-build", 0, &other, &f->e), 0);
    assert_true(open);
    assert_false(other);
    assert_int_equal(step_left_open(&f->run, "iam:CreateRole", NULL, 0, &open, &f->e), 0);
    assert_true(open);
}

static void a_call_that_aws_refuses_leaves_nothing_open(void **state)
{
    struct fixture *f = *state;
    bool open = true;
    fake_expect(f->aws_fake, "POST", NULL, "CreateRole");
    fake_reply(
        f->aws_fake, 409, NULL,
        "<ErrorResponse><Error><Type>Sender</Type><Code>EntityAlreadyExists</Code><Message>there</Message></Error>"
        "<RequestId>r-1</RequestId></ErrorResponse>");

    assert_int_not_equal(ask_for_a_role(f, NULL), 0);

    assert_true(err_is(&f->e, "EntityAlreadyExists"));
    assert_int_equal(step_left_open(&f->run, "iam:CreateRole", NULL, 0, &open, &f->e), 0);
    assert_false(open);
}

static void no_call_is_made_without_the_lease(void **state)
{
    struct fixture *f = *state;
    harness_do(superuser, "UPDATE berth.releases SET lease_token = 43");

    assert_int_equal(ask_for_a_role(f, NULL), ERR_CONFLICT);

    assert_int_equal(fake_count(f->aws_fake), 0);
}

static void a_call_s_intent_is_on_record_before_it_is_made(void **state)
{
    struct fixture *f = *state;
    AUTO_JSON json_object *reply = NULL;
    fake_expect(f->aws_fake, "POST", NULL, "CreateRole");
    fake_reply(f->aws_fake, 200, NULL,
               "<CreateRoleResponse><CreateRoleResult><Role><Arn>arn:role</Arn></Role></CreateRoleResult></"
               "CreateRoleResponse>");

    assert_int_equal(ask_for_a_role(f, &reply), 0);

    assert_string_equal(json_find_text(reply, "/Role/Arn", f->mem), "arn:role");
    assert_int_equal(
        count("SELECT count(*) AS n FROM berth.intents WHERE operation = 'iam:CreateRole' AND asked_at < answered_at"),
        1);
}

static void nothing_is_recorded_under_another_s_lease(void **state)
{
    struct fixture *f = *state;
    const struct release_facts facts = { .build_id = "b" };
    harness_do(superuser, "UPDATE berth.releases SET lease_token = 43");

    assert_int_equal(release_set(&f->run, &facts, &f->e), ERR_CONFLICT);
    assert_int_equal(resource_record(&f->run, RESOURCE_SERVICE, "n", "a", "h", &f->e), ERR_CONFLICT);
    assert_int_equal(step_note(&f->run, "info", &f->e, "x"), ERR_CONFLICT);
    assert_int_equal(step_renew(&f->run, &f->e), ERR_CONFLICT);

    assert_null(f->run.release.build_id);
    assert_int_equal(
        count("SELECT (SELECT count(*) FROM berth.resources) + (SELECT count(*) FROM berth.release_events) AS n"), 0);
}

static void a_resource_is_found_as_it_was_last_recorded(void **state)
{
    struct fixture *f = *state;
    struct resource found = { "x", "y", "z" };

    assert_int_equal(resource_find(&f->run, RESOURCE_SERVICE, &found, &f->e), 0);
    assert_null(found.arn);
    assert_int_equal(resource_record(&f->run, RESOURCE_SERVICE, "berth-shop", "arn:1", "h1", &f->e), 0);
    assert_int_equal(resource_record(&f->run, RESOURCE_SERVICE, "berth-shop", "arn:2", "h2", &f->e), 0);
    assert_int_equal(resource_find(&f->run, RESOURCE_SERVICE, &found, &f->e), 0);

    assert_string_equal(found.arn, "arn:2");
    assert_string_equal(found.spec_hash, "h2");
}

/* The branch's head */

#define BRANCH "https://api.github.test/repos/acme/shop/branches/main"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* The release is a push's; v2, of another commit, is queued behind it. */
static void is_a_push(struct fixture *f)
{
    harness_do(superuser, "UPDATE berth.releases SET kind = 'push'; UPDATE berth.apps SET last_release = 2;"
                          "INSERT INTO berth.releases (app_name, number, kind, commit_sha)"
                          " VALUES ('shop', 2, 'push', '" OTHER "')");
    assert_int_equal(release_get(f->db, "shop", 1, f->mem, &f->run.release, &f->e), 0);
}

static void head_is(struct fixture *f, int status, const char *body)
{
    fake_expect(f->github_fake, "GET", BRANCH, NULL);
    fake_reply(f->github_fake, status, NULL, body);
}

static void while_github_is_away_nothing_is_decided_nor_stored(void **state)
{
    struct fixture *f = *state;
    is_a_push(f);
    head_is(f, 502, "");

    assert_int_equal(source(f), ERR_TRANSIENT);

    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE state = 'superseded'"), 0);
    assert_int_equal(fake_count(f->aws_fake), 0);
}

static void a_push_that_is_not_the_head_any_more_gives_way_and_asks_nothing_of_aws(void **state)
{
    struct fixture *f = *state;
    is_a_push(f);
    head_is(f, 200, "{\"commit\":{\"sha\":\"" OTHER "\"}}");

    assert_int_equal(source(f), 0);

    assert_int_equal(f->answer, STEP_ENDED);
    assert_int_equal(fake_count(f->aws_fake), 0);
    assert_int_equal(count("SELECT count(*) AS n FROM berth.releases WHERE number = 1 AND state = 'superseded'"
                           " AND halt_by = 2 AND lease_token IS NULL"),
                     1);
}

static void a_push_whose_branch_is_gone_gives_way(void **state)
{
    struct fixture *f = *state;
    is_a_push(f);
    head_is(f, 404, "{\"message\":\"Branch not found\"}");
    fake_expect(f->github_fake, "GET", "https://api.github.test/repos/acme/shop", NULL);
    fake_reply(f->github_fake, 200, NULL, "{\"id\":1}");

    assert_int_equal(source(f), 0);

    assert_int_equal(f->answer, STEP_ENDED);
}

static void the_head_s_push_is_stored(void **state)
{
    struct fixture *f = *state;
    is_a_push(f);
    head_is(f, 200, "{\"commit\":{\"sha\":\"" SHA "\"}}");
    github_sends(f, f->whole, WHOLE_LEN);
    fake_expect(f->aws_fake, "PUT", OBJECT, NULL);
    fake_reply(f->aws_fake, 200, "x-amz-version-id: v-1\netag: \"e\"\n", "");

    assert_int_equal(source(f), 0);

    assert_int_equal(f->answer, STEP_DONE);
    assert_string_equal(f->run.release.source_version, "v-1");
}

static void a_note_is_one_line_of_well_formed_text_however_long(void **state)
{
    struct fixture *f = *state;
    char text[4001];
    for (size_t i = 0; i < sizeof text - 1; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[sizeof text - 1] = '\0';

    assert_int_equal(step_note(&f->run, "info", &f->e, "x%s\nnext", text), 0);

    assert_int_equal(count("SELECT count(*) AS n FROM berth.release_events WHERE message LIKE 'x\u00e9%' AND message "
                           "NOT LIKE E'%\\n%'"),
                     1);
}

static int set_up_all(void **state)
{
    (void)state;
    setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "example", 1);
    unsetenv("AWS_ENDPOINT_URL");
    database = harness_database_new();
    superuser = harness_pool(database, HARNESS_SUPERUSER, 1);
    return 0;
}

static int tear_down_all(void **state)
{
    (void)state;
    db_pool_free(superuser);
    harness_database_free(database);
    return 0;
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_archive_that_is_cut_off_is_never_stored),
        TEST(a_commit_without_files_fails_and_is_not_stored),
        TEST(a_commit_that_github_does_not_know_yet_is_asked_for_again),
        TEST(a_bucket_without_versions_is_refused),
        TEST(a_worker_without_the_lease_stores_nothing),
        TEST(an_upload_whose_answer_was_lost_is_looked_up_first),
        TEST(a_lost_upload_that_is_not_there_is_made_again_and_settles_both),
        TEST(a_first_try_asks_s3_for_one_put_and_pins_its_version),
        TEST(a_source_that_is_pinned_is_not_asked_for_again),
        TEST(the_lease_is_renewed_while_a_slow_archive_passes),
        TEST(a_call_whose_answer_is_lost_leaves_its_intent_open),
        TEST(a_call_that_aws_refuses_leaves_nothing_open),
        TEST(no_call_is_made_without_the_lease),
        TEST(a_call_s_intent_is_on_record_before_it_is_made),
        TEST(nothing_is_recorded_under_another_s_lease),
        TEST(a_resource_is_found_as_it_was_last_recorded),
        TEST(a_note_is_one_line_of_well_formed_text_however_long),
        TEST(while_github_is_away_nothing_is_decided_nor_stored),
        TEST(a_push_that_is_not_the_head_any_more_gives_way_and_asks_nothing_of_aws),
        TEST(a_push_whose_branch_is_gone_gives_way),
        TEST(the_head_s_push_is_stored),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
