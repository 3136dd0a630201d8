"""The world of one stand-in: who may sign, what time it is, how long things take, and what tests ordered.

One World belongs to one server. Nothing here is global but constants.
"""

import datetime
import hashlib
import shutil
import tempfile
import threading
import time

from journal import Journal

ACCOUNT = "123456789012"

BERTH_KEY = "AKIAIOSFODNN7BERTH01"
OBSERVER_KEY = "AKIAIOSFODNN7OBSERV1"
# Test secrets, 40 characters like AWS's, and plainly not real.
KEYS = {
    BERTH_KEY: "not/a/real/secret/for/the/berth/standin1",
    OBSERVER_KEY: "not/a/real/secret/for/the/observer/only1",
}
KEY_NAMES = {BERTH_KEY: "berth", OBSERVER_KEY: "observer"}

# AWS may return fewer items than were asked for; a small page shows whoever forgets to read on.
MAX_PAGE = 4

# Milliseconds, at --speed 1. A build takes about 1.5 s, a rollout about 1.5 s.
DEFAULT_TIMING = {
    # one per build phase
    "SUBMITTED": 0,
    "QUEUED": 100,
    "PROVISIONING": 200,
    "DOWNLOAD_SOURCE": 150,
    "INSTALL": 50,
    "PRE_BUILD": 100,
    "BUILD": 600,
    "POST_BUILD": 150,
    "UPLOAD_ARTIFACTS": 50,
    "FINALIZING": 100,
    # ECS
    "deployment_pending": 50,  # a service deployment is PENDING before its first task starts
    "task_start": 400,  # from creation until RUNNING
    "task_pull_failure": 250,  # from creation until stopped, when the image cannot be pulled
    "task_crash": 200,  # from RUNNING until its container exits, when ordered to
    "task_unhealthy": 400,  # from RUNNING until ECS replaces it, when ordered to be unhealthy
    "task_drain": 200,  # from desired STOPPED until STOPPED
    "service_settle": 150,  # from the last healthy task until the deployment is COMPLETED
    # IAM: from a role's creation until other services believe in it, and until it may be named in a task definition
    "role_believed": 0,
    "role_passable": 0,
    # ELBv2
    "target_healthy": 400,  # from registration until healthy
    "target_drain": 200,  # from deregistration until gone
}
# Quotas: docs.aws.amazon.com, "Quotas for your Application Load Balancers"; None: not counted unless a test orders it.
DEFAULT_LIMITS = {
    "rules_per_load_balancer": 100,
    "target_groups_per_load_balancer": 100,
    "target_groups": 3000,
    "concurrent_builds": None,
    "fargate_vcpu": None,
}


class Clock:
    """Wall time for signatures and `now()`; a shifted time for everything that is simulated.

    Calling the clock gives wall time in seconds: what a signature's date is checked against.
    `now()` is wall time plus what tests skipped with /_control/advance.
    """

    def __init__(self):
        self._skipped_s = 0.0

    def __call__(self):
        return time.time()

    def now(self):
        return time.time() + self._skipped_s

    def advance(self, seconds):
        self._skipped_s += seconds


class World:
    """Everything one stand-in's overlay shares. Hold `lock` while reading or changing it."""

    def __init__(self, seed=1, speed=1.0):
        self.seed = seed
        self.speed = speed
        self.lock = threading.RLock()
        self.clock = Clock()
        self.journal = Journal()
        self.keys = dict(KEYS)
        self._scratch = None
        self._resets = []
        self._settlers = []
        self.reset()

    def reset(self):
        """Back to an empty account: moto's models, orders, timing, and the numbers ids are made from."""
        self.timing = dict(DEFAULT_TIMING)
        self._ids = {}
        self.forget_orders()
        for hook in self._resets:
            hook()

    def forget_orders(self):
        """What tests ordered, but for the timing; and what is remembered of when things changed."""
        self.build_orders = {}
        self.service_orders = {}
        self.limits = dict(DEFAULT_LIMITS)
        self.windows = {}
        self.born = {}

    def on_reset(self, hook):
        self._resets.append(hook)

    def on_settle(self, settle):
        """Register a function of (now) that applies every simulated effect due until then."""
        self._settlers.append(settle)

    def settle(self):
        """Bring the simulation up to now. Called before each request, so that all readers agree."""
        now = self.clock.now()
        for settle in self._settlers:
            settle(now)

    def scratch(self):
        """The folder for what builds lay out; removed by `close`."""
        if self._scratch is None:
            self._scratch = tempfile.mkdtemp(prefix="stand-in-")
        return self._scratch

    def close(self):
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def unseen(self, access_key, service, since):
        """Whether this reader doesn't see yet what changed in this service at `since`: only berth's reads are ever stale."""
        window = self.windows.get(service, self.windows.get("*", 0)) / 1000.0
        return bool(window) and since is not None and access_key == BERTH_KEY and self.clock.now() < since + window

    def seconds(self, name):
        """How long the named thing takes, in seconds."""
        return self.timing[name] / 1000.0 / self.speed

    def next_id(self, kind):
        """The next 128-bit hexadecimal id of this kind: the same for the same seed and order of calls."""
        self._ids[kind] = self._ids.get(kind, 0) + 1
        return hashlib.sha256(f"{self.seed}/{kind}/{self._ids[kind]}".encode()).hexdigest()[:32]

    def next_uuid(self, kind):
        h = self.next_id(kind)
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:32]}"

    def next_digits(self, kind, length=19):
        """The next decimal id, as ECS gives its deployments."""
        return str(int(self.next_id(kind), 16))[:length].rjust(length, "1")


def take_order(orders, name):
    """The next outcome that a test ordered for this name, or for every name ('*'); None when there is none."""
    for key in (name, "*"):
        waiting = orders.get(key)
        if waiting:
            order = waiting[0]
            order["count"] -= 1
            if order["count"] <= 0:
                waiting.pop(0)
            return order
    return None


def utc(seconds):
    """A time as moto's serialisers take it."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
