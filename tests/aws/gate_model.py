"""Which operation of which AWS service a request is, by botocore's service models: AWS's own descriptions of its APIs."""
import gzip
import json
import os
import re
import threading
from dataclasses import dataclass, field
from urllib.parse import unquote

import botocore
from botocore.loaders import Loader
from botocore.model import ServiceModel

from gate_sigv4 import Refusal, parse_query, split_pairs

DATA = os.path.join(os.path.dirname(botocore.__file__), "data")
BODY_MAX = 16 * 1024 * 1024
VIRTUAL_HOST = re.compile(r"(?P<bucket>[a-z0-9][a-z0-9.-]+)\.(localhost|s3([.-][a-z0-9-]+)?\.amazonaws\.com)(:\d+)?")


@dataclass
class Problem:
    path: str
    rule: str
    source: str = ""
    kind: str = "invalid"


@dataclass
class Call:
    """One request, understood: the service and operation it names and the parameters it gives."""
    service: str
    protocol: str
    model: object = None
    operation: object = None
    name: str = ""
    params: dict = field(default_factory=dict)
    problems: list = field(default_factory=list)
    read: bool = False  # whether params are the operation's input (and no longer the wire's)

    def problem(self, path, rule, kind="invalid"):
        self.problems.append(Problem(path, rule, f"botocore's model of {self.service}", kind))


@dataclass
class Head:
    """The few facts about a service that tell which one a request is for."""
    service: str
    signing_name: str
    endpoint_prefix: str
    api_version: str
    target_prefix: str
    protocols: list


class Catalogue:
    """All services botocore knows; a model is loaded when it is first asked for."""

    def __init__(self):
        self._loader = Loader()
        self._lock = threading.Lock()
        self._models = {}
        self.heads = [head for name in sorted(os.listdir(DATA)) if (head := _read_head(name))]
        self._partition = self._loader.load_data("endpoints")["partitions"][0]

    def model(self, service):
        with self._lock:
            if service not in self._models:
                self._models[service] = ServiceModel(self._loader.load_service_model(service, "service-2"), service)
            return self._models[service]

    def region_rule(self, head, regions):
        """A function that says what is wrong with a region in a credential scope, or nothing."""
        entry = self._partition["services"].get(head.endpoint_prefix, {})
        if entry.get("isRegionalized") is False:
            wanted = entry["endpoints"][entry["partitionEndpoint"]]["credentialScope"]["region"]
            return lambda region: None if region == wanted else f"{head.service} is global and signed for {wanted}"
        known = regions or self._partition["regions"]
        return lambda region: None if region in known else f"'{region}' is not one of {', '.join(sorted(known))}"


def _read_head(service):
    folder = os.path.join(DATA, service)
    versions = sorted(v for v in (os.listdir(folder) if os.path.isdir(folder) else ())
                      if os.path.exists(os.path.join(folder, v, "service-2.json.gz")))
    if not versions:
        return None
    with gzip.open(os.path.join(folder, versions[-1], "service-2.json.gz"), "rt") as file:
        text = file.read(8192)
    start = text.index("{", text.index('"metadata"'))
    meta = json.JSONDecoder().raw_decode(text, start)[0]
    prefix = meta.get("endpointPrefix", service)
    return Head(service, meta.get("signingName", prefix), prefix, meta["apiVersion"], meta.get("targetPrefix"),
                meta.get("protocols") or [meta["protocol"]])


def identify(catalogue, request, claim):
    """(Head, Call) of a request. An operation the service does not have leaves call.operation empty."""
    target = request.headers.get("x-amz-target")
    if target is not None:
        return _identify_target(catalogue, target, claim)
    form = _read_form(request)
    if form is not None and "Action" in form:
        return _identify_action(catalogue, form, claim)
    return _identify_path(catalogue, request, claim)


def _identify_target(catalogue, target, claim):
    prefix, _, name = target.rpartition(".")
    heads = [head for head in catalogue.heads if head.target_prefix == prefix and "json" in head.protocols]
    return _finish(catalogue, _prefer(heads, claim, name), "json", name, f"X-Amz-Target {target}")


def _identify_action(catalogue, form, claim):
    name, version = form["Action"], form.get("Version")
    heads = [head for head in catalogue.heads
             if head.api_version == version and {"query", "ec2"} & set(head.protocols)]
    head = _prefer(heads, claim, name)
    protocol = "ec2" if head and "ec2" in head.protocols else "query"
    head, call = _finish(catalogue, head, protocol, name, f"Action {name} of version {version}")
    call.params = form
    return head, call


