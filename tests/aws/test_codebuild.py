"""CodeBuild, seen by boto3 on a running stand-in."""

import pytest
from botocore.exceptions import ClientError

from conftest import BUCKET, BUILDSPEC, REGISTRY


def code_of(refused):
    return refused.value.response["Error"]["Code"]


def phases(build):
    return {phase["phaseType"]: phase.get("phaseStatus") for phase in build["phases"]}


def test_a_project_whose_role_cannot_be_assumed_is_refused(account):
    with pytest.raises(ClientError) as refused:
        account.project(serviceRole="arn:aws:iam::123456789012:role/nobody")

    assert code_of(refused) == "InvalidInputException"
    assert "CodeBuild is not authorized to perform: sts:AssumeRole on arn:aws:iam::123456789012:role/nobody" in str(refused.value)


def test_a_role_that_trusts_another_service_is_refused(account):
    with pytest.raises(ClientError) as refused:
        account.project(serviceRole=account.role("ecs-tasks.amazonaws.com"))

    assert code_of(refused) == "InvalidInputException"


def test_a_project_keeps_every_field(account):
    given = {
        "description": "d", "tags": [{"key": "berth:app", "value": "shop"}], "timeoutInMinutes": 20, "queuedTimeoutInMinutes": 30,
        "concurrentBuildLimit": 2, "cache": {"type": "NO_CACHE"},
        "logsConfig": {"cloudWatchLogs": {"status": "ENABLED", "groupName": "/berth/shop", "streamName": "build"}},
        "vpcConfig": {"vpcId": "vpc-1", "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]},
    }

    name = account.project(**given)

    project = account.codebuild.batch_get_projects(names=[name, "absent"])
    assert {key: project["projects"][0][key] for key in given} == given
    assert project["projectsNotFound"] == ["absent"]


def test_a_second_project_of_the_same_name_is_refused(account):
    name = account.project()

    with pytest.raises(ClientError) as refused:
        account.codebuild.create_project(**{
            "name": name, "source": {"type": "S3", "location": f"{BUCKET}/x.zip"}, "artifacts": {"type": "NO_ARTIFACTS"},
            "environment": {"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL"},
            "serviceRole": account.role("codebuild.amazonaws.com"),
        })

    assert code_of(refused) == "ResourceAlreadyExistsException"


def test_an_update_changes_what_it_names_and_nothing_else(account):
    name = account.project(description="before", timeoutInMinutes=20)

    account.codebuild.update_project(name=name, description="after")

    project = account.codebuild.batch_get_projects(names=[name])["projects"][0]
    assert (project["description"], project["timeoutInMinutes"]) == ("after", 20)


def test_a_build_honours_every_override_and_reads_it_back(account):
    project, repository, source = account.project(), account.repository(), account.source()
    role = account.role("codebuild.amazonaws.com")

    started = account.start(
        project, repository, source, imageOverride="my/image:1", computeTypeOverride="BUILD_GENERAL1_LARGE",
        privilegedModeOverride=True, timeoutInMinutesOverride=7, serviceRoleOverride=role, buildspecOverride=BUILDSPEC,
        logsConfigOverride={"cloudWatchLogs": {"status": "ENABLED", "groupName": "/berth/x", "streamName": "build"}},
    )

    build = account.finished(started)
    assert build["source"]["location"] == source[0]
    assert build["source"]["buildspec"] == BUILDSPEC
    assert build["sourceVersion"] == build["resolvedSourceVersion"] == source[1]
    assert build["environment"]["image"] == "my/image:1"
    assert build["environment"]["computeType"] == "BUILD_GENERAL1_LARGE"
    assert build["environment"]["privilegedMode"] is True
    assert build["environment"]["environmentVariables"][1] == {"name": "IMAGE_TAG", "value": "v1-a1", "type": "PLAINTEXT"}
    assert (build["timeoutInMinutes"], build["serviceRole"]) == (7, role)
    assert build["logs"]["groupName"] == "/berth/x"
    assert build["logs"]["streamName"] == "build/" + started["id"].partition(":")[2]


def test_a_build_passes_through_its_phases_over_time(account):
    started = account.start(account.project(), account.repository(), account.source())

    assert started["buildStatus"] == "IN_PROGRESS"
    assert started["buildComplete"] is False
    build = account.finished(started)

    assert build["buildStatus"] == "SUCCEEDED"
    assert list(phases(build)) == [
        "SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD",
        "UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED",
    ]
    assert 0.2 < (build["endTime"] - build["startTime"]).total_seconds() < 0.5
    assert all(phase["endTime"] >= phase["startTime"] for phase in build["phases"][:-1])


def test_the_image_is_in_the_registry_under_the_digest_that_the_build_exports(account):
    repository = account.repository()

    build = account.finished(account.start(account.project(), repository, account.source(), tag="v3-a2"))

    exported = {variable["name"]: variable["value"] for variable in build["exportedEnvironmentVariables"]}
    image = account.ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "v3-a2"}])["imageDetails"][0]
    assert exported == {"IMAGE_DIGEST": image["imageDigest"], "IMAGE_TAG": "v3-a2"}


