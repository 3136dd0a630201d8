/* Following logs: a source that tests own, and a clock that goes when they say so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <time.h>

#include "fcgi/log_follow.h"

enum { PAGE_LINES = 1000, VIEWERS = 200, PATIENCE_MS = 20000 };

/* ---- A log that grows, behind a source that fails when told to ---- */

struct fixture {
    atomic_llong now_ms;
    atomic_int lines;      /* of every log */
    atomic_int line_bytes; /* besides its number */
    atomic_int reads;
    atomic_int failing; /* an enum err_code; 0: it answers */
    atomic_bool missing;
    _Atomic(char *) asked_for[256]; /* build ids, as they were asked for; each is there before `reads` counts it */
    struct clock clock;
    struct log_follow *follow;
    struct arena *mem;
};

static int64_t clock_read(void *context)
{
    return atomic_load(&((struct fixture *)context)->now_ms);
}

static const char *text_of_line(struct arena *mem, int number, int bytes)
{
    char *filler = arena_alloc(mem, (size_t)bytes + 1);

    memset(filler, 'x', (size_t)bytes);
    filler[bytes] = '\0';
    return arena_printf(mem, "line %d %s", number, filler);
}

static int read_page(void *context, const char *app, const char *build_id, const char *from, struct arena *mem,
                     struct log_page *out, struct err *e)
{
    struct fixture *f = context;
    int read = atomic_load(&f->reads); /* only the follower's one thread reads */
    int begin = from ? atoi(from) : 0, end = atomic_load(&f->lines);

    assert_string_equal(app, "shop");
    if (read < 256)
        atomic_store(&f->asked_for[read], strdup(build_id));
    atomic_store(&f->reads, read + 1);
    if (atomic_load(&f->failing))
        return err_set(e, (enum err_code)atomic_load(&f->failing), "CloudWatch Logs does not answer");
    if (atomic_load(&f->missing)) {
        err_set(e, ERR_NOT_FOUND, "there is no such stream"); /* as build_log_read leaves it */
        return 0;
    }
    if (end > begin + PAGE_LINES)
        end = begin + PAGE_LINES;
    out->count = (size_t)(end - begin);
    out->lines = arena_array(mem, out->count + 1, sizeof *out->lines);
    for (int i = begin; i < end; i++)
        out->lines[i - begin] =
            (struct log_line){ .at_ms = i, .text = text_of_line(mem, i + 1, atomic_load(&f->line_bytes)) };
    out->next = arena_printf(mem, "%d", end);
    return 0;
}

static void rest(void)
{
    nanosleep(&(const struct timespec){ .tv_nsec = 2 * 1000 * 1000 }, NULL);
}

/* ---- Watching ---- */

static struct log_view view(struct fixture *f, const char *build_id, int64_t from, size_t limit)
{
    const struct log_wish wish = { .app = "shop", .build_id = build_id, .from = from, .limit = limit };
    struct log_view out = { 0 };

    log_follow_view(f->follow, &wish, f->mem, &out);
    return out;
}

static struct log_view view_ended(struct fixture *f, int64_t ended_ms, int64_t from, size_t limit)
{
    const struct log_wish wish = {
        .app = "shop", .build_id = "b:1", .ended_ms = ended_ms, .from = from, .limit = limit
    };
    struct log_view out = { 0 };

    log_follow_view(f->follow, &wish, f->mem, &out);
    return out;
}

/* Until the log is known so far. The clock stands still, so no page more than what is due is read. */
static struct log_view view_until(struct fixture *f, const char *build_id, int64_t newest)
{
    struct log_view out = view(f, build_id, 0, 10);

    for (int waited = 0; out.newest < newest; waited++) {
        if (waited > PATIENCE_MS / 2)
            fail_msg("%lld lines, not %lld", (long long)out.newest, (long long)newest);
        rest();
        out = view(f, build_id, 0, 10);
    }
    return out;
}

static void wait_for_reads(struct fixture *f, int reads)
{
    for (int waited = 0; atomic_load(&f->reads) < reads; waited++) {
        if (waited > PATIENCE_MS / 2)
            fail_msg("%d reads, not %d", atomic_load(&f->reads), reads);
        rest();
    }
}

/* ---- */

