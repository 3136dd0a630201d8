"""Postgres, a web server, a responder and the AWS stand-in, in a folder of a test's own. Nothing listens at a fixed port.

BERTH_BUILD names the build to test (default: build). BERTH_TEST_WEB_SERVER=apache: behind Apache instead of lighttpd. BERTH_TEST_PGBOUNCER=1: PgBouncer before Postgres.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", TOP / "build")).resolve()
START_LIMIT_S = 30

sys.path.insert(0, str(TOP / "tests" / "aws"))


def wait_until(question, limit_s=20, what="it"):
    """Ask until the answer is truthy; returns it."""
    until = time.monotonic() + limit_s
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < until, f"{what} did not happen within {limit_s} s"
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_answered(path):
    """Whether somebody accepts at a unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


class Process:
    """A program with its log; ended, and looked at for a sanitizer's report, by end()."""

    def __init__(self, command, log, env=None, **more):
        self.log_path = pathlib.Path(log)
        self._log = open(self.log_path, "ab")
        self.popen = subprocess.Popen(command, env=env, stdin=more.pop("stdin", subprocess.DEVNULL), stdout=self._log,
                                      stderr=subprocess.STDOUT, **more)
        self.pid = self.popen.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def is_running(self):
        return self.popen.poll() is None

    def wait_for(self, question, what):
        """A process that does not get there is ended: its constructor's caller has no handle to it yet."""
        def look():
            assert self.is_running(), f"{what}: the process ended with {self.popen.returncode}\n{self.log()}"
            return question()
        try:
            return wait_until(look, START_LIMIT_S, what)
        except BaseException:
            self.popen.kill()
            self.popen.wait(5)
            raise

    def end(self, number=signal.SIGTERM, limit_s=10):
        """Returns the exit code."""
        if self.is_running():
            self.popen.send_signal(number)
        try:
            code = self.popen.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait(5)
            raise AssertionError(f"pid {self.pid} did not end within {limit_s} s\n{self.log()}") from None
        finally:
            self._log.close()
        for mark in ("ERROR: AddressSanitizer", "runtime error:", "WARNING: ThreadSanitizer", "ERROR: LeakSanitizer"):
            assert mark not in self.log(), self.log()
        return code


