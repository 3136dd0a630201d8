/* Releases that are named together: in words, in a form, and what is no such list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/deploy/release_numbers.h"

static void a_list_comes_back_as_it_was_and_reads_as_one_speaks(void **state)
{
    static const struct {
        const char *list, *text;
    } all[] = { { "", "" }, { "8", "v8" }, { "8,9", "v8 and v9" }, { "8,9,10", "v8, v9 and v10" } };
    AUTO_ARENA struct arena *mem = arena_new();
    (void)state;

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct release_numbers numbers = { 0 };
        assert_true(release_numbers_parse(all[i].list, mem, &numbers));
        assert_int_equal(numbers.count, i);
        assert_string_equal(release_numbers_list(&numbers, mem), all[i].list);
        assert_string_equal(release_numbers_text(&numbers, mem), all[i].text);
        assert_int_equal(release_numbers_have(&numbers, 9), i >= 2);
    }
}

static void what_is_no_list_is_told_apart(void **state)
{
    static const char *const wrong[] = { ",",
                                         "8,",
                                         ",8",
                                         "8,,9",
                                         "8 9",
                                         "v8",
                                         "0",
                                         "-1",
                                         "99999999999",
                                         "8,x",
                                         "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17" };
    AUTO_ARENA struct arena *mem = arena_new();
    struct release_numbers numbers = { 0 };
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(release_numbers_parse(wrong[i], mem, &numbers));
    assert_int_equal(numbers.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_comes_back_as_it_was_and_reads_as_one_speaks),
        cmocka_unit_test(what_is_no_list_is_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
