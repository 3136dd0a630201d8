/* Teardown: what it refuses, and what it does in the database. AWS is scripted; the whole of it is tried end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/base/clock.h"
#include "core/deploy/estate/teardown.h"
#include "core/deploy/worker.h"
#include "tests/db/step_harness.h"

#define NOBODYS "\"tags\":[{\"key\":\"team\",\"value\":\"shop\"}]"
#define ANOTHERS "\"tags\":[{\"key\":\"berth:app\",\"value\":\"weblog\"}]"
#define OURS "\"tags\":[{\"key\":\"berth:app\",\"value\":\"shop\"}]"
#define SERVICE(tags, status)                                                                                          \
    "{\"services\":[{\"serviceName\":\"berth-shop\",\"serviceArn\":\"arn:service\",\"status\":\"" status "\"," tags    \
    "}]}"

#define TAGGED(arn)                                                                                                    \
    "<TagDescriptions><member><ResourceArn>" arn "</ResourceArn><Tags><member><Key>berth:app</Key>"                    \
    "<Value>shop</Value></member></Tags></member></TagDescriptions>"

enum { LEASE_MS = 60000 };

static struct step_harness harness;
static struct db_pool *admin;
static struct estate_place place;
static struct lease lease;
static int renewals, renewals_left;

static int renew(void *holder, struct err *e)
{
    (void)holder;
    renewals++;
    if (renewals_left-- > 0)
        return 0;
    err_set(e, ERR_CONFLICT, "another worker has it");
    return err_detail(e, LEASE_LOST);
}

/* A clock whose monotonic time is what a test says; at the nth reading the worker freezes for `frozen_ms`. Calls to AWS take `call_ms`. */
static struct {
    int64_t now_ms, frozen_ms, call_ms;
    int readings, freezes_at;
    int64_t least_left_ms; /* of the lease, as a call was sent */
    int timeout_ms;        /* of the last one */
    const char *meanwhile; /* what happens in the database during the first one */
} time_of;

static int64_t fake_monotonic_ms(void *context)
{
    (void)context;
    if (++time_of.readings == time_of.freezes_at)
        time_of.now_ms += time_of.frozen_ms;
    return time_of.now_ms;
}

static int64_t real_now_ms(void *context)
{
    (void)context;
    return clock_now_ms(&clock_system);
}

static void no_sleep(void *context, int64_t length)
{
    (void)context, (void)length;
}

static const struct clock fake_time = { .now_ms = real_now_ms,
                                        .monotonic_ms = fake_monotonic_ms,
                                        .sleep_ms = no_sleep };

static int slow_send(void *context, const struct http_request *request, struct arena *mem, struct http_reply *reply,
                     struct err *e)
{
    struct http fast = fake_http(context);

    if (lease.ends_ms - time_of.now_ms < time_of.least_left_ms)
        time_of.least_left_ms = lease.ends_ms - time_of.now_ms;
    time_of.timeout_ms = request->timeout_ms;
    time_of.now_ms += time_of.call_ms;
    if (time_of.meanwhile)
        step_sql(&harness, time_of.meanwhile);
    time_of.meanwhile = NULL;
    return fast.send(fast.context, request, mem, reply, e);
}

static int set_up(void **state)
{
    (void)state;
    step_open(&harness);
    step_sql(&harness,
             "UPDATE berth.releases SET state = 'live', finished_at = now(), lease_token = NULL, lease_until = NULL");
    admin = harness_pool(harness.database, HARNESS_ADMIN, 1);
    renewals = 0;
    renewals_left = 100;
    memset(&time_of, 0, sizeof time_of);
    time_of.least_left_ms = LEASE_MS;
    lease = (struct lease){ .clock = &fake_time, .length_ms = LEASE_MS, .ends_ms = LEASE_MS, .renew = renew };
    place = (struct estate_place){ .settings = &harness.settings,
                                   .aws = harness.aws,
                                   .partition = "aws",
                                   .account = STEP_ACCOUNT,
                                   .lease = &lease,
                                   .mem = harness.mem };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    db_pool_free(admin);
    step_close(&harness);
    return 0;
}

