/* A proven flood is refused from memory, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/hash.h"
#include "fcgi/flood.h"
#include "tests/unit/support_clock.h"

static struct arena *mem;
static struct flood *flood;
static struct fake_clock now;
static struct clock fake;

static int set_up(void **state)
{
    (void)state;
    mem = arena_new();
    now = (struct fake_clock){ .now_ms = 1000000 };
    fake = fake_clock_of(&now);
    flood = flood_new(&fake);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    flood_free(flood);
    arena_free(mem);
    return 0;
}

static struct github_event push_to(const char *branch)
{
    return (struct github_event){ .name = "push", .branch = branch };
}

/* A push, with a body that id stands for. */
static struct delivery delivery_of(const char *app, const struct github_event *event, int id)
{
    uint8_t *digest = arena_alloc(mem, HASH_SIZE);

    hash_sha256(&id, sizeof id, digest);
    return (struct delivery){ .app = app, .id = "d", .body_sha256 = digest, .event = event };
}

static const struct intake_answer *limited(int64_t wait_ms)
{
    struct intake_answer *answer = arena_alloc(mem, sizeof *answer);

    answer->outcome = INTAKE_LIMITED;
    answer->reason = "pushes come faster than 60 an hour with 10 at once";
    answer->wait_ms = wait_ms;
    answer->bucket.burst = 10;
    answer->bucket.per_hour = 60;
    return answer;
}

static const char reason[] = "CPU units: 4,096 of 4,096 in use, a rollout needs 4,096 more";

static struct intake_answer *over_quota(int64_t wait_ms)
{
    struct intake_answer *answer = arena_alloc(mem, sizeof *answer);

    answer->outcome = INTAKE_OVER_QUOTA;
    answer->reason = reason;
    answer->hint = "An operator of berth can raise the quota.";
    answer->wait_ms = wait_ms;
    answer->bucket.burst = 10;
    answer->bucket.per_hour = 60;
    answer->bucket.tokens = 7;
    answer->quota.name = "cpu_units";
    answer->quota.used = 4096;
    answer->quota.needed = 4096;
    answer->quota.limit = 4096;
    return answer;
}

static const struct intake_answer accepted = { .outcome = INTAKE_ACCEPTED };

static bool refuses(const char *app, const char *branch, int id)
{
    struct github_event event = push_to(branch);
    struct delivery delivery = delivery_of(app, &event, id);
    struct intake_answer answer;

    return flood_refuses(flood, &delivery, mem, &answer);
}

static void note(const char *app, const char *branch, int id, const struct intake_answer *answer)
{
    struct github_event event = push_to(branch);
    struct delivery delivery = delivery_of(app, &event, id);

    flood_note(flood, &delivery, answer);
}

static void refuse_times(int times, int64_t wait_ms)
{
    for (int i = 0; i < times; i++)
        note("shop", "main", 1000 + i, limited(wait_ms));
}

static void a_few_refusals_are_no_flood(void **state)
{
    (void)state;
    refuse_times(FLOOD_REFUSALS - 1, 60000);
    assert_false(refuses("shop", "main", 1));

    now.now_ms += FLOOD_MS;
    refuse_times(FLOOD_REFUSALS - 1, 60000);

    assert_false(refuses("shop", "main", 1));
}

static void a_flood_is_refused_for_a_second_at_most(void **state)
{
    (void)state;
    refuse_times(FLOOD_REFUSALS, 60000);

    assert_true(refuses("shop", "main", 1));
    now.now_ms += FLOOD_MS - 1;
    assert_true(refuses("shop", "main", 2));
    now.now_ms += 1;
    assert_false(refuses("shop", "main", 3));
}

static void what_was_on_its_way_makes_it_no_longer(void **state)
{
    (void)state;
    refuse_times(FLOOD_REFUSALS, 60000);
    now.now_ms += FLOOD_MS - 10;
    refuse_times(10 * FLOOD_REFUSALS, 60000);

    now.now_ms += 10;

    assert_false(refuses("shop", "main", 1));
}

static void it_is_never_refused_beyond_the_moment_of_the_next_token(void **state)
{
    (void)state;
    refuse_times(FLOOD_REFUSALS, 300);

    now.now_ms += 299;
    assert_true(refuses("shop", "main", 1));
    now.now_ms += 1;
    assert_false(refuses("shop", "main", 1));
}

static void another_ref_and_another_app_are_not_caught(void **state)
{
    (void)state;
    refuse_times(FLOOD_REFUSALS, 60000);

    assert_true(refuses("shop", "main", 1));
    assert_false(refuses("shop", "next", 1));
    assert_false(refuses("cellar", "main", 1));
    assert_false(refuses("shopmain", "", 1));
}

static void a_body_that_was_accepted_is_not_caught(void **state)
{
    (void)state;
    note("shop", "main", 7, &accepted);
    refuse_times(FLOOD_REFUSALS, 60000);

    assert_false(refuses("shop", "main", 7));
    assert_true(refuses("shop", "main", 8));
}

static void a_push_that_is_accepted_ends_it(void **state)
{
    (void)state;
    refuse_times(FLOOD_REFUSALS, 60000);

    note("shop", "main", 7, &accepted);

    assert_false(refuses("shop", "main", 8));
}

static void what_makes_no_release_is_never_caught(void **state)
{
    struct github_event ping = { .name = "ping", .ignored = "event ping" };
    struct delivery delivery = delivery_of("shop", &ping, 1);
    struct intake_answer answer;
    (void)state;

    for (int i = 0; i < 2 * FLOOD_REFUSALS; i++)
        flood_note(flood, &delivery, limited(60000));

    assert_false(flood_refuses(flood, &delivery, mem, &answer));
}

