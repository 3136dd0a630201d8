/* A log line stays one line, whatever strangers send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/log.h"

struct fixture {
    int ends[2];
    char got[65536];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (!f || pipe(f->ends) != 0)
        return -1;
    log_to(f->ends[1]);
    log_setup(LOG_DEBUG, LOG_LOGFMT);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    log_to(STDERR_FILENO);
    close(f->ends[0]);
    close(f->ends[1]);
    free(f);
    return 0;
}

/* What was written so far, after the time (which has its own form and a value nobody knows). */
static const char *written(struct fixture *f)
{
    log_event(LOG_ERROR, "end", log_text("mark", "here"));
    ssize_t len = read(f->ends[0], f->got, sizeof(f->got) - 1);
    assert_true(len > 0);
    f->got[len] = '\0';
    char *mark = strstr(f->got, "event=end");
    mark = mark ? mark : strstr(f->got, "\"end\"");
    assert_non_null(mark);
    while (mark > f->got && mark[-1] != '\n')
        mark--;
    *mark = '\0';
    return strlen(f->got) < 30 ? f->got : strchr(f->got, 'Z') + 1;
}

static void a_stranger_cannot_begin_a_line_or_a_field(void **state)
{
    struct fixture *f = *state;

    log_event(LOG_WARN, "refused", log_text("app", "x\nlevel=error event=\"forged\"\r\t\\ \x1b[2J\x7f\xc2\x9b"));

    assert_string_equal(written(f),
                        " level=warn event=refused "
                        "app=\"x\\nlevel=error event=\\\"forged\\\"\\r\\t\\\\ \\u001b[2J\\u007f\\u009b\"\n");
}

static void malformed_bytes_are_replaced(void **state)
{
    struct fixture *f = *state;

    log_event(LOG_INFO, "got", log_text("ref", "caf\xe9"));

    assert_string_equal(written(f), " level=info event=got ref=\"caf\xef\xbf\xbd\"\n");
}

static void a_huge_value_is_cut_and_the_line_stays_whole(void **state)
{
    struct fixture *f = *state;
    char huge[9000];
    memset(huge, '"', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    log_setup(LOG_INFO, LOG_JSON);

    log_event(LOG_INFO, "got", log_text("ref", huge));

    AUTO_JSON json_object *line = NULL;
    AUTO_ARENA struct arena *mem = arena_new();
    struct err e = { 0 };
    written(f);
    assert_int_equal(json_parse(f->got, strlen(f->got), &line, &e), 0);
    assert_int_equal(strlen(json_find_text(line, "/ref", mem)), 2048 + 3);
}

static void fields_that_do_not_fit_are_left_out_and_it_says_so(void **state)
{
    struct fixture *f = *state;
    char large[2001];
    struct log_field fields[12];
    memset(large, '\n', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    for (size_t i = 0; i < 11; i++)
        fields[i] = log_text("field", large);
    fields[11] = log_int("last", 1);
    log_setup(LOG_INFO, LOG_JSON);

    log_fields(LOG_INFO, "got", fields, 12);

    written(f);
    assert_true(strlen(f->got) <= (size_t)16 * 1024);
    assert_non_null(strstr(f->got, ",\"last\":1,\"shortened\":true}\n"));
}

static void a_level_below_the_least_is_not_written(void **state)
{
    struct fixture *f = *state;
    struct err e = { 0 };
    err_set(&e, ERR_DENIED, "no");
    log_setup(LOG_WARN, LOG_LOGFMT);

    log_event(LOG_INFO, "quiet", log_int("n", 1));
    log_err(LOG_DEBUG, "quiet", &e, log_int("n", 1));

    assert_string_equal(written(f), "");
}

static void an_error_is_logged_with_all_its_parts(void **state)
{
    struct fixture *f = *state;
    struct err e = { 0 };
    err_set(&e, ERR_THROTTLED, "CreateService for shop was refused");
    err_detail(&e, "ThrottlingException");
    err_hint(&e, "wait");

    log_err(LOG_ERROR, "step failed", &e, log_text("app", "shop"));

    assert_string_equal(written(f),
                        " level=error event=\"step failed\" app=shop code=throttled detail=ThrottlingException "
                        "message=\"CreateService for shop was refused\" hint=wait\n");
}

static void a_line_has_time_level_event_and_fields(void **state)
{
    struct fixture *f = *state;

    log_event(LOG_INFO, "release is live", log_text("app", "shop"), log_int("release", -3), log_text("none", NULL),
              log_text("empty", ""));

    assert_string_equal(written(f), " level=info event=\"release is live\" app=shop release=-3 empty=\"\"\n");
    assert_memory_equal(f->got, "time=20", 7);
}

static void a_json_line_is_json(void **state)
{
    struct fixture *f = *state;
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *line = NULL;
    struct err e = { 0 };
    log_setup(LOG_INFO, LOG_JSON);

    log_event(LOG_INFO, "release is live", log_text("app", "sh\"op\n"), log_int("release", INT64_MIN),
              log_text("none", NULL));

    written(f);
    assert_int_equal(json_parse(f->got, strlen(f->got), &line, &e), 0);
    assert_string_equal(json_find_text(line, "/event", mem), "release is live");
    assert_string_equal(json_find_text(line, "/app", mem), "sh\"op\n");
    assert_true(json_find_int(line, "/release", 0) == INT64_MIN);
    assert_string_equal(json_find_text(line, "/level", mem), "info");
    assert_null(json_get(line, "none"));
}

static void *log_many(void *name)
{
    for (int i = 0; i < 50; i++)
        log_event(LOG_INFO, "from a thread", log_text("thread", name), log_int("i", i));
    return NULL;
}

static void lines_of_many_threads_do_not_mix(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[4];
    char names[4][2] = { "a", "b", "c", "d" };
    int lines = 0;

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, names[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);

    written(f);
    for (char *line = strtok(f->got, "\n"); line; line = strtok(NULL, "\n")) {
        assert_memory_equal(line, "time=20", 7);
        assert_non_null(strstr(line, "Z level=info event=\"from a thread\" thread="));
        lines++;
    }
    assert_int_equal(lines, 200);
}

static void an_unknown_level_or_format_is_refused(void **state)
{
    (void)state;
    enum log_level level = LOG_WARN;
    enum log_format format = LOG_JSON;

    assert_int_equal(log_level_parse("loud", &level), -1);
    assert_int_equal(log_level_parse("", &level), -1);
    assert_int_equal(log_format_parse("xml", &format), -1);
    assert_int_equal(level, LOG_WARN);
    assert_int_equal(log_level_parse("error", &level), 0);
    assert_int_equal(level, LOG_ERROR);
    assert_int_equal(log_format_parse("logfmt", &format), 0);
    assert_int_equal(format, LOG_LOGFMT);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_stranger_cannot_begin_a_line_or_a_field),
        CASE(malformed_bytes_are_replaced),
        CASE(a_huge_value_is_cut_and_the_line_stays_whole),
        CASE(fields_that_do_not_fit_are_left_out_and_it_says_so),
        CASE(a_level_below_the_least_is_not_written),
        CASE(an_unknown_level_or_format_is_refused),
        CASE(an_error_is_logged_with_all_its_parts),
        CASE(a_line_has_time_level_event_and_fields),
        CASE(a_json_line_is_json),
        CASE(lines_of_many_threads_do_not_mix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
