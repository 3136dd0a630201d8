#include "core/deploy/release_state.h"

#include <string.h>

/* clang-format off */
static const struct {
    enum release_state from, to;
    enum step_name first, last; /* at which steps */
    bool next_step;             /* to the one that follows, instead of staying */
} moves[] = {
    { RELEASE_QUEUED,  RELEASE_RUNNING,    STEP_SOURCE, STEP_ROUTE,   false },
    { RELEASE_QUEUED,  RELEASE_SUPERSEDED, STEP_SOURCE, STEP_ROUTE,   false },
    { RELEASE_QUEUED,  RELEASE_CANCELLED,  STEP_SOURCE, STEP_ROUTE,   false },
    { RELEASE_RUNNING, RELEASE_RUNNING,    STEP_SOURCE, STEP_ROLLOUT, true  },
    { RELEASE_RUNNING, RELEASE_LIVE,       STEP_LIVE,   STEP_LIVE,    false },
    { RELEASE_RUNNING, RELEASE_FAILED,     STEP_SOURCE, STEP_LIVE,    false },
    { RELEASE_RUNNING, RELEASE_SUPERSEDED, STEP_SOURCE, STEP_ROUTE,   false }, /* what has come to its rollout finishes first */
    { RELEASE_RUNNING, RELEASE_CANCELLED,  STEP_SOURCE, STEP_LIVE,    false },
};
/* clang-format on */

bool release_may_move(struct release_place from, struct release_place to)
{
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++)
        if (moves[i].from == from.state && moves[i].to == to.state && from.step >= moves[i].first &&
            from.step <= moves[i].last && (int)to.step == (int)from.step + moves[i].next_step)
            return true;
    return false;
}

enum step_name release_first_step(const char *kind)
{
    return strcmp(kind, "rollback") == 0 ? STEP_ROUTE : STEP_SOURCE;
}

bool release_has_ended(enum release_state state)
{
    return state != RELEASE_QUEUED && state != RELEASE_RUNNING;
}
