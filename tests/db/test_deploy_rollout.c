/* The step rollout: what is live only when ECS says so of our own task definition, and why it isn't when it isn't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/deploy/steps/health_check.h"
#include "tests/db/step_harness.h"

#define DEFINITION_1 "arn:aws:ecs:eu-central-1:123456789012:task-definition/berth-shop:1"
#define DEFINITION_2 "arn:aws:ecs:eu-central-1:123456789012:task-definition/berth-shop:2"
#define SERVICE "arn:aws:ecs:eu-central-1:123456789012:service/berth/berth-shop"
#define GROUP "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/berth-shop-1/1111111111111111"
#define TASK "arn:aws:ecs:eu-central-1:123456789012:task/berth/0123456789abcdef0123456789abcdef"

#define DEPLOYMENT(id, status, definition, state)                                                                      \
    "{\"id\":\"" id "\",\"status\":\"" status "\",\"taskDefinition\":\"" definition "\",\"rolloutState\":\"" state     \
    "\",\"rolloutStateReason\":\"ECS says so\"}"
#define SERVICES(deployments) "{\"services\":[{\"status\":\"ACTIVE\",\"deployments\":[" deployments "]}]}"

static const char registered[] = "{\"taskDefinition\":{\"taskDefinitionArn\":\"" DEFINITION_2 "\"}}";
static const char deployed[] = "{\"service\":{\"serviceArn\":\"" SERVICE "\",\"deployments\":[" DEPLOYMENT(
    "ecs-svc/2", "PRIMARY", DEFINITION_2, "IN_PROGRESS") "," DEPLOYMENT("ecs-svc/1", "ACTIVE", DEFINITION_1,
                                                                        "COMPLETED") "]}}";
static const char rolling[] = SERVICES(DEPLOYMENT("ecs-svc/2", "PRIMARY", DEFINITION_2, "IN_PROGRESS"));
static const char completed[] = SERVICES(DEPLOYMENT("ecs-svc/2", "PRIMARY", DEFINITION_2, "COMPLETED"));
static const char rolled_back[] = SERVICES(DEPLOYMENT("ecs-svc/3", "PRIMARY", DEFINITION_1, "COMPLETED"));
static const char going_back[] = SERVICES(DEPLOYMENT(
    "ecs-svc/3", "PRIMARY", DEFINITION_1, "IN_PROGRESS") "," DEPLOYMENT("ecs-svc/2", "ACTIVE", DEFINITION_2, "FAILED"));
static const char given_up[] = SERVICES(DEPLOYMENT("ecs-svc/2", "PRIMARY", DEFINITION_2, "FAILED"));
static const char breaker_history[] =
    "{\"serviceDeployments\":[{\"status\":\"ROLLBACK_SUCCESSFUL\",\"targetServiceRevisionArn\":\"arn:revision-2\","
    "\"statusReason\":\"Service deployment rolled back because the circuit breaker threshold was exceeded.\"}]}";
#define REVISION(definition)                                                                                           \
    "{\"serviceRevisions\":[{\"serviceRevisionArn\":\"arn:revision-2\",\"taskDefinition\":\"" definition "\"}]}"
static const char our_revision[] = REVISION(DEFINITION_2);
static const char revision_of_another[] = REVISION(DEFINITION_1);
static const char no_unhealthy_target[] = "<TargetHealthDescriptions/>";
static const char stopped_tasks[] = "{\"taskArns\":[\"" TASK "\"]}";
static const char crashed_task[] =
    "{\"tasks\":[{\"taskArn\":\"" TASK "\",\"taskDefinitionArn\":\"" DEFINITION_2 "\","
    "\"stopCode\":\"EssentialContainerExited\",\"stoppedReason\":\"Essential container in task exited\","
    "\"containers\":[{\"name\":\"app\",\"exitCode\":3}]}]}";
static const char task_of_another_release[] =
    "{\"tasks\":[{\"taskArn\":\"" TASK "\",\"taskDefinitionArn\":\"" DEFINITION_1 "\","
    "\"stopCode\":\"EssentialContainerExited\",\"stoppedReason\":\"Essential container in task exited\","
    "\"containers\":[{\"name\":\"app\",\"exitCode\":1}]}]}";
static const char last_words[] = "{\"events\":[{\"timestamp\":1,\"message\":\"listening\"},"
                                 "{\"timestamp\":2,\"message\":\"panic: DATABASE_URL is not set\"}]}";

static int run_rollout(struct step_harness *h, enum step_answer *answer, struct err *e)
{
    *e = (struct err){ 0 };
    *answer = STEP_DONE;
    return rollout_ensure(&h->run, answer, e);
}

/* The release has its image; roles and target group are old enough. */
static void open_built(struct step_harness *h)
{
    step_open(h);
    step_sql(h, "UPDATE berth.releases SET step = 'rollout', image_digest = '" STEP_DIGEST "';"
                "INSERT INTO berth.resources (app_name, kind, name, arn, spec_hash, recorded_at) VALUES"
                " ('shop', 'task_role', 'berth-shop-task', 'arn:role', 'x', now() - interval '1 hour'),"
                " ('shop', 'target_group', 'berth-shop-1', '" GROUP "', 'x', now())");
    step_reload(h, 1);
    /* Its group has the health check that the app has. */
    step_sql(h, arena_printf(h->mem, "UPDATE berth.resources SET spec_hash = '%s' WHERE kind = 'target_group'",
                             health_check_hash(&h->run, &h->run.app)));
}

