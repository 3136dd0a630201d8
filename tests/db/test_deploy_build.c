/* The step build: one build an attempt, found again whatever was lost, and its reason when it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/db/step_harness.h"

#define BUILD_1 "berth-shop:11111111-1111-4111-8111-111111111111"
#define BUILD_2 "berth-shop:22222222-2222-4222-8222-222222222222"

#define ONES_LESS_ONE "111111111111111111111111111111111111111111111111111111111111111"
#define ONES "1" ONES_LESS_ONE

static const char started_1[] = "{\"build\":{\"id\":\"" BUILD_1 "\"}}";
static const char started_2[] = "{\"build\":{\"id\":\"" BUILD_2 "\"}}";
static const char in_progress[] = "{\"builds\":[{\"id\":\"" BUILD_1 "\",\"buildStatus\":\"IN_PROGRESS\"}]}";
static const char faulty[] = "{\"builds\":[{\"id\":\"" BUILD_1 "\",\"buildStatus\":\"FAULT\",\"phases\":[]}]}";
static const char succeeded[] =
    "{\"builds\":[{\"id\":\"" BUILD_1 "\",\"buildStatus\":\"SUCCEEDED\",\"exportedEnvironmentVariables\":"
    "[{\"name\":\"OTHER\",\"value\":\"x\"},{\"name\":\"IMAGE_DIGEST\",\"value\":\"" STEP_DIGEST "\"}]}]}";
static const char image_of_3_mib[] =
    "{\"imageDetails\":[{\"imageDigest\":\"" STEP_DIGEST "\",\"imageSizeInBytes\":3145728}]}";
static const char digest_said[] =
    "{\"builds\":[{\"id\":\"" BUILD_1 "\",\"buildStatus\":\"SUCCEEDED\",\"exportedEnvironmentVariables\":"
    "[{\"name\":\"IMAGE_DIGEST\",\"value\":\"%s\"}]}]}";
static const char failed[] =
    "{\"builds\":[{\"id\":\"" BUILD_1 "\",\"buildStatus\":\"FAILED\",\"phases\":["
    "{\"phaseType\":\"INSTALL\",\"phaseStatus\":\"SUCCEEDED\"},"
    "{\"phaseType\":\"BUILD\",\"phaseStatus\":\"FAILED\",\"contexts\":[{\"statusCode\":\"COMMAND_EXECUTION_ERROR\","
    "\"message\":\"Error while executing command: docker build. Reason: exit status 1\"}]}]}]}";
static const char access_denied[] =
    "{\"builds\":[{\"id\":\"" BUILD_1 "\",\"buildStatus\":\"FAILED\",\"phases\":["
    "{\"phaseType\":\"DOWNLOAD_SOURCE\",\"phaseStatus\":\"FAILED\",\"contexts\":[{\"statusCode\":\"CLIENT_ERROR\","
    "\"message\":\"AccessDenied: Access Denied status code: 403\"}]}]}]}";
static const char build_of_attempt_1[] =
    "{\"builds\":[{\"id\":\"" BUILD_2 "\",\"environment\":{\"environmentVariables\":"
    "[{\"name\":\"IMAGE_TAG\",\"value\":\"v0-a1\"}]}},"
    "{\"id\":\"" BUILD_1
    "\",\"environment\":{\"environmentVariables\":[{\"name\":\"IMAGE_TAG\",\"value\":\"v1-a1\"}]}}]}";

static int run_build(struct step_harness *h, enum step_answer *answer, struct err *e)
{
    *e = (struct err){ 0 };
    *answer = STEP_WAIT;
    return build_ensure(&h->run, answer, e);
}

/* A release whose build 1 was asked for. */
static void open_started(struct step_harness *h)
{
    step_open(h);
    step_sql(h, "UPDATE berth.releases SET build_attempt = 1, build_id = '" BUILD_1 "', step = 'build'");
    step_reload(h, 1);
}

static void a_lost_start_is_found_by_its_tag_and_not_repeated(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    step_open(&h);
    step_lose(&h, "StartBuild", "shop-v1-a1");
    step_expect(&h, "ListBuildsForProject", "DESCENDING", "{\"ids\":[\"" BUILD_2 "\",\"" BUILD_1 "\"]}");
    step_expect(&h, "BatchGetBuilds", BUILD_1, build_of_attempt_1);

    assert_int_equal(run_build(&h, &answer, &e), ERR_TRANSIENT);
    step_reload(&h, 2);

    assert_int_equal(run_build(&h, &answer, &e), 0);
    assert_int_equal(answer, STEP_WAIT);
    assert_true(step_holds(&h, "(SELECT build_id = '" BUILD_1 "' FROM berth.releases)"));
    step_close(&h);
}

