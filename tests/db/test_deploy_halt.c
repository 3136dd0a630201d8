/* A release that ends before its time: its build is stopped, its rollout taken back, by whichever worker has it. A real Postgres; AWS is scripted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/deploy/halt.h"
#include "tests/db/step_harness.h"

#define DEFINITION_7 "arn:aws:ecs:eu-central-1:123456789012:task-definition/berth-shop:7"
#define DEFINITION_8 "arn:aws:ecs:eu-central-1:123456789012:task-definition/berth-shop:8"
#define PRIMARY(id, definition, state)                                                                                 \
    "\"deployments\":[{\"id\":\"" id "\",\"status\":\"PRIMARY\",\"taskDefinition\":\"" definition                      \
    "\",\"rolloutState\":\"" state "\",\"rolloutStateReason\":\"ECS says so\"}]"
#define SERVICE(inner) "{\"service\":{\"serviceArn\":\"arn:service\"," inner "}}"
#define SERVICES(inner) "{\"services\":[{\"status\":\"ACTIVE\"," inner "}]}"

static struct step_harness harness;

static int set_up(void **state)
{
    (void)state;
    step_open(&harness);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    step_close(&harness);
    return 0;
}

/* v1 is to end as `halt` in that step. age: since it was asked for. */
static void halt_in(const char *step, const char *halt, const char *age)
{
    step_sql(&harness, arena_printf(harness.mem,
                                    "UPDATE berth.releases SET step = '%s', halt = '%s', halt_by = %s,"
                                    " halt_at = clock_timestamp() - interval '%s' WHERE number = 1",
                                    step, halt, strcmp(halt, "cancel") ? "2" : "NULL", age));
    step_reload(&harness, 1);
}

static void with(const char *facts)
{
    step_sql(&harness, arena_printf(harness.mem, "UPDATE berth.releases SET %s WHERE number = 1", facts));
    step_reload(&harness, 1);
}

static void asked_before(const char *operation, const char *answered)
{
    step_sql(&harness,
             arena_printf(harness.mem,
                          "INSERT INTO berth.intents (app_name, release, step, operation, target, lease_token,"
                          " answered_at) VALUES ('shop', 1, 'x', '%s', 'x', 7, %s)",
                          operation, answered));
}

/* An older release is live on task definition 7. */
static void make_live(void)
{
    step_sql(&harness,
             "INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, finished_at)"
             " VALUES ('shop', 90, 'push', 'live', 'live', repeat('b', 40), now());"
             "INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn,"
             " host) VALUES ('shop', 90, repeat('b', 40), '" STEP_DIGEST "', '" DEFINITION_7 "', 'h')");
}

/* What follows from one run: the move's kind. */
static struct move halted(enum step_answer *answer, struct err *e)
{
    *e = (struct err){ 0 };
    *answer = STEP_WAIT;
    if (!halt_ensure(&harness.run, answer, e))
        *e = (struct err){ 0 }; /* as the turn does: a refusal that was got over leaves its text */
    return halt_next_move(&harness.run, *answer, e);
}

static void expect_move(enum move_kind kind, const char *message_part)
{
    enum step_answer answer;
    struct err e;
    struct move move = halted(&answer, &e);

    if (move.kind != kind)
        fail_msg("move %d instead of %d: %s", move.kind, kind, e.message);
    if (message_part && !strstr(move.message, message_part))
        fail_msg("\"%s\" lacks \"%s\"", move.message, message_part);
}

static void before_a_build_there_is_nothing_to_stop(void **state)
{
    static const char *const steps[] = { "source", "identity", "route" };
    (void)state;

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        halt_in(steps[i], "supersede", "1 s");
        expect_move(MOVE_SUPERSEDE, "Superseded by v2.");
    }
}

static void a_build_that_runs_is_stopped(void **state)
{
    (void)state;
    halt_in("build", "cancel", "1 s");
    with("build_attempt = 1, build_id = 'berth-shop:b1'");
    step_expect(&harness, "StopBuild", "\"id\":\"berth-shop:b1\"", "{\"build\":{\"id\":\"berth-shop:b1\"}}");

    expect_move(MOVE_CANCEL, "Cancelled.");

    assert_true(step_holds(&harness, "EXISTS (SELECT FROM berth.intents WHERE operation = 'codebuild:StopBuild'"
                                     " AND answered_at IS NOT NULL)"));
}

