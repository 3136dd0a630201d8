/* Limits without a database: what a field's text means, and what an edit does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/tenant/limit.h"

static struct arena *mem;

static int set_up(void **state)
{
    (void)state;
    mem = arena_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(mem);
    return 0;
}

/* ---- Parsing ---- */

static void says(enum limit limit, const char *text, const char *message)
{
    struct err e = { 0 };
    int64_t value = 77;

    assert_int_equal(limit_parse(limit, text, &value, &e), ERR_INVALID);

    assert_string_equal(e.message, message);
    assert_int_equal(value, 77);
}

static void a_size_with_a_unit_is_refused_with_the_number_to_write(void **state)
{
    (void)state;
    says(LIMIT_MEMORY_MIB, "8 GiB", "Write whole MiB without a unit: 8 GiB is 8192.");
    says(LIMIT_MEMORY_MIB, "8gb", "Write whole MiB without a unit: 8gb is 8192.");
    says(LIMIT_IMAGE_MIB, "512 MiB", "Write whole MiB without a unit: 512 MiB is 512.");
    says(LIMIT_IMAGE_MIB, "2TiB", "Write whole MiB without a unit: 2TiB is 2097152.");
    says(LIMIT_CPU_UNITS, "2 vCPU", "Write whole CPU units, of which 1024 are one vCPU: 2 vCPU is 2048.");
    says(LIMIT_CPU_UNITS, "0.5vcpu", "Write whole CPU units, of which 1024 are one vCPU: 0.5vcpu is 512.");
}

static void a_number_with_thousands_marks_is_refused_with_its_digits(void **state)
{
    (void)state;
    says(LIMIT_CPU_UNITS, "4,096", "Write the digits alone: 4,096 is 4096.");
    says(LIMIT_CPU_UNITS, "1 048 576", "Write the digits alone: 1 048 576 is 1048576.");
    says(LIMIT_CPU_UNITS, "40,96", "Write a whole number from 0 to 100000000, or \"default\"; \"40,96\" is none.");
}

static void what_is_no_number_is_refused_with_the_bounds(void **state)
{
    (void)state;
    says(LIMIT_TASKS, "", "Write a whole number, or \"default\".");
    says(LIMIT_TASKS, "  ", "Write a whole number, or \"default\".");
    says(LIMIT_TASKS, "many", "Write a whole number from 0 to 100000, or \"default\"; \"many\" is none.");
    says(LIMIT_TASKS, "8 GiB", "Write a whole number from 0 to 100000, or \"default\"; \"8 GiB\" is none.");
    says(LIMIT_TASKS, "1.5", "Write a whole number from 0 to 100000, or \"default\"; \"1.5\" is none.");
    says(LIMIT_TASKS, "<b>\x01", "Write a whole number from 0 to 100000, or \"default\"; \"<b> \" is none.");
}

static void a_number_out_of_bounds_is_refused_with_the_bound(void **state)
{
    (void)state;
    says(LIMIT_TASKS, "-1", "Write 0 at least.");
    says(LIMIT_TASKS, "100001", "Write 100000 at most.");
    says(LIMIT_TASKS, "99999999999999999999999", "Write 100000 at most.");
    says(LIMIT_PUSHES_BURST, "0",
         "Write 1 at least. `berth apps pause` is what keeps an app from taking pushes at all.");
}

static void digits_and_the_word_default_are_taken(void **state)
{
    struct err e = { 0 };
    int64_t value = 0;
    (void)state;

    assert_int_equal(limit_parse(LIMIT_CPU_UNITS, " 8192 ", &value, &e), 0);
    assert_int_equal(value, 8192);
    assert_int_equal(limit_parse(LIMIT_CPU_UNITS, "0", &value, &e), 0);
    assert_int_equal(value, 0);
    assert_int_equal(limit_parse(LIMIT_CPU_UNITS, "Default", &value, &e), 0);
    assert_int_equal(value, LIMIT_DEFAULT);
}

static void every_limit_is_found_by_its_name(void **state)
{
    enum limit limit;
    (void)state;

    for (int i = 0; i < LIMIT_COUNT; i++) {
        assert_true(limit_find(limit_info((enum limit)i)->name, &limit));
        assert_int_equal(limit, i);
        assert_true(strlen(limit_info((enum limit)i)->title) > 0);
        assert_true(strlen(limit_info((enum limit)i)->note) > 0);
    }
    assert_false(limit_find("cpu", &limit));
}

/* ---- How full ---- */

