"""The gate passes what botocore signs and builds, refuses each tampering, and journals both."""
import hashlib
import http.client
import json
import threading
import time
from datetime import datetime, timezone

import boto3
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from waitress.server import create_server

import gate_rules
from gate import Gate
from gate_model import Catalogue
from journal import Journal

LONG_TERM = ("AKIAIOSFODNN7EXAMPLE", "not/a/real/secret/only/for/these/tests/1")
SESSION = ("ASIAIOSFODNN7EXAMPLE", "not/a/real/secret/only/for/these/tests/2", "session+token/with=signs")
REGION = "eu-west-1"
SERVICES = "s3 ecs elbv2 sts iam codebuild secretsmanager ecr logs ec2"


class Inner:
    """The app behind the gate: answers what a protocol needs at the least, and keeps what reached it."""

    def __init__(self):
        self.seen = []
        self.answer = (200, {}, b"")

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read()
        self.seen.append((environ["REQUEST_METHOD"], environ["REQUEST_URI"], len(body), hashlib.sha256(body).hexdigest()))
        status, headers, content = self.answer
        if not content and environ.get("HTTP_X_AMZ_TARGET"):
            content = b"{}"
        headers = {"Content-Type": "text/xml" if content.startswith(b"<") else "application/x-amz-json-1.1",
                   "Content-Length": str(len(content)), **headers}
        start_response(f"{status} Status", list(headers.items()))
        return [content]


class World:
    def __init__(self):
        self.inner, self.journal, self.skew_s = Inner(), Journal(), 0
        keys = {LONG_TERM[0]: LONG_TERM[1], SESSION[0]: (SESSION[1], SESSION[2], "session")}
        self.gate = Gate(self.inner, self.journal, keys, lambda: time.time() + self.skew_s, regions={REGION})
        self.server = create_server(self.gate, host="127.0.0.1", port=0, threads=4)
        self.address = f"127.0.0.1:{self.server.effective_port}"
        threading.Thread(target=self.server.run, daemon=True).start()

    def reset(self):
        self.journal.clear()
        self.inner.seen.clear()
        self.inner.answer, self.skew_s = (200, {}, b""), 0

    def client(self, service, key=LONG_TERM, region=None, **config):
        config = Config(retries={"total_max_attempts": 1}, parameter_validation=False, **config)
        return boto3.client(service, endpoint_url=f"http://{self.address}", config=config,
                            region_name=region or ("us-east-1" if service == "iam" else REGION),
                            aws_access_key_id=key[0], aws_secret_access_key=key[1],
                            aws_session_token=key[2] if len(key) > 2 else None)

    def last(self):
        return self.journal.after()[-1]

    def send(self, request):
        connection = http.client.HTTPConnection(self.address, timeout=10)
        connection.request(request.method, request.url.split(self.address, 1)[1] or "/", request.body, dict(request.headers))
        response = connection.getresponse()
        answer = response.status, response.read().decode()
        connection.close()
        return answer


@pytest.fixture(scope="module")
def shared():
    made = World()
    yield made
    made.server.close()


@pytest.fixture
def world(shared):
    shared.reset()
    return shared


def signed(world, service="ecs", body=b'{"cluster":"main","services":["shop"]}', key=LONG_TERM, scope=None, region=REGION,
           path="/", method="POST", headers=None, before=lambda request: None):
    """A request signed by botocore's signer, as the service's own client would send it."""
    if headers is None:
        headers = {"Content-Type": "application/x-amz-json-1.1",
                   "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.DescribeServices"}
    request = AWSRequest(method, f"http://{world.address}{path}", data=body, headers=headers)
    before(request)
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(Credentials(*key), scope or service, region).add_auth(request)
    return request.prepare()


def refused(world, request, code):
    """The request is answered with the code, is journalled as a violation, and does not reach the app."""
    status, text = world.send(request)

    entry = world.last()
    assert code in text
    assert 400 <= status < 500
    assert entry["error_code"] == code and entry["status"] == status
    assert entry["violation"]
    assert not world.inner.seen
    return entry["violation"]


