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
enum { SPEC_PATIENCE_S = 9 * 60 }; /* how long a task that stopped answering stays in service at least */
#define SPEC_ROLE_POLICY "berth"   /* the name of a role's inline policy */

json_object *spec_health_check(const struct app *app); /* Create-, ModifyTargetGroup */
/* The same path asked for so seldom that a task is unhealthy only after SPEC_PATIENCE_S (see health_check.h). */
json_object *spec_health_check_patient(const struct app *app);
json_object *spec_target_group(const struct settings *settings,
                               const json_object *check); /* what a target group's spec hash is of */
json_object *spec_load_balancers(const struct app *app, const char *target_group_arn); /* of a service */
json_object *spec_service(const struct settings *settings, const struct app *app,
                          const char *target_group_arn); /* Create-, UpdateService */

#endif
