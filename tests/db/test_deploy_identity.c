/* The step identity: what belongs to the app alone is made once, found again, and never taken from somebody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/db/step_harness.h"

static const char ours[] = "<Role><Tags><member><Key>berth:app</Key><Value>shop</Value></member></Tags></Role>";
static const char theirs[] = "<Role><Tags><member><Key>berth:app</Key><Value>blog</Value></member></Tags></Role>";
static const char untagged[] = "<Role><RoleName>berth-shop-task</RoleName></Role>";

static int run_identity(struct step_harness *h, struct err *e)
{
    enum step_answer answer = STEP_WAIT;

    *e = (struct err){ 0 };
    if (identity_ensure(&h->run, &answer, e))
        return e->code;
    assert_int_equal(answer, STEP_DONE);
    return 0;
}

static void expect_group_and_repository(struct step_harness *h)
{
    step_expect(h, "CreateLogGroup", "\"/berth/shop\"", "{}");
    step_expect(h, "PutRetentionPolicy", "30", "{}");
    step_expect(h, "CreateRepository", "IMMUTABLE", "{}");
}

static void expect_new_roles(struct step_harness *h)
{
    step_expect(h, "CreateRole", "berth-shop-task", "");
    step_expect(h, "CreateRole", "berth-shop-execution", "");
    step_expect(h, "PutRolePolicy", "berth-shop-execution", "");
    step_expect(h, "CreateRole", "berth-shop-build", "");
    step_expect(h, "PutRolePolicy", "berth-shop-build", "");
}

static void expect_all_new(struct step_harness *h)
{
    expect_group_and_repository(h);
    expect_new_roles(h);
    step_expect(h, "CreateProject", "berth-shop-build", "{}");
}

static void a_role_tagged_as_another_apps_is_refused(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_group_and_repository(&h);
    step_refuse(&h, "CreateRole", "berth-shop-task", "EntityAlreadyExists",
                "Role with name berth-shop-task already exists.");
    step_expect(&h, "GetRole", "berth-shop-task", theirs);

    assert_int_equal(run_identity(&h, &e), ERR_INVALID);

    assert_non_null(
        strstr(e.message, "role berth-shop-task exists, but it is tagged berth:app=blog, not berth:app=shop"));
    assert_non_null(strstr(e.hint, "Remove it if nothing needs it, or tag it berth:app=shop"));
    assert_true(step_holds(&h, "NOT EXISTS (SELECT FROM berth.resources WHERE kind = 'task_role')"));
    step_close(&h);
}

static void a_role_without_a_tag_is_refused(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    step_reload(&h, 7);
    expect_group_and_repository(&h);
    step_refuse(&h, "CreateRole", NULL, "EntityAlreadyExists", "exists");
    step_expect(&h, "GetRole", NULL, untagged);

    assert_int_equal(run_identity(&h, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "is not tagged berth:app=shop"));
    step_close(&h);
}

/* It may be ours, made by a try whose answer was lost, and its tags come late. */
static void a_role_without_a_tag_is_looked_at_again(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_group_and_repository(&h);
    step_refuse(&h, "CreateRole", NULL, "EntityAlreadyExists", "exists");
    step_expect(&h, "GetRole", NULL, untagged);

    assert_int_equal(run_identity(&h, &e), ERR_TRANSIENT);
    step_close(&h);
}

static void a_log_group_that_is_not_shown_yet_is_looked_for_again(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    step_refuse(&h, "CreateLogGroup", NULL, "ResourceAlreadyExistsException", "The specified log group already exists");
    step_refuse(&h, "ListTagsForResource", NULL, "ResourceNotFoundException", "The specified resource does not exist.");

    assert_int_equal(run_identity(&h, &e), ERR_TRANSIENT);
    step_close(&h);
}

