/* The doctor's parts that ask nobody: what a text says, and which verdict follows from a number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/doctor/doctor_parts.h"

static void a_password_is_found_in_either_form_of_a_connection_string(void **state)
{
    (void)state;

    assert_true(doctor_has_password("host=db user=berth_hooks password=x"));
    assert_true(doctor_has_password("password = 'x y' host=db"));
    assert_true(doctor_has_password("host=db sslpassword=x"));
    assert_true(doctor_has_password("postgresql://berth_hooks:x@db/berth"));
    assert_true(doctor_has_password("postgresql://db/berth?user=a&password=x"));
}

static void a_connection_string_without_one_is_left_alone(void **state)
{
    (void)state;

    assert_false(doctor_has_password("host=/run/postgresql dbname=berth user=berth_hooks"));
    assert_false(doctor_has_password("host=db passfile=/etc/berth/pgpass"));
    assert_false(doctor_has_password("postgresql://berth_hooks@db:5432/berth"));
    assert_false(doctor_has_password("postgresql://db:5432/berth"));
}

static void the_principal_of_a_session_is_its_role(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *mem = arena_new();

    assert_string_equal(doctor_principal_of(mem, "arn:aws:sts::123456789012:assumed-role/berth-worker/i-0abc"),
                        "arn:aws:iam::123456789012:role/berth-worker");
    assert_string_equal(doctor_principal_of(mem, "arn:aws-cn:sts::123456789012:assumed-role/w/s"),
                        "arn:aws-cn:iam::123456789012:role/w");
    assert_string_equal(doctor_principal_of(mem, "arn:aws:iam::123456789012:user/ops/berth"),
                        "arn:aws:iam::123456789012:user/ops/berth");
}

static void the_root_user_and_a_federated_one_have_no_principal_to_ask_about(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *mem = arena_new();

    assert_null(doctor_principal_of(mem, "arn:aws:iam::123456789012:root"));
    assert_null(doctor_principal_of(mem, "arn:aws:sts::123456789012:federated-user/mara"));
}

static void clocks_may_be_30_seconds_apart_before_it_is_told_and_5_minutes_before_it_fails(void **state)
{
    (void)state;
    static const struct {
        int64_t ahead_ms;
        enum doctor_verdict verdict;
        const char *told;
    } cases[] = {
        { 0, DOCTOR_OK, "agree" },
        { 29999, DOCTOR_OK, "agree" },
        { -29999, DOCTOR_OK, "agree" },
        { 30000, DOCTOR_WARNING, "30 s behind AWS's" },
        { -30000, DOCTOR_WARNING, "30 s ahead of AWS's" },
        { 299999, DOCTOR_WARNING, "299 s behind" },
        { 300000, DOCTOR_FAILED, "300 s behind" },
        { -300000, DOCTOR_FAILED, "AWS refuses" },
    };
    AUTO_ARENA struct arena *mem = arena_new();

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct look look = { .mem = mem };

        doctor_tell_clock(&look, "AWS's", cases[i].ahead_ms);

        assert_int_equal(look.check.verdict, cases[i].verdict);
        assert_non_null(strstr(look.check.told, cases[i].told));
        assert_true((look.check.hint != NULL) == (cases[i].verdict != DOCTOR_OK));
    }
}

static void strictly_a_warning_and_what_was_not_looked_at_fail_too(void **state)
{
    (void)state;
    static const struct {
        size_t of[DOCTOR_VERDICT_COUNT];
        bool passes, strictly;
    } cases[] = {
        { { [DOCTOR_OK] = 24 }, true, true },
        { { [DOCTOR_OK] = 23, [DOCTOR_WARNING] = 1 }, true, false },
        { { [DOCTOR_OK] = 23, [DOCTOR_SKIPPED] = 1 }, true, false },
        { { [DOCTOR_OK] = 23, [DOCTOR_FAILED] = 1 }, false, false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(doctor_passes(cases[i].of, false) == cases[i].passes);
        assert_true(doctor_passes(cases[i].of, true) == cases[i].strictly);
    }
}

static void whom_peer_authentication_keeps_out_is_sent_to_a_user_that_there_is(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *mem = arena_new();

    assert_non_null(strstr(doctor_peer_advice("worker", mem), "runuser -u berth-worker -- berth doctor"));
    assert_non_null(strstr(doctor_peer_advice("owner", mem), "as root too"));
    assert_null(strstr(doctor_peer_advice("owner", mem), "berth-owner"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_is_found_in_either_form_of_a_connection_string),
        cmocka_unit_test(a_connection_string_without_one_is_left_alone),
        cmocka_unit_test(the_principal_of_a_session_is_its_role),
        cmocka_unit_test(the_root_user_and_a_federated_one_have_no_principal_to_ask_about),
        cmocka_unit_test(clocks_may_be_30_seconds_apart_before_it_is_told_and_5_minutes_before_it_fails),
        cmocka_unit_test(strictly_a_warning_and_what_was_not_looked_at_fail_too),
        cmocka_unit_test(whom_peer_authentication_keeps_out_is_sent_to_a_user_that_there_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
