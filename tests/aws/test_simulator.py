"""SimulatePrincipalPolicy, as berth doctor asks it."""

import json

import pytest
from botocore.exceptions import ClientError

TAGGED = {"ContextKeyName": "aws:ResourceTag/berth:app", "ContextKeyType": "string", "ContextKeyValues": ["doctor"]}


def simulate(account, statements, actions, resource="*", context=()):
    name = account.name("role")
    account.role("ecs-tasks.amazonaws.com", name)
    document = {"Version": "2012-10-17", "Statement": statements}
    account.iam.put_role_policy(RoleName=name, PolicyName="berth", PolicyDocument=json.dumps(document))
    arn = account.iam.get_role(RoleName=name)["Role"]["Arn"]
    answer = account.iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=actions, ResourceArns=[resource], ContextEntries=list(context))
    return {result["EvalActionName"]: result["EvalDecision"] for result in answer["EvaluationResults"]}


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def test_what_no_statement_names_is_denied_implicitly(account):
    assert simulate(account, [allow("s3:GetObject")], ["s3:GetObject", "s3:PutObject"]) == {
        "s3:GetObject": "allowed", "s3:PutObject": "implicitDeny"}


def test_a_deny_wins_over_an_allow(account):
    statements = [allow("s3:*"), {"Effect": "Deny", "Action": "s3:Put*", "Resource": "*"}]

    assert simulate(account, statements, ["s3:PutObject"]) == {"s3:PutObject": "explicitDeny"}


def test_another_resource_is_not_allowed(account):
    assert simulate(account, [allow("s3:GetObject", "arn:aws:s3:::one/*")], ["s3:GetObject"], "arn:aws:s3:::two/x") == {"s3:GetObject": "implicitDeny"}


@pytest.mark.parametrize("context, decision", [((), "implicitDeny"), ((TAGGED,), "allowed")])
def test_a_condition_on_a_tag_needs_the_tag_in_the_context(account, context, decision):
    statement = allow("ecs:DeleteService", Condition={"Null": {"aws:ResourceTag/berth:app": "false"}})

    assert simulate(account, [statement], ["ecs:DeleteService"], context=context) == {"ecs:DeleteService": decision}


def test_a_principal_that_is_not_there_is_refused(account):
    with pytest.raises(ClientError, match="NoSuchEntity"):
        account.iam.simulate_principal_policy(PolicySourceArn="arn:aws:iam::123456789012:role/nobody", ActionNames=["s3:GetObject"])
