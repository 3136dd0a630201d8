/* Whatever a login is asked to do, it touches no row of an app that isn't its scope. Tables are found in the catalogue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/db/internal.h"
#include "tests/db/harness.h"
#include "tests/db/seeds.h"

#define MINE "shop"
#define OTHER "weblog" /* another length than shop: its listener slot has another priority */

#define TENANT_TABLES                                                                                                  \
    "FROM pg_class c WHERE c.relnamespace = 'berth'::regnamespace AND c.relkind IN ('r', 'p')"                         \
    " AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'app_name' AND NOT "             \
    "a.attisdropped)"

/* Of the logins that see one app at a time: those policies that don't say exactly so. */
#define LOOSE_POLICIES                                                                                                 \
    "SELECT count(*) AS n FROM pg_policy p WHERE p.polrelid IN (SELECT c.oid " TENANT_TABLES ")"                       \
    " AND p.polroles && ARRAY[0::oid, 'berth_hooks'::regrole::oid, 'berth_worker'::regrole::oid]"                      \
    " AND (pg_get_expr(p.polqual, p.polrelid) IS DISTINCT FROM"                                                        \
    "      '(app_name = current_setting(''berth.app_name''::text, true))'"                                             \
    "      OR coalesce(pg_get_expr(p.polwithcheck, p.polrelid), pg_get_expr(p.polqual, p.polrelid)) IS DISTINCT FROM"  \
    "      pg_get_expr(p.polqual, p.polrelid))"

#define UNPROTECTED                                                                                                    \
    "SELECT count(*) AS n " TENANT_TABLES " AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS ("          \
    "SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND 'berth_owner'::regrole = ANY (p.polroles)))"

struct world {
    struct harness_database *database;
    struct db_pool *superuser;
    struct db_pool *logins[2];
};

static const char *const login_roles[] = { "berth_hooks", "berth_worker" };

static int64_t number(const struct world *w, const char *sql)
{
    return harness_number(w->superuser, NULL, sql);
}

static int run(struct db_pool *pool, const char *scope, const char *sql, const char *app, int64_t *touched,
               struct err *e)
{
    const struct query_text text = { "of_a_test", QUERY_SHAPE_MANY, sql };
    const struct db_param params[] = { db_text(app) };
    AUTO_DB struct db *db = NULL;
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_take(pool, &db, e) || statement_run(db, scope, &text, NULL, params, app ? 1 : 0, &rows, e))
        return e->code;
    *touched = db_affected(rows);
    return 0;
}

/* Rows read or changed; a refusal for want of a right is none. */
static int64_t touched_by(struct db_pool *pool, const char *scope, const char *before, const char *table,
                          const char *after)
{
    char sql[256];
    int64_t touched = -1;
    struct err e = { 0 };

    snprintf(sql, sizeof sql, "%s berth.%s %s", before, table, after);
    if (run(pool, scope, sql, NULL, &touched, &e))
        return e.code == ERR_DENIED ? 0 : -1;
    return touched;
}

static int insert_code(struct db_pool *pool, const char *scope, const struct seed *seed, const char *app)
{
    int64_t touched = 0;
    struct err e = { 0 };

    return run(pool, scope, seed->sql, app, &touched, &e);
}

static bool login_has_policy(const struct world *w, const char *role, const char *table)
{
    char sql[256];

    snprintf(
        sql, sizeof sql,
        "SELECT count(*) AS n FROM pg_policy WHERE polrelid = 'berth.%s'::regclass AND '%s'::regrole = ANY (polroles)",
        table, role);
    return number(w, sql) > 0;
}

static int count_breaches(struct db_pool *pool, const char *scope, const struct seed *seed)
{
    int breaches = 0;

    breaches += touched_by(pool, scope, "SELECT FROM", seed->table, "WHERE app_name = '" MINE "'") != 0;
    breaches +=
        touched_by(pool, scope, "UPDATE", seed->table, "SET app_name = app_name WHERE app_name = '" MINE "'") != 0;
    breaches += touched_by(pool, scope, "DELETE FROM", seed->table, "WHERE app_name = '" MINE "'") != 0;
    breaches += insert_code(pool, scope, seed, MINE) != ERR_DENIED;
    breaches += touched_by(pool, scope, "UPDATE", seed->table, "SET app_name = '" MINE "'") != 0;
    if (breaches)
        print_error("berth.%s: %d breaches under scope %s\n", seed->table, breaches, scope ? scope : "(none)");
    return breaches;
}

