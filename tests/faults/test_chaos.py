"""Everything at once, from one seed: workers that are killed and frozen, a Postgres that is restarted, faults of AWS, and pushes that are good, bad, forged, forced,
repeated or to a branch that is gone, with cancels and rollbacks in between. Then the storm ends, and all must be in order.

BERTH_SEED repeats the orders of a run (what meets what also depends on the machine); BERTH_CHAOS_S is how long it lasts.
"""

import collections
import concurrent.futures
import os
import random
import threading
import time

import observer
from support import parts
from yard import PATIENCE, Yard

SEED = int(os.environ.get("BERTH_SEED", random.SystemRandom().randrange(1_000_000)))
LONG = bool(os.environ.get("BERTH_LONG"))
STORM_S = int(os.environ.get("BERTH_CHAOS_S", 3600 if LONG else 40))
CALM_S = 150 * PATIENCE
APPS, WORKERS, RESPONDERS, PUSHERS = 20, 3, 2, 4
KINDS = ("throttle", "500", "503", "html500", "drop-before", "drop-after", "truncate")


class Storm:
    def __init__(self, yard):
        self.yard = yard
        self.random = random.Random(SEED)
        self.over = threading.Event()
        self.count = collections.Counter()
        self.accepted = {}  # (app, commit): the release that the answer named
        self.errors = []
        self.locks = {}
        self._lock = threading.Lock()

    def told(self, what):
        with self._lock:
            self.count[what] += 1

    # What people do

    def push(self, dice, app):
        with self.locks[app]:
            kind = dice.choices(("good", "bad", "forced", "forged", "twice", "deleted"), (60, 10, 10, 8, 8, 4))[0]
            self.told(f"push {kind}")
            if kind == "deleted":
                self.yard.github.commit(app, "About to go")
                self.yard.github.delete(app)
                self.yard.post(app, "1" * 40, "0" * 40, front=dice.randrange(RESPONDERS), deleted=True, head_commit=None)
                return
            before, after = self.yard.github.commit(app, f"{kind} {dice.random()}", "no_dockerfile" if kind == "bad" else "good", forced=kind == "forced")
            if kind == "forged":
                answer = self.yard.post(app, before, after, secret="wrong", front=dice.randrange(RESPONDERS))
                if answer and answer.status in (200, 202):
                    self.errors.append(f"a forged push was answered {answer}")
            self.deliver(dice, app, before, after)
            if kind == "twice":
                self.deliver(dice, app, before, after)

    def deliver(self, dice, app, before, after):
        """Until it is taken, as somebody who presses Redeliver."""
        delivery = f"{dice.getrandbits(64):016x}"
        for _ in range(60):
            answer = self.yard.post(app, before, after, delivery=delivery, front=dice.randrange(RESPONDERS), forced=True)
            if answer and answer.status == 202:
                self.accepted[app, after] = answer.json["release"]
                return
            if answer and answer.status == 200:
                return
            self.told("delivered again")
            time.sleep(0.3)
        self.errors.append(f"the push of {after} to {app} was never taken: {answer}")

    def operate(self, dice, app):
        action = dice.choice(("cancel", "rollback"))
        self.told(action)
        try:
            self.yard.berth(action, app)
        except AssertionError:
            self.told(f"{action} refused")  # nothing to cancel, nothing to go back to, or Postgres is away

    def people(self, number):
        dice = random.Random(f"{SEED}/{number}")
        while not self.over.is_set():
            app = f"c{dice.randrange(APPS):02d}c"
            if dice.random() < 0.08:
                self.operate(dice, app)
            else:
                self.push(dice, app)
            time.sleep(dice.random() * 0.8)

    # What goes wrong

    def nature(self):
        dice = random.Random(f"{SEED}/nature")
        while not self.over.wait(dice.random() * 1.2):
            getattr(self, dice.choices(("kill", "freeze", "fault", "restart"), (30, 20, 45, 5))[0])(dice)

    def kill(self, dice):
        self.told("kill -9")
        self.yard.kill_worker(dice.choice(self.yard.workers))
        self.yard.start_worker(threads=3)

    def freeze(self, dice):
        self.told("freeze")
        worker = dice.choice(self.yard.workers)
        worker.freeze()
        self.over.wait(dice.choice((0.5, 4.5)))
        worker.wake()

    def restart(self, _):
        self.told("Postgres restarted")
        self.yard.postgres.restart()

    def fault(self, dice):
        self.told("fault")
        answer = self.yard.stand_in.control("faults", {"rules": [{
            "kind": dice.choice(KINDS), "nth": dice.randrange(1, 12), "count": dice.choice((1, 1, 3, 6)),
            "service": dice.choice(("*", "*", "ecs", "codebuild", "elbv2", "iam", "s3", "ecr", "logs"))}]})
        if "error" in answer:
            self.errors.append(str(answer))

    def begin(self):
        # Limits are judged, and refuse nobody: each push here is to be taken at last.
        self.yard.postgres.sql("UPDATE berth.default_limits SET releases_per_hour = 100000, build_minutes = 10000000, pushes_burst = 100000, pushes_per_hour = 1000000")
        for number in range(APPS):
            app = self.yard.make_app(f"c{number:02d}c")
            self.locks[app] = threading.Lock()
        for _ in range(WORKERS):
            self.yard.start_worker(threads=3)

    def rage(self):
        with concurrent.futures.ThreadPoolExecutor(PUSHERS + 1) as pool:
            all_of_it = [pool.submit(self.nature), *(pool.submit(self.people, i) for i in range(PUSHERS))]
            time.sleep(STORM_S)
            self.over.set()
            for one in all_of_it:
                one.result()

    def last_words(self):
        """One more good push each, so that every app has a head that can be live."""
        self.yard.stand_in.control("faults", method="DELETE")
        dice = random.Random(f"{SEED}/last")
        for app in self.locks:
            before, after = self.yard.github.commit(app, "The last one")
            self.deliver(dice, app, before, after)


