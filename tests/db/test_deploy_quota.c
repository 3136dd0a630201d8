/* Quotas and the bucket on a real Postgres: what counts, what is refused and how it is told, and that none gets past them at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "core/base/hash.h"
#include "core/deploy/intake.h"
#include "core/deploy/operation.h"
#include "tests/db/releases.h"

enum { PUSHERS = 64 };

static struct db_pool *hooks;
static struct intake *intake;

static int open_intake(void **state)
{
    struct err e = { 0 };

    open_all(state);
    hooks = harness_pool(database, HARNESS_HOOKS, 16);
    return intake_new(hooks, &intake, &e) ? -1 : 0;
}

static int close_intake(void **state)
{
    intake_free(intake);
    db_pool_free(hooks);
    return close_all(state);
}

/* Room for everything but what a test narrows. */
static int set_up_quota(void **state)
{
    set_up(state);
    sql("UPDATE berth.apps SET tasks = 2, cpu_units = 512, memory_mib = 1024;"
        "UPDATE berth.default_limits SET cpu_units = 16384, memory_mib = 32768, tasks = 20, concurrent_builds = 1,"
        " build_minutes = 1000, releases_per_hour = 240, image_mib = 20480, pushes_burst = 120, pushes_per_hour = 600");
    return 0;
}

static void quota(const char *assignments)
{
    sql("INSERT INTO berth.quotas (app_name) VALUES ('shop') ON CONFLICT DO NOTHING");
    sql(arena_printf(mem, "UPDATE berth.quotas SET %s WHERE app_name = 'shop'", assignments));
}

static int64_t used(const char *name)
{
    return number(arena_printf(mem, "SELECT used AS n FROM berth.quota_use('shop') WHERE quota = '%s'", name));
}

/* Any thread's: texts are gone when it returns, but for those in *told. */
static enum intake_outcome push_now(int id, struct arena *told, struct intake_answer *out)
{
    uint8_t digest[HASH_SIZE];
    char name[32], sha[41];
    struct err e = { 0 };

    snprintf(name, sizeof name, "p-%d", id);
    snprintf(sha, sizeof sha, "%040d", id);
    hash_sha256(name, strlen(name), digest);
    struct github_event event = { .name = "push",
                                  .repository = "acme/shop",
                                  .repository_id = 1,
                                  .branch = "main",
                                  .commit_sha = sha,
                                  .commit_title = "Title",
                                  .pushed_by = "mara" };
    struct delivery delivery = { "shop", name, "{}", 2, digest, &event };
    if (intake_take(intake, &delivery, told, out, &e)) {
        fprintf(stderr, "%s\n", e.message);
        return INTAKE_OUTCOME_COUNT;
    }
    return out->outcome;
}

static struct intake_answer answer;

#define PUSH(id) push_now(id, mem, &answer)

/* v1 is live with 2 tasks of 512 units and 1,024 MiB. */
static void make_live(void)
{
    assert_int_equal(PUSH(1), INTAKE_ACCEPTED);
    assert_int_equal(claim(), 1);
    go_live(1);
}

/* ---- What counts ---- */

static void a_first_release_counts_once_and_a_rollout_twice(void **state)
{
    (void)state;
    assert_int_equal(PUSH(1), INTAKE_ACCEPTED);
    assert_int_equal(claim(), 1);
    assert_int_equal(used("cpu_units"), 0);
    go_to(1, "rollout");
    assert_int_equal(used("cpu_units"), 1024);
    assert_int_equal(used("memory_mib"), 2048);
    assert_int_equal(used("tasks"), 2);
    go_live(1);
    assert_int_equal(used("cpu_units"), 1024);

    assert_int_equal(PUSH(2), INTAKE_ACCEPTED);
    assert_int_equal(claim(), 2);
    go_to(2, "build");
    assert_int_equal(used("cpu_units"), 1024);
    assert_int_equal(used("concurrent_builds"), 1);
    go_to(2, "rollout");

    assert_int_equal(used("cpu_units"), 2048);
    assert_int_equal(used("memory_mib"), 4096);
    assert_int_equal(used("tasks"), 4);
    assert_int_equal(used("concurrent_builds"), 0);
}

