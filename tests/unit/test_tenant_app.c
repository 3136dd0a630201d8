/* What an app may be called, built from and sized as. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/tenant/app.h"

static void each_is(int (*check)(const char *text, struct err *e), const char *const *texts, int code)
{
    for (; *texts; texts++) {
        struct err e = { 0 };
        int got = check(*texts, &e);
        if (got != code)
            fail_msg("\"%s\" gave %d: %s", *texts, got, e.message);
        if (code)
            assert_true(e.message[0] != '\0');
    }
}

static void a_name_that_is_no_dns_label_is_refused(void **state)
{
    static const char *const bad[] = { "",
                                       "-shop",
                                       "shop-",
                                       "1shop",
                                       "Shop",
                                       "sh op",
                                       "sh_op",
                                       "sh.op",
                                       "shop--x",
                                       "abcdefghijklmnopqrstuvw",
                                       "sh\xc3\xb6p",
                                       "shop\n",
                                       "../x",
                                       NULL };
    (void)state;

    each_is(app_check_name, bad, ERR_INVALID);
}

static void a_name_that_would_pass_for_berth_itself_is_refused(void **state)
{
    static const char *const reserved[] = { "www", "admin", "berth", "hooks", NULL };
    (void)state;

    each_is(app_check_name, reserved, ERR_INVALID);
}

static void a_dns_label_of_up_to_22_characters_is_a_name(void **state)
{
    static const char *const good[] = { "a", "shop", "shop-2", "a1", "a-b-c", "abcdefghijklmnopqrstuv", "api", NULL };
    (void)state;

    each_is(app_check_name, good, 0);
}

static void a_refusal_never_repeats_control_characters(void **state)
{
    struct err e = { 0 };
    (void)state;

    app_check_name("\x1b[2Jshop", &e);

    assert_null(strchr(e.message, '\x1b'));
}

static void what_is_no_owner_and_name_is_no_repository(void **state)
{
    static const char *const bad[] = { "",
                                       "shop",
                                       "/shop",
                                       "acme/",
                                       "acme/shop/x",
                                       "https://github.com/acme/shop",
                                       "acme/shop.git",
                                       "acme/..",
                                       "acme/.",
                                       "-acme/shop",
                                       "acme-/shop",
                                       "ac me/shop",
                                       "acme/sh?p",
                                       "a234567890123456789012345678901234567890/shop",
                                       NULL };
    (void)state;

    each_is(app_check_repository, bad, ERR_INVALID);
}

static void repositories_are_named_as_github_names_them(void **state)
{
    static const char *const good[] = { "acme/shop", "Acme-Inc/Shop.js", "a/b", "acme/.github", "acme/shop_2", NULL };
    (void)state;

    each_is(app_check_repository, good, 0);
}

static void branches_that_git_refuses_are_refused(void **state)
{
    static const char *const bad[] = { "",       "-x",         "/x",    "x/",       "a//b", ".x",    "a/.x",
                                       "x.lock", "a/x.lock/b", "a..b",  "x.",       "a b",  "a~1",   "a^",
                                       "a:b",    "a?",         "a*",    "a[",       "a\\b", "a@{1}", "@",
                                       "HEAD",   "a\tb",       "a\x7f", "\xff\xfe", NULL };
    char long_one[APP_BRANCH_MAX + 2];
    const char *const too_long[] = { long_one, NULL };
    (void)state;
    memset(long_one, 'x', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = '\0';

    each_is(app_check_branch, bad, ERR_INVALID);
    each_is(app_check_branch, too_long, ERR_INVALID);
}

static void branches_that_git_takes_are_taken(void **state)
{
    static const char *const good[] = { "main",        "release/1.2", "a@b",        "x{y}",
                                        "caf\xc3\xa9", "a.lockx",     "user/a-b_c", NULL };
    (void)state;

    each_is(app_check_branch, good, 0);
}

static void a_size_that_fargate_lacks_names_the_nearest(void **state)
{
    static const struct {
        int cpu_units, memory_mib;
        const char *nearest;
    } bad[] = {
        { 256, 4096, "the nearest is 2048 MiB, or 512 CPU units with 4096 MiB." },
        { 256, 600, "the nearest is 512 MiB." },
        { 512, 512, "the nearest is 1024 MiB, or 256 CPU units with 512 MiB." },
        { 256, 0, "the nearest is 512 MiB." },
        { 1024, 60000, "the nearest is 8192 MiB, or 8192 CPU units with 61440 MiB." },
        { 300, 512, "nearest size is 256 with 512 MiB" },
        { 1024, 1024, "the nearest is 2048 MiB" },
        { 8192, 17000, "the nearest is 16384 MiB" },
        { 4096, 31000, "the nearest is 30720 MiB" },
        { 0, 0, "nearest size is 256 with 512 MiB" },
        { -1, 2147483647, "nearest size is 256 with 2048 MiB" },
        { 16384, 33000, "the nearest is 32768 MiB" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = { 0 };
        assert_int_equal(app_check_size(bad[i].cpu_units, bad[i].memory_mib, &e), ERR_INVALID);
        if (!strstr(e.hint, bad[i].nearest))
            fail_msg("%d/%d: %s", bad[i].cpu_units, bad[i].memory_mib, e.hint);
    }
}

static void fargate_s_sizes_are_taken(void **state)
{
    static const int good[][2] = { { 256, 512 },     { 256, 1024 },    { 256, 2048 },   { 512, 1024 },
                                   { 512, 4096 },    { 1024, 2048 },   { 1024, 8192 },  { 2048, 16384 },
                                   { 4096, 30720 },  { 8192, 16384 },  { 8192, 20480 }, { 8192, 61440 },
                                   { 16384, 32768 }, { 16384, 122880 } };
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct err e = { 0 };
        assert_int_equal(app_check_size(good[i][0], good[i][1], &e), 0);
    }
}

static struct app sample(void)
{
    return (struct app){ .name = "shop",
                         .repository = "acme/shop",
                         .branch = "main",
                         .health_check_path = "/health",
                         .port = 8080,
                         .cpu_units = 256,
                         .memory_mib = 512,
                         .tasks = 1 };
}

static void an_app_with_one_wrong_part_is_refused(void **state)
{
    struct app bad[] = { sample(), sample(), sample(), sample(), sample(), sample() };
    struct app good = sample();
    struct err e = { 0 };
    (void)state;
    bad[0].port = 0;
    bad[1].port = 65536;
    bad[2].tasks = -1;
    bad[3].health_check_path = "health";
    bad[4].health_check_path = "/a b";
    bad[5].branch = "a..b";

    assert_int_equal(app_check(&good, &e), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(app_check(&bad[i], &e), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_is_no_dns_label_is_refused),
        cmocka_unit_test(a_name_that_would_pass_for_berth_itself_is_refused),
        cmocka_unit_test(a_dns_label_of_up_to_22_characters_is_a_name),
        cmocka_unit_test(a_refusal_never_repeats_control_characters),
        cmocka_unit_test(what_is_no_owner_and_name_is_no_repository),
        cmocka_unit_test(repositories_are_named_as_github_names_them),
        cmocka_unit_test(branches_that_git_refuses_are_refused),
        cmocka_unit_test(branches_that_git_takes_are_taken),
        cmocka_unit_test(a_size_that_fargate_lacks_names_the_nearest),
        cmocka_unit_test(fargate_s_sizes_are_taken),
        cmocka_unit_test(an_app_with_one_wrong_part_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
