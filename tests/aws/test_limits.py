"""Quotas, as low as a test wants them."""

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def limit(account):
    yield lambda **limits: account.stand_in.control("limits", limits)
    account.stand_in.control("limits", dict.fromkeys(account.stand_in.control("limits", {})))


def code(call):
    with pytest.raises(ClientError) as error:
        call()
    return error.value.response["Error"]["Code"]


def counts(account):
    return account.stand_in.control("state")["counts"]


def test_rules_of_a_load_balancer_run_out(account, limit):
    limit(rules_per_load_balancer=counts(account)["rules"] + 1)
    account.rule(account.target_group())

    assert code(lambda: account.rule(account.target_group())) == "TooManyRules"


def test_target_groups_of_a_load_balancer_run_out(account, limit):
    used = sum(1 for group in account.stand_in.control("state")["target_groups"] if group["used"])
    limit(target_groups_per_load_balancer=used + 1)
    account.rule(account.target_group())

    assert code(lambda: account.rule(account.target_group())) == "TooManyUniqueTargetGroupsPerLoadBalancer"


def test_target_groups_of_the_account_run_out(account, limit):
    limit(target_groups=counts(account)["target_groups"])

    assert code(account.target_group) == "TooManyTargetGroups"


def test_a_build_beyond_the_accounts_limit_is_refused_until_another_ends(account, limit):
    limit(concurrent_builds=1)
    account.stand_in.control("build-outcome", {"project": "*", "phase": "QUEUED", "status": "SUCCEEDED", "ms": 60000})
    project = account.project()
    account.codebuild.start_build(projectName=project)

    refused = code(lambda: account.codebuild.start_build(projectName=project))
    account.stand_in.control("build-stop", {"project": project})

    assert refused == "AccountLimitExceededException"
    assert account.codebuild.start_build(projectName=project)["build"]["buildStatus"] == "IN_PROGRESS"


def test_tasks_beyond_fargates_vcpus_wait_and_the_events_say_why(account, limit):
    in_use = sum(0.25 for _ in account.stand_in.control("state")["tasks"])
    limit(fargate_vcpu=in_use + 0.25)
    name = account.ecs.create_service(**account.service_request())["service"]["serviceName"]
    account.stand_in.control("advance", {"seconds": 60})

    short = account.service(name)
    limit(fargate_vcpu=None)
    account.stand_in.control("advance", {"seconds": 60})
    account.service(name)
    account.stand_in.control("advance", {"seconds": 60})

    assert (short["runningCount"], short["deployments"][0]["rolloutState"]) == (1, "IN_PROGRESS")
    assert any("number of vCPUs you can run concurrently" in event["message"] for event in short["events"])
    assert short["deployments"][0]["failedTasks"] == 0
    assert account.service(name)["deployments"][0]["rolloutState"] == "COMPLETED"


def test_a_wrong_limit_is_refused(account):
    assert "error" in account.stand_in.control("limits", {"patience": 1})
