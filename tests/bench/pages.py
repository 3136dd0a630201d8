"""What each page costs on a large installation: time and CPU of the server, and its size; beside the aims, and beside what costs nothing of the database."""

import html
import json
import re
import statistics

from logs import Logs, Stream
from parts import TOP, Failed, cpu_ns, start_bare
from report import note, section, table
from web import Browser, ask_responder

SIZE = {"apps": 2000, "releases": 200_000, "deliveries": 200_000, "audits": 50_000}
QUICK_SIZE = {"apps": 200, "releases": 4000, "deliveries": 4000, "audits": 2000}
AIM_MS, AIM_KB = 10, 60
WARM, BATCH, ROUNDS = 10, 10, 10
BUSIEST, HARD = "api-1", "billing-3"  # of large.sql: a tenth of all releases; a release with a long timeline

LOG_LINES = 5000

# Not pages that are looked at: a table of up to 10,000 rows to be kept, and what a script reads. Measured, and held to no size.
DATA = {"/audit.csv", "/apps/{app}/releases/{release}/log.json"}


def push_body(commits):
    """A push as GitHub sends it, as far as its size and its shape go."""
    who = {"name": "Mara Jensen", "email": "mara@example.test", "username": "mara"}
    made = [{"id": f"{number:040x}", "tree_id": f"{number + 7:040x}", "distinct": True, "message": f"Write chapter {number}, and what it needs",
             "timestamp": "2026-11-23T10:00:00+01:00", "url": f"https://github.com/acme/shop/commit/{number:040x}", "author": who, "committer": who,
             "added": [f"book/chapter-{number:02}.md"], "removed": [], "modified": ["book/index.md", "package.json"]} for number in range(commits)]
    return json.dumps({"ref": "refs/heads/main", "before": "1" * 40, "after": "2" * 40, "repository": {"id": 1001, "full_name": "acme/shop"},
                       "pusher": who, "commits": made, "head_commit": made[-1]}).encode()


# ---- Which pages ----

class Places:
    """Addresses on the pages that were made for this database."""

    def __init__(self, stack, size):
        self.stack, self.size = stack, size

    def of(self, state):
        """/apps/…/releases/… of the last release of an app in that state."""
        app, number = self.stack.sql("SELECT r.app_name, r.number FROM berth.releases r JOIN berth.apps a ON a.app_name = r.app_name AND a.last_release = r.number "
                                     f"WHERE r.state = '{state}' AND a.state = 'active' AND a.app_name NOT IN ('{BUSIEST}', '{HARD}') LIMIT 1").split("|")
        return f"/apps/{app}/releases/{number}"

    def app_of(self, state):
        return self.of(state).split("/releases/", maxsplit=1)[0]

    def build_of(self, release):
        """The name of the stream of its build's log."""
        app, number = release.removeprefix("/apps/").split("/releases/")
        return "build/" + self.stack.sql(f"SELECT split_part(build_id, ':', 2) FROM berth.releases WHERE app_name = '{app}' AND number = {number}")

    def delivery(self, where):
        app, name = self.stack.sql(f"SELECT app_name, delivery_id FROM berth.deliveries WHERE {where} ORDER BY received_at DESC LIMIT 1").split("|")
        return f"/apps/{app}/deliveries/{name}"

    def deliveries_after(self, share, app=None):
        """The place in the list of deliveries where that share of them has been shown."""
        of = f"WHERE app_name = '{app}'" if app else ""
        return self.stack.sql(f"SELECT (extract(epoch FROM received_at) * 1000000)::bigint || '.' || app_name || '.' || delivery_id FROM berth.deliveries {of} "
                              f"ORDER BY received_at DESC, app_name DESC, delivery_id DESC OFFSET (SELECT (count(*) * {share})::int FROM berth.deliveries {of}) LIMIT 1")

    def follow(self, path, turns):
        """The address that so many turns of "older", "next" or the like lead to, or the last one that leads on."""
        for _ in range(turns):
            page = ask_responder(self.stack.admin_socket, path).body.decode()
            links = [html.unescape(link) for link in re.findall(r'href="([^"]*[?&](?:after|before|from)=[^"]*)"', page)]
            if not links:
                break
            path = links[-1]
        return path


