"""Who acts: the roles that services assume, and what sts:GetCallerIdentity says of the two known keys."""

import datetime
import json

from moto.iam.models import iam_backends
from moto.sts.responses import TokenResponse

from overlay import replace


def find_role(account, arn):
    """moto's role with this ARN, or None."""
    for role in iam_backends[account]["aws"].roles.values():
        if role.arn == arn:
            return role
    return None


def role_age(world, role):
    """Seconds since the role was made, in simulated time."""
    written = role.create_date.replace(tzinfo=datetime.timezone.utc).timestamp()
    return world.clock.now() - world.born.get(("role", role.name), written)


def role_trusts(world, account, arn, principal):
    """Whether this service principal can assume the role: it exists, its trust policy says so, and that has spread."""
    role = find_role(account, arn)
    if role is None:
        return False
    if role_age(world, role) < world.seconds("role_believed"):
        return False
    statements = json.loads(role.assume_role_policy_document).get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        services = statement.get("Principal", {})
        services = services.get("Service", []) if isinstance(services, dict) else []
        if statement.get("Effect") == "Allow" and principal in ([services] if isinstance(services, str) else services):
            return True
    return False


class Sts:
    def __init__(self, world):
        self._world = world

    def get_caller_identity(self, call):
        if call.access_key in self._world.keys:
            return {"UserId": call.account, "Account": call.account, "Arn": f"arn:{call.partition}:iam::{call.account}:root"}
        user_id, arn, account = call.response.backend.get_caller_identity(call.access_key, call.region)
        return {"UserId": user_id, "Account": account, "Arn": arn}


def install(world):
    replace(TokenResponse, Sts(world), ["GetCallerIdentity"])
