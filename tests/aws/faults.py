"""Faults that tests order by operation and count: between the gate and the overlay, so that only what AWS would take counts.

The rules are kept in the order they came. Every rule that fits a call counts it; the first that is due strikes.
"""

import itertools
import threading
import time

from waitress.channel import ClientDisconnected

import fault_kinds
from world import KEY_NAMES

LIVES_ON = ("drop-before", "drop-after", "truncate", "latency", "order")
KINDS = (*fault_kinds.ANSWERS, *LIVES_ON)
# Kinds that only make sense once AWS has acted.
AFTERWARDS = ("drop-after", "truncate")
MEMBERS = {
    "service", "operation", "match", "signer", "nth", "of", "count", "every", "kind", "when", "ms", "code", "status", "message",
    "retry_after_s", "retry_after_ms", "bytes", "action", "resource", "skew_s", "order", "body",
}
TURN_REST_S = 0.5  # between two turns of AWS's clock: a client allows for one in the middle of a call
DEFAULTS = {
    "service": "*", "operation": "*", "match": "", "signer": "berth", "nth": 1, "count": 1, "every": 1, "when": "before", "ms": 0,
}


class BadRule(ValueError):
    pass


class Book:
    """The rules; one lock, since the gate and the control endpoint read it at the same time."""

    def __init__(self, world):
        self._world = world
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self.rules = []
        self.skews = {}
        self._turning, self._turned = threading.Lock(), 0
        world.on_reset(self.clear)

    def add(self, rules):
        checked = [_checked(rule) for rule in rules]
        with self._lock:
            for rule in checked:
                rule["id"] = next(self._numbers)
            self.rules += checked
        return [dict(rule) for rule in checked]

    def clear(self, number=None):
        """All rules, and AWS's clock is right again; or only that rule."""
        with self._lock:
            self.rules = [rule for rule in self.rules if number is not None and rule["id"] != number]
        if number is None:
            self.skews.update(dict.fromkeys(self.skews, 0))

    def listed(self):
        with self._lock:
            return [{**rule, "entries": list(rule["entries"])} for rule in self.rules]

    def strike(self, call):
        """The rule that hits this call, or None."""
        struck = None
        with self._lock:
            for rule in self.rules:
                if not _fits(rule, call):
                    continue
                rule["seen"] += 1
                late = rule["seen"] - rule["nth"]
                exhausted = rule["count"] and rule["fired"] >= rule["count"]
                if struck is None and late >= 0 and late % rule["every"] == 0 and not exhausted:
                    rule["fired"] += 1
                    struck = rule
        if struck and struck["kind"] == "clock-skew":
            self._turn_clock(call["access_key"], float(struck.get("skew_s", 900)))
        return struck

    def _turn_clock(self, key, ahead_s):
        """Off, or right again when it was off."""
        with self._turning:
            time.sleep(max(0, self._turned + TURN_REST_S - time.monotonic()))
            self.skews[key] = 0 if self.skews.get(key) else ahead_s
            self._turned = time.monotonic()


class Faults:
    """WSGI: carries out what the book says of a call, around `app`."""

    def __init__(self, world, app):
        self._world = world
        self._app = app

    def __call__(self, environ, start_response):
        call = environ.get("stand_in.call")
        rule = self._world.faults.strike(call) if call else None
        if rule is None:
            return self._app(environ, start_response)
        call["rule"] = rule
        if rule["kind"] == "order":
            return self._with_order(rule, environ, start_response)
        if rule["when"] == "before" and rule["kind"] not in AFTERWARDS:
            time.sleep(rule["ms"] / 1000)
            if rule["kind"] != "latency":
                return _answer(rule, call, environ, start_response)
            return self._app(environ, start_response)
        return self._afterwards(rule, call, environ, start_response)

    def _afterwards(self, rule, call, environ, start_response):
        """AWS acts; its answer comes late, cut, not at all, or as another one."""
        answered = []
        chunks = self._app(environ, lambda status, headers, exc_info=None: answered.append((status, headers)))
        time.sleep(rule["ms"] / 1000)
        if rule["kind"] not in ("latency", "truncate"):
            return _answer(rule, call, environ, start_response)
        status, headers = answered[0]
        body = b"".join(chunks)
        if rule["kind"] == "truncate":
            if not body or environ["REQUEST_METHOD"] == "HEAD":
                raise ClientDisconnected
            # The gate cuts it: it reads the whole answer first, as AWS wrote it.
            call["cut"] = min(int(rule.get("bytes", len(body) // 2)), len(body) - 1)
        headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start_response(status, headers + [("Content-Length", str(len(body)))])
        return [body]

    def _with_order(self, rule, environ, start_response):
        # One lock around both: nobody sees the call's effect without the order's.
        with self._world.lock:
            if rule["when"] == "before":
                rule["ordered"] = self._world.carry_out(rule["order"], rule.get("body", {}))
            chunks = self._app(environ, start_response)
            if rule["when"] == "after":
                rule["ordered"] = self._world.carry_out(rule["order"], rule.get("body", {}))
        return chunks


def _answer(rule, call, environ, start_response):
    if rule["kind"] in ("drop-before", "drop-after"):
        raise ClientDisconnected
    status, headers, body = fault_kinds.ANSWERS[rule["kind"]](rule, call)
    start_response(f"{status} Fault", headers + [("Content-Length", str(len(body)))])
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]


def _fits(rule, call):
    operations = rule["operation"] if isinstance(rule["operation"], list) else [rule["operation"]]
    return (
        rule["service"] in ("*", call["service"]) and ("*" in operations or call["operation"] in operations)
        and rule["signer"] in ("*", KEY_NAMES.get(call["access_key"])) and (not rule["match"] or rule["match"] in call["text"]())
    )


def _checked(rule):
    if not isinstance(rule, dict):
        raise BadRule("a rule is a JSON object")
    unknown = sorted(set(rule) - MEMBERS)
    if unknown:
        raise BadRule(f"a rule has no {', '.join(unknown)}")
    rule = {**DEFAULTS, **rule, "seen": 0, "fired": 0, "entries": []}
    if rule["kind"] not in KINDS:
        raise BadRule(f"kind must be one of {', '.join(KINDS)}")
    if rule["when"] not in ("before", "after"):
        raise BadRule("when must be before or after")
    if rule["kind"] == "order" and not rule.get("order"):
        raise BadRule("kind order needs the name of an order")
    if rule["nth"] == "last":
        if not rule.get("of"):
            raise BadRule("last needs of: how often a clean run asks")
        rule["nth"] = rule["of"]
    rule["nth"] = 1 if rule["nth"] == "first" else int(rule["nth"])
    rule["count"], rule["every"], rule["ms"] = int(rule["count"]), int(rule["every"]), float(rule["ms"])
    if rule["nth"] < 1 or rule["count"] < 0 or rule["every"] < 1 or rule["ms"] < 0:
        raise BadRule("nth and every count from 1, count from 0 (without end), ms from 0")
    return rule
