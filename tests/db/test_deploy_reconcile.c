/* Reconcile: what it says of one thing, and that it touches nothing that isn't the app's. AWS is scripted; each kind of drift is tried end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/deploy/estate/reconcile_parts.h"
#include "tests/db/step_harness.h"

#define RULE(priority, arn)                                                                                            \
    "<member><Priority>" priority "</Priority><RuleArn>" arn                                                           \
    "</RuleArn><Conditions><member><HostHeaderConfig><Values>"                                                         \
    "<member>shop.apps.example.test</member></Values></HostHeaderConfig></member></Conditions></member>"
#define TAG(arn, app)                                                                                                  \
    "<member><ResourceArn>" arn "</ResourceArn><Tags><member><Key>berth:app</Key><Value>" app                          \
    "</Value></member></Tags></member>"

static struct step_harness harness;
static struct db_pool *admin;
static struct estate_place place;
static struct findings found;

static int set_up(void **state)
{
    (void)state;
    step_open(&harness);
    step_sql(&harness,
             "UPDATE berth.releases SET state = 'live', finished_at = now(), lease_token = NULL, lease_until = NULL");
    admin = harness_pool(harness.database, HARNESS_ADMIN, 1);
    found = (struct findings){ 0 };
    place = (struct estate_place){ .settings = &harness.settings,
                                   .aws = harness.aws,
                                   .partition = "aws",
                                   .account = STEP_ACCOUNT,
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

/* Twice: once for whose the rules are, once for all that there are. */
static void expect_rules(const char *rules, const char *tags)
{
    step_expect(&harness, "DescribeRules", NULL, arena_printf(harness.mem, "<Rules>%s</Rules>", rules));
    if (*rules)
        step_expect(&harness, "DescribeTags", NULL,
                    arena_printf(harness.mem, "<TagDescriptions>%s</TagDescriptions>", tags));
    step_expect(&harness, "DescribeRules", NULL, arena_printf(harness.mem, "<Rules>%s</Rules>", rules));
}

static void compare_slots(void)
{
    AUTO_DB struct db *db = harness_take(admin);
    struct err e = { 0 };

    assert_int_equal(slots_compare(db, &place, NULL, &found, &e), 0);
}

static void fix(bool named)
{
    AUTO_DB struct db *db = harness_take(admin);
    struct err e = { 0 };

    assert_int_equal(reconcile_fix(db, &place, &found, named, "ann", &e), 0);
}

static void somebody_elses_rule_is_marked_in_the_slots_and_never_touched(void **state)
{
    (void)state;
    expect_rules(RULE("3", "arn:foreign"), "");

    compare_slots();
    fix(false);

    assert_int_equal(found.count, 1);
    assert_int_equal(found.items[0].kind, FINDING_SLOT_TAKEN);
    assert_true(
        step_holds(&harness, "EXISTS (SELECT FROM berth.listener_slots WHERE priority = 3 AND app_name IS NULL)"));
}

static void our_rules_slot_follows_its_priority(void **state)
{
    (void)state;
    step_sql(&harness, "INSERT INTO berth.listener_slots (listener_arn, priority, app_name) VALUES ('" STEP_LISTENER
                       "', 1, 'shop');"
                       "INSERT INTO berth.resources (app_name, kind, name, arn, spec_hash) VALUES ('shop', "
                       "'listener_rule', 'h', 'arn:ours', 'x')");
    expect_rules(RULE("9", "arn:ours"), TAG("arn:ours", "shop"));

    compare_slots();
    fix(false);

    assert_int_equal(found.count, 1);
    assert_true(step_holds(
        &harness, "(SELECT string_agg(priority::text, ' ') FROM berth.listener_slots WHERE app_name = 'shop') = '9'"));
}

static void a_slot_is_kept_while_a_release_is_on_its_way(void **state)
{
    (void)state;
    step_sql(&harness, "UPDATE berth.releases SET state = 'running', finished_at = NULL;"
                       "INSERT INTO berth.listener_slots (listener_arn, priority, app_name) VALUES ('" STEP_LISTENER
                       "', 1, 'shop')");
    expect_rules("", "");

    compare_slots();

    assert_int_equal(found.count, 0);
}

static void a_slot_without_a_rule_is_freed(void **state)
{
    (void)state;
    step_sql(&harness, "INSERT INTO berth.listener_slots (listener_arn, priority, app_name) VALUES ('" STEP_LISTENER
                       "', 1, 'shop')");
    expect_rules("", "");

    compare_slots();
    fix(false);

    assert_int_equal(found.items[0].kind, FINDING_SLOT_FREE);
    assert_true(step_holds(&harness, "NOT EXISTS (SELECT FROM berth.listener_slots)"));
}

/* Between the look and the fix minutes may pass. */

#define SLOT(priority, app)                                                                                            \
    "INSERT INTO berth.listener_slots (listener_arn, priority, app_name) VALUES ('" STEP_LISTENER "', " priority       \
    ", " app ");"