def cases(places):
    """(name, route, path) of every page, as it is and at its worst; with True when it is asked for by a browser that has this version of it."""
    size = places.size
    live, failed = places.of("live"), places.of("failed")
    middle = size["releases"] // 20
    return [
        ("overview", "/", "/"),
        ("overview, polled and as before", "/", "/", True),
        ("overview, 40 pages on", "/", places.follow("/", 40)),
        ("overview, failed only", "/", "/?only=failed"),
        ("overview, search that finds many", "/", "/?q=acme"),
        ("overview, search that finds none", "/", "/?q=nothing-has-this"),
        ("app, the busiest", "/apps/{app}", f"/apps/{BUSIEST}"),
        ("app, the busiest, polled and as before", "/apps/{app}", f"/apps/{BUSIEST}", True),
        ("app, the busiest, in the middle", "/apps/{app}", f"/apps/{BUSIEST}?before={middle}"),
        ("app, a release under way", "/apps/{app}", places.app_of("running")),
        ("app, its last release failed", "/apps/{app}", places.app_of("failed")),
        ("release, live", "/apps/{app}/releases/{release}", live),
        ("release, failed", "/apps/{app}/releases/{release}", failed),
        ("release, polled and as before", "/apps/{app}/releases/{release}", failed, True),
        ("release, timeline of 125 lines", "/apps/{app}/releases/{release}",
         f"/apps/{HARD}/releases/" + places.stack.sql(f"SELECT last_release FROM berth.apps WHERE app_name = '{HARD}'")),
        ("log, its beginning", "/apps/{app}/releases/{release}/log", f"{failed}/log"),
        ("log, in the middle", "/apps/{app}/releases/{release}/log", f"{failed}/log?from={LOG_LINES // 2}"),
        ("log, 1,000 lines at once as JSON", "/apps/{app}/releases/{release}/log.json", f"{failed}/log.json?from={LOG_LINES // 2}"),
        ("log, polled and nothing new", "/apps/{app}/releases/{release}/log.json", f"{failed}/log.json?from={LOG_LINES + 1}", True),
        ("deliveries", "/deliveries", "/deliveries"),
        ("deliveries, in the middle", "/deliveries", f"/deliveries?after={places.deliveries_after(0.5)}"),
        ("deliveries of the busiest app", "/deliveries", f"/deliveries?app={BUSIEST}"),
        ("the same, in the middle", "/deliveries", f"/deliveries?app={BUSIEST}&after={places.deliveries_after(0.5, BUSIEST)}"),
        ("deliveries, limited only", "/deliveries", "/deliveries?only=limited"),
        ("deliveries, search that finds many", "/deliveries", "/deliveries?q=mara"),
        ("deliveries, search that finds none", "/deliveries", "/deliveries?q=nothing-has-this"),
        ("delivery, accepted", "/apps/{app}/deliveries/{delivery}", places.delivery("outcome = 'accepted'")),
        ("delivery, with a body of 35 KB", "/apps/{app}/deliveries/{delivery}", places.delivery("length(body) > 30000")),
        ("limits", "/limits", "/limits"),
        ("limits, 40 pages on", "/limits", places.follow("/limits", 40)),
        ("limits of the busiest app", "/apps/{app}/limits", f"/apps/{BUSIEST}/limits"),
        ("load balancers", "/load-balancers", "/load-balancers"),
        ("load balancers, 20 pages on", "/load-balancers", places.follow("/load-balancers", 20)),
        ("load balancers, of one app", "/load-balancers", f"/load-balancers?app={BUSIEST}"),
        ("audit log", "/audit", "/audit"),
        ("audit log, in the middle", "/audit", f"/audit?after={size['audits'] // 2}."),
        ("audit log, of one app", "/audit", f"/audit?app={BUSIEST}"),
        ("audit log, of one actor and action", "/audit", "/audit?actor=aoife&action=release.rollback"),
        ("audit log, of one day long ago", "/audit", "/audit?since=2026-03-01&until=2026-03-02&actor=mara"),
        ("audit log, that finds none", "/audit", "/audit?actor=nobody-has-this&action=limits.set"),
        ("audit log as CSV", "/audit.csv", "/audit.csv"),
        ("doctor", "/doctor", "/doctor"),
    ]


