"""All of berth on one machine, made for breaking: any number of responders and workers that can be killed, stopped and woken, stand-ins that obey orders, a Postgres that
can be restarted, and many apps on branches of one repository.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests" / "aws"), str(TOP / "tests" / "github")]

from standin import StandIn  # noqa: E402
from support import parts  # noqa: E402
from support.delivery import Poster, push  # noqa: E402
from world import OBSERVER_KEY  # noqa: E402

from postgres import Session  # noqa: E402

BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", TOP / "build" / "points")).resolve()
REPOSITORY, REPOSITORY_ID = "acme/yard", 4711
LEASE_S = 3
SPEED = 20  # of the stand-in
PATIENCE = 4 if os.environ.get("BERTH_LONG") else 1  # in a long run all sweeps share the machine, and what is slow is not yet wrong
ENDED = ("live", "failed", "superseded", "cancelled")
QUIET_GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_AUTHOR_NAME": "Mara", "GIT_AUTHOR_EMAIL": "mara@example.test",
             "GIT_COMMITTER_NAME": "Mara", "GIT_COMMITTER_EMAIL": "mara@example.test"}


class GitHub(parts.Process):
    """The GitHub stand-in over a folder with one repository, in which commits are made without a clone."""

    def __init__(self, folder):
        self.root = folder / "repositories"
        self.bare = self.root / "acme" / "yard.git"
        self.env = {**os.environ, **QUIET_GIT, "GIT_DIR": str(self.bare)}
        self._lock = threading.Lock()
        tool = TOP / "tests" / "github"
        subprocess.run([sys.executable, str(tool / "repository.py"), "create", str(self.root), REPOSITORY, "--id", str(REPOSITORY_ID)],
                       env={**os.environ, **QUIET_GIT}, check=True, capture_output=True)
        self._trees = {"good": self._tree({}), "no_dockerfile": self._tree({"Dockerfile": None})}
        ready = folder / "github.port"
        super().__init__([sys.executable, str(tool / "server.py"), "--root", str(self.root), "--port", "0", "--ready-file", str(ready)],
                         folder / "github.log")
        parts.wait_until(lambda: ready.exists() and ready.read_text().strip(), what="the GitHub stand-in")
        self.url = f"http://127.0.0.1:{ready.read_text().strip()}"

    def git(self, *words, stdin=None):
        return subprocess.run(["git", *words], env=self.env, input=stdin, capture_output=True, check=True).stdout.decode().strip()

    def _tree(self, changes):
        lines = []
        for file in sorted((TOP / "tests" / "fixtures" / "app").iterdir()):
            if changes.get(file.name, "") is not None and file.is_file():
                blob = self.git("hash-object", "-w", "--stdin", stdin=file.read_bytes())
                lines.append(f"100644 blob {blob}\t{file.name}")
        return self.git("mktree", stdin="\n".join(lines).encode() + b"\n")

    def commit(self, branch, message, kind="good", forced=False):
        """A new head of the branch; forced: without the old one as its parent."""
        with self._lock:
            head = self.head(branch)
            parent = ["-p", head] if head and not forced else []
            made = self.git("commit-tree", self._trees[kind], *parent, "-m", message)
            self.git("update-ref", f"refs/heads/{branch}", made)
            return head or "0" * 40, made

    def delete(self, branch):
        with self._lock:
            self.git("update-ref", "-d", f"refs/heads/{branch}")

    def head(self, branch):
        return self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}") or None


class Worker(parts.Process):
    def __init__(self, yard, name, point=None, point_log=None, threads=2):
        env = dict(yard.env)
        if point:
            env["BERTH_TEST_POINT"] = point
        if point_log:
            env["BERTH_TEST_POINT_LOG"] = str(point_log)
        self.name, self.stopped = name, False
        super().__init__([str(BUILD / "berth"), "worker", "--threads", str(threads)], yard.folder / f"{name}.log", env)

    def kill(self):
        self.popen.kill()
        self.popen.wait(5)
        self._log.close()

    def state(self):
        """R, S, T (stopped), Z …; empty: gone."""
        try:
            return pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return ""

    def freeze(self):
        self.popen.send_signal(signal.SIGSTOP)

    def wake(self):
        self.popen.send_signal(signal.SIGCONT)


class Yard:
    def __init__(self, seed=1, speed=SPEED, settings=None, responders=1):
        self._ends = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:  # what began is ended when something after it doesn't begin
            undo.callback(self._ends.close)
            self._begin(seed, speed, settings or {}, responders)
            undo.pop_all()

    def _begin(self, seed, speed, settings, responders):
        self.folder = parts.make_folder("berth-yard.")
        self._ends.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.random = random.Random(seed)
        self.stand_in = StandIn(seed=seed, speed=speed, allow_violations=True)
        self._ends.callback(self.stand_in.stop)
        self.github = GitHub(self.folder)
        self._ends.callback(self.github.end)
        self.postgres = parts.Postgres(self.folder / "pg")
        self._ends.callback(self.postgres.remove)
        self.postgres.migrate(BUILD)
        configuration = self.folder / "berth.conf"
        self._write_configuration(configuration)
        self.bucket = re.search(r"^bucket = (.*)$", configuration.read_text(), re.MULTILINE)[1]
        self.env = {**os.environ, **self.postgres.env, **self.stand_in.environment(), "BERTH_CONFIG": str(configuration),
                    "BERTH_WORKER_LEASE_S": str(LEASE_S), "BERTH_WORKER_ROLE_SETTLE_S": "0", "BERTH_GITHUB_API_URL": self.github.url, **settings}
        self.db = Session(self.postgres.env["BERTH_DATABASE_SUPERUSER"])
        self._ends.callback(self.db.close)
        self.workers, self.secrets, self._counter = [], {}, 0
        self.fronts = [self._front(i) for i in range(responders)]

    def _write_configuration(self, path):
        made = subprocess.run([sys.executable, str(TOP / "tests" / "aws" / "make_platform.py"), "--endpoint", self.stand_in.url, "--region",
                               self.stand_in.region, "--domain", "apps.example.test", "--out", str(path)],
                              env={**os.environ, **self.stand_in.environment(OBSERVER_KEY)}, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr

    def _front(self, number):
        """A responder with a web server of its own: two of them are two hosts behind one name."""
        folder = self.folder / f"front{number}"
        folder.mkdir()
        folder.chmod(0o755)
        responder = parts.Responder(folder, self.env, build=BUILD)
        self._ends.callback(responder.end)
        web = parts.Lighttpd(folder, folder)
        self._ends.callback(web.end)
        return {"folder": folder, "responder": responder, "web": web}

    # Workers

    def start_worker(self, **how):
        self._counter += 1
        worker = Worker(self, f"worker{self._counter}", **how)
        self.workers.append(worker)
        return worker

    def stop_worker(self, worker):
        self.workers.remove(worker)
        return worker.end()

    def kill_worker(self, worker):
        self.workers.remove(worker)
        worker.kill()

    # Apps

    def berth(self, *words, code=0, tries=1):
        """The command with --json, parsed; its exit code must be `code` (None: any). Repeated when Postgres is away, as an operator would."""
        for left in reversed(range(tries)):
            done = subprocess.run([str(BUILD / "berth"), *words, "--json"], env=self.env, capture_output=True, text=True, check=False)
            if code in (None, done.returncode) or not left:
                break
            time.sleep(0.5)
        assert code in (None, done.returncode), f"berth {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def make_app(self, name):
        made = self.berth("apps", "create", name, "--repo", REPOSITORY, "--branch", name, "--webhook", "github", "--health-check", "/healthz", tries=3)
        self.secrets[name] = made["webhook"]["secret"]
        return name

    def post(self, app, before, after, secret=None, delivery=None, front=0, **more):
        """One delivery by GitHub; the answer, or None when the connection broke."""
        payload = push(REPOSITORY, REPOSITORY_ID, branch=app, commit=after, before=before, **more)
        try:
            with Poster(self.fronts[front]["web"].port, timeout=15) as poster:
                return poster.deliver(app, secret or self.secrets[app], payload, delivery=delivery)
        except (OSError, ConnectionError):
            return None

    def push(self, app, kind="good"):
        """A commit on the app's branch and its delivery, again until it is taken; the release's number."""
        before, after = self.github.commit(app, f"A change of {app}", kind)
        answer = parts.wait_until(lambda: self._taken(app, before, after), 30 * PATIENCE, f"the push to {app}")
        return answer.json["release"]

    def _taken(self, app, before, after):
        answer = self.post(app, before, after)
        return answer if answer and answer.status == 202 else None

    # What is

    def release(self, app, number):
        found = self.db.rows(f"SELECT * FROM berth.releases WHERE app_name = '{app}' AND number = {number}")
        return found[0] if found else None

    def newest(self, app):
        """The number of its newest release."""
        return self.db.rows(f"SELECT max(number) AS number FROM berth.releases WHERE app_name = '{app}'")[0]["number"]

    def live(self, app):
        found = self.db.rows(f"SELECT * FROM berth.deployments WHERE app_name = '{app}'")
        return found[0] if found else None

    def teardown(self, app):
        found = self.db.rows(f"SELECT * FROM berth.teardowns WHERE app_name = '{app}'")
        return found[0] if found else None

    def resources(self, app):
        """{kind: ARN} on record."""
        return {r["kind"]: r["arn"] for r in self.db.rows(f"SELECT kind, arn FROM berth.resources WHERE app_name = '{app}'")}

    def outdate(self, app):
        """As if the operator had changed the settings that the app's things are made from."""
        self.db.rows(f"UPDATE berth.resources SET spec_hash = '' WHERE app_name = '{app}'")

    def has_ended(self, app, number):
        release = self.release(app, number)
        return release if release and release["state"] in ENDED else None

    def wait_ended(self, app, number, limit_s=60):
        try:
            return parts.wait_until(lambda: self.has_ended(app, number), limit_s, f"the end of v{number} of {app}")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.story(app)}") from None

    def story(self, app):
        """Everything that helps to see what went wrong."""
        lines = [f"{r['number']} {r['kind']} {r['state']} at {r['step']} attempt={r['attempt']} waits={r['waits']} halt={r['halt']} error={r['error']}"
                 for r in self.db.rows(f"SELECT * FROM berth.releases WHERE app_name = '{app}' ORDER BY number")]
        lines += [f"v{e['release']} {e['at'][11:23]} {e['step']} {e['kind']}: {e['message']}"
                  for e in self.db.rows(f"SELECT * FROM berth.release_events WHERE app_name = '{app}' ORDER BY id")]
        lines += [f"teardown {t['state']} at {t['step']} attempt={t['attempt']} waits={t['waits']} run_after={t['run_after'][11:23]} error={t['error']}"
                  for t in self.db.rows(f"SELECT * FROM berth.teardowns WHERE app_name = '{app}'")]
        return "\n".join(lines)

    def end(self):
        """Fails when AWS would have refused a request, or when the stand-in itself failed."""
        for worker in list(self.workers):
            worker.wake()
            self.stop_worker(worker)
        violations = self.stand_in.control("violations")["violations"]
        log = self.stand_in.log()
        self._ends.close()
        assert "Traceback" not in log, log[-4000:]
        assert not violations, violations[:5]
