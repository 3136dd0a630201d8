"""ECS, seen by boto3 on a running stand-in."""

import json

import pytest
from botocore.exceptions import ClientError

from conftest import ACCOUNT, REGISTRY
from standin import wait_until
from world import DEFAULT_TIMING


def refusal(refused):
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def stopped_tasks(account, service):
    arns = account.ecs.list_tasks(cluster="berth", serviceName=service, desiredStatus="STOPPED")["taskArns"]
    return account.ecs.describe_tasks(cluster="berth", tasks=arns)["tasks"]


def running(account, **more):
    """A service that is stable."""
    asked = account.service_request(**more)
    account.ecs.create_service(**asked)
    account.settled(asked["serviceName"])
    return asked


# Task definitions


@pytest.mark.parametrize("cpu, memory", [("256", "4096"), ("100", "512"), ("1024", "1024"), ("512", "1000")])
def test_a_size_that_fargate_does_not_have_is_refused(account, cpu, memory):
    with pytest.raises(ClientError) as refused:
        account.task_definition(cpu=cpu, memory=memory)

    code, message = refusal(refused)
    assert code == "ClientException"
    assert message.startswith("No Fargate configuration exists for given values")


@pytest.mark.parametrize("cpu, memory", [("256", "512"), (".25 vCPU", "0.5 GB"), ("1024", "8192"), ("4096", "30720")])
def test_a_size_that_fargate_has_is_taken(account, cpu, memory):
    assert account.task_definition(cpu=cpu, memory=memory)


def test_another_network_mode_than_awsvpc_is_refused_for_fargate(account):
    with pytest.raises(ClientError) as refused:
        account.task_definition(networkMode="bridge")

    assert refusal(refused)[0] == "ClientException"


def test_a_task_definition_reads_back_every_field_and_its_tags(account):
    container = {
        "name": "web", "image": "i", "essential": True, "portMappings": [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}],
        "environment": [{"name": "A", "value": "b"}], "readonlyRootFilesystem": True, "stopTimeout": 30,
        "linuxParameters": {"initProcessEnabled": True}, "user": "1000",
    }
    given = {
        "containerDefinitions": [container], "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
        "ephemeralStorage": {"sizeInGiB": 30},
    }

    arn = account.task_definition(**given, tags=[{"key": "berth:release", "value": "7"}])

    answer = account.ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"])
    read = answer["taskDefinition"]
    assert {name: read["containerDefinitions"][0][name] for name in container} == container
    assert {name: read[name] for name in ("runtimePlatform", "ephemeralStorage")} == {
        name: given[name] for name in ("runtimePlatform", "ephemeralStorage")
    }
    assert (read["status"], read["revision"], read["networkMode"]) == ("ACTIVE", 1, "awsvpc")
    assert answer["tags"] == [{"key": "berth:release", "value": "7"}]


def test_revisions_count_up_and_a_deregistered_one_is_not_listed(account):
    family = account.name("family")
    first, second = [account.task_definition(family=family) for _ in range(2)]

    account.ecs.deregister_task_definition(taskDefinition=first)

    assert account.ecs.list_task_definitions(familyPrefix=family)["taskDefinitionArns"] == [second]
    assert second.endswith(f"{family}:2")


# What CreateService refuses


def test_a_service_on_an_unknown_cluster_is_refused(account):
    with pytest.raises(ClientError) as refused:
        account.ecs.create_service(**account.service_request(cluster="nowhere"))

    assert refusal(refused)[0] == "ClusterNotFoundException"


def test_a_service_without_a_network_configuration_is_refused(account):
    with pytest.raises(ClientError) as refused:
        account.ecs.create_service(**account.service_request(networkConfiguration=None))

    assert refusal(refused) == (
        "InvalidParameterException", "Network Configuration must be provided when networkMode 'awsvpc' is specified."
    )


def test_a_target_group_without_a_load_balancer_is_refused(account):
    group = account.target_group()
    balancer = {"targetGroupArn": group, "containerName": "app", "containerPort": 8080}

    with pytest.raises(ClientError) as refused:
        account.ecs.create_service(**account.service_request(loadBalancers=[balancer]))

    assert refusal(refused) == (
        "InvalidParameterException", f"The target group with targetGroupArn {group} does not have an associated load balancer."
    )


def test_a_container_port_that_the_task_definition_lacks_is_refused(account):
    asked, group = account.routed_service_request()
    asked["loadBalancers"][0]["containerPort"] = 9

    with pytest.raises(ClientError) as refused:
        account.ecs.create_service(**asked)

    assert refusal(refused)[0] == "InvalidParameterException"


