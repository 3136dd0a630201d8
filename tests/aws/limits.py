"""Limits that AWS documents and botocore's models lack, one row each, with the document that says so.

A rule is a function of the value at the row's member path (`[]` walks a list, "" is the whole
request); it returns what is wrong, or None. Documents are named by their titles on docs.aws.amazon.com.
"""
import ipaddress
import json
from dataclasses import dataclass
from typing import Callable

import regex

from gate_model import Problem


@dataclass(frozen=True)
class Limit:
    service: str
    operations: str  # space-separated, or * for all
    member: str
    rule: Callable
    document: str


# --- rules -------------------------------------------------------------------------------------------------------

def length(low, high):
    return lambda v: None if low <= len(v) <= high else f"must have {low} to {high} characters, got {len(v)}"


def size_bytes(high):
    return lambda v: None if len(v.encode()) <= high else f"must have at most {high} bytes, got {len(v.encode())}"


def count(high, low=0):
    return lambda v: None if low <= len(v) <= high else f"must have {low} to {high} members, got {len(v)}"


def between(low, high):
    return lambda v: None if low <= v <= high else f"must be {low} to {high}, got {v}"


def one_of(*values):
    return lambda v: None if v in values else f"must be one of {', '.join(map(str, values))}, got {v}"


def matches(pattern, words):
    compiled = regex.compile(pattern)
    return lambda v: None if compiled.fullmatch(v) else f"must be {words}"


def never(pattern, words):
    compiled = regex.compile(pattern)
    return lambda v: f"must not {words}" if compiled.search(v) else None


def all_of(*rules):
    def rule(value):
        found = [wrong for each in rules if (wrong := each(value))]
        return "; ".join(found) or None
    return rule


def at_most_gib(high):
    return lambda v: None if getattr(v, "size", 0) <= high << 30 else f"must have at most {high} GiB in one request"


LETTERS = matches(r"[A-Za-z0-9_-]{1,255}", "1 to 255 letters, digits, underscores and hyphens")
ELB_NAME = all_of(length(1, 32), matches(r"[A-Za-z0-9-]*", "letters, digits and hyphens"),
                  never(r"^-|-$", "begin or end with a hyphen"))
TOKEN = r"[\x21-\x7e]"


def policy_document(high):
    """A JSON policy of at most `high` characters; IAM does not count white space."""
    def rule(text):
        try:
            document = json.loads(text)
        except ValueError as error:
            return f"must be a JSON policy document: {error}"
        if not isinstance(document, dict) or "Statement" not in document:
            return "must be a policy document with a Statement"
        counted = len("".join(text.split()))
        return None if counted <= high else f"must have at most {high} characters without white space, got {counted}"
    return rule


def bucket_name(name):
    wrong = all_of(matches(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "3 to 63 lower-case letters, digits, dots and hyphens, "
                           "beginning and ending with a letter or digit"),
                   never(r"\.\.", "have two dots in a row"),
                   never(r"^(xn--|sthree-|amzn-s3-demo-)", "begin with a reserved prefix"),
                   never(r"(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$", "end with a reserved suffix"))(name)
    try:
        ipaddress.IPv4Address(name)
        return "must not be formatted as an IP address"
    except ValueError:
        return wrong


def ascending_parts(upload):
    numbers = [part.get("PartNumber", 0) for part in upload.get("Parts", [])]
    if not numbers:
        return "must name at least one part"
    return None if numbers == sorted(set(numbers)) else "parts must be in ascending order, each once"


def host_condition(value):
    return all_of(length(1, 128), matches(r"[A-Za-z0-9.*?-]*", "letters, digits, '-', '.', '*' and '?'"),
                  matches(r".*\.[A-Za-z*?]+", "a name with a '.' and only letters after the last one"))(value)


