#include "core/deploy/steps/specs.h"

#include "core/deploy/steps/policies.h"

enum {
    HEALTH_INTERVAL_S = 10,
    HEALTH_TIMEOUT_S = 5,
    HEALTH_COUNT = 2,
    PATIENT_INTERVAL_S = 60,
    PATIENT_COUNT = 10,
    BREAKER_FAILURES = 3,
    GRACE_S = 60 /* how long after its start a task may fail its health checks */
};

static json_object *health_check(const struct app *app, int interval_s, int unhealthy_count)
{
    return json_build("{s:s, s:s, s:i, s:i, s:i, s:i, s:{s:s}}", "HealthCheckProtocol", "HTTP", "HealthCheckPath",
                      app->health_check_path, "HealthCheckIntervalSeconds", interval_s, "HealthCheckTimeoutSeconds",
                      HEALTH_TIMEOUT_S, "HealthyThresholdCount", HEALTH_COUNT, "UnhealthyThresholdCount",
                      unhealthy_count, "Matcher", "HttpCode", "200-399");
}

json_object *spec_health_check(const struct app *app)
{
    return health_check(app, HEALTH_INTERVAL_S, HEALTH_COUNT);
}

_Static_assert((PATIENT_COUNT - 1) * PATIENT_INTERVAL_S == SPEC_PATIENCE_S, "the first failure may come at once");

json_object *spec_health_check_patient(const struct app *app)
{
    return health_check(app, PATIENT_INTERVAL_S, PATIENT_COUNT);
}

json_object *spec_target_group(const struct settings *settings, const json_object *check)
{
    return json_build("{s:s, s:s, s:O}", "vpc", settings->vpc, "delay", SPEC_DEREGISTRATION_DELAY_S, "check", check);
}

json_object *spec_load_balancers(const struct app *app, const char *target_group_arn)
{
    return json_build("[{s:s, s:s, s:i}]", "targetGroupArn", target_group_arn, "containerName", CONTAINER_NAME,
                      "containerPort", app->port);
}

json_object *spec_service(const struct settings *settings, const struct app *app, const char *target_group_arn)
{
    json_object *subnets = json_new_array();
    json_object *ask;

    for (size_t i = 0; i < settings->subnets.count; i++)
        json_append(subnets, json_text(settings->subnets.items[i]));
    /* While it rolls out an app has twice its tasks. The breaker's own defaults would take up to 200 failures, and forget them at each healthy task. */
    ask = json_build("{s:{s:i, s:i, s:{s:b, s:b, s:b, s:{s:s, s:i}}}, s:{s:{s:o, s:[s], s:s}}}",
                     "deploymentConfiguration", "minimumHealthyPercent", 100, "maximumPercent", 200,
                     "deploymentCircuitBreaker", "enable", 1, "rollback", 1, "resetOnHealthyTask", 0,
                     "thresholdConfiguration", "type", "COUNT", "value", BREAKER_FAILURES, "networkConfiguration",
                     "awsvpcConfiguration", "subnets", subnets, "securityGroups", settings->security_group,
                     "assignPublicIp", settings->assign_public_ip ? "ENABLED" : "DISABLED");
    json_put(ask, "loadBalancers", spec_load_balancers(app, target_group_arn));
    json_put(ask, "healthCheckGracePeriodSeconds", json_number(GRACE_S));
    json_put(ask, "propagateTags", json_text("TASK_DEFINITION"));
    json_put(ask, "enableECSManagedTags", json_build("b", 1));
    return ask;
}
