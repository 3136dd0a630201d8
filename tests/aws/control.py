"""The control endpoint, /_control/: what tests read of the stand-in and order from it. JSON, unsigned, not part of AWS."""

import json
from urllib.parse import parse_qs

from moto.core.exceptions import ServiceException

import console
from build import PHASES
from clearing import clear_tenants
from inventory import inventory
from world import DEFAULT_LIMITS, DEFAULT_TIMING, KEY_NAMES

PREFIX = "/_control/"
SERVICE_FAILURES = ("exit", "out_of_memory", "unhealthy", "cannot_pull", "cannot_start", "pending", "no_capacity", "flap")
BUILD_ENDS = ("FAILED", "FAULT", "TIMED_OUT", "STOPPED", "SUCCEEDED")


class BadOrder(ValueError):
    pass


class Control:
    """WSGI: answers the control endpoint itself and hands everything else to `app`."""

    def __init__(self, world, app):
        self._world = world
        self._app = app
        world.carry_out = self.carry_out

    def __call__(self, environ, start_response):
        path = environ.get("PATH_INFO", "")
        if not path.startswith(PREFIX):
            return self._app(environ, start_response)
        method, name = environ["REQUEST_METHOD"], path[len(PREFIX):]
        query = {key: values[-1] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        try:
            given = _body(environ) if method == "POST" else query
            with self._world.lock:
                status, answer = 200, self._route(method, name)(self, given)
        except LookupError as unknown:
            status, answer = 404 if isinstance(unknown, NoSuchControl) else 400, {"error": f"{type(unknown).__name__}: {unknown}"}
        except (ValueError, TypeError, ServiceException) as error:
            status, answer = 400, {"error": f"{type(error).__name__}: {error}"}
        body = json.dumps(answer, default=str).encode()
        start_response(f"{status} {'OK' if status == 200 else 'Error'}", [
            ("Content-Type", "application/json"), ("Content-Length", str(len(body))),
        ])
        return [body]

    def carry_out(self, name, order):
        """A POST control, ordered by a rule; what is wrong with it is told in its answer."""
        try:
            return self._route("POST", name)(self, dict(order))
        except (LookupError, ValueError, TypeError, ServiceException) as error:
            return {"error": f"{type(error).__name__}: {error}"}

    def _route(self, method, name):
        if f"{method} {name}" not in self.ROUTES:
            raise NoSuchControl(f"no such control: {method} {name}")
        return self.ROUTES[f"{method} {name}"]

    # What happened, and what there is

    def journal(self, query):
        return {"entries": self._world.journal.after(int(query.get("after", 0)))}

    def violations(self, _query):
        return {"violations": self._world.journal.violations()}

    def operations(self, query):
        """How often each operation was asked for, in the order of the first time: what a sweep goes through."""
        counts = {}
        for entry in self._world.journal.after(int(query.get("after", 0))):
            if query.get("signer", "*") in ("*", KEY_NAMES.get(entry["access_key"])) and not entry["violation"]:
                asked = (entry["service"], entry["operation"])
                counts[asked] = counts.get(asked, 0) + 1
        return {"operations": [{"service": s, "operation": o, "count": n} for (s, o), n in counts.items()]}

    def state(self, _query):
        self._world.settle()
        return inventory(self._world)

    # The world

    def reset(self, order):
        """{}: an empty account; {"seed": 8}: with that seed's ids; {"keep": "platform", "also": [kinds]}: what tenants have goes."""
        if order.get("keep", "platform") != "platform":
            raise BadOrder("keep may only be platform")
        if "keep" in order:
            clear_tenants(self._world, order.get("also", []))
        else:
            self._world.seed = int(order.get("seed", self._world.seed))
            self._world.journal.clear()
            self._world.reset()
        return {}

    def timing(self, wanted):
        """{"BUILD": 30000, "task_start": 50}: milliseconds; what is not named stays. Holds for what starts from now on."""
        speed = wanted.pop("speed", self._world.speed)
        for name, milliseconds in {**wanted, "speed": speed}.items():
            if name not in DEFAULT_TIMING and name != "speed":
                raise BadOrder(f"{name} is not speed or one of {', '.join(DEFAULT_TIMING)}")
            if not isinstance(milliseconds, (int, float)) or milliseconds < 0:
                raise BadOrder(f"{name} must be a number")
        if speed == 0:
            raise BadOrder("speed must be more than 0")
        self._world.speed = speed
        self._world.timing.update(wanted)
        return {**self._world.timing, "speed": speed}

    def advance(self, order):
        """{"seconds": 301}: skip simulated time; signatures are still checked against the wall clock."""
        self._world.clock.advance(float(order["seconds"]))
        self._world.settle()
        return {}

    def consistency(self, windows):
        """{"ecs": 300}: for so many milliseconds after a change berth's reads are stale; what is not named stays."""
        for service, milliseconds in windows.items():
            if not isinstance(milliseconds, (int, float)) or milliseconds < 0:
                raise BadOrder(f"{service} must be milliseconds")
        self._world.windows.update(windows)
        return self._world.windows

    def limits(self, wanted):
        for name, limit in wanted.items():
            if name not in DEFAULT_LIMITS:
                raise BadOrder(f"{name} is not one of {', '.join(DEFAULT_LIMITS)}")
            self._world.limits[name] = DEFAULT_LIMITS[name] if limit is None else float(limit)
        return self._world.limits

    # Faults

    def add_faults(self, order):
        return {"rules": self._world.faults.add(order["rules"])}

    def faults(self, _query):
        return {"rules": self._world.faults.listed()}

    def clear_faults(self, query):
        self._world.faults.clear(int(query["id"]) if "id" in query else None)
        return {}

    # How builds and services end, and what somebody else does

    def build_outcome(self, order):
        """{"project", "phase", "count"?, "status"?, "status_code"?, "message"?, "logs"?: [lines], "ms"?}; project may be "*"."""
        if order.get("phase") not in PHASES:
            raise BadOrder(f"phase must be one of {', '.join(PHASES)}")
        if order.get("status", "FAILED") not in BUILD_ENDS:
            raise BadOrder(f"status must be one of {', '.join(BUILD_ENDS)}")
        return _queue(self._world.build_orders, order.pop("project"), order)

    def service_outcome(self, order):
        """{"service", "failure", "count"?, "exit_code"?, "reason"?, "tasks"?, "rollback"?, "ms"?}.

        Holds for the next `count` deployments of the service ("*": of any). `tasks`: only the first so many tasks fail.
        """
        if order.get("failure") not in SERVICE_FAILURES:
            raise BadOrder(f"failure must be one of {', '.join(SERVICE_FAILURES)}")
        return _queue(self._world.service_orders, order.pop("service"), order)

    def service_update(self, order):
        console.update_service(self._world, order)
        return {"service": order["service"]}

    def build_stop(self, order):
        return {"stopped": self._world.codebuild.stop_by_somebody(order["project"])}

    ROUTES = {
        "GET journal": journal, "GET violations": violations, "GET operations": operations, "GET state": state,
        "POST reset": reset, "POST timing": timing, "POST advance": advance, "POST consistency": consistency, "POST limits": limits,
        "POST faults": add_faults, "GET faults": faults, "DELETE faults": clear_faults,
        "POST build-outcome": build_outcome, "POST service-outcome": service_outcome, "POST service-update": service_update,
        "POST build-stop": build_stop,
    }


class NoSuchControl(LookupError):
    pass


def _body(environ):
    value = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"{}")
    if not isinstance(value, dict):
        raise BadOrder("the body must be a JSON object")
    return value


def _queue(orders, name, order):
    order["count"] = int(order.get("count", 1))
    orders.setdefault(name, []).append(order)
    return {"queued": {name: order}}
