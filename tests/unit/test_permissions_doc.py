"""docs/aws-permissions.md allows what the source calls, and nothing else."""

import fnmatch
import json
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = TOP / "docs" / "aws-permissions.md"

PREFIXES = {
    "CODEBUILD": "codebuild", "EC2": "ec2", "ECR": "ecr", "ECS": "ecs", "ELBV2": "elasticloadbalancing", "IAM": "iam", "LOGS": "logs",
    "SECRETSMANAGER": "secretsmanager", "STS": "sts",
}
CALL = re.compile(r'&(' + "|".join(PREFIXES) + r'),\s*"(\w+)"')
S3_ACTION = re.compile(r'\.action\s*=[^;,}]*?"(s3:\w+)"|"(s3:\w+)"')

# Asked of AWS by making a thing with tags, or by handing on a role: no call has their name.
IMPLIED = {
    "logs:TagResource", "ecr:TagResource", "ecs:TagResource", "iam:TagRole", "elasticloadbalancing:AddTags", "secretsmanager:TagResource",
    "iam:PassRole", "iam:CreateServiceLinkedRole",
}
# GetCallerIdentity needs no permission; sources are removed version by version, though the client can do without.
NOT_NEEDED = {"sts:GetCallerIdentity", "s3:DeleteObject"}
# IAM and AWS STS quotas: a managed policy, white space not counted.
MANAGED_POLICY_MAX = 6144
# The document's policies, in its order.
RESPONDER, WORKER, REMOVING, COMMAND = range(4)


def policies():
    return [json.loads(text) for text in re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)]


def statements():
    return [statement for policy in policies() for statement in policy["Statement"]]


def actions_of(statement):
    actions = statement["Action"]
    return [actions] if isinstance(actions, str) else actions


def called():
    found = set()
    for folder in ("core", "fcgi"):
        for path in (TOP / folder).rglob("*.c"):
            text = path.read_text()
            found |= {f"{PREFIXES[service]}:{operation}" for service, operation in CALL.findall(text)}
            if path.name != "policies.c":  # what tenants may, not what berth calls
                found |= {first or second for first, second in S3_ACTION.findall(text)}
    return found


def test_every_call_is_allowed():
    allowed = {action for statement in statements() for action in actions_of(statement)}

    assert called() - NOT_NEEDED - allowed == set()


def test_nothing_is_allowed_that_is_never_called():
    allowed = {action for statement in statements() for action in actions_of(statement)}

    assert allowed - called() - IMPLIED == set()


def test_only_reading_is_allowed_on_everything():
    for statement in statements():
        if statement["Resource"] == "*":
            for action in actions_of(statement):
                # AWS takes no resource for the latter ("Actions defined by Amazon ECS"), and it ends nothing that runs.
                assert action.partition(":")[2].startswith(("Describe", "List")) or action == "ecs:DeregisterTaskDefinition", action


def test_the_hint_of_a_refused_call_names_the_statement_that_allows_it():
    rows = re.findall(r'{ "([a-z0-9]+:[\w*]+)", "(\w+)" }', (TOP / "core" / "deploy" / "permission.c").read_text())

    assert rows
    for statement in policies()[WORKER]["Statement"] + policies()[REMOVING]["Statement"]:
        for action in actions_of(statement):
            named = next((sid for pattern, sid in rows if fnmatch.fnmatch(action, pattern)), None)
            assert named == statement["Sid"], action


def test_no_role_is_made_or_given_a_policy_without_the_boundary():
    for statement in statements():
        if {"iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"} & set(actions_of(statement)):
            assert "iam:PermissionsBoundary" in statement["Condition"]["StringEquals"]


def test_each_policy_fits_a_managed_policy():
    for policy in policies():
        assert len(json.dumps(policy, separators=(",", ":"))) <= MANAGED_POLICY_MAX


def test_a_listener_rule_is_changed_and_anything_removed_only_by_its_tag():
    for statement in statements():
        for action in actions_of(statement):
            verb = action.partition(":")[2]
            if action.startswith("elasticloadbalancing:Modify") or (verb.startswith("Delete") and action != "s3:DeleteObjectVersion"):
                assert statement["Condition"] == {"Null": {"aws:ResourceTag/berth:app": "false"}}, action


def test_each_statement_is_explained():
    text = DOCUMENT.read_text()

    for number in (WORKER, REMOVING, COMMAND):
        for statement in policies()[number]["Statement"]:
            assert text.count(statement["Sid"]) >= 2, statement["Sid"]
