/* The last step: what is live, and what GitHub is told of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/deploy/steps/commit_status.h"
#include "core/deploy/steps/prune.h"
#include "tests/db/step_harness.h"

#define STATUSES "https://api.github.test/repos/acme/shop/statuses/" STEP_COMMIT

static struct step_harness harness;
static struct fake_transport *github_fake;
static struct secret *token;
static struct github github;

static int set_up(void **state)
{
    (void)state;
    step_open(&harness);
    step_sql(&harness, "UPDATE berth.releases SET step = 'live', image_digest = '" STEP_DIGEST
                       "', image_bytes = 1, task_definition_arn = 'arn:task', ecs_deployment_id = 'ecs-svc/1'");
    step_reload(&harness, 1);
    github_fake = fake_new();
    token = secret_from_text("ghp_verysecret");
    github =
        (struct github){ .transport = fake_http(github_fake), .api_url = "https://api.github.test", .token = token };
    harness.run.github = &github;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_done(github_fake);
    fake_free(github_fake);
    secret_free(token);
    step_close(&harness);
    return 0;
}

/* The service as it is looked at before the commit. */
static void primary_is(const char *id, const char *definition, const char *state)
{
    step_expect(
        &harness, "DescribeServices", "berth-shop",
        arena_printf(harness.mem,
                     "{\"services\":[{\"serviceName\":\"berth-shop\",\"status\":\"ACTIVE\",\"deployments\":["
                     "{\"id\":\"%s\",\"status\":\"PRIMARY\",\"taskDefinition\":\"%s\",\"rolloutState\":\"%s\"}]}]}",
                     id, definition, state));
}

static int live(struct err *e)
{
    enum step_answer answer = STEP_WAIT;
    int code = live_ensure(&harness.run, &answer, e);

    assert_true(code || answer == STEP_DONE);
    return code;
}

static void a_release_whose_lease_is_lost_changes_nothing(void **state)
{
    struct err e = { 0 };
    (void)state;
    primary_is("ecs-svc/1", "arn:task", "COMPLETED");
    step_sql(&harness, "UPDATE berth.releases SET lease_token = lease_token + 1000");
    harness.run.lease.ends_ms = INT64_MAX / 2; /* as it thinks */

    assert_int_equal(live(&e), ERR_CONFLICT);

    assert_true(step_holds(&harness, "NOT EXISTS (SELECT FROM berth.deployments)"));
    assert_true(step_holds(&harness, "EXISTS (SELECT FROM berth.releases WHERE state = 'running')"));
}

static void a_release_without_an_image_never_goes_live(void **state)
{
    struct err e = { 0 };
    (void)state;
    harness.run.release.image_digest = NULL;

    assert_int_equal(live(&e), ERR_INTERNAL);

    assert_true(step_holds(&harness, "NOT EXISTS (SELECT FROM berth.deployments)"));
}

static void a_status_that_github_refuses_fails_no_release_and_is_said(void **state)
{
    struct err e = { 0 };
    (void)state;
    primary_is("ecs-svc/1", "arn:task", "COMPLETED");
    fake_expect(github_fake, "POST", STATUSES, "success");
    fake_reply(github_fake, 403, NULL, "{\"message\":\"Resource not accessible by personal access token\"}");

    assert_int_equal(live(&e), 0);

    assert_true(step_holds(&harness, "EXISTS (SELECT FROM berth.releases WHERE state = 'live')"));
    assert_true(step_holds(&harness, "EXISTS (SELECT FROM berth.release_events WHERE kind = 'info'"
                                     " AND message LIKE 'GitHub did not take%not accessible%')"));
    assert_true(step_holds(&harness, "NOT EXISTS (SELECT FROM berth.release_events WHERE message LIKE '%ghp_%')"));
}

static void an_older_release_never_replaces_a_newer_one_that_is_live(void **state)
{
    struct err e = { 0 };
    (void)state;
    primary_is("ecs-svc/1", "arn:task", "COMPLETED");
    step_sql(&harness,
             "INSERT INTO berth.releases (app_name, number, kind, state, commit_sha, finished_at)"
             " VALUES ('shop', 7, 'push', 'live', repeat('7', 40), now());"
             "INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host)"
             " VALUES ('shop', 7, repeat('7', 40), 'd', 'arn:7', 'h')");
    github.token = NULL;

    assert_int_equal(live(&e), 0);

    assert_true(step_holds(
        &harness, "EXISTS (SELECT FROM berth.deployments WHERE release = 7 AND task_definition_arn = 'arn:7')"));
}