static void a_start_that_never_reached_codebuild_is_made_again_under_the_same_token(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    step_open(&h);
    step_lose(&h, "StartBuild", "\"idempotencyToken\":\"shop-v1-a1\"");
    step_expect(&h, "ListBuildsForProject", NULL, "{\"ids\":[]}");
    step_expect(&h, "StartBuild", "\"idempotencyToken\":\"shop-v1-a1\"", started_1);

    assert_int_equal(run_build(&h, &answer, &e), ERR_TRANSIENT);
    step_reload(&h, 2);

    assert_int_equal(run_build(&h, &answer, &e), 0);
    step_close(&h);
}

static void a_start_that_was_answered_but_not_recorded_is_found(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    step_open(&h);
    step_expect(&h, "StartBuild", NULL, started_1);
    step_expect(&h, "ListBuildsForProject", NULL, "{\"ids\":[\"" BUILD_1 "\"]}");
    step_expect(&h, "BatchGetBuilds", NULL, build_of_attempt_1);
    assert_int_equal(run_build(&h, &answer, &e), 0);
    step_sql(&h, "UPDATE berth.releases SET build_id = NULL"); /* the worker died right after the answer */
    step_reload(&h, 2);

    assert_int_equal(run_build(&h, &answer, &e), 0);

    assert_true(step_holds(&h, "(SELECT build_id = '" BUILD_1 "' FROM berth.releases)"));
    step_close(&h);
}

static void a_full_account_is_waited_for(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    step_open(&h);
    step_refuse(&h, "StartBuild", NULL, "AccountLimitExceededException", "Cannot have more than 2 active builds");

    assert_int_equal(run_build(&h, &answer, &e), ERR_QUOTA);
    step_close(&h);
}

static void a_build_that_codebuild_does_not_know_ends_the_release(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_started(&h);
    step_reload(&h, 7);
    step_expect(&h, "BatchGetBuilds", BUILD_1, "{\"builds\":[],\"buildsNotFound\":[\"" BUILD_1 "\"]}");

    assert_int_equal(run_build(&h, &answer, &e), ERR_NOT_FOUND);

    assert_non_null(strstr(e.message, "CodeBuild shows no build " BUILD_1));
    step_close(&h);
}

/* And when the release ends meanwhile, the build is stopped: that it isn't shown doesn't mean that it doesn't run. */
static void a_build_that_codebuild_does_not_show_yet_is_looked_for_again(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_started(&h);
    step_expect(&h, "BatchGetBuilds", BUILD_1, "{\"builds\":[],\"buildsNotFound\":[\"" BUILD_1 "\"]}");

    assert_int_equal(run_build(&h, &answer, &e), ERR_TRANSIENT);

    assert_false(h.run.cleared);
    step_close(&h);
}

static void a_failed_build_says_the_line_that_says_why(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_started(&h);
    step_expect(&h, "BatchGetBuilds", BUILD_1, failed);
    step_expect(&h, "GetLogEvents", "build/11111111-1111-4111-8111-111111111111",
                "{\"events\":[{\"timestamp\":1,\"message\":\"#8 [4/6] RUN npm ci\\n\"},"
                "{\"timestamp\":2,\"message\":\"#8 1.023 npm ERR! Missing: bwip-js@4.5.1 from lock file\\n\"},"
                "{\"timestamp\":3,\"message\":\"#8 ERROR: process \\\"/bin/sh -c npm ci\\\" did not complete "
                "successfully: exit code: 1\\n\"},"
                "{\"timestamp\":4,\"message\":\"ERROR: failed to solve: process \\\"/bin/sh -c npm ci\\\" did not "
                "complete successfully: exit code: 1\\n\"},"
                "{\"timestamp\":5,\"message\":\"[Container] 2026/11/23 Phase complete: BUILD State: FAILED\\n\"}]}");

    assert_int_equal(run_build(&h, &answer, &e), ERR_INVALID);

    assert_string_equal(e.message, "The build stopped in BUILD: npm ERR! Missing: bwip-js@4.5.1 from lock file"
                                   " (process \"/bin/sh -c npm ci\" did not complete successfully: exit code: 1)");
    assert_non_null(strstr(e.hint, "berth logs shop v1"));
    /* What the build printed, without CodeBuild's own word about its phases. */
    assert_true(step_holds(&h, "(SELECT count(*) = 4 AND bool_and(message NOT LIKE '%[Container]%')"
                               " FROM berth.release_events WHERE message LIKE 'build log: %')"));
    step_close(&h);
}