def test_a_role_that_does_not_exist_is_refused(account):
    definition = account.task_definition(taskRoleArn=f"arn:aws:iam::{ACCOUNT}:role/absent")

    with pytest.raises(ClientError) as refused:
        account.ecs.create_service(**account.service_request(taskDefinition=definition))

    assert "unable to assume the role" in refusal(refused)[1]


def test_a_percentage_that_blocks_every_deployment_is_refused(account):
    with pytest.raises(ClientError) as refused:
        account.ecs.create_service(**account.service_request(
            deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 100}
        ))

    assert refusal(refused)[0] == "InvalidParameterException"


# Idempotency


def test_the_same_client_token_and_parameters_give_the_same_service(account):
    asked = account.service_request(clientToken="token-1")

    first = account.ecs.create_service(**asked)["service"]
    again = account.ecs.create_service(**asked)["service"]

    assert first["deployments"][0]["id"] == again["deployments"][0]["id"]


@pytest.mark.parametrize("change", [{"clientToken": "token-3"}, {"desiredCount": 1}])
def test_a_second_service_of_the_same_name_is_refused(account, change):
    asked = account.service_request(clientToken="token-2")
    account.ecs.create_service(**asked)

    with pytest.raises(ClientError) as refused:
        account.ecs.create_service(**{**asked, **change})

    assert refusal(refused) == ("InvalidParameterException", "Creation of service was not idempotent.")


# Rollouts


def test_a_service_starts_its_tasks_over_time_and_then_is_steady(account):
    asked, group = account.routed_service_request(tags=[{"key": "berth:app", "value": "shop"}], propagateTags="SERVICE")

    created = account.ecs.create_service(**asked)["service"]
    service = account.settled(asked["serviceName"])

    assert (created["runningCount"], created["deployments"][0]["rolloutState"]) == (0, "IN_PROGRESS")
    assert (service["runningCount"], service["pendingCount"], service["desiredCount"]) == (2, 0, 2)
    assert service["deployments"][0]["rolloutState"] == "COMPLETED"
    assert service["events"][0]["message"] == f"(service {asked['serviceName']}) has reached a steady state."
    assert account.last_service_deployment(asked["serviceName"])["status"] == "SUCCESSFUL"
    tasks = account.ecs.describe_tasks(
        cluster="berth", include=["TAGS"],
        tasks=account.ecs.list_tasks(cluster="berth", serviceName=asked["serviceName"])["taskArns"],
    )["tasks"]
    assert {task["lastStatus"] for task in tasks} == {"RUNNING"}
    assert {task["startedBy"] for task in tasks} == {service["deployments"][0]["id"]}
    assert tasks[0]["tags"] == [{"key": "berth:app", "value": "shop"}]
    health = account.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    assert [h["TargetHealth"]["State"] for h in health] == ["healthy", "healthy"]
    addresses = {d["value"] for t in tasks for d in t["attachments"][0]["details"] if d["name"] == "privateIPv4Address"}
    assert {h["Target"]["Id"] for h in health} == addresses


def test_an_update_rolls_out_beside_the_old_deployment_within_the_percentages(account):
    asked, _ = account.routed_service_request()
    account.ecs.create_service(**asked)
    account.settled(asked["serviceName"])
    seen = []
    account.stand_in.control("timing", {"task_start": 3000, "task_drain": 3000})  # long enough to be seen on a busy machine

    account.ecs.update_service(cluster="berth", service=asked["serviceName"], taskDefinition=account.task_definition())

    def steady():
        service = account.service(asked["serviceName"])
        seen.append([(d["status"], d["runningCount"]) for d in service["deployments"]])
        return len(service["deployments"]) == 1 and service["deployments"][0]["rolloutState"] == "COMPLETED"

    wait_until(steady)
    account.stand_in.control("timing", DEFAULT_TIMING)
    totals = [sum(count for _, count in deployments) for deployments in seen]
    assert min(totals) >= 2 and max(totals) <= 4
    assert any([status for status, _ in deployments] == ["PRIMARY", "ACTIVE"] for deployments in seen)
    assert seen[-1] == [("PRIMARY", 2)]


def test_the_circuit_breaker_rolls_back_to_the_last_completed_deployment(account):
    asked = running(account)
    name, before = asked["serviceName"], asked["taskDefinition"]
    account.stand_in.control("service-outcome", {"service": name, "failure": "exit", "exit_code": 3})

    update = account.ecs.update_service(cluster="berth", service=name, taskDefinition=account.task_definition())["service"]
    failed = update["deployments"][0]["id"]
    service = account.settled(name)

    deployment = account.last_service_deployment(name)
    assert deployment["status"] == "ROLLBACK_SUCCESSFUL"
    assert deployment["deploymentCircuitBreaker"] == {"status": "TRIGGERED", "failureCount": 3, "threshold": 3}
    assert deployment["rollback"]["reason"]
    assert service["taskDefinition"] == service["deployments"][0]["taskDefinition"] == before
    assert failed not in [d["id"] for d in service["deployments"]]
    assert f"(service {name}) (deployment {failed}) deployment failed: tasks failed to start." in [
        event["message"] for event in service["events"]
    ]