static int count_all_breaches(const struct world *w)
{
    int breaches = 0;

    for (int login = 0; login < 2; login++)
        for (int i = 0; i < SEED_COUNT; i++) {
            breaches += count_breaches(w->logins[login], OTHER, &seeds[i]);
            breaches += count_breaches(w->logins[login], NULL, &seeds[i]);
            breaches += count_breaches(w->logins[login], "", &seeds[i]);
        }
    return breaches;
}

static void every_tenant_table_of_the_catalogue_has_a_seed(void **state)
{
    const struct world *w = *state;
    char sql[512];
    int64_t with_seed = 0;

    for (int i = 0; i < SEED_COUNT; i++) {
        snprintf(sql, sizeof sql, "SELECT count(*) AS n " TENANT_TABLES " AND c.relname = '%s'", seeds[i].table);
        with_seed += number(w, sql);
    }

    assert_int_equal(with_seed, SEED_COUNT);
    assert_int_equal(number(w, "SELECT count(*) AS n " TENANT_TABLES), SEED_COUNT);
}

static void row_security_is_enabled_and_forced_and_the_owner_has_a_policy(void **state)
{
    assert_int_equal(number(*state, UNPROTECTED), 0);
    assert_int_equal(number(*state, LOOSE_POLICIES), 0);
}

static void a_new_table_without_a_policy_is_noticed(void **state)
{
    const struct world *w = *state;

    harness_do(w->superuser, "CREATE TABLE berth.forgotten (app_name text)");
    assert_int_equal(number(w, UNPROTECTED), 1);
    assert_int_equal(number(w, "SELECT count(*) AS n " TENANT_TABLES), SEED_COUNT + 1);
    harness_do(w->superuser, "ALTER TABLE berth.forgotten ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY");
    assert_int_equal(number(w, UNPROTECTED), 1);
    harness_do(w->superuser, "CREATE POLICY owner ON berth.forgotten TO berth_owner USING (true)");
    assert_int_equal(number(w, UNPROTECTED), 0);
    harness_do(w->superuser, "CREATE POLICY loose ON berth.forgotten TO berth_hooks USING (true)");
    assert_int_equal(number(w, LOOSE_POLICIES), 1);
    harness_do(w->superuser,
               "DROP POLICY loose ON berth.forgotten; CREATE POLICY all_of_them ON berth.forgotten USING (true)");
    assert_int_equal(number(w, LOOSE_POLICIES), 1);
    harness_do(w->superuser,
               "DROP POLICY all_of_them ON berth.forgotten; ALTER TABLE berth.forgotten NO FORCE ROW LEVEL SECURITY");
    assert_int_equal(number(w, UNPROTECTED), 1);

    harness_do(w->superuser, "DROP TABLE berth.forgotten");
}

static void no_row_of_another_app_is_read_changed_deleted_or_added(void **state)
{
    const struct world *w = *state;

    assert_int_equal(count_all_breaches(w), 0);

    for (int i = 0; i < SEED_COUNT; i++)
        assert_int_equal(touched_by(w->superuser, NULL, "SELECT FROM", seeds[i].table, "WHERE app_name = '" MINE "'"),
                         1);
}

/* Rights alone would explain the test above, so here the logins get all of them. */
static void the_policies_hold_even_when_every_right_is_granted(void **state)
{
    const struct world *w = *state;
    int seen = 0;
    harness_do(w->superuser, "GRANT ALL ON ALL TABLES IN SCHEMA berth TO berth_hooks, berth_worker");

    assert_int_equal(count_all_breaches(w), 0);

    for (int login = 0; login < 2; login++)
        for (int i = 0; i < SEED_COUNT; i++) {
            int64_t mine = touched_by(w->logins[login], MINE, "SELECT FROM", seeds[i].table, "");
            assert_int_equal(mine, login_has_policy(w, login_roles[login], seeds[i].table) ? 1 : 0);
            seen += (int)mine;
        }
    assert_true(seen >= SEED_COUNT); /* so the refusals above are due to the scope */
}

/* If the policies were gone, the tests above would notice. */
static void without_row_security_the_breaches_are_counted(void **state)
{
    const struct world *w = *state;
    harness_do(w->superuser, "GRANT ALL ON ALL TABLES IN SCHEMA berth TO berth_worker;"
                             "ALTER TABLE berth.resources DISABLE ROW LEVEL SECURITY");

    int breaches = count_breaches(w->logins[1], OTHER, &seeds[6]);

    harness_do(w->superuser, "ALTER TABLE berth.resources ENABLE ROW LEVEL SECURITY");
    assert_string_equal(seeds[6].table, "resources");
    assert_true(breaches >= 3);
}

