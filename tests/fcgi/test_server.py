"""The process itself: its options, its socket, its end, and peers that misbehave."""

import concurrent.futures
import itertools
import os
import random
import pathlib
import resource
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from support import fastcgi
from support.delivery import encode, headers_of, push
from support.hooks import SECRET
from support.parts import BUILD, TOP, Lighttpd, Process, is_answered, make_folder, wait_until

_numbers = itertools.count(1)
BERTH_FCGI = str(BUILD / "berth-fcgi")


def run(*arguments, **more):
    return subprocess.run([BERTH_FCGI, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False, **more)


# Options

def test_help_and_version_are_told(tmp_path):
    assert "usage: berth-fcgi --hooks|--admin" in run("--help").stdout
    assert run("--version").stdout.startswith("berth-fcgi ")


@pytest.mark.parametrize("arguments, message", [
    ([], "which application"), (["--hooks", "--admin"], "exclude each other"), (["--what"], '"--what"'), (["--hooks", "x"], '"x"'),
    (["--hooks", "--socket"], "--socket needs a value"), (["--hooks", "--config"], "--config needs a value"),
    (["--hooks", "--backlog", "0"], "--backlog"), (["--hooks", "--backlog", "many"], "--backlog"), (["--hooks", "--backlog"], "--backlog"),
])
def test_a_wrong_command_line_says_what_is_wrong(arguments, message):
    done = run(*arguments)

    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_without_a_socket_it_says_who_could_give_one():
    done = run("--hooks", env={"PATH": "/usr/bin"})

    assert done.returncode == 2
    assert "--socket" in done.stderr


def test_without_a_database_it_says_which_setting_is_missing(tmp_path):
    done = run("--hooks", "--socket", str(tmp_path / "s"), env={"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "x",
                                                              "AWS_SECRET_ACCESS_KEY": "x"})

    assert done.returncode == 2
    assert "BERTH_DATABASE_HOOKS" in done.stderr


def test_a_config_file_that_is_not_there_is_named():
    done = run("--hooks", "--config", "/nonexistent/berth.conf")

    assert done.returncode == 2
    assert "/nonexistent/berth.conf" in done.stderr


# The socket

@pytest.fixture(scope="module")
def parts(hooks):
    """The session's environment, and a folder for sockets of one's own."""
    folder = make_folder()
    yield hooks, folder
    shutil.rmtree(folder)


@pytest.fixture
def serve(parts):
    """Start a responder of one's own with the session's Postgres and stand-in."""
    from support.parts import Responder
    hooks, folder = parts
    made = []

    def start(**more):
        env = {**hooks.env, **more.pop("env", {})}
        made.append(Responder(folder, env, name=more.pop("name", None) or f"s{next(_numbers)}", **more))
        responder = made[-1]
        wait_until(lambda: fastcgi.ask(responder.socket, "GET", "/readyz")[0] == 200, what="readiness")
        return responder
    yield start
    for responder in made:
        responder.end()


def deliver(responder, app, payload=None):
    """(status, answer) by FastCGI, without a web server."""
    body = encode(payload or push())
    status, _, answer = fastcgi.ask(responder.socket, "POST", f"/hooks/github/{app}", headers_of(SECRET, body), body)
    return status, answer


def test_its_socket_is_for_owner_and_group_alone(serve):
    assert stat.S_IMODE(serve().socket.stat().st_mode) == 0o660


def test_a_stale_socket_is_replaced(parts, serve):
    responder = serve()
    responder.popen.kill()
    responder.popen.wait()
    assert responder.socket.exists() and not is_answered(responder.socket)

    serve(name=responder.socket.stem)

    assert fastcgi.ask(responder.socket, "GET", "/healthz")[0] == 200


def test_a_socket_in_use_is_refused(parts, serve):
    hooks, _ = parts
    responder = serve()

    done = run("--hooks", "--socket", str(responder.socket), env=hooks.env)

    assert done.returncode == 1
    assert "another process" in done.stderr
    assert fastcgi.ask(responder.socket, "GET", "/healthz")[0] == 200


def test_a_file_in_the_socket_s_place_is_left_alone(parts, tmp_path):
    hooks, _ = parts
    precious = tmp_path / "precious"
    precious.write_text("data")

    done = run("--hooks", "--socket", str(precious), env=hooks.env)

    assert (done.returncode, precious.read_text()) == (2, "data")


@pytest.mark.parametrize("path", ["/nonexistent/s.sock", "/tmp/" + "s" * 200])
def test_a_place_where_no_socket_can_be_is_refused(parts, path):
    done = run("--hooks", "--socket", path, env=parts[0].env)

    assert done.returncode in (1, 2)
    assert "hint:" in done.stderr


# The end

class LockedApp:
    """Holds the app's row, so that a delivery waits in the database."""

    def __init__(self, postgres, app):
        self.psql = subprocess.Popen(
            [f"{postgres.env['BERTH_POSTGRES_BIN']}/psql", "--no-psqlrc", "--quiet", "--tuples-only", postgres.env["BERTH_DATABASE_SUPERUSER"]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.psql.stdin.write(f"BEGIN; SELECT 'locked' FROM berth.apps WHERE app_name = '{app}' FOR UPDATE;\n")
        self.psql.stdin.flush()
        while "locked" not in self.psql.stdout.readline():
            pass
        self.postgres = postgres

    def wait_for_waiter(self):
        wait_until(lambda: int(self.postgres.one("SELECT count(*) FROM pg_locks WHERE NOT granted")) > 0, what="a delivery's waiting")

    def free(self):
        self.psql.communicate("COMMIT;\n", timeout=10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_ends_an_idle_process_quickly(serve, number):
    responder = serve()
    started = time.monotonic()

    assert responder.end(number) == 0
    assert time.monotonic() - started < 2
    assert not responder.socket.exists()


def test_what_is_in_hand_at_sigterm_is_finished(parts, serve, app):
    hooks, _ = parts
    responder = serve()
    lock = LockedApp(hooks.postgres, app)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(deliver(responder, app)))
    thread.start()
    lock.wait_for_waiter()

    responder.popen.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert responder.is_running()
    lock.free()
    thread.join()

    assert answers[0][0] == 202
    assert responder.popen.wait(2) == 0
    assert hooks.releases(app) == [1]


def test_what_is_not_finished_in_time_is_left_and_gets_no_2xx(parts, serve, app):
    hooks, _ = parts
    responder = serve()
    lock = LockedApp(hooks.postgres, app)
    answers = []

    def try_it():
        try:
            answers.append(deliver(responder, app))
        except (EOFError, OSError) as lost:
            answers.append(lost)
    thread = threading.Thread(target=try_it)
    thread.start()
    lock.wait_for_waiter()
    started = time.monotonic()

    responder.popen.send_signal(signal.SIGTERM)
    code = responder.popen.wait(5)
    took = time.monotonic() - started
    lock.free()
    thread.join()

    assert code == 0
    assert 1 < took < 2.5
    assert isinstance(answers[0], (EOFError, OSError))


# Peers

def test_silent_peers_do_not_keep_others_out(serve, app):
    responder = serve()
    silent = [fastcgi.Connection(responder.socket) for _ in range(20)]
    try:
        started = time.monotonic()
        assert [deliver(responder, app)[0] for _ in range(20)] == [202] * 20
        assert time.monotonic() - started < 2
    finally:
        for connection in silent:
            connection.socket.close()


def test_peers_that_stop_in_the_middle_do_not_keep_others_out(serve, app):
    responder = serve()
    stopped = [fastcgi.Connection(responder.socket) for _ in range(20)]
    try:
        for number, connection in enumerate(stopped):
            connection.send((fastcgi.begin() + fastcgi.record(fastcgi.PARAMS, b"x" * 100))[:4 + number * 5])
        assert [deliver(responder, app)[0] for _ in range(20)] == [202] * 20
    finally:
        for connection in stopped:
            connection.socket.close()


def test_all_threads_taken_by_silent_peers_come_back(serve, app):
    responder = serve(env={"BERTH_HOOKS_THREADS": "4"})
    silent = [fastcgi.Connection(responder.socket) for _ in range(4)]
    started = time.monotonic()

    assert deliver(responder, app)[0] == 202

    assert time.monotonic() - started < 6
    for connection in silent:
        connection.socket.close()


def test_a_body_that_stops_coming_is_given_up(serve, app):
    responder = serve()
    body = encode(push())
    with fastcgi.Connection(responder.socket) as connection:
        connection.start("POST", f"/hooks/github/{app}", headers_of(SECRET, body), len(body))
        connection.send(fastcgi.record(fastcgi.STDIN, body[:100]))
        started = time.monotonic()

        status, _, answer = connection.answer()

    assert (status, b"slow_body" in answer) == (408, True)
    assert 3 < time.monotonic() - started < 9


def test_a_process_with_silent_peers_still_ends_in_time(serve):
    responder = serve()
    connections = [fastcgi.Connection(responder.socket) for _ in range(6)]
    connections[0].send(fastcgi.begin()[:5])
    connections[1].send(fastcgi.begin() + fastcgi.record(fastcgi.PARAMS, b"x")[:6])
    connections[2].start("POST", "/hooks/github/x", {}, 100)
    time.sleep(0.3)
    started = time.monotonic()

    assert responder.end() == 0

    assert time.monotonic() - started < 2.5
    for connection in connections:
        connection.socket.close()


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 64, b"\xff" * 64, random.Random(4096).randbytes(4096), b"\1\1\0\1\0\0\0\0",
                                     fastcgi.begin() + fastcgi.record(fastcgi.PARAMS, b"\xff\xff\xff\xff\xff\xff\xff\xff") + fastcgi.record(4),
                                     fastcgi.record(fastcgi.ABORT), fastcgi.begin() + fastcgi.record(fastcgi.ABORT)],
                         ids=lambda garbage: repr(garbage[:6]))
def test_garbage_on_the_socket_harms_nobody(serve, app, garbage):
    responder = serve()
    for _ in range(3):
        with fastcgi.Connection(responder.socket) as connection:
            connection.send(garbage)

    assert deliver(responder, app)[0] == 202


def test_clients_that_leave_before_their_answer_harm_nobody(serve, app):
    responder = serve()
    assert deliver(responder, app)[0] == 202
    body = encode(push())
    for _ in range(50):
        with fastcgi.Connection(responder.socket) as connection:
            connection.start("POST", f"/hooks/github/{app}", headers_of(SECRET, body), len(body))
            connection.send(fastcgi.stream(fastcgi.STDIN, body))

    assert deliver(responder, app)[0] == 202
    assert responder.is_running()


def test_one_connection_carries_several_requests_when_the_web_server_wants_so(serve, app):
    responder = serve()
    with fastcgi.Connection(responder.socket) as connection:
        for _ in range(3):
            body = encode(push())
            values = fastcgi.variables("POST", f"/hooks/github/{app}", headers_of(SECRET, body), len(body))
            connection.send(fastcgi.begin(keep=True) + fastcgi.stream(fastcgi.PARAMS, fastcgi.params(values)))
            connection.send(fastcgi.stream(fastcgi.STDIN, body))
            assert connection.answer()[0] == 202


def test_no_thread_ends_when_file_descriptors_run_out(serve, app):
    responder = serve()
    assert deliver(responder, app)[0] == 202
    threads = len(os.listdir(f"/proc/{responder.pid}/task"))

    _, most = resource.prlimit(responder.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(responder.pid, resource.RLIMIT_NOFILE, (4, most))
    # A thread that waits in accept has its descriptor already; each needs a connection to come to the next.
    greedy = [fastcgi.Connection(responder.socket) for _ in range(200)]
    for connection in greedy:
        connection.socket.close()
    wait_until(lambda: "Too many open files" in responder.log(), what="running out of descriptors")
    resource.prlimit(responder.pid, resource.RLIMIT_NOFILE, (1024, most))

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: deliver(responder, app)[0], range(100)))
    assert answers == [202] * 100
    assert len(os.listdir(f"/proc/{responder.pid}/task")) == threads
    assert responder.log().count("Too many open files") < 5, "one line in ten seconds is enough"


