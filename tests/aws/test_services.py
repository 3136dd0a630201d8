"""What berth needs of the services that come from moto as they are: IAM, ECR, CloudWatch Logs, Secrets Manager."""

import json
import time

import pytest
from botocore.exceptions import ClientError

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


def push(account, repository, tag, layer="0"):
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": [{"digest": f"sha256:{layer * 64}", "size": 1}],
        "config": {"digest": f"sha256:{'c' * 64}", "size": 1},
    })
    return account.ecr.put_image(repositoryName=repository, imageManifest=manifest, imageTag=tag)["image"]["imageId"]["imageDigest"]


def test_a_role_keeps_its_boundary_tags_and_inline_policy(account):
    name = account.name("role")
    account.role("ecs-tasks.amazonaws.com", name)
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}

    account.iam.put_role_policy(RoleName=name, PolicyName="berth", PolicyDocument=json.dumps(document))
    account.iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=account.platform["permissions_boundary"])
    account.iam.tag_role(RoleName=name, Tags=[{"Key": "berth:app", "Value": "shop"}])

    role = account.iam.get_role(RoleName=name)["Role"]
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == account.platform["permissions_boundary"]
    assert role["Tags"] == [{"Key": "berth:app", "Value": "shop"}]
    assert account.iam.get_role_policy(RoleName=name, PolicyName="berth")["PolicyDocument"] == document


def test_a_role_with_an_inline_policy_is_not_deleted(account):
    name = account.name("role")
    account.role("ecs-tasks.amazonaws.com", name)
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
    account.iam.put_role_policy(RoleName=name, PolicyName="berth", PolicyDocument=json.dumps(document))

    with pytest.raises(ClientError) as refused:
        account.iam.delete_role(RoleName=name)

    assert refused.value.response["Error"]["Code"] == "DeleteConflict"


def test_a_repository_has_its_policies_scan_and_tags(account):
    name = f"berth/{account.name('repository')}"
    untagged = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1}
    lifecycle = {"rules": [{"rulePriority": 1, "selection": untagged, "action": {"type": "expire"}}]}
    statement = {"Sid": "Pull", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}
    access = {"Version": "2012-10-17", "Statement": [statement]}

    arn = account.ecr.create_repository(
        repositoryName=name, imageTagMutability="IMMUTABLE", imageScanningConfiguration={"scanOnPush": True},
        tags=[{"Key": "berth:app", "Value": "shop"}],
    )["repository"]["repositoryArn"]
    account.ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=json.dumps(lifecycle))
    account.ecr.set_repository_policy(repositoryName=name, policyText=json.dumps(access))

    found = account.ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
    assert (found["imageTagMutability"], found["imageScanningConfiguration"]) == ("IMMUTABLE", {"scanOnPush": True})
    assert json.loads(account.ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]) == lifecycle
    assert json.loads(account.ecr.get_repository_policy(repositoryName=name)["policyText"]) == access
    assert account.ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "berth:app", "Value": "shop"}]


def test_images_are_deleted_by_digest_and_a_missing_one_is_named(account):
    repository = account.repository()
    digest = push(account, repository, "v1")

    answer = account.ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageDigest": digest}, {"imageTag": "absent"}])

    assert [image["imageDigest"] for image in answer["imageIds"]] == [digest]
    assert [failure["failureCode"] for failure in answer["failures"]] == ["ImageNotFound"]
    assert account.ecr.describe_images(repositoryName=repository)["imageDetails"] == []


def test_a_log_group_has_tags_and_retention_and_is_read_and_filtered(account):
    group = f"/berth/{account.name('log')}"
    account.logs.create_log_group(logGroupName=group, tags={"berth:app": "shop"})
    account.logs.put_retention_policy(logGroupName=group, retentionInDays=30)
    account.logs.create_log_stream(logGroupName=group, logStreamName="app/1")
    now = int(time.time() * 1000)
    account.logs.put_log_events(logGroupName=group, logStreamName="app/1", logEvents=[
        {"timestamp": now, "message": "one"}, {"timestamp": now + 1, "message": "two ERROR"},
    ])

    read = account.logs.get_log_events(logGroupName=group, logStreamName="app/1", startFromHead=True)
    filtered = account.logs.filter_log_events(logGroupName=group, filterPattern="ERROR")

    shown = account.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]
    assert shown["retentionInDays"] == 30
    assert [event["message"] for event in read["events"]] == ["one", "two ERROR"]
    assert [event["message"] for event in filtered["events"]] == ["two ERROR"]
    assert account.logs.list_tags_for_resource(resourceArn=shown["arn"].removesuffix(":*"))["tags"] == {"berth:app": "shop"}


def test_reading_on_from_the_end_of_a_log_gives_the_same_token_again(account):
    group = f"/berth/{account.name('log')}"
    account.logs.create_log_group(logGroupName=group)
    account.logs.create_log_stream(logGroupName=group, logStreamName="s")

    first = account.logs.get_log_events(logGroupName=group, logStreamName="s", startFromHead=True)
    again = account.logs.get_log_events(logGroupName=group, logStreamName="s", nextToken=first["nextForwardToken"])

    assert again["nextForwardToken"] == first["nextForwardToken"]


def test_a_secret_keeps_its_previous_value_while_it_rotates(account):
    secrets = account.stand_in.client("secretsmanager")
    name = f"berth/hooks/{account.name()}"
    secrets.create_secret(Name=name, SecretString="old", Tags=[{"Key": "berth:app", "Value": "shop"}])

    secrets.put_secret_value(SecretId=name, SecretString="new")

    assert secrets.get_secret_value(SecretId=name)["SecretString"] == "new"
    assert secrets.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")["SecretString"] == "old"


def test_making_a_cluster_again_keeps_the_one_there_is(account):
    first = account.ecs.create_cluster(clusterName="berth")["cluster"]

    account.ecs.create_cluster(clusterName="berth", settings=[{"name": "containerInsights", "value": "enabled"}])

    shown = account.ecs.describe_clusters(clusters=["berth"], include=["SETTINGS"])["clusters"][0]
    assert shown["settings"] == first["settings"]
