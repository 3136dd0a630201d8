"""The whole of berth on one machine (script/stack), driven as its users drive it: git push, the berth command, the page.

BERTH_BUILD names the build to test (default: build). The AWS stand-in's gate journals every request; who uses a stack asserts that `violations` finds none.
"""

import json
import os
import pathlib
import subprocess
import sys
import urllib.request

import boto3
from botocore.config import Config

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "aws"))

import world  # noqa: E402

GIT = ["git", "-c", "user.name=Mara", "-c", "user.email=mara@example.test", "-c", "safe.directory=*"]
QUIET_GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}


class Stack:
    def __init__(self, directory):
        self.directory = directory
        self.env = dict(os.environ, **QUIET_GIT)
        build = os.environ.get("BERTH_BUILD", str(TOP / "build"))
        self._script("start", "--fast", "--build", build, str(directory))
        shell = subprocess.run(["bash", "-c", f". {directory}/env && env -0"], env=self.env, capture_output=True, check=True)
        self.env = dict(item.split("=", 1) for item in shell.stdout.decode().split("\0") if "=" in item)
        self.url = f"http://127.0.0.1:{self.env['BERTH_LIGHTTPD_PORT']}"
        self.password = (directory / "password").read_text().strip()

    def _script(self, *words):
        done = subprocess.run([str(TOP / "script" / "stack"), *words], env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def stop(self):
        self._script("stop", str(self.directory))

    def berth(self, *words, code=0):
        """Runs the command with --json and returns what it printed, parsed; its exit code must be `code` (None: any)."""
        done = subprocess.run(["berth", *words, "--json"], env=self.env, capture_output=True, text=True, check=False)
        assert code is None or done.returncode == code, f"berth {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def client(self, service):
        """boto3 as an outside observer, signing with a key of its own."""
        return boto3.client(service, endpoint_url=self.env["AWS_ENDPOINT_URL"],
                            region_name="us-east-1" if service == "iam" else "eu-central-1",
                            aws_access_key_id=world.OBSERVER_KEY, aws_secret_access_key=world.KEYS[world.OBSERVER_KEY],
                            config=Config(retries={"mode": "standard"}, s3={"addressing_style": "path"}))

    def control(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.env['AWS_ENDPOINT_URL']}/_control/{path}", data=data, timeout=10) as answer:
            return json.load(answer)

    def github_control(self, path, body):
        port = (self.directory / "github.port").read_text().strip()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_control/{path}", data=json.dumps(body).encode(), timeout=10) as answer:
            return json.load(answer)

    def violations(self):
        """Requests of berth's that AWS would have refused."""
        return self.control("violations").get("violations", [])

    def sql(self, text):
        """Rows as lists of texts, asked as nobody of berth's."""
        done = subprocess.run([f"{self.env['BERTH_POSTGRES_BIN']}/psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t",
                               "--set", "ON_ERROR_STOP=1", "--command", text, self.env["BERTH_DATABASE_SUPERUSER"]],
                              env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def calls(self, after=0):
        """berth's own requests to AWS since `after`, oldest first."""
        journal = self.control(f"journal?after={after}")
        entries = journal["entries"] if isinstance(journal, dict) else journal
        return [entry for entry in entries if entry.get("access_key") == world.BERTH_KEY]

    def last_call(self):
        return max((entry["seq"] for entry in self.calls()), default=0)


class Repository:
    """A repository on the GitHub stand-in, its webhook, and a clone to work in."""

    def __init__(self, stack, app, number):
        self.stack, self.app, self.name = stack, app, f"acme/{app}"
        made = stack.berth("apps", "create", app, "--repo", self.name, "--webhook", "github", "--health-check", "/healthz")
        secret = stack.directory / f"secret-{app}"
        secret.write_text(made["webhook"]["secret"])
        self._tool("create", self.name, "--id", str(number), "--hook-url", f"{stack.url}/hooks/github/{app}", "--secret-file", str(secret))
        self.bare = stack.directory / "repositories" / "acme" / f"{app}.git"
        self.clone = stack.directory / "work" / app
        subprocess.run([*GIT, "clone", "-q", str(self.bare), str(self.clone)], env=stack.env, check=True, capture_output=True)
        for file in (TOP / "tests" / "fixtures" / "app").iterdir():
            (self.clone / file.name).write_bytes(file.read_bytes())

    def _tool(self, action, *words):
        done = subprocess.run([sys.executable, str(TOP / "tests" / "github" / "repository.py"), action,
                               str(self.stack.directory / "repositories"), *words],
                              env=self.stack.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def git(self, *words):
        return subprocess.run([*GIT, "-C", str(self.clone), *words], env=self.stack.env, check=True, capture_output=True, text=True)

    def push(self, message="A change", branch="main", **files):
        """Commits what is in the clone and pushes it; returns the commit and what the webhook answered."""
        for name, text in files.items():
            (self.clone / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        said = self.git("push", "-q", "origin", f"HEAD:{branch}").stderr
        return self.git("rev-parse", "HEAD").stdout.strip(), said

    def redeliver(self, delivery):
        return self._tool("redeliver", self.name, delivery)

    def wait(self, release, code=0):
        return self.stack.berth("status", self.app, f"v{release}", "--wait", "--timeout", "120", code=code)
