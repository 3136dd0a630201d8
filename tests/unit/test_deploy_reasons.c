/* Why a build or a rollout failed, in the words for the person who pushed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/deploy/steps/build_reason.h"
#include "core/deploy/steps/rollout_reason.h"

static const struct build_subject subject = { .app = "shop", .release = 3, .repository = "acme/shop" };
static const struct app shop = { .name = "shop", .port = 8080, .health_check_path = "/healthz", .memory_mib = 512 };

enum { LINES_MAX = 16 };

static struct log_page log_of(struct log_line *lines, const char *const *texts)
{
    struct log_page log = { .lines = lines };

    for (; texts[log.count]; log.count++)
        lines[log.count] = (struct log_line){ .text = texts[log.count] };
    return log;
}

static json_object *parsed(const char *text)
{
    json_object *value = NULL;
    struct err e = { 0 };

    assert_int_equal(json_parse(text, strlen(text), &value, &e), 0);
    return value;
}

static void explain_build(const char *build_text, const char *const *texts, struct err *e)
{
    AUTO_JSON json_object *build = parsed(build_text);
    struct log_line lines[LINES_MAX];
    struct log_page log = log_of(lines, texts);

    *e = (struct err){ 0 };
    assert_int_equal(build_reason(&subject, build, &log, e), ERR_INVALID);
}

static void explain_task(const char *task_text, int live_release, const char *const *texts, struct err *e)
{
    AUTO_JSON json_object *task = parsed(task_text);
    struct log_line lines[LINES_MAX];
    const struct rollout_failure failure = {
        .app = &shop, .live_release = live_release, .task = task, .log = log_of(lines, texts)
    };

    *e = (struct err){ 0 };
    assert_int_equal(rollout_reason(&failure, e), ERR_INVALID);
}

static const char *const nothing[] = { NULL };
static const char failed_build[] =
    "{\"buildStatus\":\"FAILED\",\"phases\":[{\"phaseType\":\"BUILD\",\"phaseStatus\":\"FAILED\",\"contexts\":"
    "[{\"statusCode\":\"COMMAND_EXECUTION_ERROR\",\"message\":\"Error while executing command: docker build\"}]}]}";

static void a_missing_dockerfile_is_named(void **state)
{
    static const char *const said_by_docker[] = {
        "ERROR: failed to solve: failed to read dockerfile: open Dockerfile: no such file or directory", NULL
    };
    struct err e;
    (void)state;

    explain_build(failed_build, said_by_docker, &e);
    assert_string_equal(e.message, "The build stopped: acme/shop has no Dockerfile at its top");
    assert_non_null(strstr(e.hint, "Add a Dockerfile"));
}

static void the_agents_own_lines_are_not_the_reason(void **state)
{
    static const char *const log[] = { "src/main.c:3: undeclared identifier", "",
                                       "[Container] 2026/11/23 08:48:02 Command did not exit successfully", "------",
                                       NULL };
    struct err e;
    (void)state;

    explain_build(failed_build, log, &e);

    assert_string_equal(e.message, "The build stopped in BUILD: src/main.c:3: undeclared identifier");
}

static void a_failing_step_is_told_by_its_last_line(void **state)
{
    static const char *const log[] = {
        "#7 [3/5] RUN make",
        "#7 0.1 cc main.c",
        "#7 0.2 main.c:3: undeclared identifier",
        "#8 0.3 of another step",
        "#7 ERROR: process \"/bin/sh -c make\" did not complete successfully: exit code: 2",
        "------",
        " > [3/5] RUN make:",
        "Dockerfile:4",
        "ERROR: failed to solve: process \"/bin/sh -c make\" did not complete successfully: exit code: 2",
        NULL
    };
    struct err e;
    (void)state;

    explain_build(failed_build, log, &e);

    assert_string_equal(e.message,
                        "The build stopped in BUILD: main.c:3: undeclared identifier (process \"/bin/sh -c make\" did "
                        "not complete successfully: exit code: 2)");
}

static void a_build_that_took_too_long_says_how_long_it_may(void **state)
{
    struct err e;
    (void)state;

    explain_build("{\"buildStatus\":\"TIMED_OUT\",\"phases\":[]}", nothing, &e);

    assert_string_equal(e.message, "The build stopped: it took longer than 45 minutes");
}

static void a_stopped_build_says_so(void **state)
{
    struct err e;
    (void)state;

    explain_build("{\"buildStatus\":\"STOPPED\"}", nothing, &e);

    assert_non_null(strstr(e.message, "stopped by somebody"));
}

static void a_build_without_phases_still_has_a_reason(void **state)
{
    struct err e;
    (void)state;

    explain_build("{\"buildStatus\":\"FAILED\"}", nothing, &e);

    assert_string_equal(e.message, "The build stopped in an unknown phase: CodeBuild gave no reason");
}

static void a_secret_in_the_phases_message_is_masked(void **state)
{
    struct err e;
    (void)state;

    explain_build("{\"buildStatus\":\"FAILED\",\"phases\":[{\"phaseType\":\"DOWNLOAD_SOURCE\",\"phaseStatus\":"
                  "\"FAILED\",\"contexts\":"
                  "[{\"statusCode\":\"CLIENT_ERROR\",\"message\":\"InvalidAccessKeyId AKIAIOSFODNN7EXAMPLE\"}]}]}",
                  nothing, &e);

    assert_string_equal(e.message, "The build stopped in DOWNLOAD_SOURCE: InvalidAccessKeyId ***");
}

static void a_crash_is_told_by_code_and_last_line(void **state)
{
    static const char *const log[] = { "listening", "panic: no DATABASE_URL", "", NULL };
    struct err e;
    (void)state;

    explain_task("{\"stopCode\":\"EssentialContainerExited\",\"stoppedReason\":\"Essential container in task exited\","
                 "\"containers\":[{\"name\":\"app\",\"exitCode\":1}]}",
                 2, log, &e);

    assert_string_equal(
        e.message, "The rollout stopped: the app ended by itself with exit code 1, saying: panic: no DATABASE_URL");
    assert_non_null(strstr(e.hint, "v2 is still live: visitors saw nothing."));
}

static void a_crash_with_an_empty_log_says_so(void **state)
{
    struct err e;
    (void)state;

    explain_task("{\"stopCode\":\"EssentialContainerExited\",\"containers\":[{\"name\":\"app\",\"exitCode\":0}]}", 0,
                 nothing, &e);

    assert_non_null(strstr(e.message, "exit code 0, and its log is empty"));
    assert_non_null(strstr(e.hint, "Nothing of this app is live yet"));
}

static void running_out_of_memory_names_the_limit(void **state)
{
    struct err e;
    (void)state;

    explain_task("{\"stopCode\":\"EssentialContainerExited\",\"containers\":[{\"name\":\"app\",\"exitCode\":137,"
                 "\"reason\":\"OutOfMemoryError: Container killed due to memory usage\"}]}",
                 0, nothing, &e);

    assert_non_null(strstr(e.message, "more than its 512 MiB"));
}

static void an_unhealthy_app_is_told_what_was_asked_of_it(void **state)
{
    struct err e;
    (void)state;

    explain_task("{\"stopCode\":\"ServiceSchedulerInitiated\",\"stoppedReason\":\"Task failed ELB health checks in "
                 "(target-group x)\","
                 "\"containers\":[{\"name\":\"app\",\"exitCode\":143}]}",
                 0, nothing, &e);

    assert_non_null(strstr(e.message, "GET /healthz on port 8080"));
    assert_non_null(strstr(e.hint, "listen on 0.0.0.0"));
}

static void an_image_that_cannot_be_pulled_is_the_operators(void **state)
{
    struct err e;
    (void)state;

    explain_task("{\"stopCode\":\"TaskFailedToStart\",\"stoppedReason\":\"CannotPullContainerError: i/o "
                 "timeout\",\"containers\":[]}",
                 0, nothing, &e);

    assert_string_equal(e.message,
                        "The rollout stopped: the app's tasks could not start: CannotPullContainerError: i/o timeout");
    assert_non_null(strstr(e.hint, "operator"));
}

static void a_task_that_made_room_tells_nothing(void **state)
{
    AUTO_JSON json_object *made_room =
        parsed("{\"stopCode\":\"ServiceSchedulerInitiated\",\"stoppedReason\":\"Scaling activity initiated by "
               "(deployment ecs-svc/1)\"}");
    AUTO_JSON json_object *by_hand =
        parsed("{\"stopCode\":\"UserInitiated\",\"stoppedReason\":\"Task stopped by user\"}");
    AUTO_JSON json_object *unhealthy =
        parsed("{\"stopCode\":\"ServiceSchedulerInitiated\",\"stoppedReason\":\"Task failed ELB health checks\"}");
    (void)state;

    assert_false(rollout_task_tells(made_room));
    assert_false(rollout_task_tells(by_hand));
    assert_true(rollout_task_tells(unhealthy));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_dockerfile_is_named),
        cmocka_unit_test(the_agents_own_lines_are_not_the_reason),
        cmocka_unit_test(a_failing_step_is_told_by_its_last_line),
        cmocka_unit_test(a_build_that_took_too_long_says_how_long_it_may),
        cmocka_unit_test(a_stopped_build_says_so),
        cmocka_unit_test(a_build_without_phases_still_has_a_reason),
        cmocka_unit_test(a_secret_in_the_phases_message_is_masked),
        cmocka_unit_test(a_crash_is_told_by_code_and_last_line),
        cmocka_unit_test(a_crash_with_an_empty_log_says_so),
        cmocka_unit_test(running_out_of_memory_names_the_limit),
        cmocka_unit_test(an_unhealthy_app_is_told_what_was_asked_of_it),
        cmocka_unit_test(an_image_that_cannot_be_pulled_is_the_operators),
        cmocka_unit_test(a_task_that_made_room_tells_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