def check_complete(listed):
    """A route that is added to the table is measured too, or this says so."""
    table_of_routes = (TOP / "fcgi" / "admin_routes.c").read_text(encoding="utf-8")
    missing = set(re.findall(r'"GET",\s*"([^"]+)"', table_of_routes)) - {case[1] for case in listed}
    if missing:
        raise Failed(f"no page is measured of {', '.join(sorted(missing))}: add it to cases() in tests/bench/pages.py")


# ---- Measuring ----

class Case:
    def __init__(self, name, route, path, polled=False):
        self.name, self.route, self.path, self.status, self.headers = name, route, path, 304 if polled else 200, {}
        self.polled = polled
        self.size, self.seconds, self.through, self.cpu = 0, [], [], {"responder": [], "postgres": []}

    def prepare(self, stack):
        """The version that a browser has which polls. The hour that quotas look back to moves on, so that a busy app's page is another one soon."""
        answer = ask_responder(stack.admin_socket, self.path)
        if self.polled:
            self.headers = {"If-None-Match": answer.headers["ETag"]}

    def ask(self, stack):
        for _ in range(3):
            answer = ask_responder(stack.admin_socket, self.path, headers=self.headers)
            if answer.status == self.status:
                return answer
            self.prepare(stack)
        raise Failed(f"{self.path} answers {answer.status}")

    def batch(self, stack, pids, browser, count):
        self.prepare(stack)
        before = {label: cpu_ns(pid, label == "postgres") for label, pid in pids.items()}
        for _ in range(count):
            answer = self.ask(stack)
            self.size = max(self.size, len(answer.body))
            self.seconds.append(answer.seconds)
        for label, pid in pids.items():
            self.cpu[label].append((cpu_ns(pid, label == "postgres") - before[label]) / count)
        self.through.append(browser.ask(self.path, self.headers).seconds)

    def forget(self):
        self.seconds, self.through, self.cpu = [], [], {label: [] for label in self.cpu}

    @property
    def p50_ms(self):
        return statistics.median(self.seconds) * 1000

    @property
    def cpu_ms(self):
        return sum(statistics.median(batches) for batches in self.cpu.values()) / 1e6

    def verdict(self):
        if self.route == "/audit.csv":
            return "no page"
        over = [f"{AIM_KB} KB"] if self.size > AIM_KB * 1000 and self.route not in DATA else []
        if self.p50_ms > AIM_MS:
            over.append(f"{AIM_MS} ms" + (" (not by CPU)" if self.cpu_ms <= AIM_MS else ""))
        return "MISSED: " + ", ".join(over) if over else "yes"

    def row(self):
        ordered = sorted(self.seconds)
        return [self.name, f"{self.p50_ms:.2f}", f"{ordered[int(len(ordered) * 0.99)] * 1000:.1f}",
                *(f"{statistics.median(self.cpu[label]) / 1e6:.2f}" for label in ("responder", "postgres")), f"{self.cpu_ms:.2f}",
                f"{statistics.median(self.through) * 1000:.2f}", f"{self.size / 1000:.1f}", self.verdict()]


def median_ms(ask, count):
    return f"{statistics.median(ask() for _ in range(count)) * 1000:.2f}"


