/*
 * test_point - places in the program where a test can have the process die or freeze.
 *
 * Only with -DBERTH_TEST_POINTS=ON (CMake); otherwise TEST_POINT is nothing and its name is not in the binary. At run time:
 *
 *     BERTH_TEST_POINT=build.StartBuild.after_call:1:kill   at the first time it gets there, the process kills itself (SIGKILL)
 *     BERTH_TEST_POINT=build.StartBuild.after_call:2:stop   at the second time, it stops itself (SIGSTOP); who started it wakes it (SIGCONT)
 *     BERTH_TEST_POINT_LOG=/some/file                       each point that is reached is appended to it, a line each
 *
 * `berth worker --list-test-points` prints every name. The names of the pipeline's points are composed at run time (see core/deploy/test_points.h), so
 * the list is a table; a point that is reached and not in the list ends the process with a message, so that no sweep misses one.
 */
#ifndef BERTH_BASE_TEST_POINT_H
#define BERTH_BASE_TEST_POINT_H

#ifdef BERTH_TEST_POINTS

#include <stdbool.h>

/* "{scope}.{action}.{moment}"; action NULL: "{scope}.{moment}". */
void test_point(const char *scope, const char *action, const char *moment);

/* Whether the list has it; asked at each point that is reached. Set before threads begin. NULL (until then): nothing is checked. */
void test_point_check(bool (*is_listed)(const char *name));

#define TEST_POINT(scope, action, moment) test_point(scope, action, moment)

#else

#define TEST_POINT(scope, action, moment) ((void)0)

#endif
#endif
