"""Checks parameters against a shape: types, required members, lengths, ranges, enums, patterns, idempotency tokens.

botocore's own ParamValidator checks types, required members and minima only; AWS enforces the rest too.
"""
import regex

from gate_model import Problem
from gate_params import is_time

TYPES = {"structure": dict, "list": list, "map": dict, "string": str, "character": str, "boolean": bool,
         "integer": int, "long": int, "float": (int, float), "double": (int, float)}
SECRET_NAME = regex.compile(r"secret(string|binary|access_?key)|password|passphrase|privatekey|sessiontoken|"
                            r"webidentitytoken|samlassertion|parametervalue", regex.IGNORECASE)
ASTRAL = r"\uD800\uDC00-\uDBFF\uDFFF"
skipped_patterns = {}
_compiled = {}


def check(shape, value, path, out, source):
    """Append a Problem to out for each constraint of the model that value breaks."""
    if shape.is_document_type if shape.type_name == "structure" else False:
        return
    wanted = TYPES.get(shape.type_name)
    if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool)):
        got = "null" if value is None else type(value).__name__
        out.append(Problem(path or "request", f"must be a {shape.type_name}, got {got}", source, "type"))
        return
    CHECKS.get(shape.type_name, lambda *_: None)(shape, value, path, out, source)


def _structure(shape, value, path, out, source):
    for name in shape.required_members:
        if name not in value:
            out.append(Problem(_join(path, name), "required member is missing", source, "missing"))
    for name, member in shape.members.items():
        if member.metadata.get("idempotencyToken") and not value.get(name):
            out.append(Problem(_join(path, name), "idempotency token is missing: SDKs fill it in, so must every client",
                               source, "missing"))
    if shape.is_tagged_union and len(value) != 1:
        out.append(Problem(path, f"a union: exactly one of {', '.join(shape.members)}", source))
    for name, item in value.items():
        check(shape.members[name], item, _join(path, name), out, source)


def _join(path, name):
    return f"{path}.{name}" if path else name


def _list(shape, value, path, out, source):
    _size(shape, len(value), "members", path, out, source)
    for i, item in enumerate(value):
        check(shape.member, item, f"{path}[{i}]", out, source)


def _map(shape, value, path, out, source):
    _size(shape, len(value), "entries", path, out, source)
    for key, item in value.items():
        check(shape.key, key, f"{path} (key)", out, source)
        check(shape.value, item, f"{path}.{key}", out, source)


def _string(shape, value, path, out, source):
    _size(shape, len(value), "characters", path, out, source)
    if shape.enum and value not in shape.enum:
        out.append(Problem(path, f"must be one of {', '.join(shape.enum)}; got {show(shape, path, value)}", source))
    pattern = shape.metadata.get("pattern")
    if pattern and not _fits(pattern, value):
        out.append(Problem(path, f"must match {pattern}; got {show(shape, path, value)}", source))


def _number(shape, value, path, out, source):
    _size(shape, value, None, path, out, source)


def _blob(shape, value, path, out, source):
    size = len(value) if isinstance(value, (bytes, str)) else getattr(value, "size", None)
    if size is None:
        out.append(Problem(path, f"must be a blob, got {type(value).__name__}", source, "type"))
        return
    _size(shape, size, "bytes", path, out, source)


def _timestamp(shape, value, path, out, source):
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good and not (isinstance(value, str) and (is_time(value, "iso8601") or is_time(value, "rfc822"))):
        out.append(Problem(path, "must be a timestamp", source, "type"))


def _size(shape, size, unit, path, out, source):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    what = f"have {{}} {{}} {unit}" if unit else "be {} {}"
    if low is not None and size < low:
        out.append(Problem(path, f"must {what.format('at least', low)}, got {size}", source))
    if high is not None and size > high:
        out.append(Problem(path, f"must {what.format('at most', high)}, got {size}", source))


CHECKS = {"structure": _structure, "list": _list, "map": _map, "string": _string, "character": _string,
          "integer": _number, "long": _number, "float": _number, "double": _number, "blob": _blob,
          "timestamp": _timestamp}


def compiled(pattern):
    """A Java-style pattern as Python's, or None (and listed in skipped_patterns) when it has no translation."""
    if pattern not in _compiled:
        text = pattern.replace(ASTRAL, r"\U00010000-\U0010FFFF")
        flags = regex.V1 if "&&" in text else 0
        try:
            _compiled[pattern] = regex.compile(text, flags)
        except regex.error as error:
            skipped_patterns[pattern] = str(error)
            _compiled[pattern] = None
    return _compiled[pattern]


def _fits(pattern, value):
    rule = compiled(pattern)
    if rule is None:
        return True
    # AWS writes patterns for the whole value; one that is anchored at the start only leaves the end open.
    whole = not pattern.startswith("^") or pattern.endswith("$")
    try:
        return bool(rule.fullmatch(value, timeout=1) if whole else rule.match(value, timeout=1))
    except TimeoutError:
        skipped_patterns[pattern] = "took longer than a second"
        return True


def is_secret(shape, name):
    return bool(shape.metadata.get("sensitive") or SECRET_NAME.fullmatch(name))


def show(shape, path, value):
    if is_secret(shape, path.rpartition(".")[2]):
        return "***"
    return repr(value if len(value) <= 200 else value[:200] + "…")


def masked(shape, value, name=""):
    """Parameters as they may be kept: secrets are ***, blobs are their size."""
    if is_secret(shape, name):
        return "***"
    if shape.type_name == "structure" and isinstance(value, dict):
        return {k: masked(shape.members[k], v, k) if k in shape.members else "***" for k, v in value.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [masked(shape.member, item, name) for item in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {k: masked(shape.value, item, k) for k, item in value.items()}
    if shape.type_name == "blob":
        size = len(value) if isinstance(value, (bytes, str)) else getattr(value, "size", 0)
        return f"({size} bytes)"
    return value
