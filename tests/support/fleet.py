"""Apps in every state, written straight into the database, as a platform looks after some months."""

STEPS = ["source", "identity", "build", "route", "rollout", "live"]
DIGEST = "sha256:" + "0f" * 32
ARN = "arn:aws:ecs:eu-central-1:123456789012"

# name: (states of its releases, oldest first; step of the newest; seconds since it ended or began; who; its title; what is live: "newest", number, None)
APPS = {
    "parcel-tracker": ("LLLLLLRLLF", "build", 540, "teo", "Print a barcode under the label", 9),
    "mail-relay": ("LLFLLFSLLF", "rollout", 2100, "ines", "Retry greylisted hosts for an hour", 9),
    "invoice-api": ("LSRFLLLLLM", "rollout", 51, "mara", "Send credit notes as PDF", 9),
    "search-index": ("LLLLLLLSSM", "build", 34, "jun", "Index titles before bodies, and do it in pieces so small that no shard has to wait for another", 7),
    "first-of-all": ("M", "identity", 4, "jun", "Begin", None),
    "docs": ("LLLLLLLLLQ", "source", 3, "mara", "Explain path filters", 9),
    "webhooks-demo": ("LLLFLL", "live", 691200, "ines", "Log the event name", 6),
    "auth-gateway": ("LLLLLLLLLLLL", "live", 1560, "abe", "Expire idle sessions after a day", 12),
    "pricing": ("LLLLFFLLLL", "live", 3700, "teo", "Read rates at start, then hourly", 10),
    "geo-lookup": ("LLLLLLLLLL", "live", 90000, "abe", "Use the June table", 10),
    "status-page": ("LLLLLLLRL", "live", 100000, "mara", "Show the last incident first", 9),
    "nightly-report": ("LLLFLLLLL", "live", 345600, "ines", "Skip empty days", 9),
    "store-front": ("LLLLLFLLLL", "live", 3000000, None, None, 10),
    "never-worked": ("FF", "source", 8000000, "abe", "Try it", None),
    "chat-bridge": ("", "source", 0, None, None, None),
}
STATES = {"L": "live", "R": "live", "F": "failed", "S": "superseded", "M": "running", "Q": "queued"}


def literal(text):
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def release_sql(app, number, letter, step, age, by, title, newest):
    state = STATES[letter]
    begun = f"now() - interval '{age + 62} seconds'" if state not in ("running", "queued") else f"now() - interval '{age} seconds'"
    ended = f"now() - interval '{age} seconds'" if state not in ("running", "queued") else "NULL"
    step = "live" if state == "live" else step
    error = hint = None
    if state == "failed":
        error = "The build stopped: package-lock.json lacks bwip-js@4.5.1, which package.json asks for."
        hint = "Run `npm install` in your checkout, commit package-lock.json and push."
    sha = f"{number:02x}" * 20
    sql = [f"""INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, commit_title, pushed_by, source_version, build_id,
        image_digest, task_definition_arn, error, hint, created_at, finished_at) VALUES ({literal(app)}, {number},
        '{"rollback" if letter == "R" else "push"}', '{state}', '{step}', '{sha}', {literal(title)}, {literal(by)}, '3sL4kqtJ',
        'berth-{app}:8c1fa4d0-5b77-4d4b-9c3e-0d2f6a1b7c8d', {literal(DIGEST if state == "live" else None)},
        {literal(f"{ARN}:task-definition/berth-{app}:{number}" if state == "live" else None)}, {literal(error)}, {literal(hint)},
        {begun}, {ended});"""]
    if newest:
        sql += events_sql(app, number, state, step, begun, error)
    return sql


def events_sql(app, number, state, step, begun, error):
    def event(step, kind, message, after):
        return (f"INSERT INTO berth.release_events (app_name, release, step, kind, message, at) VALUES ({literal(app)}, {number}, '{step}', "
                f"'{kind}', {literal(message)}, {begun} + interval '{after} seconds');")
    sql = [event("source", "info", "Queued by a push to main.", 0)]
    reached = STEPS.index(step) + (1 if state == "live" else 0)
    for place, name in enumerate(STEPS[:reached]):
        sql.append(event(name, "info", f"Looked at what {name} needs: 8 resources match.", place * 7 + 1.2))
        sql.append(event(name, "done", f"Step {name} is done.", place * 7 + 2.4))
    if state == "failed":
        sql.append(event(step, "retry", "CodeBuild throttled StartBuild; tried again.", reached * 7 + 5))
        sql.append(event(step, "failed", error, 61))
    return sql


