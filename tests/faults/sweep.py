"""What the sweeps share: which operations of AWS a life asks for, and many lives at once, with one thing going wrong in each of their stages.

Which operations there are is read from the journal of a life in which nothing goes wrong. By default a sample, chosen by BERTH_SEED (printed); BERTH_LONG=1 takes all,
and tells BERTH_SWEEP_LOG of each case as it ends. BERTH_STAGE takes only the cases of one stage, to which an app then goes straight from its first release.
"""

import collections
import concurrent.futures
import itertools
import os
import random
import threading
import time
import zlib

from life import STAGES, Life
from world import BERTH_KEY

SEED = int(os.environ.get("BERTH_SEED", random.SystemRandom().randrange(1_000_000)))
LONG = bool(os.environ.get("BERTH_LONG"))
PARTS = 2 if LONG else 1  # each with a yard of its own, so that they can run beside each other
ONLY_STAGE = os.environ.get("BERTH_STAGE")
LOG = os.environ.get("BERTH_SWEEP_LOG")
AT_ONCE = 16
AT_START = ("DescribeLoadBalancers", "DescribeSubnets", "DescribeSecurityGroups", "GetPolicy", "DescribeClusters", "GetBucketVersioning")

# of: how often a life asks in this stage; named: its parameters name the app, else a fault strikes whichever app comes first.
Operation = collections.namedtuple("Operation", "stage service name of named")
Case = collections.namedtuple("Case", "stage service operation fault occurrence of named times")


def stages():
    return [stage for stage in STAGES if ONLY_STAGE in (None, stage) or stage == "first"]


def _asked(yard, after):
    return [entry for entry in yard.stand_in.control(f"journal?after={after}")["entries"]
            if entry["access_key"] == BERTH_KEY and entry["operation"] not in AT_START]


def operations_of(yard, app="clean"):
    """Of a life in which nothing goes wrong, those of the stages that are wanted."""
    life, found = Life(yard, app), []
    for stage in stages():
        before = max((entry["seq"] for entry in _asked(yard, 0)), default=0)
        life.run(stage)
        all_of_it, naming = collections.Counter(), collections.Counter()
        for entry in _asked(yard, before):
            asked = entry["service"], entry["operation"]
            all_of_it[asked] += 1
            naming[asked] += app in str(entry["params"])
        if ONLY_STAGE in (None, stage):
            found += [Operation(stage, *asked, naming[asked] or count, bool(naming[asked])) for asked, count in all_of_it.items()]
    return found


def share(cases, part):
    """The part's own, which don't depend on what was counted in its clean life."""
    return [case for case in cases if zlib.crc32(" ".join((case.stage, case.operation, case.fault)).encode()) % PARTS == part]


def order(yard, app, case, rule):
    """Orders a rule for the case; its id."""
    aim = {"match": app} if case.named else {}
    nth = 1 if case.occurrence == "first" else case.of
    answer = yard.stand_in.control("faults", {"rules": [{"service": case.service, "operation": case.operation, "nth": nth, "count": case.times, **aim, **rule}]})
    assert "error" not in answer, (rule, answer)
    return answer["rules"][0]["id"]


class Sweep:
    """run_stage(sweep, life, case) carries a stage through with the case, and raises when it did not end well."""

    def __init__(self, yard, cases, run_stage):
        self.yard, self.cases, self.run_stage = yard, list(cases), run_stage
        random.Random(SEED).shuffle(self.cases)
        self.left = {stage: [case for case in self.cases if case.stage == stage] for stage in STAGES}
        self.began, self.rules, self.done, self.wrong = time.monotonic(), {}, [], []
        # Of the yard, which may be another part's as well: an app of the same name would be a destroyed one made anew.
        self._numbers, self._lock = yard.__dict__.setdefault("app_numbers", itertools.count(1)), threading.Lock()

    def next_case(self, stage):
        with self._lock:
            return self.left[stage].pop() if self.left[stage] else None

    def is_open(self):
        return any(self.left.values())

    def live(self, letter="s"):
        """One app through all stages, with one case in each."""
        case, stage = None, None
        try:
            life = Life(self.yard, f"{letter}{next(self._numbers):04d}{letter}")
            for stage in stages():
                case = self.next_case(stage)
                if case:
                    self.run_stage(self, life, case)
                    self.tell(case)
                elif stage in ("first", "destroy") or (stage == "again" and self.left["rollback"]):  # what later stages build on; and its place on the load balancer
                    life.run(stage)
        except Exception as error:  # told with its case; the others go on
            self.tell(case or stage, f"{type(error).__name__}: {error}")

    def tell(self, case, wrong=None):
        if wrong:
            self.wrong.append((case, wrong))
        else:
            self.done.append(case)
        if LOG:
            with open(LOG, "a", encoding="utf-8") as log:
                log.write(f"{time.strftime('%H:%M:%S')} {len(self.done)} passed, {len(self.wrong)} wrong of {len(self.cases)}: "
                          f"{'WRONG' if wrong else 'passed'} {case}\n{wrong + chr(10) if wrong else ''}")

    def run(self, lives):
        """So many lives, or, in a long run, as many as all cases take."""
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            if not LONG:
                list(pool.map(lambda _: self.live(), range(lives)))
                return
            running = set()
            while self.is_open() or running:
                while self.is_open() and len(running) < AT_ONCE:
                    running.add(pool.submit(self.live))
                _, running = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)

    def struck(self):
        """The cases whose rule has struck."""
        fired = {rule["id"] for rule in self.yard.stand_in.control("faults")["rules"] if rule["fired"]}
        return [case for rule, case in self.rules.items() if rule in fired]

    def report(self, struck):
        print(f"seed {SEED}: {len(self.rules)} of {len(self.cases)} cases ordered in {time.monotonic() - self.began:.0f} s; {len(struck)} struck, "
              f"{len({(c.stage, c.operation) for c in struck})} operations of stages, {len(self.wrong)} ended wrong")
        for case, story in self.wrong:
            print(f"\n--- {case}\n{story}")
