"""A request's parameters: the wire form taken back to the operation's input by the rules of each protocol.

What does not fit the model is a Problem of the call, never guessed.
"""
import base64
import binascii
import json
import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from xml.etree import ElementTree

from gate_model import body_text
from gate_sigv4 import Refusal, parse_query

COMMON_QUERY = {"Action", "Version"}
COMMON_HEADERS = re.compile(r"x-amz-(date|content-sha256|security-token|user-agent|target|decoded-content-length|"
                            r"trailer|sdk-checksum-algorithm|api-version|te|expected-bucket-owner)|x-amz-checksum-.*")


def read_params(call, request):
    """Fill call.params from the wire; call.problems gets what the model has no place for."""
    if call.protocol == "json":
        call.params = _read_json(call, request)
    elif call.protocol in ("query", "ec2"):
        call.params = _read_query(call, request, call.params)
    else:
        call.params = _read_rest(call, request, call.params)
    call.read = True


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