static void a_live_release_is_the_deployment_and_github_is_told_where(void **state)
{
    struct err e = { 0 };
    (void)state;
    primary_is("ecs-svc/1", "arn:task", "COMPLETED");
    fake_expect(github_fake, "POST", STATUSES, "\"context\":\"berth/shop\"");
    fake_reply(github_fake, 201, NULL, "{}");

    assert_int_equal(live(&e), 0);

    assert_true(step_holds(&harness, "EXISTS (SELECT FROM berth.deployments WHERE app_name = 'shop' AND release = 1"
                                     " AND commit_sha = '" STEP_COMMIT "' AND image_digest = '" STEP_DIGEST "')"));
    assert_non_null(strstr(fake_body(github_fake, 0), "\"target_url\":\"https://shop."));
}

static void a_service_that_is_not_ours_any_more_keeps_the_release_from_going_live(void **state)
{
    struct err e = { 0 };
    enum step_answer answer = STEP_DONE;
    (void)state;
    primary_is("ecs-svc/0", "arn:older", "COMPLETED");
    step_expect(&harness, "ListServiceDeployments", NULL, "{\"serviceDeployments\":[]}");

    assert_int_equal(live_ensure(&harness.run, &answer, &e), 0);

    assert_int_equal(answer, STEP_WAIT);
    assert_true(step_holds(&harness, "NOT EXISTS (SELECT FROM berth.deployments)"));
}

/* v1 to v14 went live on an image of their own each, and v15 is about to. */
static void add_history(void)
{
    step_sql(&harness, "UPDATE berth.releases SET number = 15;"
                       "INSERT INTO berth.releases (app_name, number, kind, state, commit_sha, finished_at, "
                       "image_digest, image_bytes, task_definition_arn)"
                       " SELECT 'shop', i, 'push', 'live', repeat('a', 40), now(), 'sha256:' || lpad(i::text, 64, "
                       "'0'), 1, 'arn:task-' || i"
                       " FROM generate_series(1, 14) i;"
                       /* v14 is a rollback to v2, and what is live */
                       "UPDATE berth.releases SET image_digest = 'sha256:' || lpad('2', 64, '0') WHERE number = 14");
    harness.run.release.number = 15;
    step_reload(&harness, 1);
}

static void images_that_no_kept_release_uses_are_removed(void **state)
{
    struct err e = { 0 };
    (void)state;
    github.token = NULL;
    add_history();
    step_expect(&harness, "BatchDeleteImage",
                "0000000000000001\"},{\"imageDigest\":\"sha256:", "{\"imageIds\":[],\"failures\":[]}");
    for (int i = 1; i <= 4; i++)
        step_expect(&harness, "DeregisterTaskDefinition", arena_printf(harness.mem, "\"arn:task-%d\"", i), "{}");
    primary_is("ecs-svc/1", "arn:task", "COMPLETED");

    assert_int_equal(live(&e), 0);

    assert_false(step_asked(&harness, 0, "0000000000000002\"")); /* v14 runs it */
    assert_true(step_holds(&harness, "(SELECT array_agg(number ORDER BY number) = ARRAY[1, 2, 3, 4] FROM "
                                     "berth.releases WHERE pruned_at IS NOT NULL)"));
}

static void images_whose_size_is_not_known_are_asked_for_the_newest_first(void **state)
{
    struct err e = { 0 };
    (void)state;
    github.token = NULL;
    add_history();
    step_sql(&harness, "UPDATE berth.releases SET image_bytes = NULL WHERE number IN (12, 13, 15);"
                       "UPDATE berth.releases SET pruned_at = now(), image_bytes = NULL WHERE number < 5");
    step_expect(&harness, "DescribeImages", STEP_DIGEST, "{\"imageDetails\":[{\"imageSizeInBytes\":1500}]}");
    step_refuse(&harness, "DescribeImages", "00000000013\"", "ImageNotFoundException", "does not exist");
    step_expect(&harness, "DescribeImages", "00000000012\"", "{\"imageDetails\":[{\"imageSizeInBytes\":1200}]}");
    primary_is("ecs-svc/1", "arn:task", "COMPLETED");

    assert_int_equal(live(&e), 0);

    /* What somebody has removed takes no room, and is not asked for for ever. */
    assert_true(step_holds(&harness,
                           "(SELECT array_agg(image_bytes ORDER BY number) = ARRAY[1200, 0, 1500]::bigint[] FROM "
                           "berth.releases WHERE number IN (12, 13, 15))"));
}

