"""iam:SimulatePrincipalPolicy: what the policies of a role or user allow, by the documents that it really has.

As IAM decides: an explicit Deny wins, then an Allow, else an implicit deny. Conditions are read from the
request's context entries; an operator that isn't here fails loudly.
"""

import fnmatch
import json
import urllib.parse

from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse

from errors import AwsError
from overlay import replace


def as_list(value):
    return value if isinstance(value, list) else [value]


def matches(value, patterns, ignore_case=False):
    def fold(text):
        # Only * and ? mean something in a policy.
        return (text.lower() if ignore_case else text).replace("[", "[[]")
    return any(fnmatch.fnmatchcase(value.lower() if ignore_case else value, fold(pattern)) for pattern in as_list(patterns))


def holds(operator, key, wanted, context):
    """Whether one condition of a statement holds; a key that the request lacks fails it, but for Null."""
    values = context.get(key.lower())
    if operator == "Null":
        return (values is None) == (str(as_list(wanted)[0]).lower() == "true")
    if values is None:
        return False
    if operator == "StringEquals":
        return any(value in as_list(wanted) for value in values)
    if operator in ("StringLike", "ArnLike", "ArnEquals"):
        return any(matches(value, wanted) for value in values)
    raise NotImplementedError(f"the condition operator {operator}")


def fits(statement, action, resource, context):
    conditions = statement.get("Condition", {})
    return (
        matches(action, statement["Action"], ignore_case=True) and matches(resource, statement["Resource"])
        and all(holds(operator, key, wanted, context) for operator, keys in conditions.items() for key, wanted in keys.items())
    )


def decide(documents, action, resource, context):
    effects = {
        statement["Effect"] for document in documents for statement in as_list(document["Statement"]) if fits(statement, action, resource, context)
    }
    return "explicitDeny" if "Deny" in effects else "allowed" if "Allow" in effects else "implicitDeny"


def documents_of(principal):
    texts = [*principal.policies.values(), *(policy.document for policy in principal.managed_policies.values())]
    return [json.loads(urllib.parse.unquote(text) if text.startswith("%") else text) for text in texts]


class Simulator:
    def simulate_principal_policy(self, call):
        arn = call.params["PolicySourceArn"]
        backend = iam_backends[call.account][call.partition]
        principal = next((one for one in [*backend.roles.values(), *backend.users.values()] if one.arn == arn), None)
        if principal is None:
            raise AwsError("NoSuchEntity", f"The entity with arn {arn} cannot be found.", 404)
        context = {entry["ContextKeyName"].lower(): entry["ContextKeyValues"] for entry in call.params.get("ContextEntries", [])}
        documents = documents_of(principal)
        return {"IsTruncated": False, "EvaluationResults": [
            {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": decide(documents, action, resource, context),
             "MatchedStatements": [], "MissingContextValues": []}
            for action in call.params["ActionNames"] for resource in call.params.get("ResourceArns") or ["*"]
        ]}


def install(_world):
    replace(IamResponse, Simulator(), ["SimulatePrincipalPolicy"])
