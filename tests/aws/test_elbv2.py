"""Elastic Load Balancing, seen by boto3 on a running stand-in."""

import pytest
from botocore.exceptions import ClientError

from standin import wait_until


def code_of(refused):
    return refused.value.response["Error"]["Code"]


def test_the_same_target_group_again_is_the_same_one(account):
    name = account.name("tg")

    first = account.target_group(Name=name, HealthCheckPath="/up", Tags=[{"Key": "berth:app", "Value": "shop"}])
    again = account.target_group(Name=name, HealthCheckPath="/up")

    assert first == again


def test_a_default_that_is_spelled_out_makes_no_other_target_group(account):
    name = account.name("tg")

    assert account.target_group(Name=name) == account.target_group(Name=name, HealthCheckPath="/", HealthCheckIntervalSeconds=30)


def test_a_target_group_of_the_same_name_with_other_settings_is_refused(account):
    name = account.name("tg")
    account.target_group(Name=name)

    with pytest.raises(ClientError) as refused:
        account.target_group(Name=name, Port=9090)

    assert code_of(refused) == "DuplicateTargetGroupName"


def test_a_target_group_in_use_cannot_be_deleted_and_a_free_one_can(account):
    group = account.target_group()
    rule = account.rule(group)

    with pytest.raises(ClientError) as refused:
        account.elbv2.delete_target_group(TargetGroupArn=group)
    account.elbv2.delete_rule(RuleArn=rule)
    account.elbv2.delete_target_group(TargetGroupArn=group)

    assert code_of(refused) == "ResourceInUse"
    with pytest.raises(ClientError) as absent:
        account.elbv2.describe_target_groups(TargetGroupArns=[group])
    assert code_of(absent) == "TargetGroupNotFound"


def test_a_target_group_belongs_to_one_load_balancer(account):
    group = account.target_group()
    account.rule(group)
    other = account.elbv2.create_load_balancer(
        Name=account.name("lb"), Subnets=account.platform["subnets"].split(","), Scheme="internet-facing"
    )["LoadBalancers"][0]["LoadBalancerArn"]

    with pytest.raises(ClientError) as refused:
        account.elbv2.create_listener(
            LoadBalancerArn=other, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": group}]
        )

    assert code_of(refused) == "TargetGroupAssociationLimit"


def test_a_taken_priority_is_refused(account):
    group = account.target_group()
    account.rule(group, priority=40001)

    with pytest.raises(ClientError) as refused:
        account.rule(group, priority=40001)

    assert code_of(refused) == "PriorityInUse"


def test_a_rule_shows_its_host_in_both_forms_and_is_found_by_arn(account):
    group = account.target_group()

    arn = account.rule(group, priority=40002, host="shop.apps.example.test")

    rule = account.elbv2.describe_rules(RuleArns=[arn])["Rules"][0]
    assert rule["Priority"] == "40002"
    assert rule["Conditions"][0]["Values"] == rule["Conditions"][0]["HostHeaderConfig"]["Values"] == ["shop.apps.example.test"]
    assert rule["Actions"][0]["ForwardConfig"]["TargetGroups"] == [{"TargetGroupArn": group, "Weight": 1}]


def test_rules_come_in_small_pages_by_priority_with_the_default_last(account):
    group = account.target_group()
    for priority in (45003, 45001, 45005, 45002, 45004):
        account.rule(group, priority=priority)

    first = account.elbv2.describe_rules(ListenerArn=account.platform["listeners"])
    pages = account.elbv2.get_paginator("describe_rules").paginate(ListenerArn=account.platform["listeners"])
    priorities = [rule["Priority"] for page in pages for rule in page["Rules"]]

    assert len(first["Rules"]) == 4 and first["NextMarker"]
    assert priorities[-1] == "default"
    numbers = [int(priority) for priority in priorities[:-1]]
    assert numbers == sorted(numbers) and set(range(45001, 45006)) <= set(numbers)


def test_an_unknown_marker_is_refused(account):
    with pytest.raises(ClientError) as refused:
        account.elbv2.describe_rules(ListenerArn=account.platform["listeners"], Marker="what")

    assert code_of(refused) == "ValidationError"


def test_target_groups_come_in_small_pages(account):
    made = {account.target_group() for _ in range(6)}

    first = account.elbv2.describe_target_groups()
    pages = account.elbv2.get_paginator("describe_target_groups").paginate()

    assert len(first["TargetGroups"]) == 4
    assert made <= {group["TargetGroupArn"] for page in pages for group in page["TargetGroups"]}


def test_the_default_rule_cannot_be_deleted(account):
    rules = account.elbv2.get_paginator("describe_rules").paginate(ListenerArn=account.platform["listeners"])
    default = [rule for page in rules for rule in page["Rules"]][-1]["RuleArn"]

    with pytest.raises(ClientError) as refused:
        account.elbv2.delete_rule(RuleArn=default)

    assert code_of(refused) == "OperationNotPermitted"


def test_a_second_listener_on_a_port_is_refused(account):
    balancer = account.elbv2.describe_load_balancers(Names=["berth"])["LoadBalancers"][0]["LoadBalancerArn"]
    answer = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}

    with pytest.raises(ClientError) as refused:
        account.elbv2.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[answer])

    assert code_of(refused) == "DuplicateListener"


def test_a_target_is_initial_then_healthy_then_draining_then_gone(account):
    group = account.target_group()
    account.rule(group)
    target = {"Id": "10.42.0.9", "Port": 8080}
    account.stand_in.control("timing", {"target_drain": 5000})

    def states():
        health = account.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return [description["TargetHealth"]["State"] for description in health]

    account.elbv2.register_targets(TargetGroupArn=group, Targets=[target])
    registered = states()
    wait_until(lambda: states() == ["healthy"])
    account.elbv2.deregister_targets(TargetGroupArn=group, Targets=[target])
    deregistered = states()
    wait_until(lambda: states() == [])

    assert (registered, deregistered) == (["initial"], ["draining"])


def test_targets_of_a_target_group_without_a_load_balancer_are_unused(account):
    group = account.target_group()

    account.elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.42.0.9"}])

    health = account.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"][0]["TargetHealth"]
    assert (health["State"], health["Reason"]) == ("unused", "Target.NotInUse")


def test_tags_are_kept(account):
    group = account.target_group(Tags=[{"Key": "berth:app", "Value": "shop"}])

    tags = account.elbv2.describe_tags(ResourceArns=[group])["TagDescriptions"][0]["Tags"]

    assert tags == [{"Key": "berth:app", "Value": "shop"}]