/* The same, and the service is on it. */
static void open_rolling(struct step_harness *h)
{
    open_built(h);
    step_sql(h, "UPDATE berth.releases SET task_definition_arn = '" DEFINITION_2 "', ecs_deployment_id = 'ecs-svc/2'");
    step_reload(h, 1);
}

/* An earlier release, v0's stand-in, is live on the first task definition. */
static void make_live(struct step_harness *h)
{
    step_sql(h,
             "INSERT INTO berth.releases (app_name, number, kind, state, commit_sha, finished_at)"
             " VALUES ('shop', 7, 'push', 'live', repeat('b', 40), now());"
             "INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host)"
             " VALUES ('shop', 7, repeat('b', 40), '" STEP_DIGEST "', '" DEFINITION_1 "', 'shop.apps.example.test')");
}

static void expect_crash(struct step_harness *h)
{
    step_expect(h, "ListTasks", "\"desiredStatus\":\"STOPPED\"", stopped_tasks);
    step_expect(h, "DescribeTasks", TASK, crashed_task);
    step_expect(h, "GetLogEvents", "app/app/0123456789abcdef0123456789abcdef", last_words);
    step_expect(h, "DescribeTargetHealth", NULL, no_unhealthy_target);
}

static void a_rolled_back_release_fails_with_the_apps_last_words(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_rolling(&h);
    make_live(&h);
    step_expect(&h, "DescribeServices", "berth-shop", going_back);
    step_expect(&h, "ListServiceDeployments", "ROLLBACK_SUCCESSFUL", breaker_history);
    step_expect(&h, "DescribeServiceRevisions", "arn:revision-2", our_revision);
    expect_crash(&h);

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_INVALID);

    assert_string_equal(
        e.message,
        "The rollout stopped: the app ended by itself with exit code 3, saying: panic: DATABASE_URL is not set");
    assert_non_null(strstr(e.hint, "v7 is still live"));
    assert_true(step_holds(
        &h,
        "EXISTS (SELECT FROM berth.release_events WHERE message = 'Task 01234567 stopped: Essential container in task"
        " exited, exit code 3')"));
    assert_true(step_holds(
        &h, "EXISTS (SELECT FROM berth.release_events WHERE message = 'app log: panic: DATABASE_URL is not set')"));
    step_close(&h);
}

static void absence_of_our_deployment_is_not_success(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_rolling(&h);
    make_live(&h);
    step_expect(&h, "DescribeServices", NULL, rolled_back);
    step_expect(&h, "ListServiceDeployments", NULL, breaker_history);
    step_expect(&h, "DescribeServiceRevisions", NULL, our_revision);
    step_expect(&h, "ListTasks", NULL, "{\"taskArns\":[]}");
    step_expect(&h, "DescribeTargetHealth", NULL, no_unhealthy_target);

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "circuit breaker threshold was exceeded"));
    step_close(&h);
}

static void a_first_release_that_fails_is_scaled_to_nothing(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_rolling(&h);
    step_expect(&h, "DescribeServices", NULL, given_up);
    expect_crash(&h);
    step_expect(&h, "UpdateService", "\"desiredCount\":0", deployed);

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_INVALID);

    assert_false(step_asked(&h, 5, "taskDefinition"));
    assert_non_null(strstr(e.hint, "Nothing of this app is live yet"));
    step_close(&h);
}