static int start(const char *app, bool *begun, struct err *e)
{
    AUTO_DB struct db *db = harness_take(admin);

    return teardown_start(db, app, "ann", begun, e);
}

/* Finds the app's service as AWS describes it, and tries to remove it. */
static int remove_service(const char *described, struct err *e)
{
    AUTO_ESTATE struct estate found = { 0 };

    step_expect(&harness, "DescribeServices", "berth-shop", described);
    assert_int_equal(estate_find(&place, ESTATE_SERVICE, "shop", &found, e), 0);
    assert_int_equal(found.count, 1);
    return estate_remove(&place, &found.things[0], "shop", e);
}

static void a_thing_without_the_tag_is_never_removed(void **state)
{
    struct err e = { 0 };
    (void)state;

    assert_int_equal(remove_service(SERVICE(NOBODYS, "ACTIVE"), &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "service berth-shop"));
    assert_non_null(strstr(e.hint, "berth:app=shop"));
}

static void a_thing_tagged_as_another_apps_is_never_removed(void **state)
{
    struct err e = { 0 };
    (void)state;

    assert_int_equal(remove_service(SERVICE(ANOTHERS, "ACTIVE"), &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "berth:app=weblog"));
}

static void without_the_lease_nothing_is_removed(void **state)
{
    struct err e = { 0 };
    (void)state;
    renewals_left = 0;

    assert_int_equal(remove_service(SERVICE(OURS, "ACTIVE"), &e), ERR_CONFLICT);

    assert_int_equal(renewals, 1);
}

static void a_removal_that_aws_denies_says_what_is_missing(void **state)
{
    struct err e = { 0 };
    AUTO_ESTATE struct estate found = { 0 };
    (void)state;
    step_expect(&harness, "DescribeServices", NULL, SERVICE(OURS, "ACTIVE"));
    assert_int_equal(estate_find(&place, ESTATE_SERVICE, "shop", &found, &e), 0);
    step_refuse(&harness, "DeleteService", "berth-shop", "AccessDeniedException",
                "not authorized to perform: ecs:DeleteService");

    assert_int_equal(estate_remove(&place, &found.things[0], "shop", &e), ERR_DENIED);

    assert_non_null(strstr(e.message, "ecs:DeleteService"));
}

static void a_thing_that_went_meanwhile_is_removed(void **state)
{
    struct err e = { 0 };
    AUTO_ESTATE struct estate found = { 0 };
    (void)state;
    step_expect(&harness, "DescribeServices", NULL, SERVICE(OURS, "ACTIVE"));
    assert_int_equal(estate_find(&place, ESTATE_SERVICE, "shop", &found, &e), 0);
    step_refuse(&harness, "DeleteService", NULL, "ServiceNotFoundException", "Service not found.");

    assert_int_equal(estate_remove(&place, &found.things[0], "shop", &e), 0);
}

static void a_service_that_drains_is_waited_for_and_not_deleted_again(void **state)
{
    struct err e = { 0 };
    (void)state;

    assert_int_equal(remove_service(SERVICE(OURS, "DRAINING"), &e), 0);

    assert_int_equal(renewals, 0);
}

static void an_inactive_service_is_absent(void **state)
{
    struct err e = { 0 };
    AUTO_ESTATE struct estate found = { 0 };
    (void)state;
    step_expect(&harness, "DescribeServices", NULL, SERVICE(OURS, "INACTIVE"));

    assert_int_equal(estate_find(&place, ESTATE_SERVICE, "shop", &found, &e), 0);

    assert_int_equal(found.count, 0);
}

