/* arena and buf: memory that is bounded, zeroed and never half there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/buf.h"

/* The first line on standard error of a process that this ends. */
static void last_words(void (*act)(void), char *out, size_t size)
{
    int ends[2];
    int status = 0;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        act();
        _exit(0);
    }
    close(ends[1]);
    FILE *from = fdopen(ends[0], "r");
    assert_non_null(from);
    if (!fgets(out, (int)size, from))
        *out = '\0';
    fclose(from);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void ask_for_too_many_items(void)
{
    arena_array(arena_new(), SIZE_MAX / 8, 16);
}

static void ask_for_everything(void)
{
    arena_alloc(arena_new(), SIZE_MAX - 8);
}

static void an_array_that_overflows_ends_the_process_with_a_reason(void **state)
{
    (void)state;
    char line[256];

    last_words(ask_for_too_many_items, line, sizeof(line));

    assert_string_equal(line, "berth: fatal: an array larger than the address space was asked for\n");
}

static void no_memory_ends_the_process_with_a_reason(void **state)
{
    (void)state;
    char line[256];

    last_words(ask_for_everything, line, sizeof(line));

    assert_string_equal(line, "berth: fatal: no memory left; the process ends and its supervisor starts it again\n");
}

static void items_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *mem = arena_new();
    unsigned char *items[3000];
    size_t sizes[3000];

    for (size_t i = 0; i < 3000; i++) {
        sizes[i] = i % 50 == 0 ? 20000 + i : i % 97;
        items[i] = arena_alloc(mem, sizes[i]);
        assert_non_null(items[i]);
        assert_int_equal((uintptr_t)items[i] % _Alignof(max_align_t), 0);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(items[i][j], 0);
        memset(items[i], (int)(i % 255 + 1), sizes[i]);
    }

    for (size_t i = 0; i < 3000; i++) {
        for (size_t j = 0; j < sizes[i]; j++) {
            if (items[i][j] != i % 255 + 1)
                fail_msg("item %zu was written over", i);
        }
    }
}

static void a_reset_arena_gives_zeroed_memory_again(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *mem = arena_new();
    memset(arena_alloc(mem, 5000), 0xff, 5000);
    memset(arena_alloc(mem, 50000), 0xff, 50000);

    arena_reset(mem);

    const unsigned char *item = arena_alloc(mem, 5000);
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(item[i], 0);
    arena_reset(mem);
    arena_reset(mem);
}

static void copies_are_whole_and_null_stays_null(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *mem = arena_new();

    assert_null(arena_copy(mem, NULL));
    assert_string_equal(arena_copy(mem, "shop"), "shop");
    assert_string_equal(arena_copy_n(mem, "shopping", 4), "shop");
    assert_string_equal(arena_copy_n(mem, NULL, 0), "");
    assert_memory_equal(arena_copy_n(mem, "a\0b", 3), "a\0b", 4);
    assert_string_equal(arena_printf(mem, "%s-%03d", "v", 7), "v-007");
    arena_free(NULL);
}

static void a_buf_past_its_bound_fails_for_good(void **state)
{
    (void)state;
    AUTO_BUF struct buf b = { .max = 8 };

    buf_add_text(&b, "12345678");
    assert_false(b.failed);
    buf_add_char(&b, '9');
    assert_true(b.failed);
    buf_clear(&b);
    buf_add_text(&b, "123456789");
    buf_add_text(&b, "1");
    buf_printf(&b, "%d", 1);

    assert_true(b.failed);
    assert_string_equal(buf_text(&b), "");
    assert_int_equal(b.max, 8);
}

static void a_buf_that_memory_cannot_hold_fails(void **state)
{
    (void)state;
    AUTO_BUF struct buf b = { 0 };
    buf_add_text(&b, "kept");

    buf_add(&b, "", SIZE_MAX - 2);

    assert_true(b.failed);
    assert_string_equal(buf_text(&b), "kept");
}

static void a_printed_text_past_the_bound_leaves_the_rest_whole(void **state)
{
    (void)state;
    AUTO_BUF struct buf b = { .max = 6 };

    buf_printf(&b, "%s", "four");
    buf_printf(&b, "%d", 123);

    assert_true(b.failed);
    assert_string_equal(buf_text(&b), "four");
}

static void a_buf_gathers_bytes_and_keeps_a_nul_behind_them(void **state)
{
    (void)state;
    AUTO_BUF struct buf b = { 0 };
    assert_string_equal(buf_text(&b), "");

    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i % 10);
    buf_add(&b, "\0x", 2);
    buf_add(&b, NULL, 0);

    assert_false(b.failed);
    assert_int_equal(b.len, 2002);
    assert_int_equal(b.data[2002], '\0');
    assert_memory_equal(b.data + 1996, "8,9,\0x", 7);
    buf_clear(&b);
    assert_int_equal(b.len, 0);
    assert_string_equal(buf_text(&b), "");
}

static void a_freed_buf_can_be_used_again(void **state)
{
    (void)state;
    AUTO_BUF struct buf b = { .max = 3 };
    buf_add_text(&b, "abc");

    buf_free(&b);
    buf_add_text(&b, "def");

    assert_string_equal(buf_text(&b), "def");
    assert_int_equal(b.max, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_array_that_overflows_ends_the_process_with_a_reason),
        cmocka_unit_test(no_memory_ends_the_process_with_a_reason),
        cmocka_unit_test(a_buf_past_its_bound_fails_for_good),
        cmocka_unit_test(a_buf_that_memory_cannot_hold_fails),
        cmocka_unit_test(a_printed_text_past_the_bound_leaves_the_rest_whole),
        cmocka_unit_test(items_are_zeroed_aligned_and_apart),
        cmocka_unit_test(a_reset_arena_gives_zeroed_memory_again),
        cmocka_unit_test(copies_are_whole_and_null_stays_null),
        cmocka_unit_test(a_buf_gathers_bytes_and_keeps_a_nul_behind_them),
        cmocka_unit_test(a_freed_buf_can_be_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
