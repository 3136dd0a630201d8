"""The server itself: errors on the wire, the control endpoint, the platform, S3's large bodies, seeds, and its end."""

import http.client
import io
import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from conftest import BUCKET
from standin import HERE, StandIn
from world import BERTH_KEY, DEFAULT_TIMING, KEYS, OBSERVER_KEY

JSON_TYPE = "application/x-amz-json-1.1"
FORM_TYPE = "application/x-www-form-urlencoded; charset=utf-8"


@pytest.fixture(scope="module")
def raw():
    """A stand-in for requests that AWS refuses, without a platform."""
    with StandIn(seed=7, speed=5, allow_violations=True) as stand_in:
        yield stand_in


@pytest.fixture
def pair(raw):
    """Two stand-ins with one seed, both as after a start."""
    with StandIn(seed=7) as other:
        raw.control("reset", {})
        yield raw, other


def send(stand_in, service, body, headers, connection=None):
    """One signed request; returns (status, headers, body)."""
    request = AWSRequest("POST", stand_in.url + "/", data=body, headers={"Host": stand_in.url[7:], **headers})
    SigV4Auth(Credentials(OBSERVER_KEY, KEYS[OBSERVER_KEY]), service, stand_in.region).add_auth(request)
    own = connection or http.client.HTTPConnection(stand_in.url[7:])
    own.request("POST", "/", body, dict(request.headers))
    reply = own.getresponse()
    return reply.status, reply.headers, reply.read()


def test_a_json_error_is_400_with_a_type_a_message_and_a_request_id(raw):
    status, headers, body = send(
        raw, "ecs", json.dumps({"cluster": "absent", "services": ["x"]}),
        {"Content-Type": JSON_TYPE, "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.DescribeServices"},
    )

    error = json.loads(body)
    assert status == 400
    assert error["__type"].endswith("ClusterNotFoundException") and error["message"] == "Cluster not found."
    assert headers["x-amzn-requestid"]
    assert headers["content-type"] == JSON_TYPE


def test_a_missing_secret_is_400_and_not_404(raw):
    with pytest.raises(ClientError) as refused:
        raw.client("secretsmanager").get_secret_value(SecretId="absent")

    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_an_unknown_json_operation_is_answered_as_json(raw):
    target = {"Content-Type": JSON_TYPE, "X-Amz-Target": "CodeBuild_20161006.MakeCoffee"}

    status, headers, body = send(raw, "codebuild", "{}", target)

    assert status == 400
    assert json.loads(body)["__type"].endswith("UnknownOperationException")
    assert headers["content-type"] == JSON_TYPE


def test_an_unknown_query_operation_is_answered_as_xml(raw):
    status, headers, body = send(
        raw, "elasticloadbalancing", "Action=MakeCoffee&Version=2015-12-01", {"Content-Type": FORM_TYPE}
    )

    assert status == 400
    root = xml.etree.ElementTree.fromstring(body)
    assert [element.text for element in root.iter() if element.tag.endswith("Code")] == ["InvalidAction"]


def test_an_operation_of_aws_that_is_not_emulated_says_so(raw):
    with pytest.raises(ClientError) as refused:
        raw.client("elbv2").describe_trust_stores()

    assert refused.value.response["Error"]["Code"] == "InvalidAction"
    assert "this stand-in does not emulate it" in str(refused.value)


def test_a_body_that_is_no_json_is_refused(raw):
    target = {"Content-Type": JSON_TYPE, "X-Amz-Target": "CodeBuild_20161006.ListProjects"}

    status, _, body = send(raw, "codebuild", "{not json", target)

    assert status == 400
    assert json.loads(body)["__type"].endswith("SerializationException")


def test_a_connection_is_kept_for_the_next_request(raw):
    connection = http.client.HTTPConnection(raw.url[7:])
    headers = {"Content-Type": JSON_TYPE, "X-Amz-Target": "CodeBuild_20161006.ListProjects"}

    first = send(raw, "codebuild", "{}", headers, connection)
    socket = connection.sock
    second = send(raw, "codebuild", "{}", headers, connection)

    assert (first[0], second[0]) == (200, 200)
    assert connection.sock is socket


def test_the_caller_is_the_accounts_root_and_the_journal_tells_the_keys_apart(raw):
    raw.client("sts", BERTH_KEY).get_caller_identity()
    identity = raw.client("sts", OBSERVER_KEY).get_caller_identity()

    entries = raw.control("journal?after=0")["entries"]
    assert identity["Arn"] == "arn:aws:iam::123456789012:root"
    assert [entry["access_key"] for entry in entries if entry["operation"] == "GetCallerIdentity"][-2:] == [BERTH_KEY, OBSERVER_KEY]