def _identify_path(catalogue, request, claim):
    signing_name = claim.service if claim else "s3"
    heads = [head for head in catalogue.heads if head.signing_name == signing_name
             and any(protocol.startswith("rest-") for protocol in head.protocols)]
    control = request.path.startswith("/v20180820/")
    heads = [head for head in heads if signing_name != "s3" or head.service == ("s3control" if control else "s3")]
    for head in heads:
        protocol = next(protocol for protocol in head.protocols if protocol.startswith("rest-"))
        model = catalogue.model(head.service)
        path = _bucket_in_path(request) if head.service == "s3" else request.path
        found = _match(model, request, path)
        if found:
            operation, labels = found
            return head, Call(head.service, protocol, model, operation, operation.name, labels)
    head = heads[0] if heads else None
    protocol = next((p for p in head.protocols if p.startswith("rest-")), "json") if head else "json"
    return head, Call(head.service if head else signing_name, protocol, name=f"{request.method} {request.path}")


def _prefer(heads, claim, name):
    """Of services that share a target or version, the one the credential scope names, else the first."""
    named = [head for head in heads if claim and head.signing_name == claim.service]
    return (named or heads or [None])[0]


def _finish(catalogue, head, protocol, name, told):
    if head is None:
        return None, Call("unknown", protocol, name=told)
    model = catalogue.model(head.service)
    operation = model.operation_model(name) if name in model.operation_names else None
    return head, Call(head.service, protocol, model, operation, name)


def _read_form(request):
    """The members of a Query request (form body, or the query string), or None when it is not one."""
    form_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "POST" and form_type == "application/x-www-form-urlencoded":
        pairs = split_pairs(body_text(request).encode().replace(b"+", b"%20"))
    elif "Action=" in request.query:
        pairs = parse_query(request.query)
    else:
        return None
    form = {}
    for name, value in pairs:
        name = name.decode("utf-8", "replace")
        if name in form:
            raise Refusal("serialization", f"The parameter {name} has already been specified")
        form[name] = value.decode("utf-8", "replace")
    return form


def body_text(request):
    if request.body.size > BODY_MAX:
        raise Refusal("serialization", f"request body is {request.body.size} bytes, more than {BODY_MAX}")
    try:
        return request.body.read_all().decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal("serialization", f"request body is not UTF-8: {error.reason} at byte {error.start}") from None


def _bucket_in_path(request):
    host = VIRTUAL_HOST.fullmatch(request.headers.get("host", ""))
    return f"/{host['bucket']}{request.path}" if host else request.path


def _match(model, request, path):
    """The operation whose method, path, fixed query and required query and headers fit best, with its path labels."""
    query = [(k.decode("utf-8", "replace"), v.decode("utf-8", "replace")) for k, v in parse_query(request.query)]
    best, best_score = None, None
    for name in model.operation_names:
        operation = model.operation_model(name)
        if operation.http["method"] != request.method:
            continue
        labels = _match_uri(operation.http["requestUri"], path, query)
        score = labels is not None and _score(operation, query, request.headers)
        if score and (best_score is None or score > best_score):
            best, best_score = (operation, labels), score
    return best


def _match_uri(uri, path, query):
    template, _, fixed = uri.partition("?")
    for piece in filter(None, fixed.split("&")):
        name, has_value, value = piece.partition("=")
        if name == "x-id":
            continue
        if not any(k == name and (v == value or not has_value) for k, v in query):
            return None
    pattern = re.sub(r"\\\{([A-Za-z0-9_]+)(\\\+)?\\\}",
                     lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", re.escape(template.rstrip("/")))
    found = re.fullmatch(pattern if template.endswith("+}") else pattern + "/?", path, re.DOTALL)
    return {k: unquote(v) for k, v in found.groupdict().items()} if found else None


def _score(operation, query, headers):
    shape, names = operation.input_shape, {name for name, _ in query}
    fixed = len(list(filter(None, operation.http["requestUri"].partition("?")[2].split("&"))))
    required = known = 0
    for name, member in (shape.members if shape else {}).items():
        place, wire = member.serialization.get("location"), member.serialization.get("name", name)
        present = (wire in names if place == "querystring" else wire.lower() in headers if place == "header" else None)
        if present is None:
            continue
        if name in shape.required_members:
            if not present:
                return None
            required += 1
        known += present and place == "querystring"
    return (fixed, required, known, not operation.deprecated)