def test_a_failed_container_shows_its_exit_code_and_reason(account):
    name = account.name("service")
    account.stand_in.control("service-outcome", {"service": name, "failure": "exit", "exit_code": 3})

    account.ecs.create_service(**account.service_request(serviceName=name))
    account.settled(name)

    task = stopped_tasks(account, name)[0]
    assert (task["stopCode"], task["stoppedReason"]) == ("EssentialContainerExited", "Essential container in task exited")
    assert task["containers"][0]["exitCode"] == 3


def test_without_a_completed_deployment_the_failed_one_stays(account):
    name = account.name("service")
    account.stand_in.control("service-outcome", {"service": name, "failure": "exit"})

    account.ecs.create_service(**account.service_request(serviceName=name))
    service = account.settled(name)

    assert service["deployments"][0]["rolloutState"] == "FAILED"
    assert service["deployments"][0]["failedTasks"] == 3
    assert account.last_service_deployment(name)["status"] == "ROLLBACK_FAILED"
    assert (service["runningCount"], service["pendingCount"]) == (0, 0)


def test_without_rollback_the_old_tasks_keep_running_beside_the_failed_deployment(account):
    asked = running(account, deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": False}})
    name = asked["serviceName"]
    missing = account.task_definition(image=f"{REGISTRY}/berth/absent:v1")

    account.ecs.update_service(cluster="berth", service=name, taskDefinition=missing)

    service = wait_until(lambda: (lambda s: s if s["deployments"][0]["rolloutState"] == "FAILED" else None)(account.service(name)))
    assert [d["status"] for d in service["deployments"]] == ["PRIMARY", "ACTIVE"]
    assert service["deployments"][1]["runningCount"] == 2
    assert account.last_service_deployment(name)["status"] == "STOPPED"


def test_an_image_that_is_not_in_the_registry_cannot_be_pulled(account):
    image = f"{REGISTRY}/berth/absent@sha256:{'1' * 64}"
    asked = account.service_request(taskDefinition=account.task_definition(image=image))

    account.ecs.create_service(**asked)
    account.settled(asked["serviceName"])

    task = stopped_tasks(account, asked["serviceName"])[0]
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError")
    assert "exitCode" not in task["containers"][0]


def test_tasks_that_stay_unhealthy_are_replaced_and_counted(account):
    asked, group = account.routed_service_request()
    account.stand_in.control("service-outcome", {"service": asked["serviceName"], "failure": "unhealthy"})

    account.ecs.create_service(**asked)
    service = account.settled(asked["serviceName"])

    assert service["deployments"][0]["rolloutState"] == "FAILED"
    task = stopped_tasks(account, asked["serviceName"])[0]
    assert task["stoppedReason"] == f"Task failed ELB health checks in (target-group {group})"


def test_a_role_that_is_not_believed_in_yet_shows_as_tasks_that_do_not_start(account):
    account.stand_in.control("timing", {"role_believed": 3600 * 1000 * 5})
    role = account.role("ecs-tasks.amazonaws.com")

    asked = account.service_request(taskDefinition=account.task_definition(taskRoleArn=role))
    account.ecs.create_service(**asked)
    account.settled(asked["serviceName"])
    account.stand_in.control("timing", {"role_believed": 0})

    assert "unable to assume the role" in stopped_tasks(account, asked["serviceName"])[0]["stoppedReason"]


def test_a_missing_log_group_keeps_a_task_from_starting(account):
    container = {
        "name": "app", "image": "i", "portMappings": [{"containerPort": 8080}], "logConfiguration": {
            "logDriver": "awslogs", "options": {
                "awslogs-group": "/absent", "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "app",
            },
        },
    }
    asked = account.service_request(taskDefinition=account.task_definition(containerDefinitions=[container]))

    account.ecs.create_service(**asked)
    account.settled(asked["serviceName"])

    assert "The specified log group does not exist" in stopped_tasks(account, asked["serviceName"])[0]["stoppedReason"]


def test_a_rollback_that_fails_too_is_reported(account):
    asked = running(account)
    name = asked["serviceName"]
    account.stand_in.control("service-outcome", {"service": name, "failure": "exit", "rollback": True})

    account.ecs.update_service(cluster="berth", service=name, taskDefinition=account.task_definition())
    for task in account.ecs.list_tasks(cluster="berth", serviceName=name)["taskArns"]:
        account.ecs.stop_task(cluster="berth", task=task)

    wait_until(lambda: account.last_service_deployment(name)["status"] == "ROLLBACK_FAILED")


def test_an_update_during_a_rollout_gives_the_first_one_up(account):
    asked = running(account)
    name = asked["serviceName"]

    account.ecs.update_service(cluster="berth", service=name, taskDefinition=account.task_definition())
    last = account.task_definition()
    account.ecs.update_service(cluster="berth", service=name, taskDefinition=last)
    service = account.settled(name)

    statuses = [d["status"] for d in account.ecs.list_service_deployments(cluster="berth", service=name)["serviceDeployments"]]
    assert service["taskDefinition"] == last
    assert statuses == ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]


