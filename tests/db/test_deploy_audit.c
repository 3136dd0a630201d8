/* Reading the audit log on a real Postgres, and its CSV. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/deploy/audit.h"
#include "tests/db/releases.h"

static int set_up_log(void **state)
{
    set_up(state);
    sql("TRUNCATE berth.audit_log;"
        "INSERT INTO berth.audit_log (at, actor, action, app_name, after) VALUES"
        " ('2026-03-01T10:00:00Z', 'ines', 'app.update', 'shop', '{\"tasks\":2}'),"
        " ('2026-03-02T00:00:00Z', 'mara', 'app.pause', 'shop', NULL),"
        " ('2026-03-03T10:00:00Z', 'ines', 'limits.update', NULL, NULL)");
    return 0;
}

static int list(const struct audit_page *page, struct audit_entry **out, size_t *count, bool *more, struct err *e)
{
    AUTO_DB struct db *db = harness_take(admin);

    return audit_list(db, page, mem, out, count, more, e);
}

static size_t found(struct audit_page page)
{
    struct audit_entry *entries;
    struct err e = { 0 };
    size_t count = 0;
    bool more;

    page.limit = 100;
    if (list(&page, &entries, &count, &more, &e))
        fail_msg("%s (%s)", e.message, e.detail);
    return count;
}

static void what_is_no_time_is_refused_with_an_example(void **state)
{
    static const char *const none[] = { "yesterday",        "2026-02-30",     "2026-13-01", "2026-03-01T24:00:00Z",
                                        "2026-03-01 10:00", "'; DROP TABLE x" };
    (void)state;

    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct audit_entry *entries;
        struct err e = { 0 };
        size_t count;
        bool more;
        assert_int_equal(list(&(struct audit_page){ .since = none[i], .limit = 1 }, &entries, &count, &more, &e),
                         ERR_INVALID);
        assert_non_null(strstr(e.hint, "2026-03-01"));
    }
}

static void each_filter_narrows(void **state)
{
    (void)state;

    assert_int_equal(found((struct audit_page){ 0 }), 3);
    assert_int_equal(found((struct audit_page){ .app = "shop" }), 2);
    assert_int_equal(found((struct audit_page){ .actor = "ines" }), 2);
    assert_int_equal(found((struct audit_page){ .action = "app.pause" }), 1);
    assert_int_equal(found((struct audit_page){ .action = "app." }), 2);
    assert_int_equal(found((struct audit_page){ .action = "app" }), 0);
    assert_int_equal(found((struct audit_page){ .since = "2026-03-02" }), 2);
    assert_int_equal(found((struct audit_page){ .until = "2026-03-02" }), 1);
    assert_int_equal(found((struct audit_page){ .since = "2026-03-01T10:00:00Z", .until = "2026-03-01T10:00:01Z" }), 1);
}

static void pages_follow_one_another(void **state)
{
    struct audit_entry *entries;
    struct err e = { 0 };
    size_t count;
    bool more;
    (void)state;

    assert_int_equal(list(&(struct audit_page){ .limit = 2 }, &entries, &count, &more, &e), 0);
    assert_int_equal(count, 2);
    assert_true(more);
    assert_string_equal(entries[0].action, "limits.update");
    assert_int_equal(list(&(struct audit_page){ .limit = 2, .after = entries[1].id }, &entries, &count, &more, &e), 0);

    assert_int_equal(count, 1);
    assert_false(more);
    assert_string_equal(entries[0].at, "2026-03-01T10:00:00.000Z");
}

static void the_choices_are_each_name_once(void **state)
{
    AUTO_DB struct db *db = harness_take(admin);
    const char **actors, **actions;
    size_t actor_count, action_count;
    struct err e = { 0 };
    (void)state;

    assert_int_equal(audit_choices(db, mem, &actors, &actor_count, &actions, &action_count, &e), 0);

    assert_int_equal(actor_count, 2);
    assert_string_equal(actors[0], "ines");
    assert_string_equal(actors[1], "mara");
    assert_int_equal(action_count, 3);
}

static void no_cell_of_the_csv_is_taken_for_a_formula(void **state)
{
    static const char *const hostile[] = { "=1+1",
                                           "+1",
                                           "-1",
                                           "@SUM(A1)",
                                           "\t=1",
                                           "\r=1",
                                           "\n=1",
                                           "\xef\xbc\x9d"
                                           "1",
                                           "\xef\xbc\xa0"
                                           "A" };
    (void)state;

    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        struct buf out = { 0 };
        struct audit_entry entry = { .id = 1, .at = "x", .actor = hostile[i], .action = "a\"b,c", .app = NULL };
        audit_csv(&entry, 1, false, &out);
        assert_string_equal(buf_text(&out),
                            arena_printf(mem, "1,\"x\",\"'%s\",\"a\"\"b,c\",\"\",\"\",\"\"\r\n", hostile[i]));
        buf_free(&out);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    harness_server(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_no_time_is_refused_with_an_example, set_up_log, tear_down),
        cmocka_unit_test_setup_teardown(each_filter_narrows, set_up_log, tear_down),
        cmocka_unit_test_setup_teardown(pages_follow_one_another, set_up_log, tear_down),
        cmocka_unit_test_setup_teardown(the_choices_are_each_name_once, set_up_log, tear_down),
        cmocka_unit_test_setup_teardown(no_cell_of_the_csv_is_taken_for_a_formula, set_up_log, tear_down),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
