/* What is live: the newest release stays, whoever writes when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/db/internal.h"
#include "tests/db/harness.h"

enum { WRITERS = 64, RELEASES_EACH = 4, RELEASES = WRITERS * RELEASES_EACH };

static struct harness_database *database;
static struct db_pool *superuser, *workers;
static pthread_barrier_t all_connected;

struct writer {
    pthread_t thread;
    int releases[RELEASES_EACH];
    int failed;
};

static int64_t upsert(struct db *db, int release, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, "shop", QUERY_DEPLOYMENT_UPSERT, &rows, e, db_text("shop"), db_int(release), db_text("c"),
                 db_text("sha256:x"), db_text("arn:task"), db_text("shop.example.org")))
        return -1;
    return db_affected(rows);
}

static void *write_all(void *context)
{
    struct writer *writer = context;
    AUTO_DB struct db *db = NULL;
    struct err e = { 0 };
    int taken = db_take(workers, &db, &e) == 0;

    pthread_barrier_wait(&all_connected);
    if (!taken) {
        writer->failed = RELEASES_EACH;
        return NULL;
    }
    for (int i = 0; i < RELEASES_EACH; i++)
        if (upsert(db, writer->releases[i], &e) < 0)
            writer->failed++;
    return NULL;
}

static void shuffle(int *numbers, int count)
{
    for (int i = count - 1; i > 0; i--) {
        int j = rand() % (i + 1); /* the same order each time; the threads' own differs */
        int kept = numbers[i];
        numbers[i] = numbers[j];
        numbers[j] = kept;
    }
}

static void of_64_concurrent_writers_the_newest_release_stays(void **state)
{
    static struct writer writers[WRITERS];
    int numbers[RELEASES];
    int failed = 0;
    (void)state;
    for (int i = 0; i < RELEASES; i++)
        numbers[i] = i + 1;
    shuffle(numbers, RELEASES);
    pthread_barrier_init(&all_connected, NULL, WRITERS);

    for (int i = 0; i < WRITERS; i++) {
        for (int j = 0; j < RELEASES_EACH; j++)
            writers[i].releases[j] = numbers[i * RELEASES_EACH + j];
        pthread_create(&writers[i].thread, NULL, write_all, &writers[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        failed += writers[i].failed;
    }

    assert_int_equal(failed, 0);
    assert_int_equal(harness_number(superuser, NULL, "SELECT release AS n FROM berth.deployments"), RELEASES);
    pthread_barrier_destroy(&all_connected);
}

static void an_older_release_and_a_repeat_change_nothing_and_are_a_success(void **state)
{
    AUTO_DB struct db *db = NULL;
    struct err e = { 0 };
    (void)state;
    harness_do(superuser, "DELETE FROM berth.deployments");
    assert_int_equal(db_take(workers, &db, &e), 0);

    assert_int_equal(upsert(db, 7, &e), 1);
    assert_int_equal(upsert(db, 7, &e), 0);
    assert_int_equal(upsert(db, 6, &e), 0);

    assert_int_equal(harness_number(superuser, NULL, "SELECT release AS n FROM berth.deployments"), 7);
    assert_int_equal(upsert(db, 8, &e), 1);
}

static int setup(void **state)
{
    (void)state;
    database = harness_database_new();
    superuser = harness_pool(database, HARNESS_SUPERUSER, 1);
    workers = harness_pool(database, HARNESS_WORKER, WRITERS);
    harness_do(superuser,
               "INSERT INTO berth.apps (app_name, repository, webhook_policy) VALUES ('shop', 'acme/shop', 'github');"
               "INSERT INTO berth.releases (app_name, number, kind, commit_sha)"
               " SELECT 'shop', n, 'push', repeat('a', 40) FROM generate_series(1, 256) AS n");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    db_pool_free(workers);
    db_pool_free(superuser);
    harness_database_free(database);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_64_concurrent_writers_the_newest_release_stays),
        cmocka_unit_test(an_older_release_and_a_repeat_change_nothing_and_are_a_success),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, setup, teardown);
}
