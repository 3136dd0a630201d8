"""The overlay: moto's WSGI application, with time, and with operations replaced where moto is simpler than AWS.

`replace` puts a function in the place of one of moto's operations. moto still parses the request and serialises the
reply by botocore's models, so an operation here is a function from parameters to the members of the reply.
"""

import http
import json
import sys
import tempfile
import traceback
from urllib.parse import parse_qsl

from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores

from errors import AwsError, Identity, check_operation, encode, not_emulated

# Larger bodies wait in a temporary file, so that an upload's size doesn't show in memory.
SPOOL_BYTES = 1 << 20
# Query and JSON requests are far smaller in AWS; only S3 takes more.
MAX_FORM_BYTES = 4 << 20


class Call:
    """One call of a replaced operation: its parameters, and whose account and region it is for."""

    def __init__(self, response, original=None):
        self._original = original
        self.params = response.params
        self.account = response.current_account
        self.region = response.region
        self.partition = response.partition
        self.access_key = response.access_key
        self.response = response

    def moto(self):
        """What moto's own operation answers to these parameters."""
        return self._original(self.response).result

    def arn(self, service, resource):
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def replace(response_class, service, operations):
    """Answer these operations of one of moto's services by the methods of `service` with their snake_case names."""

    def method(handler, original):
        return lambda response: ActionResult(handler(Call(response, original)))

    for operation in operations:
        name = camelcase_to_underscores(operation)
        setattr(response_class, name, method(getattr(service, name), getattr(response_class, name, None)))


class Overlay:
    """WSGI: settles the simulation, calls moto, and answers as AWS what moto would answer as a web framework."""

    def __init__(self, world, app):
        self._world = world
        self._app = app

    def __call__(self, environ, start_response):
        body = spool(environ)
        identity = Identity(environ, _form(environ, body))
        with self._world.lock:
            status, headers, chunks = self._answer(environ, identity, body)
        start_response(f"{status} {_reason(status)}", headers)
        return chunks

    def _answer(self, environ, identity, body):
        request_id = self._world.next_uuid("request")
        try:
            check_operation(identity)
            _check_body(identity, body)
            self._world.settle()
            status, headers, chunks = self._call(environ)
            if status >= 400 and identity.protocol != "s3" and _is_html(headers):
                raise not_emulated(identity)
            return _status(identity, status), _completed(identity, headers, request_id), chunks
        except NotImplementedError:
            error = not_emulated(identity)
        except AwsError as refused:
            error = refused
        except Exception as fault:
            traceback.print_exc(file=sys.stderr)
            error = AwsError("InternalFailure", f"The stand-in failed: {type(fault).__name__}: {str(fault)[:300]}", 500)
        status, headers, text = encode(identity, error, request_id)
        return status, headers + [("Content-Length", str(len(text)))], [text]

    def _call(self, environ):
        answer = {}

        def start(status, headers, exc_info=None):
            answer["status"] = int(status.split()[0])
            answer["headers"] = headers

        # Read whole while the lock is held: what is streamed later could change meanwhile.
        reply = self._app(environ, start)
        try:
            chunks = list(reply)
        finally:
            if hasattr(reply, "close"):
                reply.close()
        return answer["status"], answer["headers"], chunks


def spool(environ):
    """Make the request's body seekable, reading it if need be; return it, at its start."""
    body = environ["wsgi.input"]
    if not (hasattr(body, "seek") and getattr(body, "seekable", lambda: True)()):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = tempfile.SpooledTemporaryFile(SPOOL_BYTES)
        while length > 0:
            chunk = environ["wsgi.input"].read(min(length, 1 << 16))
            if not chunk:
                break
            body.write(chunk)
            length -= len(chunk)
        environ["wsgi.input"] = body
    body.seek(0)
    return body


def _form(environ, body):
    if not environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(environ.get("QUERY_STRING", "")))
    text = body.read(MAX_FORM_BYTES)
    body.seek(0)
    return dict(parse_qsl(text.decode("utf-8", "replace"), keep_blank_values=True))


def _check_body(identity, body):
    if identity.protocol != "json":
        return
    text = body.read(MAX_FORM_BYTES)
    body.seek(0)
    try:
        if not isinstance(json.loads(text or b"{}"), dict):
            raise ValueError("not an object")
    except ValueError:
        raise AwsError("SerializationException", "The request's body is not a JSON object.") from None


def _reason(status):
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _status(identity, status):
    """A client's error is 400 in JSON 1.1 whatever it is; moto says 404 of some."""
    return 400 if identity.protocol == "json" and 400 < status < 500 else status


def _is_html(headers):
    return any(name.lower() == "content-type" and "text/html" in value for name, value in headers)


def _completed(identity, headers, request_id):
    """moto's headers with the content type and the request id that AWS would send."""
    kinds = {"json": "application/x-amz-json-1.1", "query": "text/xml", "ec2": "text/xml;charset=UTF-8"}
    kept = [(name, value) for name, value in headers if name.lower() != "content-type" or identity.protocol == "s3"]
    if identity.protocol in kinds:
        kept.append(("Content-Type", kinds[identity.protocol]))
    names = {name.lower() for name, _ in kept}
    wanted = ["x-amz-request-id", "x-amz-id-2"] if identity.protocol == "s3" else ["x-amzn-RequestId"]
    return kept + [(name, request_id) for name in wanted if name.lower() not in names]


__all__ = ["Call", "Overlay", "replace", "spool"]
