/*
 * test_points - every test point of the engine, as a table (see core/base/test_point.h). Only with -DBERTH_TEST_POINTS=ON.
 *
 * For each step and each operation that it may ask AWS for, "{step}.{operation}." and
 *   before_intent  nothing is written down yet        after_intent  the intent is committed, nothing is asked yet
 *   after_call     AWS has answered, we noted nothing  after_answer  the answer is noted
 * and for each kind of commit "{step}.{commit}.before" and ".after": facts (of the release), resource (recorded), note (a line of the timeline), lease
 * (renewed by itself) and move (to the next step, to wait, to fail). live has go_live, the worker has claim, the poller has wake.
 * A teardown has no intents: "teardown.{operation}.before" and ".after", and claim, lease, move and forget.
 * A new operation of a step needs its row here, or the first run of a build with test points ends at it.
 */
#ifndef BERTH_DEPLOY_TEST_POINTS_H
#define BERTH_DEPLOY_TEST_POINTS_H

#ifdef BERTH_TEST_POINTS

#include <stdbool.h>

bool test_points_list_has(const char *name);
void test_points_print(void); /* a line each, on standard output */

#endif
#endif