def test_more_threads_than_descriptors_are_refused_at_start(parts):
    hooks, folder = parts

    done = run("--hooks", "--socket", str(folder / "many.sock"), env=hooks.env,
               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)))

    assert done.returncode == 2
    assert "64 threads" in done.stderr and "100" in done.stderr


def test_descriptors_stay_below_what_select_can_hold(serve):
    responder = serve(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)))

    limits = pathlib.Path(f"/proc/{responder.pid}/limits").read_text()

    assert [line.split()[3] for line in limits.splitlines() if line.startswith("Max open files")] == ["1024"]


# Who starts it

def test_spawn_fcgi_starts_it(parts, app):
    hooks, folder = parts
    path = folder / "spawned.sock"
    process = Process(["spawn-fcgi", "-n", "-s", str(path), "-M", "0660", "-b", "1024", "--", BERTH_FCGI, "--hooks"], folder / "spawned.log",
                      hooks.env)
    process.wait_for(lambda: is_answered(path) and fastcgi.ask(path, "GET", "/readyz")[0] == 200, "readiness")
    process.socket = path

    assert deliver(process, app)[0] == 202
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert process.end() == 0


def test_lighttpd_starts_it_by_bin_path(parts, app, tmp_path):
    hooks, _ = parts
    folder = make_folder()
    line = '"socket"       => env.BERTH_RUN + "/hooks.sock",'
    text = (TOP / "lighttpd.conf").read_text()
    assert line in text
    conf = tmp_path / "lighttpd.conf"
    conf.write_text(text.replace(line, f'{line} "bin-path" => "{BERTH_FCGI} --hooks", "max-procs" => 1, "listen-backlog" => 1024,'))
    lighttpd = Lighttpd(folder, folder, hooks.env, conf=conf)
    from support.delivery import Poster
    with Poster(lighttpd.port) as poster:
        wait_until(lambda: poster.ask("GET", "/readyz").status == 200, what="readiness")
        assert poster.deliver(app, SECRET, push()).status == 202
        sockets = list(folder.glob("hooks.sock*"))
        # To connect is to write.
        assert [stat.S_IMODE(path.stat().st_mode) & 0o002 for path in sockets] == [0]
    lighttpd.end()
    wait_until(lambda: not any(is_answered(path) for path in sockets), 5, "the responder's end with lighttpd's")
    shutil.rmtree(folder)


def test_a_socket_without_a_queue_long_enough_gets_one(parts):
    """lighttpd and spawn-fcgi may have asked for a shorter one."""
    hooks, folder = parts
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "short.sock"))
    listener.listen(1)
    process = Process([BERTH_FCGI, "--hooks"], folder / "short.log", hooks.env, stdin=listener.fileno())
    listener.close()
    process.wait_for(lambda: fastcgi.ask(folder / "short.sock", "GET", "/healthz")[0] == 200, "an answer")

    rows = subprocess.run(["ss", "-xlH"], capture_output=True, text=True, check=False).stdout
    queue = [line.split()[3] for line in rows.splitlines() if str(folder / "short.sock") in line]

    assert process.end() == 0
    assert queue in ([], ["1024"])  # ss may not be installed