def test_the_journal_keeps_no_secret_and_can_be_read_on(raw):
    last = raw.control("journal")["entries"][-1]["seq"]

    raw.client("secretsmanager").create_secret(Name="berth/hooks/journal", SecretString="do-not-keep-this")

    entries = raw.control(f"journal?after={last}")["entries"]
    assert [entry["operation"] for entry in entries] == ["CreateSecret"]
    assert "do-not-keep-this" not in json.dumps(entries)


@pytest.mark.parametrize("path, body", [
    ("timing", {"NO_SUCH_PHASE": 1}), ("timing", {"BUILD": -1}), ("build-outcome", {"project": "p", "phase": "LUNCH"}),
    ("service-outcome", {"service": "s", "failure": "boredom"}), ("no-such-control", {}),
])
def test_a_wrong_order_is_refused(raw, path, body):
    assert "error" in raw.control(path, body)


def test_a_reset_empties_the_account_and_begins_the_ids_anew(raw):
    raw.control("reset", {})
    first = new_vpc(raw)
    raw.client("ecs").create_cluster(clusterName="gone")

    raw.control("reset", {})

    assert set(raw.control("state")["counts"].values()) == {0}
    assert raw.client("ecs").list_clusters()["clusterArns"] == []
    assert new_vpc(raw) == first


def tenant(account, app):
    """Something of each kind for one app, as berth names and tags it; returns the service's name."""
    upper, lower = [{"Key": "berth:app", "Value": app}], [{"key": "berth:app", "value": app}]
    group = account.target_group(Name=f"berth-{app}-1", Tags=upper)
    account.rule(group, host=f"{app}.example.test")
    account.project(tags=lower)
    account.ecr.create_repository(repositoryName=f"berth/{app}", tags=upper)
    account.logs.create_log_group(logGroupName=f"/berth/{app}", tags={"berth:app": app})
    account.stand_in.client("secretsmanager").create_secret(Name=f"berth/hooks/{app}", SecretString="x")
    account.s3.put_object(Bucket=BUCKET, Key=f"tenants/{app}/{'0' * 40}.zip", Body=b"zip")
    account.s3.create_multipart_upload(Bucket=BUCKET, Key=f"tenants/{app}/{'1' * 40}.zip")
    balancer = {"targetGroupArn": group, "containerName": "app", "containerPort": 8080}
    definition = account.task_definition(family=f"berth-{app}", tags=lower)
    request = account.service_request(loadBalancers=[balancer], taskDefinition=definition, serviceName=f"berth-{app}", tags=lower)
    account.ecs.create_service(**request)
    return request["serviceName"]


def test_the_state_lists_what_lives_with_its_app(account):
    account.stand_in.control("timing", {"deployment_pending": 600000})
    tenant(account, "state")
    account.stand_in.control("timing", {"deployment_pending": DEFAULT_TIMING["deployment_pending"]})

    state = account.stand_in.control("state")
    mine = {kind: [item for item in items if item["app"] == "state"] for kind, items in state.items() if kind != "counts"}
    assert {kind: len(items) for kind, items in mine.items() if items} == {
        "services": 1, "deployments": 1, "task_definitions": 1, "target_groups": 1, "rules": 1, "projects": 1,
        "repositories": 1, "log_groups": 1, "secrets": 1, "objects": 1, "uploads": 1,
    }
    assert mine["rules"][0]["target_groups"] == [mine["target_groups"][0]["id"]]
    assert mine["services"][0]["deployments"][0]["task_definition"] == mine["task_definitions"][0]["id"]
    assert state["counts"]["load_balancers"] == 1


def test_a_state_shows_tasks_and_their_interfaces_while_they_live(account):
    name = tenant(account, "tasks")
    account.settled(name)
    running = account.stand_in.control("state")
    account.ecs.delete_service(cluster="berth", service=name, force=True)
    account.stand_in.control("advance", {"seconds": 60})
    gone = account.stand_in.control("state")

    def tasks(state):
        return [task["status"] for task in state["tasks"] if task["app"] == "tasks"]

    assert (tasks(running), tasks(gone)) == (["RUNNING", "RUNNING"], [])
    assert running["counts"]["interfaces"] - gone["counts"]["interfaces"] == 2
    assert "tasks" not in [service["app"] for service in gone["services"]]


def test_a_reset_that_keeps_the_platform_takes_all_else(account):
    account.settled(tenant(account, "reset"))
    account.stand_in.control("faults", {"rules": [{"kind": "500", "count": 0}]})

    account.stand_in.control("reset", {"keep": "platform", "also": ["secrets"]})

    left = {kind: n for kind, n in account.stand_in.control("state")["counts"].items() if n}
    account.forget()
    assert set(left) == {"load_balancers", "secrets"}
    assert account.stand_in.make_platform() == {"region": account.stand_in.region, **account.platform}
    assert account.stand_in.control("faults")["rules"] == []
    account.settled(tenant(account, "again"))


