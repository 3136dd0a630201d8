/*
 * worker - leases releases that are due and takes each one step further, on any number of threads, processes and hosts.
 */
#ifndef BERTH_DEPLOY_WORKER_H
#define BERTH_DEPLOY_WORKER_H

#include "core/aws/aws.h"
#include "core/db/db.h"
#include "core/deploy/settings.h"
#include "core/github/rest.h"

struct pipeline_step;

struct worker_options {
    const struct settings *settings;
    struct db_pool *db; /* the worker login's; threads + 2 connections */
    struct aws *aws;
    const struct github *github;
    const struct clock *clock; /* NULL: clock_system */
    int threads;
    bool drain; /* do what is due, wait for what is under way, and end when nothing is left, or only later looks */
    const struct pipeline_step *steps; /* STEP_COUNT of them; NULL: berth's own. For tests */
};

/*
 * Runs until stop_fd becomes readable (finishing the step in hand, and handing the release on), or, when draining, until nothing waits. While Postgres is
 * away it waits. An error: it could not start.
 */
int worker_run(const struct worker_options *options, int stop_fd, struct err *e);

/* Checks what berth stands on (see settings.h) against AWS, before any release is touched. ERR_INVALID lists what is missing. */
int platform_check(struct aws *aws, const struct settings *settings, struct err *e);

#endif