static void a_lost_scale_down_is_asked_for_again_before_the_release_ends(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_rolling(&h);
    for (int i = 0; i < 2; i++) {
        step_expect(&h, "DescribeServices", NULL, given_up);
        expect_crash(&h);
        if (i == 0)
            step_lose(&h, "UpdateService", "\"desiredCount\":0");
        else
            step_expect(&h, "UpdateService", "\"desiredCount\":0", deployed);
    }

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_TRANSIENT);
    step_reload(&h, 2);

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_INVALID);
    step_close(&h);
}

static void a_rollout_that_never_ends_is_taken_back_to_what_was_live(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_rolling(&h);
    make_live(&h);
    step_sql(&h, "UPDATE berth.releases SET step_started_at = now() - interval '16 minutes' WHERE number = 1");
    step_reload(&h, 1);
    step_expect(&h, "DescribeServices", NULL, rolling);
    step_expect(&h, "ListTasks", NULL, stopped_tasks);
    step_expect(&h, "DescribeTasks", NULL, task_of_another_release);
    step_expect(&h, "DescribeTargetHealth", NULL, no_unhealthy_target);
    step_expect(&h, "UpdateService", "\"taskDefinition\":\"" DEFINITION_1 "\"", deployed);

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "not steady after 15 minutes"));
    step_close(&h);
}

static void somebody_elses_deployment_over_ours_is_told(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_rolling(&h);
    step_sql(&h, "UPDATE berth.releases SET waits = 100");
    step_reload(&h, 1);
    step_expect(&h, "DescribeServices", NULL, rolled_back);
    step_expect(&h, "ListServiceDeployments", NULL, "{\"serviceDeployments\":[]}");

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "somebody else deployed " DEFINITION_1));
    step_close(&h);
}

/* v3 rolls out on the second task definition; v2 is of the first. */
static void open_third(struct step_harness *h)
{
    open_rolling(h);
    step_sql(h,
             "UPDATE berth.releases SET number = 3;"
             "INSERT INTO berth.releases (app_name, number, kind, state, commit_sha, finished_at, task_definition_arn)"
             " VALUES ('shop', 2, 'push', 'live', repeat('b', 40), now(), '" DEFINITION_1 "')");
    h->run.release.number = 3;
    step_reload(h, 1);
}

static void an_older_release_that_a_frozen_worker_deployed_over_ours_is_replaced(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_third(&h);
    step_expect(&h, "DescribeServices", NULL,
                SERVICES(DEPLOYMENT("ecs-svc/4", "PRIMARY", DEFINITION_1,
                                    "IN_PROGRESS") "," DEPLOYMENT("ecs-svc/2", "ACTIVE", DEFINITION_2, "COMPLETED")));
    step_expect(&h, "ListServiceDeployments", NULL, "{\"serviceDeployments\":[]}");
    step_expect(&h, "UpdateService", DEFINITION_2, deployed);

    assert_int_equal(run_rollout(&h, &answer, &e), 0);

    assert_int_equal(answer, STEP_WAIT);
    assert_true(step_holds(
        &h, "EXISTS (SELECT FROM berth.release_events WHERE message LIKE 'Somebody put v2 in the place of v3%')"));
    step_close(&h);
}

static void a_rollback_of_an_earlier_rollout_is_not_taken_for_ours(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_third(&h);
    step_expect(&h, "DescribeServices", NULL,
                SERVICES(DEPLOYMENT("ecs-svc/4", "PRIMARY", DEFINITION_1,
                                    "IN_PROGRESS") "," DEPLOYMENT("ecs-svc/2", "ACTIVE", DEFINITION_2, "COMPLETED")));
    step_expect(&h, "ListServiceDeployments", NULL, breaker_history);
    step_expect(&h, "DescribeServiceRevisions", NULL, revision_of_another);
    step_expect(&h, "UpdateService", DEFINITION_2, deployed);

    assert_int_equal(run_rollout(&h, &answer, &e), 0);
    step_close(&h);
}

static void an_answer_from_before_our_update_is_not_believed(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_third(&h);
    step_expect(&h, "DescribeServices", NULL, SERVICES(DEPLOYMENT("ecs-svc/1", "PRIMARY", DEFINITION_1, "COMPLETED")));
    step_expect(&h, "ListServiceDeployments", NULL, "{\"serviceDeployments\":[]}");

    assert_int_equal(run_rollout(&h, &answer, &e), 0);

    assert_int_equal(answer, STEP_WAIT);
    assert_null(h.run.waits_for);
    step_close(&h);
}