def measure_floor(stack, count):
    """What an answer costs of which nothing is a page."""
    bare = start_bare(stack, 8)
    browser, signed_in, wrong = Browser(stack.port), Browser(stack.port, stack.sign_in), Browser(stack.port)
    lighttpd = stack.pid("lighttpd")
    rows = [["a libfcgi responder that does nothing, on its socket", median_ms(lambda: ask_responder(bare["socket"], "/").seconds, count)],
            ["berth-fcgi --admin to nobody signed in: 403, no database", median_ms(lambda: ask_responder(stack.admin_socket, "/", user=None).seconds, count)],
            ["/static/berth.css by lighttpd", median_ms(lambda: browser.ask("/static/berth.css").seconds, count)],
            ["/healthz through lighttpd", median_ms(lambda: browser.ask("/healthz").seconds, count)]]
    signed_in.ask("/")
    before = cpu_ns(lighttpd)
    for _ in range(count):
        signed_in.ask("/apps/no-such-app")
    known = cpu_ns(lighttpd) - before
    before = cpu_ns(lighttpd)
    for _ in range(count):
        wrong.ask("/apps/no-such-app", sign_in="Basic b3BlcmF0b3I6d3Jvbmc=")
    rows.append(["lighttpd's CPU for a password that it must check (apr1)", f"{(cpu_ns(lighttpd) - before) / count / 1e6:.2f}"])
    rows.append(["lighttpd's CPU for one that it has checked within the minute", f"{known / count / 1e6:.2f}"])
    table(["the floor", "ms, median"], rows)


def prepare(stack, size, logs):
    stack.stop_worker()  # it would take the releases on
    stack.sql_file(TOP / "tests" / "bench" / "large.sql", **size)
    body = push_body(60)
    stack.sql(f"UPDATE berth.deliveries SET body = decode('{body.hex()}', 'hex') WHERE (app_name, delivery_id) = (SELECT app_name, delivery_id "
              f"FROM berth.deliveries WHERE app_name = '{BUSIEST}' AND outcome = 'accepted' ORDER BY received_at DESC OFFSET 3 LIMIT 1)")
    listeners = stack.sql("SELECT string_agg(DISTINCT listener_arn, ',') FROM berth.listener_slots")
    return stack.restart_admin(BERTH_PLATFORM_LISTENERS=listeners, AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=logs.url)


def measure(stack, quick):
    size = QUICK_SIZE if quick else SIZE
    rounds, batch = (2, 2) if quick else (ROUNDS, BATCH)
    section("pages", f"server time and size of every page: {size['apps']} apps, {size['releases']} releases, {size['deliveries']} deliveries, {size['audits']} audit rows")
    logs, places = Logs({}), Places(stack, size)
    pids = {"responder": prepare(stack, size, logs), "postgres": stack.pid("postgres")}
    logs.streams = {places.build_of(places.of(state)): Stream(LOG_LINES) for state in ("live", "failed")}
    listed = cases(places)
    check_complete(listed)
    measured = [Case(*case) for case in listed]
    browser = Browser(stack.port, stack.sign_in)
    for case in measured:
        case.batch(stack, pids, browser, WARM)  # after five executions Postgres may keep another plan: what is measured is what is kept
        case.forget()
    for _ in range(rounds):
        for case in measured:
            case.batch(stack, pids, browser, batch)
    table(["page", "p50 ms", "p99 ms", "CPU ms: responder", "Postgres", "both", "through lighttpd", "KB", f"≤ {AIM_MS} ms, ≤ {AIM_KB} KB"],
          [case.row() for case in measured])
    note(f"{rounds * batch} answers of each, one after the other, in rounds. p50 and p99: by FastCGI on the responder's socket, signed in. CPU: of the responder and of Postgres's")
    note("backends for one answer, which holds where other work runs too. KB: 1000 bytes, before compression. Through lighttpd: its median, password known.")
    missed = [case.name for case in measured if case.verdict().startswith("MISSED")]
    note(f"MISSED by {len(missed)}: {'; '.join(missed)}" if missed else f"Every page is within {AIM_MS} ms and {AIM_KB} KB.")
    measure_floor(stack, 20 if quick else 200)
    logs.stop()
