/*
 * specs - what the things of an app are made from, where more than the step that makes them must know it: reconcile compares them with what AWS has.
 *
 * Pure. Each is the parameters of the call that makes the thing, without its name, its tags and what differs from release to release.
 */
#ifndef BERTH_DEPLOY_SPECS_H
#define BERTH_DEPLOY_SPECS_H

#include "core/base/json.h"
#include "core/deploy/settings.h"
#include "core/tenant/app.h"

#define SPEC_DEREGISTRATION_DELAY_S "30"
#define SPEC_ROLE_POLICY "berth" /* the name of a role's inline policy */

json_object *spec_health_check(const struct app *app); /* Create-, ModifyTargetGroup */
json_object *spec_service(const struct settings *settings, const struct app *app,
                          const char *target_group_arn); /* Create-, UpdateService */

#endif
