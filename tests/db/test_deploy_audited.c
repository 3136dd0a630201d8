/* No change without its row of the audit log: each is tried while that row can't be written, and has to leave every table as it was; then it is made, with one row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/deploy/delivery.h"
#include "core/deploy/estate/teardown.h"
#include "core/deploy/operation.h"
#include "core/tenant/app.h"
#include "core/tenant/limit.h"
#include "tests/db/releases.h"

#define ACTOR "ines"

/* ---- The changes ---- */

static int create(struct err *e)
{
    const struct app app = { .name = "cellar",
                             .repository = "acme/cellar",
                             .branch = "main",
                             .health_check_path = "/",
                             .port = 8080,
                             .cpu_units = 256,
                             .memory_mib = 512,
                             .tasks = 1 };

    return app_create(admin, &app, ACTOR, e);
}

static int update(struct err *e)
{
    const struct app_edit edits[] = { { APP_TASKS, "2", NULL }, { APP_BRANCH, "next", NULL } };
    struct app_update done;

    return app_update(admin, "shop", ACTOR, edits, 2, mem, &done, e);
}

static int pause_app(struct err *e)
{
    bool changed = false;

    return app_pause(admin, "shop", ACTOR, &changed, e);
}

static int resume(struct err *e)
{
    bool changed = false, look = false;

    return app_resume(admin, "shop", ACTOR, &changed, &look, e);
}

/* A quota and the bucket, raised: what waits is looked at too. */
static int set_limits(const char *app, struct err *e)
{
    const struct limit_edit edits[] = { { LIMIT_CPU_UNITS, 65536, LIMIT_UNSEEN },
                                        { LIMIT_PUSHES_BURST, 200, LIMIT_UNSEEN } };
    struct limit_conflict conflicts[LIMIT_COUNT];
    size_t count;

    return limits_set(admin, app, ACTOR, edits, 2, mem, conflicts, &count, e);
}

static int limits_of_app(struct err *e)
{
    return set_limits("shop", e);
}

static int limits_of_all(struct err *e)
{
    return set_limits(NULL, e);
}

static int rollback(struct err *e)
{
    int to = 1, made = 0;

    return operation_rollback(admin, "shop", ACTOR, &to, &made, e);
}

static int deploy(struct err *e)
{
    const struct github_commit commit = { .sha = SHA_C, .title = "Title" };
    int made = 0;

    return operation_deploy(admin, "shop", ACTOR, &commit, &made, e);
}

static int cancel(struct err *e)
{
    struct cancelled cancelled = { 0 };

    return operation_cancel(admin, "shop", ACTOR, NULL, mem, &cancelled, e);
}

static int destroy(struct err *e)
{
    AUTO_DB struct db *db = harness_take(admin);
    bool begun = false;

    return teardown_start(db, "shop", ACTOR, &begun, e);
}

static int destroy_what_is_left(struct err *e)
{
    AUTO_DB struct db *db = harness_take(admin);
    bool begun = false;

    return teardown_start_unknown(db, "gone", ACTOR, &begun, e);
}

static int run_again(struct err *e)
{
    struct delivery_rerun rerun = { 0 };

    return delivery_run_again(admin, "shop", "d-kept", ACTOR, mem, &rerun, e);
}

static int look_again(struct err *e)
{
    struct delivery_rerun rerun = { 0 };

    return delivery_run_again(admin, "shop", "d-bare", ACTOR, mem, &rerun, e);
}

static const struct change {
    const char *action;   /* as the audit log has it */
    const char *prepared; /* SQL before; NULL: none */
    int (*make)(struct err *e);
} changes[] = {
    { "app.create", NULL, create },
    { "app.update", NULL, update },
    { "app.pause", NULL, pause_app },
    { "app.resume", "UPDATE berth.apps SET state = 'paused'", resume },
    { "limits.set", NULL, limits_of_app },
    { "limits.set", NULL, limits_of_all },
    { "app.rollback", NULL, rollback },
    { "app.deploy", NULL, deploy },
    { "app.cancel", NULL, cancel },
    { "app.destroy", NULL, destroy },
    { "app.destroy", NULL, destroy_what_is_left },
    { "delivery.run_again", NULL, run_again },
    { "delivery.run_again", NULL, look_again },
};
enum { CHANGES = sizeof changes / sizeof *changes };

/* ---- */

