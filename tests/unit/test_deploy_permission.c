/* What a refused call's hint tells the operator to add. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/deploy/permission.h"

static void nothing_is_added_to_an_error_of_another_kind(void **state)
{
    struct err e = { 0 };
    (void)state;
    err_set(&e, ERR_INVALID, "User: x is not authorized to perform: iam:PassRole on resource: y");

    permission_hint(&e);

    assert_string_equal(e.hint, "");
}

static void an_explicit_deny_is_not_answered_with_an_allow(void **state)
{
    struct err e = { 0 };
    (void)state;
    err_set(&e, ERR_DENIED, "User: x is not authorized to perform: iam:PassRole on resource: y with an explicit deny");
    err_hint(&e, "change that policy");

    permission_hint(&e);

    assert_string_equal(e.hint, "change that policy");
}

static void a_role_that_may_not_be_passed_is_named_with_the_statement(void **state)
{
    struct err e = { 0 };
    (void)state;
    err_set(&e, ERR_DENIED,
            "ecs RegisterTaskDefinition: AccessDeniedException: User: "
            "arn:aws:sts::123456789012:assumed-role/berth-worker/i-1 is "
            "not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/berth-shop-task "
            "because no "
            "identity-based policy allows the iam:PassRole action (HTTP 400, request r-1)");

    permission_hint(&e);

    assert_string_equal(
        e.hint, "arn:aws:sts::123456789012:assumed-role/berth-worker/i-1 may not iam:PassRole on "
                "arn:aws:iam::123456789012:role/berth-shop-task: add the statement HandRolesToTheirServices of "
                "docs/aws-permissions.md to its policy, at least "
                "{\"Sid\":\"HandRolesToTheirServices\",\"Effect\":\"Allow\",\"Action\":"
                "\"iam:PassRole\",\"Resource\":\"arn:aws:iam::123456789012:role/berth-shop-task\"}; then try again.");
}

static void an_action_without_a_resource_is_allowed_on_all(void **state)
{
    struct err e = { 0 };
    (void)state;
    err_set(&e, ERR_DENIED, "User: arn:x is not authorized to perform: ec2:DescribeSubnets (HTTP 400)");

    permission_hint(&e);

    assert_non_null(strstr(e.hint, "WhatHasNoResourceToName"));
    assert_non_null(strstr(e.hint, "\"Resource\":\"*\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_added_to_an_error_of_another_kind),
        cmocka_unit_test(an_explicit_deny_is_not_answered_with_an_allow),
        cmocka_unit_test(a_role_that_may_not_be_passed_is_named_with_the_statement),
        cmocka_unit_test(an_action_without_a_resource_is_allowed_on_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
