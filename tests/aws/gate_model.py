"""Which operation of which AWS service a request is, and its parameters, by botocore's service models.

The models are AWS's own descriptions of its APIs. The wire form is taken back to the input
structure by the rules of each protocol; what does not fit is a Problem, never guessed.
"""
import base64
import binascii
import gzip
import json
import os
import re
import threading
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote
from xml.etree import ElementTree

import botocore
from botocore.loaders import Loader
from botocore.model import ServiceModel

from gate_sigv4 import Refusal, parse_query, split_pairs

DATA = os.path.join(os.path.dirname(botocore.__file__), "data")
BODY_MAX = 16 * 1024 * 1024
COMMON_QUERY = {"Action", "Version"}
COMMON_HEADERS = re.compile(r"x-amz-(date|content-sha256|security-token|user-agent|target|decoded-content-length|"
                            r"trailer|sdk-checksum-algorithm|api-version|te|expected-bucket-owner)|x-amz-checksum-.*")
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


# --- which operation ---------------------------------------------------------------------------------------------

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


# --- its parameters ----------------------------------------------------------------------------------------------

def read_params(call, request):
    """Fill call.params from the wire; call.problems gets what the model has no place for."""
    if call.protocol == "json":
        call.params = _read_json(call, request)
    elif call.protocol in ("query", "ec2"):
        call.params = _read_query(call, request, call.params)
    else:
        call.params = _read_rest(call, request, call.params)
    call.read = True


def body_text(request):
    if request.body.size > BODY_MAX:
        raise Refusal("serialization", f"request body is {request.body.size} bytes, more than {BODY_MAX}")
    try:
        return request.body.read_all().decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal("serialization", f"request body is not UTF-8: {error.reason} at byte {error.start}") from None


def _read_json(call, request):
    wanted = f"application/x-amz-json-{call.model.metadata.get('jsonVersion', '1.0')}"
    if request.headers.get("content-type") != wanted:
        call.problem("Content-Type", f"must be {wanted}, got {request.headers.get('content-type')}")
    if request.method != "POST" or request.path != "/":
        call.problem("path", f"must be POST /, got {request.method} {request.path}")
    data = load_json(body_text(request))
    return json_value(call, call.operation.input_shape, data, "") if call.operation.input_shape else _no_members(call, data)


def load_json(text):
    def unique(pairs):
        names = [name for name, _ in pairs]
        if len(set(names)) != len(names):
            raise ValueError("a member occurs twice: " + next(n for n in names if names.count(n) > 1))
        return dict(pairs)

    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse) if text else {}
    except (ValueError, RecursionError) as error:
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else f": {error}"
        raise Refusal("serialization", f"request body is not JSON{where}") from None


def _no_members(call, data):
    for name in data if isinstance(data, dict) else ():
        call.problem(name, "unknown member: the operation takes none")
    return {}