static void no_login_may_do_what_row_security_does_not_see(void **state)
{
    assert_int_equal(number(*state, "SELECT count(*) AS n FROM pg_class c,"
                                    " (VALUES ('berth_hooks'), ('berth_worker'), ('berth_admin')) AS l (login)"
                                    " WHERE c.relnamespace = 'berth'::regnamespace AND c.relkind IN ('r', 'p')"
                                    " AND has_table_privilege(l.login, c.oid, 'TRUNCATE, REFERENCES, TRIGGER')"),
                     0);
}

static void no_login_is_above_the_policies(void **state)
{
    const struct world *w = *state;

    assert_int_equal(number(w, "SELECT count(*) AS n FROM pg_roles WHERE rolname LIKE 'berth\\_%'"
                               " AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)"),
                     0);
    assert_int_equal(
        number(w, "SELECT count(*) AS n FROM (VALUES ('berth_hooks'), ('berth_worker'), ('berth_admin')) AS l (login),"
                  " pg_roles r WHERE r.rolname LIKE 'berth\\_%' AND r.rolname <> l.login"
                  " AND pg_has_role(l.login, r.oid, 'MEMBER')"),
        0);
    assert_int_equal(
        number(w, "SELECT count(*) AS n FROM (VALUES ('berth_hooks'), ('berth_worker'), ('berth_admin')) AS l (login)"
                  " WHERE has_schema_privilege(l.login, 'berth', 'CREATE')"),
        0);
}

#define DEFINER                                                                                                        \
    "FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner WHERE p.pronamespace = 'berth'::regnamespace AND "           \
    "p.prosecdef"

static void functions_that_cross_apps_are_closed(void **state)
{
    const struct world *w = *state;

    assert_true(number(w, "SELECT count(*) AS n " DEFINER) > 0);
    assert_int_equal(number(w, "SELECT count(*) AS n " DEFINER
                               " AND 'search_path=berth, pg_temp' <> ALL (coalesce(p.proconfig, '{}'))"),
                     0);
    assert_int_equal(
        number(w, "SELECT count(*) AS n " DEFINER " AND has_function_privilege('public', p.oid, 'EXECUTE')"), 0);
    assert_int_equal(number(w, "SELECT count(*) AS n " DEFINER
                               " AND (r.rolcanlogin OR r.rolsuper OR r.rolbypassrls OR r.rolname = 'berth_owner')"),
                     0);
}

static void views_ask_for_the_rights_of_who_reads_them(void **state)
{
    assert_int_equal(
        number(*state, "SELECT count(*) AS n FROM pg_class c WHERE c.relnamespace = 'berth'::regnamespace"
                       " AND (c.relkind = 'm' OR (c.relkind = 'v' AND"
                       " NOT coalesce(c.reloptions, '{}') && ARRAY['security_invoker=true', 'security_invoker=on']))"),
        0);
}

static void seed(const struct world *w, const char *app)
{
    int64_t touched = 0;
    struct err e = { 0 };

    for (int i = 0; i < SEED_COUNT; i++)
        if (run(w->superuser, NULL, seeds[i].sql, app, &touched, &e))
            fail_msg("%s: %s", seeds[i].table, e.message);
}

static int setup(void **state)
{
    static struct world w;

    w.database = harness_database_new();
    w.superuser = harness_pool(w.database, HARNESS_SUPERUSER, 1);
    w.logins[0] = harness_pool(w.database, HARNESS_HOOKS, 1);
    w.logins[1] = harness_pool(w.database, HARNESS_WORKER, 1);
    seed(&w, MINE);
    seed(&w, OTHER);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    db_pool_free(w->superuser);
    db_pool_free(w->logins[0]);
    db_pool_free(w->logins[1]);
    harness_database_free(w->database);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tenant_table_of_the_catalogue_has_a_seed),
        cmocka_unit_test(row_security_is_enabled_and_forced_and_the_owner_has_a_policy),
        cmocka_unit_test(a_new_table_without_a_policy_is_noticed),
        cmocka_unit_test(no_login_may_do_what_row_security_does_not_see),
        cmocka_unit_test(no_login_is_above_the_policies),
        cmocka_unit_test(functions_that_cross_apps_are_closed),
        cmocka_unit_test(views_ask_for_the_rights_of_who_reads_them),
        cmocka_unit_test(no_row_of_another_app_is_read_changed_deleted_or_added),
        cmocka_unit_test(the_policies_hold_even_when_every_right_is_granted),
        cmocka_unit_test(without_row_security_the_breaches_are_counted),
    };

    (void)argc;
    harness_server(argv);
    return cmocka_run_group_tests(tests, setup, teardown);
}