#define BUILDS                                                                                                         \
    "{\"builds\":[{\"id\":\"berth-shop:b1\",\"environment\":{\"environmentVariables\":[{\"name\":\"IMAGE_TAG\","       \
    "\"value\":\"v1-a1\"}]}}]}"

static void a_build_whose_start_was_not_answered_is_found_and_stopped(void **state)
{
    (void)state;
    halt_in("build", "supersede", "1 s");
    with("build_attempt = 1");
    asked_before("codebuild:StartBuild", "NULL");
    step_expect(&harness, "ListBuildsForProject", NULL, "{\"ids\":[\"berth-shop:b1\"]}");
    step_expect(&harness, "BatchGetBuilds", NULL, BUILDS);
    step_expect(&harness, "StopBuild", "\"id\":\"berth-shop:b1\"", "{\"build\":{\"id\":\"berth-shop:b1\"}}");

    expect_move(MOVE_SUPERSEDE, "Superseded by v2.");
}

static void a_build_that_codebuild_does_not_show_yet_is_waited_for_and_not_for_ever(void **state)
{
    (void)state;
    halt_in("build", "supersede", "1 s");
    with("build_attempt = 1");
    asked_before("codebuild:StartBuild", "NULL");
    step_expect(&harness, "ListBuildsForProject", NULL, "{\"ids\":[]}");
    expect_move(MOVE_WAIT, NULL);

    halt_in("build", "supersede", "16 s");
    step_expect(&harness, "ListBuildsForProject", NULL, "{\"ids\":[]}");
    expect_move(MOVE_SUPERSEDE, "Superseded by v2.");
}

static void a_build_that_is_gone_is_stopped(void **state)
{
    (void)state;
    halt_in("build", "supersede", "1 s");
    with("build_attempt = 1, build_id = 'berth-shop:b1'");
    step_refuse(&harness, "StopBuild", NULL, "ResourceNotFoundException", "no such build");

    expect_move(MOVE_SUPERSEDE, "Superseded by v2.");
}

static void a_build_that_may_not_be_stopped_keeps_nobody_waiting(void **state)
{
    (void)state;
    halt_in("build", "supersede", "1 s");
    with("build_attempt = 1, build_id = 'berth-shop:b1'");
    step_refuse(&harness, "StopBuild", NULL, "AccessDeniedException", "not authorized");

    expect_move(MOVE_SUPERSEDE, "Its build could not be stopped");
}

static void a_stop_that_got_no_answer_is_asked_again_for_a_minute(void **state)
{
    (void)state;
    halt_in("build", "supersede", "1 s");
    with("build_attempt = 1, build_id = 'berth-shop:b1'");
    step_lose(&harness, "StopBuild", NULL);
    expect_move(MOVE_RETRY, NULL);

    halt_in("build", "supersede", "61 s");
    step_lose(&harness, "StopBuild", NULL);
    expect_move(MOVE_SUPERSEDE, "Its build could not be stopped");
}

static void a_rollout_that_asked_nothing_of_ecs_is_just_cancelled(void **state)
{
    (void)state;
    make_live();
    halt_in("rollout", "cancel", "1 s");
    with("task_definition_arn = '" DEFINITION_8 "'");
    asked_before("ecs:RegisterTaskDefinition", "now()");

    expect_move(MOVE_CANCEL, "Cancelled.");
}