static void a_failed_build_without_a_log_says_the_phase(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_started(&h);
    step_expect(&h, "BatchGetBuilds", NULL, failed);
    step_refuse(&h, "GetLogEvents", NULL, "ResourceNotFoundException", "The specified log stream does not exist.");

    assert_int_equal(run_build(&h, &answer, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "The build stopped in BUILD: Error while executing command: docker build"));
    step_close(&h);
}

static void a_log_that_may_not_be_read_hides_no_failure(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_started(&h);
    step_expect(&h, "BatchGetBuilds", NULL, failed);
    step_refuse(&h, "GetLogEvents", NULL, "AccessDeniedException", "not authorized");

    assert_int_equal(run_build(&h, &answer, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "The build stopped in BUILD"));
    step_close(&h);
}

static void a_fault_of_codebuild_is_built_once_more_under_another_tag(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_started(&h);
    step_expect(&h, "BatchGetBuilds", BUILD_1, faulty);
    step_expect(&h, "StartBuild", "{\"name\":\"IMAGE_TAG\",\"value\":\"v1-a2\"", started_2);

    assert_int_equal(run_build(&h, &answer, &e), 0);

    assert_int_equal(answer, STEP_WAIT);
    assert_true(step_holds(&h, "(SELECT build_id = '" BUILD_2 "' AND build_attempt = 2 FROM berth.releases)"));
    step_close(&h);
}

static void a_lost_second_attempt_is_not_taken_for_the_first(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_started(&h);
    step_expect(&h, "BatchGetBuilds", BUILD_1, faulty);
    step_lose(&h, "StartBuild", "shop-v1-a2");
    step_expect(&h, "ListBuildsForProject", NULL, "{\"ids\":[\"" BUILD_1 "\"]}");
    step_expect(&h, "BatchGetBuilds", BUILD_1, build_of_attempt_1);
    step_expect(&h, "StartBuild", "shop-v1-a2", started_2);

    assert_int_equal(run_build(&h, &answer, &e), ERR_TRANSIENT);
    step_reload(&h, 2);

    assert_int_equal(run_build(&h, &answer, &e), 0);
    assert_true(step_holds(&h, "(SELECT build_id = '" BUILD_2 "' FROM berth.releases)"));
    step_close(&h);
}

static void a_second_fault_ends_the_release(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_started(&h);
    step_sql(&h, "UPDATE berth.releases SET build_attempt = 2");
    step_reload(&h, 1);
    step_expect(&h, "BatchGetBuilds", NULL, faulty);
    step_expect(&h, "GetLogEvents", NULL, "{\"events\":[]}");

    assert_int_equal(run_build(&h, &answer, &e), ERR_INVALID);
    step_close(&h);
}

static void a_role_not_believed_in_a_first_build_is_worth_another(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_started(&h);
    step_expect(&h, "BatchGetBuilds", NULL, access_denied);
    step_expect(&h, "StartBuild", "shop-v1-a2", started_2);

    assert_int_equal(run_build(&h, &answer, &e), 0);
    step_close(&h);
}

static void a_success_without_a_whole_digest_is_not_believed(void **state)
{
    static const char *const wrong[] = {
        "", "latest", "sha256:1111", "sha512:" ONES, "sha256:g" ONES_LESS_ONE, STEP_DIGEST "1"
    };
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct step_harness h;
        enum step_answer answer;
        struct err e;
        open_started(&h);
        step_expect(&h, "BatchGetBuilds", NULL, arena_printf(h.mem, digest_said, wrong[i]));

        assert_int_equal(run_build(&h, &answer, &e), ERR_INVALID);

        assert_non_null(strstr(e.message, "did not say the digest"));
        assert_true(step_holds(&h, "(SELECT image_digest IS NULL FROM berth.releases)"));
        step_close(&h);
    }
}

