"""Stale reads: for a while after a change berth sees what was before it, and the observer what is."""

import json

import pytest
from botocore.exceptions import ClientError

WINDOW_S = 60


@pytest.fixture
def stale(account):
    """Every service's reads are stale for a simulated minute; returns the skip over them."""
    account.stand_in.control("consistency", {"*": WINDOW_S * 1000})
    yield lambda: account.stand_in.control("advance", {"seconds": WINDOW_S + 1})
    account.stand_in.control("consistency", {"*": 0})


def code(call):
    with pytest.raises(ClientError) as error:
        call()
    return error.value.response["Error"]["Code"]


def test_a_new_service_and_its_deployment_are_not_seen_at_first(account, berth, stale):
    request, _ = account.routed_service_request()
    name = berth["ecs"].create_service(**request)["service"]["serviceName"]

    early = berth["ecs"].describe_services(cluster="berth", services=[name])
    early_deployments = berth["ecs"].list_service_deployments(cluster="berth", service=name)["serviceDeployments"]
    observed = account.service(name)["status"]
    stale()

    assert ([each["reason"] for each in early["failures"]], early_deployments, observed) == (["MISSING"], [], "ACTIVE")
    assert berth["ecs"].describe_services(cluster="berth", services=[name])["services"][0]["serviceName"] == name
    assert len(berth["ecs"].list_service_deployments(cluster="berth", service=name)["serviceDeployments"]) == 1


def test_an_update_shows_the_old_task_definition_at_first(account, berth, stale):
    request, _ = account.routed_service_request()
    name = account.ecs.create_service(**request)["service"]["serviceName"]
    stale()
    new = account.task_definition()
    berth["ecs"].update_service(cluster="berth", service=name, taskDefinition=new)

    seen = berth["ecs"].describe_services(cluster="berth", services=[name])["services"][0]
    stale()

    assert seen["taskDefinition"] == request["taskDefinition"]
    assert berth["ecs"].describe_services(cluster="berth", services=[name])["services"][0]["taskDefinition"] == new


def test_a_new_target_group_is_not_found_at_first_and_made_only_once(account, berth, stale):
    wanted = {"Name": account.name("tg"), "Protocol": "HTTP", "Port": 8080, "VpcId": account.platform["vpc"], "TargetType": "ip"}
    first = berth["elbv2"].create_target_group(**wanted)["TargetGroups"][0]["TargetGroupArn"]

    missing = code(lambda: berth["elbv2"].describe_target_groups(Names=[wanted["Name"]]))
    second = berth["elbv2"].create_target_group(**wanted)["TargetGroups"][0]["TargetGroupArn"]
    stale()

    assert (missing, second) == ("TargetGroupNotFound", first)
    assert berth["elbv2"].describe_target_groups(Names=[wanted["Name"]])["TargetGroups"][0]["TargetGroupArn"] == first


def rules(client, account):
    pages = client.get_paginator("describe_rules").paginate(ListenerArn=account.platform["listeners"])
    return {rule["RuleArn"]: rule for answer in pages for rule in answer["Rules"]}


def test_a_new_rule_comes_late_and_a_deleted_one_goes_late(account, berth, stale):
    rule = account.rule(account.target_group())

    born = rule in rules(berth["elbv2"], account)
    stale()
    seen = rule in rules(berth["elbv2"], account)
    berth["elbv2"].delete_rule(RuleArn=rule)
    lingers, gone = rule in rules(berth["elbv2"], account), rule not in rules(account.elbv2, account)
    stale()

    assert (born, seen, lingers, gone) == (False, True, True, True)
    assert rule not in rules(berth["elbv2"], account)


def test_a_modified_rule_forwards_to_the_old_target_group_at_first(account, berth, stale):
    old, new = account.target_group(), account.target_group()
    rule = account.rule(old)
    stale()
    berth["elbv2"].modify_rule(RuleArn=rule, Actions=[{"Type": "forward", "TargetGroupArn": new}])

    seen = rules(berth["elbv2"], account)[rule]["Actions"][0]["TargetGroupArn"]
    stale()

    assert (seen, rules(berth["elbv2"], account)[rule]["Actions"][0]["TargetGroupArn"]) == (old, new)


def test_a_build_that_was_just_started_is_not_found(account, berth, stale):
    project = account.project()
    stale()
    build = berth["codebuild"].start_build(projectName=project)["build"]["id"]

    seen = berth["codebuild"].batch_get_builds(ids=[build])
    listed = berth["codebuild"].list_builds_for_project(projectName=project)["ids"]
    stale()

    assert (seen["builds"], seen["buildsNotFound"], listed) == ([], [build], [])
    assert berth["codebuild"].batch_get_builds(ids=[build])["builds"][0]["id"] == build


def test_a_new_role_and_its_policy_are_not_seen_at_first(account, berth, stale):
    name = account.name("role")
    account.role("ecs-tasks.amazonaws.com", name)
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]})

    missing = code(lambda: berth["iam"].get_role(RoleName=name))
    stale()
    berth["iam"].put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
    without = code(lambda: berth["iam"].get_role_policy(RoleName=name, PolicyName="own"))
    stale()

    assert (missing, without) == ("NoSuchEntity", "NoSuchEntity")
    assert berth["iam"].get_role_policy(RoleName=name, PolicyName="own")["PolicyDocument"]


def test_a_new_repository_and_log_group_are_not_seen_at_first(account, berth, stale):
    repository, group = f"berth/{account.name()}", f"/berth/{account.name()}"
    berth["ecr"].create_repository(repositoryName=repository)
    berth["logs"].create_log_group(logGroupName=group)

    missing = code(lambda: berth["ecr"].describe_repositories(repositoryNames=[repository]))
    seen = berth["logs"].describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    again = code(lambda: berth["logs"].create_log_group(logGroupName=group))
    stale()

    assert (missing, seen, again) == ("RepositoryNotFoundException", [], "ResourceAlreadyExistsException")
    assert berth["logs"].describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["logGroupName"] == group


def test_a_pushed_image_is_not_found_at_first(account, berth, stale):
    repository = account.repository()
    started = account.start(account.project(), repository, account.source(), tag="v1")
    account.stand_in.control("advance", {"seconds": WINDOW_S / 2})

    assert account.build(started["id"])["buildStatus"] == "SUCCEEDED"
    wanted = {"repositoryName": repository, "imageIds": [{"imageTag": "v1"}]}
    assert code(lambda: berth["ecr"].describe_images(**wanted)) == "ImageNotFoundException"
    stale()
    assert len(berth["ecr"].describe_images(**wanted)["imageDetails"]) == 1


def test_a_new_role_may_not_be_passed_at_first(account, berth):
    role = account.role("ecs-tasks.amazonaws.com")
    account.stand_in.control("timing", {"role_passable": 50000})
    wanted = {"family": account.name("family"), "executionRoleArn": role, "containerDefinitions": [{"name": "app", "image": "x"}]}

    with pytest.raises(ClientError) as error:
        berth["ecs"].register_task_definition(**wanted)
    account.stand_in.control("advance", {"seconds": 60})

    assert "Role is not valid" in str(error.value)
    assert berth["ecs"].register_task_definition(**wanted)["taskDefinition"]["revision"] == 1
    account.stand_in.control("timing", {"role_passable": 0})