static void a_lost_update_is_found_and_not_repeated(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_built(&h);
    step_sql(&h, "INSERT INTO berth.resources (app_name, kind, name, arn, spec_hash) VALUES ('shop', 'service', "
                 "'berth-shop', '" SERVICE "', 'x')");
    step_expect(&h, "RegisterTaskDefinition", NULL, registered);
    step_lose(&h, "UpdateService", DEFINITION_2);
    step_expect(&h, "DescribeServices", "berth-shop",
                "{\"services\":[{\"serviceArn\":\"" SERVICE "\",\"status\":\"ACTIVE\",\"deployments\":[" DEPLOYMENT(
                    "ecs-svc/9", "PRIMARY", DEFINITION_2, "IN_PROGRESS") "]}]}");

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_TRANSIENT);
    step_reload(&h, 2);

    assert_int_equal(run_rollout(&h, &answer, &e), 0);
    assert_int_equal(answer, STEP_WAIT);
    assert_true(step_holds(&h, "(SELECT ecs_deployment_id = 'ecs-svc/9' FROM berth.releases)"));
    step_close(&h);
}

static void a_lost_creation_is_found_and_not_repeated(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_built(&h);
    step_expect(&h, "RegisterTaskDefinition", NULL, registered);
    step_lose(&h, "CreateService", DEFINITION_2);
    step_expect(&h, "DescribeServices", "berth-shop",
                "{\"services\":[{\"serviceArn\":\"" SERVICE "\",\"status\":\"ACTIVE\",\"deployments\":[" DEPLOYMENT(
                    "ecs-svc/9", "PRIMARY", DEFINITION_2, "IN_PROGRESS") "]}]}");

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_TRANSIENT);
    step_reload(&h, 2);

    assert_int_equal(run_rollout(&h, &answer, &e), 0);
    assert_true(step_holds(&h, "EXISTS (SELECT FROM berth.resources WHERE kind = 'service' AND arn = '" SERVICE "')"));
    step_close(&h);
}

static void a_failed_health_check_is_told_in_the_load_balancers_words(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_rolling(&h);
    step_expect(&h, "DescribeServices", NULL, given_up);
    step_expect(&h, "ListTasks", NULL, "{\"taskArns\":[]}");
    step_expect(
        &h, "DescribeTargetHealth", "targetgroup%2Fberth-shop-1",
        "<TargetHealthDescriptions><member><TargetHealth><State>unhealthy</State><Description>Health checks failed "
        "with these codes: [502]</Description></TargetHealth></member></TargetHealthDescriptions>");
    step_expect(&h, "UpdateService", "\"desiredCount\":0", deployed);

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "GET /healthz"));
    assert_non_null(strstr(e.message, "Health checks failed with these codes: [502]"));
    step_close(&h);
}

static void an_abandoned_rollout_puts_back_what_is_live(void **state)
{
    struct step_harness h;
    struct err e = { 0 };
    (void)state;
    open_rolling(&h);
    make_live(&h);
    step_sql(&h, "INSERT INTO berth.intents (app_name, release, step, operation, target, lease_token)"
                 " VALUES ('shop', 1, 'rollout', 'ecs:UpdateService', 'berth-shop', 7)");
    step_expect(&h, "UpdateService", "\"taskDefinition\":\"" DEFINITION_1 "\"", deployed);

    assert_int_equal(rollout_abandon(&h.run, &e), 0);
    step_close(&h);
}

static void a_rollout_that_asked_for_nothing_has_nothing_to_abandon(void **state)
{
    struct step_harness h;
    struct err e = { 0 };
    (void)state;
    open_built(&h);
    make_live(&h);

    assert_int_equal(rollout_abandon(&h.run, &e), 0);

    assert_int_equal(fake_count(h.fake), 0);
    step_close(&h);
}

static void an_abandoned_first_rollout_is_scaled_to_nothing(void **state)
{
    struct step_harness h;
    struct err e = { 0 };
    (void)state;
    open_rolling(&h);
    step_sql(&h, "INSERT INTO berth.intents (app_name, release, step, operation, target, lease_token)"
                 " VALUES ('shop', 1, 'rollout', 'ecs:UpdateService', 'berth-shop', 7)");
    step_expect(&h, "UpdateService", "\"desiredCount\":0", deployed);

    assert_int_equal(rollout_abandon(&h.run, &e), 0);
    step_close(&h);
}

