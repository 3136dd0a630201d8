"""A genuine delivery that was changed on its way is refused, and is never parsed."""

import http.client
import socket

import pytest

from support.delivery import encode, headers_of, push
from support.hooks import SECRET


class Wire:
    """HTTP by hand over one connection: thousands of requests in a few seconds."""

    def __init__(self, port, app):
        self.port = port
        self.target = f"/hooks/github/{app}"
        self._connect()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._close()

    def _connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _close(self):
        self.socket.close()

    def post(self, body, headers):
        """(status, body)"""
        lines = [f"POST {self.target} HTTP/1.1", "Host: berth", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        with http.client.HTTPResponse(self.socket, method="POST") as reply:
            reply.begin()
            status, answer, last = reply.status, reply.read(), reply.will_close
        if last:  # a web server keeps a connection for so many requests only
            self._close()
            self._connect()
        return status, answer


@pytest.fixture
def signed(hooks, app):
    body = encode(push(title="Change the colour"))
    return body, headers_of(SECRET, body)


def test_every_single_byte_of_the_body_counts(hooks, app, signed):
    body, headers = signed

    with Wire(hooks.port, app) as wire:
        for at in range(len(body)):
            changed = bytearray(body)
            changed[at] ^= 1 << (at % 8)
            status, answer = wire.post(bytes(changed), headers)
            assert (status, b"wrong_signature" in answer) == (401, True), (at, status, answer)

        assert hooks.deliveries(app) == {}
        assert wire.post(body, headers)[0] == 202


def test_all_eight_bits_of_a_byte_count(hooks, app, signed):
    body, headers = signed

    with Wire(hooks.port, app) as wire:
        for at in range(0, len(body), 97):
            for bit in range(8):
                changed = bytearray(body)
                changed[at] ^= 1 << bit
                assert wire.post(bytes(changed), headers)[0] == 401, (at, bit)

    assert hooks.deliveries(app) == {}


def test_a_byte_more_or_less_anywhere_is_found_out(hooks, app, signed):
    body, headers = signed

    with Wire(hooks.port, app) as wire:
        for at in range(0, len(body) + 1, 13):
            assert wire.post(body[:at] + b" " + body[at:], headers)[0] == 401, at
        for at in range(0, len(body), 13):
            assert wire.post(body[:at] + body[at + 1:], headers)[0] == 401, at

    assert hooks.deliveries(app) == {}


def test_every_digit_of_the_signature_counts(hooks, app, signed):
    body, headers = signed
    signature = headers["X-Hub-Signature-256"]

    with Wire(hooks.port, app) as wire:
        for at in range(len("sha256="), len(signature)):
            digit = f"{int(signature[at], 16) ^ 1:x}"
            assert wire.post(body, {**headers, "X-Hub-Signature-256": signature[:at] + digit + signature[at + 1:]})[0] == 401, at

    assert hooks.deliveries(app) == {}


def test_a_tampered_body_that_is_no_json_any_more_is_refused_for_its_signature(hooks, app, signed):
    body, headers = signed

    with Wire(hooks.port, app) as wire:
        for broken in (body[1:], b"\0" + body[1:], body[:-1], b"{" * 100000, b"\xff" * len(body), b""):
            status, answer = wire.post(broken, headers)
            assert (status, b"wrong_signature" in answer) == (401, True)


def test_a_body_signed_for_another_app_is_refused(hooks, app, signed):
    body, headers = signed
    other = hooks.make_app(f"{app}-b", secret="3" * 64)

    with Wire(hooks.port, other) as wire:
        assert wire.post(body, headers)[0] == 401


def test_forgeries_drive_at_most_one_call_of_secrets_manager(hooks, app, signed):
    body, headers = signed
    with Wire(hooks.port, app) as wire:
        wire.post(body, headers)
        before = hooks.secret_calls()

        for _ in range(500):
            assert wire.post(body + b" ", headers)[0] == 401

        # One look may ask for AWSCURRENT and for AWSPREVIOUS.
        assert hooks.secret_calls() - before <= 2
        assert wire.post(body, headers)[0] == 200
