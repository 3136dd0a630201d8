"""Signature Version 4, verified from the request as it was sent.

Nothing here is shared with a signer: the canonical request is built from the raw path, query and
headers, so a client that signs one thing and sends another is refused. Where a rule is stricter
than AWS's, the README's row says so.
"""
import hashlib
import hmac
import re
from datetime import datetime, timezone
from urllib.parse import quote, unquote_to_bytes

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
SKEW_S = 300
PRESIGN_MAX_S = 604800
TIME_FORMAT = "%Y%m%dT%H%M%SZ"
PRESIGN_FIELDS = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
                  "X-Amz-SignedHeaders", "X-Amz-Signature")
SIGNED_IF_SENT = ("content-type", "content-md5")

MISMATCH = ("The request signature we calculated does not match the signature you provided. Check your AWS "
            "Secret Access Key and signing method. Consult the service documentation for details.")


class Refusal(Exception):
    """A request AWS would not accept: what AWS answers (by kind), and what was wrong in our words."""

    def __init__(self, kind, message, why=None):
        super().__init__(message)
        self.kind, self.message, self.why = kind, message, why or message


class Signature:
    """What the request claims: taken apart, nothing believed yet."""

    def __init__(self, credential, signed_headers, signature, stamp, token, expires_s=None):
        parts = credential.split("/")
        if len(parts) < 5:
            raise Refusal("incomplete", f"Credential must have at least 5 slash-delimited elements, e.g. "
                          f"keyid/date/region/service/term, got '{credential}'")
        self.access_key = "/".join(parts[:-4])
        self.date, self.region, self.service, self.term = parts[-4:]
        self.signed_headers = signed_headers.split(";")
        self.signature, self.stamp, self.token, self.expires_s = signature, stamp, token, expires_s

    @property
    def scope(self):
        return f"{self.date}/{self.region}/{self.service}/{self.term}"


def encode(raw):
    """Percent-encode all but the unreserved characters; text is the bytes WSGI gives as Latin-1."""
    return quote(raw.encode("latin-1") if isinstance(raw, str) else raw, safe="-_.~")


def parse_query(raw_query):
    """[(name, value)] as bytes, in the order sent. '+' is refused: signers and servers read it differently."""
    if "+" in raw_query:
        raise Refusal("signature", MISMATCH, "the query string has a bare '+': send %20 or %2B")
    return split_pairs(raw_query.encode("latin-1"))


def split_pairs(raw):
    pairs = [piece.partition(b"=") for piece in raw.split(b"&") if piece]
    return [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pairs]


def read_signature(request):
    """The Signature in the Authorization header or the query, or None when the request is not signed."""
    header = request.headers.get("authorization")
    query = {k.decode("utf-8", "replace"): v.decode("utf-8", "replace") for k, v in parse_query(request.query)}
    presigned = "X-Amz-Signature" in query or "X-Amz-Algorithm" in query
    if header and presigned:
        raise Refusal("incomplete", "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter "
                      "or the Authorization header should be specified")
    if presigned:
        return _read_presigned(query)
    return _read_header(header, request) if header else None


def _read_header(header, request):
    algorithm, _, rest = header.partition(" ")
    if algorithm != ALGORITHM:
        raise Refusal("incomplete", f"Unsupported AWS 'algorithm': '{algorithm}'.")
    fields = [piece.strip().partition("=") for piece in rest.split(",")]
    names = [name for name, _, _ in fields]
    for wanted in ("Credential", "SignedHeaders", "Signature"):
        if names.count(wanted) != 1:
            raise Refusal("incomplete", f"Authorization header requires '{wanted}' parameter.",
                          f"Authorization names {wanted} {names.count(wanted)} times")
    values = {name: value for name, _, value in fields}
    stamp = request.headers.get("x-amz-date")
    if not stamp:
        raise Refusal("incomplete", "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' "
                      "header.")
    return Signature(values["Credential"], values["SignedHeaders"], values["Signature"], stamp,
                     request.headers.get("x-amz-security-token"))


def _read_presigned(query):
    missing = [name for name in PRESIGN_FIELDS if name not in query]
    if missing:
        raise Refusal("incomplete", f"AWS query-string parameters must include {', '.join(PRESIGN_FIELDS)}",
                      f"presigned query lacks {', '.join(missing)}")
    if query["X-Amz-Algorithm"] != ALGORITHM:
        raise Refusal("incomplete", f"Unsupported AWS 'algorithm': '{query['X-Amz-Algorithm']}'.")
    expires = query["X-Amz-Expires"]
    if not expires.isdigit() or not 1 <= int(expires) <= PRESIGN_MAX_S:
        raise Refusal("incomplete", f"X-Amz-Expires must be 1 to {PRESIGN_MAX_S} seconds")
    return Signature(query["X-Amz-Credential"], query["X-Amz-SignedHeaders"], query["X-Amz-Signature"],
                     query["X-Amz-Date"], query.get("X-Amz-Security-Token"), int(expires))


def verify(request, claim, key, signing_name, region_rule, now):
    """Raises Refusal unless the claim is a valid signature of this request by this key, now."""
    _check_form(claim)
    _check_scope(claim, signing_name, region_rule)
    _check_token(claim, key)
    _check_coverage(request, claim)
    _check_clock(claim, now)
    payload = _payload_hash(request, claim, signing_name)
    canonical = canonical_request(request, claim, signing_name, payload)
    to_sign = string_to_sign(claim, canonical)
    wanted = hmac.new(signing_key(key.secret, claim), to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, claim.signature):
        raise Refusal("signature", f"{MISMATCH}\n\nThe Canonical String for this request should have been\n"
                      f"'{canonical.decode('utf-8', 'replace')}'\n\nThe String-to-Sign should have been\n'{to_sign}'\n",
                      "the signature is not the one of this method, path, query, headers and body; canonical "
                      f"request by the gate: {canonical.decode('utf-8', 'replace')!r}")


