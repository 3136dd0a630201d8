/*
 * lease - a worker's hold on a release or a teardown, by its own clock, and the guards that keep its calls to AWS within it.
 *
 * It is counted from when a renewal was asked for, so it is over here before it is in Postgres. Under lease_to_change each try of a call is begun only while the
 * lease outlasts the try's timeout; otherwise it is renewed first, and when another worker has it by now nothing is sent. So a worker that was frozen sends
 * nothing after its lease. Under lease_to_look it is renewed once a third of it is gone: a worker that only looks, and that a slow AWS keeps waiting, would
 * otherwise lose what it holds to the next one, which is kept waiting as long.
 */
#ifndef BERTH_DEPLOY_LEASE_H
#define BERTH_DEPLOY_LEASE_H

#include "core/aws/aws.h"

#define LEASE_LOST "lease" /* the detail of the ERR_CONFLICT that says so */

struct lease {
    const struct clock *clock;
    int64_t length_ms; /* how long a renewal holds */
    int64_t ends_ms;   /* monotonic; 0: not known, so renew */
    int (*renew)(void *holder,
                 struct err *e); /* in Postgres, for length_ms; ERR_CONFLICT, LEASE_LOST: another worker has it */
    void *holder;
    int sends; /* tries that lease_to_change has let pass, since it was asked for */
};

int lease_renew(struct lease *lease, struct err *e);
int lease_keep(struct lease *lease,
               struct err *e); /* renewed when a third of it is gone: for what is no aws_call and may keep us waiting */

struct aws_guard lease_to_change(struct lease *lease);
struct aws_guard lease_to_look(struct lease *lease);

#endif
