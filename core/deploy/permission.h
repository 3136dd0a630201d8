/*
 * permission - which statement of docs/aws-permissions.md a refused call lacks.
 */
#ifndef BERTH_DEPLOY_PERMISSION_H
#define BERTH_DEPLOY_PERMISSION_H

#include "core/base/err.h"

/* Of an ERR_DENIED of AWS ("User: ... is not authorized to perform: iam:PassRole on resource: ..."): puts who lacks what, the statement to add and where it is
 * explained into the hint. Anything else stays as it is. */
void permission_hint(struct err *e);

/* The statement's Sid for an action of the worker; NULL: the worker needs no such action. */
const char *permission_statement(const char *action);

#endif