static void an_app_fits_exactly_when_its_rollout_does(void **state)
{
    (void)state;
    quota("cpu_units = 2048, memory_mib = 4096, tasks = 4");
    make_live();

    assert_int_equal(PUSH(2), INTAKE_ACCEPTED);
    quota("cpu_units = 2047");
    assert_int_equal(PUSH(3), INTAKE_OVER_QUOTA);
    assert_string_equal(answer.quota.name, "cpu_units");
    quota("cpu_units = 2048, memory_mib = 4095");
    assert_int_equal(PUSH(4), INTAKE_OVER_QUOTA);
    assert_string_equal(answer.quota.name, "memory_mib");
    quota("memory_mib = 4096, tasks = 3");

    assert_int_equal(PUSH(5), INTAKE_OVER_QUOTA);
    assert_string_equal(answer.quota.name, "tasks");
}

static void a_first_release_needs_room_for_itself_only(void **state)
{
    (void)state;
    quota("cpu_units = 1023");
    assert_int_equal(PUSH(1), INTAKE_OVER_QUOTA);
    quota("cpu_units = 1024");

    assert_int_equal(PUSH(2), INTAKE_ACCEPTED);
}

static void a_refusal_tells_the_limit_the_use_and_who_lifts_it(void **state)
{
    (void)state;
    quota("cpu_units = 1024");
    make_live();

    assert_int_equal(PUSH(2), INTAKE_OVER_QUOTA);

    assert_string_equal(answer.reason, "CPU units: 1,024 of 1,024 in use, a rollout needs 1,024 more");
    assert_string_equal(answer.hint, "An operator of berth can raise the quota: `berth quota set shop cpu_units=2048`, "
                                     "or on the page under Limits.");
    assert_int_equal(answer.quota.used, 1024);
    assert_int_equal(answer.quota.needed, 1024);
    assert_int_equal(answer.quota.limit, 1024);
    assert_int_equal(answer.wait_ms, -1);
    HOLDS("(SELECT reason FROM berth.looks WHERE app_name = 'shop') = 'over_quota'");
    HOLDS("(SELECT run_after FROM berth.looks WHERE app_name = 'shop') = 'infinity'");
    HOLDS("(SELECT outcome || reason FROM berth.deliveries WHERE delivery_id = 'p-2') LIKE 'over_quotaCPU units:%'");
}

static void from_four_fifths_on_a_push_is_accepted_with_a_warning_in_its_timeline(void **state)
{
    (void)state;
    quota("cpu_units = 2560");
    make_live();

    assert_int_equal(PUSH(2), INTAKE_ACCEPTED);

    assert_string_equal(answer.hint, "Near a quota: CPU units: 1,024 of 2,560 in use, a rollout takes it to 2,048.");
    assert_string_equal(answer.quota.name, "cpu_units");
    HOLDS("EXISTS (SELECT FROM berth.release_events WHERE release = 2 AND message LIKE 'Near a quota: CPU units:%')");
    quota("cpu_units = 2561");
    assert_int_equal(PUSH(3), INTAKE_ACCEPTED);
    assert_null(answer.hint);
}

static void a_release_keeps_the_size_it_was_queued_with(void **state)
{
    (void)state;
    assert_int_equal(PUSH(1), INTAKE_ACCEPTED);
    sql("UPDATE berth.apps SET tasks = 5, cpu_units = 1024");
    HOLDS("(SELECT (tasks, cpu_units, memory_mib) = (2, 512, 1024) FROM berth.releases WHERE number = 1)");
    assert_int_equal(claim(), 1);
    go_live(1);
    assert_int_equal(used("cpu_units"), 1024);

    assert_int_equal(PUSH(2), INTAKE_ACCEPTED);

    HOLDS("(SELECT (tasks, cpu_units) = (5, 1024) FROM berth.releases WHERE number = 2)");
}

/* ---- What goes before, and what makes room ---- */

