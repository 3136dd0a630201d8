"""What waiting releases cost a worker and AWS, and what finished ones cost a claim."""

import http.server
import json
import threading
import time

from parts import Failed, forget_peak, memory_mib
from report import note, section, table

WAITING, OLDEST_S = 1000, 1800
WAITING_AIM_MIB = 32
BUILD_BYTES = 6000  # of a build as BatchGetBuilds describes one: phases, environment, buildspec
FINISHED = (1000, 1_000_000)
CLAIMS = 300

ADD_WAITING = """
INSERT INTO berth.apps (app_name, repository, webhook_policy) SELECT 'wait-' || i, 'acme/wait', 'github' FROM generate_series(1, {count}) i;
INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, source_version, build_attempt, build_id, step_started_at)
SELECT 'wait-' || i, 1, 'push', 'running', 'build', repeat('a', 40), 'v', 1, 'berth-wait-' || i || ':1', now() - {oldest} * random() * interval '1 second'
  FROM generate_series(1, {count}) i;
"""
ADD_FINISHED = """
INSERT INTO berth.apps (app_name, repository, webhook_policy) SELECT 'past-' || i, 'acme/past', 'github' FROM generate_series(0, 99) i ON CONFLICT DO NOTHING;
INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, finished_at)
SELECT 'past-' || i % 100, i / 100 + 1, 'push', 'live', 'live', repeat('b', 40), now() FROM generate_series({first}, {last} - 1) i;
"""
ADD_DUE = """
DELETE FROM berth.releases WHERE app_name LIKE 'due-%';
INSERT INTO berth.apps (app_name, repository, webhook_policy) SELECT 'due-' || i, 'acme/due', 'github' FROM generate_series(1, {count}) i ON CONFLICT DO NOTHING;
INSERT INTO berth.releases (app_name, number, kind, commit_sha) SELECT 'due-' || i, 1, 'push', repeat('c', 40) FROM generate_series(1, {count}) i;
ANALYZE berth.releases;
"""


class Builds(http.server.BaseHTTPRequestHandler):
    """CodeBuild, as far as it says of each build that it is in progress, in as many words as AWS."""

    protocol_version = "HTTP/1.1"
    asked = []  # ids a call

    def do_POST(self):
        ids = json.loads(self.rfile.read(int(self.headers["content-length"])))["ids"]
        self.asked.append(len(ids))
        body = json.dumps({"builds": [{"id": name, "buildStatus": "IN_PROGRESS", "source": {"buildspec": "x" * BUILD_BYTES}} for name in ids]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def measure_waiting(stack, quick):
    count, seconds = (100, 5) if quick else (WAITING, 60)
    section("waiting", f"berth worker with {count} releases that wait for their builds, {OLDEST_S // 60} minutes old at most: memory, and calls to AWS")
    stack.stop_worker()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Builds)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pid = stack.launch("waiting", [stack.build / "berth", "worker"], {**stack.env, "AWS_ENDPOINT_URL_CODEBUILD": f"http://127.0.0.1:{server.server_port}"})
    time.sleep(2)
    idle = memory_mib(pid)["VmRSS"]
    forget_peak(pid)
    stack.sql(ADD_WAITING.format(count=count, oldest=OLDEST_S) + "SELECT pg_notify('berth_releases', '');")
    until = time.monotonic() + 120
    while int(stack.sql("SELECT count(*) FROM berth.releases WHERE waits_for = 'build'")) < count:
        if time.monotonic() > until:
            raise Failed("some releases did not come to wait")
        time.sleep(0.5)
    looks = len(Builds.asked)
    time.sleep(seconds)
    polls = Builds.asked[looks:]
    memory = memory_mib(pid)
    table(["berth worker", "VmRSS MiB", "VmHWM MiB", "aim"], [["idle", f"{idle:.1f}", "", ""], [f"{count} waiting", f"{memory['VmRSS']:.1f}", f"{memory['VmHWM']:.1f}",
                                                                                             f"{WAITING_AIM_MIB}"]])
    note(f"{len(polls)} BatchGetBuilds in {seconds} s, of {min(polls, default=0)} to {max(polls, default=0)} builds each; one call a release and 15 s would be "
         f"{count * seconds // 15}")
    server.shutdown()


def claim_ms(stack):
    stack.sql(ADD_DUE.format(count=CLAIMS))
    started = time.monotonic()
    stack.sql(f"DO $$ BEGIN FOR i IN 1..{CLAIMS} LOOP PERFORM berth.claim('bench', 3600000); END LOOP; END $$")
    took = (time.monotonic() - started) * 1000 / CLAIMS
    if int(stack.sql("SELECT count(*) FROM berth.releases WHERE app_name LIKE 'due-%' AND state = 'queued'")):
        raise Failed("some releases were not claimed")
    return took


def measure_claim(stack, quick):
    section("claim", f"milliseconds of one claim while {CLAIMS} releases are due, by how many have finished")
    rows, first = [], 0
    for finished in (FINISHED[0], 10_000) if quick else FINISHED:
        stack.sql(ADD_FINISHED.format(first=first, last=finished))
        first = finished
        rows.append([str(finished), f"{min(claim_ms(stack) for _ in range(5)):.2f}"])
    table(["finished releases", "ms a claim, best of 5"], rows)
    note("without the commit's wait for the disk, which is the same for all")


def measure(stack, chosen, quick):
    if "waiting" in chosen:
        measure_waiting(stack, quick)
    else:
        stack.stop_worker()
    if "claim" in chosen:
        stack.sql("UPDATE berth.releases SET state = 'cancelled', finished_at = now() WHERE app_name LIKE 'wait-%'")
        measure_claim(stack, quick)