def rejected(world, call, code, *words):
    with pytest.raises(ClientError) as caught:
        call()

    assert caught.value.response["Error"]["Code"] == code
    violation = world.last()["violation"]
    for word in words:
        assert word in violation
    assert not world.inner.seen
    return violation


# --- what is right passes ----------------------------------------------------------------------------------------

PASSING = [
    ("ecs", "describe_services", {"cluster": "main", "services": ["shop"]}),
    ("ecs", "create_service", {"serviceName": "shop", "clientToken": "x" * 36,
                               "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}}),
    ("ecs", "register_task_definition", {"family": "shop", "containerDefinitions": [
        {"name": "app", "image": "1.dkr.ecr.eu-west-1.amazonaws.com/shop@sha256:" + "a" * 64, "essential": True}],
        "tags": [{"key": "berth:app", "value": "shop"}]}),
    ("elbv2", "create_target_group", {"Name": "shop-1", "Protocol": "HTTP", "Port": 8080, "VpcId": "vpc-1",
                                      "TargetType": "ip", "Matcher": {"HttpCode": "200-299"},
                                      "Tags": [{"Key": "berth:app", "Value": "shop"}]}),
    ("elbv2", "create_rule", {"ListenerArn": "arn", "Priority": 1, "Conditions": [
        {"Field": "host-header", "HostHeaderConfig": {"Values": ["shop.example.test"]}}],
        "Actions": [{"Type": "forward", "TargetGroupArn": "arn"}]}),
    ("elbv2", "describe_tags", {"ResourceArns": ["a", "b"]}),
    ("sts", "get_caller_identity", {}),
    ("iam", "create_role", {"RoleName": "berth-shop", "Path": "/berth/", "AssumeRolePolicyDocument": '{"Statement":[]}',
                            "Tags": [{"Key": "k", "Value": "v w+x"}]}),
    ("codebuild", "start_build", {"projectName": "shop", "idempotencyToken": "t", "environmentVariablesOverride": [
        {"name": "A", "value": "ü & = +", "type": "PLAINTEXT"}]}),
    ("secretsmanager", "create_secret", {"Name": "berth/hooks/shop", "SecretString": "hunter2hunter2"}),
    ("ecr", "create_repository", {"repositoryName": "berth/shop", "imageTagMutability": "IMMUTABLE"}),
    ("logs", "put_log_events", {"logGroupName": "/berth/shop", "logStreamName": "s",
                                "logEvents": [{"timestamp": 1700000000000, "message": "hello"}]}),
    ("ec2", "describe_subnets", {"Filters": [{"Name": "vpc-id", "Values": ["vpc-1", "vpc-2"]}]}),
    ("ec2", "create_security_group", {"GroupName": "berth", "Description": "tenants", "VpcId": "vpc-1",
                                      "TagSpecifications": [{"ResourceType": "security-group",
                                                             "Tags": [{"Key": "a", "Value": "b"}]}]}),
    ("s3", "put_object", {"Bucket": "bucket", "Key": "tenants/a b+c/ü~.zip", "Body": b"zip", "Metadata": {"sha": "1"}}),
    ("s3", "head_object", {"Bucket": "bucket", "Key": "k", "VersionId": "v1"}),
    ("s3", "list_objects_v2", {"Bucket": "bucket", "Prefix": "tenants/shop/"}),
    ("s3", "create_multipart_upload", {"Bucket": "bucket", "Key": "k", "ContentType": "application/zip"}),
    ("s3", "upload_part", {"Bucket": "bucket", "Key": "k", "UploadId": "u", "PartNumber": 1, "Body": b"part"}),
    ("s3", "complete_multipart_upload", {"Bucket": "bucket", "Key": "k", "UploadId": "u", "MultipartUpload": {
        "Parts": [{"PartNumber": 1, "ETag": '"1"'}, {"PartNumber": 2, "ETag": '"2"'}]}}),
    ("s3", "abort_multipart_upload", {"Bucket": "bucket", "Key": "k", "UploadId": "u"}),
    ("s3", "delete_objects", {"Bucket": "bucket", "Delete": {"Objects": [{"Key": "a"}], "Quiet": True}}),
    ("s3", "create_bucket", {"Bucket": "bucket", "CreateBucketConfiguration": {"LocationConstraint": REGION}}),
    ("s3", "put_bucket_versioning", {"Bucket": "bucket", "VersioningConfiguration": {"Status": "Enabled"}}),
    ("s3", "put_bucket_tagging", {"Bucket": "bucket", "Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}}),
    ("s3", "put_bucket_lifecycle_configuration", {"Bucket": "bucket", "LifecycleConfiguration": {"Rules": [
        {"ID": "1", "Status": "Enabled", "Filter": {"Prefix": ""},
         "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}]}}),
]
EMPTY_REPLIES = {"elbv2": b"<R><%sResult/></R>", "iam": b"<R><%sResult/></R>", "sts": b"<R><%sResult/></R>",
                 "ec2": b"<R/>", "s3": b""}


@pytest.mark.parametrize("key", [LONG_TERM, SESSION], ids=["long-term", "session"])
@pytest.mark.parametrize("service,method,params", PASSING, ids=[f"{s}.{m}" for s, m, _ in PASSING])
def test_what_botocore_sends_passes_and_is_journalled_with_its_parameters(world, service, method, params, key):
    client = world.client(service, key)
    operation = client.meta.method_to_api_mapping[method]
    template = EMPTY_REPLIES.get(service, b"")
    world.inner.answer = (200, {}, template % operation.encode() if b"%s" in template else template)

    getattr(client, method)(**params)

    entry = world.last()
    assert entry["violation"] is None
    assert (entry["service"], entry["operation"], entry["status"]) == (service, operation, 200)
    assert entry["signer"] == ("session" if key is SESSION else LONG_TERM[0])
    for name, value in params.items():
        if name not in ("Body", "SecretString"):
            assert entry["params"][name] == value
    assert len(world.inner.seen) == 1


def test_a_large_body_passes_whole_and_is_not_kept_in_the_journal(world):
    body = bytes(range(256)) * 4 * 8192

    world.client("s3").put_object(Bucket="bucket", Key="big", Body=body)

    assert world.inner.seen[0][2:] == (len(body), hashlib.sha256(body).hexdigest())
    assert world.last()["params"]["Body"] == f"({len(body)} bytes)"


def test_a_presigned_url_passes_until_it_expires(world):
    url = world.client("s3", SESSION, signature_version="s3v4").generate_presigned_url(
        "get_object", {"Bucket": "bucket", "Key": "k"}, ExpiresIn=60)
    request = AWSRequest("GET", url).prepare()

    fresh = world.send(request)
    world.skew_s = 61
    late = world.send(request)

    assert fresh[0] == 200
    assert late[0] == 403 and "RequestTimeTooSkewed" in late[1]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_presigned_caller_identity_passes(world, method):
    url = world.client("sts").generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod=method)

    status, text = world.send(AWSRequest(method, url).prepare())

    assert status == 200, text
    assert world.last()["operation"] == "GetCallerIdentity"


def test_the_control_path_is_not_looked_at(world):
    status, _ = world.send(AWSRequest("GET", f"http://{world.address}/_control/journal").prepare())

    assert status == 200 and not world.journal.after()


def test_an_operation_that_needs_no_signature_passes_without_one(world):
    client = world.client("sts", signature_version="v4")
    world.inner.answer = (200, {}, b"<R><AssumeRoleWithWebIdentityResult/></R>")

    client.assume_role_with_web_identity(RoleArn="arn:aws:iam::123456789012:role/x", RoleSessionName="ab",
                                         WebIdentityToken="a" * 20)

    assert world.last()["violation"] is None and world.last()["params"]["WebIdentityToken"] == "***"


def test_credentials_that_sts_hands_out_may_sign_until_they_expire(world):
    expires = datetime.fromtimestamp(int(time.time()) + 100, timezone.utc).isoformat()
    world.inner.answer = (200, {}, (
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAFRESH00000000000</AccessKeyId>"
        f"<SecretAccessKey>fresh</SecretAccessKey><SessionToken>fresh-token</SessionToken><Expiration>{expires}"
        "</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>").encode())
    world.client("sts").assume_role(RoleArn="arn:aws:iam::123456789012:role/x", RoleSessionName="ab")
    world.inner.answer = (200, {}, b"")
    request = signed(world, key=("ASIAFRESH00000000000", "fresh", "fresh-token"))

    fresh = world.send(request)
    world.skew_s = 200
    late = world.send(signed(world, key=("ASIAFRESH00000000000", "fresh", "fresh-token")))

    assert fresh[0] == 200
    assert late[0] == 400 and "ExpiredTokenException" in late[1]


def test_an_error_of_the_app_is_journalled_with_its_code_and_no_violation(world):
    world.inner.answer = (400, {}, b'{"__type":"com.amazonaws.ecs#ClusterNotFoundException","message":"no"}')

    status, _ = world.send(signed(world))

    assert status == 400
    assert world.last()["error_code"] == "ClusterNotFoundException" and world.last()["violation"] is None


# --- signatures --------------------------------------------------------------------------------------------------

def test_one_changed_byte_of_the_body_is_refused(world):
    request = signed(world)
    request.body = request.body.replace(b"shop", b"shoq")

    violation = refused(world, request, "InvalidSignatureException")

    assert "canonical request" in violation


@pytest.mark.parametrize("name,value", [
    ("X-Amz-Target", "AmazonEC2ContainerServiceV20141113.DeleteService"), ("Content-Type", "text/plain"),
    ("Host", "ecs.eu-west-1.amazonaws.com")])
def test_a_changed_header_is_refused(world, name, value):
    request = signed(world)
    request.headers[name] = value

    refused(world, request, "InvalidSignatureException")


@pytest.mark.parametrize("skew_s", [-301, 301])
def test_a_date_more_than_five_minutes_off_is_refused(world, skew_s):
    request = signed(world)
    world.skew_s = skew_s + (1 if skew_s > 0 else -1)

    refused(world, request, "InvalidSignatureException")


@pytest.mark.parametrize("skew_s", [-297, 297])
def test_a_date_less_than_five_minutes_off_passes(world, skew_s):
    request = signed(world)
    world.skew_s = skew_s

    assert world.send(request)[0] == 200


def test_a_scope_of_another_region_is_refused(world):
    assert "us-west-2" in refused(world, signed(world, region="us-west-2"), "InvalidSignatureException")


def test_a_scope_of_another_service_is_refused(world):
    assert "'ecs'" in refused(world, signed(world, scope="codebuild"), "InvalidSignatureException")


def test_a_global_service_signed_for_another_region_is_refused(world):
    rejected(world, world.client("iam", region=REGION).list_roles, "SignatureDoesNotMatch", "us-east-1")


def test_a_scope_of_another_day_is_refused(world):
    request = signed(world)
    day = request.headers["X-Amz-Date"][:8]
    request.headers["Authorization"] = request.headers["Authorization"].replace(f"/{day}/", "/20200101/")

    assert "Date in Credential scope" in refused(world, request, "InvalidSignatureException")


def test_an_unsigned_x_amz_header_is_refused(world):
    request = signed(world)
    request.headers["X-Amz-Extra"] = "1"

    assert "x-amz-extra" in refused(world, request, "InvalidSignatureException")


def test_an_unsigned_content_type_is_refused(world):
    request = signed(world, headers={"X-Amz-Target": "AmazonEC2ContainerServiceV20141113.DescribeServices"})
    request.headers["Content-Type"] = "application/x-amz-json-1.1"

    assert "content-type" in refused(world, request, "InvalidSignatureException")


def test_a_lacking_session_token_is_refused(world):
    assert "lacking" in refused(world, signed(world, key=SESSION[:2]), "UnrecognizedClientException")


def test_another_session_token_is_refused_and_not_journalled(world):
    violation = refused(world, signed(world, key=(*SESSION[:2], "another-token")), "UnrecognizedClientException")

    assert "another-token" not in violation


def test_an_unknown_key_is_refused(world):
    refused(world, signed(world, key=("AKIAUNKNOWN", "x")), "UnrecognizedClientException")


def test_a_wrong_secret_is_refused_and_the_token_is_masked_in_the_journal(world):
    violation = refused(world, signed(world, key=(SESSION[0], "wrong", SESSION[2])), "InvalidSignatureException")

    assert SESSION[2] not in violation and "x-amz-security-token:***" in violation


def test_an_unsigned_request_is_refused(world):
    request = signed(world)
    del request.headers["Authorization"]

    refused(world, request, "MissingAuthenticationTokenException")


@pytest.mark.parametrize("tamper", [
    lambda a: a.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), lambda a: a.replace("SignedHeaders=", "Signed="),
    lambda a: a.replace("Signature=", "Signature=0, Signature="), lambda a: a.replace("/aws4_request", "")])
def test_a_malformed_authorization_header_is_refused(world, tamper):
    request = signed(world)
    request.headers["Authorization"] = tamper(request.headers["Authorization"])

    refused(world, request, "IncompleteSignatureException")


def test_s3_without_a_body_hash_is_refused(world):
    request = AWSRequest("GET", f"http://{world.address}/bucket/k")
    SigV4Auth(Credentials(*LONG_TERM), "s3", REGION).add_auth(request)

    assert "x-amz-content-sha256" in refused(world, request.prepare(), "InvalidRequest")


@pytest.mark.parametrize("payload,code,status", [
    ("UNSIGNED-PAYLOAD", "XAmzContentSHA256Mismatch", 400), ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "NotImplemented", 501),
    ("0" * 64, "XAmzContentSHA256Mismatch", 400)])
def test_s3_with_another_body_hash_is_refused(world, payload, code, status):
    request = AWSRequest("PUT", f"http://{world.address}/bucket/k", data=b"body")
    signer = S3SigV4Auth(Credentials(*LONG_TERM), "s3", REGION)
    signer.payload = lambda _: payload
    signer.add_auth(request)

    got, text = world.send(request.prepare())

    assert (got, f"<Code>{code}</Code>" in text) == (status, True)
    assert world.last()["violation"] and not world.inner.seen


def test_s3_body_that_is_not_its_checksum_is_refused(world):
    request = signed(world, "s3", b"body", path="/bucket/k", method="PUT",
                     headers={"x-amz-checksum-crc32": "AAAAAA==", "x-amz-sdk-checksum-algorithm": "CRC32"})

    assert "crc32" in refused(world, request, "BadDigest")


def test_s3_errors_are_s3_xml_and_a_head_has_no_body(world):
    get = world.send(AWSRequest("GET", f"http://{world.address}/bucket/k").prepare())
    head = world.send(AWSRequest("HEAD", f"http://{world.address}/bucket/k").prepare())

    assert get[0] == 403 and "<Code>AccessDenied</Code>" in get[1]
    assert head == (403, "")


def test_a_path_sent_otherwise_than_signed_is_refused(world):
    request = signed(world, "s3", b"", path="/bucket/a%20b", method="GET", headers={})
    request.url = request.url.replace("a%20b", "a+b")

    refused(world, request, "SignatureDoesNotMatch")


def test_query_protocol_answers_a_bad_signature_as_xml_403(world):
    client = world.client("elbv2", (LONG_TERM[0], "wrong"))

    rejected(world, client.describe_load_balancers, "SignatureDoesNotMatch")

    assert world.last()["status"] == 403


def test_ec2_answers_a_bad_signature_as_auth_failure_401(world):
    rejected(world, world.client("ec2", (LONG_TERM[0], "wrong")).describe_vpcs, "AuthFailure")

    assert world.last()["status"] == 401


# --- models ------------------------------------------------------------------------------------------------------

def raw_ecs(world, operation, body):
    target = f"AmazonEC2ContainerServiceV20141113.{operation}"
    return signed(world, body=json.dumps(body).encode() if not isinstance(body, bytes) else body,
                  headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target})


def test_an_unknown_operation_is_refused_as_each_protocol_does(world):
    refused(world, raw_ecs(world, "DescribeNothing", {}), "UnknownOperationException")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(world, signed(world, "elasticloadbalancing", b"Action=Nothing&Version=2015-12-01", headers=form), "InvalidAction")
    refused(world, signed(world, "s3", b"", path="/bucket/k", method="POST", headers={}), "MethodNotAllowed")


@pytest.mark.parametrize("operation,body,words", [
    ("DescribeServices", {"services": ["a"], "clusters": "b"}, ["clusters", "unknown member"]),
    ("DescribeServices", {"cluster": "a"}, ["services", "required"]),
    ("CreateService", {"clientToken": "x", "serviceName": "a", "launchType": "CLOUD"}, ["launchType", "FARGATE"]),
    ("CreateCluster", {"tags": [{"key": "a" * 129, "value": ""}]}, ["tags[0].key", "128"]),
    ("CreateService", {"clientToken": "x" * 37, "serviceName": "a"}, ["clientToken", "36", "Ensuring idempotency"]),
    ("DescribeServices", {"services": ["a"] * 11}, ["services", "10"]),
    ("DescribeTasks", {"tasks": ["a"] * 101}, ["tasks", "100"]),
])
def test_parameters_outside_the_model_are_refused_and_named(world, operation, body, words):
    violation = refused(world, raw_ecs(world, operation, body), "InvalidParameterException")

    assert operation in violation
    for word in words:
        assert word in violation


@pytest.mark.parametrize("body", [
    b'{"services":"shop"}', b'{"services":[1]}', b'{"services":["a"],"cluster":null}', b'{"services":["a"]', b"[]",
    b'{"services":["a"],"services":["b"]}', b'{"services":["\xff"]}', b'{"services":[NaN]}'])
def test_wrong_types_and_malformed_json_are_serialization_errors(world, body):
    refused(world, raw_ecs(world, "DescribeServices", body), "SerializationException")


def test_a_lacking_idempotency_token_is_refused(world):
    request = signed(world, "secretsmanager", b'{"Name":"a"}', headers={
        "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.CreateSecret"})

    assert "ClientRequestToken" in refused(world, request, "InvalidParameterException")


def test_query_lists_must_be_numbered_and_members_known(world):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for pair, word in (("ResourceArns.member.2=a", "numbered"), ("ResourceArns.1=a", "member"),
                       ("ResourceArns.member.1=a&Nothing=1", "Nothing"), ("", "ResourceArns"),
                       ("ResourceArns.member.1.X=a", "no members")):
        body = f"Action=DescribeTags&Version=2015-12-01&{pair}".encode()
        assert word in refused(world, signed(world, "elasticloadbalancing", body, headers=form), "ValidationError")


def test_query_numbers_and_booleans_are_read_strictly(world):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = b"Action=DescribeLoadBalancers&Version=2015-12-01&PageSize=ten"

    assert "PageSize" in refused(world, signed(world, "elasticloadbalancing", body, headers=form), "ValidationError")


def test_s3_unknown_query_header_and_element_are_refused(world):
    path = "/bucket/k?nothing=1"
    assert "nothing" in refused(world, signed(world, "s3", b"", path=path, method="GET", headers={}), "InvalidArgument")
    head = {"x-amz-nothing": "1"}
    assert "x-amz-nothing" in refused(world, signed(world, "s3", b"x", path="/bucket/k", method="PUT", headers=head),
                                      "InvalidArgument")
    xml = b"<VersioningConfiguration><Nothing/></VersioningConfiguration>"
    assert "Nothing" in refused(world, signed(world, "s3", xml, path="/bucket?versioning", method="PUT", headers={}),
                                "InvalidArgument")


def test_a_doctype_is_refused(world):
    xml = b'<!DOCTYPE x [<!ENTITY a "b">]><VersioningConfiguration/>'

    refused(world, signed(world, "s3", xml, path="/bucket?versioning", method="PUT", headers={}), "MalformedXML")


def test_a_secret_never_reaches_the_journal_not_even_in_a_violation(world):
    client = world.client("secretsmanager")
    client.put_secret_value(SecretId="a", SecretString="hunter2hunter2")
    with pytest.raises(ClientError):
        client.put_secret_value(SecretId="a", SecretString="hunter2" * 10000)

    with pytest.raises(ClientError) as caught:
        world.client("iam").create_login_profile(UserName="a", Password="hunter2\u4e2d")

    assert "must match" in world.last()["violation"] and "hunter2" not in str(caught.value)
    assert "hunter2" not in json.dumps(world.journal.after())
    assert world.journal.after()[0]["params"]["SecretString"] == "***"


def test_every_pattern_of_the_services_berth_uses_is_checked(world):
    catalogue = Catalogue()

    for service in SERVICES.split():
        for name in catalogue.model(service).shape_names:
            pattern = catalogue.model(service).shape_for(name).metadata.get("pattern")
            assert pattern is None or gate_rules.compiled(pattern), pattern

    assert gate_rules.skipped_patterns == {}


# --- documented limits -------------------------------------------------------------------------------------------

GROUP = {"Protocol": "HTTP", "Port": 80, "VpcId": "vpc-1"}
RULE = {"ListenerArn": "a", "Priority": 1, "Actions": [{"Type": "forward", "TargetGroupArn": "a"}]}
TRUST = '{"Statement":[%s]}'


def hosts(*names):
    return [{"Field": "host-header", "HostHeaderConfig": {"Values": list(names)}}]


BREAKING = [
    ("elbv2", "create_target_group", {"Name": "a" * 33, **GROUP}, "ValidationError", ["Name", "32", "CreateTargetGroup"]),
    ("elbv2", "create_target_group", {"Name": "-a", **GROUP}, "ValidationError", ["hyphen"]),
    ("elbv2", "create_target_group", {"Name": "a_b", **GROUP}, "ValidationError", ["letters, digits and hyphens"]),
    ("elbv2", "create_target_group", {"Name": "a", "Protocol": "HTTP", "Port": 80}, "ValidationError", ["VpcId"]),
    ("elbv2", "create_load_balancer", {"Name": "internal-a", "Subnets": ["a"]}, "ValidationError", ["internal-"]),
    ("elbv2", "create_rule", {**RULE, "Conditions": hosts(*["a.b"] * 6)}, "ValidationError", ["5 condition values"]),
    ("elbv2", "create_rule", {**RULE, "Conditions": hosts("a" * 125 + ".com")}, "ValidationError", ["128"]),
    ("elbv2", "create_rule", {**RULE, "Conditions": hosts("localhost")}, "ValidationError", ["'.'"]),
    ("elbv2", "create_rule", {**RULE, "Conditions": hosts("a.b") * 2}, "ValidationError", ["one host-header"]),
    ("elbv2", "create_rule", {**RULE, "Conditions": hosts("a.b"), "Priority": 50001}, "ValidationError", ["Priority"]),
    ("elbv2", "modify_target_group_attributes", {"TargetGroupArn": "a", "Attributes": [
        {"Key": "deregistration_delay.timeout_seconds", "Value": "3601"}]}, "ValidationError", ["3600"]),
    ("elbv2", "add_tags", {"ResourceArns": ["a"], "Tags": [{"Key": "aws:x", "Value": ""}]}, "ValidationError", ["aws:"]),
    ("ecs", "register_task_definition", {"family": "a" * 256, "containerDefinitions": [{"name": "a", "image": "a"}]},
     "InvalidParameterException", ["family"]),
    ("ecs", "register_task_definition", {"family": "a", "containerDefinitions": [{"name": "a", "image": "a@sha256:1"}]},
     "InvalidParameterException", ["digest"]),
    ("codebuild", "create_project", {"name": "a" * 151, "source": {"type": "S3"}, "artifacts": {"type": "NO_ARTIFACTS"},
                                     "environment": {"type": "LINUX_CONTAINER", "image": "a",
                                                     "computeType": "BUILD_GENERAL1_SMALL"}, "serviceRole": "a"},
     "InvalidInputException", ["name", "150"]),
    ("codebuild", "batch_get_builds", {"ids": ["a"] * 101}, "InvalidInputException", ["ids", "100"]),
    ("iam", "create_role", {"RoleName": "a" * 65, "AssumeRolePolicyDocument": TRUST % ""}, "ValidationError", ["64"]),
    ("iam", "create_role", {"RoleName": "a", "AssumeRolePolicyDocument": TRUST % ('"' + "a" * 2048 + '"')},
     "ValidationError", ["2048", "trust policy"]),
    ("iam", "put_role_policy", {"RoleName": "a", "PolicyName": "p", "PolicyDocument": TRUST % ('"' + "a" * 10240 + '"')},
     "ValidationError", ["10240"]),
    ("iam", "put_role_policy", {"RoleName": "a", "PolicyName": "p", "PolicyDocument": "{"}, "ValidationError", ["JSON"]),
    ("iam", "tag_role", {"RoleName": "a", "Tags": [{"Key": str(i), "Value": ""} for i in range(51)]}, "ValidationError",
     ["50"]),
    ("ecr", "create_repository", {"repositoryName": "Shop"}, "InvalidParameterException", ["repositoryName"]),
    ("secretsmanager", "create_secret", {"Name": "berth/shop-abcdef"}, "InvalidParameterException", ["hyphen and six"]),
    ("logs", "create_log_group", {"logGroupName": "a" * 513}, "InvalidParameterException", ["512"]),
    ("logs", "put_retention_policy", {"logGroupName": "a", "retentionInDays": 2}, "InvalidParameterException",
     ["PutRetentionPolicy"]),
    ("s3", "create_bucket", {"Bucket": "Bucket"}, "InvalidArgument", ["lower-case"]),
    ("s3", "put_object", {"Bucket": "bucket", "Key": "ü" * 513, "Body": b"x"}, "InvalidArgument", ["1024 bytes"]),
    ("s3", "upload_part", {"Bucket": "bucket", "Key": "k", "UploadId": "u", "PartNumber": 10001, "Body": b"x"},
     "InvalidArgument", ["10000"]),
    ("s3", "complete_multipart_upload", {"Bucket": "bucket", "Key": "k", "UploadId": "u", "MultipartUpload": {
        "Parts": [{"PartNumber": 2, "ETag": "2"}, {"PartNumber": 1, "ETag": "1"}]}}, "InvalidArgument", ["ascending"]),
    ("ec2", "create_security_group", {"GroupName": "sg-a", "Description": "d"}, "InvalidParameterValue", ["sg-"]),
]


@pytest.mark.parametrize("service,method,params,code,words", BREAKING,
                         ids=[f"{s}.{m}.{w[0]}" for s, m, _, _, w in BREAKING])
def test_a_documented_limit_that_is_broken_is_refused_and_named(world, service, method, params, code, words):
    client = world.client(service)
    client.meta.events.unregister("before-parameter-build.s3", None)

    rejected(world, lambda: getattr(client, method)(**params), code, *words)