def json_value(call, shape, value, path):
    """The value with wire names taken back to member names; a wrong JSON type stays and validation names it."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict) and not shape.is_document_type:
        wire = {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}
        result = {}
        for name, item in value.items():
            if name in wire:
                result[wire[name][0]] = json_value(call, wire[name][1], item, f"{path}.{name}")
            else:
                call.problem(f"{path}.{name}".lstrip("."), f"unknown member; {shape.name} has {', '.join(wire)}")
        return result
    if kind == "list" and isinstance(value, list):
        return [json_value(call, shape.member, item, f"{path}[{i}]") for i, item in enumerate(value)]
    if kind == "map" and isinstance(value, dict):
        return {k: json_value(call, shape.value, item, f"{path}.{k}") for k, item in value.items()}
    if kind == "blob" and isinstance(value, str):
        return _base64(call, value, path)
    return value


def _base64(call, text, path):
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        call.problem(path.lstrip("."), "must be base64")
        return b""


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


def _read_query(call, request, form):
    tree = {}
    for name, value in form.items():
        if name in COMMON_QUERY or name.startswith("X-Amz-"):
            continue
        node = tree
        for part in name.split("."):
            node = node.setdefault(part, {})
        node[""] = value
    shape = call.operation.input_shape
    if shape is None:
        for name in tree:
            call.problem(name, "unknown member: the operation takes none")
        return {}
    return _query_structure(call, shape, tree, "")


def _query_name(call, member, default):
    wire = member.serialization
    if call.protocol == "ec2":
        name = wire.get("queryName") or wire.get("name")
        return wire.get("queryName") or (name[0].upper() + name[1:] if name else default)
    return wire.get("name", default)


def _query_structure(call, shape, tree, path):
    result, left = {}, dict(tree)
    for name, member in shape.members.items():
        wire = _query_name(call, member, name)
        if call.protocol == "query" and member.type_name == "list" and member.serialization.get("flattened"):
            wire = member.member.serialization.get("name") or wire
        if wire in left:
            result[name] = _query_value(call, member, left.pop(wire), f"{path}.{name}".lstrip("."))
    for name in left:
        call.problem(f"{path}.{name}".strip(".") or "request",
                     f"unknown member; {shape.name} has {', '.join(shape.members)}")
    return result


def _query_value(call, shape, tree, path):
    kind = shape.type_name
    if kind == "structure":
        return _query_structure(call, shape, tree, path)
    if kind == "list":
        return _query_list(call, shape, tree, path)
    if kind == "map":
        entries = tree if shape.serialization.get("flattened") else tree.get("entry", {})
        return _query_map(call, shape, entries, path)
    if set(tree) != {""}:
        call.problem(path, f"is a {kind} and has no members, got {', '.join(sorted(filter(None, tree)))}")
        return None
    return scalar(call, shape, tree[""], path)


def _query_list(call, shape, tree, path):
    if tree == {"": ""}:
        return []
    if call.protocol == "query" and not shape.serialization.get("flattened"):
        item = shape.member.serialization.get("name", "member")
        if set(tree) != {item}:
            call.problem(path, f"list members are named {item}.N, got {', '.join(sorted(tree))}")
        tree = tree.get(item, {})
    wanted = [str(i) for i in range(1, len(tree) + 1)]
    if set(tree) != set(wanted):
        call.problem(path, f"list members must be numbered 1 to {len(tree)}, got {', '.join(sorted(tree))}")
        return []
    return [_query_value(call, shape.member, tree[n], f"{path}[{n}]") for n in wanted]


def _query_map(call, shape, entries, path):
    key_name, value_name = shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value")
    result = {}
    for number, entry in entries.items():
        key = entry.pop(key_name, {}).get("")
        if key is None or set(entry) != {value_name}:
            call.problem(f"{path}.{number}", f"a map entry has {key_name} and {value_name}")
            continue
        result[key] = _query_value(call, shape.value, entry[value_name], f"{path}.{key}")
    return result


def scalar(call, shape, text, path, time_format="iso8601"):
    """Text of a query, header or XML element as the value its shape wants; wrong text is a problem."""
    kind = shape.type_name
    if kind in ("integer", "long") and re.fullmatch(r"-?\d{1,19}", text):
        return int(text)
    if kind in ("float", "double") and re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", text):
        return float(text)
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    if kind == "blob":
        return _base64(call, text, path)
    if kind == "timestamp" and is_time(text, shape.serialization.get("timestampFormat", time_format)):
        return text
    if kind in ("string", "character"):
        return text
    call.problem(path, f"must be a {kind}")
    return None


def is_time(text, form):
    try:
        if form in ("rfc822", "httpDate"):
            return parsedate_to_datetime(text) is not None
        if form == "unixTimestamp":
            return float(text) >= 0
        return datetime.fromisoformat(text.replace("Z", "+00:00")) is not None
    except (ValueError, TypeError):
        return False


def _read_rest(call, request, labels):
    shape = call.operation.input_shape
    query = [(k.decode("utf-8", "replace"), v.decode("utf-8", "replace")) for k, v in parse_query(request.query)]
    fixed = {piece.partition("=")[0] for piece in call.operation.http["requestUri"].partition("?")[2].split("&")}
    unknown_query = {name for name, _ in query} - fixed - {"x-id"}
    unknown_query = {name for name in unknown_query if not name.startswith("X-Amz-")}
    unknown_headers = {name for name in request.headers if name.startswith("x-amz-") and not COMMON_HEADERS.fullmatch(name)}
    params, body_members = {}, {}
    for name, member in (shape.members if shape else {}).items():
        place, wire = member.serialization.get("location"), member.serialization.get("name", name)
        if place == "uri" and wire in labels:
            params[name] = scalar(call, member, labels[wire], name)
        elif place == "querystring":
            _read_query_member(call, params, name, member, wire, query, unknown_query)
        elif place == "header" and wire.lower() in request.headers:
            unknown_headers.discard(wire.lower())
            params[name] = _header_value(call, member, request.headers[wire.lower()], name)
        elif place == "headers":
            found = {key[len(wire):]: value for key, value in request.headers.items() if key.startswith(wire.lower())}
            unknown_headers -= {wire.lower() + key for key in found}
            params.update({name: found} if found else {})
        elif place is None:
            body_members[name] = member
    for name in sorted(unknown_query):
        call.problem(name, "unknown query parameter of this operation")
    for name in sorted(unknown_headers):
        call.problem(name, "unknown header of this operation")
    _read_rest_body(call, request, shape, body_members, params)
    return params


def _read_query_member(call, params, name, member, wire, query, unknown):
    if member.type_name == "map":
        params[name] = {k: v for k, v in query if k in unknown}
        unknown.clear()
        return
    values = [value for key, value in query if key == wire]
    if not values:
        return
    unknown.discard(wire)
    if member.type_name == "list":
        params[name] = [scalar(call, member.member, value, name) for value in values]
        return
    if len(values) > 1:
        call.problem(name, "is given twice")
    params[name] = scalar(call, member, values[0], name)


def _header_value(call, member, text, name):
    if member.type_name == "list":
        return [scalar(call, member.member, item.strip(), name) for item in text.split(",")]
    if member.type_name == "string" and member.serialization.get("jsonvalue"):
        return text
    return scalar(call, member, text, name, "rfc822")


def _read_rest_body(call, request, shape, body_members, params):
    payload = shape.serialization.get("payload") if shape else None
    if payload is None and not body_members:
        if request.body.size:
            call.problem("body", f"{call.name} takes no body, got {request.body.size} bytes")
        return
    member = shape.members[payload] if payload else None
    if member is not None and member.type_name in ("blob", "string"):
        if request.body.size:
            params[payload] = request.body if member.type_name == "blob" else body_text(request)
        return
    if not request.body.size:
        return
    if call.protocol == "rest-json":
        data = load_json(body_text(request))
        value = json_value(call, member or shape, data, "")
    else:
        value = _read_xml(call, member or shape, body_text(request), member)
    params.update({payload: value} if payload else value)


def _read_xml(call, shape, text, member):
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Refusal("malformed_xml", "The XML you provided was not well-formed: a DOCTYPE is not allowed")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise Refusal("malformed_xml", f"The XML you provided was not well-formed: {error}") from None
    wire = (member or shape).serialization.get("name", shape.name)
    if _tag(root) != wire:
        call.problem("body", f"the root element must be {wire}, got {_tag(root)}")
    return _xml_structure(call, shape, root, wire)


def _tag(element):
    return element.tag.rpartition("}")[2]


def _xml_structure(call, shape, element, path):
    result, by_wire = {}, {}
    for name, member in shape.members.items():
        wire = member.serialization.get("name", name)
        if member.type_name == "list" and member.serialization.get("flattened"):
            wire = member.member.serialization.get("name") or wire
        if member.serialization.get("xmlAttribute"):
            wire = wire.partition(":")[2] or wire
            found = [v for k, v in element.attrib.items() if k.rpartition("}")[2] == wire]
            result.update({name: found[0]} if found else {})
            continue
        by_wire[wire] = (name, member)
    children = {}
    for child in element:
        children.setdefault(_tag(child), []).append(child)
    for wire, items in children.items():
        if wire not in by_wire:
            call.problem(f"{path}.{wire}", f"unknown element; {shape.name} has {', '.join(by_wire)}")
            continue
        name, member = by_wire[wire]
        result[name] = _xml_value(call, member, items, f"{path}.{name}")
    return result


def _xml_value(call, shape, items, path):
    if shape.type_name == "list":
        if not shape.serialization.get("flattened"):
            wire = shape.member.serialization.get("name", "member")
            wrong = [_tag(child) for child in items[0] if _tag(child) != wire]
            if wrong:
                call.problem(path, f"list members are named {wire}, got {wrong[0]}")
            items = list(items[0])
        return [_xml_value(call, shape.member, [item], f"{path}[{i}]") for i, item in enumerate(items)]
    if len(items) > 1:
        call.problem(path, "is given twice")
    if shape.type_name == "structure":
        return _xml_structure(call, shape, items[0], path)
    if shape.type_name == "map":
        call.problem(path, "maps in XML are not read by the gate")
        return {}
    return scalar(call, shape, items[0].text or "", path)
