#include "core/deploy/pipeline.h"

/* clang-format off */
const struct pipeline_step pipeline[] = {
    [STEP_SOURCE]   = { "source",   source_ensure,   STEP_IDENTITY, .poll_s = 2,  .give_up_s = 600  },
    [STEP_IDENTITY] = { "identity", identity_ensure, STEP_BUILD,    .poll_s = 2,  .give_up_s = 300  },
    [STEP_BUILD]    = { "build",    build_ensure,    STEP_ROUTE,    .poll_s = 5,  .give_up_s = 3600, .abandon = build_abandon },
    [STEP_ROUTE]    = { "route",    route_ensure,    STEP_ROLLOUT,  .poll_s = 2,  .give_up_s = 300  },
    [STEP_ROLLOUT]  = { "rollout",  rollout_ensure,  STEP_LIVE,     .poll_s = 10, .give_up_s = 1200, .abandon = rollout_abandon },
    [STEP_LIVE]     = { "live",     live_ensure,     STEP_LIVE,     .poll_s = 2,  .give_up_s = 1200, .abandon = rollout_abandon },
};
/* clang-format on */
_Static_assert(sizeof pipeline / sizeof *pipeline == STEP_COUNT, "no row past the last step");

int64_t pipeline_wait_ms(const struct pipeline_step *step, int waits)
{
    int64_t most = (int64_t)step->poll_s * 1000;
    int64_t wait = PIPELINE_FIRST_WAIT_MS;

    for (int i = 0; i < waits && wait < most; i++)
        wait += wait / 2;
    return wait < most ? wait : most;
}

bool pipeline_may_retry(const struct err *e)
{
    return err_may_retry(e) || e->code == ERR_CONFLICT || e->code == ERR_QUOTA || aws_credentials_expired(e) ||
           aws_clock_is_off(e);
}

int64_t pipeline_backoff_ms(int attempt, uint32_t random)
{
    int64_t bound = PIPELINE_BACKOFF_MS;

    for (int i = 1; i < attempt && bound < PIPELINE_BACKOFF_MAX_MS; i++)
        bound *= 2;
    if (bound > PIPELINE_BACKOFF_MAX_MS)
        bound = PIPELINE_BACKOFF_MAX_MS;
    return 1 + (int64_t)(random % (uint32_t)bound);
}