static void lines_have_numbers_from_one_and_come_in_order(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->lines, 2500);

    view_until(f, "b:1", 2500);
    struct log_view all = view(f, "b:1", 1, 5000);

    assert_int_equal(all.count, 2500);
    assert_int_equal(all.first, 1);
    assert_int_equal(all.next, 2501);
    for (size_t i = 0; i < all.count; i++) {
        assert_int_equal(all.lines[i].number, i + 1);
        assert_string_equal(all.lines[i].text, arena_printf(f->mem, "line %zu ", i + 1));
    }
}

static void a_cursor_gets_what_came_since_and_no_line_twice(void **state)
{
    struct fixture *f = *state;
    int64_t next = 1;
    atomic_store(&f->lines, 30);
    view_until(f, "b:1", 30);

    for (int64_t expected = 1; expected <= 30;) {
        struct log_view part = view(f, "b:1", next, 7);
        for (size_t i = 0; i < part.count; i++)
            assert_int_equal(part.lines[i].number, expected++);
        next = part.next;
    }
    assert_int_equal(view(f, "b:1", next, 7).count, 0);
    assert_int_equal(view(f, "b:1", next, 7).next, next);
    atomic_store(&f->lines, 31);
    atomic_fetch_add(&f->now_ms, FOLLOW_PAUSE_MS);
    view_until(f, "b:1", 31);

    struct log_view last = view(f, "b:1", next, 7);
    assert_int_equal(last.count, 1);
    assert_int_equal(last.lines[0].number, 31);
}

static void the_tail_is_the_last_lines(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->lines, 30);

    struct log_view tail = view_until(f, "b:1", 30);

    assert_int_equal(tail.count, 10);
    assert_int_equal(tail.lines[0].number, 21);
    assert_int_equal(tail.next, 31);
}

static void a_cursor_past_the_end_stays_where_it_is(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->lines, 3);
    view_until(f, "b:1", 3);

    struct log_view ahead = view(f, "b:1", 1000, 10);
    struct log_view unread = view(f, "b:2", 1000, 10);
    struct log_view far = view(f, "b:1", INT64_MAX, 10);

    assert_int_equal(ahead.count, 0);
    assert_int_equal(ahead.next, 1000);
    assert_int_equal(ahead.newest, 3);
    assert_int_equal(unread.next, 1000);
    assert_false(unread.looked);
    assert_int_equal(far.count, 0);
}

static void a_page_is_cut_by_bytes_but_never_to_nothing(void **state)
{
    struct fixture *f = *state;
    const struct log_wish some = { .app = "shop", .build_id = "b:1", .from = 1, .limit = 100, .bytes = 5000 };
    const struct log_wish one = { .app = "shop", .build_id = "b:1", .from = 4, .limit = 100, .bytes = 1 };
    struct log_view out = { 0 };
    atomic_store(&f->line_bytes, 1000);
    atomic_store(&f->lines, 50);
    view_until(f, "b:1", 50);

    log_follow_view(f->follow, &some, f->mem, &out);
    assert_in_range(out.count, 4, 6);
    assert_int_equal(out.next, (int64_t)out.count + 1);

    log_follow_view(f->follow, &one, f->mem, &out);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.next, 5);
}

static void however_many_watch_it_is_read_once_a_pause(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->lines, 10);
    view_until(f, "b:1", 10);
    int before = atomic_load(&f->reads);

    for (int i = 0; i < VIEWERS; i++)
        assert_int_equal(view(f, "b:1", 1, 10).count, 10);
    rest();
    assert_int_equal(atomic_load(&f->reads), before);
    atomic_fetch_add(&f->now_ms, FOLLOW_PAUSE_MS);
    for (int i = 0; i < VIEWERS; i++)
        view(f, "b:1", 1, 10);
    wait_for_reads(f, before + 1);
    rest();

    assert_int_equal(atomic_load(&f->reads), before + 1);
}

struct viewer {
    struct fixture *f;
    pthread_t thread;
    size_t seen;
};

static void *watch(void *context)
{
    struct viewer *viewer = context;
    AUTO_ARENA struct arena *mem = arena_new();

    for (int64_t next = 1; next <= 3000;) {
        const struct log_wish wish = { .app = "shop", .build_id = "b:1", .from = next, .limit = 400, .wait_ms = 50 };
        struct log_view out = { 0 };
        log_follow_view(viewer->f->follow, &wish, mem, &out);
        for (size_t i = 0; i < out.count; i++)
            viewer->seen += out.lines[i].number == next + (int64_t)i;
        next = out.next;
    }
    return NULL;
}