static void a_build_gets_the_pinned_source_and_nothing_that_a_pusher_wrote(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    step_open(&h);
    step_sql(&h, "UPDATE berth.releases SET commit_title = '$(touch /tmp/x)', pushed_by = '`id`'");
    step_reload(&h, 1);
    step_expect(&h, "StartBuild", "\"sourceLocationOverride\":\"sources/tenants/shop/" STEP_COMMIT ".zip\"", started_1);

    assert_int_equal(run_build(&h, &answer, &e), 0);

    assert_int_equal(answer, STEP_WAIT);
    assert_true(step_asked(&h, 0, "\"sourceVersion\":\"version-1\""));
    assert_true(step_asked(&h, 0, "\"value\":\"123456789012.dkr.ecr.eu-central-1.amazonaws.com/berth/shop\""));
    assert_true(step_asked(&h, 0, "{\"name\":\"IMAGE_TAG\",\"value\":\"v1-a1\",\"type\":\"PLAINTEXT\"}"));
    assert_false(step_asked(&h, 0, "touch"));
    assert_false(step_asked(&h, 0, "`id`"));
    step_close(&h);
}

static void a_build_under_way_is_waited_for_by_one_call(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_started(&h);
    step_expect(&h, "BatchGetBuilds", BUILD_1, in_progress);

    assert_int_equal(run_build(&h, &answer, &e), 0);

    assert_int_equal(answer, STEP_WAIT);
    step_close(&h);
}

static void a_build_that_succeeded_gives_its_digest(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_started(&h);
    step_expect(&h, "BatchGetBuilds", BUILD_1, succeeded);
    step_expect(&h, "DescribeImages", "\"repositoryName\":\"berth/shop\"", image_of_3_mib);

    assert_int_equal(run_build(&h, &answer, &e), 0);

    assert_int_equal(answer, STEP_DONE);
    assert_true(step_asked(&h, 1, STEP_DIGEST));
    assert_true(step_holds(&h, "(SELECT image_digest = '" STEP_DIGEST "' FROM berth.releases)"));
    assert_true(step_holds(&h, "(SELECT image_bytes = 3145728 FROM berth.releases)"));
    step_close(&h);
}

/* ECR shows a new image late; it is asked for again before the release goes live. */
static void a_builds_minutes_end_with_it_and_not_with_its_release(void **state)
{
    static const char *const replies[] = {
        "{\"builds\":[{\"id\":\"" BUILD_1
        "\",\"buildStatus\":\"FAILED\",\"startTime\":1800000000.5,\"endTime\":1800000181,"
        "\"phases\":[{\"phaseType\":\"BUILD\",\"phaseStatus\":\"FAILED\"}]}]}",
        "{\"builds\":[{\"id\":\"" BUILD_1 "\",\"buildStatus\":\"FAILED\",\"startTime\":\"2027-01-15\","
        "\"phases\":[{\"phaseType\":\"BUILD\",\"phaseStatus\":\"FAILED\"}]}]}",
    };
    static const char *const ended[] = {
        "(SELECT extract(epoch FROM started_at) = 1800000000.5 AND extract(epoch FROM ended_at) = 1800000181 FROM "
        "berth.builds)",
        "(SELECT started_at < ended_at AND ended_at > now() - interval '1 minute' FROM berth.builds)",
    };
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        struct step_harness h;
        enum step_answer answer;
        struct err e;
        open_started(&h);
        step_sql(&h, "INSERT INTO berth.builds (app_name, build_id, release, started_at) VALUES ('shop', '" BUILD_1
                     "', 1, now() - interval '1 hour')");
        step_expect(&h, "BatchGetBuilds", BUILD_1, replies[i]);
        step_expect(&h, "GetLogEvents", NULL, "{\"events\":[]}");

        assert_int_equal(run_build(&h, &answer, &e), ERR_INVALID);

        assert_true(step_holds(&h, ended[i]));
        step_close(&h);
    }
}

static void an_image_whose_size_is_not_told_yet_fails_no_build(void **state)
{
    static const char *const refusals[] = { "ImageNotFoundException", "AccessDeniedException" };
    (void)state;

    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct step_harness h;
        enum step_answer answer;
        struct err e;
        open_started(&h);
        step_expect(&h, "BatchGetBuilds", BUILD_1, succeeded);
        step_refuse(&h, "DescribeImages", NULL, refusals[i], "no");

        assert_int_equal(run_build(&h, &answer, &e), 0);

        assert_int_equal(answer, STEP_DONE);
        assert_true(step_holds(&h, "(SELECT image_bytes IS NULL AND image_digest IS NOT NULL FROM berth.releases)"));
        step_close(&h);
    }
}

