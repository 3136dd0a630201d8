"""A request as it came in: raw path, raw query, headers, and the body spooled to a file and hashed once."""
import base64
import hashlib
import tempfile
import zlib

from gate_sigv4 import Refusal

PIECE = 256 * 1024
IN_MEMORY = 1024 * 1024
CHECKSUMS = {"x-amz-checksum-sha256": hashlib.sha256, "x-amz-checksum-sha1": hashlib.sha1, "content-md5": hashlib.md5}


class Crc32:
    def __init__(self):
        self.value = 0

    def update(self, data):
        self.value = zlib.crc32(data, self.value)

    def digest(self):
        return self.value.to_bytes(4, "big")


CHECKSUMS["x-amz-checksum-crc32"] = Crc32


class Body:
    """The whole body, in memory up to 1 MiB and in a temporary file beyond."""

    def __init__(self, environ, headers):
        self.file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)
        self.size = 0
        digest = hashlib.sha256()
        sums = {name: make() for name, make in CHECKSUMS.items() if name in headers}
        for piece in _pieces(environ):
            self.file.write(piece)
            self.size += len(piece)
            digest.update(piece)
            for each in sums.values():
                each.update(piece)
        self.sha256 = digest.hexdigest()
        self.checksums = {name: base64.b64encode(each.digest()).decode() for name, each in sums.items()}
        self.file.seek(0)

    def read_all(self):
        self.file.seek(0)
        data = self.file.read()
        self.file.seek(0)
        return data


def _pieces(environ):
    length = environ.get("CONTENT_LENGTH")
    if not length and not environ.get("wsgi.input_terminated"):
        return
    left = int(length) if length else None
    while left is None or left > 0:
        piece = environ["wsgi.input"].read(PIECE if left is None else min(left, PIECE))
        if not piece:
            if left:
                raise Refusal("short_body", "You did not provide the number of bytes specified by the Content-Length "
                              f"HTTP header: {left} of {length} are missing")
            return
        left = left if left is None else left - len(piece)
        yield piece


class Request:
    def __init__(self, environ):
        self.method = environ["REQUEST_METHOD"]
        raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
        if raw is None:
            raise RuntimeError("the gate needs RAW_URI: run it under a server that passes the path as sent")
        if "://" in raw.split("?")[0]:
            raw = "/" + raw.split("://", 1)[1].partition("/")[2]
        self.path, _, self.query = raw.partition("?")
        self.scheme = environ.get("wsgi.url_scheme", "http")
        self.headers = _headers(environ)
        self.body = None

    def spool(self, environ):
        self.body = Body(environ, self.headers)
        environ["wsgi.input"] = self.body.file
        environ["wsgi.input_terminated"] = True
        if self.body.size or environ.get("CONTENT_LENGTH"):
            environ["CONTENT_LENGTH"] = str(self.body.size)
        environ.pop("HTTP_TRANSFER_ENCODING", None)


def _headers(environ):
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(key):
            headers[key.replace("_", "-").lower()] = environ[key]
    return headers


def check_checksums(request):
    for name, computed in request.body.checksums.items():
        if request.headers[name] != computed:
            raise Refusal("checksum", "The Content-MD5 or checksum value that you specified did not match what the "
                          "server received.", f"{name} is {request.headers[name]}, the body's is {computed}")
