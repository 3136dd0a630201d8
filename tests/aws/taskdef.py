"""Task definitions: what RegisterTaskDefinition refuses for Fargate, and every member read back."""

import copy

from errors import Refused

# docs.aws.amazon.com, "Task CPU and memory": CPU units -> memory in MiB.
FARGATE_SIZES = {
    256: [512, 1024, 2048],
    512: list(range(1024, 4097, 1024)),
    1024: list(range(2048, 8193, 1024)),
    2048: list(range(4096, 16385, 1024)),
    4096: list(range(8192, 30721, 1024)),
    8192: list(range(16384, 61441, 4096)),
    16384: list(range(32768, 122881, 8192)),
    32768: [61440, 122880, 249856],
}
CONTAINER_DEFAULTS = {
    "cpu": 0, "essential": True, "portMappings": [], "environment": [], "mountPoints": [], "volumesFrom": [], "systemControls": [],
}


def check(params):
    containers = params["containerDefinitions"]
    if not containers:
        raise client_exception("Container list cannot be empty.")
    for container in containers:
        for member in ("name", "image"):
            if not container.get(member):
                raise client_exception(f"Container.{member} should not be null or empty.")
    names = [container["name"] for container in containers]
    if len(set(names)) != len(names):
        raise client_exception("Container definitions should have unique names.")
    if not any(container.get("essential", True) for container in containers):
        raise client_exception("Task definition does not have any essential containers.")
    if "FARGATE" in params.get("requiresCompatibilities", []):
        _check_fargate(params, containers)


def _check_fargate(params, containers):
    if params.get("networkMode") != "awsvpc":
        raise client_exception("Fargate only supports network mode ‘awsvpc’.")
    for member in ("cpu", "memory"):
        if not params.get(member):
            raise client_exception(f"Fargate requires that '{member}' be defined at the task level.")
    cpu, memory = _units(params["cpu"], "vcpu"), _units(params["memory"], "gb")
    if memory not in FARGATE_SIZES.get(cpu, []):
        raise client_exception(f"No Fargate configuration exists for given values: {params['cpu']} CPU, {params['memory']} memory. "
                               "See the Amazon ECS documentation for the valid values.")
    for container in containers:
        _check_fargate_container(params, container, memory)


def _check_fargate_container(params, container, memory):
    if not params.get("executionRoleArn"):
        if ".dkr.ecr." in container["image"]:
            raise client_exception("Fargate requires task definition to have execution role ARN to support ECR images.")
        if (container.get("logConfiguration") or {}).get("logDriver") == "awslogs":
            raise client_exception("Fargate requires task definition to have execution role ARN to support log driver awslogs.")
        if container.get("secrets"):
            raise client_exception("When you are specifying container secrets, you must also specify a value for "
                                   "'executionRoleArn'.")
    if container.get("memory", 0) > memory:
        raise client_exception(f"Invalid setting for container '{container['name']}'. "
                               "The 'memory' must not be more than the task's.")
    for mapping in container.get("portMappings", []):
        if mapping.get("hostPort") not in (None, 0, mapping["containerPort"]):
            raise client_exception("When networkMode=awsvpc, the host ports and container ports in port mappings must match.")


def _units(value, unit):
    """Task sizes are text: units or MiB, or vCPU and GB with their unit."""
    text = value.lower().replace(" ", "")
    try:
        return int(float(text.removesuffix(unit)) * 1024) if text.endswith(unit) else int(text)
    except ValueError:
        raise client_exception(f"Invalid '{'cpu' if unit == 'vcpu' else 'memory'}' setting for task.") from None


def complete(params, arn, revision, registered_at, registered_by):
    """The task definition as DescribeTaskDefinition shows it: what was given, and AWS's defaults."""
    definition = copy.deepcopy({name: value for name, value in params.items() if name != "tags"})
    fargate = "FARGATE" in definition.get("requiresCompatibilities", [])
    definition["containerDefinitions"] = [_complete_container(c, definition) for c in definition["containerDefinitions"]]
    definition.setdefault("networkMode", "bridge")
    definition.update(
        taskDefinitionArn=arn, revision=revision, status="ACTIVE", registeredAt=registered_at, registeredBy=registered_by,
        compatibilities=["EC2", "FARGATE"] if fargate else ["EC2"],
        volumes=definition.get("volumes", []), placementConstraints=definition.get("placementConstraints", []),
    )
    return definition


def _complete_container(container, definition):
    completed = {**copy.deepcopy(CONTAINER_DEFAULTS), **container}
    for mapping in completed["portMappings"]:
        mapping.setdefault("protocol", "tcp")
        mapping.setdefault("hostPort", mapping["containerPort"] if definition.get("networkMode") == "awsvpc" else 0)
    return completed


def client_exception(message):
    return Refused("ClientException", message)