static void many_threads_see_the_same_lines(void **state)
{
    struct fixture *f = *state;
    struct viewer viewers[8];
    atomic_store(&f->lines, 3000);

    for (size_t i = 0; i < 8; i++) {
        viewers[i] = (struct viewer){ .f = f };
        assert_int_equal(pthread_create(&viewers[i].thread, NULL, watch, &viewers[i]), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(viewers[i].thread, NULL);
        assert_int_equal(viewers[i].seen, 3000);
    }

    assert_int_equal(atomic_load(&f->reads), 3 + (atomic_load(&f->reads) > 3));
}

static void what_nobody_watches_is_not_read(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->lines, 10);
    view_until(f, "b:1", 10);
    int before = atomic_load(&f->reads);

    atomic_fetch_add(&f->now_ms, FOLLOW_WANTED_MS + 1);
    view(f, "b:2", 0, 1); /* wakes the thread: this one is wanted, the other no more */
    wait_for_reads(f, before + 1);
    rest();

    assert_int_equal(atomic_load(&f->reads), before + 1);
    assert_string_equal(f->asked_for[before], "b:2");
}

static void a_log_is_complete_when_it_has_settled_after_the_builds_end(void **state)
{
    struct fixture *f = *state;
    int64_t ended = atomic_load(&f->now_ms);
    atomic_store(&f->lines, 5);
    view_until(f, "b:1", 5);

    /* Nothing more comes, but it may yet. */
    view_ended(f, ended, 1, 10);
    atomic_fetch_add(&f->now_ms, FOLLOW_SETTLE_MS - FOLLOW_PAUSE_MS);
    view_ended(f, ended, 1, 10);
    wait_for_reads(f, 2);
    assert_false(view_ended(f, ended, 1, 10).complete);

    /* It did. */
    atomic_store(&f->lines, 6);
    for (int waited = 0; !view_ended(f, ended, 1, 10).complete && waited < PATIENCE_MS; waited++) {
        atomic_fetch_add(&f->now_ms, FOLLOW_PAUSE_MS);
        rest();
    }
    struct log_view all = view_ended(f, ended, 1, 10);
    assert_true(all.complete);
    assert_int_equal(all.count, 6);
    assert_false(view_ended(f, ended, 1, 3).complete); /* there is more of it */

    /* And then it is left alone. */
    int before = atomic_load(&f->reads);
    atomic_fetch_add(&f->now_ms, FOLLOW_PAUSE_MS * 5);
    view_ended(f, ended, 1, 10);
    rest();
    assert_int_equal(atomic_load(&f->reads), before);
}

static void a_build_without_a_log_is_complete_too(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->missing, true);
    int64_t ended = atomic_load(&f->now_ms) - FOLLOW_SETTLE_MS;

    for (int waited = 0; !view_ended(f, ended, 0, 10).looked && waited < PATIENCE_MS; waited++)
        rest();
    struct log_view out = view_ended(f, ended, 0, 10);

    assert_true(out.complete);
    assert_null(out.trouble);
    assert_int_equal(out.newest, 0);
}

static void trouble_is_told_and_goes_away(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->lines, 5);
    view_until(f, "b:1", 5);
    atomic_store(&f->failing, ERR_THROTTLED);
    int before = atomic_load(&f->reads);

    atomic_fetch_add(&f->now_ms, FOLLOW_PAUSE_MS);
    view(f, "b:1", 1, 10);
    wait_for_reads(f, before + 1);
    struct log_view out = view(f, "b:1", 1, 10);
    for (int waited = 0; !out.trouble && waited < PATIENCE_MS; waited++) {
        rest();
        out = view(f, "b:1", 1, 10);
    }
    assert_string_equal(out.trouble, "CloudWatch Logs does not answer");
    assert_int_equal(out.count, 5); /* what is known stays */

    /* It isn't asked again and again. */
    atomic_fetch_add(&f->now_ms, FOLLOW_PAUSE_MS);
    view(f, "b:1", 1, 10);
    rest();
    assert_int_equal(atomic_load(&f->reads), before + 1);

    atomic_store(&f->failing, 0);
    atomic_store(&f->lines, 6);
    atomic_fetch_add(&f->now_ms, 60000);
    out = view_until(f, "b:1", 6);
    assert_null(out.trouble);
}