def rule_conditions(params):
    # ModifyRule may leave them as they are; CreateRule's model requires them.
    if "Conditions" not in params:
        return None
    values = wildcards = 0
    fields = []
    for condition in params.get("Conditions", []):
        fields.append(condition.get("Field"))
        lists = [condition.get("Values", [])]
        lists += [c.get("Values", []) for c in condition.values() if isinstance(c, dict)]
        values += sum(len(each) for each in lists)
        wildcards += sum(text.count("*") + text.count("?") for each in lists for text in each if isinstance(text, str))
    once = [f for f in ("host-header", "path-pattern", "http-request-method", "source-ip") if fields.count(f) > 1]
    if once:
        return f"may have one {once[0]} condition"
    if not 1 <= values <= 5:
        return f"may have 1 to 5 condition values, got {values}"
    return f"may have at most 5 wildcard characters, got {wildcards}" if wildcards > 5 else None


def target_group_attribute(attribute):
    ranges = {"deregistration_delay.timeout_seconds": (0, 3600), "slow_start.duration_seconds": (0, 900),
              "stickiness.lb_cookie.duration_seconds": (1, 604800)}
    if attribute.get("Key") not in ranges:
        return None
    low, high = ranges[attribute["Key"]]
    value = attribute.get("Value", "")
    return None if value.isdigit() and low <= int(value) <= high else f"{attribute['Key']} must be {low} to {high}"


def container_image(image):
    digest = regex.search(r"@(.*)$", image)
    if digest and not regex.fullmatch(r"sha256:[0-9A-Fa-f]{64}", digest[1]):
        return "the digest must be sha256: and 64 hexadecimal digits"
    return length(1, 255 if not digest else 600)(image)


def task_definition(params):
    names = [c.get("name") for c in params.get("containerDefinitions", [])]
    if len(set(names)) != len(names):
        return "container names must be unique"
    if not any(c.get("essential", True) for c in params.get("containerDefinitions", [])):
        return "at least one container must be essential"
    size = len(json.dumps(params, default=str))
    return None if size <= 65536 else f"a task definition may have at most 64 KiB, got {size} bytes"


def forced_delete(params):
    both = params.get("ForceDeleteWithoutRecovery") and "RecoveryWindowInDays" in params
    return "RecoveryWindowInDays and ForceDeleteWithoutRecovery exclude each other" if both else None


def log_batch(params):
    events = params.get("logEvents", [])
    stamps = [event.get("timestamp", 0) for event in events]
    size = sum(len(event.get("message", "").encode()) + 26 for event in events)
    if stamps != sorted(stamps):
        return "events must be in chronological order"
    if stamps and stamps[-1] - stamps[0] > 24 * 3600 * 1000:
        return "a batch may not span more than 24 hours"
    return None if size <= 1048576 else f"a batch may have at most 1,048,576 bytes, got {size}"


def user_metadata(metadata):
    size = sum(len(k.encode()) + len(v.encode()) for k, v in metadata.items())
    return None if size <= 2048 else f"must have at most 2,048 bytes, got {size}"


def target_group(params):
    if params.get("TargetType") == "lambda":
        return None
    missing = [name for name in ("Protocol", "Port", "VpcId") if name not in params]
    if missing:
        return f"{', '.join(missing)} must be given unless the target type is lambda"
    interval, timeout = params.get("HealthCheckIntervalSeconds"), params.get("HealthCheckTimeoutSeconds")
    if interval and timeout and timeout >= interval:
        return "the health check's timeout must be shorter than its interval"
    return None


# --- the table ---------------------------------------------------------------------------------------------------

def _rows(service, *rows):
    return [Limit(service, *row) for row in rows]


ECS_API, ELB_API = "Amazon ECS API Reference: ", "Elastic Load Balancing API Reference: "
TAGS_50 = count(50)
RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)

