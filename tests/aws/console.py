"""What somebody else does to berth's things in the middle: orders of tests, carried out as from the console."""

from moto.ecs.models import ecs_backends

from world import ACCOUNT

ACTIONS = ("deploy", "scale", "rollback", "stop", "delete")


class ConsoleCall:
    """A call as the overlay's services take it, from nobody whose key the gate knows."""

    account, partition, access_key = ACCOUNT, "aws", None

    def __init__(self, region, params):
        self.region = region
        self.params = params

    def arn(self, service, resource):
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


def update_service(world, order):
    """{"service", "action", "task_definition"?, "desired"?}; returns the service as it is then."""
    if order.get("action") not in ACTIONS:
        raise ValueError(f"action must be one of {', '.join(ACTIONS)}")
    service = next((s for s in world.ecs.services() if s.name == order["service"] and s.status == "ACTIVE"), None)
    if service is None:
        raise ValueError(f"there is no active service {order['service']}")
    region = next(region for region, backend in ecs_backends[ACCOUNT].items() if service in backend.services.values())
    named = {"cluster": service.cluster_name, "service": service.name}
    if order["action"] == "deploy":
        definition = order.get("task_definition") or service.task_definition
        params = {**named, "taskDefinition": definition, "forceNewDeployment": True}
        return world.ecs.update_service(ConsoleCall(region, params))
    if order["action"] == "scale":
        return world.ecs.update_service(ConsoleCall(region, {**named, "desiredCount": int(order["desired"])}))
    if order["action"] == "delete":
        return world.ecs.delete_service(ConsoleCall(region, {**named, "force": True}))
    return _stop_deployment(world, service, region, order["action"])


def _stop_deployment(world, service, region, action):
    """`rollback` goes back to the last completed deployment, also when the present one is completed; `stop` stays."""
    current = service.rollout.history[0]
    if current["finished"] is not None:
        if action == "stop" or len(service.rollout.history) < 2:
            raise ValueError("the service has no deployment in progress")
        definition = service.rollout.history[1]["deployment"].definition["taskDefinitionArn"]
        params = {"cluster": service.cluster_name, "service": service.name, "taskDefinition": definition}
        return world.ecs.update_service(ConsoleCall(region, params))
    stop = "ROLLBACK" if action == "rollback" else "ABORT"
    params = {"serviceDeploymentArn": service.rollout.history_arn(current), "stopType": stop}
    return world.ecs.stop_service_deployment(ConsoleCall(region, params))