/* v1 and v2 were live, v3 is being built, v4 waits; a look is owed; one delivery with what GitHub sent, one without. */
static void seed(void)
{
    sql("DELETE FROM berth.default_limits; INSERT INTO berth.default_limits DEFAULT VALUES;"
        "TRUNCATE berth.teardowns");
    push_live(SHA_A, 1);
    push_live(SHA_B, 2);
    push(SHA_C);
    assert_int_equal(claim(), 3);
    go_to(3, "build");
    sql("INSERT INTO berth.looks (app_name, reason, owed_at, run_after) VALUES ('shop', 'over_quota', now(), "
        "'infinity');"
        "INSERT INTO berth.deliveries (app_name, delivery_id, event, outcome, reason, body_sha256, body, branch)"
        " SELECT 'shop', id, 'push', 'limited', 'as it was', sha256(convert_to(id, 'UTF8')),"
        "        CASE WHEN id = 'd-kept' THEN convert_to('{\"ref\":\"refs/heads/main\",\"before\":\"" SHA_C
        "\",\"after\":\"" SHA_A "\",\"deleted\":false,\"repository\":{\"id\":1,\"full_name\":\"acme/shop\"},"
        "\"pusher\":{\"name\":\"mara\"},\"head_commit\":{\"id\":\"" SHA_A "\",\"message\":\"Title\"},\"commits\":[]}',"
        " 'UTF8') END, 'main' FROM (VALUES ('d-kept'), ('d-bare')) d (id)");
}

static int set_up_change(void **state)
{
    set_up(state);
    sql("CREATE OR REPLACE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'the disk of the audit log is full' USING ERRCODE = '53100'; END $$");
    return 0;
}

/* Of all rows of all tables. */
static int64_t rows(void)
{
    return number("SELECT hashtext(string_agg(query_to_xml(format('SELECT x::text FROM berth.%I x ORDER BY 1', "
                  "relname), true, false, '')::text, '' ORDER BY relname)) AS n"
                  "  FROM pg_class WHERE relnamespace = 'berth'::regnamespace AND relkind = 'r'");
}

static void try_change(const struct change *change)
{
    struct err e = { 0 };

    seed();
    if (change->prepared)
        sql(change->prepared);
    sql("TRUNCATE berth.audit_log; CREATE TRIGGER refuse BEFORE INSERT ON berth.audit_log FOR EACH ROW EXECUTE "
        "FUNCTION "
        "public.refuse()");
    int64_t before = rows();

    int code = change->make(&e);
    if (code != ERR_TRANSIENT || strcmp(e.detail, "53100") != 0)
        fail_msg("%s without its audit row: code %d, %s (%s)", change->action, code, e.message, e.detail);
    if (rows() != before)
        fail_msg("%s left something though its audit row was refused", change->action);

    sql("DROP TRIGGER refuse ON berth.audit_log");
    e = (struct err){ 0 };
    if (change->make(&e))
        fail_msg("%s: %s (%s)", change->action, e.message, e.detail);
    if (rows() == before)
        fail_msg("%s changes nothing, so that the half of this test says nothing", change->action);
    assert_int_equal(
        number(arena_printf(mem,
                            "SELECT (count(*) = 1 AND min(actor) = '" ACTOR "' AND min(action) = '%s')::int"
                            " AS n FROM berth.audit_log",
                            change->action)),
        1);
}

static void no_change_is_made_without_its_row_of_the_audit_log_and_each_has_one(void **state)
{
    for (size_t i = 0; i < CHANGES; i++) {
        if (i > 0) {
            arena_free(mem);
            set_up(state);
        }
        try_change(&changes[i]);
    }
}

/* But for those that a worker writes, and the two that change AWS, which nothing takes back: their row comes first. */
static void every_action_that_the_sources_name_is_tried_here(void **state)
{
    static const char *const elsewhere[] = { "app.secret", "app.reconcile", "app.destroyed" };
    FILE *named = popen("grep -rhoE '\"(app|limits|delivery)\\.[a-z_]+\"' --include='*.c' " SOURCE_DIR
                        "/core " SOURCE_DIR "/fcgi | tr -d '\"' | grep -v html | sort -u",
                        "r");
    char action[64];
    size_t seen = 0;
    (void)state;

    assert_non_null(named);
    while (fgets(action, sizeof action, named)) {
        bool known = false;
        action[strcspn(action, "\n")] = '\0';
        for (size_t i = 0; i < CHANGES; i++)
            known = known || strcmp(changes[i].action, action) == 0;
        for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
            known = known || strcmp(elsewhere[i], action) == 0;
        if (!known)
            fail_msg("%s is written to the audit log, and not tried here", action);
        seen++;
    }
    pclose(named);
    assert_true(seen > sizeof elsewhere / sizeof *elsewhere);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_change_is_made_without_its_row_of_the_audit_log_and_each_has_one,
                                        set_up_change, tear_down),
        cmocka_unit_test(every_action_that_the_sources_name_is_tried_here),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, open_all, close_all);
}
