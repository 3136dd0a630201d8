/*
 * step_harness - one step of the pipeline on a real Postgres, with AWS scripted call by call.
 *
 * The app is shop (acme/shop, 8080, /healthz, 256 and 512, one task) and its release v1, leased, of the commit STEP_COMMIT. A test scripts the calls it expects, in
 * their order, runs the step, and closes: a call that didn't come, or another one, fails the test.
 */
#ifndef BERTH_TESTS_DB_STEP_HARNESS_H
#define BERTH_TESTS_DB_STEP_HARNESS_H

#include "core/deploy/steps/step.h"
#include "tests/db/harness.h"
#include "tests/unit/support_transport.h"

#define STEP_COMMIT "c982c1407be0c981e7b628d4c4ca182ce5225503"
#define STEP_DIGEST "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define STEP_ACCOUNT "123456789012"
#define STEP_LISTENER                                                                                                  \
    "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/berth/0123456789abcdef/0123456789abcdef"
#define STEP_BOUNDARY "arn:aws:iam::123456789012:policy/berth-boundary"

enum { STEP_CALLS_MAX = 64 };

struct step_harness {
    struct harness_database *database;
    struct db_pool *owner, *pool;
    struct db *db;
    struct fake_transport *fake;
    struct aws *aws;
    struct settings settings;
    const char *listeners[4], *subnets[2];
    struct arena *mem;
    struct step_run run;
    const char *expected[STEP_CALLS_MAX]; /* operations, in their order */
    size_t expected_count;
};

/* The server must have been named by harness_server. */
void step_open(struct step_harness *h);
void step_close(struct step_harness *h); /* all that was scripted was asked, in this order */

/* A call that is expected next, whose body has this part (NULL: any), and its answer. Query's replies are given without their wrappers. */
void step_expect(struct step_harness *h, const char *operation, const char *body_part, const char *reply);
void step_refuse(struct step_harness *h, const char *operation, const char *body_part, const char *code,
                 const char *message);
void step_lose(struct step_harness *h, const char *operation, const char *body_part); /* asked, but no answer came */

/* Whether the nth call, from 0, had this in its body (Query's body decoded). */
bool step_asked(struct step_harness *h, size_t nth, const char *part);

/* Reads app and release (v1, or the one that run names) anew, as a worker does before each step. attempt: the tries of this step, this one included. */
void step_reload(struct step_harness *h, int attempt);

/* SQL past row-level security; and whether a condition holds: step_holds(h, "EXISTS (SELECT ...)"). */
void step_sql(struct step_harness *h, const char *sql);
bool step_holds(struct step_harness *h, const char *condition);

#endif