static void a_push_counts_the_rollback_that_it_goes_after(void **state)
{
    struct err e = { 0 };
    int to = 1, made = 0;
    (void)state;
    sql("UPDATE berth.apps SET tasks = 6");
    make_live();
    sql("UPDATE berth.apps SET tasks = 1");
    push_live(SHA_B, 2);
    assert_int_equal(operation_rollback(admin, "shop", "ann", &to, &made, &e), 0);
    quota("cpu_units = 3583");

    /* By the time of its rollout the rollback's 6 tasks are what is live, not the one task of today. */
    assert_int_equal(PUSH(5), INTAKE_OVER_QUOTA);
    assert_string_equal(answer.reason, "CPU units: 3,072 of 3,583 in use, a rollout needs 512 more");
    quota("cpu_units = NULL, tasks = 6");
    assert_int_equal(PUSH(6), INTAKE_OVER_QUOTA);
    assert_string_equal(answer.quota.name, "tasks");
    quota("tasks = NULL, memory_mib = 7167");
    assert_int_equal(PUSH(7), INTAKE_OVER_QUOTA);
    assert_string_equal(answer.quota.name, "memory_mib");
    quota("cpu_units = 3584, memory_mib = 7168, tasks = 7");

    assert_int_equal(PUSH(8), INTAKE_ACCEPTED);
}

static void a_second_rollback_takes_the_place_of_the_queued_one_and_does_not_count_it(void **state)
{
    struct err e = { 0 };
    int to = 1, made = 0;
    (void)state;
    sql("UPDATE berth.apps SET tasks = 6");
    make_live();
    sql("UPDATE berth.apps SET tasks = 1");
    push_live(SHA_B, 2);
    push_live(SHA_C, 3);
    assert_int_equal(operation_rollback(admin, "shop", "ann", &to, &made, &e), 0);
    quota("cpu_units = 1024");

    to = 2;
    assert_int_equal(operation_rollback(admin, "shop", "ann", &to, &made, &e), 0);

    assert_int_equal(made, 5);
}

/* Without an operator: what is on its way may fail, and its tasks never be there. */
static void what_does_not_fit_beside_a_release_on_its_way_is_looked_at_again_in_a_minute(void **state)
{
    (void)state;
    quota("cpu_units = 1536");
    assert_int_equal(PUSH(1), INTAKE_ACCEPTED);
    assert_int_equal(claim(), 1);
    go_to(1, "build");

    assert_int_equal(PUSH(2), INTAKE_OVER_QUOTA);

    assert_in_range(answer.wait_ms, 55000, 60000);
    assert_non_null(strstr(answer.hint, "looked at again in a minute, as a release is on its way. An operator"));
    HOLDS("(SELECT run_after BETWEEN now() + interval '50 s' AND now() + interval '60 s' FROM berth.looks)");
    end(1, "failed");
    assert_int_equal(PUSH(3), INTAKE_ACCEPTED);
    assert_int_equal(claim(), 2);
    go_live(2);

    assert_int_equal(PUSH(4), INTAKE_OVER_QUOTA);
    HOLDS("(SELECT run_after FROM berth.looks) = 'infinity'");
}

/* Nothing of it is tried again by itself. */
static void a_refused_deploy_promises_no_look(void **state)
{
    const struct github_commit commit = { .sha = SHA_B, .title = "Again" };
    struct err e = { 0 };
    int made = 0;
    (void)state;
    quota("cpu_units = 1536");
    assert_int_equal(PUSH(1), INTAKE_ACCEPTED);
    assert_int_equal(claim(), 1);
    go_to(1, "build");

    assert_int_equal(operation_deploy(admin, "shop", "ann", &commit, &made, &e), ERR_QUOTA);

    assert_null(strstr(e.hint, "looked at again"));
    assert_non_null(strstr(e.hint, "A release is on its way: when it has ended there may be room."));
    HOLDS("NOT EXISTS (SELECT 1 FROM berth.looks)");
    e = (struct err){ 0 };
    quota("cpu_units = 8192, releases_per_hour = 1");
    assert_int_equal(operation_deploy(admin, "shop", "ann", &commit, &made, &e), ERR_QUOTA);
    assert_non_null(strstr(e.hint, "There is room again when the hour has passed."));
}

static void of_a_flood_over_a_quota_only_the_first_body_is_kept(void **state)
{
    (void)state;
    quota("releases_per_hour = 1");
    assert_int_equal(PUSH(1), INTAKE_ACCEPTED);

    assert_int_equal(PUSH(2), INTAKE_OVER_QUOTA);
    assert_int_equal(PUSH(3), INTAKE_OVER_QUOTA);
    assert_int_equal(PUSH(4), INTAKE_OVER_QUOTA);

    HOLDS("(SELECT count(*) = 3 AND count(body) = 1 FROM berth.deliveries WHERE outcome = 'over_quota')");
}