static void a_service_that_is_gone_is_told(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_rolling(&h);
    step_reload(&h, 7);
    step_expect(&h, "DescribeServices", NULL, "{\"services\":[],\"failures\":[{\"reason\":\"MISSING\"}]}");

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_NOT_FOUND);

    assert_non_null(strstr(e.message, "ECS shows the service berth-shop as missing"));
    step_close(&h);
}

static void a_service_that_ecs_does_not_show_yet_is_looked_for_again(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_rolling(&h);
    step_expect(&h, "DescribeServices", NULL, "{\"services\":[],\"failures\":[{\"reason\":\"MISSING\"}]}");

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_TRANSIENT);

    assert_false(h.run.cleared);
    step_close(&h);
}

static void a_service_that_is_not_ours_is_refused(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_built(&h);
    step_reload(&h, 7);
    step_expect(&h, "ListTaskDefinitions", NULL, "{\"taskDefinitionArns\":[]}");
    step_expect(&h, "RegisterTaskDefinition", NULL, registered);
    step_refuse(&h, "CreateService", NULL, "InvalidParameterException", "Creation of service was not idempotent.");
    step_expect(&h, "DescribeServices", "\"include\":[\"TAGS\"]",
                "{\"services\":[{\"status\":\"ACTIVE\",\"tags\":[]}]}");

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "ECS service berth-shop exists, but it is not tagged"));
    step_close(&h);
}

static void a_service_of_ours_that_was_not_recorded_is_updated(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_built(&h);
    step_expect(&h, "RegisterTaskDefinition", NULL, registered);
    step_refuse(&h, "CreateService", NULL, "InvalidParameterException", "Creation of service was not idempotent.");
    step_expect(&h, "DescribeServices", NULL,
                "{\"services\":[{\"status\":\"ACTIVE\",\"tags\":[{\"key\":\"berth:app\",\"value\":\"shop\"}]}]}");
    step_expect(&h, "UpdateService", "networkConfiguration", deployed);

    assert_int_equal(run_rollout(&h, &answer, &e), 0);

    assert_int_equal(answer, STEP_WAIT);
    step_close(&h);
}

static void a_lost_registration_is_found_by_its_release_tag(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_built(&h);
    step_lose(&h, "RegisterTaskDefinition", NULL);
    step_expect(&h, "ListTaskDefinitions", "\"sort\":\"DESC\"",
                "{\"taskDefinitionArns\":[\"" DEFINITION_2 "\",\"" DEFINITION_1 "\"]}");
    step_expect(&h, "DescribeTaskDefinition", DEFINITION_2,
                "{\"tags\":[{\"key\":\"berth:app\",\"value\":\"shop\"},{\"key\":\"berth:release\",\"value\":\"1\"}]}");
    step_expect(&h, "CreateService", DEFINITION_2, deployed);

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_TRANSIENT);
    step_reload(&h, 2);

    assert_int_equal(run_rollout(&h, &answer, &e), 0);
    step_close(&h);
}

static void a_task_definition_of_another_release_is_not_taken(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_built(&h);
    step_lose(&h, "RegisterTaskDefinition", NULL);
    step_expect(&h, "ListTaskDefinitions", NULL, "{\"taskDefinitionArns\":[\"" DEFINITION_1 "\"]}");
    step_expect(&h, "DescribeTaskDefinition", DEFINITION_1,
                "{\"tags\":[{\"key\":\"berth:app\",\"value\":\"shop\"},{\"key\":\"berth:release\",\"value\":\"10\"}]}");
    step_expect(&h, "RegisterTaskDefinition", NULL, registered);
    step_expect(&h, "CreateService", DEFINITION_2, deployed);

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_TRANSIENT);
    step_sql(&h, "UPDATE berth.intents SET asked_at = asked_at - interval '11 seconds'");
    step_reload(&h, 2);

    assert_int_equal(run_rollout(&h, &answer, &e), 0);
    step_close(&h);
}

/* Each registration makes another revision. */
static void a_lost_registration_that_is_not_listed_yet_is_not_repeated(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_built(&h);
    step_lose(&h, "RegisterTaskDefinition", NULL);
    step_expect(&h, "ListTaskDefinitions", NULL, "{\"taskDefinitionArns\":[]}");

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_TRANSIENT);
    step_reload(&h, 2);

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_TRANSIENT);
    step_close(&h);
}

