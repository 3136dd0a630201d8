"""How many pushes are taken in, and how many forged ones are turned away; beside each the limits of the database and of the transport."""

from parts import Load, Failed, make_body, pgbench, start_bare
from report import note, section, table

APPS = 64
BODY = 8000
PGBENCH_LEAST_S = 3  # it connects within that time, too

BARE_INSERT = "INSERT INTO bench.pushes (body) VALUES (convert_to(:body, 'UTF8'));"
# The very function that a responder calls, without a responder; each client has an app of its own.
INTAKE = """\\set app :client_id % {apps} + 1
SELECT outcome FROM berth.take_delivery('bench-' || :app, gen_random_uuid()::text, 'push', NULL, sha256(gen_random_uuid()::text::bytea),
 convert_to(:body, 'UTF8'), 'acme/bench', 1001, 'main', md5(gen_random_uuid()::text) || '00000000', 'A change', 'acme', 'new', NULL);"""


def prepare(stack):
    stack.stop_worker()  # it would take the releases on, beside what is measured
    stack.sql("CREATE SCHEMA bench; CREATE TABLE bench.pushes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL)")
    stack.sql("DO $$ BEGIN ALTER TABLE bench.pushes ALTER COLUMN body SET COMPRESSION lz4; EXCEPTION WHEN OTHERS THEN NULL; END $$")
    stack.sql("UPDATE berth.default_limits SET releases_per_hour = 100000, pushes_burst = 100000, pushes_per_hour = 1000000")  # judged, and not refused
    body = make_body(stack.folder, BODY)
    apps = [(f"bench-{number}", stack.make_app(f"bench-{number}", "acme/bench")) for number in range(1, APPS + 1)]
    return Load(stack, body, apps), body.read_text(encoding="utf-8")


def expect(result, status):
    others = {code: count for code, count in result["statuses"].items() if code != str(status)}
    if others:
        note(f"NOT AS MEANT: of {result['requests']} answers, by status: {result['statuses']}; only {status} was expected")


def share(part, whole):
    return f"{part / whole * 100:.0f}%"


def cpu_rows(results):
    labels = list(dict.fromkeys(label for _, result in results for label in result["cpu_us"]))
    rows = [[name, *(f"{result['cpu_us'].get(label, 0):.0f}" if label in result["cpu_us"] else "" for label in labels),
             f"{result['idle_share'] * 100:.0f}%"] for name, result in results]
    note("Where the time goes: CPU µs per request, by process; and how much of the machine was idle")
    table(["", *labels, "idle"], rows)


def measure_pushes(stack, load, body, seconds):
    section("pushes", f"accepted pushes: each a signed delivery of {len(body)} bytes with an id and a commit of its own, to {APPS} apps in turn; "
            "202 when it is committed")
    note(f"Postgres: fsync={stack.sql('SHOW fsync')}, synchronous_commit={stack.sql('SHOW synchronous_commit')}, "
         f"wal_sync_method={stack.sql('SHOW wal_sync_method')}, shared_buffers={stack.sql('SHOW shared_buffers')}")
    ours = {"lighttpd": stack.pid("lighttpd"), "responder": stack.pid("hooks"), "postgres": stack.pid("postgres")}
    bare = start_bare(stack)
    theirs = {"lighttpd": bare["lighttpd"], "responder": bare["bare"]}
    load.send(8, ours, seconds=min(2, seconds))  # warm: every app's secret and every statement is known afterwards
    rows, cpu = [], []
    for connections in (1, 32, 64):
        ceiling = load.send(connections, theirs, port=bare["port"], seconds=seconds / 2)
        stack.sql("CHECKPOINT")
        insert = pgbench(stack, BARE_INSERT, connections, max(seconds, PGBENCH_LEAST_S), "BERTH_DATABASE_SUPERUSER", body)
        stack.sql("CHECKPOINT")
        function = pgbench(stack, INTAKE.format(apps=APPS), connections, max(seconds, PGBENCH_LEAST_S), "BERTH_DATABASE_HOOKS", body)
        stack.sql("CHECKPOINT")
        push = load.send(connections, ours, seconds=seconds)
        expect(push, 202)
        rows.append([connections, f"{push['per_second']:.0f}", f"{push['p50_ms']:.2f}", f"{push['p99_ms']:.2f}",
                     f"{insert:.0f}", share(push["per_second"], insert), f"{function:.0f}", share(push["per_second"], function),
                     f"{ceiling['per_second']:.0f}", share(push["per_second"], ceiling["per_second"])])
        cpu += [(f"berth, {connections}", push), (f"bare, {connections}", ceiling)]
    stack.sql("CHECKPOINT")
    one = load.send(32, ours, seconds=seconds, one_app=True)
    expect(one, 202)
    rows.append(["32, one app", f"{one['per_second']:.0f}", f"{one['p50_ms']:.2f}", f"{one['p99_ms']:.2f}", *[""] * 6])
    table(["connections", "pushes/s", "p50 ms", "p99 ms", "bare INSERT/s", "of it", "berth.take_delivery/s", "of it", "bare responder/s", "of it"], rows)
    note("bare INSERT/s: pgbench, the same body into one table, as many clients on the same Postgres: the database's limit")
    note("berth.take_delivery/s: pgbench calling the function that a responder calls: dedupe, rate limit, quotas, release, event, delivery; the database's limit of that")
    note("bare responder/s: libfcgi behind the same lighttpd, reads and hashes the same body, stores nothing: the transport's limit, and the client's")
    note("one app: its pushes wait for each other's commit, as a release's number follows the one before")
    cpu_rows(cpu)


def measure_signatures(stack, load, seconds):
    section("signatures", "forged deliveries turned away (401): the same body, a wrong signature")
    ours = {"lighttpd": stack.pid("lighttpd"), "responder": stack.pid("hooks"), "postgres": stack.pid("postgres")}
    bare = start_bare(stack)
    theirs = {"lighttpd": bare["lighttpd"], "responder": bare["bare"]}
    load.send(8, ours, seconds=min(1, seconds), forge=True)  # asks for the secrets again, as it may now and then
    rows, cpu = [], []
    for connections in (1, 32, 64):
        peer = load.send(connections, theirs, port=bare["port"], seconds=seconds, forge=True)
        before = len(stack.calls())
        forged = load.send(connections, ours, seconds=seconds, forge=True)
        expect(forged, 401)
        rows.append([connections, f"{forged['per_second']:.0f}", f"{forged['p50_ms']:.2f}", f"{forged['p99_ms']:.2f}",
                     f"{peer['per_second']:.0f}", f"{peer['p99_ms']:.2f}", share(forged["per_second"], peer["per_second"]),
                     len(stack.calls()) - before])
        cpu += [(f"berth, {connections}", forged), (f"bare, {connections}", peer)]
    table(["connections", "refused/s", "p50 ms", "p99 ms", "bare responder/s", "its p99", "of it", "AWS calls"], rows)
    note(f"AWS calls: what {APPS} apps' worth of forgeries made berth ask Secrets Manager; bounded by time, not by their number")
    cpu_rows(cpu)


def check(stack):
    """Nothing that was accepted may be missing."""
    lost = stack.sql("SELECT (SELECT count(*) FROM berth.deliveries WHERE outcome = 'accepted') - (SELECT count(*) FROM berth.releases WHERE app_name LIKE 'bench-%')")
    if lost != "0":
        raise Failed(f"accepted deliveries and releases differ by {lost}")