static void full_image_storage_is_looked_at_again_while_a_release_may_prune_it(void **state)
{
    (void)state;
    make_live();
    sql("UPDATE berth.releases SET image_bytes = 1048577");
    assert_int_equal(PUSH(2), INTAKE_ACCEPTED);
    quota("image_mib = 2");

    assert_int_equal(PUSH(3), INTAKE_OVER_QUOTA);
    assert_in_range(answer.wait_ms, 55000, 60000);
    end(2, "cancelled");

    assert_int_equal(PUSH(4), INTAKE_OVER_QUOTA);
    assert_int_equal(answer.wait_ms, -1);
}

static void a_refusal_is_told_once_in_the_timeline_of_the_newest_release(void **state)
{
    (void)state;
    quota("cpu_units = 1024");
    make_live();

    for (int i = 2; i < 12; i++)
        assert_int_equal(PUSH(i), INTAKE_OVER_QUOTA);

    HOLDS("(SELECT count(*) FROM berth.release_events WHERE message LIKE '%refused%') = 1");
    HOLDS("(SELECT message FROM berth.release_events WHERE release = 1 AND message LIKE '%refused%') ="
          " 'A further release, at 0000000, was refused. CPU units: 1,024 of 1,024 in use, a rollout needs 1,024 more."
          " An operator of berth can raise the quota: `berth quota set shop cpu_units=2048`, or on the page under "
          "Limits.'");
    quota("cpu_units = 2048");
    assert_int_equal(PUSH(13), INTAKE_ACCEPTED);
    sql("DELETE FROM berth.looks");
    quota("cpu_units = 1024");
    assert_int_equal(PUSH(14), INTAKE_OVER_QUOTA);
    HOLDS("(SELECT count(*) FROM berth.release_events WHERE release = 2 AND message LIKE '%refused%') = 1");
}

/* ---- Time and storage ---- */

static void releases_of_the_last_hour_count_and_the_oldest_tells_when_there_is_room(void **state)
{
    (void)state;
    quota("releases_per_hour = 3");
    for (int i = 1; i <= 3; i++)
        assert_int_equal(PUSH(i), INTAKE_ACCEPTED);
    sql("UPDATE berth.releases SET created_at = now() - interval '59 minutes' WHERE number = 1");

    assert_int_equal(PUSH(4), INTAKE_OVER_QUOTA);

    assert_string_equal(answer.reason, "Releases an hour: 3 of 3 in use");
    assert_in_range(answer.wait_ms, 55000, 60000);
    HOLDS("(SELECT run_after BETWEEN now() + interval '55 s' AND now() + interval '60 s' FROM berth.looks)");
    assert_int_equal(used("releases_per_hour"), 3);
    sql("UPDATE berth.releases SET created_at = now() - interval '61 minutes' WHERE number = 1");
    assert_int_equal(used("releases_per_hour"), 2);
    assert_int_equal(PUSH(5), INTAKE_ACCEPTED);
}

static void build_minutes_are_of_this_month_and_begun_ones_count_whole(void **state)
{
    (void)state;
    make_live();
    sql("INSERT INTO berth.builds (app_name, build_id, release, started_at, ended_at) SELECT 'shop', 'b-1', 1, m, m + "
        "interval '61 s'"
        " FROM (SELECT date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS m) t");
    assert_int_equal(used("build_minutes"), 2);
    quota("build_minutes = 2");

    assert_int_equal(PUSH(2), INTAKE_OVER_QUOTA);
    assert_string_equal(answer.quota.name, "build_minutes");
    assert_true(answer.wait_ms > 0);
    sql("UPDATE berth.builds SET started_at = started_at - interval '1 ms'");

    assert_int_equal(used("build_minutes"), 0);
    assert_int_equal(PUSH(3), INTAKE_ACCEPTED);
}

