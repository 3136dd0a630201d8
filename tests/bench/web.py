"""Clients of the pages: FastCGI on the responder's own socket, as a web server speaks it, and HTTP through the web server."""

import http.client
import sys
import time

from parts import TOP

sys.path.insert(0, str(TOP / "tests"))

from support.fastcgi import PARAMS, STDIN, Connection, begin, params, stream, variables  # noqa: E402


class Answer:
    def __init__(self, status, headers, body, seconds):
        self.status, self.headers, self.body, self.seconds = status, headers, body, seconds


def ask_responder(socket, path, user="operator", method="GET", headers=None):
    """Asks the responder itself, signed in as the web server would say; seconds is what it took, without the connection's end."""
    values = variables(method, path, headers, 0)
    if user:
        values["REMOTE_USER"] = user
    request = begin() + stream(PARAMS, params(values)) + stream(STDIN, b"")
    started = time.perf_counter()
    with Connection(socket) as connection:
        connection.send(request)
        status, answered, body = connection.answer()
        seconds = time.perf_counter() - started
    return Answer(status, answered, body, seconds)


class Browser:
    """One connection to the web server that is kept, as a browser keeps it."""

    def __init__(self, port, sign_in=None):
        self.port, self.sign_in, self.connection = port, sign_in, None

    def ask(self, path, headers=None, sign_in=None):
        wanted = dict(headers or {})
        if sign_in or self.sign_in:
            wanted["Authorization"] = sign_in or self.sign_in
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        started = time.perf_counter()
        self.connection.request("GET", path, headers=wanted)
        response = self.connection.getresponse()
        body = response.read()
        seconds = time.perf_counter() - started
        if response.will_close:
            self.connection.close()
            self.connection = None
        return Answer(response.status, response.headers, body, seconds)