static void a_limit_is_near_from_four_fifths_and_full_when_it_is_reached(void **state)
{
    (void)state;
    assert_int_equal(limit_level(&(struct limit_state){ .used = 79, .in_force = 100 }), LIMIT_FREE);
    assert_int_equal(limit_level(&(struct limit_state){ .used = 80, .in_force = 100 }), LIMIT_NEAR);
    assert_int_equal(limit_level(&(struct limit_state){ .used = 99, .in_force = 100 }), LIMIT_NEAR);
    assert_int_equal(limit_level(&(struct limit_state){ .used = 100, .in_force = 100 }), LIMIT_FULL);
    assert_int_equal(limit_level(&(struct limit_state){ .used = 200, .in_force = 100 }), LIMIT_FULL);
    assert_int_equal(limit_level(&(struct limit_state){ .used = 0, .in_force = 0 }), LIMIT_FULL);
    assert_int_equal(limit_percent(&(struct limit_state){ .used = 2, .in_force = 3 }), 66);
}

static void a_number_is_written_with_thousands_marks(void **state)
{
    (void)state;
    assert_string_equal(limit_number(mem, 0), "0");
    assert_string_equal(limit_number(mem, 999), "999");
    assert_string_equal(limit_number(mem, 1000), "1,000");
    assert_string_equal(limit_number(mem, 1234567), "1,234,567");
    assert_string_equal(limit_number(mem, -1000), "-1,000");
}

/* ---- What an edit does ---- */

/* An app of 2 tasks with 512 units and 1,024 MiB, live; noon on 14 June 2026, by UTC. */
static struct limits shop(void)
{
    struct limits limits = { .tokens = 3,
                             .next_ms = 48000,
                             .full_ms = 800000,
                             .cpu_units = 512,
                             .memory_mib = 1024,
                             .tasks = 2,
                             .now_ms = 1781438400000,
                             .promised_cpu_units = 20480,
                             .apps = 38 };
    static const struct limit_state states[LIMIT_COUNT] = {
        [LIMIT_CPU_UNITS] = { 1024, 1024, 2560, 2560, 16384, 0 },
        [LIMIT_MEMORY_MIB] = { 2048, 2048, 8192, LIMIT_DEFAULT, 8192, 0 },
        [LIMIT_TASKS] = { 2, 2, 6, 6, 20, 0 },
        [LIMIT_CONCURRENT_BUILDS] = { 0, 0, 1, LIMIT_DEFAULT, 1, 0 },
        [LIMIT_BUILD_MINUTES] = { 100, 100, 300, LIMIT_DEFAULT, 300, 0 },
        [LIMIT_RELEASES_PER_HOUR] = { 1, 1, 20, LIMIT_DEFAULT, 20, 0 },
        [LIMIT_IMAGE_MIB] = { 1434, 1434, 5120, LIMIT_DEFAULT, 5120, 0 },
        [LIMIT_PUSHES_BURST] = { 7, 7, 10, LIMIT_DEFAULT, 10, 0 },
        [LIMIT_PUSHES_PER_HOUR] = { 24, 24, 30, LIMIT_DEFAULT, 30, 0 },
    };

    memcpy(limits.of, states, sizeof states);
    return limits;
}

static const char *effect_of(const struct limits *now, enum limit limit, int64_t value, const char **use)
{
    const struct limit_edit edit = { limit, value, LIMIT_UNSEEN };
    struct limits then;
    struct limit_effect effect;

    limits_with(now, &edit, value == LIMIT_UNSEEN ? 0 : 1, &then);
    limit_effect(now, &then, limit, mem, &effect);
    if (use)
        *use = effect.use;
    return arena_printf(mem, "%s%s%s", effect.lead, *effect.rest ? " " : "", effect.rest);
}

#define UNTOUCHED LIMIT_UNSEEN

static void a_raise_of_cpu_tells_the_room_for_a_rollout_and_the_share(void **state)
{
    struct limits now = shop();
    const char *use;
    (void)state;

    assert_string_equal(effect_of(&now, LIMIT_CPU_UNITS, 3072, &use),
                        "Room for a rollout of 4 tasks of 512 units; today 3.");
    assert_string_equal(use, "40% then 33%");
}

static void a_limit_too_small_for_the_next_rollout_says_so_edited_or_not(void **state)
{
    struct limits now = shop();
    (void)state;

    assert_string_equal(effect_of(&now, LIMIT_CPU_UNITS, 2047, NULL),
                        "No room for a rollout: it needs 1,024 units beside 1,024 in use.");
    assert_string_equal(effect_of(&now, LIMIT_TASKS, 3, NULL),
                        "No room for a rollout: it needs 2 tasks beside 2 that run.");
    now.of[LIMIT_CPU_UNITS].in_force = 1500;
    assert_string_equal(effect_of(&now, LIMIT_CPU_UNITS, UNTOUCHED, NULL),
                        "No room for a rollout: it needs 1,024 units beside 1,024 in use.");
}