static void a_log_group_of_somebody_else_is_refused(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    step_reload(&h, 7);
    step_refuse(&h, "CreateLogGroup", NULL, "ResourceAlreadyExistsException", "The specified log group already exists");
    step_expect(&h, "ListTagsForResource", "log-group:/berth/shop\"", "{\"tags\":{\"team\":\"x\"}}");

    assert_int_equal(run_identity(&h, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "log group /berth/shop"));
    step_close(&h);
}

static void a_repository_of_somebody_else_is_refused(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    step_reload(&h, 7);
    step_expect(&h, "CreateLogGroup", NULL, "{}");
    step_expect(&h, "PutRetentionPolicy", NULL, "{}");
    step_refuse(&h, "CreateRepository", NULL, "RepositoryAlreadyExistsException", "exists");
    step_expect(&h, "ListTagsForResource", "repository/berth/shop", "{\"tags\":[]}");

    assert_int_equal(run_identity(&h, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "image repository berth/shop"));
    step_close(&h);
}

static void a_build_project_of_somebody_else_is_refused(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    step_reload(&h, 7);
    expect_group_and_repository(&h);
    expect_new_roles(&h);
    step_refuse(&h, "CreateProject", NULL, "ResourceAlreadyExistsException", "Project already exists");
    step_expect(&h, "BatchGetProjects", "berth-shop", "{\"projects\":[{\"name\":\"berth-shop\",\"tags\":[]}]}");

    assert_int_equal(run_identity(&h, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "build project berth-shop"));
    step_close(&h);
}

static void a_role_that_is_not_believed_yet_is_tried_again(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_group_and_repository(&h);
    expect_new_roles(&h);
    step_refuse(
        &h, "CreateProject", NULL, "InvalidInputException",
        "CodeBuild is not authorized to perform: sts:AssumeRole on arn:aws:iam::123456789012:role/berth-shop-build");
    step_expect(&h, "CreateProject", NULL, "{}");

    assert_int_equal(run_identity(&h, &e), ERR_TRANSIENT);
    step_reload(&h, 2);

    assert_int_equal(run_identity(&h, &e), 0);
    step_close(&h);
}

static void a_role_that_iam_does_not_find_yet_is_tried_again(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_group_and_repository(&h);
    step_expect(&h, "CreateRole", "berth-shop-task", "");
    step_expect(&h, "CreateRole", "berth-shop-execution", "");
    step_refuse(&h, "PutRolePolicy", NULL, "NoSuchEntity", "The role with name berth-shop-execution cannot be found.");

    assert_int_equal(run_identity(&h, &e), ERR_TRANSIENT);
    step_close(&h);
}

static void another_wrong_input_is_not_tried_again(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_group_and_repository(&h);
    expect_new_roles(&h);
    step_refuse(&h, "CreateProject", NULL, "InvalidInputException", "Invalid image");

    assert_int_equal(run_identity(&h, &e), ERR_INVALID);
    step_close(&h);
}

static void a_role_whose_answer_was_lost_is_found_by_its_tag(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_group_and_repository(&h);
    step_lose(&h, "CreateRole", "berth-shop-task");
    step_refuse(&h, "CreateRole", "berth-shop-task", "EntityAlreadyExists", "exists");
    step_expect(&h, "GetRole", "berth-shop-task", ours);
    step_expect(&h, "PutRolePermissionsBoundary", "berth-shop-task", "");
    step_expect(&h, "UpdateAssumeRolePolicy", "berth-shop-task", "");
    step_expect(&h, "CreateRole", "berth-shop-execution", "");
    step_expect(&h, "PutRolePolicy", NULL, "");
    step_expect(&h, "CreateRole", "berth-shop-build", "");
    step_expect(&h, "PutRolePolicy", NULL, "");
    step_expect(&h, "CreateProject", NULL, "{}");

    assert_int_equal(run_identity(&h, &e), ERR_TRANSIENT);
    step_reload(&h, 2);

    assert_int_equal(run_identity(&h, &e), 0);
    step_close(&h);
}

