"""What each kind of fault is answered with: codes and statuses by service, as their API references have them."""

import errors
import gate_answers
from world import ACCOUNT

# service: (code, status, message).
THROTTLED = {
    "ec2": ("RequestLimitExceeded", 503, "Request limit exceeded."),
    "s3": ("SlowDown", 503, "Please reduce your request rate."),
    "elbv2": ("Throttling", 400, "Rate exceeded"),
    "iam": ("Throttling", 400, "Rate exceeded"),
    "sts": ("Throttling", 400, "Rate exceeded"),
}
THROTTLED_ELSEWHERE = ("ThrottlingException", 400, "Rate exceeded")
INTERNAL = {
    "ecs": ("ServerException", 500, "Service Unavailable. Please try again later."),
    "ecr": ("ServerException", 500, "Service Unavailable. Please try again later."),
    "secretsmanager": ("InternalServiceError", 500, "An error occurred on the server side."),
    "iam": ("ServiceFailure", 500, "The request processing has failed because of an unknown error, exception or failure."),
    "ec2": ("InternalError", 500, "An internal error has occurred."),
    "s3": ("InternalError", 500, "We encountered an internal error. Please try again."),
}
UNKNOWN = "The request processing has failed because of an unknown error, exception or failure."
INTERNAL_ELSEWHERE = ("InternalFailure", 500, UNKNOWN)
UNAVAILABLE = {
    "logs": ("ServiceUnavailableException", 503, "The service cannot complete the request."),
    "ec2": ("Unavailable", 503, "The server is overloaded and can't handle the request."),
    "s3": ("ServiceUnavailable", 503, "Service is unable to handle request."),
}
UNAVAILABLE_ELSEWHERE = ("ServiceUnavailable", 503, "The request has failed due to a temporary failure of the server.")
DENIED = {"query": ("AccessDenied", 403), "ec2": ("UnauthorizedOperation", 403), "rest-xml": ("AccessDenied", 403)}
DENIED_ELSEWHERE = ("AccessDeniedException", 400)
# Where the prefix of a service's actions in policies isn't the name of botocore's model.
ACTION_PREFIX = {"elbv2": "elasticloadbalancing"}
# "Policy actions for Amazon S3": where an action isn't named as its operation.
S3_ACTIONS = {
    "HeadObject": "GetObject", "HeadBucket": "ListBucket", "ListObjects": "ListBucket", "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions", "ListMultipartUploads": "ListBucketMultipartUploads", "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject", "CompleteMultipartUpload": "PutObject", "DeleteObjects": "DeleteObject",
}
HTML = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"
)
HTML_TITLES = {500: "500 Internal Server Error", 502: "502 Bad Gateway", 503: "503 Service Temporarily Unavailable",
               504: "504 Gateway Time-out"}


def throttle(rule, call):
    return _error(rule, call, *THROTTLED.get(call["service"], THROTTLED_ELSEWHERE))


def internal(rule, call):
    return _error(rule, call, *INTERNAL.get(call["service"], INTERNAL_ELSEWHERE))


def unavailable(rule, call):
    return _error(rule, call, *UNAVAILABLE.get(call["service"], UNAVAILABLE_ELSEWHERE))


def expired(rule, call):
    code, status = gate_answers.refusal_code("expired_token", call["protocol"])
    return _error(rule, call, code, status, "The security token included in the request is expired")


def skewed(rule, call):
    code, status = gate_answers.refusal_code("skew", call["protocol"])
    message = "Signature expired: the request's time is now earlier than the server's time less 5 min."
    if call["service"] == "s3":
        message = "The difference between the request time and the current time is too large."
    return _error(rule, call, code, status, message)


def action_of(service, operation, params=()):
    """What a policy must allow for a call."""
    if service == "s3":
        versioned = {"GetObject": "GetObjectVersion", "HeadObject": "GetObjectVersion", "DeleteObject": "DeleteObjectVersion"}
        operation = versioned.get(operation) if "VersionId" in params and operation in versioned else S3_ACTIONS.get(operation, operation)
    return f"{ACTION_PREFIX.get(service, service)}:{operation}"


def denied(rule, call):
    code, status = DENIED.get(call["protocol"], DENIED_ELSEWHERE)
    action = rule.get("action") or action_of(call["service"], call["operation"], call["params"])
    message = (f"User: arn:aws:iam::{ACCOUNT}:user/{call['signer']} is not authorized to perform: {action} on resource: "
               f"{rule.get('resource', '*')} because no identity-based policy allows the {action} action")
    if call["service"] == "ec2":
        message = "You are not authorized to perform this operation. " + message
    # AWS's front writes "Message" where the services themselves write "message".
    return _error(rule, call, code, status, message, "Message")


def other(rule, call):
    return _error(rule, call, "InternalFailure", 400, "The stand-in was told to answer this.")


def html(rule, _call):
    status = int(rule.get("status", 500))
    body = HTML.format(HTML_TITLES.get(status, f"{status} Error")).encode()
    return status, [("Content-Type", "text/html"), ("Server", "awselb/2.0")], body


# The kinds that answer something instead of what AWS answers.
ANSWERS = {
    "throttle": throttle, "500": internal, "503": unavailable, "html500": html, "expired-token": expired, "access-denied": denied,
    "clock-skew": skewed, "error": other,
}


class _Aim:
    """What errors.encode wants to know of a request."""

    def __init__(self, call):
        self.protocol = {"rest-xml": "s3", "rest-json": "json"}.get(call["protocol"], call["protocol"])
        self.model = errors.service_model(call["service"])


def refuse(call, code, status, message, member="message"):
    """(status, headers, body) of an error in the form of the call's protocol."""
    refused = errors.AwsError(code, message, status)
    refused.member = member
    return errors.encode(_Aim(call), refused, call["request_id"])


def _error(rule, call, code, status, message, member="message"):
    """The error, or what the rule wants otherwise of it; with the headers that ask for patience."""
    code, status = rule.get("code", code), int(rule.get("status", status))
    status, headers, body = refuse(call, code, status, rule.get("message", message), member)
    for name, header in (("retry_after_s", "Retry-After"), ("retry_after_ms", "x-amz-retry-after")):
        if rule.get(name) is not None:
            headers.append((header, str(rule[name])))
    return status, headers, body