static void images_that_can_t_be_removed_fail_no_release(void **state)
{
    struct err e = { 0 };
    (void)state;
    github.token = NULL;
    add_history();
    step_refuse(&harness, "BatchDeleteImage", NULL, "AccessDeniedException", "not allowed");
    primary_is("ecs-svc/1", "arn:task", "COMPLETED");

    assert_int_equal(live(&e), 0);

    assert_true(step_holds(&harness, "NOT EXISTS (SELECT FROM berth.releases WHERE pruned_at IS NOT NULL)"));
}

/* v3 was superseded in its build, v4 failed in its second one, v5 was cancelled before it had any; v1 went live with its second. All ended two hours ago. */
static void add_unrecorded_images(void)
{
    step_sql(&harness,
             "UPDATE berth.releases SET state = 'superseded', step = 'build', build_attempt = 1, image_digest = NULL,"
             " image_bytes = NULL, task_definition_arn = NULL WHERE number = 3;"
             "UPDATE berth.releases SET state = 'failed', step = 'build', build_attempt = 2, image_digest = NULL,"
             " image_bytes = NULL, task_definition_arn = NULL WHERE number = 4;"
             "UPDATE berth.releases SET state = 'cancelled', step = 'source', image_digest = NULL,"
             " image_bytes = NULL, task_definition_arn = NULL WHERE number = 5;"
             "UPDATE berth.releases SET build_attempt = 2 WHERE number = 1;"
             "UPDATE berth.releases SET finished_at = now() - interval '2 hours' WHERE number < 15");
}

static void images_that_builds_left_behind_are_removed_by_their_tags_and_once(void **state)
{
    struct err e = { 0 };
    (void)state;
    github.token = NULL;
    add_history();
    add_unrecorded_images();
    step_expect(
        &harness, "BatchDeleteImage",
        "0000000000000001\"},{\"imageTag\":\"v1-a1\"},{\"imageTag\":\"v3-a1\"},"
        "{\"imageTag\":\"v4-a1\"},{\"imageTag\":\"v4-a2\"}]",
        "{\"imageIds\":[],\"failures\":[{\"imageId\":{\"imageTag\":\"v3-a1\"},\"failureCode\":\"ImageNotFound\"}]}");
    step_expect(&harness, "DeregisterTaskDefinition", "\"arn:task-1\"", "{}");
    primary_is("ecs-svc/1", "arn:task", "COMPLETED");

    assert_int_equal(live(&e), 0);

    assert_true(step_holds(&harness, "(SELECT array_agg(number ORDER BY number) = ARRAY[1, 3, 4, 5] FROM "
                                     "berth.releases WHERE pruned_at IS NOT NULL)"));
    step_sql(&harness, "UPDATE berth.releases SET state = 'running', finished_at = NULL, lease_token = 7,"
                       " lease_until = now() + interval '1 hour' WHERE number = 15");
    step_reload(&harness, 1);
    primary_is("ecs-svc/1", "arn:task", "COMPLETED");
    assert_int_equal(live(&e), 0);
}

static void the_image_of_a_build_that_may_still_run_is_waited_for(void **state)
{
    struct err e = { 0 };
    (void)state;
    github.token = NULL;
    add_history();
    add_unrecorded_images();
    step_sql(&harness, "UPDATE berth.releases SET pruned_at = now() WHERE number = 1;"
                       "UPDATE berth.releases SET finished_at = now() - interval '50 minutes' WHERE number IN (3, 4)");
    primary_is("ecs-svc/1", "arn:task", "COMPLETED");

    assert_int_equal(live(&e), 0);

    assert_true(step_holds(&harness,
                           "NOT EXISTS (SELECT FROM berth.releases WHERE pruned_at IS NOT NULL AND number IN (3, 4))"));
}