def is_calm(yard):
    return not yard.db.rows("SELECT app_name FROM berth.releases WHERE state IN ('queued', 'running') LIMIT 1")


def head_faults(yard, storm, app):
    """What is live is the newest good head."""
    head = yard.github.head(app)
    live = yard.db.rows(f"SELECT commit_sha, release FROM berth.deployments WHERE app_name = '{app}'")
    found = [] if live and live[0]["commit_sha"] == head else [f"{app} is at {head}, and runs {live}"]
    for (name, commit), number in storm.accepted.items():
        release = yard.release(app, number) if name == app else None
        if name == app and (not release or release["commit_sha"] != commit):
            found.append(f"{app}: the push of {commit} was answered as v{number}, which is {release and release['commit_sha']}")
    return found


def faults_of_all(yard, storm):
    state = yard.stand_in.control("state")
    return [fault for app in storm.locks for fault in observer.app_faults(yard.db, state, app) + head_faults(yard, storm, app)]


def test_nothing_is_lost_and_nothing_done_twice_in_a_storm():
    yard = Yard(seed=SEED, responders=RESPONDERS)
    print(f"seed {SEED}")
    storm = Storm(yard)
    storm.begin()

    storm.rage()
    storm.last_words()

    parts.wait_until(lambda: is_calm(yard), CALM_S, f"calm (seed {SEED}): " + str(
        yard.db.rows("SELECT app_name, number, state, step, attempt, waits, error FROM berth.releases WHERE state IN ('queued', 'running')")))
    until = time.monotonic() + 20 * PATIENCE
    while (faults := faults_of_all(yard, storm)) and time.monotonic() < until:
        time.sleep(0.5)
    ends = yard.db.rows("SELECT state, count(*) AS n FROM berth.releases GROUP BY state ORDER BY state")
    print(f"seed {SEED}, {STORM_S} s: {dict(storm.count)}\n{len(storm.accepted)} accepted; releases: {({e['state']: e['n'] for e in ends})}; "
          f"{len(faults) + len(storm.errors)} wrong")
    for app in sorted({fault.split()[0].rstrip(":") for fault in faults} & set(storm.locks)):
        print(f"--- {app}\n{yard.story(app)}")
    yard.end()
    assert not storm.errors + faults, "\n".join(storm.errors + faults)
