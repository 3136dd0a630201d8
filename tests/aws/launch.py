"""Why a task may fail to start: its image, roles, secrets and log group are looked up, as Fargate does before it runs anything."""

import re

from moto.ecr.models import ecr_backends
from moto.logs.models import logs_backends
from moto.secretsmanager.models import secretsmanager_backends

from identity import role_trusts

ECR_IMAGE = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com/([^:@]+)(?::([^@]+))?(?:@(sha256:[0-9a-f]{64}))?")


def reason_not_to_start(world, account, region, definition):
    """The stoppedReason of a task of this definition that cannot be started now; None when it can."""
    return (
        role_problem(world, account, definition)
        or _secrets(account, region, definition)
        or _log_groups(account, region, definition)
        or _images(account, region, definition)
    )


def role_problem(world, account, definition):
    """The sentence ECS has for a role of the task definition that cannot be assumed; None when all can."""
    for role in roles(definition):
        if not role_trusts(world, account, role, "ecs-tasks.amazonaws.com"):
            return (f"ECS was unable to assume the role '{role}' that was provided for this task. Please verify that the role "
                    "being passed has the proper trust relationship and permissions and that your IAM user has permissions "
                    "to pass this role.")
    return None


def roles(definition):
    return [role for role in (definition.get("executionRoleArn"), definition.get("taskRoleArn")) if role]


def find_image(account, region, image):
    """(is it in this account's registry, moto's image or None)."""
    match = ECR_IMAGE.fullmatch(image)
    if not match or match[1] != account:
        return False, None
    repository = ecr_backends[account][match[2]].repositories.get(match[3])
    tag, digest = match[4], match[5]
    for known in repository.images if repository else []:
        if digest and known.get_image_digest() == digest or not digest and (tag or "latest") in known.image_tags:
            return True, known
    return True, None


def _secrets(account, region, definition):
    backend = secretsmanager_backends[account][region]
    for container in definition["containerDefinitions"]:
        for secret in container.get("secrets", []):
            arn = ":".join(secret["valueFrom"].split(":")[:7])
            if arn.startswith("arn:aws:secretsmanager:") and not any(s.arn == arn for s in backend.secrets.values()):
                return ("ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
                        "failed: unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret "
                        f"{arn} from secrets manager: ResourceNotFoundException: Secrets Manager can't find the specified secret.")
    return None


def _log_groups(account, region, definition):
    for container in definition["containerDefinitions"]:
        logging = container.get("logConfiguration") or {}
        options = logging.get("options") or {}
        if logging.get("logDriver") != "awslogs" or options.get("awslogs-create-group") == "true":
            continue
        if options.get("awslogs-group") not in logs_backends[account][options.get("awslogs-region", region)].groups:
            return ("ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
                    "failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. "
                    ": exit status 1")
    return None


def _images(account, region, definition):
    for container in definition["containerDefinitions"]:
        in_registry, found = find_image(account, region, container["image"])
        if in_registry and found is None:
            return cannot_pull(container["image"])
    return None


def cannot_pull(image):
    return ("CannotPullContainerError: pull image manifest has been retried 1 time(s): "
            f"failed to resolve ref {image}: {image}: not found")