class Postgres:
    def __init__(self, folder, durable=False):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._fast = [] if durable else ["--fast"]
        self.start()
        shell = subprocess.run(["bash", "-c", f"set -a; . '{self.folder}/env'; env -0"], env={"PATH": os.environ["PATH"]},
                               capture_output=True, check=True)
        items = (item.split("=", 1) for item in shell.stdout.decode().split("\0") if "=" in item)
        self.env = {name: value for name, value in items if name.startswith("BERTH_")}
        self.bouncer = None
        if os.environ.get("BERTH_TEST_PGBOUNCER"):
            self.bouncer = PgBouncer(self)
            for name in ("BERTH_DATABASE_HOOKS", "BERTH_DATABASE_WORKER", "BERTH_DATABASE_ADMIN"):
                self.env[name] = self.bouncer.conninfo(self.env[name])

    def _script(self, *words):
        # Not through pipes: the server would inherit them, and reading would last as long as it runs.
        with open(self.folder / "script.log", "ab") as log:
            done = subprocess.run([str(TOP / "script" / "postgres"), *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 0, (self.folder / "script.log").read_text()

    def start(self):
        self._script("start", *self._fast, str(self.folder))

    def restart(self):
        self._script("restart", str(self.folder))

    def _control(self, *words):
        """pg_ctl itself: script/postgres stop would remove a home under /tmp, with the data."""
        home = (self.folder / "home").read_text().strip()
        command = [f"{self.env['BERTH_POSTGRES_BIN']}/pg_ctl", *words, "--wait", "--pgdata", f"{home}/data"]
        if os.geteuid() == 0:
            owner = pathlib.Path(home, "data").owner()
            command = ["setpriv", f"--reuid={owner}", f"--regid={pathlib.Path(home, 'data').stat().st_gid}", "--clear-groups", "--", *command]
        with open(self.folder / "script.log", "ab") as log:
            subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/", check=True)

    def pause(self):
        """Stop the server and keep its data; resume brings it back."""
        self._control("stop", "--mode", "fast")

    def resume(self):
        home = (self.folder / "home").read_text().strip()
        self._control("start", "--log", f"{home}/log")

    def remove(self):
        if self.bouncer:
            self.bouncer.end()
        self._script("stop", str(self.folder))

    def migrate(self, build=BUILD):
        done = subprocess.run([str(build / "berth"), "migrate"], env={**os.environ, **self.env}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def sql(self, text, login="BERTH_DATABASE_SUPERUSER"):
        """Rows as lists of texts."""
        command = [f"{self.env['BERTH_POSTGRES_BIN']}/psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t",
                   "--set", "ON_ERROR_STOP=1", "--command", text, self.env[login]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def one(self, text):
        return self.sql(text)[0][0]

    def listen(self, channel):
        return Listener(self, channel)


class PgBouncer(Process):
    """Between berth and its Postgres, pooling by session; it logs in with the passwords of `pgpass`."""

    USER = "nobody"  # it refuses to run as root

    def __init__(self, postgres):
        self.folder = make_folder("berth-bouncer.")
        logins = [line.split(":") for line in (postgres.folder / "pgpass").read_text().splitlines()]
        (self.folder / "users").write_text("".join(f'"{name}" "{password}"\n' for *_, name, password in logins))
        (self.folder / "pgbouncer.ini").write_text(f"""
[databases]
* = host={(postgres.folder / "home").read_text().strip()}
[pgbouncer]
listen_addr =
unix_socket_dir = {self.folder}
auth_type = trust
auth_file = {self.folder}/users
pool_mode = session
max_client_conn = 1000
default_pool_size = 200
""")
        command = [shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", str(self.folder / "pgbouncer.ini")]
        if os.geteuid() == 0:
            shutil.chown(self.folder, self.USER)
            command = [*command[:1], "--user", self.USER, *command[1:]]
        super().__init__(command, self.folder / "log")
        self.wait_for(lambda: is_answered(self.folder / ".s.PGSQL.6432"), "PgBouncer at its socket")

    def conninfo(self, login):
        """The login's connection string, by way of it."""
        name = re.search(r"user=\S+", login).group()
        database = re.search(r"dbname=\S+", login).group()
        return f"host={self.folder} port=6432 {database} {name}"

    def end(self, **how):
        try:
            return super().end(**how)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


class Listener:
    """A LISTEN of its own; within(seconds) is whether a NOTIFY came."""

    def __init__(self, postgres, channel):
        self.psql = subprocess.Popen(
            [f"{postgres.env['BERTH_POSTGRES_BIN']}/psql", "--no-psqlrc", "--quiet", "--tuples-only", postgres.env["BERTH_DATABASE_SUPERUSER"]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self._channel = channel
        self._ask(f"LISTEN {channel};")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.psql.communicate("", timeout=10)

    def _ask(self, statement):
        """psql tells of notifications after a statement; the lines up to the statement's own end."""
        self.psql.stdin.write(f"{statement}\nSELECT 'done';\n")
        self.psql.stdin.flush()
        lines = []
        while not lines or "done" not in lines[-1]:
            lines.append(self.psql.stdout.readline())
        return lines

    def within(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            # The notification of a statement is told of after the next one.
            if any(self._channel in line for line in self._ask("SELECT 1;")):
                return True
            time.sleep(0.05)
        return False


class Responder(Process):
    """berth-fcgi at a unix socket of its own."""

    def __init__(self, folder, env, application="--hooks", name=None, more=(), wrap=(), build=BUILD, **popen):
        name = name or application.strip("-")
        self.socket = pathlib.Path(folder) / f"{name}.sock"
        command = [*wrap, str(build / "berth-fcgi"), application, "--socket", str(self.socket), *more]
        super().__init__(command, pathlib.Path(folder) / f"{name}.log", {"TSAN_OPTIONS": "atexit_sleep_ms=0", **env}, **popen)
        self.wait_for(lambda: is_answered(self.socket), f"{name} at its socket")

    def memory_kib(self, name="VmRSS"):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
        raise AssertionError(f"no {name}")


class WebServer(Process):
    """A real web server with the project's own configuration of it; the responders' sockets are in `run`."""

    def __init__(self, command, folder, env):
        self.folder = pathlib.Path(folder)
        super().__init__(command, self.folder / f"{type(self).__name__.lower()}.log", env)
        self.wait_for(self._answers, f"{type(self).__name__} at its port")

    def _places(self, folder, run, www):
        """What its configuration reads from the environment."""
        folder = pathlib.Path(folder)
        self.port = free_port()
        self.users = folder / "users"
        self.users.touch()
        self.logs = folder / "web-log"
        self.logs.mkdir(exist_ok=True)
        return {"BERTH_RUN": str(run), "BERTH_WWW": str(www), "BERTH_USERS": str(self.users), "BERTH_LOGS": str(self.logs)}

    def _answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def access_log(self):
        return (self.logs / "access.log").read_text()


class Lighttpd(WebServer):
    def __init__(self, folder, run, env=None, www=TOP / "www", conf=TOP / "lighttpd.conf"):
        places = self._places(folder, run, www)
        uploads = pathlib.Path(folder) / "uploads"
        uploads.mkdir(exist_ok=True)
        places |= {"BERTH_LIGHTTPD_PORT": str(self.port), "BERTH_UPLOADS": str(uploads)}
        program = shutil.which("lighttpd") or "/usr/sbin/lighttpd"
        super().__init__([program, "-D", "-f", str(conf)], folder, {**os.environ, **(env or {}), **places})


class Apache(WebServer):
    """Started as root it serves as another user, who may open the sockets by their group, as on a real host."""

    USER = "www-data"

    def __init__(self, folder, run):
        folder = pathlib.Path(folder)
        www = folder / "www"  # that user may not be able to read the checkout
        shutil.copytree(TOP / "www", www, dirs_exist_ok=True)
        places = self._places(folder, run, www)
        state = folder / "apache"
        state.mkdir(exist_ok=True)
        places |= {"BERTH_APACHE_PORT": str(self.port), "BERTH_APACHE_STATE": str(state), "BERTH_APACHE_USER": self.USER,
                   "BERTH_APACHE_MODULES": "/usr/lib/apache2/modules"}
        if os.geteuid() == 0:
            self._open_to_its_group(pathlib.Path(run))
        program = shutil.which("apache2") or "/usr/sbin/apache2"
        super().__init__([program, "-D", "FOREGROUND", "-f", str(TOP / "docs" / "apache.conf")], folder, {**os.environ, **places})

    def _open_to_its_group(self, run):
        shutil.chown(run, group=self.USER)
        run.chmod(0o2755)  # a socket that is made later has the group, too
        for made in run.glob("*.sock"):
            shutil.chown(made, group=self.USER)


def make_web_server(folder, run):
    """lighttpd; or Apache, when BERTH_TEST_WEB_SERVER says so."""
    return {"lighttpd": Lighttpd, "apache": Apache}[os.environ.get("BERTH_TEST_WEB_SERVER", "lighttpd")](folder, run)


def make_folder(prefix="berth-test."):
    """A short path: a unix socket's has 107 bytes at most. Others may enter it: Postgres and lighttpd may run as other users."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    folder.chmod(0o755)
    return folder