def test_the_digest_follows_the_source_and_not_the_folder_or_time(account):
    repository, project = account.repository(), account.project()
    sources = [account.source({"Dockerfile": "FROM scratch\n", "a": text}) for text in ("one", "one", "two")]

    builds = [account.finished(account.start(project, repository, s, tag=f"t{n}")) for n, s in enumerate(sources)]

    first, same, other = [build["exportedEnvironmentVariables"][0]["value"] for build in builds]
    assert first == same != other


def test_without_a_dockerfile_the_build_fails_in_build_with_dockers_line(account):
    build = account.finished(account.start(account.project(), account.repository(), account.source({"README": "x"})))

    assert build["buildStatus"] == "FAILED"
    assert phases(build)["BUILD"] == "FAILED"
    context = next(phase for phase in build["phases"] if phase["phaseType"] == "BUILD")["contexts"][0]
    assert context["statusCode"] == "COMMAND_EXECUTION_ERROR"
    assert context["message"].endswith("Reason: exit status 1")
    assert "failed to read dockerfile: open Dockerfile: no such file or directory" in account.build_log(build)


def test_the_commands_stop_at_the_one_that_fails(account):
    build = account.finished(account.start(account.project(), account.repository(), account.source({"README": "x"})))

    assert "Running command docker build" in account.build_log(build)
    assert "Running command docker push" not in account.build_log(build)


def test_a_missing_version_fails_in_download_source(account):
    location, _ = account.source()

    build = account.finished(account.start(account.project(), account.repository(), (location, "no-such-version")))

    assert (build["buildStatus"], phases(build)["DOWNLOAD_SOURCE"]) == ("FAILED", "FAILED")
    assert "BUILD" not in phases(build)


def test_a_source_that_is_no_archive_fails_in_download_source(account):
    put = account.s3.put_object(Bucket=BUCKET, Key="tenants/broken.zip", Body=b"not a zip file")

    source = (f"{BUCKET}/tenants/broken.zip", put["VersionId"])
    build = account.finished(account.start(account.project(), account.repository(), source))

    assert phases(build)["DOWNLOAD_SOURCE"] == "FAILED"


def test_pushing_a_tag_again_to_an_immutable_repository_fails_the_build(account):
    project, repository, source = account.project(), account.repository(), account.source()
    account.finished(account.start(project, repository, source))

    build = account.finished(account.start(project, repository, source))

    assert (build["buildStatus"], phases(build)["BUILD"]) == ("FAILED", "FAILED")
    assert "cannot be overwritten because the tag is immutable" in account.build_log(build)


def test_pushing_to_a_missing_repository_fails_the_build(account):
    build = account.finished(account.start(account.project(), "berth/absent", account.source()))

    assert build["buildStatus"] == "FAILED"
    assert "The repository with name 'berth/absent' does not exist" in account.build_log(build)


def test_a_failure_that_a_test_ordered_comes_once_with_its_lines(account):
    project, repository, source = account.project(), account.repository(), account.source()
    account.stand_in.control("build-outcome", {"project": project, "phase": "INSTALL", "logs": ["the network is down"]})

    first = account.finished(account.start(project, repository, source))
    second = account.finished(account.start(project, repository, source))

    assert (first["buildStatus"], phases(first)["INSTALL"]) == ("FAILED", "FAILED")
    assert "the network is down" in account.build_log(first)
    assert second["buildStatus"] == "SUCCEEDED"