static void a_registration_whose_answer_was_lost_goes_on_record_to_be_removed_in_its_time(void **state)
{
    (void)state;
    make_live();
    halt_in("rollout", "cancel", "1 s");
    asked_before("ecs:RegisterTaskDefinition", "NULL");
    step_expect(&harness, "ListTaskDefinitions", "berth-shop", "{\"taskDefinitionArns\":[\"" DEFINITION_8 "\"]}");
    step_expect(&harness, "DescribeTaskDefinition", DEFINITION_8,
                "{\"tags\":[{\"key\":\"berth:app\",\"value\":\"shop\"},{\"key\":\"berth:release\",\"value\":\"1\"}]}");

    expect_move(MOVE_CANCEL, "Cancelled.");

    assert_true(step_holds(&harness, "EXISTS (SELECT FROM berth.releases WHERE number = 1"
                                     " AND task_definition_arn = '" DEFINITION_8 "')"));
}

static void a_registration_that_can_t_be_looked_for_keeps_no_cancel(void **state)
{
    (void)state;
    halt_in("rollout", "cancel", "1 s");
    asked_before("ecs:RegisterTaskDefinition", "NULL");
    step_refuse(&harness, "ListTaskDefinitions", NULL, "AccessDeniedException", "not authorized");

    expect_move(MOVE_CANCEL, "Cancelled.");
}

/* Whether its answer was noted or not, and whether or not the deployment is on record. */
static void a_rollout_is_taken_back_to_what_was_live_and_watched_until_it_is_steady(void **state)
{
    (void)state;
    make_live();
    halt_in("rollout", "cancel", "1 s");
    asked_before("ecs:UpdateService", "now()");
    step_expect(&harness, "UpdateService", "\"taskDefinition\":\"" DEFINITION_7 "\"",
                SERVICE(PRIMARY("ecs-svc/9", DEFINITION_7, "IN_PROGRESS")));
    expect_move(MOVE_WAIT, NULL);
    assert_true(step_asked(&harness, 0, "\"desiredCount\":1"));

    step_reload(&harness, 1);
    step_expect(&harness, "DescribeServices", NULL, SERVICES(PRIMARY("ecs-svc/9", DEFINITION_7, "IN_PROGRESS")));
    expect_move(MOVE_WAIT, NULL);

    step_expect(&harness, "DescribeServices", NULL, SERVICES(PRIMARY("ecs-svc/9", DEFINITION_7, "COMPLETED")));
    expect_move(MOVE_CANCEL, "back where it was");
}

/* The old deployment looks steady in an answer from before everything. */
static void a_stale_look_ends_no_cancel(void **state)
{
    (void)state;
    make_live();
    halt_in("rollout", "cancel", "1 s");
    with("halt_deployment_id = 'ecs-svc/9'");
    asked_before("ecs:UpdateService", "now()");
    step_expect(&harness, "DescribeServices", NULL, SERVICES(PRIMARY("ecs-svc/7", DEFINITION_7, "COMPLETED")));
    step_expect(&harness, "UpdateService", "\"taskDefinition\":\"" DEFINITION_7 "\"",
                SERVICE(PRIMARY("ecs-svc/9", DEFINITION_7, "IN_PROGRESS")));

    expect_move(MOVE_WAIT, NULL);
}

/* A worker that was frozen in its UpdateService wakes up late. */
static void what_is_deployed_over_the_cancel_is_taken_back_again(void **state)
{
    (void)state;
    make_live();
    halt_in("rollout", "cancel", "1 s");
    with("halt_deployment_id = 'ecs-svc/9'");
    asked_before("ecs:UpdateService", "now()");
    step_expect(&harness, "DescribeServices", NULL, SERVICES(PRIMARY("ecs-svc/10", DEFINITION_8, "IN_PROGRESS")));
    step_expect(&harness, "UpdateService", "\"taskDefinition\":\"" DEFINITION_7 "\"",
                SERVICE(PRIMARY("ecs-svc/11", DEFINITION_7, "IN_PROGRESS")));

    expect_move(MOVE_WAIT, NULL);

    assert_true(step_holds(&harness, "EXISTS (SELECT FROM berth.releases WHERE halt_deployment_id = 'ecs-svc/11')"));
}

static void what_was_live_and_does_not_come_up_again_fails_the_release_and_says_so(void **state)
{
    (void)state;
    make_live();
    halt_in("rollout", "cancel", "1 s");
    with("halt_deployment_id = 'ecs-svc/9'");
    asked_before("ecs:UpdateService", "now()");
    step_expect(&harness, "DescribeServices", NULL, SERVICES(PRIMARY("ecs-svc/9", DEFINITION_7, "FAILED")));

    expect_move(MOVE_FAIL, "v90 does not come up again");
}