static void another_apps_target_group_whose_name_begins_alike_is_not_found(void **state)
{
    struct err e = { 0 };
    AUTO_ESTATE struct estate found = { 0 };
    (void)state;
    step_expect(&harness, "DescribeTargetGroups", NULL,
                "<TargetGroups><member><TargetGroupName>berth-shop-two-1</TargetGroupName><TargetGroupArn>arn:two</"
                "TargetGroupArn></member>"
                "<member><TargetGroupName>berth-shop-2</TargetGroupName><TargetGroupArn>arn:shop</TargetGroupArn></"
                "member></TargetGroups>");
    step_expect(&harness, "DescribeTags", NULL,
                "<TagDescriptions><member><ResourceArn>arn:shop</ResourceArn><Tags><member><Key>berth:app</"
                "Key><Value>shop</Value></member>"
                "</Tags></member></TagDescriptions>");

    assert_int_equal(estate_find(&place, ESTATE_TARGET_GROUP, "shop", &found, &e), 0);

    assert_int_equal(found.count, 1);
    assert_string_equal(found.things[0].name, "berth-shop-2");
}

/* Under the lease */

/* AWS takes its time, and each call has this many tries. */
static void slow_aws(int64_t call_ms, int tries)
{
    struct aws_options options = { .region = "eu-central-1",
                                   .transport = { .send = slow_send, .context = harness.fake },
                                   .clock = &fake_time,
                                   .tries = tries };
    struct err e = { 0 };

    aws_free(harness.aws);
    assert_int_equal(aws_new(&options, &harness.aws, &e), 0);
    place.aws = harness.aws;
    time_of.call_ms = call_ms;
}

#define REVISION "{\"taskDefinition\":{\"family\":\"berth-shop\",\"revision\":1,\"status\":\"INACTIVE\"}," OURS "}"

static void a_teardown_that_looks_for_longer_than_its_lease_keeps_it(void **state)
{
    struct err e = { 0 };
    AUTO_ESTATE struct estate found = { 0 };
    (void)state;
    slow_aws(LEASE_MS / 3, 1);
    step_expect(&harness, "ListTaskDefinitions", "\"ACTIVE\"", "{\"taskDefinitionArns\":[]}");
    step_expect(&harness, "ListTaskDefinitions", "\"INACTIVE\"",
                "{\"taskDefinitionArns\":[\"arn:1\",\"arn:2\"],\"nextToken\":\"t\"}");
    step_expect(&harness, "ListTaskDefinitions", "\"t\"", "{\"taskDefinitionArns\":[\"arn:3\",\"arn:4\"]}");
    for (int i = 0; i < 4; i++)
        step_expect(&harness, "DescribeTaskDefinition", NULL, REVISION);

    assert_int_equal(estate_find(&place, ESTATE_TASK_DEFINITION, "shop", &found, &e), 0);

    assert_int_equal(found.count, 4);
    assert_true(time_of.now_ms > 2 * LEASE_MS);
    assert_true(time_of.least_left_ms >= LEASE_MS / 2);
}

static void archives_that_are_listed_slowly_keep_the_lease(void **state)
{
    static const char none[] = "<ListVersionsResult></ListVersionsResult>";
    struct err e = { 0 };
    AUTO_ESTATE struct estate found = { 0 };
    (void)state;
    slow_aws(LEASE_MS, 1);
    fake_expect(harness.fake, "GET", "*versions=*", NULL);
    fake_reply(harness.fake, 200, NULL, none);
    fake_expect(harness.fake, "GET", "*uploads=*", NULL);
    fake_reply(harness.fake, 200, NULL, none);

    assert_int_equal(estate_find(&place, ESTATE_SOURCE, "shop", &found, &e), 0);

    assert_true(time_of.least_left_ms > 0);
}

