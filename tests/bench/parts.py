"""The parts that a measurement needs: the stack, the load client, the bare responder, pgbench, and what the kernel says of processes."""

import base64
import contextlib
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "aws"))
sys.path.insert(0, str(TOP / "tests" / "github"))

import push_event  # noqa: E402
import world  # noqa: E402

MARKER = "abcdef0123456789abcdef0123456789abcdef01"  # the commit in the body, which the load client replaces
TICKS = os.sysconf("SC_CLK_TCK")
CPU_CLOCK_OF_PROCESS = 2  # as clock_getcpuclockid(3) makes them
QUIET_GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}
GIT = ["git", "-c", "user.name=Mara Jensen", "-c", "user.email=mara@example.test", "-c", "safe.directory=*"]


class Failed(Exception):
    pass


def run(words, env=None, **more):
    done = subprocess.run([str(word) for word in words], env=env, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        raise Failed(f"{' '.join(str(word) for word in words[:4])} …: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


# ---- what the kernel says ----

def memory_mib(pid):
    """{"VmRSS": …, "VmHWM": …} in MiB."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    pairs = (line.split(":") for line in lines if line.startswith(("VmRSS:", "VmHWM:")))
    return {name: int(value.split()[0]) / 1024 for name, value in pairs}


def forget_peak(pid):
    """The kernel counts VmHWM afresh from here."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def _stat(pid):
    """Parent, CPU ticks, and CPU ticks of the children that it has outlived; None when the process is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])


def cpu_s(pid, children=False):
    """CPU seconds of a process, and of its children."""
    _, ticks, ended = _stat(pid)
    if children:
        ticks += ended
        others = (_stat(int(name)) for name in os.listdir("/proc") if name.isdigit())
        ticks += sum(other[1] for other in others if other and other[0] == pid)
    return ticks / TICKS


def cpu_ns(pid, children=False):
    """CPU nanoseconds of a process, or of its living children (not its own) as Postgres has them. Finer than cpu_s, which counts in ticks."""
    owners = [pid]
    if children:
        stats = ((int(name), _stat(int(name))) for name in os.listdir("/proc") if name.isdigit())
        owners = [name for name, stat in stats if stat and stat[0] == pid]
    total = 0
    for owner in owners:
        with contextlib.suppress(OSError):
            total += time.clock_gettime_ns(~owner << 3 | CPU_CLOCK_OF_PROCESS)
    return total


def idle_s():
    fields = pathlib.Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / TICKS


# ---- the parts ----

class Stack:
    """script/stack with a durable Postgres, in a folder of its own under TMPDIR."""

    def __init__(self, build):
        self.build = build
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="berth-bench."))
        self.folder.chmod(0o755)
        self.env = dict(os.environ, **QUIET_GIT)
        self.started, self.again = [], {}
        try:
            run([TOP / "script" / "stack", "start", "--build", build, self.folder], self.env)
        except BaseException:
            self.stop()
            raise
        shell = run(["bash", "-c", f". {self.folder}/env && env -0"], self.env)
        self.env = dict(item.split("=", 1) for item in shell.split("\0") if "=" in item)
        self.port = int(self.env["BERTH_LIGHTTPD_PORT"])

    def stop(self):
        for process in self.started:
            process.terminate()
            process.wait()
        run([TOP / "script" / "stack", "stop", self.folder], self.env)
        shutil.rmtree(self.folder)

    def pid(self, name):
        if name == "postgres":
            home = pathlib.Path((self.folder / "postgres" / "home").read_text(encoding="utf-8").strip())
            return int((home / "data" / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
        return self.again.get(name) or int((self.folder / "pid" / name).read_text(encoding="ascii"))

    def stop_worker(self):
        pid = self.pid("worker")
        os.kill(pid, signal.SIGTERM)
        while _stat(pid):
            time.sleep(0.05)
        (self.folder / "pid" / "worker").unlink()

    def restart_admin(self, **settings):
        """The responder of the pages again, with more settings; answers its process id."""
        pid = self.pid("admin")
        os.kill(pid, signal.SIGTERM)
        while _stat(pid):
            time.sleep(0.05)
        (self.folder / "pid" / "admin").unlink(missing_ok=True)
        self.admin_socket.unlink(missing_ok=True)
        self.again["admin"] = pid = self.launch("admin", [self.build / "berth-fcgi", "--admin", "--socket", self.admin_socket], {**self.env, **settings})
        for _ in range(200):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.admin_socket))
                return pid
            time.sleep(0.05)
        raise Failed("berth-fcgi --admin did not start again")

    @property
    def admin_socket(self):
        return pathlib.Path((self.folder / "sockets").read_text(encoding="utf-8").strip()) / "admin.sock"

    @property
    def sign_in(self):
        """The operator's, as a browser sends it."""
        password = (self.folder / "password").read_text(encoding="ascii").strip()
        return "Basic " + base64.b64encode(f"operator:{password}".encode()).decode()

    def launch(self, name, words, env=None):
        with open(self.folder / "log" / f"{name}.log", "ab") as log:
            process = subprocess.Popen([str(word) for word in words], env=env or self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.started.append(process)
        return process.pid

    def berth(self, *words):
        """The command's answer, parsed; its exit code is 0, or 1 for a release that failed."""
        done = subprocess.run(["berth", *words, "--json"], env=self.env, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1) or not done.stdout.strip():
            raise Failed(f"berth {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def sql_file(self, path, **values):
        settings = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
        run([pathlib.Path(self.env["BERTH_POSTGRES_BIN"]) / "psql", "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", *settings, "-f", path,
             self.env["BERTH_DATABASE_SUPERUSER"]], self.env)

    def sql(self, text, conninfo="BERTH_DATABASE_SUPERUSER"):
        return run([pathlib.Path(self.env["BERTH_POSTGRES_BIN"]) / "psql", "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", text,
                    self.env[conninfo]], self.env).strip()

    def control(self, base, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{base}/_control/{path}", data=data, timeout=30) as answer:
            return json.load(answer)

    def calls(self, after=0):
        """berth's requests to AWS since entry `after` of the stand-in's journal."""
        entries = self.control(self.env["AWS_ENDPOINT_URL"], f"journal?after={after}")["entries"]
        return [entry for entry in entries if entry.get("access_key") == world.BERTH_KEY]

    @property
    def github(self):
        return f"http://127.0.0.1:{(self.folder / 'github.port').read_text(encoding='ascii').strip()}"

    def make_app(self, app, repository, *more):
        """Makes the app and returns its webhook's secret."""
        return self.berth("apps", "create", app, "--repo", repository, "--webhook", "github", *more)["webhook"]["secret"]


@contextlib.contextmanager
def stack_of(build):
    stack = Stack(build)
    try:
        yield stack
    finally:
        stack.stop()


class Repository:
    """A repository on the GitHub stand-in whose pushes reach the app."""

    def __init__(self, stack, app):
        self.stack, self.app, self.name = stack, app, f"acme/{app}"
        secret = stack.folder / f"secret-{app}"
        secret.touch(0o600)
        secret.write_text(stack.make_app(app, self.name, "--health-check", "/healthz"), encoding="ascii")
        run([sys.executable, TOP / "tests" / "github" / "repository.py", "create", stack.folder / "repositories", self.name,
             "--hook-url", f"http://127.0.0.1:{stack.port}/hooks/github/{app}", "--secret-file", secret], stack.env)
        self.clone = stack.folder / "work" / app
        run([*GIT, "clone", "-q", stack.folder / "repositories" / "acme" / f"{app}.git", self.clone], stack.env)
        shutil.copytree(TOP / "tests" / "fixtures" / "app", self.clone, dirs_exist_ok=True)

    def push(self, message):
        run([*GIT, "-C", self.clone, "add", "--all"], self.stack.env)
        run([*GIT, "-C", self.clone, "commit", "-q", "--allow-empty", "-m", message], self.stack.env)
        run([*GIT, "-C", self.clone, "push", "-q", "origin", "HEAD:main"], self.stack.env)

    def wait(self, release):
        return self.stack.berth("status", self.app, f"v{release}", "--wait", "--timeout", "300")


def make_body(folder, size):
    """A push event as GitHub sends it, of about `size` bytes, with MARKER as its newest commit; made by the stand-in from a real repository."""
    env = dict(os.environ, **QUIET_GIT)
    bare = folder / "body.git"
    work = folder / "body"
    run(["git", "init", "-q", "--bare", "-b", "main", bare], env)
    (bare / "github.json").write_text(json.dumps({
        "id": 1001, "full_name": "acme/bench", "owner": "acme", "private": True, "created_at": 1700000000, "hook": None}), encoding="utf-8")
    run([*GIT, "clone", "-q", bare, work], env)
    before, payload = push_event.ZERO, b""
    for number in range(1, 40):
        (work / f"chapter-{number:02}.md").write_text(secrets.token_hex(40), encoding="ascii")
        run([*GIT, "-C", work, "add", "--all"], env)
        run([*GIT, "-C", work, "commit", "-q", "-m", f"Write chapter {number}, and what it needs"], env)
        run([*GIT, "-C", work, "push", "-q", "origin", "HEAD:main"], env)
        head = run([*GIT, "-C", work, "rev-parse", "HEAD"], env).strip()
        payload = json.dumps(push_event.push_event(str(bare), "refs/heads/main", before, head, {})).replace(head, MARKER).encode()
        if len(payload) >= size:
            break
    path = folder / "body.json"
    path.write_bytes(payload)
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_bare(stack, threads=64):
    """The bare responder behind a lighttpd of its own with the same lighttpd.conf; {"port", "bare", "lighttpd", "socket"}."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bare.", dir=(stack.folder / "sockets").read_text(encoding="utf-8").strip()))
    bare = stack.launch("bare", [stack.build / "bench_bare", folder / "hooks.sock", threads])
    port = free_port()
    env = dict(stack.env, BERTH_LIGHTTPD_PORT=str(port), BERTH_RUN=str(folder), BERTH_USERS=str(stack.folder / "users"),
               BERTH_WWW=str(TOP / "www"), BERTH_UPLOADS=str(stack.folder / "uploads"), BERTH_LOGS=str(folder))
    lighttpd = stack.launch("bare-lighttpd", [shutil.which("lighttpd", path="/usr/sbin:/usr/bin"), "-D", "-f", TOP / "lighttpd.conf"], env)
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            if (folder / "hooks.sock").exists():
                return {"port": port, "bare": bare, "lighttpd": lighttpd, "socket": folder / "hooks.sock"}
        time.sleep(0.05)
    raise Failed("the bare responder, or lighttpd in front of it, did not start")


class Load:
    """Runs the load client, and adds to its figures where the machine's CPU time went."""

    def __init__(self, stack, body, apps):
        self.stack, self.body = stack, body
        self.apps = stack.folder / "apps"
        self.apps.touch(0o600)
        self.apps.write_text("".join(f"{name} {secret}\n" for name, secret in apps), encoding="ascii")
        self.one_app = stack.folder / "one-app"
        self.one_app.touch(0o600)
        self.one_app.write_text(self.apps.read_text(encoding="ascii").split("\n", 1)[0] + "\n", encoding="ascii")

    def send(self, connections, processes, port=None, seconds=None, requests=None, forge=False, one_app=False, rate=None, samples=None):
        """processes: {label: pid} to account CPU time to; postgres counts with its children. rate: so many a second, and no more; samples: each latency goes there, too."""
        words = [self.stack.build / "bench_load", "--port", port or self.stack.port, "--connections", connections, "--body", self.body,
                 "--marker", MARKER, "--apps", self.one_app if one_app else self.apps]
        words += ["--requests", requests] if requests else ["--seconds", seconds]
        words += ["--rate", rate] if rate else []
        words += ["--samples", samples] if samples else []
        before = {label: cpu_s(pid, label == "postgres") for label, pid in processes.items()}
        idle = idle_s()
        result = json.loads(run(words + (["--forge"] if forge else []), self.stack.env))
        used = {label: cpu_s(pid, label == "postgres") - before[label] for label, pid in processes.items()}
        result["per_second"] = result["requests"] / result["seconds"]
        result["cpu_us"] = {label: s / result["requests"] * 1e6 for label, s in {"client": result["client_cpu_s"], **used}.items()}
        result["idle_share"] = (idle_s() - idle) / (result["seconds"] * os.cpu_count())
        return result


def pgbench(stack, statement, clients, seconds, conninfo, body):
    """Statements a second. `:body` in it is the body, sent along with each execution."""
    script = stack.folder / "pgbench.sql"
    script.write_text(statement + "\n", encoding="utf-8")
    text = run([pathlib.Path(stack.env["BERTH_POSTGRES_BIN"]) / "pgbench", "-n", "-M", "prepared", "-f", script, "-c", clients,
                "-j", min(clients, os.cpu_count()), "-T", seconds, "-D", f"body={body}", stack.env[conninfo]], stack.env)
    failed = [line for line in text.splitlines() if line.startswith("number of failed transactions") and not line.split(": ")[1].startswith("0 ")]
    if failed:
        raise Failed(failed[0])
    tps = [line for line in text.splitlines() if line.startswith("tps")]
    if not tps:
        raise Failed(f"pgbench came to nothing within {seconds} s:\n{text}")
    return float(tps[0].split()[2])