static void an_image_counts_once_however_many_releases_have_it_and_not_when_it_is_pruned(void **state)
{
    (void)state;
    make_live();
    push_live(SHA_B, 2);
    sql("UPDATE berth.releases SET image_bytes = 1048577, image_digest = 'sha256:' || repeat('a', 64)");
    assert_int_equal(used("image_mib"), 2);
    quota("image_mib = 2");
    assert_int_equal(PUSH(9), INTAKE_OVER_QUOTA);
    assert_string_equal(answer.reason, "Image storage, MiB: 2 of 2 in use");

    sql("UPDATE berth.releases SET pruned_at = now() WHERE number = 1");
    assert_int_equal(used("image_mib"), 2);
    sql("UPDATE berth.releases SET pruned_at = now()");

    assert_int_equal(used("image_mib"), 0);
    assert_int_equal(PUSH(10), INTAKE_ACCEPTED);
}

static void no_build_at_all_may_be_allowed(void **state)
{
    (void)state;
    quota("concurrent_builds = 0");

    assert_int_equal(PUSH(1), INTAKE_OVER_QUOTA);

    assert_string_equal(answer.reason, "Builds at once: 0 of 0 in use");
}

/* ---- Operations ---- */

static void a_rollback_is_not_refused_by_what_only_builds_use(void **state)
{
    struct err e = { 0 };
    int to = 1, made = 0;
    (void)state;
    make_live();
    push_live(SHA_B, 2);
    sql("UPDATE berth.releases SET image_bytes = 1048577");
    quota("concurrent_builds = 0, build_minutes = 0, releases_per_hour = 1, image_mib = 1");

    assert_int_equal(operation_rollback(admin, "shop", "ann", &to, &made, &e), 0);

    assert_int_equal(made, 3);
}

static void a_rollback_needs_room_for_its_own_size(void **state)
{
    struct err e = { 0 };
    int to = 1, made = 0;
    (void)state;
    sql("UPDATE berth.apps SET tasks = 8");
    make_live();
    sql("UPDATE berth.apps SET tasks = 1");
    push_live(SHA_B, 2);
    quota("cpu_units = 4607");

    assert_int_equal(operation_rollback(admin, "shop", "ann", &to, &made, &e), ERR_QUOTA);
    assert_string_equal(
        e.message, "shop can't have a further release now. CPU units: 512 of 4,607 in use, a rollout needs 4,096 more");
    assert_non_null(strstr(e.hint, "berth quota set shop cpu_units=4608"));
    assert_string_equal(e.detail, "cpu_units");
    HOLDS("(SELECT count(*) FROM berth.audit_log WHERE action = 'app.rollback') = 0");
    quota("cpu_units = 4608");

    e = (struct err){ 0 };
    assert_int_equal(operation_rollback(admin, "shop", "ann", &to, &made, &e), 0);
    HOLDS("(SELECT tasks FROM berth.releases WHERE number = 3) = 8");
}

static void a_deploy_is_refused_by_a_quota_and_changes_nothing(void **state)
{
    const struct github_commit commit = { .sha = SHA_C, .title = "Title" };
    struct err e = { 0 };
    int made = 0;
    (void)state;
    make_live();
    quota("build_minutes = 0");

    assert_int_equal(operation_deploy(admin, "shop", "ann", &commit, &made, &e), ERR_QUOTA);

    assert_string_equal(e.message, "shop can't have a further release now. Build minutes a month: 0 of 0 in use");
    HOLDS("(SELECT last_release FROM berth.apps WHERE app_name = 'shop') = 1");
}

/* ---- At once ---- */

struct pusher {
    pthread_t thread;
    int id;
    enum intake_outcome outcome;
};

static void *push_once(void *context)
{
    AUTO_ARENA struct arena *own = arena_new();
    struct pusher *pusher = context;
    struct intake_answer told;

    pusher->outcome = push_now(pusher->id, own, &told);
    return NULL;
}

static int accepted_of(int count)
{
    static struct pusher pushers[PUSHERS];
    int accepted = 0;

    for (int i = 0; i < count; i++) {
        pushers[i] = (struct pusher){ .id = 1000 + i };
        assert_int_equal(pthread_create(&pushers[i].thread, NULL, push_once, &pushers[i]), 0);
    }
    for (int i = 0; i < count; i++) {
        pthread_join(pushers[i].thread, NULL);
        accepted += pushers[i].outcome == INTAKE_ACCEPTED;
        assert_true(pushers[i].outcome == INTAKE_ACCEPTED || pushers[i].outcome == INTAKE_OVER_QUOTA ||
                    pushers[i].outcome == INTAKE_LIMITED);
    }
    return accepted;
}

