"""What 200 viewers of one build's log cost those who push: the webhook's p99 with them and without, in turns."""

import contextlib
import heapq
import json
import random
import re
import selectors
import socket
import statistics
import threading
import time

import pushes
from logs import Logs, Stream
from parts import Failed, cpu_ns
from report import note, section, table

VIEWERS, LOG_EVERY_S, PAGE_EVERY_S = 200, 1.0, 4.0
RATE, CONNECTIONS = 100, 32
AIM = 1.2
WATCHED, BUILD = "watched", "00000000-0000-4000-8000-000000000001"

MAKE_BUILD = f"""
INSERT INTO berth.apps (app_name, repository, webhook_policy, last_release) VALUES ('{WATCHED}', 'acme/watched', 'github', 1);
INSERT INTO berth.releases (app_name, number, kind, state, step, step_started_at, commit_sha, commit_title, pushed_by, build_attempt, build_id, cpu_units, memory_mib, tasks)
VALUES ('{WATCHED}', 1, 'push', 'running', 'build', now(), repeat('a', 40), 'Print a barcode', 'teo', 1, 'berth-{WATCHED}:{BUILD}', 256, 512, 1);
INSERT INTO berth.release_events (app_name, release, step, kind, message) VALUES ('{WATCHED}', 1, 'source', 'info', 'Queued by a push to main.'),
    ('{WATCHED}', 1, 'source', 'done', 'The source of the commit is in S3, 1.4 MiB.'), ('{WATCHED}', 1, 'build', 'info', 'The build has started.');
"""


class Poll:
    """One address that one viewer asks for now and then, with the version that it has."""

    def __init__(self, path, every_s, head):
        self.path, self.every_s, self.head = path, every_s, head
        self.tag, self.next_line = "", 1
        self.socket, self.answer, self.asked_at = None, b"", 0.0

    @property
    def target(self):
        return self.path.format(line=self.next_line)

    def ask(self, port):
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", port), 10)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tag = f"If-None-Match: {self.tag}\r\n" if self.tag else ""
        self.answer, self.asked_at = b"", time.monotonic()
        self.socket.sendall(f"GET {self.target} HTTP/1.1\r\n{self.head}{tag}\r\n".encode())

    def take(self):
        """Its status once the answer is whole, else None."""
        got = self.socket.recv(262144)
        if not got:
            raise Failed("the web server closed a viewer's connection before its answer")
        self.answer += got
        head, found, body = self.answer.partition(b"\r\n\r\n")
        if not found:
            return None
        status = int(head[9:12])
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        if status != 304 and length is None:
            raise Failed(f"{self.target} answers {status} without its length")
        if status != 304 and len(body) < int(length[1]):
            return None
        if status == 200:
            tag = re.search(rb"(?i)\r\netag: ([^\r]+)", head)
            self.tag = tag[1].decode() if tag else ""
            if head.lower().find(b"application/json") >= 0:
                self.next_line = json.loads(body)["next"]
        if b"connection: close" in head.lower():
            self.close()
        return status

    def close(self):
        self.socket.close()
        self.socket = None


class Viewers(threading.Thread):
    """Each asks for the lines that came since, and less often for the page around them, as the page's script does."""

    def __init__(self, stack, count):
        super().__init__(daemon=True)
        head = f"Host: berth.example.test\r\nAuthorization: {stack.sign_in}\r\nAccept: */*\r\n"
        page = f"/apps/{WATCHED}/releases/1"
        self.port, self.on = stack.port, True
        self.polls = [Poll(f"{page}/log.json?from={{line}}&build=berth-{WATCHED}%3A{BUILD}", LOG_EVERY_S, head) for _ in range(count)]
        self.polls += [Poll(page, PAGE_EVERY_S, head) for _ in range(count)]
        self.answers, self.latencies, self.broken = {}, {"log": [], "page": []}, None

    def kind(self, poll):
        return "log" if poll.every_s == LOG_EVERY_S else "page"

    def run(self):
        try:
            self.watch()
        except (OSError, Failed, ValueError) as error:
            self.broken = error
        for poll in self.polls:
            if poll.socket:
                poll.close()

    def watch(self):
        spread = random.Random(1)
        now = time.monotonic()
        due = [(now + spread.random() * poll.every_s, number) for number, poll in enumerate(self.polls)]
        heapq.heapify(due)
        with selectors.DefaultSelector() as waiting:
            while self.on:
                for key, _ in waiting.select(max(0.0, min(due[0][0] - time.monotonic(), 0.2)) if due else 0.2):
                    self.take(waiting, due, key.data)
                while due and due[0][0] <= time.monotonic():
                    _, number = heapq.heappop(due)
                    self.polls[number].ask(self.port)
                    waiting.register(self.polls[number].socket, selectors.EVENT_READ, number)

    def take(self, waiting, due, number):
        poll = self.polls[number]
        socket_of_it = poll.socket
        status = poll.take()
        if status is None:
            return
        with contextlib.suppress(KeyError, ValueError):
            waiting.unregister(socket_of_it)
        kind = self.kind(poll)
        self.answers[kind, status] = self.answers.get((kind, status), 0) + 1
        self.latencies[kind].append(time.monotonic() - poll.asked_at)
        heapq.heappush(due, (poll.asked_at + poll.every_s, number))

    def stop(self):
        self.on = False
        self.join()
        if self.broken:
            raise Failed(f"a viewer failed: {self.broken}")


def percentile(values, part):
    return sorted(values)[int(len(values) * part)]


