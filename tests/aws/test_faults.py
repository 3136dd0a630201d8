"""Faults by operation and count: what berth meets, what the observer sees, and whether AWS has acted."""

import http.client
import threading
import time
import types

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, IncompleteReadError, ResponseStreamingError

from conftest import BUCKET
from faults import Book
from standin import wait_until
from world import BERTH_KEY


@pytest.fixture
def order(account):
    """Orders rules; afterwards there are none."""
    yield lambda *rules: account.stand_in.control("faults", {"rules": list(rules)})
    account.stand_in.control("faults", method="DELETE")


READS = {
    "ecs": lambda c: c.list_clusters(), "elbv2": lambda c: c.describe_load_balancers(), "iam": lambda c: c.list_roles(),
    "ec2": lambda c: c.describe_vpcs(), "s3": lambda c: c.list_buckets(), "sts": lambda c: c.get_caller_identity(),
    "ecr": lambda c: c.describe_repositories(), "codebuild": lambda c: c.list_projects(),
    "logs": lambda c: c.describe_log_groups(), "secretsmanager": lambda c: c.list_secrets(),
}


def refused(call):
    """(code, HTTP status) of a call that is refused."""
    with pytest.raises(ClientError) as error:
        call()
    return error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("kind, service, wanted", [
    ("throttle", "ecs", ("ThrottlingException", 400)), ("throttle", "codebuild", ("ThrottlingException", 400)),
    ("throttle", "elbv2", ("Throttling", 400)), ("throttle", "iam", ("Throttling", 400)),
    ("throttle", "ec2", ("RequestLimitExceeded", 503)), ("throttle", "s3", ("SlowDown", 503)),
    ("500", "ecs", ("ServerException", 500)), ("500", "codebuild", ("InternalFailure", 500)),
    ("500", "elbv2", ("InternalFailure", 500)), ("500", "iam", ("ServiceFailure", 500)), ("500", "s3", ("InternalError", 500)),
    ("500", "secretsmanager", ("InternalServiceError", 500)), ("503", "sts", ("ServiceUnavailable", 503)),
    ("503", "logs", ("ServiceUnavailableException", 503)), ("503", "s3", ("ServiceUnavailable", 503)),
    ("expired-token", "ecr", ("ExpiredTokenException", 400)), ("expired-token", "iam", ("ExpiredToken", 403)),
    ("expired-token", "s3", ("ExpiredToken", 400)), ("expired-token", "ec2", ("RequestExpired", 400)),
    ("access-denied", "ecs", ("AccessDeniedException", 400)), ("access-denied", "elbv2", ("AccessDenied", 403)),
    ("access-denied", "iam", ("AccessDenied", 403)), ("access-denied", "codebuild", ("AccessDeniedException", 400)),
    ("access-denied", "s3", ("AccessDenied", 403)), ("access-denied", "ec2", ("UnauthorizedOperation", 403)),
])
def test_each_service_has_its_own_code_and_status(order, berth, kind, service, wanted):
    order({"kind": kind, "service": service})

    assert refused(lambda: READS[service](berth[service])) == wanted
    assert READS[service](berth[service])["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_throttle_may_ask_for_patience_under_another_code(order, berth):
    order({"kind": "throttle", "code": "TooManyRequestsException", "status": 429, "retry_after_s": 7, "retry_after_ms": 1500})

    with pytest.raises(ClientError) as error:
        READS["ecs"](berth["ecs"])

    answer = error.value.response["ResponseMetadata"]
    assert answer["HTTPStatusCode"] == 429
    assert (answer["HTTPHeaders"]["retry-after"], answer["HTTPHeaders"]["x-amz-retry-after"]) == ("7", "1500")


def test_a_denied_role_is_named_in_the_message(order, account, berth):
    role = account.role("ecs-tasks.amazonaws.com")
    order({"kind": "access-denied", "operation": "RegisterTaskDefinition", "action": "iam:PassRole", "resource": role})

    with pytest.raises(ClientError) as error:
        berth["ecs"].register_task_definition(family="denied", containerDefinitions=[{"name": "app", "image": "scratch"}])

    assert f"is not authorized to perform: iam:PassRole on resource: {role}" in str(error.value)


@pytest.mark.parametrize("nth, count, every, hit", [
    (1, 1, 1, [1]), ("first", 2, 1, [1, 2]), (3, 1, 1, [3]), (2, 0, 2, [2, 4, 6]), ("last", 1, 1, [5]),
])
def test_a_rule_strikes_the_occurrences_it_names(order, berth, nth, count, every, hit):
    order({"kind": "throttle", "operation": "ListClusters", "nth": nth, "count": count, "every": every, "of": 5})

    struck = []
    for number in range(1, 7):
        try:
            berth["ecs"].list_clusters()
        except ClientError:
            struck.append(number)

    assert struck == hit


def test_a_rule_waits_for_its_app_and_leaves_the_observer_alone(order, account, berth):
    order({"kind": "500", "service": "ecr", "match": "berth/shop", "count": 0})

    account.ecr.create_repository(repositoryName="berth/shop")
    berth["ecr"].create_repository(repositoryName="berth/other")

    assert refused(lambda: berth["ecr"].describe_repositories(repositoryNames=["berth/shop"])) == ("ServerException", 500)


def test_the_rules_and_the_journal_tell_what_was_hit(order, account, berth):
    order({"kind": "throttle", "operation": "ListClusters"}, {"kind": "500", "operation": "ListProjects"})

    refused(berth["ecs"].list_clusters)

    first, second = account.stand_in.control("faults")["rules"]
    assert (first["seen"], first["fired"], second["fired"]) == (1, 1, 0)
    entry = next(e for e in account.stand_in.control("journal")["entries"] if e["seq"] == first["entries"][0])
    assert (entry["operation"], entry["fault"], entry["error_code"]) == ("ListClusters", "throttle", "ThrottlingException")
    assert account.stand_in.control("violations")["violations"] == []


@pytest.mark.parametrize("rule", [
    {"kind": "boredom"}, {"kind": "500", "nth": 0}, {"kind": "500", "nth": "last"}, {"kind": "500", "when": "during"},
    {"kind": "500", "oprations": "x"}, {"kind": "order"}, "500",
])
def test_a_wrong_rule_is_refused(account, rule):
    assert "error" in account.stand_in.control("faults", {"rules": [rule]})
    assert account.stand_in.control("faults")["rules"] == []


@pytest.mark.parametrize("kind, when, done", [
    ("drop-before", "before", False), ("drop-after", "before", True), ("500", "before", False), ("500", "after", True),
    ("503", "after", True), ("html500", "after", True), ("throttle", "after", True), ("truncate", "before", True),
])
def test_the_effect_is_there_or_not_as_ordered(order, account, berth, kind, when, done):
    name = account.name("group")
    order({"kind": kind, "when": when, "operation": "CreateTargetGroup"})

    with pytest.raises(Exception):
        berth["elbv2"].create_target_group(
            Name=name, Protocol="HTTP", Port=8080, VpcId=account.platform["vpc"], TargetType="ip")

    made = [group["name"] for group in account.stand_in.control("state")["target_groups"]]
    assert made.count(name) == (1 if done else 0)


def test_a_dropped_connection_gives_no_byte_and_is_journalled_without_a_status(order, account, berth):
    order({"kind": "drop-before", "operation": "ListClusters"})

    with pytest.raises(ConnectionClosedError):
        berth["ecs"].list_clusters()

    entry = [e for e in account.stand_in.control("journal")["entries"] if e["operation"] == "ListClusters"][-1]
    assert (entry["status"], entry["fault"]) == (0, "drop-before")


def test_a_cut_answer_is_shorter_than_its_length_says(order, account, berth):
    account.s3.put_object(Bucket=BUCKET, Key="cut", Body=b"x" * 100000)
    order({"kind": "truncate", "operation": "GetObject", "bytes": 500})

    with pytest.raises((IncompleteReadError, ResponseStreamingError, http.client.IncompleteRead)):
        berth["s3"].get_object(Bucket=BUCKET, Key="cut")["Body"].read()


def test_an_html_page_comes_instead_of_an_error_of_the_service(order, berth):
    order({"kind": "html500", "status": 502})

    with pytest.raises(Exception) as error:
        berth["ecs"].list_clusters()

    assert "502" in str(error.value)


@pytest.mark.parametrize("when", ["before", "after"])
def test_latency_delays_the_answer_and_changes_nothing_else(order, berth, when):
    order({"kind": "latency", "ms": 150, "when": when})
    began = time.monotonic()

    berth["ecs"].list_clusters()

    assert time.monotonic() - began >= 0.15


def test_a_late_answer_holds_up_nobody_else(order, account, berth):
    order({"kind": "latency", "ms": 1500, "operation": "ListClusters"})
    slow = threading.Thread(target=berth["ecs"].list_clusters)
    slow.start()
    wait_until(lambda: account.stand_in.control("faults")["rules"][0]["fired"])

    berth["codebuild"].list_projects()

    assert slow.is_alive()
    slow.join()


@pytest.mark.parametrize("ask, action", [
    (lambda s3: s3.put_object(Bucket=BUCKET, Key="denied", Body=b"x"), "s3:PutObject"),
    (lambda s3: s3.list_objects_v2(Bucket=BUCKET), "s3:ListBucket"),
    (lambda s3: s3.list_object_versions(Bucket=BUCKET), "s3:ListBucketVersions"),
    (lambda s3: s3.list_multipart_uploads(Bucket=BUCKET), "s3:ListBucketMultipartUploads"),
    (lambda s3: s3.create_multipart_upload(Bucket=BUCKET, Key="denied"), "s3:PutObject"),
    (lambda s3: s3.delete_object(Bucket=BUCKET, Key="denied", VersionId="v"), "s3:DeleteObjectVersion"),
    (lambda s3: s3.delete_object(Bucket=BUCKET, Key="denied"), "s3:DeleteObject"),
])
def test_a_denied_call_of_s3_names_the_policys_action_and_not_its_operation(order, berth, ask, action):
    order({"kind": "access-denied", "service": "s3"})

    with pytest.raises(ClientError) as error:
        ask(berth["s3"])

    assert f"is not authorized to perform: {action} on resource: " in str(error.value)


def test_one_rule_can_be_ended_and_the_others_stay(order, account, berth):
    rules = order({"kind": "access-denied", "service": "ecs", "count": 0}, {"kind": "access-denied", "service": "iam", "count": 0})["rules"]
    refused(berth["ecs"].list_clusters)

    account.stand_in.control(f"faults?id={rules[0]['id']}", method="DELETE")

    berth["ecs"].list_clusters()
    refused(berth["iam"].list_roles)


@pytest.mark.parametrize("service, wanted", [
    ("ecs", ("InvalidSignatureException", 400)), ("elbv2", ("SignatureDoesNotMatch", 403)), ("iam", ("SignatureDoesNotMatch", 403)),
    ("s3", ("RequestTimeTooSkewed", 403)), ("ec2", ("RequestExpired", 400)),
])
def test_each_service_has_its_own_word_for_a_skewed_clock(order, berth, service, wanted):
    order({"kind": "clock-skew", "service": service})

    assert refused(lambda: READS[service](berth[service])) == wanted


def test_a_clock_that_is_turned_twice_is_right_again():
    book = Book(types.SimpleNamespace(on_reset=lambda _: None))
    call = {"service": "ecs", "operation": "ListClusters", "access_key": BERTH_KEY, "text": str}
    book.add([{"kind": "clock-skew", "skew_s": 900, "count": 2}])

    ahead = [book.strike(call) and book.skews[BERTH_KEY] for _ in range(2)]

    assert ahead == [900, 0]


def test_a_skewed_clock_is_told_by_the_date_and_refuses_until_it_is_allowed_for(order, account, berth):
    order({"kind": "clock-skew", "skew_s": 900, "operation": "ListClusters"})

    with pytest.raises(ClientError) as first:
        berth["ecs"].list_clusters()
    with pytest.raises(ClientError) as second:
        account.stand_in.client("ecs", BERTH_KEY).list_clusters()
    account.ecs.list_clusters()

    assert first.value.response["Error"]["Code"] == second.value.response["Error"]["Code"] == "InvalidSignatureException"
    told = first.value.response["ResponseMetadata"]["HTTPHeaders"]["date"]
    ahead = time.mktime(time.strptime(told, "%a, %d %b %Y %H:%M:%S %Z")) - time.mktime(time.gmtime())
    assert 890 < ahead < 910
    assert account.stand_in.control("violations")["violations"] == []


def test_somebody_else_deploys_right_after_berths_update(order, account, berth):
    request, _ = account.routed_service_request()
    name = account.ecs.create_service(**request)["service"]["serviceName"]
    account.settled(name)
    foreign = account.task_definition()
    order({"kind": "order", "operation": "UpdateService", "when": "after", "order": "service-update",
           "body": {"service": name, "action": "deploy", "task_definition": foreign}})

    ours = account.task_definition()
    answer = berth["ecs"].update_service(cluster="berth", service=name, taskDefinition=ours)["service"]

    assert answer["taskDefinition"] == ours
    assert account.service(name)["taskDefinition"] == foreign


def test_any_other_error_can_be_ordered(order, berth):
    order({"kind": "error", "code": "LimitExceeded", "status": 409, "message": "Cannot exceed quota for RolesPerAccount: 1000",
           "operation": "ListRoles"})

    assert refused(berth["iam"].list_roles) == ("LimitExceeded", 409)


def test_operations_are_counted_by_signer(account, berth):
    last = account.stand_in.control("journal")["entries"][-1]["seq"]
    berth["ecs"].list_clusters()
    berth["elbv2"].describe_load_balancers()
    berth["ecs"].list_clusters()
    account.ecs.list_clusters()

    asked = account.stand_in.control(f"operations?after={last}&signer=berth")["operations"]

    assert [(each["service"], each["operation"], each["count"]) for each in asked] == [
        ("ecs", "ListClusters", 2), ("elbv2", "DescribeLoadBalancers", 1)]


def test_a_completed_upload_may_answer_200_and_an_error(order, account, berth):
    order({"kind": "error", "code": "InternalError", "status": 200, "operation": "CompleteMultipartUpload"})
    upload = {"Bucket": BUCKET, "Key": account.name("upload")}
    upload["UploadId"] = account.s3.create_multipart_upload(**upload)["UploadId"]
    part = {"PartNumber": 1, "ETag": account.s3.upload_part(**upload, PartNumber=1, Body=b"x")["ETag"]}

    assert refused(lambda: berth["s3"].complete_multipart_upload(**upload, MultipartUpload={"Parts": [part]}))[0] == "InternalError"
    assert [each["key"] for each in account.stand_in.control("state")["uploads"]] == [upload["Key"]]


def test_a_dropped_upload_leaves_the_object_or_not_as_ordered(order, account, berth):
    kept, lost = f"tenants/{account.name()}", f"tenants/{account.name()}"
    order({"kind": "drop-after", "operation": "PutObject", "match": kept},
          {"kind": "drop-before", "operation": "PutObject", "match": lost})

    for key in (kept, lost):
        with pytest.raises(ConnectionClosedError):
            berth["s3"].put_object(Bucket=BUCKET, Key=key, Body=b"x" * 100000)

    keys = [each["key"] for each in account.stand_in.control("state")["objects"]]
    assert (kept in keys, lost in keys) == (True, False)