static void nobody_waits_for_a_log_that_cannot_be_read_anyway(void **state)
{
    struct fixture *f = *state;
    const struct log_wish patient = { .app = "shop", .build_id = "b:2", .limit = 10, .wait_ms = PATIENCE_MS * 10 };
    struct log_view out = { 0 };
    atomic_store(&f->failing, ERR_DENIED);
    for (int waited = 0; !view(f, "b:1", 0, 10).trouble && waited < PATIENCE_MS; waited++)
        rest();

    log_follow_view(f->follow, &patient, f->mem, &out); /* or this test never ends */

    assert_int_equal(out.count, 0);
}

static void who_waits_gets_the_whole_end_of_a_log_that_nobody_asked_for_yet(void **state)
{
    struct fixture *f = *state;
    const struct log_wish wish = {
        .app = "shop", .build_id = "b:1", .ended_ms = 1, .limit = 10, .wait_ms = PATIENCE_MS
    };
    struct log_view out = { 0 };
    atomic_store(&f->lines, 4500);

    log_follow_view(f->follow, &wish, f->mem, &out);

    assert_int_equal(out.newest, 4500);
    assert_int_equal(out.lines[9].number, 4500);
}

static void of_a_very_long_log_the_newest_lines_are_kept_with_their_numbers(void **state)
{
    struct fixture *f = *state;
    int64_t total = FOLLOW_LINES_MAX + 1;
    atomic_store(&f->lines, (int)total);

    view_until(f, "b:1", total);
    struct log_view kept = view(f, "b:1", 1, FOLLOW_LINES_MAX);

    assert_true(kept.first > 1);
    assert_int_equal(kept.lines[0].number, kept.first);
    assert_string_equal(kept.lines[0].text, arena_printf(f->mem, "line %lld ", (long long)kept.first));
    assert_int_equal(kept.next, total + 1);
}

static void a_log_of_long_lines_is_bounded_by_bytes(void **state)
{
    struct fixture *f = *state;
    size_t bytes = 0;
    atomic_store(&f->line_bytes, 2000);
    atomic_store(&f->lines, 5000);

    view_until(f, "b:1", 5000);
    struct log_view kept = view(f, "b:1", 1, 5000);

    for (size_t i = 0; i < kept.count; i++)
        bytes += strlen(kept.lines[i].text) + 1;
    assert_in_range(bytes, 1, FOLLOW_BYTES_MAX);
    assert_int_equal(kept.lines[kept.count - 1].number, 5000);
}

static void the_place_of_the_log_asked_for_longest_ago_is_given_to_a_new_one(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->lines, 1);

    for (int i = 0; i <= FOLLOW_LOGS_MAX; i++) {
        atomic_fetch_add(&f->now_ms, 1);
        view_until(f, arena_printf(f->mem, "b:%d", i), 1);
    }

    assert_true(view(f, "b:1", 0, 1).looked);  /* kept */
    assert_false(view(f, "b:0", 0, 1).looked); /* given away, and begun anew */
}

/* ---- */

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e = { 0 };

    atomic_init(&f->now_ms, 1800000000000);
    f->mem = arena_new();
    f->clock = (struct clock){ .now_ms = clock_read, .monotonic_ms = clock_read, .context = f };
    assert_int_equal(
        log_follow_new(&(const struct log_source){ .read = read_page, .context = f }, &f->clock, &f->follow, &e), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    log_follow_free(f->follow);
    for (int i = 0; i < 256; i++)
        free(f->asked_for[i]);
    arena_free(f->mem);
    free(f);
    return 0;
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(lines_have_numbers_from_one_and_come_in_order),
        EACH(a_cursor_gets_what_came_since_and_no_line_twice),
        EACH(the_tail_is_the_last_lines),
        EACH(a_cursor_past_the_end_stays_where_it_is),
        EACH(a_page_is_cut_by_bytes_but_never_to_nothing),
        EACH(however_many_watch_it_is_read_once_a_pause),
        EACH(many_threads_see_the_same_lines),
        EACH(what_nobody_watches_is_not_read),
        EACH(a_log_is_complete_when_it_has_settled_after_the_builds_end),
        EACH(a_build_without_a_log_is_complete_too),
        EACH(trouble_is_told_and_goes_away),
        EACH(nobody_waits_for_a_log_that_cannot_be_read_anyway),
        EACH(who_waits_gets_the_whole_end_of_a_log_that_nobody_asked_for_yet),
        EACH(of_a_very_long_log_the_newest_lines_are_kept_with_their_numbers),
        EACH(a_log_of_long_lines_is_bounded_by_bytes),
        EACH(the_place_of_the_log_asked_for_longest_ago_is_given_to_a_new_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