static void of_64_pushes_at_once_one_gets_the_last_place_of_the_hour(void **state)
{
    (void)state;
    quota("releases_per_hour = 1");

    assert_int_equal(accepted_of(PUSHERS), 1);

    HOLDS("(SELECT count(*) FROM berth.releases) = 1");
    HOLDS("(SELECT count(*) FROM berth.deliveries WHERE outcome = 'over_quota') = 63");
}

/* The size of what is queued is not added up: each push takes the place of the one before it. */
static void of_64_pushes_beside_a_rollout_none_is_taken_without_room_and_one_stays_with_room(void **state)
{
    (void)state;
    make_live();
    assert_int_equal(PUSH(2), INTAKE_ACCEPTED);
    assert_int_equal(claim(), 2);
    go_to(2, "rollout");
    sql("UPDATE berth.apps SET tasks = 1");
    quota("cpu_units = 1535");

    assert_int_equal(accepted_of(PUSHERS), 0);
    HOLDS("(SELECT count(*) FROM berth.releases) = 2");
    quota("cpu_units = 1536");

    assert_int_equal(accepted_of(PUSHERS), PUSHERS);
    HOLDS("(SELECT count(*) FROM berth.releases WHERE state = 'queued') = 1");
    HOLDS("(SELECT count(*) FROM berth.releases WHERE state = 'superseded') = 63");
}

static void of_64_pushes_at_once_as_many_are_taken_as_there_are_tokens(void **state)
{
    (void)state;
    sql("INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour) VALUES ('shop', 5, 1)");

    assert_int_equal(accepted_of(PUSHERS), 5);

    HOLDS("(SELECT count(*) FROM berth.deliveries WHERE outcome = 'limited') = 59");
    /* Of a flood no bodies are kept but the first one's. */
    HOLDS("(SELECT count(*) FROM berth.deliveries WHERE outcome = 'limited' AND body IS NOT NULL) = 1");
}

/* ---- The bucket ---- */

static void an_empty_bucket_tells_when_there_is_a_token_and_owes_a_look(void **state)
{
    (void)state;
    sql("INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour) VALUES ('shop', 1, 60)");
    assert_int_equal(PUSH(1), INTAKE_ACCEPTED);
    assert_int_equal(answer.bucket.tokens, 0);

    assert_int_equal(PUSH(2), INTAKE_LIMITED);

    assert_in_range(answer.wait_ms, 55000, 60000);
    assert_int_equal(answer.bucket.burst, 1);
    assert_int_equal(answer.bucket.per_hour, 60);
    assert_string_equal(answer.reason, "pushes come faster than 60 an hour with 1 at once");
    HOLDS("(SELECT reason = 'limited' AND run_after BETWEEN now() + interval '50 s' AND now() + interval '61 s' FROM "
          "berth.looks)");
}

static void a_bucket_refills_with_time_and_never_beyond_its_burst(void **state)
{
    (void)state;
    sql("INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour, spent, spent_at)"
        " VALUES ('shop', 3, 60, 3, now() - interval '61 s')");
    assert_int_equal(PUSH(1), INTAKE_ACCEPTED);
    assert_int_equal(PUSH(2), INTAKE_LIMITED);
    sql("UPDATE berth.rate_limits SET spent_at = now() - interval '30 days'");

    for (int i = 3; i <= 5; i++)
        assert_int_equal(PUSH(i), INTAKE_ACCEPTED);

    assert_int_equal(PUSH(6), INTAKE_LIMITED);
}

static void what_makes_no_release_spends_no_token(void **state)
{
    (void)state;
    sql("INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour) VALUES ('shop', 2, 1)");
    assert_int_equal(PUSH(1), INTAKE_ACCEPTED);

    assert_int_equal(PUSH(1), INTAKE_DUPLICATE);
    quota("cpu_units = 0");
    assert_int_equal(PUSH(2), INTAKE_OVER_QUOTA);
    sql("UPDATE berth.apps SET state = 'paused' WHERE app_name = 'shop'");
    assert_int_equal(PUSH(3), INTAKE_PAUSED);
    sql("UPDATE berth.apps SET state = 'active' WHERE app_name = 'shop'");
    quota("cpu_units = NULL");

    assert_int_equal(PUSH(4), INTAKE_ACCEPTED);
    assert_int_equal(PUSH(5), INTAKE_LIMITED);
}