#define RECORD(kind, name, arn)                                                                                        \
    "INSERT INTO berth.resources (app_name, kind, name, arn, spec_hash) VALUES ('shop', '" kind "', '" name "', '" arn \
    "', 'x');"
#define OTHER_APP                                                                                                      \
    "INSERT INTO berth.apps (app_name, repository, webhook_policy) VALUES ('weblog', 'acme/weblog', 'github');"

static void find_a_slot_without_a_rule(void)
{
    step_sql(&harness, SLOT("1", "'shop'"));
    expect_rules("", "");
    compare_slots();
    assert_int_equal(found.items[0].kind, FINDING_SLOT_FREE);
}

static void a_slot_whose_rule_came_meanwhile_is_kept(void **state)
{
    (void)state;
    find_a_slot_without_a_rule();
    step_sql(&harness, RECORD("listener_rule", "h", "arn:rule"));

    fix(false);

    assert_true(step_holds(&harness, "EXISTS (SELECT FROM berth.listener_slots WHERE app_name = 'shop')"));
    assert_null(found.items[0].fixed);
    assert_non_null(strstr(found.items[0].hint, "left alone"));
}

static void a_slot_that_another_app_took_meanwhile_is_kept(void **state)
{
    (void)state;
    find_a_slot_without_a_rule();
    step_sql(&harness, OTHER_APP "UPDATE berth.listener_slots SET app_name = 'weblog'");

    fix(false);

    assert_true(step_holds(&harness, "EXISTS (SELECT FROM berth.listener_slots WHERE app_name = 'weblog')"));
    assert_null(found.items[0].fixed);
}

static void a_slot_of_nobody_without_a_rule_is_freed(void **state)
{
    (void)state;
    step_sql(&harness, SLOT("1", "NULL"));
    expect_rules("", "");

    compare_slots();
    fix(false);

    assert_non_null(found.items[0].fixed);
    assert_true(step_holds(&harness, "NOT EXISTS (SELECT FROM berth.listener_slots)"));
}

static void a_priority_that_one_of_ours_took_meanwhile_is_not_marked_as_somebody_elses(void **state)
{
    (void)state;
    expect_rules(RULE("3", "arn:foreign"), "");
    compare_slots();
    step_sql(&harness, SLOT("3", "'shop'"));

    fix(false);

    assert_true(step_holds(&harness, "(SELECT app_name FROM berth.listener_slots) = 'shop'"));
    assert_null(found.items[0].fixed);
}

static void a_slot_is_not_moved_once_a_release_has_begun(void **state)
{
    (void)state;
    step_sql(&harness, SLOT("1", "'shop'") RECORD("listener_rule", "h", "arn:ours"));
    expect_rules(RULE("9", "arn:ours"), TAG("arn:ours", "shop"));
    compare_slots();
    step_sql(&harness, "UPDATE berth.releases SET state = 'running', finished_at = NULL");

    fix(false);

    assert_true(step_holds(&harness, "(SELECT priority FROM berth.listener_slots) = 1"));
    assert_null(found.items[0].fixed);
}

static void the_rule_of_an_app_that_this_database_never_had_is_somebody_elses(void **state)
{
    (void)state;
    expect_rules(RULE("4", "arn:theirs"), TAG("arn:theirs", "theirs"));

    compare_slots();
    fix(false);

    assert_true(
        step_holds(&harness, "EXISTS (SELECT FROM berth.listener_slots WHERE priority = 4 AND app_name IS NULL)"));
}

static void give(enum finding_kind kind, const char *hint)
{
    const struct finding finding = { .kind = kind,
                                     .app = "shop",
                                     .what = "log group",
                                     .name = "/berth/shop",
                                     .arn = "arn:log",
                                     .detail = "x",
                                     .hint = hint,
                                     .thing = ESTATE_LOG_GROUP,
                                     .owner = "shop",
                                     .resource = kind == FINDING_CHANGED ? "log_group" : NULL };

    finding_add(&place, &found, &finding);
}

static void what_lost_its_tag_is_left_to_a_person(void **state)
{
    (void)state;
    give(FINDING_CHANGED, "tag it");

    fix(true);

    assert_null(found.items[0].fixed);
    assert_true(step_holds(&harness, "(SELECT count(*) FROM berth.releases) = 1"));
}

static void an_unknown_apps_things_are_left_unless_it_is_named(void **state)
{
    (void)state;
    step_sql(&harness, "UPDATE berth.apps SET state = 'deleted'");
    give(FINDING_UNKNOWN, "name it");

    fix(false);
    bool spared = step_holds(&harness, "NOT EXISTS (SELECT FROM berth.teardowns)");
    fix(true);

    assert_true(spared);
    assert_true(step_holds(&harness, "(SELECT state FROM berth.teardowns) = 'running'"));
}

