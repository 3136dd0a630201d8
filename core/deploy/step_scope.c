#include "core/deploy/step_scope.h"

#include <string.h>

int step_role_may_be_fresh(struct err *e)
{
    static const char *const signs[] = { "sts:AssumeRole", "Role is not valid", "nable to assume",
                                         "service linked role" };

    for (size_t i = 0; e->code == ERR_INVALID && i < sizeof signs / sizeof *signs; i++)
        if (strstr(e->message, signs[i])) {
            e->code = ERR_TRANSIENT;
            err_hint(e,
                     "A new role takes some seconds until AWS believes it. If this stays, a policy of the organization "
                     "may keep the service from assuming the role.");
        }
    return e->code;
}