def test_a_new_desired_count_starts_no_deployment(account):
    asked = running(account)
    name = asked["serviceName"]
    before = account.service(name)["deployments"][0]["id"]

    account.ecs.update_service(cluster="berth", service=name, desiredCount=0)

    service = wait_until(lambda: (lambda s: s if s["runningCount"] == 0 else None)(account.service(name)))
    assert [d["id"] for d in service["deployments"]] == [before]


def test_a_stopped_task_is_replaced(account):
    asked = running(account)
    name = asked["serviceName"]
    task = account.ecs.list_tasks(cluster="berth", serviceName=name)["taskArns"][0]

    account.ecs.stop_task(cluster="berth", task=task, reason="because")

    tasks = wait_until(lambda: (lambda t: t if task not in t and len(t) == 2 else None)(
        account.ecs.list_tasks(cluster="berth", serviceName=name)["taskArns"]))
    stopped = account.ecs.describe_tasks(cluster="berth", tasks=[task])["tasks"][0]
    assert len(tasks) == 2
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "because")


def test_a_service_deployment_can_be_stopped_with_a_rollback(account):
    asked = running(account)
    name = asked["serviceName"]
    account.ecs.update_service(cluster="berth", service=name, taskDefinition=account.task_definition())

    account.ecs.stop_service_deployment(serviceDeploymentArn=account.last_service_deployment(name)["serviceDeploymentArn"])

    account.settled(name)
    assert account.last_service_deployment(name)["status"] == "ROLLBACK_SUCCESSFUL"


# The end of a service


def test_a_service_above_zero_is_not_deleted_without_force(account):
    asked = running(account)

    with pytest.raises(ClientError) as refused:
        account.ecs.delete_service(cluster="berth", service=asked["serviceName"])

    assert refusal(refused) == ("InvalidParameterException", "The service cannot be stopped while it is scaled above 0.")


def test_a_deleted_service_drains_and_then_refuses_updates(account):
    asked = running(account)
    name = asked["serviceName"]

    deleted = account.ecs.delete_service(cluster="berth", service=name, force=True)["service"]
    wait_until(lambda: account.service(name)["status"] == "INACTIVE")

    with pytest.raises(ClientError) as refused:
        account.ecs.update_service(cluster="berth", service=name, desiredCount=1)

    assert deleted["status"] == "DRAINING"
    assert refusal(refused)[0] == "ServiceNotActiveException"
    pages = account.ecs.get_paginator("list_services").paginate(cluster="berth")
    assert deleted["serviceArn"] not in [arn for page in pages for arn in page["serviceArns"]]


def test_unknown_services_are_missing_and_an_unknown_service_cannot_be_updated(account):
    answer = account.ecs.describe_services(cluster="berth", services=["absent"])

    with pytest.raises(ClientError) as refused:
        account.ecs.update_service(cluster="berth", service="absent", desiredCount=1)

    assert answer["services"] == []
    assert answer["failures"][0]["reason"] == "MISSING"
    assert refusal(refused)[0] == "ServiceNotFoundException"


def test_a_service_revision_names_the_image_by_digest(account):
    repository = account.repository()
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                           "config": {"digest": f"sha256:{'0' * 64}", "size": 1}, "layers": []})
    image = account.ecr.put_image(repositoryName=repository, imageManifest=manifest, imageTag="v1")["image"]["imageId"]
    asked = running(account, taskDefinition=account.task_definition(image=f"{REGISTRY}/{repository}@{image['imageDigest']}"))

    arn = account.last_service_deployment(asked["serviceName"])["targetServiceRevision"]["arn"]
    revision = account.ecs.describe_service_revisions(serviceRevisionArns=[arn])["serviceRevisions"][0]

    assert revision["containerImages"][0]["imageDigest"] == image["imageDigest"]
