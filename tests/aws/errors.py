"""Errors as AWS puts them on the wire, for what never reaches a service: unknown operations, unreadable bodies, faults of ours.

JSON 1.1 answers `{"__type", "message"}`, Query answers an XML ErrorResponse, EC2 its own older form, S3 a bare XML Error.
"""

import functools
import json
from xml.sax.saxutils import escape

import botocore.session
from moto.core.exceptions import ServiceException

# Where the name in a signature's scope is not the name of botocore's model.
SERVICE_BY_SIGNING_NAME = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch", "email": "ses"}


@functools.lru_cache(maxsize=None)
def service_model(service):
    """botocore's model of a service, or None when it has none by that name."""
    session = botocore.session.get_session()
    try:
        return session.get_service_model(service)
    except Exception:
        return None


class Refused(ServiceException):
    """A service's own refusal: Refused(code, message). moto serialises it by the service's model.

    moto's class itself won't do: moto looks up the model by the name of the module that defines the exception.
    """


class AwsError(Exception):
    """An error to be answered before or instead of a service's own."""

    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class Identity:
    """What a request is aimed at, read from its signature, headers and form: service, protocol, operation."""

    def __init__(self, environ, form):
        self.service = _service(environ)
        self.target = environ.get("HTTP_X_AMZ_TARGET")
        self.model = service_model(self.service)
        self.operation = None
        if self.target is not None:
            self.protocol = "json"
            self.operation = self.target.rpartition(".")[2]
        elif self.service == "s3":
            self.protocol = "s3"
        elif self.service == "ec2":
            self.protocol = "ec2"
            self.operation = form.get("Action")
        else:
            self.protocol = "query"
            self.operation = form.get("Action")


def _service(environ):
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    scope = authorization.partition("Credential=")[2].partition(",")[0].split("/")
    name = scope[-2] if len(scope) >= 5 else "s3"
    return SERVICE_BY_SIGNING_NAME.get(name, name)


def check_operation(identity):
    """Refuse an operation that AWS itself doesn't have; raise AwsError as that protocol does."""
    if identity.protocol == "s3":
        return
    if identity.model is None:
        raise AwsError("UnknownOperationException", f"No service is called {identity.service}.")
    if identity.protocol == "json":
        prefix = identity.model.metadata.get("targetPrefix")
        if identity.target != f"{prefix}.{identity.operation}" or identity.operation not in identity.model.operation_names:
            raise unknown_operation(identity)
    elif identity.operation not in identity.model.operation_names:
        raise unknown_operation(identity)


def unknown_operation(identity):
    if identity.protocol == "json":
        return AwsError("UnknownOperationException", f"The requested operation {identity.target} is not known to this service.")
    version = identity.model.metadata.get("apiVersion", "")
    if not identity.operation:
        return AwsError("MissingAction", "The request must contain the parameter Action.")
    return AwsError("InvalidAction", f"Could not find operation {identity.operation} for version {version}")


def not_emulated(identity):
    """AWS has this operation and the stand-in does not: said so plainly, so that nobody hunts for a bug of theirs."""
    error = unknown_operation(identity)
    error.message += f" (AWS has {identity.service}:{identity.operation}; this stand-in does not emulate it.)"
    return error


def encode(identity, error, request_id):
    """(status, headers, body) of an error, in the form of the request's protocol."""
    fault = "Receiver" if error.status >= 500 else "Sender"
    code, message = escape(error.code), escape(error.message)
    headers = [("x-amzn-RequestId", request_id)]
    if identity.protocol == "json":
        body = json.dumps({"__type": error.code, getattr(error, "member", "message"): error.message})
        headers += [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", error.code)]
    elif identity.protocol == "ec2":
        body = (
            f"<?xml version='1.0' encoding='UTF-8'?>\n<Response><Errors><Error><Code>{code}</Code>"
            f"<Message>{message}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
        )
        headers.append(("Content-Type", "text/xml;charset=UTF-8"))
    elif identity.protocol == "s3":
        body = (
            f"<?xml version='1.0' encoding='UTF-8'?>\n<Error><Code>{code}</Code><Message>{message}</Message>"
            f"<RequestId>{request_id}</RequestId></Error>"
        )
        headers += [("Content-Type", "application/xml"), ("x-amz-request-id", request_id)]
    else:
        namespace = identity.model.metadata.get("xmlNamespace", "") if identity.model else ""
        body = (
            f'<ErrorResponse xmlns="{escape(namespace)}"><Error><Type>{fault}</Type><Code>{code}</Code>'
            f"<Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        headers.append(("Content-Type", "text/xml"))
    return error.status, headers, body.encode()
