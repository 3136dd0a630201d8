/*
 * What is asked on an app's ordinary paths reads a bounded number of Postgres' blocks, however long the app's history is.
 *
 * Blocks and not time: 40,000 releases and 20,000 deliveries lie in thousands of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/db/internal.h"
#include "tests/db/harness.h"

static struct harness_database *database;
static struct db_pool *superuser, *admin, *worker;

/* Of one statement with all that it calls; the planner's own are left out. */
static const char blocks_of[] =
    "CREATE FUNCTION public.blocks_of(asked text) RETURNS bigint LANGUAGE plpgsql AS $$"
    " DECLARE plan json; BEGIN"
    " EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ' || asked INTO plan;"
    " RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::bigint + (plan->0->'Plan'->>'Shared Read Blocks')::bigint;"
    " END $$";

/* One in ten went live, the others were superseded while they were queued or in their build, or failed; v40000 is about to go live. */
static const char history[] =
    "SET session_replication_role = replica;"
    "UPDATE berth.apps SET last_release = 40000, created_at = now() - interval '400 days';"
    "INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, created_at, finished_at, "
    "build_attempt,"
    " image_digest, image_bytes, task_definition_arn, pruned_at, lease_token)"
    " SELECT 'shop', n, 'push', CASE WHEN n = 40000 THEN 'running' WHEN n % 10 = 0 THEN 'live' WHEN n % 10 < 4 THEN"
    " 'failed' ELSE 'superseded' END, CASE WHEN n % 10 = 0 THEN 'live' WHEN n % 10 < 7 THEN 'build' ELSE 'source' END,"
    " md5(n::text) || left(md5(n::text), 8), now() - (40001 - n) * interval '5 minutes',"
    " CASE WHEN n < 40000 THEN now() - (40000 - n) * interval '5 minutes' END, CASE WHEN n % 10 < 7 THEN 1 ELSE 0 END,"
    " CASE WHEN n % 10 = 0 THEN 'sha256:' || md5(n::text) || md5('x' || n) END, CASE WHEN n % 10 = 0 THEN 1 END,"
    " CASE WHEN n % 10 = 0 THEN 'arn:task-' || n END, CASE WHEN n < 39880 THEN now() END,"
    " CASE WHEN n = 40000 THEN 1 END FROM generate_series(1, 40000) n;"
    "INSERT INTO berth.deliveries (app_name, delivery_id, event, outcome, reason, body_sha256, received_at)"
    " SELECT 'shop', md5(n::text), 'push', 'ignored', 'x', sha256(n::text::bytea), now() - (20001 - n) * interval '5 "
    "minutes'"
    " FROM generate_series(1, 20000) n;"
    "SET session_replication_role = DEFAULT";

static int64_t blocks(struct db_pool *pool, const char *asked)
{
    AUTO_BUF struct buf sql = { 0 };

    buf_printf(&sql, "SELECT public.blocks_of($q$%s$q$) AS n", asked);
    return harness_number(pool, "shop", buf_text(&sql));
}

static const struct {
    const char *name;
    int login; /* 0: admin, 1: worker, 2: superuser */
    int query; /* QUERY_COUNT: a function's call */
    const char *asked;
    int64_t most;
} paths[] = {
    { "an operation's lock", 0, QUERY_APP_LOCK, "EXECUTE app_lock('shop')", 150 },
    { "an image's size", 1, QUERY_IMAGE_SIZE, "EXECUTE image_size('shop', 'sha256:x', 5)", 20 },
    { "what a release that goes live retires", 1, QUERY_COUNT,
      "SELECT * FROM berth.retire_releases('shop', 40000, 1, 10, 55, 20)", 500 },
    { "a release of the branch's head", 1, QUERY_COUNT,
      "SELECT * FROM berth.follow_head('shop', 40000, 1, md5('40000') || left(md5('40000'), 8), false)", 60 },
    { "a release of another commit", 1, QUERY_COUNT,
      "SELECT * FROM berth.follow_head('shop', 40000, 1, repeat('f', 40), false)", 500 },
    { "a delivery by its id", 2, QUERY_DELIVERY_FIND, "EXECUTE delivery_find('shop', md5('5'))", 10 },
    { "a delivery that came before", 2, QUERY_COUNT,
      "SELECT * FROM berth.take_delivery('shop', md5('5'), 'push', NULL, sha256('5'), NULL, 'acme/shop', 1, 'main',"
      " repeat('a', 40), 'Title', 'mara', 'new', NULL)",
      40 },
    { "the page of an app's deliveries", 0, QUERY_DELIVERY_LIST,
      "EXECUTE delivery_list('shop', NULL, NULL, NULL, NULL, NULL, 50, 50)", 60 },
    { "the page after it", 0, QUERY_DELIVERY_LIST,
      "EXECUTE delivery_list('shop', NULL, NULL, (extract(epoch FROM now() - interval '30 days') * 1000000)::bigint, "
      "'shop', 'x', 50, 50)",
      60 },
};