static void an_untouched_row_says_nothing_unless_its_limit_is_near(void **state)
{
    struct limits now = shop();
    (void)state;

    for (int i = 0; i < LIMIT_COUNT; i++)
        if (i != LIMIT_PUSHES_PER_HOUR)
            assert_string_equal(effect_of(&now, (enum limit)i, UNTOUCHED, NULL), "");
    now.of[LIMIT_BUILD_MINUTES].used = 249;
    assert_string_equal(effect_of(&now, LIMIT_BUILD_MINUTES, UNTOUCHED, NULL),
                        "Reached on 17 June at this pace; builds are then refused until 1 July.");
}

static void build_minutes_tell_when_they_end(void **state)
{
    struct limits now = shop();
    (void)state;

    assert_string_equal(effect_of(&now, LIMIT_BUILD_MINUTES, 150, NULL),
                        "Reached on 21 June at this pace; builds are then refused until 1 July.");
    assert_string_equal(effect_of(&now, LIMIT_BUILD_MINUTES, 100, NULL),
                        "Reached: pushes are refused until 1 July; a rollback still works.");
    assert_string_equal(effect_of(&now, LIMIT_BUILD_MINUTES, 500, NULL), "Not reached this month at this pace.");
}

static void the_year_ends_in_january(void **state)
{
    struct limits now = shop();
    (void)state;
    now.now_ms = 1798156800000; /* 25 December 2026 */

    assert_string_equal(effect_of(&now, LIMIT_BUILD_MINUTES, 90, NULL),
                        "Reached: pushes are refused until 1 January; a rollback still works.");
}

static void a_rate_tells_how_it_refills(void **state)
{
    struct limits now = shop();
    const char *use;
    (void)state;

    assert_string_equal(effect_of(&now, LIMIT_PUSHES_PER_HOUR, 60, &use),
                        "Refills every 60 s, today 120 s. The empty bucket is full after 10 min, today 20 min.");
    assert_string_equal(use, "80% then 40%");
    assert_string_equal(effect_of(&now, LIMIT_PUSHES_BURST, 20, &use),
                        "20 pushes at once, today 10. The empty bucket is full after 40 min, today 20 min.");
    assert_string_equal(use, "70% then 35%");
}

static void a_bucket_made_smaller_is_clamped_and_keeps_what_was_spent(void **state)
{
    struct limits now = shop(), then;
    const struct limit_edit smaller = { LIMIT_PUSHES_BURST, 5, LIMIT_UNSEEN },
                            larger = { LIMIT_PUSHES_BURST, 20, LIMIT_UNSEEN };
    (void)state;

    limits_with(&now, &smaller, 1, &then);
    assert_int_equal(then.tokens, 0);
    assert_int_equal(then.of[LIMIT_PUSHES_BURST].used, 5);
    limits_with(&now, &larger, 1, &then);
    assert_int_equal(then.tokens, 13);
}

static void back_to_the_default_is_what_the_default_does(void **state)
{
    struct limits now = shop(), then;
    const struct limit_edit edit = { LIMIT_CPU_UNITS, LIMIT_DEFAULT, 2560 };
    (void)state;

    limits_with(&now, &edit, 1, &then);

    assert_int_equal(then.of[LIMIT_CPU_UNITS].in_force, 16384);
    assert_int_equal(then.of[LIMIT_CPU_UNITS].own, LIMIT_DEFAULT);
}

static const char *sum_of(const struct limits *now, const struct limit_edit *edit, int which)
{
    struct limits then;
    struct limit_sum sums[LIMIT_SUMS];

    limits_with(now, edit, edit ? 1 : 0, &then);
    limit_sums(now, &then, mem, sums);
    return sums[which].text;
}