static void nothing_is_removed_while_a_release_is_on_its_way(void **state)
{
    (void)state;
    step_sql(&harness, "UPDATE berth.releases SET state = 'running', finished_at = NULL");
    give(FINDING_ORPHANED, NULL);

    fix(true);

    assert_null(found.items[0].fixed);
    assert_non_null(strstr(found.items[0].hint, "look again"));
}

static void what_nobody_has_on_record_is_removed(void **state)
{
    (void)state;
    step_sql(&harness, RECORD("build_project", "/berth/shop", "arn:project"));
    give(FINDING_ORPHANED, NULL);
    step_expect(&harness, "DeleteLogGroup", "/berth/shop", "{}");

    fix(false);

    assert_string_equal(found.items[0].fixed, "removed");
    assert_true(step_holds(&harness, "EXISTS (SELECT FROM berth.audit_log WHERE action = 'app.reconcile')"));
}

static void what_a_release_took_up_meanwhile_is_left_alone(void **state)
{
    (void)state;
    give(FINDING_ORPHANED, NULL);
    step_sql(&harness, RECORD("log_group", "x", "arn:log"));

    fix(false);

    assert_non_null(strstr(found.items[0].fixed, "on record by now"));
    assert_true(step_holds(&harness, "NOT EXISTS (SELECT FROM berth.audit_log)"));
}

static void what_has_the_name_of_one_on_record_is_left_alone(void **state)
{
    (void)state;
    give(FINDING_ORPHANED, NULL);
    step_sql(&harness, RECORD("log_group", "/berth/shop", "arn:made-anew"));

    fix(false);

    assert_non_null(strstr(found.items[0].fixed, "on record by now"));
}

/* The host is the name of both. */
static void a_second_rule_for_the_apps_host_is_removed(void **state)
{
    const struct finding second = { .kind = FINDING_ORPHANED,
                                    .app = "shop",
                                    .what = "listener rule",
                                    .name = "shop.apps.example.test",
                                    .arn = "arn:second",
                                    .thing = ESTATE_LISTENER_RULE,
                                    .owner = "shop" };
    (void)state;
    step_sql(&harness, RECORD("listener_rule", "shop.apps.example.test", "arn:first"));
    finding_add(&place, &found, &second);
    step_expect(&harness, "DeleteRule", "second", "");

    fix(false);

    assert_string_equal(found.items[0].fixed, "removed");
}

static void what_was_changed_is_made_anew_by_a_release_of_what_is_live(void **state)
{
    (void)state;
    step_sql(&harness,
             "UPDATE berth.releases SET image_digest = '" STEP_DIGEST "';"
             "INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host)"
             " VALUES ('shop', 1, '" STEP_COMMIT "', '" STEP_DIGEST "', 'arn:1', 'h');"
             "INSERT INTO berth.resources (app_name, kind, name, arn, spec_hash) VALUES ('shop', 'log_group', 'x', "
             "'arn:log', 'h')");
    give(FINDING_CHANGED, NULL);

    fix(false);

    assert_non_null(strstr(found.items[0].fixed, "v2"));
    assert_true(step_holds(&harness, "(SELECT spec_hash FROM berth.resources) = ''"));
    assert_true(step_holds(
        &harness, "EXISTS (SELECT FROM berth.releases WHERE number = 2 AND kind = 'redeploy' AND step = 'identity'"
                  " AND image_digest = '" STEP_DIGEST "')"));
    assert_true(step_holds(&harness, "EXISTS (SELECT FROM berth.audit_log WHERE action = 'app.reconcile')"));
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(somebody_elses_rule_is_marked_in_the_slots_and_never_touched),
        TEST(our_rules_slot_follows_its_priority),
        TEST(a_slot_is_kept_while_a_release_is_on_its_way),
        TEST(a_slot_without_a_rule_is_freed),
        TEST(a_slot_whose_rule_came_meanwhile_is_kept),
        TEST(a_slot_that_another_app_took_meanwhile_is_kept),
        TEST(a_slot_of_nobody_without_a_rule_is_freed),
        TEST(a_priority_that_one_of_ours_took_meanwhile_is_not_marked_as_somebody_elses),
        TEST(a_slot_is_not_moved_once_a_release_has_begun),
        TEST(the_rule_of_an_app_that_this_database_never_had_is_somebody_elses),
        TEST(what_nobody_has_on_record_is_removed),
        TEST(what_a_release_took_up_meanwhile_is_left_alone),
        TEST(what_has_the_name_of_one_on_record_is_left_alone),
        TEST(a_second_rule_for_the_apps_host_is_removed),
        TEST(what_lost_its_tag_is_left_to_a_person),
        TEST(an_unknown_apps_things_are_left_unless_it_is_named),
        TEST(nothing_is_removed_while_a_release_is_on_its_way),
        TEST(what_was_changed_is_made_anew_by_a_release_of_what_is_live),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