static struct db_pool *pool_of(size_t path)
{
    struct db_pool *const pools[] = { admin, worker, superuser };

    return pools[paths[path].login];
}

static void prepare(size_t path)
{
    AUTO_BUF struct buf sql = { 0 };
    const struct query_text *text = &query_texts[paths[path].query];

    buf_printf(&sql, "DEALLOCATE ALL; SET plan_cache_mode = force_generic_plan; PREPARE %s AS\n%s", text->name,
               text->sql);
    harness_do(pool_of(path), buf_text(&sql));
}

static void a_long_history_costs_no_ordinary_path_more_than_a_short_one(void **state)
{
    int64_t read[sizeof paths / sizeof *paths];
    int above = 0;
    (void)state;

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (paths[i].query != QUERY_COUNT)
            prepare(i);
        blocks(pool_of(i), paths[i].asked); /* what a session looks up in the catalogue is read once */
        read[i] = blocks(pool_of(i), paths[i].asked);
        if (read[i] > paths[i].most)
            print_error("%s: %lld blocks, at most %lld\n", paths[i].name, (long long)read[i], (long long)paths[i].most);
        above += read[i] > paths[i].most;
    }

    assert_int_equal(above, 0);
}

/* Which plan is kept of the time when there were none is up to the planner, unless one index alone fits. */
static void a_delivery_is_found_by_its_key_by_a_plan_that_was_made_when_there_were_none(void **state)
{
    struct harness_database *fresh = harness_database_new();
    struct db_pool *pool = harness_pool(fresh, HARNESS_SUPERUSER, 1);
    (void)state;
    harness_do(pool, blocks_of);
    harness_do(pool,
               "INSERT INTO berth.apps (app_name, repository, webhook_policy) VALUES ('shop', 'acme/shop', 'github')");
    harness_do(pool, "SET plan_cache_mode = force_generic_plan; PREPARE early AS SELECT * FROM berth.deliveries"
                     " WHERE app_name = $1 AND delivery_id = $2; EXECUTE early('shop', 'd-1')");
    harness_do(pool, "INSERT INTO berth.deliveries (app_name, delivery_id, event, outcome, reason, body_sha256)"
                     " SELECT 'shop', md5(n::text), 'push', 'ignored', 'x', sha256(n::text::bytea)"
                     " FROM generate_series(1, 2700) n");

    assert_in_range(blocks(pool, "EXECUTE early('shop', md5('5'))"), 1, 8);

    db_pool_free(pool);
    harness_database_free(fresh);
}

static int open_all(void **state)
{
    (void)state;
    database = harness_database_new();
    superuser = harness_pool(database, HARNESS_SUPERUSER, 1);
    admin = harness_pool(database, HARNESS_ADMIN, 1);
    worker = harness_pool(database, HARNESS_WORKER, 1);
    harness_do(superuser, blocks_of);
    harness_do(superuser, "INSERT INTO berth.apps (app_name, repository, repository_id, webhook_policy)"
                          " VALUES ('shop', 'acme/shop', 1, 'github')");
    harness_do(superuser, history);
    harness_do(superuser, "VACUUM ANALYZE berth.releases");
    harness_do(superuser, "VACUUM ANALYZE berth.deliveries");
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    db_pool_free(worker);
    db_pool_free(admin);
    db_pool_free(superuser);
    harness_database_free(database);
    return 0;
}

int main(int argc, char **argv)
{
    (void)argc;
    harness_server(argv);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_history_costs_no_ordinary_path_more_than_a_short_one),
        cmocka_unit_test(a_delivery_is_found_by_its_key_by_a_plan_that_was_made_when_there_were_none),
    };
    return cmocka_run_group_tests_name("deploy/history", tests, open_all, close_all);
}