LIMITS = [
    *_rows(
        "elbv2",
        ("CreateTargetGroup", "Name", ELB_NAME, ELB_API + "CreateTargetGroup, Name"),
        ("CreateTargetGroup", "", target_group, ELB_API + "CreateTargetGroup, Protocol, Port, VpcId; Health checks"),
        ("CreateLoadBalancer", "Name", all_of(ELB_NAME, never("^internal-", "begin with internal-")),
         ELB_API + "CreateLoadBalancer, Name"),
        ("CreateRule ModifyRule", "", rule_conditions, "Quotas for your Application Load Balancers"),
        ("CreateRule ModifyRule", "Conditions[].HostHeaderConfig.Values[]", host_condition,
         "Condition types for listener rules: Host conditions"),
        ("CreateRule ModifyRule", "Conditions[].PathPatternConfig.Values[]", length(1, 128),
         ELB_API + "PathPatternConditionConfig"),
        ("CreateRule ModifyRule", "Conditions[].HttpHeaderConfig.HttpHeaderName", length(1, 40),
         ELB_API + "HttpHeaderConditionConfig"),
        ("CreateRule", "Priority", between(1, 50000), ELB_API + "CreateRule, Priority"),
        ("SetRulePriorities", "RulePriorities[].Priority", between(1, 50000), ELB_API + "RulePriorityPair"),
        ("ModifyTargetGroupAttributes", "Attributes[]", target_group_attribute, ELB_API + "TargetGroupAttribute"),
        ("DescribeTags", "ResourceArns", count(20, 1), ELB_API + "DescribeTags"),
        ("AddTags RemoveTags", "ResourceArns", count(20, 1), ELB_API + "AddTags"),
        ("DescribeLoadBalancers", "LoadBalancerArns", count(20), ELB_API + "DescribeLoadBalancers"),
        ("DescribeLoadBalancers DescribeTargetGroups", "PageSize", between(1, 400), ELB_API + "DescribeLoadBalancers"),
    ),
    *_rows(
        "ecs",
        ("CreateCluster", "clusterName", LETTERS, ECS_API + "CreateCluster"),
        ("CreateService", "serviceName", LETTERS, ECS_API + "CreateService"),
        ("CreateService CreateTaskSet", "clientToken", matches(TOKEN + "{1,36}", "1 to 36 ASCII characters from 33 to 126"),
         ECS_API + "Ensuring idempotency"),
        ("RunTask", "clientToken", matches(TOKEN + "{1,64}", "1 to 64 ASCII characters from 33 to 126"),
         ECS_API + "Ensuring idempotency"),
        ("RunTask", "count", between(1, 10), ECS_API + "RunTask"),
        ("RunTask", "startedBy", matches(r"[A-Za-z0-9/_-]{0,128}", "up to 128 letters, digits, hyphens, slashes and "
                                         "underscores"), ECS_API + "RunTask"),
        ("CreateService UpdateService", "desiredCount", between(0, 5000), "Amazon ECS service quotas: Tasks per service"),
        ("CreateService UpdateService", "healthCheckGracePeriodSeconds", between(0, 2147483647), ECS_API + "UpdateService"),
        ("CreateService UpdateService", "loadBalancers", count(5), "Amazon ECS service quotas: Target groups per service"),
        ("CreateService UpdateService", "networkConfiguration.awsvpcConfiguration.subnets", count(16, 1),
         ECS_API + "AwsVpcConfiguration"),
        ("CreateService UpdateService", "networkConfiguration.awsvpcConfiguration.securityGroups", count(5),
         ECS_API + "AwsVpcConfiguration"),
        ("RegisterTaskDefinition", "family", LETTERS, ECS_API + "RegisterTaskDefinition"),
        ("RegisterTaskDefinition", "containerDefinitions", count(10, 1), "Amazon ECS service quotas: Containers"),
        ("RegisterTaskDefinition", "", task_definition, "Amazon ECS service quotas: Task definition size"),
        ("RegisterTaskDefinition", "containerDefinitions[].name", LETTERS, ECS_API + "ContainerDefinition"),
        ("RegisterTaskDefinition", "containerDefinitions[].image", container_image, ECS_API + "ContainerDefinition"),
        ("RegisterTaskDefinition", "containerDefinitions[].portMappings[].containerPort", between(1, 65535),
         ECS_API + "PortMapping"),
        ("RegisterTaskDefinition", "containerDefinitions[].stopTimeout", between(2, 120), ECS_API + "ContainerDefinition"),
        ("RegisterTaskDefinition", "containerDefinitions[].startTimeout", between(2, 120),
         ECS_API + "ContainerDefinition"),
        ("RegisterTaskDefinition", "containerDefinitions[].healthCheck.interval", between(5, 300), ECS_API + "HealthCheck"),
        ("RegisterTaskDefinition", "containerDefinitions[].healthCheck.timeout", between(2, 60), ECS_API + "HealthCheck"),
        ("RegisterTaskDefinition", "containerDefinitions[].healthCheck.retries", between(1, 10), ECS_API + "HealthCheck"),
        ("RegisterTaskDefinition", "containerDefinitions[].healthCheck.startPeriod", between(0, 300),
         ECS_API + "HealthCheck"),
        ("RegisterTaskDefinition", "ephemeralStorage.sizeInGiB", between(21, 200), ECS_API + "EphemeralStorage"),
        ("DescribeServices", "services", count(10, 1), ECS_API + "DescribeServices"),
        ("DescribeTasks", "tasks", count(100, 1), ECS_API + "DescribeTasks"),
        ("DescribeClusters", "clusters", count(100), ECS_API + "DescribeClusters"),
        ("DescribeServiceDeployments", "serviceDeploymentArns", count(20, 1), ECS_API + "DescribeServiceDeployments"),
        ("DeleteTaskDefinitions", "taskDefinitions", count(10, 1), ECS_API + "DeleteTaskDefinitions"),
        ("ListTasks ListServices ListServiceDeployments ListClusters ListTaskDefinitions", "maxResults", between(1, 100),
         ECS_API + "ListTasks"),
    ),
    *_rows(
        "codebuild",
        ("CreateProject UpdateProject", "name", matches(r"[A-Za-z0-9][A-Za-z0-9_-]{1,149}",
                                                        "2 to 150 letters, digits, hyphens and underscores"),
         "AWS CodeBuild API Reference: CreateProject; Quotas for AWS CodeBuild"),
        ("CreateProject UpdateProject", "description", length(0, 255), "Quotas for AWS CodeBuild"),
        ("CreateProject UpdateProject", "timeoutInMinutes", between(5, 2160), "Quotas for AWS CodeBuild"),
        ("StartBuild", "timeoutInMinutesOverride", between(5, 2160), "Quotas for AWS CodeBuild"),
        ("CreateProject UpdateProject", "queuedTimeoutInMinutes", between(5, 480), "Quotas for AWS CodeBuild"),
        ("CreateProject UpdateProject", "vpcConfig.subnets", count(16, 1), "Quotas for AWS CodeBuild"),
        ("CreateProject UpdateProject", "vpcConfig.securityGroupIds", count(5, 1), "Quotas for AWS CodeBuild"),
        ("BatchGetBuilds", "ids", count(100, 1), "AWS CodeBuild API Reference: BatchGetBuilds"),
        ("BatchGetProjects", "names", count(100, 1), "AWS CodeBuild API Reference: BatchGetProjects"),
    ),
    *_rows(
        "iam",
        ("CreateRole", "RoleName", length(1, 64), "IAM and AWS STS quotas: name and character limits"),
        ("CreateRole UpdateAssumeRolePolicy", "AssumeRolePolicyDocument", policy_document(2048),
         "IAM and AWS STS quotas: Role trust policy length"),
        ("UpdateAssumeRolePolicy", "PolicyDocument", policy_document(2048),
         "IAM and AWS STS quotas: Role trust policy length"),
        ("PutRolePolicy", "PolicyDocument", policy_document(10240), "IAM and AWS STS quotas: Role inline policies"),
        ("PutUserPolicy", "PolicyDocument", policy_document(2048), "IAM and AWS STS quotas: User inline policies"),
        ("PutGroupPolicy", "PolicyDocument", policy_document(5120), "IAM and AWS STS quotas: Group inline policies"),
        ("CreatePolicy CreatePolicyVersion", "PolicyDocument", policy_document(6144),
         "IAM and AWS STS quotas: Managed policies"),
        ("CreateRole UpdateRole", "Description", length(0, 1000), "IAM API Reference: CreateRole"),
    ),
    *_rows(
        "sts",
        ("AssumeRole", "RoleSessionName", matches(r"[\w+=,.@-]{2,64}", "2 to 64 word characters and +=,.@-"),
         "AWS STS API Reference: AssumeRole"),
    ),
    *_rows(
        "ecr",
        ("CreateRepository", "repositoryName",
         matches(r"(?=.{2,256}$)(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*",
                 "2 to 256 characters, lower-case, beginning with a letter or digit"),
         "Amazon ECR API Reference: CreateRepository"),
        ("PutImage", "imageTag", matches(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", "1 to 128 characters, an OCI tag"),
         "OCI Distribution Specification: tags"),
        ("BatchGetImage BatchDeleteImage DescribeImages", "imageIds", count(100, 1),
         "Amazon ECR API Reference: BatchGetImage"),
        ("DescribeRepositories", "repositoryNames", count(100, 1), "Amazon ECR API Reference: DescribeRepositories"),
        ("DescribeImages DescribeRepositories ListImages", "maxResults", between(1, 1000),
         "Amazon ECR API Reference: DescribeImages"),
    ),
    *_rows(
        "secretsmanager",
        ("CreateSecret", "Name",
         all_of(matches(r"[A-Za-z0-9/_+=.@-]{1,512}", "1 to 512 letters, digits and /_+=.@-"),
                never(r"-[A-Za-z0-9]{6}$", "end with a hyphen and six characters")),
         "AWS Secrets Manager API Reference: CreateSecret"),
        ("CreateSecret PutSecretValue UpdateSecret", "SecretString", size_bytes(65536), "AWS Secrets Manager quotas"),
        ("DeleteSecret", "RecoveryWindowInDays", between(7, 30), "AWS Secrets Manager API Reference: DeleteSecret"),
        ("DeleteSecret", "", forced_delete, "AWS Secrets Manager API Reference: DeleteSecret"),
        ("BatchGetSecretValue", "SecretIdList", count(20, 1), "AWS Secrets Manager API Reference: BatchGetSecretValue"),
    ),
    *_rows(
        "logs",
        ("CreateLogGroup", "logGroupName",
         all_of(matches(r"[A-Za-z0-9_/.#-]{1,512}", "1 to 512 letters, digits and _ - / . #"),
                never("^aws/", "begin with aws/")), "Amazon CloudWatch Logs API Reference: CreateLogGroup"),
        ("PutRetentionPolicy", "retentionInDays", one_of(*RETENTION_DAYS),
         "Amazon CloudWatch Logs API Reference: PutRetentionPolicy"),
        ("PutLogEvents", "", log_batch, "Amazon CloudWatch Logs API Reference: PutLogEvents"),
    ),
    *_rows(
        "s3",
        ("CreateBucket", "Bucket", bucket_name, "Amazon S3 User Guide: General purpose bucket naming rules"),
        ("*", "Key", size_bytes(1024), "Amazon S3 User Guide: Naming Amazon S3 objects"),
        ("UploadPart UploadPartCopy", "PartNumber", between(1, 10000), "Amazon S3 multipart upload limits"),
        ("PutObject UploadPart", "Body", at_most_gib(5), "Amazon S3 multipart upload limits"),
        ("CompleteMultipartUpload", "MultipartUpload", ascending_parts,
         "Amazon S3 API Reference: CompleteMultipartUpload"),
        ("CompleteMultipartUpload", "MultipartUpload.Parts", count(10000, 1), "Amazon S3 multipart upload limits"),
        ("DeleteObjects", "Delete.Objects", count(1000, 1), "Amazon S3 API Reference: DeleteObjects"),
        ("PutObject CreateMultipartUpload CopyObject", "Metadata", user_metadata,
         "Amazon S3 User Guide: Working with object metadata"),
        ("PutBucketLifecycleConfiguration", "LifecycleConfiguration.Rules", count(1000, 1),
         "Amazon S3 User Guide: Managing the lifecycle of objects"),
        ("PutBucketLifecycleConfiguration", "LifecycleConfiguration.Rules[].ID", length(0, 255),
         "Amazon S3 API Reference: LifecycleRule"),
        ("PutObjectTagging", "Tagging.TagSet", count(10), "Amazon S3 User Guide: Categorizing your objects using tags"),
    ),
    *_rows(
        "ec2",
        ("CreateSecurityGroup", "GroupName",
         all_of(matches(r"[A-Za-z0-9 ._:/()#,@\[\]+=&;{}!$*-]{1,255}", "1 to 255 of the permitted characters"),
                never("^sg-", "begin with sg-")), "Amazon EC2 API Reference: CreateSecurityGroup"),
        ("CreateSecurityGroup", "Description",
         matches(r"[A-Za-z0-9 ._:/()#,@\[\]+=&;{}!$*-]{1,255}", "1 to 255 of the permitted characters"),
         "Amazon EC2 API Reference: CreateSecurityGroup"),
    ),
]

TAG_MEMBERS = {"tags", "taglist", "tagset"}
TAG_DOCUMENT = "Tagging AWS Resources: Tag naming limits and requirements"
TAG_TEXT = regex.compile(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*")


def check_limits(service, operation, params, problems):
    """Append a Problem for every row the parameters break."""
    for limit in LIMITS:
        if limit.service == service and (limit.operations == "*" or operation in limit.operations.split()):
            for path, value in _walk(params, limit.member):
                wrong = limit.rule(value)
                if wrong:
                    problems.append(Problem(path or "request", wrong, limit.document))
    if not operation.startswith(("Describe", "List", "Get", "Filter")):
        _check_tags(params, "", problems)


def _walk(value, member, path=""):
    """(path, value) of each place a member path names; absent members name none."""
    if not member:
        yield path, value
        return
    head, _, rest = member.partition(".")
    name, is_list = head.removesuffix("[]"), head.endswith("[]")
    if not isinstance(value, dict) or name not in value:
        return
    path = f"{path}.{name}" if path else name
    if not is_list:
        yield from _walk(value[name], rest, path)
        return
    for i, item in enumerate(value[name]):
        yield from _walk(item, rest, f"{path}[{i}]")


def _check_tags(value, path, problems):
    if isinstance(value, list):
        for i, item in enumerate(value):
            _check_tags(item, f"{path}[{i}]", problems)
    if not isinstance(value, dict):
        return
    for name, item in value.items():
        where = f"{path}.{name}" if path else name
        pairs = _tag_pairs(item) if name.lower() in TAG_MEMBERS else None
        if pairs is None:
            _check_tags(item, where, problems)
            continue
        for wrong in _tag_problems(pairs):
            problems.append(Problem(where, wrong, TAG_DOCUMENT))


def _tag_pairs(value):
    """[(key, value)] of a list of tags or a map of tags, or None when it is neither."""
    if isinstance(value, dict) and all(isinstance(v, str) for v in value.values()):
        return list(value.items())
    if isinstance(value, list) and all(isinstance(t, dict) and ("Key" in t or "key" in t) for t in value):
        return [(t.get("Key", t.get("key")), t.get("Value", t.get("value")) or "") for t in value]
    return None


def _tag_problems(pairs):
    keys = [key for key, _ in pairs]
    if len(pairs) > 50:
        yield f"a resource may have at most 50 tags, got {len(pairs)}"
    if len(set(keys)) != len(keys):
        yield "tag keys must be unique"
    for key, value in pairs:
        if not 1 <= len(key) <= 128 or not TAG_TEXT.fullmatch(key):
            yield f"tag key {key[:140]!r} must be 1 to 128 letters, digits, spaces and _.:/=+-@"
        if key.lower().startswith("aws:"):
            yield f"tag key {key!r} begins with aws:, which is reserved"
        if len(value) > 256 or not TAG_TEXT.fullmatch(value):
            yield f"value of tag {key!r} must be up to 256 letters, digits, spaces and _.:/=+-@"
