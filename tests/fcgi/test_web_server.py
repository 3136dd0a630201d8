"""The web server's own configuration: lighttpd.conf; docs/apache.conf with BERTH_TEST_WEB_SERVER=apache."""

import socket
import threading
import time

from support.delivery import encode, headers_of, push
from support.hooks import SECRET


def test_pages_need_a_sign_in_and_hooks_do_not(hooks):
    assert hooks.ask("GET", "/").status == 401
    assert hooks.ask("GET", "/apps/shop").status == 401
    assert hooks.ask("GET", "/healthz").status == 200


def test_no_path_goes_around_the_sign_in(hooks):
    for path in ("//", "/./", "/hooks/../", "/hooks/../apps/shop", "/hooks/%2e%2e/apps/shop", "/healthz/../apps", "/healthzx", "/static/../apps/x",
                 "/%2fapps", "/HOOKS/x"):
        answer = hooks.ask("GET", path)
        assert answer.status in (400, 401, 403, 404), (path, answer)
        assert answer.status != 200


def test_a_stranger_cannot_say_who_is_signed_in(hooks):
    answer = hooks.ask("GET", "/", headers={"Remote-User": "operator", "REMOTE_USER": "operator", "X-Remote-User": "operator"})

    assert answer.status == 401


def test_the_stylesheet_is_served_with_cache_headers(hooks):
    answer = hooks.ask("GET", "/static/berth.css")

    assert (answer.status, answer.type) == (200, "text/css; charset=utf-8")
    assert "max-age=3600" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers or "1.4" not in answer.headers["server"]


def test_nothing_outside_of_static_is_served_as_a_file(hooks):
    for path in ("/static/../overview.html", "/static/%2e%2e/overview.html", "/errors/503.html", "/503.html", "/overview.html"):
        assert hooks.ask("GET", path).status in (400, 401, 403, 404), path


def test_stalled_uploads_do_not_keep_others_out(hooks, app):
    body = encode(push())
    head = f"POST /hooks/github/{app} HTTP/1.1\r\nHost: berth\r\nContent-Length: 1000000\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers_of(SECRET, body).items()) + "\r\n"
    stalled = []
    for _ in range(100):
        connection = socket.create_connection(("127.0.0.1", hooks.port))
        connection.sendall(head.encode() + body[:500])
        stalled.append(connection)
    started = time.monotonic()

    statuses = [hooks.deliver(app, push()).status for _ in range(20)]

    assert statuses == [202] * 20
    assert time.monotonic() - started < 3
    for connection in stalled:
        connection.close()
    assert len(hooks.deliveries(app)) == 20


def test_a_client_that_leaves_in_the_middle_stores_nothing(hooks, app):
    body = encode(push())
    head = f"POST /hooks/github/{app} HTTP/1.1\r\nHost: berth\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers_of(SECRET, body).items()) + "\r\n"
    for cut in (0, 1, len(body) // 2, len(body) - 1):
        with socket.create_connection(("127.0.0.1", hooks.port)) as connection:
            connection.sendall(head.encode() + body[:cut])
    time.sleep(0.3)

    assert hooks.deliveries(app) == {}
    assert hooks.deliver(app, body).status == 202


def test_slow_clients_are_served_when_they_are_done(hooks, app):
    body = encode(push())
    head = f"POST /hooks/github/{app} HTTP/1.1\r\nHost: berth\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers_of(SECRET, body).items()) + "\r\n"
    answers = []

    def drip():
        with socket.create_connection(("127.0.0.1", hooks.port)) as connection:
            data = head.encode() + body
            for i in range(0, len(data), 100):
                connection.sendall(data[i:i + 100])
                time.sleep(0.02)
            answers.append(connection.makefile("rb").readline())
    thread = threading.Thread(target=drip)
    thread.start()
    thread.join(30)

    assert b" 202 " in answers[0]