static void a_task_definition_that_somebody_has_deleted_keeps_no_other(void **state)
{
    struct err e = { 0 };
    (void)state;
    github.token = NULL;
    add_history();
    step_expect(&harness, "BatchDeleteImage", NULL, "{\"imageIds\":[],\"failures\":[]}");
    step_refuse(&harness, "DeregisterTaskDefinition", "\"arn:task-1\"", "ClientException",
                "Unable to describe task definition.");
    step_refuse(&harness, "DeregisterTaskDefinition", "\"arn:task-2\"", "InvalidParameterException", "no revision");
    step_expect(&harness, "DeregisterTaskDefinition", "\"arn:task-3\"", "{}");
    step_expect(&harness, "DeregisterTaskDefinition", "\"arn:task-4\"", "{}");
    primary_is("ecs-svc/1", "arn:task", "COMPLETED");

    assert_int_equal(live(&e), 0);

    assert_true(step_holds(&harness, "(SELECT array_agg(number ORDER BY number) = ARRAY[1, 3, 4] FROM "
                                     "berth.releases WHERE pruned_at IS NOT NULL)"));
}

/* As operation_rollback sees it. */
static bool is_pruned(int number)
{
    struct release release = { 0 };
    struct err e = { 0 };

    if (release_get(harness.db, "shop", number, harness.mem, &release, &e))
        fail_msg("%s", e.message);
    return release.pruned;
}

static void what_may_be_gone_is_no_release_to_go_back_to(void **state)
{
    struct err e = { 0 };
    (void)state;
    github.token = NULL;
    add_history();
    step_lose(&harness, "BatchDeleteImage", NULL);
    primary_is("ecs-svc/1", "arn:task", "COMPLETED");

    assert_int_equal(live(&e), 0);

    assert_true(is_pruned(4));
    assert_false(is_pruned(5));
    assert_true(step_holds(&harness, "NOT EXISTS (SELECT FROM berth.releases WHERE pruned_at IS NOT NULL)"));
}

/* The rollback that holds the app's row may be to one of them. */
static void nothing_is_retired_while_a_rollback_is_queued(void **state)
{
    AUTO_DB struct db *operator= NULL;
    struct err e = { 0 };
    (void)state;
    github.token = NULL;
    add_history();
    assert_int_equal(db_take(harness.owner, &operator, & e), 0);
    assert_int_equal(db_begin(operator, NULL, &e), 0);
    assert_int_equal(harness_run(operator, NULL, QUERY_SHAPE_MANY,
                                 "SELECT 1 FROM berth.apps WHERE app_name = 'shop' FOR NO KEY UPDATE", &e),
                     0);
    assert_int_equal(harness_run(harness.db, NULL, QUERY_SHAPE_NONE, "SET lock_timeout = '50ms'", &e), 0);

    prune(&harness.run); /* asks AWS for nothing */

    assert_false(is_pruned(1));
    db_rollback(operator);
}

static void without_the_lease_nothing_is_retired(void **state)
{
    (void)state;
    add_history();
    harness.run.release.lease_token++;

    prune(&harness.run);

    assert_false(is_pruned(1));
}

static void without_a_token_github_is_told_nothing(void **state)
{
    (void)state;
    github.token = NULL;

    commit_status_tell(&harness.run, GITHUB_PENDING, NULL, "v%d is being deployed", 1);

    assert_int_equal(fake_count(github_fake), 0);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_release_whose_lease_is_lost_changes_nothing),
        TEST(a_release_without_an_image_never_goes_live),
        TEST(a_status_that_github_refuses_fails_no_release_and_is_said),
        TEST(an_older_release_never_replaces_a_newer_one_that_is_live),
        TEST(a_live_release_is_the_deployment_and_github_is_told_where),
        TEST(a_service_that_is_not_ours_any_more_keeps_the_release_from_going_live),
        TEST(images_that_no_kept_release_uses_are_removed),
        TEST(images_whose_size_is_not_known_are_asked_for_the_newest_first),
        TEST(images_that_can_t_be_removed_fail_no_release),
        TEST(images_that_builds_left_behind_are_removed_by_their_tags_and_once),
        TEST(the_image_of_a_build_that_may_still_run_is_waited_for),
        TEST(a_task_definition_that_somebody_has_deleted_keeps_no_other),
        TEST(what_may_be_gone_is_no_release_to_go_back_to),
        TEST(nothing_is_retired_while_a_rollback_is_queued),
        TEST(without_the_lease_nothing_is_retired),
        TEST(without_a_token_github_is_told_nothing),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