def test_what_is_kept_must_be_a_kind(account):
    assert "error" in account.stand_in.control("reset", {"keep": "platform", "also": ["memories"]})
    assert "error" in account.stand_in.control("reset", {"keep": "peace"})


@pytest.mark.parametrize("speed", [0, -1, "fast"])
def test_a_speed_is_more_than_nothing(account, speed):
    assert "error" in account.stand_in.control("timing", {"speed": speed})


def new_vpc(stand_in):
    return stand_in.client("ec2").create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]


def test_two_stand_ins_share_the_ids_of_their_seed_and_nothing_else(pair):
    one, other = pair
    for _ in range(3):
        other.client("sts").get_caller_identity()

    ids = new_vpc(one), new_vpc(other)
    one.client("ecs").create_cluster(clusterName="only-here")

    assert ids[0] == ids[1]
    assert other.client("ecs").list_clusters()["clusterArns"] == []


def test_another_seed_gives_other_ids(raw):
    raw.control("reset", {"seed": 7})
    seven = new_vpc(raw)
    raw.control("reset", {"seed": 8})

    assert new_vpc(raw) != seven


def test_the_platform_is_the_same_when_made_again_by_its_script(account):
    assert account.stand_in.make_platform() == {"region": account.stand_in.region, **account.platform}


def test_the_platforms_listeners_redirect_and_answer_404(account):
    balancer = account.elbv2.describe_load_balancers(Names=["berth"])["LoadBalancers"][0]
    listeners = account.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]

    actions = {listener["Port"]: listener["DefaultActions"][0] for listener in listeners}
    assert balancer["Scheme"] == "internet-facing"
    assert actions[80]["RedirectConfig"]["Protocol"] == "HTTPS"
    assert actions[443]["FixedResponseConfig"]["StatusCode"] == "404"


def test_tenants_are_reached_from_the_load_balancer_only(account):
    ec2 = account.stand_in.client("ec2")

    group = ec2.describe_security_groups(GroupIds=[account.platform["security_group"]])["SecurityGroups"][0]

    balancer = account.elbv2.describe_load_balancers(Names=["berth"])["LoadBalancers"][0]
    allowed = [rule for rule in group["IpPermissions"]]
    assert [pair["GroupId"] for rule in allowed for pair in rule["UserIdGroupPairs"]] == balancer["SecurityGroups"]
    assert not [one for rule in allowed for one in rule["IpRanges"]]


def test_the_boundary_denies_every_way_up(account):
    iam = account.iam
    arn = account.platform["permissions_boundary"]

    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]

    denied = [action for statement in document["Statement"] if statement["Effect"] == "Deny" for action in statement["Action"]]
    assert {"iam:*", "sts:AssumeRole", "organizations:*"} <= set(denied)
    assert not [s for s in document["Statement"] if s["Effect"] == "Allow" and "*" in s["Action"]]


def test_the_bucket_is_versioned_and_private(account):
    assert account.s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    block = account.s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert all(block.values())
    rules = account.s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert rules[0]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def test_objects_have_versions_and_a_missing_one_is_404(account):
    first = account.s3.put_object(Bucket=BUCKET, Key="k", Body=b"one", ServerSideEncryption="AES256")["VersionId"]
    second = account.s3.put_object(Bucket=BUCKET, Key="k", Body=b"two!")["VersionId"]

    head = account.s3.head_object(Bucket=BUCKET, Key="k", VersionId=first)
    with pytest.raises(ClientError) as refused:
        account.s3.head_object(Bucket=BUCKET, Key="absent")

    assert first != second
    assert (head["ContentLength"], head["ServerSideEncryption"]) == (3, "AES256")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_a_multipart_upload_becomes_one_object_with_a_version(account):
    body = os.urandom(12 << 20)

    account.s3.upload_fileobj(io.BytesIO(body), BUCKET, "large", Config=TransferConfig(multipart_chunksize=5 << 20))

    read = account.s3.get_object(Bucket=BUCKET, Key="large")
    assert read["VersionId"]
    assert read["ETag"].endswith('-3"')
    assert read["Body"].read() == body


def test_sigterm_ends_it_at_once_and_leaves_nothing(tmp_path):
    ready, scratch = tmp_path / "port", tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, os.path.join(HERE, "server.py"), "--ready-file", str(ready)], env={**os.environ, "TMPDIR": str(scratch)}
    )
    while not ready.exists():
        time.sleep(0.02)
    port = int(ready.read_text())
    stuck = http.client.HTTPConnection("127.0.0.1", port)
    stuck.connect()

    began = time.monotonic()
    process.terminate()
    status = process.wait(10)

    assert (status, time.monotonic() - began < 1) == (0, True)
    assert list(scratch.iterdir()) == []


def test_a_path_with_encoded_characters_is_signed_and_found(account):
    key = "tenants/ä b+c/%41.zip"

    account.s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")

    assert account.s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"] == 1