class Leg:
    """Pushes for some seconds, alone or beside viewers; how long each took, and what CPU time the machine's parts took meanwhile."""

    def __init__(self, stack, load, viewers, seconds):
        self.samples = stack.folder / f"samples-{time.monotonic_ns()}"
        pids = {"lighttpd": stack.pid("lighttpd"), "responder of pages": stack.pid("admin"), "responder of pushes": stack.pid("hooks"), "postgres": stack.pid("postgres")}
        watching = Viewers(stack, viewers) if viewers else None
        if watching:
            watching.start()
            time.sleep(1.2 * PAGE_EVERY_S)  # until all have page and log as they are
        before = {label: cpu_ns(pid, label == "postgres") for label, pid in pids.items()}
        polled = sum(watching.answers.values()) if watching else 0
        started = time.monotonic()
        self.result = load.send(CONNECTIONS, {}, seconds=seconds, rate=RATE, samples=self.samples)
        self.seconds = time.monotonic() - started
        self.polls = sum(watching.answers.values()) - polled if watching else 0
        self.cpu = {label: (cpu_ns(pid, label == "postgres") - before[label]) / 1e9 / self.seconds for label, pid in pids.items()}
        self.answers, self.latencies = {}, {"log": [], "page": []}
        if watching:
            watching.stop()
            self.answers, self.latencies = watching.answers, watching.latencies
        self.ms = [float(text) for text in self.samples.read_text(encoding="ascii").split()]

    @property
    def p99(self):
        return percentile(self.ms, 0.99)


def pooled(legs, part):
    return percentile([ms for leg in legs for ms in leg.ms], part)


def print_latencies(alone, beside, viewers):
    rows = [[name, f"{statistics.mean(leg.result['per_second'] for leg in legs):.0f}", *(f"{pooled(legs, part):.2f}" for part in (0.5, 0.9, 0.99)),
             f"{max(ms for leg in legs for ms in leg.ms):.0f}"] for name, legs in (("no viewer", alone), (f"{viewers} viewers", beside))]
    table(["pushes beside", "pushes/s", "p50 ms", "p90 ms", "p99 ms", "most"], rows)
    ratio = pooled(beside, 0.99) / pooled(alone, 0.99)
    pairs = [b.p99 / a.p99 for a, b in zip(alone, beside)]
    verdict = f"within {AIM}×" if ratio <= AIM else f"MISSED: {AIM}×"
    note(f"p99 with viewers / p99 without: {ratio:.2f}× over all pushes; aim: {AIM}×: {verdict}. By pairs: median {statistics.median(pairs):.2f}×, "
         f"{min(pairs):.2f}× to {max(pairs):.2f}×")


def print_cost(alone, beside, viewers, asked):
    polls = sum(leg.polls for leg in beside)
    seconds = sum(leg.seconds for leg in beside)
    rows = []
    for label in beside[0].cpu:
        without, with_them = (statistics.mean(leg.cpu[label] for leg in legs) for legs in (alone, beside))
        rows.append([label, f"{without * 100:.1f}%", f"{with_them * 100:.1f}%", f"{(with_them - without) / (polls / seconds) * 1e6:.0f}"])
    note("Where the time goes: share of one core, and what one poll adds")
    table(["", "no viewer", f"{viewers} viewers", "CPU µs a poll"], rows)
    answers = {}
    for leg in beside:
        for key, count in leg.answers.items():
            answers[key] = answers.get(key, 0) + count
    for kind, what in (("log", "the lines that came since"), ("page", "the page around them")):
        times = [seconds * 1000 for leg in beside for seconds in leg.latencies[kind]]
        counts = ", ".join(f"{count} times {status}" for (of, status), count in sorted(answers.items()) if of == kind)
        note(f"{what}: {counts}; p50 {percentile(times, 0.5):.1f} ms, p99 {percentile(times, 0.99):.1f} ms")
    note(f"{polls / seconds:.0f} polls a second made {asked / sum(leg.seconds + 1.2 * PAGE_EVERY_S for leg in beside):.1f} calls of GetLogEvents a second")
    unexpected = {key: count for key, count in answers.items() if key[1] not in (200, 304)}
    if unexpected:
        note(f"NOT AS MEANT: answers to viewers: {unexpected}")


def measure(stack, quick):
    pairs, seconds, viewers = (1, 3, 20) if quick else (8, 8, VIEWERS)
    section("viewers", f"{RATE} pushes a second, without and with {viewers} viewers of one build's log, {pairs} pairs of {seconds} s each in turns; each viewer asks "
            f"for new lines every {LOG_EVERY_S:.0f} s and for the page every {PAGE_EVERY_S:.0f} s, with the version that it has")
    load, _ = pushes.prepare(stack)
    logs = Logs({f"build/{BUILD}": Stream()})
    stack.sql(MAKE_BUILD)
    stack.restart_admin(AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=logs.url)
    load.send(8, {}, seconds=1)  # warm: every app's secret and every statement is known afterwards
    Leg(stack, load, viewers, 1)
    alone, beside = [], []
    before = logs.asked
    for number in range(pairs):
        for count in ((0, viewers), (viewers, 0))[number % 2]:
            leg = Leg(stack, load, count, seconds)
            pushes.expect(leg.result, 202)
            (beside if count else alone).append(leg)
    print_latencies(alone, beside, viewers)
    print_cost(alone, beside, viewers, logs.asked - before)
    logs.stop()
    pushes.check(stack)