static void a_release_that_has_its_image_builds_nothing(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    step_open(&h);
    step_sql(&h, "UPDATE berth.releases SET image_digest = '" STEP_DIGEST "'");
    step_reload(&h, 1);

    assert_int_equal(run_build(&h, &answer, &e), 0);

    assert_int_equal(answer, STEP_DONE);
    assert_int_equal(fake_count(h.fake), 0);
    step_close(&h);
}

static void an_abandoned_build_is_stopped(void **state)
{
    struct step_harness h;
    struct err e = { 0 };
    (void)state;
    open_started(&h);
    step_sql(&h, "INSERT INTO berth.intents (app_name, release, step, operation, target, lease_token)"
                 " VALUES ('shop', 1, 'build', 'codebuild:StartBuild', 'shop-v1-a1', 7)");
    step_expect(&h, "StopBuild", BUILD_1, "{}");

    assert_int_equal(build_abandon(&h.run, &e), 0);
    step_close(&h);
}

static void an_abandoned_build_whose_start_was_lost_is_found_and_stopped(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    step_open(&h);
    step_lose(&h, "StartBuild", "shop-v1-a1");
    step_expect(&h, "ListBuildsForProject", NULL, "{\"ids\":[\"" BUILD_1 "\"]}");
    step_expect(&h, "BatchGetBuilds", NULL, build_of_attempt_1);
    step_expect(&h, "StopBuild", BUILD_1, "{}");
    assert_int_equal(run_build(&h, &answer, &e), ERR_TRANSIENT);
    step_reload(&h, 2);

    assert_int_equal(build_abandon(&h.run, &e), 0);
    step_close(&h);
}

static void a_build_that_has_ended_needs_no_stop(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_started(&h);
    step_expect(&h, "BatchGetBuilds", NULL, failed);
    step_expect(&h, "GetLogEvents", NULL, "{\"events\":[]}");

    assert_int_equal(run_build(&h, &answer, &e), ERR_INVALID);

    assert_true(h.run.cleared);
    step_close(&h);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_start_is_found_by_its_tag_and_not_repeated),
        cmocka_unit_test(a_start_that_never_reached_codebuild_is_made_again_under_the_same_token),
        cmocka_unit_test(a_start_that_was_answered_but_not_recorded_is_found),
        cmocka_unit_test(a_full_account_is_waited_for),
        cmocka_unit_test(a_build_that_codebuild_does_not_know_ends_the_release),
        cmocka_unit_test(a_build_that_codebuild_does_not_show_yet_is_looked_for_again),
        cmocka_unit_test(a_failed_build_says_the_line_that_says_why),
        cmocka_unit_test(a_failed_build_without_a_log_says_the_phase),
        cmocka_unit_test(a_log_that_may_not_be_read_hides_no_failure),
        cmocka_unit_test(a_fault_of_codebuild_is_built_once_more_under_another_tag),
        cmocka_unit_test(a_lost_second_attempt_is_not_taken_for_the_first),
        cmocka_unit_test(a_second_fault_ends_the_release),
        cmocka_unit_test(a_role_not_believed_in_a_first_build_is_worth_another),
        cmocka_unit_test(a_success_without_a_whole_digest_is_not_believed),
        cmocka_unit_test(a_build_gets_the_pinned_source_and_nothing_that_a_pusher_wrote),
        cmocka_unit_test(a_build_under_way_is_waited_for_by_one_call),
        cmocka_unit_test(a_build_that_succeeded_gives_its_digest),
        cmocka_unit_test(a_builds_minutes_end_with_it_and_not_with_its_release),
        cmocka_unit_test(an_image_whose_size_is_not_told_yet_fails_no_build),
        cmocka_unit_test(a_release_that_has_its_image_builds_nothing),
        cmocka_unit_test(an_abandoned_build_is_stopped),
        cmocka_unit_test(an_abandoned_build_whose_start_was_lost_is_found_and_stopped),
        cmocka_unit_test(a_build_that_has_ended_needs_no_stop),
    };
    (void)argc;

    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
