"""The gate: no request reaches the stand-in that AWS would not accept.

A WSGI middleware. Each request's signature is verified strictly (gate_sigv4), the request is taken
back to its operation's input by AWS's own service models (gate_model, gate_params), checked against them
(gate_rules) and against the limits that only the documents tell (limits). What fails is answered as
AWS answers it and journalled with a `violation`; what passes goes on with its body replayed, and the
answer's status and error code are journalled.
"""
import json
import re
import time
import uuid
from dataclasses import dataclass
from datetime import datetime
from email.utils import formatdate
from xml.etree import ElementTree

from waitress.channel import ClientDisconnected
from werkzeug.test import run_wsgi_app
from werkzeug.wsgi import ClosingIterator

import gate_answers
import gate_model
import gate_params
import gate_rules
import gate_sigv4
from gate_request import Request, check_checksums
from gate_sigv4 import Refusal
from journal import redact
from limits import check_limits
from world import KEY_NAMES

UNTOUCHED = ("/_control/",)
ERROR_BODY_MAX = 64 * 1024
# Answers that hand out credentials: whoever got them may sign with them from then on.
ISSUERS = {("sts", "AssumeRole"), ("sts", "AssumeRoleWithWebIdentity"), ("sts", "AssumeRoleWithSAML"),
           ("sts", "GetSessionToken"), ("sts", "GetFederationToken"), ("iam", "CreateAccessKey")}
# Refusals that a client without fault can meet: a broken connection, a key that was taken back or ran out.
NO_VIOLATION = {"short_body", "expired_token"}


@dataclass
class Key:
    secret: str
    token: str = None
    label: str = ""
    expires: float = None


class Gate:
    """keys: {access key id: secret} or {access key id: (secret, session token or None, label)}.

    `regions` narrows what a credential scope may name; without it any region of the partition passes.
    """

    def __init__(self, app, journal, keys, clock=time.time, regions=None, skews=None):
        self.app, self.journal, self.clock, self.regions = app, journal, clock, regions
        # {access key id: seconds that AWS's clock is ahead for it}, when a test ordered so.
        self.skews = {} if skews is None else skews
        self.catalogue = gate_model.Catalogue()
        self.keys = {}
        for access_key, given in keys.items():
            secret, token, label = (given, None, access_key) if isinstance(given, str) else given
            self.register_key(access_key, secret, token, label)

    def register_key(self, access_key, secret, token=None, label=None, expires=None):
        """From now on this key may sign; with a token only together with it, and until `expires` (unix seconds)."""
        self.keys[access_key] = Key(secret, token, label or access_key, expires)

    def __call__(self, environ, start_response):
        if environ.get("PATH_INFO", "").startswith(UNTOUCHED):
            return self.app(environ, start_response)
        request = Request(environ)
        visit = Visit(self, request)
        try:
            request.spool(environ)
            visit.examine()
        except Refusal as refusal:
            return visit.refuse(refusal, start_response)
        if visit.call.problems:
            return visit.reject(start_response)
        return visit.pass_on(environ, start_response)