static void a_service_deleted_by_hand_is_made_again(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_built(&h);
    step_sql(&h, "INSERT INTO berth.resources (app_name, kind, name, arn, spec_hash) VALUES ('shop', 'service', "
                 "'berth-shop', '" SERVICE "', 'x')");
    step_expect(&h, "RegisterTaskDefinition", NULL, registered);
    step_refuse(&h, "UpdateService", NULL, "ServiceNotFoundException", "Service not found.");
    step_expect(&h, "CreateService", "\"clientToken\":\"berth-shop-v1\"", deployed);

    assert_int_equal(run_rollout(&h, &answer, &e), 0);
    step_close(&h);
}

static void young_roles_are_waited_for(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_built(&h);
    h.settings.role_settle_s = 10;
    step_sql(&h, "UPDATE berth.resources SET recorded_at = now() - interval '5 seconds' WHERE kind = 'task_role'");

    assert_int_equal(run_rollout(&h, &answer, &e), 0);

    assert_int_equal(answer, STEP_WAIT);
    assert_int_equal(fake_count(h.fake), 0);
    step_close(&h);
}

static void a_missing_service_linked_role_is_waited_for(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_built(&h);
    step_expect(&h, "RegisterTaskDefinition", NULL, registered);
    step_refuse(&h, "CreateService", NULL, "InvalidParameterException",
                "Unable to assume the service linked role. Please verify that the ECS service linked role exists.");

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_TRANSIENT);
    step_close(&h);
}

static void a_target_group_not_yet_on_its_load_balancer_is_waited_for(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_built(&h);
    step_expect(&h, "RegisterTaskDefinition", NULL, registered);
    step_refuse(&h, "CreateService", NULL, "InvalidParameterException",
                "The target group with targetGroupArn x does not have an associated load balancer.");

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_TRANSIENT);
    step_close(&h);
}

static void tasks_that_may_not_be_read_hide_no_failure(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_rolling(&h);
    step_expect(&h, "DescribeServices", NULL, given_up);
    step_refuse(&h, "ListTasks", NULL, "AccessDeniedException", "not authorized");
    step_expect(&h, "UpdateService", "\"desiredCount\":0", deployed);

    assert_int_equal(run_rollout(&h, &answer, &e), ERR_INVALID);

    assert_string_equal(e.message, "The rollout stopped: ECS says so");
    step_close(&h);
}

static void a_first_rollout_registers_and_creates(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_built(&h);
    step_expect(&h, "RegisterTaskDefinition", "berth/shop@" STEP_DIGEST, registered);
    step_expect(&h, "CreateService", GROUP, deployed);

    assert_int_equal(run_rollout(&h, &answer, &e), 0);

    assert_int_equal(answer, STEP_WAIT);
    assert_true(step_asked(&h, 0, "{\"name\":\"PORT\",\"value\":\"8080\"}"));
    assert_true(step_asked(&h, 0, "{\"key\":\"berth:release\",\"value\":\"1\"}"));
    assert_true(step_asked(&h, 1, "\"thresholdConfiguration\":{\"type\":\"COUNT\",\"value\":3}"));
    assert_true(step_asked(&h, 1, "\"resetOnHealthyTask\":false"));
    assert_true(step_asked(
        &h, 1, "\"subnets\":[\"subnet-a\",\"subnet-b\"],\"securityGroups\":[\"sg-1\"],\"assignPublicIp\":\"ENABLED\""));
    assert_true(step_holds(&h, "(SELECT ecs_deployment_id = 'ecs-svc/2' FROM berth.releases)"));
    step_close(&h);
}

static void a_next_release_changes_the_task_definition_alone(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_built(&h);
    step_expect(&h, "RegisterTaskDefinition", NULL, registered);
    step_expect(&h, "CreateService", NULL, deployed);
    assert_int_equal(run_rollout(&h, &answer, &e), 0);
    step_sql(
        &h,
        "UPDATE berth.releases SET task_definition_arn = NULL, ecs_deployment_id = NULL"); /* as the next one begins */
    step_reload(&h, 1);
    step_expect(&h, "RegisterTaskDefinition", NULL, registered);
    step_expect(&h, "UpdateService", "\"taskDefinition\":\"" DEFINITION_2 "\",\"desiredCount\":1}", deployed);

    assert_int_equal(run_rollout(&h, &answer, &e), 0);
    step_close(&h);
}