static void a_limited_delivery_that_is_sent_again_is_judged_anew(void **state)
{
    (void)state;
    sql("INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour) VALUES ('shop', 1, 1)");
    assert_int_equal(PUSH(1), INTAKE_ACCEPTED);
    assert_int_equal(PUSH(2), INTAKE_LIMITED);
    sql("UPDATE berth.rate_limits SET spent = 0");

    assert_int_equal(PUSH(2), INTAKE_ACCEPTED);

    HOLDS("(SELECT count(*) FROM berth.deliveries) = 2");
}

static void the_function_of_the_version_before_still_answers(void **state)
{
    (void)state;
    push(SHA_A);
    HOLDS("(SELECT count(*) FROM berth.releases) = 1");

    sql("INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour) VALUES ('shop', 1, 1) ON CONFLICT "
        "(app_name) DO UPDATE"
        " SET pushes_burst = 1, pushes_per_hour = 1, spent = 1, spent_at = now()");

    HOLDS("(SELECT outcome FROM berth.intake('shop', 'old-1', 'push', NULL, sha256('old'), '{}', 'acme/shop', 1, "
          "'main', repeat('d', 40), 't', 'm'))"
          " = 'limited'");
}

#define QUOTA_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_quota, tear_down)

int main(int argc, char **argv)
{
    (void)argc;
    harness_server(argv);

    const struct CMUnitTest tests[] = {
        QUOTA_TEST(a_first_release_counts_once_and_a_rollout_twice),
        QUOTA_TEST(an_app_fits_exactly_when_its_rollout_does),
        QUOTA_TEST(a_first_release_needs_room_for_itself_only),
        QUOTA_TEST(a_refusal_tells_the_limit_the_use_and_who_lifts_it),
        QUOTA_TEST(from_four_fifths_on_a_push_is_accepted_with_a_warning_in_its_timeline),
        QUOTA_TEST(a_release_keeps_the_size_it_was_queued_with),
        QUOTA_TEST(a_push_counts_the_rollback_that_it_goes_after),
        QUOTA_TEST(a_second_rollback_takes_the_place_of_the_queued_one_and_does_not_count_it),
        QUOTA_TEST(what_does_not_fit_beside_a_release_on_its_way_is_looked_at_again_in_a_minute),
        QUOTA_TEST(a_refused_deploy_promises_no_look),
        QUOTA_TEST(of_a_flood_over_a_quota_only_the_first_body_is_kept),
        QUOTA_TEST(full_image_storage_is_looked_at_again_while_a_release_may_prune_it),
        QUOTA_TEST(a_refusal_is_told_once_in_the_timeline_of_the_newest_release),
        QUOTA_TEST(releases_of_the_last_hour_count_and_the_oldest_tells_when_there_is_room),
        QUOTA_TEST(build_minutes_are_of_this_month_and_begun_ones_count_whole),
        QUOTA_TEST(an_image_counts_once_however_many_releases_have_it_and_not_when_it_is_pruned),
        QUOTA_TEST(no_build_at_all_may_be_allowed),
        QUOTA_TEST(a_rollback_is_not_refused_by_what_only_builds_use),
        QUOTA_TEST(a_rollback_needs_room_for_its_own_size),
        QUOTA_TEST(a_deploy_is_refused_by_a_quota_and_changes_nothing),
        QUOTA_TEST(of_64_pushes_at_once_one_gets_the_last_place_of_the_hour),
        QUOTA_TEST(of_64_pushes_beside_a_rollout_none_is_taken_without_room_and_one_stays_with_room),
        QUOTA_TEST(of_64_pushes_at_once_as_many_are_taken_as_there_are_tokens),
        QUOTA_TEST(an_empty_bucket_tells_when_there_is_a_token_and_owes_a_look),
        QUOTA_TEST(a_bucket_refills_with_time_and_never_beyond_its_burst),
        QUOTA_TEST(what_makes_no_release_spends_no_token),
        QUOTA_TEST(a_limited_delivery_that_is_sent_again_is_judged_anew),
        QUOTA_TEST(the_function_of_the_version_before_still_answers),
    };
    return cmocka_run_group_tests_name("deploy/quota", tests, open_intake, close_intake);
}