static void a_service_that_never_gets_steady_ends_the_wait(void **state)
{
    (void)state;
    make_live();
    halt_in("rollout", "cancel", "16 minutes");
    with("halt_deployment_id = 'ecs-svc/9'");
    asked_before("ecs:UpdateService", "now()");
    step_expect(&harness, "DescribeServices", NULL, SERVICES(PRIMARY("ecs-svc/9", DEFINITION_7, "IN_PROGRESS")));

    expect_move(MOVE_FAIL, "not steady again");
}

static void a_first_release_is_scaled_down_until_no_task_is_left(void **state)
{
    (void)state;
    halt_in("rollout", "cancel", "1 s");
    asked_before("ecs:CreateService", "NULL");
    step_expect(&harness, "UpdateService", "\"desiredCount\":0",
                SERVICE(PRIMARY("ecs-svc/1", DEFINITION_8, "IN_PROGRESS")));
    expect_move(MOVE_WAIT, NULL);
    assert_false(step_asked(&harness, 0, "taskDefinition"));

    step_reload(&harness, 1);
    step_expect(&harness, "DescribeServices", NULL,
                SERVICES("\"desiredCount\":0,\"runningCount\":1,\"pendingCount\":0," PRIMARY("ecs-svc/1", DEFINITION_8,
                                                                                             "COMPLETED")));
    expect_move(MOVE_WAIT, NULL);

    step_expect(&harness, "DescribeServices", NULL,
                SERVICES("\"desiredCount\":0,\"runningCount\":0,\"pendingCount\":0," PRIMARY("ecs-svc/1", DEFINITION_8,
                                                                                             "IN_PROGRESS")));
    expect_move(MOVE_CANCEL, NULL);
}

static void a_first_release_s_service_that_was_never_made_is_none(void **state)
{
    (void)state;
    halt_in("rollout", "cancel", "1 s");
    asked_before("ecs:CreateService", "NULL");
    step_refuse(&harness, "UpdateService", NULL, "ServiceNotFoundException", "Service not found.");

    expect_move(MOVE_CANCEL, "Cancelled.");
}

static void a_halt_under_a_lost_lease_changes_nothing(void **state)
{
    (void)state;
    halt_in("build", "supersede", "1 s");
    with("build_attempt = 1, build_id = 'berth-shop:b1', lease_token = 8");
    harness.run.release.lease_token = 7;

    expect_move(MOVE_RETRY, NULL);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(before_a_build_there_is_nothing_to_stop),
        TEST(a_build_that_runs_is_stopped),
        TEST(a_build_whose_start_was_not_answered_is_found_and_stopped),
        TEST(a_build_that_codebuild_does_not_show_yet_is_waited_for_and_not_for_ever),
        TEST(a_build_that_is_gone_is_stopped),
        TEST(a_build_that_may_not_be_stopped_keeps_nobody_waiting),
        TEST(a_stop_that_got_no_answer_is_asked_again_for_a_minute),
        TEST(a_rollout_that_asked_nothing_of_ecs_is_just_cancelled),
        TEST(a_registration_whose_answer_was_lost_goes_on_record_to_be_removed_in_its_time),
        TEST(a_registration_that_can_t_be_looked_for_keeps_no_cancel),
        TEST(a_rollout_is_taken_back_to_what_was_live_and_watched_until_it_is_steady),
        TEST(a_stale_look_ends_no_cancel),
        TEST(what_is_deployed_over_the_cancel_is_taken_back_again),
        TEST(what_was_live_and_does_not_come_up_again_fails_the_release_and_says_so),
        TEST(a_service_that_never_gets_steady_ends_the_wait),
        TEST(a_first_release_is_scaled_down_until_no_task_is_left),
        TEST(a_first_release_s_service_that_was_never_made_is_none),
        TEST(a_halt_under_a_lost_lease_changes_nothing),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