def _check_form(claim):
    if claim.term != "aws4_request":
        raise Refusal("scope", f"Credential should be scoped with a valid terminator: 'aws4_request', not "
                      f"'{claim.term}'.")
    try:
        datetime.strptime(claim.stamp, TIME_FORMAT)
    except ValueError:
        raise Refusal("incomplete", f"Date must be in ISO-8601 'basic format'. Got '{claim.stamp}'.") from None
    if not claim.stamp.startswith(claim.date + "T"):
        raise Refusal("scope", f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
                      f"HTTP: '{claim.date}' != '{claim.stamp[:8]}', from '{claim.stamp}'.")
    if not re.fullmatch("[0-9a-f]{64}", claim.signature):
        raise Refusal("signature", MISMATCH, "the signature is not 64 lower-case hexadecimal digits")


def _check_scope(claim, signing_name, region_rule):
    if claim.service != signing_name:
        raise Refusal("scope", f"Credential should be scoped to correct service: '{signing_name}'.")
    wrong = region_rule(claim.region)
    if wrong:
        raise Refusal("scope", f"Credential should be scoped to a valid region, not '{claim.region}'.", wrong)


def _check_token(claim, key):
    if (claim.token or None) != key.token:
        why = ("the session token is lacking" if not claim.token else
               "a session token came with a long-term key" if not key.token else "the session token is another one")
        raise Refusal("token", "The security token included in the request is invalid.", why)


def _check_coverage(request, claim):
    names = claim.signed_headers
    if names != sorted(set(names)) or any(name != name.lower() for name in names):
        raise Refusal("signature", MISMATCH, f"SignedHeaders must be lower-case, sorted and unique: {';'.join(names)}")
    if "host" not in names:
        raise Refusal("signature", "'Host' must be a 'SignedHeader' in the AWS Authorization.")
    for name in request.headers:
        if (name.startswith("x-amz-") or name in SIGNED_IF_SENT) and name not in names:
            raise Refusal("signature", f"There were headers present in the request which were not signed: {name}")
    absent = [name for name in names if name not in request.headers]
    if absent:
        raise Refusal("signature", MISMATCH, f"SignedHeaders names headers that were not sent: {', '.join(absent)}")


def _check_clock(claim, now):
    stamp = datetime.strptime(claim.stamp, TIME_FORMAT).replace(tzinfo=timezone.utc).timestamp()
    clock = datetime.fromtimestamp(now, timezone.utc).strftime(TIME_FORMAT)
    valid_s = claim.expires_s if claim.expires_s is not None else SKEW_S
    if stamp + valid_s < now:
        raise Refusal("skew", f"Signature expired: {claim.stamp} is now earlier than {clock} - {valid_s} s.")
    if stamp - SKEW_S > now:
        raise Refusal("skew", f"Signature not yet current: {claim.stamp} is still later than {clock} + {SKEW_S} s.")


def _payload_hash(request, claim, signing_name):
    sent = request.headers.get("x-amz-content-sha256")
    if claim.expires_s is not None and signing_name == "s3":
        return sent or UNSIGNED
    if sent is None:
        if signing_name == "s3":
            raise Refusal("no_digest", "Missing required header for this request: x-amz-content-sha256")
        return request.body.sha256
    if sent.startswith("STREAMING-"):
        raise Refusal("streaming", "A header you provided implies functionality that is not implemented",
                      f"x-amz-content-sha256: {sent}: this stand-in takes whole-body signatures only")
    if sent == UNSIGNED and signing_name == "s3" and request.scheme == "https":
        return sent
    if sent != request.body.sha256:
        raise Refusal("digest", "The provided 'x-amz-content-sha256' header does not match what was computed.",
                      f"x-amz-content-sha256 is {sent}, the {request.body.size} bytes sent hash to "
                      f"{request.body.sha256}" + (" (UNSIGNED-PAYLOAD only over https)" if sent == UNSIGNED else ""))
    return sent


def canonical_request(request, claim, signing_name, payload_hash):
    query = sorted((encode(k), encode(v)) for k, v in parse_query(request.query)
                   if not (claim.expires_s is not None and k == b"X-Amz-Signature"))
    lines = [request.method, canonical_path(request.path, signing_name), "&".join(f"{k}={v}" for k, v in query)]
    for name in claim.signed_headers:
        lines.append(name + ":" + re.sub(" +", " ", request.headers[name].strip(" \t")))
    lines += ["", ";".join(claim.signed_headers), payload_hash]
    return "\n".join(lines).encode("latin-1")


def canonical_path(raw_path, signing_name):
    if signing_name == "s3":
        if encode_path(unquote_to_bytes(raw_path)) != raw_path:
            raise Refusal("signature", MISMATCH, f"the path was sent as {raw_path}, which is not the strict "
                          f"percent-encoding that is signed")
        return raw_path
    kept = []
    for segment in raw_path.split("/"):
        if segment == "..":
            kept = kept[:-1]
        elif segment not in ("", "."):
            kept.append(encode(segment))
    trail = "/" if kept and raw_path.endswith(("/", "/.", "/..")) else ""
    return "/" + "/".join(kept) + trail


def encode_path(raw):
    return quote(raw, safe="/-_.~")


def string_to_sign(claim, canonical):
    return "\n".join([ALGORITHM, claim.stamp, claim.scope, hashlib.sha256(canonical).hexdigest()])


def signing_key(secret, claim):
    key = ("AWS4" + secret).encode()
    for part in (claim.date, claim.region, claim.service, claim.term):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