def test_the_same_token_and_parameters_give_the_same_build(account):
    project, repository, source = account.project(), account.repository(), account.source()

    first = account.start(project, repository, source, idempotencyToken="token-1")
    again = account.start(project, repository, source, idempotencyToken="token-1")

    assert first["id"] == again["id"]


def test_the_same_token_with_other_parameters_is_refused(account):
    project, repository, source = account.project(), account.repository(), account.source()
    account.start(project, repository, source, idempotencyToken="token-2")

    with pytest.raises(ClientError) as refused:
        account.start(project, repository, source, tag="other", idempotencyToken="token-2")

    assert code_of(refused) == "InvalidInputException"


def test_a_token_is_forgotten_after_five_minutes(account):
    project, repository, source = account.project(), account.repository(), account.source()
    first = account.start(project, repository, source, idempotencyToken="token-3")

    account.stand_in.control("advance", {"seconds": 301})
    later = account.start(project, repository, source, idempotencyToken="token-3")

    assert (first["buildNumber"], later["buildNumber"]) == (1, 2)


def test_more_builds_than_the_project_may_run_at_once_are_refused(account):
    project, repository, source = account.project(concurrentBuildLimit=1), account.repository(), account.source()
    account.start(project, repository, source)

    with pytest.raises(ClientError) as refused:
        account.start(project, repository, source, tag="v2")

    assert code_of(refused) == "AccountLimitExceededException"


def test_builds_are_listed_newest_first_in_small_pages(account):
    project, repository, source = account.project(), account.repository(), account.source()
    started = [account.start(project, repository, source, tag=f"t{number}")["id"] for number in range(6)]

    first = account.codebuild.list_builds_for_project(projectName=project)
    second = account.codebuild.list_builds_for_project(projectName=project, nextToken=first["nextToken"])

    assert first["ids"] + second["ids"] == started[::-1]
    assert "nextToken" not in second


def test_unknown_builds_are_named(account):
    answer = account.codebuild.batch_get_builds(ids=["project-0:nothing"])

    assert (answer["builds"], answer["buildsNotFound"]) == ([], ["project-0:nothing"])


def test_a_stopped_build_is_stopped_and_pushes_nothing(account):
    repository, project, source = account.repository(), account.project(), account.source()
    account.stand_in.control("timing", {"PROVISIONING": 60000})
    started = account.start(project, repository, source)
    account.stand_in.control("timing", {"PROVISIONING": 200})

    stopped = account.codebuild.stop_build(id=started["id"])["build"]
    account.stand_in.control("advance", {"seconds": 60})

    assert stopped["buildStatus"] == account.build(started["id"])["buildStatus"] == "STOPPED"
    assert account.ecr.describe_images(repositoryName=repository)["imageDetails"] == []


def test_stopping_a_finished_build_leaves_it_as_it_is(account):
    started = account.start(account.project(), account.repository(), account.source())
    account.finished(started)

    assert account.codebuild.stop_build(id=started["id"])["build"]["buildStatus"] == "SUCCEEDED"


def test_a_build_that_takes_longer_than_its_time_is_timed_out(account):
    project, repository, source = account.project(), account.repository(), account.source()
    account.stand_in.control("timing", {"BUILD": 40 * 60 * 1000})

    started = account.start(project, repository, source, timeoutInMinutesOverride=5)
    account.stand_in.control("timing", {"BUILD": 600})
    account.stand_in.control("advance", {"seconds": 400})

    build = account.finished(started)
    assert (build["buildStatus"], phases(build)["BUILD"]) == ("TIMED_OUT", "TIMED_OUT")


def test_a_command_sees_no_variable_of_the_stand_ins_own_environment(account):
    spec = '{"version": "0.2", "phases": {"build": {"commands": ["env", "echo region=$AWS_REGION"]}}}'

    build = account.finished(account.start(account.project(), account.repository(), account.source(), buildspecOverride=spec))

    log = account.build_log(build)
    assert "region=eu-central-1" in log
    assert "AWS_SECRET_ACCESS_KEY" not in log
    assert f"IMAGE_REPOSITORY_URI={REGISTRY}/" in log