/* The lease is renewed right before; then the worker sleeps, and the next one has it. */
static void a_worker_that_froze_past_its_lease_removes_nothing_of_any_kind(void **state)
{
    static const struct estate_thing things[] = {
        { .kind = ESTATE_SERVICE, .name = "berth-shop", .state = "ACTIVE" },
        { .kind = ESTATE_LISTENER_RULE, .arn = "arn:rule" },
        { .kind = ESTATE_TARGET_GROUP, .arn = "arn:group" },
        { .kind = ESTATE_TASK_DEFINITION, .arn = "arn:1", .state = "ACTIVE" },
        { .kind = ESTATE_TASK_DEFINITION, .arn = "arn:1", .state = "INACTIVE" },
        { .kind = ESTATE_BUILD_PROJECT, .name = "berth-shop" },
        { .kind = ESTATE_REPOSITORY, .name = "berth/shop" },
        { .kind = ESTATE_LOG_GROUP, .name = "/berth/shop" },
        { .kind = ESTATE_SOURCE, .name = "tenants/shop/a.zip", .arn = "version" },
        { .kind = ESTATE_SOURCE, .name = "tenants/shop/a.zip", .arn = "u", .state = "upload" },
        { .kind = ESTATE_SECRET, .name = "berth/hooks/shop", .arn = "arn:secret" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof things / sizeof *things; i++) {
        struct estate_thing thing = things[i];
        struct err e = { 0 };
        thing.owner = "shop";
        thing.name = thing.name ? thing.name : "x";
        renewals_left = 1;
        time_of.readings = 0;
        time_of.freezes_at = 2; /* 1: as the renewal is asked for; 2: as the call is about to be sent */
        time_of.frozen_ms = LEASE_MS;
        assert_int_equal(estate_remove(&place, &thing, "shop", &e), ERR_CONFLICT);
        assert_string_equal(e.detail, LEASE_LOST);
    }

    assert_int_equal(fake_count(harness.fake), 0);
}

static void a_removal_without_an_answer_is_not_sent_again_after_the_lease(void **state)
{
    const struct estate_thing repository = { .kind = ESTATE_REPOSITORY, .name = "berth/shop", .owner = "shop" };
    struct err e = { 0 };
    (void)state;
    slow_aws(LEASE_MS, 3);
    step_lose(&harness, "DeleteRepository", "berth/shop");
    renewals_left = 1;

    assert_int_equal(estate_remove(&place, &repository, "shop", &e), ERR_CONFLICT);

    assert_int_equal(fake_count(harness.fake), 1);
}

static void a_removal_is_given_no_longer_than_a_short_lease(void **state)
{
    const struct estate_thing repository = { .kind = ESTATE_REPOSITORY, .name = "berth/shop", .owner = "shop" };
    struct err e = { 0 };
    (void)state;
    slow_aws(0, 1);
    lease.length_ms = 4000;
    step_expect(&harness, "DeleteRepository", "berth/shop", "{}");

    assert_int_equal(estate_remove(&place, &repository, "shop", &e), 0);

    assert_int_equal(time_of.timeout_ms, 3000);
}

/* A turn */

static void take_turn(const struct clock *clock)
{
    const struct worker_options options = { .settings = &harness.settings, .db = harness.pool, .aws = harness.aws };
    struct turn_place turn = {
        .options = &options, .clock = clock, .partition = "aws", .account = STEP_ACCOUNT, .lease_ms = LEASE_MS
    };
    struct err e = { 0 };
    bool taken = false;

    assert_int_equal(teardown_take(&turn, "w", &taken, &e), 0);
    assert_true(taken);
}

static void start_at(const char *step_is)
{
    struct err e = { 0 };
    bool begun = false;

    assert_int_equal(start("shop", &begun, &e), 0);
    step_sql(&harness, step_is);
}

/* DescribeRules comes in pages, so the step before may have missed the rule. */
static void a_group_that_a_missed_rule_still_uses_has_that_rule_removed(void **state)
{
    (void)state;
    start_at("UPDATE berth.teardowns SET step = 'target group'");
    step_expect(&harness, "DescribeTargetGroups", NULL,
                "<TargetGroups><member><TargetGroupName>berth-shop-1</TargetGroupName>"
                "<TargetGroupArn>arn:group</TargetGroupArn></member></TargetGroups>");
    step_expect(&harness, "DescribeTags", "group", TAGGED("arn:group"));
    step_refuse(&harness, "DeleteTargetGroup", "group", "ResourceInUse", "in use by a listener or a rule");
    step_expect(&harness, "DescribeRules", NULL,
                "<Rules><member><RuleArn>arn:rule</RuleArn><Priority>7</Priority></member></Rules>");
    step_expect(&harness, "DescribeTags", "rule", TAGGED("arn:rule"));
    step_expect(&harness, "DeleteRule", "rule", "");

    take_turn(&clock_system);

    assert_true(step_holds(&harness, "(SELECT state = 'running' AND step = 'target group' AND error IS NULL"
                                     " FROM berth.teardowns)"));
}

/* Pages that shift may show it on two of them. */
static void a_missed_rule_that_is_shown_twice_is_removed_once(void **state)
{
    (void)state;
    start_at("UPDATE berth.teardowns SET step = 'target group'");
    step_expect(&harness, "DescribeTargetGroups", NULL,
                "<TargetGroups><member><TargetGroupName>berth-shop-1</TargetGroupName>"
                "<TargetGroupArn>arn:group</TargetGroupArn></member></TargetGroups>");
    step_expect(&harness, "DescribeTags", "group", TAGGED("arn:group"));
    step_refuse(&harness, "DeleteTargetGroup", "group", "ResourceInUse", "in use by a listener or a rule");
    step_expect(&harness, "DescribeRules", NULL,
                "<Rules><member><RuleArn>arn:rule</RuleArn><Priority>7</Priority></member>"
                "<member><RuleArn>arn:rule</RuleArn><Priority>7</Priority></member></Rules>");
    step_expect(&harness, "DescribeTags", "rule", TAGGED("arn:rule"));
    step_expect(&harness, "DeleteRule", "rule", "");
    step_refuse(&harness, "DeleteRule", "rule", "RuleNotFound", "One or more rules not found");

    take_turn(&clock_system);

    assert_true(step_holds(&harness, "(SELECT state = 'running' AND step = 'target group' AND error IS NULL"
                                     " FROM berth.teardowns)"));
}

#define DENIED                                                                                                         \
    "User: arn:aws:iam::123456789012:user/worker is not authorized to perform: ecs:DeleteService on resource: *"

static void a_removal_that_is_denied_waits_for_the_permission_and_names_its_statement(void **state)
{
    (void)state;
    start_at("UPDATE berth.teardowns SET step = 'service'");
    step_expect(&harness, "DescribeServices", NULL, SERVICE(OURS, "ACTIVE"));
    step_refuse(&harness, "DeleteService", "berth-shop", "AccessDeniedException", DENIED);

    take_turn(&clock_system);

    assert_true(step_holds(&harness,
                           "(SELECT state = 'running' AND step = 'service' AND error LIKE '%ecs:DeleteService%'"
                           " AND hint LIKE '%RemoveTenants%' FROM berth.teardowns)"));
}

static void a_permission_that_stays_missing_ends_the_teardown_with_its_statement(void **state)
{
    (void)state;
    start_at("UPDATE berth.teardowns SET step = 'service', step_started_at = now() - interval '1 day'");
    step_expect(&harness, "DescribeServices", NULL, SERVICE(OURS, "ACTIVE"));
    step_refuse(&harness, "DeleteService", "berth-shop", "AccessDeniedException", DENIED);

    take_turn(&clock_system);

    assert_true(step_holds(&harness, "(SELECT state = 'failed' AND hint LIKE '%RemoveTenants%' FROM berth.teardowns)"));
}

static void a_worker_that_lost_the_teardown_does_not_go_on_looking(void **state)
{
    (void)state;
    start_at("UPDATE berth.teardowns SET step = 'task definitions'");
    slow_aws(LEASE_MS, 1);
    time_of.meanwhile = "UPDATE berth.teardowns SET lease_token = lease_token + 1000";
    step_expect(&harness, "ListTaskDefinitions", "\"ACTIVE\"", "{\"taskDefinitionArns\":[\"arn:1\",\"arn:2\"]}");

    take_turn(&fake_time);

    assert_int_equal(fake_count(harness.fake), 1);
    assert_true(step_holds(&harness, "(SELECT state = 'running' AND step = 'task definitions' AND lease_until > now()"
                                     " AND error IS NULL AND lease_token > 1000 FROM berth.teardowns)"));
}

/* The database */

static void an_app_that_is_not_there_has_no_teardown(void **state)
{
    struct err e = { 0 };
    bool begun = false;
    (void)state;

    assert_int_equal(start("nobody", &begun, &e), ERR_NOT_FOUND);

    assert_true(step_holds(&harness, "NOT EXISTS (SELECT FROM berth.teardowns)"));
}

static void a_destroyed_app_says_so(void **state)
{
    struct err e = { 0 };
    bool begun = false;
    (void)state;
    step_sql(&harness, "UPDATE berth.apps SET state = 'deleted'");

    assert_int_equal(start("shop", &begun, &e), ERR_NOT_FOUND);

    assert_non_null(strstr(e.message, "destroyed before"));
}

static void a_teardown_that_is_under_way_is_not_begun_again(void **state)
{
    struct err e = { 0 };
    bool begun = false;
    (void)state;
    assert_int_equal(start("shop", &begun, &e), 0);
    assert_true(begun);
    step_sql(&harness, "UPDATE berth.teardowns SET step = 'roles'");

    assert_int_equal(start("shop", &begun, &e), 0);

    assert_false(begun);
    assert_true(step_holds(&harness, "(SELECT step FROM berth.teardowns) = 'roles'"));
    assert_true(step_holds(&harness, "(SELECT count(*) FROM berth.audit_log WHERE action = 'app.destroy') = 1"));
}

static void what_is_queued_is_cancelled_and_what_runs_is_halted_before_it_begins(void **state)
{
    struct err e = { 0 };
    AUTO_DB struct db *db = harness_take(harness.pool);
    AUTO_ROWS struct db_rows *early = NULL, *later = NULL;
    bool begun = false;
    (void)state;
    step_sql(
        &harness,
        "UPDATE berth.releases SET state = 'running', finished_at = NULL, lease_token = 7, lease_until = now() + "
        "interval '1 hour';"
        "INSERT INTO berth.releases (app_name, number, kind, commit_sha) VALUES ('shop', 2, 'push', repeat('b', 40))");

    assert_int_equal(start("shop", &begun, &e), 0);
    assert_int_equal(db_query(db, NULL, QUERY_TEARDOWN_CLAIM, &early, &e, db_text("w"), db_int(60000)), 0);
    step_sql(&harness, "UPDATE berth.releases SET state = 'cancelled', finished_at = now() WHERE state = 'running'");
    assert_int_equal(db_query(db, NULL, QUERY_TEARDOWN_CLAIM, &later, &e, db_text("w"), db_int(60000)), 0);

    assert_int_equal(db_count(early), 0);
    assert_int_equal(db_count(later), 1);
    assert_true(step_holds(&harness, "(SELECT state FROM berth.releases WHERE number = 2) = 'cancelled'"));
    assert_true(step_holds(&harness, "(SELECT halt FROM berth.releases WHERE number = 1) = 'cancel'"));
    assert_true(step_holds(&harness, "(SELECT state FROM berth.apps) = 'deleting'"));
}

static void a_worker_whose_lease_was_lost_moves_nothing(void **state)
{
    struct err e = { 0 };
    AUTO_DB struct db *db = harness_take(harness.pool);
    AUTO_ROWS struct db_rows *claimed = NULL, *renewed = NULL, *finished = NULL;
    bool begun = false;
    int64_t token;
    (void)state;
    assert_int_equal(start("shop", &begun, &e), 0);
    step_sql(&harness, "INSERT INTO berth.resources (app_name, kind, name, arn, spec_hash) VALUES ('shop', 'service', "
                       "'x', 'arn:x', '')");
    assert_int_equal(db_query(db, NULL, QUERY_TEARDOWN_CLAIM, &claimed, &e, db_text("w"), db_int(60000)), 0);
    token = db_get_int(claimed, 0, "lease_token");
    step_sql(&harness, "UPDATE berth.teardowns SET lease_token = lease_token + 1000");

    assert_int_equal(
        db_query(db, "shop", QUERY_TEARDOWN_RENEW, &renewed, &e, db_text("shop"), db_int(token), db_int(1)), 0);
    assert_int_equal(db_query(db, "shop", QUERY_TEARDOWN_FINISH, &finished, &e, db_text("shop"), db_int(token)), 0);
    assert_int_equal(
        db_query(db, "shop", QUERY_TEARDOWN_FORGET, NULL, &e, db_text("shop"), db_int(token), db_text("service")), 0);

    assert_int_equal(db_count(renewed) + db_count(finished), 0);
    assert_true(step_holds(&harness, "EXISTS (SELECT FROM berth.resources)"));
    assert_true(step_holds(&harness, "(SELECT state FROM berth.apps) = 'deleting'"));
}

static void its_end_frees_the_name_and_keeps_the_history(void **state)
{
    struct err e = { 0 };
    AUTO_DB struct db *db = harness_take(harness.pool);
    AUTO_ROWS struct db_rows *claimed = NULL, *finished = NULL;
    const struct app again = { .name = "shop",
                               .repository = "acme/other",
                               .branch = "main",
                               .health_check_path = "/",
                               .port = 80,
                               .cpu_units = 256,
                               .memory_mib = 512,
                               .tasks = 1 };
    bool begun = false;
    (void)state;
    assert_int_equal(start("shop", &begun, &e), 0);
    assert_int_equal(app_create(admin, &again, "ann", &e), ERR_CONFLICT);
    assert_int_equal(db_query(db, NULL, QUERY_TEARDOWN_CLAIM, &claimed, &e, db_text("w"), db_int(60000)), 0);

    assert_int_equal(db_query(db, "shop", QUERY_TEARDOWN_FINISH, &finished, &e, db_text("shop"),
                              db_int(db_get_int(claimed, 0, "lease_token"))),
                     0);
    assert_int_equal(app_create(admin, &again, "ann", &e), 0);

    assert_true(step_holds(&harness, "(SELECT state FROM berth.apps) = 'active'"));
    assert_true(step_holds(&harness, "(SELECT last_release FROM berth.apps) = 1"));
    assert_true(step_holds(&harness, "EXISTS (SELECT FROM berth.releases WHERE number = 1)"));
    assert_true(step_holds(&harness, "(SELECT count(*) FROM berth.audit_log WHERE action LIKE 'app.destroy%') = 2"));
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_thing_without_the_tag_is_never_removed),
        TEST(a_thing_tagged_as_another_apps_is_never_removed),
        TEST(without_the_lease_nothing_is_removed),
        TEST(a_removal_that_aws_denies_says_what_is_missing),
        TEST(a_thing_that_went_meanwhile_is_removed),
        TEST(a_service_that_drains_is_waited_for_and_not_deleted_again),
        TEST(an_inactive_service_is_absent),
        TEST(another_apps_target_group_whose_name_begins_alike_is_not_found),
        TEST(a_teardown_that_looks_for_longer_than_its_lease_keeps_it),
        TEST(archives_that_are_listed_slowly_keep_the_lease),
        TEST(a_worker_that_froze_past_its_lease_removes_nothing_of_any_kind),
        TEST(a_removal_without_an_answer_is_not_sent_again_after_the_lease),
        TEST(a_removal_is_given_no_longer_than_a_short_lease),
        TEST(a_worker_that_lost_the_teardown_does_not_go_on_looking),
        TEST(a_group_that_a_missed_rule_still_uses_has_that_rule_removed),
        TEST(a_missed_rule_that_is_shown_twice_is_removed_once),
        TEST(a_removal_that_is_denied_waits_for_the_permission_and_names_its_statement),
        TEST(a_permission_that_stays_missing_ends_the_teardown_with_its_statement),
        TEST(an_app_that_is_not_there_has_no_teardown),
        TEST(a_destroyed_app_says_so),
        TEST(a_teardown_that_is_under_way_is_not_begun_again),
        TEST(what_is_queued_is_cancelled_and_what_runs_is_halted_before_it_begins),
        TEST(a_worker_whose_lease_was_lost_moves_nothing),
        TEST(its_end_frees_the_name_and_keeps_the_history),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
