#include "fcgi/gate.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/fatal.h"

/* One that waits; on its own stack. */
struct waiter {
    pthread_cond_t called;
    bool admitted;
    struct waiter *next;
};

struct gate {
    pthread_mutex_t lock;
    int room; /* places left */
    struct waiter *first, **last;
};

struct gate *gate_new(int room)
{
    struct gate *gate = calloc(1, sizeof(*gate));

    if (!gate)
        fatal_no_memory();
    pthread_mutex_init(&gate->lock, NULL);
    gate->room = room;
    gate->last = &gate->first;
    return gate;
}

void gate_free(struct gate *gate)
{
    if (!gate)
        return;
    pthread_mutex_destroy(&gate->lock);
    free(gate);
}

static void give_up(struct gate *gate, struct waiter *waiter)
{
    struct waiter **at = &gate->first;

    while (*at != waiter)
        at = &(*at)->next;
    *at = waiter->next;
    if (gate->last == &waiter->next)
        gate->last = at;
}

/* Called with the lock. */
static bool wait_in_line(struct gate *gate, int timeout_ms)
{
    struct timespec until = clock_after_ms(timeout_ms);
    struct waiter waiter = { 0 };
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&waiter.called, &attributes);
    pthread_condattr_destroy(&attributes);
    *gate->last = &waiter;
    gate->last = &waiter.next;
    while (!waiter.admitted) {
        if (pthread_cond_timedwait(&waiter.called, &gate->lock, &until) == ETIMEDOUT)
            break;
    }
    if (!waiter.admitted)
        give_up(gate, &waiter);
    pthread_cond_destroy(&waiter.called);
    return waiter.admitted;
}

bool gate_enter(struct gate *gate, int timeout_ms)
{
    bool admitted = true;

    pthread_mutex_lock(&gate->lock);
    if (gate->room > 0 && !gate->first)
        gate->room--;
    else
        admitted = wait_in_line(gate, timeout_ms);
    pthread_mutex_unlock(&gate->lock);
    return admitted;
}

/* The place goes to the one that waits longest. */
void gate_leave(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    struct waiter *waiter = gate->first;
    if (waiter) {
        gate->first = waiter->next;
        if (!gate->first)
            gate->last = &gate->first;
        waiter->admitted = true;
        pthread_cond_signal(&waiter->called);
    } else {
        gate->room++;
    }
    pthread_mutex_unlock(&gate->lock);
}
