"""What AWS answers to a request it does not accept: code, status and body in the words of each protocol."""
import json
import re
import uuid
from xml.sax.saxutils import escape

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# kind: ((JSON code, status), (Query code, status), (EC2 code, status), (S3 code, status)).
REFUSALS = {
    "unsigned": (("MissingAuthenticationTokenException", 400), ("MissingAuthenticationToken", 403),
                 ("MissingAuthenticationToken", 403), ("AccessDenied", 403)),
    "incomplete": (("IncompleteSignatureException", 400), ("IncompleteSignature", 400), ("AuthFailure", 401),
                   ("AuthorizationHeaderMalformed", 400)),
    "scope": (("InvalidSignatureException", 400), ("SignatureDoesNotMatch", 403), ("AuthFailure", 401),
              ("AuthorizationHeaderMalformed", 400)),
    "unknown_key": (("UnrecognizedClientException", 400), ("InvalidClientTokenId", 403), ("AuthFailure", 401),
                    ("InvalidAccessKeyId", 403)),
    "token": (("UnrecognizedClientException", 400), ("InvalidClientTokenId", 403), ("AuthFailure", 401),
              ("InvalidToken", 400)),
    "expired_token": (("ExpiredTokenException", 400), ("ExpiredToken", 403), ("RequestExpired", 400),
                      ("ExpiredToken", 400)),
    "skew": (("InvalidSignatureException", 400), ("SignatureDoesNotMatch", 403), ("RequestExpired", 400),
             ("RequestTimeTooSkewed", 403)),
    "signature": (("InvalidSignatureException", 400), ("SignatureDoesNotMatch", 403), ("AuthFailure", 401),
                  ("SignatureDoesNotMatch", 403)),
    "digest": (("InvalidSignatureException", 400), ("SignatureDoesNotMatch", 403), ("AuthFailure", 401),
               ("XAmzContentSHA256Mismatch", 400)),
    "no_digest": (("InvalidSignatureException", 400), ("SignatureDoesNotMatch", 403), ("AuthFailure", 401),
                  ("InvalidRequest", 400)),
    "checksum": (("ValidationException", 400), ("ValidationError", 400), ("InvalidParameterValue", 400),
                 ("BadDigest", 400)),
    "streaming": (("ValidationException", 400), ("ValidationError", 400), ("InvalidParameterValue", 400),
                  ("NotImplemented", 501)),
    "operation": (("UnknownOperationException", 400), ("InvalidAction", 400), ("InvalidAction", 400),
                  ("MethodNotAllowed", 405)),
    "serialization": (("SerializationException", 400), ("MalformedInput", 400), ("MalformedQueryString", 400),
                      ("InvalidRequest", 400)),
    "malformed_xml": (("SerializationException", 400), ("MalformedInput", 400), ("MalformedQueryString", 400),
                      ("MalformedXML", 400)),
    "short_body": (("SerializationException", 400), ("MalformedInput", 400), ("MalformedQueryString", 400),
                   ("IncompleteBody", 400)),
    "no_length": (("SerializationException", 400), ("MalformedInput", 400), ("MalformedQueryString", 400),
                  ("MissingContentLength", 411)),
}
FAMILY = {"json": 0, "rest-json": 0, "query": 1, "ec2": 2, "rest-xml": 3}
# What each service calls a parameter it does not take; the others answer ValidationException.
INVALID_CODES = {"ecs": "InvalidParameterException", "ecr": "InvalidParameterException",
                 "codebuild": "InvalidInputException", "logs": "InvalidParameterException",
                 "secretsmanager": "InvalidParameterException", "s3": "InvalidArgument", "ec2": "InvalidParameterValue"}


def refusal_code(kind, protocol):
    return REFUSALS[kind][FAMILY[protocol]]


def invalid_code(service, protocol, kind):
    if protocol == "ec2" and kind == "missing":
        return "MissingParameter", 400
    if kind == "type" and protocol == "json":
        return "SerializationException", 400
    if service in INVALID_CODES:
        return INVALID_CODES[service], 400
    return {"query": "ValidationError", "rest-xml": "InvalidArgument"}.get(protocol, "ValidationException"), 400


def answer(protocol, code, message):
    """(headers, body, request id) of an error answer."""
    request_id = str(uuid.uuid4())
    if FAMILY[protocol] == 0:
        body = json.dumps({"__type": code, "message": message})
        headers = [("x-amzn-RequestId", request_id)]
        if protocol == "json":
            headers.append(("Content-Type", "application/x-amz-json-1.1"))
        else:
            headers += [("Content-Type", "application/json"), ("x-amzn-ErrorType", code)]
        return headers, body.encode(), request_id
    code, text = escape(code), escape(NOT_XML.sub("?", message))
    if protocol == "query":
        body = (f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error>"
                f"<RequestId>{request_id}</RequestId></ErrorResponse>")
    elif protocol == "ec2":
        body = (f"<Response><Errors><Error><Code>{code}</Code><Message>{text}</Message></Error></Errors>"
                f"<RequestID>{request_id}</RequestID></Response>")
    else:
        body = (f"<Error><Code>{code}</Code><Message>{text}</Message><RequestId>{request_id}</RequestId>"
                f"<HostId>{request_id}</HostId></Error>")
    body = '<?xml version="1.0" encoding="UTF-8"?>\n' + body
    name = "x-amz-request-id" if protocol == "rest-xml" else "x-amzn-RequestId"
    return [("Content-Type", "text/xml"), (name, request_id)], body.encode(), request_id
