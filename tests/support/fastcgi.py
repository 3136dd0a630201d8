"""A web server's side of FastCGI, byte by byte: for what lighttpd would never send."""

import socket
import struct

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR = 1, 2, 3, 4, 5, 6, 7


def record(kind, content=b"", request_id=1):
    return struct.pack("!BBHHBx", 1, kind, request_id, len(content), 0) + content


def stream(kind, content, end=True):
    pieces = [record(kind, content[i:i + 65528]) for i in range(0, len(content), 65528)]
    return b"".join(pieces) + (record(kind) if end else b"")


def begin(keep=False):
    return record(BEGIN, struct.pack("!HB5x", 1, 1 if keep else 0))


def params(values):
    def length(text):
        return bytes([len(text)]) if len(text) < 128 else struct.pack("!I", len(text) | 0x80000000)
    pairs = ((name.encode(), value.encode() if isinstance(value, str) else value) for name, value in values.items())
    return b"".join(length(name) + length(value) + name + value for name, value in pairs)


def variables(method, path, headers=None, content_length=None):
    values = {"REQUEST_METHOD": method, "REQUEST_URI": path, "SCRIPT_NAME": path, "SERVER_PROTOCOL": "HTTP/1.1"}
    for name, value in (headers or {}).items():
        name = name.upper().replace("-", "_")
        values[name if name == "CONTENT_TYPE" else f"HTTP_{name}"] = value
    if content_length is not None:
        values["CONTENT_LENGTH"] = str(content_length)
    return values


class Connection:
    def __init__(self, path, timeout=30):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def start(self, method, path, headers=None, content_length=None):
        self.send(begin() + stream(PARAMS, params(variables(method, path, headers, content_length))))

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError("the responder hung up")
            data += piece
        return data

    def answer(self):
        """(status, headers, body); EOFError when it hangs up before the end of the request."""
        out = b""
        while True:
            _, kind, _, length, padding = struct.unpack("!BBHHBx", self._exactly(8))
            content = self._exactly(length)
            self._exactly(padding)
            if kind == STDOUT:
                out += content
            elif kind == END:
                break
        head, _, body = out.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        return int(headers["Status"].split()[0]), headers, body


def ask(path, method, target, headers=None, body=b"", content_length="right"):
    with Connection(path) as connection:
        connection.start(method, target, headers, len(body) if content_length == "right" else content_length)
        connection.send(stream(STDIN, body))
        return connection.answer()