static void its_answer_is_that_of_the_database_with_the_time_that_is_left(void **state)
{
    struct github_event event = push_to("main");
    struct delivery delivery = delivery_of("shop", &event, 1);
    struct intake_answer answer = { 0 };
    (void)state;
    refuse_times(FLOOD_REFUSALS, 60000);
    now.now_ms += 400;

    assert_true(flood_refuses(flood, &delivery, mem, &answer));

    assert_int_equal(answer.outcome, INTAKE_LIMITED);
    assert_int_equal(answer.wait_ms, 59600);
    assert_int_equal(answer.bucket.burst, 10);
    assert_int_equal(answer.bucket.tokens, 0);
    assert_string_equal(answer.reason, "pushes come faster than 60 an hour with 10 at once");
}

static void note_times(int times, const struct intake_answer *answer)
{
    for (int i = 0; i < times; i++)
        note("shop", "main", 1000 + i, answer);
}

static void a_flood_over_a_quota_is_refused_for_a_second_at_most_and_no_other_app_s(void **state)
{
    (void)state;
    note_times(FLOOD_REFUSALS - 1, over_quota(-1));
    assert_false(refuses("shop", "main", 1));
    note_times(1, over_quota(-1));

    assert_true(refuses("shop", "main", 1));
    assert_false(refuses("shop", "next", 1));
    assert_false(refuses("cellar", "main", 1));
    now.now_ms += FLOOD_MS - 1;
    assert_true(refuses("shop", "main", 2));
    now.now_ms += 1;
    assert_false(refuses("shop", "main", 3));
}

static void over_a_quota_the_answer_is_the_database_s(void **state)
{
    struct github_event event = push_to("main");
    struct delivery delivery = delivery_of("shop", &event, 1);
    struct intake_answer answer = { 0 }, *told = over_quota(-1);
    (void)state;
    told->reason = arena_copy(mem, reason);
    note_times(FLOOD_REFUSALS, told);
    ((char *)(uintptr_t)told->reason)[0] = '?'; /* it was the request's, which has ended */

    assert_true(flood_refuses(flood, &delivery, mem, &answer));

    assert_int_equal(answer.outcome, INTAKE_OVER_QUOTA);
    assert_string_equal(answer.reason, reason);
    assert_string_equal(answer.hint, told->hint);
    assert_int_equal(answer.release, 0);
    assert_int_equal(answer.wait_ms, -1);
    assert_memory_equal(&answer.bucket, &told->bucket, sizeof answer.bucket);
    assert_string_equal(answer.quota.name, "cpu_units");
    assert_int_equal(answer.quota.used, 4096);
    assert_int_equal(answer.quota.needed, 4096);
    assert_int_equal(answer.quota.limit, 4096);
}

static void over_a_quota_that_time_lifts_the_time_left_is_told_and_none_is_refused_beyond_it(void **state)
{
    struct github_event event = push_to("main");
    struct delivery delivery = delivery_of("shop", &event, 1);
    struct intake_answer answer = { 0 };
    (void)state;
    note_times(FLOOD_REFUSALS, over_quota(700));

    now.now_ms += 699;
    assert_true(flood_refuses(flood, &delivery, mem, &answer));
    assert_int_equal(answer.wait_ms, 1);
    now.now_ms += 1;
    assert_false(refuses("shop", "main", 2));
}

static void what_may_be_taken_at_once_or_was_not_judged_now_is_not_refused(void **state)
{
    struct intake_answer *stored_before = over_quota(-1);
    (void)state;
    stored_before->quota.name = NULL;

    note_times(2 * FLOOD_REFUSALS, over_quota(0));
    note_times(2 * FLOOD_REFUSALS, stored_before);

    assert_false(refuses("shop", "main", 1));
}

static void an_answer_too_long_to_be_kept_is_the_database_s_to_give(void **state)
{
    struct intake_answer *answer = over_quota(-1);
    char *longer = arena_alloc(mem, FLOOD_TEXT_MAX + 1);
    (void)state;

    for (int i = 0; i < FLOOD_TEXT_MAX; i++)
        longer[i] = 'x';
    answer->reason = longer;
    note_times(2 * FLOOD_REFUSALS, answer);
    assert_false(refuses("shop", "main", 1));

    answer->reason = longer + 1;
    note_times(FLOOD_REFUSALS, answer);
    assert_true(refuses("shop", "main", 1));
}

static void there_is_room_again_ends_it(void **state)
{
    (void)state;
    note_times(FLOOD_REFUSALS, over_quota(-1));

    note("shop", "main", 7, &accepted);

    assert_false(refuses("shop", "main", 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_few_refusals_are_no_flood, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flood_is_refused_for_a_second_at_most, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_on_its_way_makes_it_no_longer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_never_refused_beyond_the_moment_of_the_next_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_ref_and_another_app_are_not_caught, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_body_that_was_accepted_is_not_caught, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_push_that_is_accepted_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_makes_no_release_is_never_caught, set_up, tear_down),
        cmocka_unit_test_setup_teardown(its_answer_is_that_of_the_database_with_the_time_that_is_left, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_flood_over_a_quota_is_refused_for_a_second_at_most_and_no_other_app_s, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(over_a_quota_the_answer_is_the_database_s, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            over_a_quota_that_time_lifts_the_time_left_is_told_and_none_is_refused_beyond_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_may_be_taken_at_once_or_was_not_judged_now_is_not_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_answer_too_long_to_be_kept_is_the_database_s_to_give, set_up, tear_down),
        cmocka_unit_test_setup_teardown(there_is_room_again_ends_it, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("fcgi/flood", tests, NULL, NULL);
}