static void the_edits_are_summed_up(void **state)
{
    struct limits now = shop();
    const struct limit_edit more = { LIMIT_CPU_UNITS, 3584, LIMIT_UNSEEN },
                            less = { LIMIT_CPU_UNITS, 512, LIMIT_UNSEEN };
    (void)state;

    assert_string_equal(sum_of(&now, &more, 0), "Nothing running is stopped.");
    assert_string_equal(sum_of(&now, &less, 0),
                        "Nothing running is stopped, though it is over: CPU units. The next push is refused.");
    assert_string_equal(sum_of(&now, &more, 1), "CPU peaks at 2,048 of 3,584 units; of 2,560 today.");
    assert_string_equal(sum_of(&now, &less, 1), "The next rollout needs 2,048 CPU units of 512: pushes are refused.");
    assert_string_equal(sum_of(&now, &more, 2), "None waits: 3 tokens are left, the next comes in 48 s.");
    assert_string_equal(sum_of(&now, &more, 3), "Quotas promise 21,504 CPU units to 38 apps; 20,480 today.");
    now.owed = "over_quota";
    assert_string_equal(sum_of(&now, &less, 2), "One waits until a quota is raised.");
    now.refusal = "CPU units: 4,096 of 4,096 in use, a rollout needs 4,096 more";
    assert_string_equal(
        sum_of(&now, &less, 2),
        "One waits until a quota is raised. CPU units: 4,096 of 4,096 in use, a rollout needs 4,096 more.");
    assert_string_equal(
        sum_of(&now, &more, 2),
        "One waits, and is looked at again as soon as this is saved: 3 tokens are left, the next comes in 48 s.");
}

static void a_default_tells_for_how_many_apps_it_is_in_force(void **state)
{
    struct limits now = { .apps = 38, .promised_cpu_units = 20480 };
    const struct limit_edit edit = { LIMIT_CPU_UNITS, 2048, LIMIT_UNSEEN };
    (void)state;
    for (int i = 0; i < LIMIT_COUNT; i++)
        now.of[i] = (struct limit_state){ .in_force = 1024, .own = LIMIT_DEFAULT, .standard = 1024, .followers = 36 };

    assert_string_equal(effect_of(&now, LIMIT_CPU_UNITS, 2048, NULL), "In force for 36 apps of 38, and for new ones.");
    assert_string_equal(effect_of(&now, LIMIT_CPU_UNITS, UNTOUCHED, NULL), "");
    assert_string_equal(sum_of(&now, &edit, 3), "Quotas promise 57,344 CPU units to 38 apps; 20,480 today.");
}

/* ---- Headers ---- */

static void an_empty_buckets_headers_tell_when_there_is_a_token(void **state)
{
    struct limit_headers headers;
    (void)state;

    limit_headers(mem, 10, 60, 0, 59001, &headers);

    assert_string_equal(headers.policy, "\"pushes\";q=10;w=600");
    assert_string_equal(headers.state, "\"pushes\";r=0;t=60");
    assert_string_equal(headers.limit, "10");
    assert_string_equal(headers.remaining, "0");
    assert_string_equal(headers.reset, "60");
    limit_headers(mem, 10, 1000000, 0, 1, &headers);
    assert_string_equal(headers.state, "\"pushes\";r=0;t=1");
}

static void headers_with_tokens_left_tell_when_all_are_back(void **state)
{
    struct limit_headers headers;
    (void)state;

    limit_headers(mem, 10, 60, 4, 0, &headers);

    assert_string_equal(headers.state, "\"pushes\";r=4;t=360");
    assert_string_equal(headers.remaining, "4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_size_with_a_unit_is_refused_with_the_number_to_write),
        cmocka_unit_test(a_number_with_thousands_marks_is_refused_with_its_digits),
        cmocka_unit_test(what_is_no_number_is_refused_with_the_bounds),
        cmocka_unit_test(a_number_out_of_bounds_is_refused_with_the_bound),
        cmocka_unit_test(digits_and_the_word_default_are_taken),
        cmocka_unit_test(every_limit_is_found_by_its_name),
        cmocka_unit_test(a_limit_is_near_from_four_fifths_and_full_when_it_is_reached),
        cmocka_unit_test(a_number_is_written_with_thousands_marks),
        cmocka_unit_test(a_raise_of_cpu_tells_the_room_for_a_rollout_and_the_share),
        cmocka_unit_test(a_limit_too_small_for_the_next_rollout_says_so_edited_or_not),
        cmocka_unit_test(an_untouched_row_says_nothing_unless_its_limit_is_near),
        cmocka_unit_test(build_minutes_tell_when_they_end),
        cmocka_unit_test(the_year_ends_in_january),
        cmocka_unit_test(a_rate_tells_how_it_refills),
        cmocka_unit_test(a_bucket_made_smaller_is_clamped_and_keeps_what_was_spent),
        cmocka_unit_test(back_to_the_default_is_what_the_default_does),
        cmocka_unit_test(the_edits_are_summed_up),
        cmocka_unit_test(a_default_tells_for_how_many_apps_it_is_in_force),
        cmocka_unit_test(an_empty_buckets_headers_tell_when_there_is_a_token),
        cmocka_unit_test(headers_with_tokens_left_tell_when_all_are_back),
    };
    return cmocka_run_group_tests_name("tenant/limit", tests, set_up, tear_down);
}
