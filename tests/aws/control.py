"""The control endpoint, /_control/: what tests read of the stand-in and order from it. JSON, unsigned, not part of AWS."""

import json

from moto.codebuild.models import codebuild_backends
from moto.ecr.models import ecr_backends
from moto.ecs.models import ecs_backends
from moto.elbv2.models import elbv2_backends
from moto.iam.models import iam_backends
from moto.s3.models import s3_backends

from build import PHASES
from world import ACCOUNT, DEFAULT_TIMING

PREFIX = "/_control/"
SERVICE_FAILURES = ("exit", "unhealthy", "cannot_pull")


class BadOrder(Exception):
    pass


class Control:
    """WSGI: answers the control endpoint itself and hands everything else to `app`."""

    def __init__(self, world, app):
        self._world = world
        self._app = app

    def __call__(self, environ, start_response):
        path = environ.get("PATH_INFO", "")
        if not path.startswith(PREFIX):
            return self._app(environ, start_response)
        name = f"{environ['REQUEST_METHOD']} {path[len(PREFIX):]}"
        route = self.ROUTES.get(name)
        try:
            with self._world.lock:
                status, answer = (200, route(self, environ)) if route else (404, {"error": f"no such control: {name}"})
        except (BadOrder, ValueError, KeyError, TypeError) as error:
            status, answer = 400, {"error": f"{type(error).__name__}: {error}"}
        body = json.dumps(answer, default=str).encode()
        start_response(f"{status} {'OK' if status == 200 else 'Error'}", [
            ("Content-Type", "application/json"), ("Content-Length", str(len(body))),
        ])
        return [body]

    def journal(self, environ):
        after = environ.get("QUERY_STRING", "").partition("after=")[2].partition("&")[0]
        return {"entries": self._world.journal.after(int(after or 0))}

    def violations(self, environ):
        return {"violations": self._world.journal.violations()}

    def reset(self, environ):
        self._world.journal.clear()
        self._world.reset()
        return {}

    def timing(self, environ):
        """{"BUILD": 30000, "task_start": 50}: milliseconds; what is not named stays. Holds for what starts from now on."""
        wanted = _body(environ)
        for name, milliseconds in wanted.items():
            if name not in DEFAULT_TIMING:
                raise BadOrder(f"{name} is not one of {', '.join(DEFAULT_TIMING)}")
            if not isinstance(milliseconds, (int, float)) or milliseconds < 0:
                raise BadOrder(f"{name} must be milliseconds")
        self._world.timing.update(wanted)
        return self._world.timing

    def advance(self, environ):
        """{"seconds": 301}: skip simulated time; signatures are still checked against the wall clock."""
        self._world.clock.advance(float(_body(environ)["seconds"]))
        self._world.settle()
        return {}

    def build_outcome(self, environ):
        """{"project", "phase", "count"?, "status"?, "status_code"?, "message"?, "logs"?: [lines]}; project may be "*"."""
        order = _body(environ)
        if order.get("phase") not in PHASES:
            raise BadOrder(f"phase must be one of {', '.join(PHASES)}")
        if order.get("status", "FAILED") not in ("FAILED", "FAULT", "TIMED_OUT"):
            raise BadOrder("status must be FAILED, FAULT or TIMED_OUT")
        return _queue(self._world.build_orders, order.pop("project"), order)

    def service_outcome(self, environ):
        """{"service", "failure": "exit"|"unhealthy"|"cannot_pull", "count"?, "exit_code"?, "reason"?, "tasks"?}.

        Holds for the next `count` deployments of the service ("*": of any). `tasks`: only the first so many tasks fail.
        """
        order = _body(environ)
        if order.get("failure") not in SERVICE_FAILURES:
            raise BadOrder(f"failure must be one of {', '.join(SERVICE_FAILURES)}")
        return _queue(self._world.service_orders, order.pop("service"), order)

    def state(self, environ):
        self._world.settle()
        ecs, elb = _all(ecs_backends), _all(elbv2_backends)
        return {
            "violations": len(self._world.journal.violations()),
            "requests": len(self._world.journal.after()),
            "buckets": len(s3_backends[ACCOUNT]["aws"].buckets),
            "roles": len(iam_backends[ACCOUNT]["aws"].roles),
            "projects": sum(len(b.codebuild_projects) for b in _all(codebuild_backends)),
            "builds": sum(len(ids) for b in _all(codebuild_backends) for ids in b.build_history.values()),
            "repositories": sum(len(b.repositories) for b in _all(ecr_backends)),
            "services": sum(1 for b in ecs for s in b.services.values() if s.status == "ACTIVE"),
            "task_definitions": sum(len(revisions) for b in ecs for revisions in b.task_definitions.values()),
            "target_groups": sum(len(b.target_groups) for b in elb),
            "load_balancers": sum(len(b.load_balancers) for b in elb),
        }

    ROUTES = {
        "GET journal": journal, "GET violations": violations, "GET state": state, "POST reset": reset,
        "POST timing": timing, "POST advance": advance, "POST build-outcome": build_outcome,
        "POST service-outcome": service_outcome,
    }


def _body(environ):
    value = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"{}")
    if not isinstance(value, dict):
        raise BadOrder("the body must be a JSON object")
    return value


def _queue(orders, name, order):
    order["count"] = int(order.get("count", 1))
    orders.setdefault(name, []).append(order)
    return {"queued": {name: order}}


def _all(backends):
    return list(backends[ACCOUNT].values())
