"""Pages whose build logs are in a stand-in's CloudWatch Logs: lines can be written while they are watched."""

import itertools
import time
import zlib

from standin import StandIn
from support.pages import Pages

SHA = "6b1e0d4" + "0" * 33


class LivePages(Pages):
    def __init__(self, settings=None):
        self.stand_in = StandIn()
        self._streams = set()
        self._numbers = itertools.count(1)
        super().__init__(settings)

    def _start(self, settings):
        self.logs = self.stand_in.client("logs")
        super()._start({**self.stand_in.environment(), **(settings or {})})

    def end(self):
        try:
            super().end()
        finally:
            self.stand_in.stop()

    def make_app(self, name=None, live=1):
        """An app whose v1 to v<live> went live; its name."""
        name = name or f"live-{next(self._numbers)}"
        self.postgres.sql(f"""
            INSERT INTO berth.apps (app_name, repository, webhook_policy, last_release, created_at) VALUES ('{name}', 'acme/shop', 'github', {live}, now() - interval '30 days');
            INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, image_digest, task_definition_arn, finished_at, cpu_units)
                SELECT '{name}', n, 'push', 'live', 'live', lpad(n::text, 40, '0'), 'sha256:' || repeat('0', 64), 'arn', now(), 256 FROM generate_series(1, {live}) n;
            INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host)
                SELECT '{name}', {live}, lpad('{live}', 40, '0'), 'x', 'x', '{name}.apps.example.test' WHERE {live} > 0;
        """)
        return name

    def build_of(self, app, number):
        return f"00000000-0000-4000-8000-{zlib.crc32((app + str(number)).encode()):012}"

    def begin_build(self, app, number):
        """The release is building now, with a log of its own; the path of its page."""
        self.postgres.sql(f"""
            INSERT INTO berth.releases (app_name, number, kind, state, step, step_started_at, commit_sha, commit_title, pushed_by, build_attempt, build_id, cpu_units)
                VALUES ('{app}', {number}, 'push', 'running', 'build', now(), '{SHA}', 'Print a barcode', 'teo', 1, 'berth-{app}:{self.build_of(app, number)}', 512);
            UPDATE berth.apps SET last_release = {number} WHERE app_name = '{app}';
        """)
        self.tell(app, number, "source", "info", "Queued by a push to main.")
        for step in ("source", "identity"):
            self.tell(app, number, step, "done", f"Step {step} is done.")
        return f"/apps/{app}/releases/{number}"

    def tell(self, app, number, step, kind, message):
        self.postgres.sql(f"INSERT INTO berth.release_events (app_name, release, step, kind, message) VALUES ('{app}', {number}, '{step}', '{kind}', '{message}')")

    def fail(self, app, number, error, hint="Repair it and push again.", ago_s=60):
        self.postgres.sql(f"""UPDATE berth.releases SET state = 'failed', error = '{error}', hint = '{hint}', created_at = now() - interval '{ago_s + 60} s',
            finished_at = now() - interval '{ago_s} s' WHERE app_name = '{app}' AND number = {number}""")
        self.tell(app, number, "build", "failed", error)

    def write_log(self, app, number, lines):
        group, stream = f"/berth/{app}", f"build/{self.build_of(app, number)}"
        if (group, stream) not in self._streams:
            if not any(known == group for known, _ in self._streams):
                self.logs.create_log_group(logGroupName=group)
            self.logs.create_log_stream(logGroupName=group, logStreamName=stream)
            self._streams.add((group, stream))
        at = int(time.time() * 1000)
        for begin in range(0, len(lines), 1000):
            self.logs.put_log_events(logGroupName=group, logStreamName=stream,
                                     logEvents=[{"timestamp": at, "message": line} for line in lines[begin:begin + 1000]])
