#include "core/deploy/steps/step_scope.h"

#include <string.h>

#include "core/deploy/estate/ownership.h"

enum { UNSEEN_TRIES_MAX = 7 }; /* with the pipeline's back-off */

static bool says(const struct err *e, const char *const *signs)
{
    for (; *signs; signs++)
        if (strstr(e->message, *signs))
            return true;
    return false;
}

int step_not_yet(struct err *e)
{
    static const char *const of_a_role[] = { "sts:AssumeRole", "Role is not valid", "nable to assume",
                                             "service linked role", NULL };
    static const char *const of_a_route[] = { "does not have an associated load balancer", NULL };

    if (e->code == ERR_INVALID && says(e, of_a_role)) {
        e->code = ERR_TRANSIENT;
        err_hint(e, "A new role takes some seconds until AWS believes it. If this stays, a policy of the organization "
                    "may keep the service from assuming the role.");
    } else if ((e->code == ERR_INVALID && says(e, of_a_route)) || err_is(e, "NoSuchEntity") ||
               err_is(e, "TargetGroupNotFound")) {
        e->code = ERR_TRANSIENT;
    }
    return e->code;
}

int step_not_shown(const struct step_run *run, struct err *e)
{
    if (run->release.attempt < UNSEEN_TRIES_MAX && (e->code == ERR_NOT_FOUND || err_is(e, OWNERSHIP_UNTAGGED)))
        e->code = ERR_TRANSIENT;
    return e->code;
}
