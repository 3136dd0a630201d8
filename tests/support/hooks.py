"""The intake of deliveries as a whole: Postgres, the AWS stand-in, berth-fcgi --hooks and the web server."""

import contextlib
import os
import shutil
import time

from support.delivery import Poster
from support.parts import BUILD, Postgres, Responder, make_folder, make_web_server, wait_until
from standin import StandIn

SECRET = "5f3c0b1d9a7e42868f0c1d2e3b4a59687766554433221100ffeeddccbbaa9988"


class Hooks:
    def __init__(self, responder=True, settings=None):
        self.folder = make_folder()
        self.responder = self.web = self.postgres = self.stand_in = None
        try:
            self._start(responder, settings or {})
        except BaseException:
            self.end()
            raise

    def _start(self, responder, settings):
        self.stand_in = StandIn()
        self.postgres = Postgres(self.folder / "pg")
        self.postgres.migrate()
        self.secrets = self.stand_in.client("secretsmanager")
        self.env = {**os.environ, **self.postgres.env, **self.stand_in.environment(), "BERTH_HOOKS_THREADS": "64", **settings}
        self.env.pop("BERTH_CONFIG", None)
        if responder:
            self.start_responder()
        self.web = make_web_server(self.folder, self.folder)
        self.port = self.web.port
        if responder:
            wait_until(lambda: self.ask("GET", "/readyz").status == 200, what="readiness")

    def start_responder(self, **more):
        env = {**self.env, **more.pop("env", {})}
        self.responder = Responder(self.folder, env, build=BUILD, **more)
        return self.responder

    def stop_responder(self):
        code = self.responder.end()
        self.responder = None
        return code

    def end(self):
        """Ends every part that was started, whatever one of them has to say; then says it."""
        violations = self.stand_in.control("violations")["violations"] if self.stand_in else []
        with contextlib.ExitStack() as parts:
            parts.callback(shutil.rmtree, self.folder, ignore_errors=True)
            if self.postgres:
                parts.callback(self.postgres.remove)
            if self.stand_in:
                parts.callback(self.stand_in.stop)
            if self.web:
                parts.callback(self.web.end)
            if self.responder:
                parts.callback(self.responder.end)
        assert not violations, violations

    def poster(self, timeout=30):
        return Poster(self.port, timeout)

    def ask(self, method, path, body=None, headers=None):
        with self.poster() as poster:
            return poster.ask(method, path, body, headers)

    def deliver(self, app, payload, secret=SECRET, **more):
        with self.poster() as poster:
            return poster.deliver(app, secret, payload, **more)

    def is_known(self, app):
        """Whether the responder has heard of the app: an unknown one is 404 before anything else is looked at."""
        return self.ask("POST", f"/hooks/github/{app}", b"", {"Content-Length": "0"}).status != 404

    def make_app(self, name, repository="acme/shop", branch="main", policy="github", secret=SECRET, known=True):
        """As `berth apps create` leaves it."""
        if secret:
            self.secrets.create_secret(Name=f"berth/hooks/{name}", SecretString=secret, Tags=[{"Key": "berth:app", "Value": name}])
        self.postgres.sql(
            f"INSERT INTO berth.apps (app_name, repository, branch, webhook_policy) VALUES ('{name}', '{repository}', '{branch}', '{policy}')"
        )
        if known:
            wait_until(lambda: self.is_known(name), what=f"the responder's knowing {name}")
        return name

    def wait_for_ready(self, status):
        """The answer of /readyz once it has that status."""
        found = []

        def look():
            found[:] = [self.ask("GET", "/readyz")]
            return found[0].status == status
        wait_until(look, 15, f"readyz {status}")
        return found[0]

    def stays_ready(self, seconds=2.5):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.ask("GET", "/readyz").status != 200:
                return False
            time.sleep(0.1)
        return True

    def releases(self, app):
        return [int(row[0]) for row in self.postgres.sql(f"SELECT number FROM berth.releases WHERE app_name = '{app}' ORDER BY number")]

    def deliveries(self, app):
        """{delivery id: outcome}"""
        return dict(self.postgres.sql(f"SELECT delivery_id, outcome FROM berth.deliveries WHERE app_name = '{app}'"))

    def secret_calls(self):
        """How often Secrets Manager was asked for a value."""
        return sum(1 for call in self.stand_in.control("journal")["entries"] if call.get("operation") == "GetSecretValue")
