#include "core/deploy/lease.h"

enum { RENEWALS_MAX = 3 };

static int64_t left_ms(const struct lease *lease)
{
    return lease->ends_ms - clock_monotonic_ms(lease->clock);
}

int lease_renew(struct lease *lease, struct err *e)
{
    int64_t asked_ms = clock_monotonic_ms(lease->clock);

    if (lease->renew(lease->holder, e))
        return e->code;
    lease->ends_ms = asked_ms + lease->length_ms;
    return 0;
}

/* A renewal may itself take longer than the lease, when the machine or the database stalls. */
static int may_change(void *context, int timeout_ms, struct err *e)
{
    struct lease *lease = context;

    for (int i = 0; left_ms(lease) < timeout_ms; i++) {
        if (i == RENEWALS_MAX) {
            err_set(e, ERR_CONFLICT, "the lease runs out faster than it is renewed");
            return err_detail(e, LEASE_LOST);
        }
        if (lease_renew(lease, e))
            return e->code;
    }
    lease->sends++;
    return 0;
}

struct aws_guard lease_to_change(struct lease *lease)
{
    lease->sends = 0;
    return (struct aws_guard){ .may_send = may_change,
                               .context = lease,
                               .timeout_max_ms = (int)(lease->length_ms / 4 * 3) };
}

int lease_keep(struct lease *lease, struct err *e)
{
    return left_ms(lease) < lease->length_ms / 3 * 2 ? lease_renew(lease, e) : 0;
}

static int may_look(void *context, int timeout_ms, struct err *e)
{
    (void)timeout_ms;
    return lease_keep(context, e);
}

struct aws_guard lease_to_look(struct lease *lease)
{
    return (struct aws_guard){ .may_send = may_look, .context = lease };
}
