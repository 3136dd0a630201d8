"""How builds and services end badly, and what somebody else does to them, as tests order it."""

import pytest


def advanced(account, seconds=60):
    account.stand_in.control("advance", {"seconds": seconds})


@pytest.fixture
def live(account):
    """The name of a service that runs, once it is steady."""
    request, _ = account.routed_service_request()
    name = account.ecs.create_service(**request)["service"]["serviceName"]
    advanced(account)
    assert account.service(name)["deployments"][0]["rolloutState"] == "COMPLETED"
    return name


def deploy(account, name, seconds=60, **outcome):
    """A new deployment of the service whose tasks fail as ordered; returns its task definition."""
    account.stand_in.control("service-outcome", {"service": name, **outcome})
    definition = account.task_definition()
    account.ecs.update_service(cluster="berth", service=name, taskDefinition=definition)
    advanced(account, seconds)
    return definition


def stopped_task(account, name):
    """A stopped task of the service's last deployment but one: the failed."""
    arns = account.ecs.list_tasks(cluster="berth", serviceName=name, desiredStatus="STOPPED")["taskArns"]
    tasks = account.ecs.describe_tasks(cluster="berth", tasks=arns)["tasks"]
    return next(task for task in tasks if not (task.get("stoppedReason") or "").startswith("Scaling"))


def test_a_task_killed_for_memory_has_exit_code_137(account, live):
    deploy(account, live, failure="out_of_memory")

    container = stopped_task(account, live)["containers"][0]
    assert (container["exitCode"], container["reason"]) == (137, "OutOfMemoryError: Container killed due to memory usage")
    assert account.last_service_deployment(live)["status"] == "ROLLBACK_SUCCESSFUL"


def test_a_task_that_cannot_start_says_why(account, live):
    deploy(account, live, failure="cannot_start", reason="ResourceInitializationError: no room")

    task = stopped_task(account, live)
    assert (task["stopCode"], task["stoppedReason"]) == ("TaskFailedToStart", "ResourceInitializationError: no room")


def test_a_task_that_fails_health_checks_names_its_target_group(account, live):
    deploy(account, live, failure="unhealthy")

    assert stopped_task(account, live)["stoppedReason"].startswith("Task failed ELB health checks in (target-group arn:")


def test_tasks_that_never_start_keep_the_deployment_in_progress_and_the_old_tasks(account, live):
    definition = deploy(account, live, 3600, failure="pending")

    primary, active = account.service(live)["deployments"]
    assert (primary["taskDefinition"], primary["rolloutState"], primary["pendingCount"]) == (definition, "IN_PROGRESS", 2)
    assert (primary["failedTasks"], active["runningCount"]) == (0, 2)


def test_without_capacity_no_task_is_made_and_an_event_says_so(account, live):
    deploy(account, live, 3600, failure="no_capacity")

    service = account.service(live)
    assert (service["deployments"][0]["pendingCount"], service["deployments"][0]["rolloutState"]) == (0, "IN_PROGRESS")
    assert sum("Capacity is unavailable at this time" in event["message"] for event in service["events"]) == 1


def test_tasks_that_flap_are_healthy_first_and_complete_the_deployment(account, live):
    deploy(account, live, failure="flap", ms=20000, seconds=10)
    early = account.service(live)["deployments"][0]["rolloutState"]
    advanced(account)

    assert early == "COMPLETED"
    assert stopped_task(account, live)["stopCode"] == "EssentialContainerExited"


def test_a_console_user_goes_back_to_the_deployment_before(account, live):
    before = account.service(live)["taskDefinition"]
    account.ecs.update_service(cluster="berth", service=live, taskDefinition=account.task_definition())
    advanced(account)

    account.stand_in.control("service-update", {"service": live, "action": "rollback"})

    advanced(account)
    assert account.service(live)["taskDefinition"] == before


def test_a_console_user_stops_a_deployment_in_the_middle(account, live):
    before = account.service(live)["taskDefinition"]
    account.ecs.update_service(cluster="berth", service=live, taskDefinition=account.task_definition())

    account.stand_in.control("service-update", {"service": live, "action": "rollback"})

    advanced(account)
    assert account.last_service_deployment(live)["status"] == "ROLLBACK_SUCCESSFUL"
    assert account.service(live)["taskDefinition"] == before


def test_a_console_user_scales_and_deletes(account, live):
    account.stand_in.control("service-update", {"service": live, "action": "scale", "desired": 1})
    advanced(account)
    scaled = account.service(live)["runningCount"]

    account.stand_in.control("service-update", {"service": live, "action": "delete"})

    assert (scaled, account.service(live)["status"]) == (1, "DRAINING")


@pytest.mark.parametrize("order", [{"action": "paint"}, {"action": "stop"}, {"action": "deploy", "task_definition": "absent:1"}])
def test_what_no_console_user_could_do_is_refused(account, live, order):
    assert "error" in account.stand_in.control("service-update", {"service": live, **order})


def build(account, seconds=60, **outcome):
    project = account.project()
    account.stand_in.control("build-outcome", {"project": project, **outcome})
    made = account.codebuild.start_build(projectName=project)["build"]["id"]
    advanced(account, seconds)
    return account.build(made)


def context(found, phase):
    return next(p for p in found["phases"] if p["phaseType"] == phase)["contexts"][0]["statusCode"]


def test_a_build_that_takes_too_long_times_out(account):
    found = build(account, 3700, phase="PROVISIONING", status="SUCCEEDED", ms=4000 * 1000)

    assert (found["buildStatus"], context(found, "PROVISIONING")) == ("TIMED_OUT", "BUILD_TIMED_OUT")


def test_a_build_can_be_told_to_time_out_at_once(account):
    found = build(account, phase="PROVISIONING", status="TIMED_OUT")

    assert (found["buildStatus"], context(found, "PROVISIONING")) == ("TIMED_OUT", "BUILD_TIMED_OUT")


def test_a_build_waits_in_the_queue(account):
    found = build(account, 600, phase="QUEUED", status="SUCCEEDED", ms=3600 * 1000)

    assert (found["buildStatus"], found["currentPhase"]) == ("IN_PROGRESS", "QUEUED")


def test_a_build_that_waits_too_long_in_the_queue_times_out(account):
    found = build(account, 8 * 3600 + 60, phase="QUEUED", status="SUCCEEDED", ms=9 * 3600 * 1000)

    assert found["buildStatus"] == "TIMED_OUT"


def test_a_fault_of_codebuild_ends_a_build(account):
    found = build(account, phase="PROVISIONING", status="FAULT")

    assert (found["buildStatus"], context(found, "PROVISIONING")) == ("FAULT", "INTERNAL_SERVICE_ERROR")


def test_somebody_else_stops_a_build(account):
    ordered = build(account, phase="PROVISIONING", status="STOPPED")
    project = account.project()
    running = account.codebuild.start_build(projectName=project)["build"]["id"]

    stopped = account.stand_in.control("build-stop", {"project": project})["stopped"]

    assert (ordered["buildStatus"], account.build(running)["buildStatus"], stopped) == ("STOPPED", "STOPPED", [running])