def app_sql(app, row):
    states, step, age, by, title, live = row
    sql = [f"INSERT INTO berth.apps (app_name, repository, webhook_policy, state, last_release, health_check_path, created_at) VALUES ('{app}', "
           f"'quayside/{app}', 'github', '{'paused' if app == 'webhooks-demo' else 'active'}', {len(states)}, '/healthz', now() - interval '200 days');"]
    for number, letter in enumerate(states, 1):
        newest = number == len(states)
        sql += release_sql(app, number, letter, step, age + (len(states) - number) * 40000, by, title, newest)
    if live:
        sql.append(f"INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host, live_since) VALUES "
                   f"('{app}', {live}, '{f'{live:02x}' * 20}', '{DIGEST}', '{ARN}:task-definition/berth-{app}:{live}', "
                   f"'{app}.apps.example.test', now() - interval '{age} seconds');")
    for kind, arn in (("service", f"{ARN}:service/berth/berth-{app}"), ("target_group", f"arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/berth-{app}-1/6d0ecf831eec9f09"),
                      ("task_role", f"arn:aws:iam::123456789012:role/berth/berth-{app}-task")) if live else ():
        sql.append(f"INSERT INTO berth.resources (app_name, kind, name, arn, spec_hash) VALUES ('{app}', '{kind}', 'berth-{app}', '{arn}', 'x');")
    return sql


# app, outcome, reason, release, title, who; newest first
DELIVERIES = [
    ("parcel-tracker", "accepted", "a push to main", 10, "Print a barcode under the label", "teo"),
    ("invoice-api", "ignored", "a push to wip/pdf; the app is built from main", None, "Try another font", "jun"),
    ("search-index", "duplicate", "v9 is of this commit", 9, "Index titles, then tags", "jun"),
    ("status-page", "over_quota", "CPU units: 4,096 of 4,096 in use, a rollout needs 4,096 more", None, "Raise workers to 8", "jun"),
    ("pricing", "limited", "pushes come faster than 60 an hour with 10 at once", None, "Widen the chart", "mara"),
    ("webhooks-demo", "paused", "the app is paused", None, "Log the header too", "ines"),
    ("docs", "accepted", "a push to main", 10, "Explain path filters", "mara"),
]
LISTENER = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/berth-1/50dc6c495c0c9188/f2f7dc8efc522ab2"
AUDIT = [
    ("mara", "app.create", "pricing", None, '{"branch": "main", "cpu_units": 256, "memory_mib": 512, "repository": "quayside/pricing"}'),
    ("ines", "app.update", "pricing", '{"cpu_units": 256, "branch": "main"}', '{"cpu_units": 512, "branch": "main"}'),
    ("teo", "app.rollback", "mail-relay", None, '{"release": 11, "rollback_to": 9}'),
    ("ops", "app.secret", "docs", None, None),
]


def lists_sql():
    """What the pages that list things show: deliveries, slots of a listener, the audit log."""
    sql = [f"""INSERT INTO berth.deliveries (app_name, delivery_id, event, outcome, reason, release, body_sha256, body, branch, commit_sha, commit_title,
        pushed_by, received_at) VALUES ('{app}', '72d3162e-cc78-11e3-81ab-{number:012}', 'push', '{outcome}', {literal(reason)}, {release or 'NULL'},
        sha256('{number}'), '{{"ref": "refs/heads/main", "commits": [{{"message": "{title}"}}]}}', 'main', '{number:02x}' || repeat('0', 38), {literal(title)},
        {literal(by)}, now() - interval '{number * 37} minutes');""" for number, (app, outcome, reason, release, title, by) in enumerate(DELIVERIES, 1)]
    sql += [f"INSERT INTO berth.audit_log (actor, action, app_name, before, after) VALUES ({', '.join(literal(text) for text in row)});" for row in AUDIT]
    sql.append(f"INSERT INTO berth.listener_slots (listener_arn, priority, app_name) SELECT '{LISTENER}', row_number() OVER (ORDER BY app_name), app_name FROM berth.apps;")
    sql.append(f"INSERT INTO berth.listener_slots (listener_arn, priority) SELECT '{LISTENER}', i FROM generate_series(19, 79) i;")
    return sql


def seed(postgres):
    postgres.sql("BEGIN; " + " ".join(line for app, row in APPS.items() for line in app_sql(app, row))
                 + " ".join(lists_sql()) + " COMMIT;")


def pages():
    """A page of each kind, in the states that look different."""
    return ["/", "/?only=failed", "/apps/parcel-tracker", "/apps/invoice-api", "/apps/pricing", "/apps/chat-bridge", "/apps/webhooks-demo",
            "/apps/parcel-tracker/releases/10", "/apps/invoice-api/releases/10", "/apps/docs/releases/10", "/apps/pricing/releases/10", "/apps/nobody", "/load-balancers", "/doctor",
            "/limits", "/apps/parcel-tracker/limits", "/deliveries", "/deliveries?q=nothing-like-it", "/apps/parcel-tracker/deliveries/72d3162e-cc78-11e3-81ab-000000000001", "/audit"]