class Visit:
    """One request on its way through the gate."""

    def __init__(self, gate, request):
        self.gate, self.request = gate, request
        self.claim = None
        self.call = gate_model.Call("unknown", _guess_protocol(request))

    def examine(self):
        """Raises Refusal when the request is not signed or not readable; fills call.problems otherwise."""
        request = self.request
        self._check_framing()
        self.claim = gate_sigv4.read_signature(request)
        head, self.call = gate_model.identify(self.gate.catalogue, request, self.claim)
        call = self.call
        if self.claim is None and not (call.operation and call.operation.auth_type == "none"):
            raise Refusal("unsigned", "Request is missing Authentication Token" if call.protocol != "rest-xml"
                          else "Access Denied", "the request is not signed")
        if self.claim:
            self._verify(head)
        check_checksums(request)
        if call.operation is None:
            raise Refusal("operation", f"Could not find operation {call.name}",
                          f"{call.service} has no operation {call.name}")
        gate_params.read_params(call, request)
        self._check_params()

    def _check_framing(self):
        headers, method = self.request.headers, self.request.method
        if "content-length" not in headers and method in ("PUT", "POST") and self.request.body.size:
            raise Refusal("no_length", "You must provide the Content-Length HTTP header.",
                          "the body was sent chunked, without Content-Length")

    def _verify(self, head):
        key = self.gate.keys.get(self.claim.access_key)
        if key is None:
            raise Refusal("unknown_key", "The security token included in the request is invalid."
                          if self.call.protocol != "rest-xml" else
                          "The AWS Access Key Id you provided does not exist in our records.",
                          f"access key {self.claim.access_key} is not known")
        signing_name = head.signing_name if head else self.claim.service
        rule = self.gate.catalogue.region_rule(head, self.gate.regions) if head else lambda region: None
        gate_sigv4.verify(self.request, self.claim, key, signing_name, rule, self.gate.clock() + self._skew())
        if key.expires is not None and key.expires < self.gate.clock():
            raise Refusal("expired_token", "The security token included in the request is expired")

    def _check_params(self):
        call, shape = self.call, self.call.operation.input_shape
        source = f"botocore's model of {call.service}"
        found = []
        if shape is not None:
            gate_rules.check(shape, call.params, "", found, source)
        known = {problem.path for problem in call.problems}
        call.problems += [problem for problem in found if problem.path not in known]
        if not call.problems:
            check_limits(call.service, call.name, call.params, call.problems)

    def refuse(self, refusal, start_response):
        protocol = self.call.protocol
        code, status = gate_answers.refusal_code(refusal.kind, protocol)
        harmless = refusal.kind in NO_VIOLATION or refusal.kind == "skew" and self.claim.access_key in self.gate.skews
        violation = None if harmless else f"{self._where()}: {refusal.why} [{code}]"
        return self._answer(code, status, refusal.message, violation, start_response)

    def reject(self, start_response):
        call, problems = self.call, self.call.problems
        code, status = gate_answers.invalid_code(call.service, call.protocol, problems[0].kind)
        told = "; ".join(f"{problem.path}: {problem.rule}" for problem in problems)
        plural = "error" if len(problems) == 1 else "errors"
        sourced = "; ".join(f"{problem.path}: {problem.rule} ({problem.source})" for problem in problems)
        return self._answer(code, status, f"{len(problems)} validation {plural} detected: {told}",
                            f"{self._where()}: {sourced} [{code}]", start_response)

    def _where(self):
        return f"{self.call.service} {self.call.name or self.request.method + ' ' + self.request.path}"

    def _answer(self, code, status, message, violation, start_response):
        headers, body, request_id = gate_answers.answer(self.call.protocol, code, message)
        if self.request.method == "HEAD":
            body = b""
        self.journal(status, code, violation, request_id)
        headers = self._dated(headers + [("Content-Length", str(len(body)))])
        start_response(f"{status} {'Bad Request' if status == 400 else 'Refused'}", headers)
        return [body]

    def pass_on(self, environ, start_response):
        # run_wsgi_app copies environ, so what is told back comes in here.
        summary = environ["stand_in.call"] = self._summary()
        try:
            chunks, status, headers = run_wsgi_app(self.gate.app, environ)
        except ClientDisconnected:
            self.journal(0, None, None, None, summary.get("rule"))
            raise
        code_number = int(status.split(" ", 1)[0])
        cut = summary.get("cut")
        error_code = None
        issues = (self.call.service, self.call.name) in ISSUERS and code_number == 200
        if code_number >= 400 or issues or cut is not None:
            body = b"".join(chunks)
            getattr(chunks, "close", lambda: None)()
            error_code = _error_code(headers, body) if code_number >= 400 else None
            if issues:
                self._learn_key(body)
            chunks = [body[:cut]]
        request_id = headers.get("x-amzn-RequestId") or headers.get("x-amz-request-id")
        self.journal(code_number, error_code, None, request_id, summary.get("rule"))
        start_response(status, self._dated(list(headers)))
        return ClosingIterator(chunks, self.request.body.file.close)

    def _summary(self):
        """What the layers behind the gate know of the call: read once, here."""
        call = self.call
        key = self.claim.access_key if self.claim else None
        signer = self.gate.keys[key].label if key in self.gate.keys else None
        return {"service": call.service, "operation": call.name, "protocol": call.protocol, "params": call.params,
                "access_key": key, "signer": KEY_NAMES.get(key, signer), "request_id": str(uuid.uuid4()),
                "text": lambda: json.dumps(call.params, default=str)}

    def _skew(self):
        return self.gate.skews.get(self.claim.access_key, 0) if self.claim else 0

    def _dated(self, headers):
        """With AWS's time, when it isn't ours: by it a client sees how far its clock is off."""
        skew = self._skew()
        return headers + [("Date", formatdate(self.gate.clock() + skew, usegmt=True))] if skew else headers

    def _learn_key(self, body):
        found = {element.tag.rpartition("}")[2]: element.text for element in ElementTree.fromstring(body).iter()}
        if "AccessKeyId" in found and "SecretAccessKey" in found:
            expires = found.get("Expiration")
            expires = datetime.fromisoformat(expires.replace("Z", "+00:00")).timestamp() if expires else None
            self.gate.register_key(found["AccessKeyId"], found["SecretAccessKey"], found.get("SessionToken"),
                                   found.get("Arn") or found.get("UserName"), expires)

    def journal(self, status, error_code, violation, request_id, rule=None):
        call, claim = self.call, self.claim
        shape = call.operation.input_shape if call.operation else None
        # Until the parameters are read, call.params may hold the raw form, of which nothing is known to be harmless.
        params = gate_rules.masked(shape, call.params) if shape and call.read else {}
        key = self.gate.keys.get(claim.access_key) if claim else None
        entry = self.gate.journal.add(
            time=self.gate.clock(), service=call.service, operation=call.name or None,
            access_key=claim.access_key if claim else None, signer=key.label if key else None,
            region=claim.region if claim else None, user_agent=self.request.headers.get("user-agent"),
            request_id=request_id, params=redact(params), body_size=self.request.body.size if self.request.body else 0,
            status=status, error_code=error_code, violation=self._without_token(violation),
            **({"fault": rule["kind"]} if rule else {}))
        if rule:
            rule["entries"].append(entry["seq"])

    def _without_token(self, text):
        token = self.claim.token if self.claim else None
        if not text or not token:
            return text
        return text.replace(token, "***").replace(gate_sigv4.encode(token), "***")


def _guess_protocol(request):
    if "x-amz-target" in request.headers:
        return "json"
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return "query" if form or "Action=" in request.query else "rest-xml"


def _error_code(headers, body):
    named = headers.get("x-amzn-ErrorType")
    text = body[:ERROR_BODY_MAX].decode("utf-8", "replace")
    if not named and text.lstrip().startswith("{"):
        try:
            found = json.loads(text)
        except ValueError:
            return None
        named = found.get("__type") or found.get("code")
    if not named:
        code = re.search(r"<Code>([^<]*)</Code>", text)
        named = code[1] if code else None
    return named.rpartition("#")[2].split(":")[0] if named else None