static void another_port_reaches_the_service(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_built(&h);
    step_expect(&h, "RegisterTaskDefinition", NULL, registered);
    step_expect(&h, "CreateService", "\"containerPort\":8080", deployed);
    assert_int_equal(run_rollout(&h, &answer, &e), 0);
    step_sql(&h, "UPDATE berth.releases SET task_definition_arn = NULL, ecs_deployment_id = NULL; UPDATE berth.apps "
                 "SET port = 3000");
    step_reload(&h, 1);
    step_expect(&h, "RegisterTaskDefinition", "\"containerPort\":3000", registered);
    step_expect(&h, "UpdateService", "\"containerPort\":3000", deployed);

    assert_int_equal(run_rollout(&h, &answer, &e), 0);
    step_close(&h);
}

static void a_rollout_under_way_is_one_call_a_look(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_rolling(&h);
    step_expect(&h, "DescribeServices", "berth-shop", rolling);

    assert_int_equal(run_rollout(&h, &answer, &e), 0);

    assert_int_equal(answer, STEP_WAIT);
    step_close(&h);
}

static void a_completed_rollout_of_ours_is_done(void **state)
{
    struct step_harness h;
    enum step_answer answer;
    struct err e;
    (void)state;
    open_rolling(&h);
    step_expect(&h, "DescribeServices", NULL, completed);

    assert_int_equal(run_rollout(&h, &answer, &e), 0);

    assert_int_equal(answer, STEP_DONE);
    step_close(&h);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rolled_back_release_fails_with_the_apps_last_words),
        cmocka_unit_test(absence_of_our_deployment_is_not_success),
        cmocka_unit_test(a_first_release_that_fails_is_scaled_to_nothing),
        cmocka_unit_test(a_lost_scale_down_is_asked_for_again_before_the_release_ends),
        cmocka_unit_test(a_rollout_that_never_ends_is_taken_back_to_what_was_live),
        cmocka_unit_test(somebody_elses_deployment_over_ours_is_told),
        cmocka_unit_test(an_older_release_that_a_frozen_worker_deployed_over_ours_is_replaced),
        cmocka_unit_test(a_rollback_of_an_earlier_rollout_is_not_taken_for_ours),
        cmocka_unit_test(an_answer_from_before_our_update_is_not_believed),
        cmocka_unit_test(a_lost_update_is_found_and_not_repeated),
        cmocka_unit_test(a_lost_creation_is_found_and_not_repeated),
        cmocka_unit_test(a_failed_health_check_is_told_in_the_load_balancers_words),
        cmocka_unit_test(an_abandoned_rollout_puts_back_what_is_live),
        cmocka_unit_test(a_rollout_that_asked_for_nothing_has_nothing_to_abandon),
        cmocka_unit_test(an_abandoned_first_rollout_is_scaled_to_nothing),
        cmocka_unit_test(a_service_that_is_gone_is_told),
        cmocka_unit_test(a_service_that_ecs_does_not_show_yet_is_looked_for_again),
        cmocka_unit_test(a_service_that_is_not_ours_is_refused),
        cmocka_unit_test(a_service_of_ours_that_was_not_recorded_is_updated),
        cmocka_unit_test(a_lost_registration_is_found_by_its_release_tag),
        cmocka_unit_test(a_task_definition_of_another_release_is_not_taken),
        cmocka_unit_test(a_lost_registration_that_is_not_listed_yet_is_not_repeated),
        cmocka_unit_test(a_service_deleted_by_hand_is_made_again),
        cmocka_unit_test(young_roles_are_waited_for),
        cmocka_unit_test(a_missing_service_linked_role_is_waited_for),
        cmocka_unit_test(a_target_group_not_yet_on_its_load_balancer_is_waited_for),
        cmocka_unit_test(tasks_that_may_not_be_read_hide_no_failure),
        cmocka_unit_test(a_first_rollout_registers_and_creates),
        cmocka_unit_test(a_next_release_changes_the_task_definition_alone),
        cmocka_unit_test(another_port_reaches_the_service),
        cmocka_unit_test(a_rollout_under_way_is_one_call_a_look),
        cmocka_unit_test(a_completed_rollout_of_ours_is_done),
    };
    (void)argc;

    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