static void a_first_release_makes_nine_calls_and_records_six_things(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_all_new(&h);

    assert_int_equal(run_identity(&h, &e), 0);

    assert_int_equal(fake_count(h.fake), 9);
    assert_true(step_holds(&h, "(SELECT count(*) FROM berth.resources WHERE app_name = 'shop') = 6"));
    assert_true(step_holds(&h, "NOT EXISTS (SELECT FROM berth.intents WHERE answered_at IS NULL)"));
    step_close(&h);
}

static void each_role_is_bounded_and_tagged(void **state)
{
    static const size_t creations[] = { 3, 4, 6 };
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_all_new(&h);

    assert_int_equal(run_identity(&h, &e), 0);

    for (size_t i = 0; i < 3; i++) {
        assert_true(step_asked(&h, creations[i], "PermissionsBoundary=" STEP_BOUNDARY));
        assert_true(step_asked(&h, creations[i], "Tags.member.1.Key=berth:app&Tags.member.1.Value=shop"));
    }
    step_close(&h);
}

static void an_unchanged_app_asks_aws_for_nothing(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_all_new(&h);
    assert_int_equal(run_identity(&h, &e), 0);
    step_reload(&h, 1);

    assert_int_equal(run_identity(&h, &e), 0);

    assert_int_equal(fake_count(h.fake), 9);
    step_close(&h);
}

static void another_boundary_reaches_the_roles_that_are_there(void **state)
{
    static const char *const roles[] = { "berth-shop-task", "berth-shop-execution", "berth-shop-build" };
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    expect_all_new(&h);
    assert_int_equal(run_identity(&h, &e), 0);
    h.settings.permissions_boundary = "arn:aws:iam::123456789012:policy/tighter";
    for (size_t i = 0; i < 3; i++) {
        step_refuse(&h, "CreateRole", roles[i], "EntityAlreadyExists", "exists");
        step_expect(&h, "GetRole", roles[i], ours);
        step_expect(&h, "PutRolePermissionsBoundary", "policy%2Ftighter", "");
        step_expect(&h, "UpdateAssumeRolePolicy", roles[i], "");
        if (i > 0)
            step_expect(&h, "PutRolePolicy", roles[i], "");
    }

    assert_int_equal(run_identity(&h, &e), 0);
    step_close(&h);
}

static void a_worker_that_lost_the_release_asks_for_nothing(void **state)
{
    struct step_harness h;
    struct err e;
    (void)state;
    step_open(&h);
    step_sql(&h, "UPDATE berth.releases SET lease_token = 8");

    assert_int_equal(run_identity(&h, &e), ERR_CONFLICT);

    assert_int_equal(fake_count(h.fake), 0);
    step_close(&h);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_role_tagged_as_another_apps_is_refused),
        cmocka_unit_test(a_role_without_a_tag_is_refused),
        cmocka_unit_test(a_role_without_a_tag_is_looked_at_again),
        cmocka_unit_test(a_log_group_that_is_not_shown_yet_is_looked_for_again),
        cmocka_unit_test(a_log_group_of_somebody_else_is_refused),
        cmocka_unit_test(a_repository_of_somebody_else_is_refused),
        cmocka_unit_test(a_build_project_of_somebody_else_is_refused),
        cmocka_unit_test(a_role_that_is_not_believed_yet_is_tried_again),
        cmocka_unit_test(a_role_that_iam_does_not_find_yet_is_tried_again),
        cmocka_unit_test(another_wrong_input_is_not_tried_again),
        cmocka_unit_test(a_role_whose_answer_was_lost_is_found_by_its_tag),
        cmocka_unit_test(a_first_release_makes_nine_calls_and_records_six_things),
        cmocka_unit_test(each_role_is_bounded_and_tagged),
        cmocka_unit_test(an_unchanged_app_asks_aws_for_nothing),
        cmocka_unit_test(another_boundary_reaches_the_roles_that_are_there),
        cmocka_unit_test(a_worker_that_lost_the_release_asks_for_nothing),
    };
    (void)argc;

    harness_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
