"""Start the stand-in for a test and talk to it: as berth's operator, as an outside observer, and through the control endpoint."""

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config

from world import BERTH_KEY, KEYS, OBSERVER_KEY

HERE = os.path.dirname(os.path.abspath(__file__))
REGION = "eu-central-1"
START_LIMIT_S = 30


class StandIn:
    """A running stand-in; a context manager that ends it and fails when the gate saw a violation."""

    def __init__(self, seed=1, speed=1.0, region=REGION, allow_violations=False):
        self.region = region
        self._allow_violations = allow_violations
        self._folder = tempfile.TemporaryDirectory(prefix="stand-in-test-")
        ready = os.path.join(self._folder.name, "port")
        self._log = open(os.path.join(self._folder.name, "log"), "w+", encoding="utf-8")
        command = [sys.executable, os.path.join(HERE, "server.py"), "--port", "0", "--ready-file", ready]
        self.process = subprocess.Popen(
            command + ["--seed", str(seed), "--speed", str(speed)], stdout=self._log, stderr=subprocess.STDOUT
        )
        self.url = f"http://127.0.0.1:{self._wait_for(ready)}"

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        violations = [] if kind or self._allow_violations else self.control("violations")["violations"]
        log = self.log()
        self.stop()
        assert kind or "Traceback" not in log, f"the stand-in failed: {log}"
        assert not violations, f"AWS would have refused: {json.dumps(violations, indent=1)}"

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self._log.close()
        self._folder.cleanup()

    def client(self, service, key=OBSERVER_KEY):
        """A boto3 client. IAM is global and signed for us-east-1, which botocore forgets when it is given an endpoint."""
        return session(key).client(
            service, region_name="us-east-1" if service == "iam" else self.region, endpoint_url=self.url,
            config=Config(s3={"addressing_style": "path"}, retries={"mode": "standard", "total_max_attempts": 1}),
        )

    def environment(self, key=BERTH_KEY):
        """What a program needs in its environment to use the stand-in."""
        return {
            "AWS_ENDPOINT_URL": self.url, "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": KEYS[key], "AWS_EC2_METADATA_DISABLED": "true",
        }

    def control(self, path, body=None, method=None):
        """GET a control path, or POST `body` to it, or another method. A refusal comes back as {"error": …}."""
        data = None if body is None else json.dumps(body).encode()
        method = method or ("GET" if body is None else "POST")
        request = urllib.request.Request(f"{self.url}/_control/{path}", data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as refused:
            return json.load(refused)

    def make_platform(self, domain="apps.example.test", key=OBSERVER_KEY):
        """Run make_platform.py; returns its configuration as a dict of all sections' values."""
        command = [sys.executable, os.path.join(HERE, "make_platform.py"), "--endpoint", self.url, "--region", self.region]
        done = subprocess.run(
            command + ["--domain", domain], env={**os.environ, **self.environment(key)}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return dict(line.split(" = ", 1) for line in done.stdout.splitlines() if " = " in line)

    def log(self):
        with open(self._log.name, encoding="utf-8") as file:
            return file.read()

    def _wait_for(self, path):
        until = time.monotonic() + START_LIMIT_S
        while not os.path.exists(path):
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"the stand-in did not start: {self.log()}")
            time.sleep(0.02)
        with open(path, encoding="ascii") as file:
            return file.read().strip()


@functools.lru_cache(maxsize=None)
def session(key):
    """One for each key: a Session reads the models of its services once."""
    return boto3.session.Session(key, KEYS[key])


def wait_until(question, limit_s=20):
    """Ask until the answer is truthy; returns it."""
    until = time.monotonic() + limit_s
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
