"""Apps in every state, written straight into the database, as a platform looks after some months."""

import hashlib
import uuid

STEPS = ["source", "identity", "build", "route", "rollout", "live"]
ARN = "arn:aws:ecs:eu-central-1:123456789012"

# name: (states of its releases, oldest first; step of the newest; seconds since it ended or began; who; its title; what is live: "newest", number, None)
APPS = {
    "parcel-tracker": ("LLLLLLRLLF", "build", 540, "teo", "Print a barcode under the label", 9),
    "mail-relay": ("LLFLLFSLLF", "rollout", 2100, "ines", "Retry greylisted hosts for an hour", 9),
    "thumbnailer": ("LLLLLSLLLL", "live", 7200, "jun", "Cap the canvas at 40 megapixels", 10),
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
    "old-blog": ("LLL", "live", 9000000, "mara", "Say goodbye", 3),
}
# What releases before the newest were about, and who pushed them.
EARLIER = ["Round per line, not per invoice", "Read the configuration at start", "Add /healthz", "Keep fonts in the image", "Undo the queue change",
           "Move sending to a queue", "Name the customer in the subject", "Show the depot on the label", "Log one line a request", "Use the slim base image",
           "Preload the first picture", "Answer HEAD as GET", "Set a deadline for each call"]
PEOPLE = ["teo", "ines", "jun", "mara", "abe"]
# CPU units and MiB of a task, tasks; None: as a new app has them. Then the app's own limits.
SIZES = {
    "parcel-tracker": (512, 1024, 1, {"cpu_units": 1024, "memory_mib": 2048, "tasks": 2}),
    "mail-relay": (256, 512, 1, {"cpu_units": 1024, "memory_mib": 2048}),
    "thumbnailer": (1024, 1792, 4, {"cpu_units": 4096, "memory_mib": 8192, "tasks": 8}),
    "invoice-api": (512, 1024, 2, {"cpu_units": 3072, "memory_mib": 6144, "tasks": 6, "build_minutes": 300, "pushes_burst": 10, "pushes_per_hour": 60}),
    "search-index": (1024, 2048, 2, {"cpu_units": 4096, "memory_mib": 8192}),
    "auth-gateway": (512, 1024, 2, {"cpu_units": 2048, "memory_mib": 4096}),
    "store-front": (512, 1024, 2, {"cpu_units": 2048, "memory_mib": 4096}),
}
IN_STATE = {"webhooks-demo": "paused", "old-blog": "deleting"}
STATES = {"L": "live", "R": "live", "F": "failed", "S": "superseded", "M": "running", "Q": "queued"}


# Why a release failed there, and what to do.
WHY = {
    "source": ("There is no Dockerfile at the top of the repository.", "Add a Dockerfile and push."),
    "build": ("The build stopped: package-lock.json lacks bwip-js@4.5.1, which package.json asks for.",
              "Run `npm install` in your checkout, commit package-lock.json and push."),
    "rollout": ("The rollout was put back: 3 new tasks ended with exit code 1, \"RELAY_HOST is not set\".",
                "Give RELAY_HOST a default in the image, or in the Dockerfile's ENV, and push."),
}
# Seconds after its beginning at which a step of a release is done, and what it then says.
HEADWAY = {
    "source": (2.1, "Stored 4.1 MiB of source at {sha}."),
    "identity": (2.5, None),
    "build": (41.8, "Image {digest} built."),
    "route": (42.2, "Rule 37 of the load balancer sends {app}.apps.example.test to the app."),
    "rollout": (60.4, "Rolling out 2 tasks."),
    "live": (60.9, None),
}
RESOURCES = {
    "service": ARN + ":service/berth/berth-{app}",
    "target_group": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/berth-{app}-1/6d0ecf831eec9f09",
    "listener_rule": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener-rule/app/berth-1/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee",
    "build_project": "arn:aws:codebuild:eu-central-1:123456789012:project/berth-{app}",
    "repository": "arn:aws:ecr:eu-central-1:123456789012:repository/berth/{app}",
    "log_group": "arn:aws:logs:eu-central-1:123456789012:log-group:/berth/{app}",
    "task_role": "arn:aws:iam::123456789012:role/berth/berth-{app}-task",
    "execution_role": "arn:aws:iam::123456789012:role/berth/berth-{app}-execution",
    "build_role": "arn:aws:iam::123456789012:role/berth/berth-{app}-build",
}


def literal(text):
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def sha_of(app, number):
    return hashlib.sha1(f"{app} {number}".encode()).hexdigest()


def digest_of(app, number):
    return "sha256:" + hashlib.sha256(f"{app} {number}".encode()).hexdigest()


def build_of(app, number):
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{app} {number}"))


def size_of(app):
    return SIZES.get(app, (256, 512, 1, {}))


def told_of(app, number, newest, title, by):
    """The title and who pushed it: the row's own for the newest."""
    at = int(sha_of(app, number)[:6], 16)
    return (title, by) if newest or title is None else (EARLIER[at % len(EARLIER)], PEOPLE[at % len(PEOPLE)])


def release_sql(app, number, letter, step, age, by, title, newest):
    state = STATES[letter]
    title, by = told_of(app, number, newest, title, by)
    cpu, memory, tasks, _ = size_of(app)
    took = 62 + number * 7 % 60
    begun = f"now() - interval '{age + took} seconds'" if state not in ("running", "queued") else f"now() - interval '{age} seconds'"
    ended = f"now() - interval '{age} seconds'" if state not in ("running", "queued") else "NULL"
    step = "live" if state == "live" else step
    error = hint = None
    if state == "failed":
        step = step if newest else "build"
        error, hint = WHY.get(step, WHY["build"])
    sql = [f"""INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, commit_title, pushed_by, source_version, build_id,
        image_digest, image_bytes, task_definition_arn, cpu_units, memory_mib, tasks, error, hint, created_at, finished_at) VALUES ({literal(app)}, {number},
        '{"rollback" if letter == "R" else "push"}', '{state}', '{step}', '{sha_of(app, number)}', {literal(title)}, {literal(by)}, '3sL4kqtJ',
        'berth-{app}:{build_of(app, number)}', {literal(digest_of(app, number) if state == "live" else None)},
        {83_000_000 + number * 900_000 if state == "live" else "NULL"}, {literal(f"{ARN}:task-definition/berth-{app}:{number}" if state == "live" else None)},
        {cpu}, {memory}, {tasks}, {literal(error)}, {literal(hint)},
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
    for name in STEPS[:reached]:
        at, message = HEADWAY[name]
        if message:
            sql.append(event(name, "info", message.format(app=app, number=number, sha=sha_of(app, number)[:7], digest=digest_of(app, number)), at - 0.3))
        sql.append(event(name, "done", f"Step {name} is done.", at))
    if state == "failed":
        if step == "build":
            sql.append(event(step, "info", f"Build berth-{app}:{build_of(app, number)} started.", 3))
        sql.append(event(step, "failed", error, 61))
    return sql


def app_sql(app, row):
    states, step, age, by, title, live = row
    cpu, memory, tasks, limits = size_of(app)
    sql = [f"INSERT INTO berth.apps (app_name, repository, webhook_policy, state, last_release, health_check_path, cpu_units, memory_mib, tasks, created_at) VALUES "
           f"('{app}', 'quayside/{app}', 'github', '{IN_STATE.get(app, 'active')}', {len(states)}, '/healthz', {cpu}, {memory}, {tasks}, "
           "now() - interval '200 days');"]
    sql += limits_sql(app, limits)
    since = age
    for number, letter in enumerate(states, 1):
        newest = number == len(states)
        ended = age + (len(states) - number) * 40000
        since = ended if number == live else since
        sql += release_sql(app, number, letter, step, ended, by, title, newest)
    if live:
        sql.append(f"INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host, live_since) VALUES "
                   f"('{app}', {live}, '{sha_of(app, live)}', '{digest_of(app, live)}', '{ARN}:task-definition/berth-{app}:{live}', "
                   f"'{app}.apps.example.test', now() - interval '{since} seconds');")
    for kind, arn in RESOURCES.items() if live else ():
        name = arn.format(app=app).rsplit("/", 1)[-1] if kind.endswith("role") else f"berth-{app}"
        sql.append(f"INSERT INTO berth.resources (app_name, kind, name, arn, spec_hash) VALUES ('{app}', '{kind}', '{name}', '{arn.format(app=app)}', 'x');")
    return sql


def limits_sql(app, limits):
    """The app's own limits, and what it has used of those that count over time."""
    quotas = {name: value for name, value in limits.items() if not name.startswith("pushes")}
    sql = [f"INSERT INTO berth.quotas (app_name, {', '.join(quotas)}) VALUES ('{app}', {', '.join(map(str, quotas.values()))});"] if quotas else []
    if "pushes_burst" in limits:
        sql.append(f"INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour, spent) VALUES ('{app}', {limits['pushes_burst']}, {limits['pushes_per_hour']}, 7);")
    return sql


def builds_sql():
    """249 build minutes of this month's 300."""
    return ["INSERT INTO berth.builds (app_name, build_id, release, started_at, ended_at) SELECT 'invoice-api', 'berth-invoice-api:' || n, 1, "
            "date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + n * interval '1 second', "
            "date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + n * interval '1 second' + interval '82 minutes 30 seconds' FROM generate_series(1, 3) n;"]


# app, outcome, reason, release, title, who; newest first
DELIVERIES = [
    ("docs", "accepted", "a push to main", 10, "Explain path filters", "mara"),
    ("parcel-tracker", "accepted", "a push to main", 10, "Print a barcode under the label", "teo"),
    ("invoice-api", "ignored", "a push to wip/pdf; the app is built from main", None, "Try another font", "jun"),
    ("invoice-api", "accepted", "a push to main", 10, "Send credit notes as PDF", "mara"),
    ("search-index", "duplicate", "v9 is of this commit", 9, "Index titles, then tags", "jun"),
    ("thumbnailer", "over_quota", "CPU units: 4,096 of 4,096 in use, a rollout needs 4,096 more", None, "Raise workers to 8", "jun"),
    ("pricing", "limited", "pushes come faster than 60 an hour with 10 at once", None, "Widen the chart", "mara"),
    ("mail-relay", "accepted", "a push to main", 10, "Retry greylisted hosts for an hour", "ines"),
    ("store-front", "ignored", "it touches none of the paths src/** Dockerfile", None, "Correct the README", "teo"),
    ("auth-gateway", "accepted", "a push to main", 12, "Expire idle sessions after a day", "abe"),
    ("webhooks-demo", "paused", "the app is paused", None, "Log the header too", "ines"),
]
LISTENER = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/berth-1/50dc6c495c0c9188/f2f7dc8efc522ab2"
OTHER_LISTENER = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/berth-2/7a31cd2098f1b6e4/0b5f6c1d8a2e9c37"
# Actor, action, app, before, after, minutes ago; oldest first.
AUDIT = [
    ("mara", "app.create", "pricing", None, '{"branch": "main", "cpu_units": 256, "memory_mib": 512, "repository": "quayside/pricing"}', 288000),
    ("ines", "limits.set", "invoice-api", '{"cpu_units": 2048, "tasks": 4}', '{"cpu_units": 3072, "tasks": 6}', 9000),
    ("ines", "app.pause", "webhooks-demo", None, None, 4300),
    ("abe", "limits.set", None, '{"build_minutes": 600}', '{"build_minutes": 1000}', 2900),
    ("ops", "app.secret", "docs", None, None, 1500),
    ("ines", "app.update", "pricing", '{"cpu_units": 256, "branch": "main"}', '{"cpu_units": 512, "branch": "main"}', 190),
    ("teo", "app.rollback", "mail-relay", None, '{"release": 11, "rollback_to": 9}', 31),
]


def delivery_id(number):
    return f"{hashlib.sha1(str(number).encode()).hexdigest()[:8]}-cc78-11e3-81ab-{number:012}"


def delivery_sql(number, row):
    app, outcome, reason, release, title, by = row
    sha = sha_of(app, release or 100 + number)
    body = f'{{"ref": "refs/heads/main", "after": "{sha}", "commits": [{{"message": "{title}"}}], "pusher": {{"name": "{by}"}}}}'
    return f"""INSERT INTO berth.deliveries (app_name, delivery_id, event, outcome, reason, release, body_sha256, body, branch, commit_sha, commit_title, pushed_by, received_at)
        VALUES ('{app}', '{delivery_id(number)}', 'push', '{outcome}', {literal(reason)}, {release or 'NULL'}, sha256('{number}'), {literal(body)},
        '{"wip/pdf" if "wip/pdf" in reason else "main"}', '{sha}', {literal(title)}, {literal(by)}, now() - interval '{number * number * 2} minutes');"""


def lists_sql():
    """What the pages that list things show: deliveries, slots of listeners, the audit log."""
    sql = [delivery_sql(number, row) for number, row in enumerate(DELIVERIES, 1)]
    sql += [f"INSERT INTO berth.audit_log (actor, action, app_name, before, after, at) VALUES ({', '.join(literal(text) for text in row)}, now() - interval '{ago} minutes');"
            for *row, ago in AUDIT]
    sql.append("INSERT INTO berth.teardowns (app_name, state, step, error, hint, started_by, started_at, finished_at) VALUES ('old-blog', 'failed', 'service', "
               "'AWS refused to delete the service berth-old-blog: access denied.', 'Give the worker the second of its policies, then `berth destroy old-blog`.', 'mara', "
               "now() - interval '3 hours', now() - interval '170 minutes');")
    sql.append("INSERT INTO berth.looks (app_name, reason, owed_at, run_after) VALUES ('thumbnailer', 'over_quota', now() - interval '72 minutes', 'infinity');")
    sql.append(f"INSERT INTO berth.listener_slots (listener_arn, priority, app_name, taken_at) SELECT CASE WHEN app_name > 's' THEN '{OTHER_LISTENER}' ELSE '{LISTENER}' END, "
               "row_number() OVER (ORDER BY app_name), app_name, created_at FROM berth.apps WHERE last_release > 0;")
    sql.append(f"INSERT INTO berth.listener_slots (listener_arn, priority, taken_at) SELECT '{LISTENER}', i, now() - interval '210 days' FROM generate_series(19, 79) i;")
    return sql


def seed(postgres):
    """In a few pieces: what is told to a program has at most 128 KiB."""
    piece, size = [], 0
    for line in [line for app, row in APPS.items() for line in app_sql(app, row)] + builds_sql() + lists_sql():
        if size + len(line) > 100_000:
            postgres.sql("BEGIN; " + " ".join(piece) + " COMMIT;")
            piece, size = [], 0
        piece.append(line)
        size += len(line) + 1
    postgres.sql("BEGIN; " + " ".join(piece) + " COMMIT;")


BASE = [
    "[Container] Waiting for agent ping", "[Container] Phase is DOWNLOAD_SOURCE", "[Container] Entering phase PRE_BUILD", "Login Succeeded",
    "[Container] Phase complete: PRE_BUILD State: SUCCEEDED", "[Container] Entering phase BUILD", "[Container] Running command docker build --tag \"$IMAGE\" .",
    "#1 [internal] load build definition from Dockerfile", "#1 DONE 0.0s", "#4 [base 1/2] FROM public.ecr.aws/docker/library/node:22-slim", "#4 CACHED",
    "#5 [base 2/2] RUN apt-get install --yes fonts-dejavu-core",
] + [f"#5 {n / 10 + 1:.1f} Unpacking package {n} of 184" for n in range(1, 185)] + ["#5 DONE 21.3s", "#6 [deps 1/3] COPY package.json package-lock.json ./", "#6 DONE 0.1s", "#7 [deps 2/3] RUN npm ci"]
FAILED_LOG = BASE + [
    "#7 4.713 npm error code EUSAGE", "#7 4.714 npm error", "#7 4.714 npm error `npm ci` can only install packages when your package.json and package-lock.json are in sync.",
    "#7 4.714 npm error Please update your lock file with `npm install` before continuing.", "#7 4.714 npm error", "#7 4.714 npm error Missing: bwip-js@4.5.1 from lock file",
    "#7 4.714 npm error", "#7 4.715 npm error Clean install a project", "#7 ERROR: process \"/bin/sh -c npm ci\" did not complete successfully: exit code: 1",
    "[Container] Command did not exit successfully: docker build, exit status 1", "[Container] Phase complete: BUILD State: FAILED", "[Container] Entering phase POST_BUILD",
    "Nothing to push", "[Container] Phase complete: POST_BUILD State: SUCCEEDED",
]
LOGS = {("parcel-tracker", 10): FAILED_LOG, ("search-index", 10): BASE, ("mail-relay", 10): BASE * 4 + ["[Container] Phase complete: BUILD State: SUCCEEDED"]}


def write_logs(client, at_ms):
    """The builds' logs, into CloudWatch Logs."""
    for (app, number), lines in LOGS.items():
        group, stream = f"/berth/{app}", f"build/{build_of(app, number)}"
        client.create_log_group(logGroupName=group)
        client.create_log_stream(logGroupName=group, logStreamName=stream)
        client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[{"timestamp": at_ms, "message": line} for line in lines])


def pages():
    """A page of each kind, in the states that look different."""
    return ["/", "/?only=failed", "/apps/parcel-tracker", "/apps/invoice-api", "/apps/pricing", "/apps/chat-bridge", "/apps/webhooks-demo",
            "/apps/parcel-tracker/releases/10", "/apps/invoice-api/releases/10", "/apps/docs/releases/10", "/apps/pricing/releases/10", "/apps/nobody", "/load-balancers", "/doctor",
            "/limits", "/apps/parcel-tracker/limits", "/deliveries", "/deliveries?q=nothing-like-it", f"/apps/parcel-tracker/deliveries/{delivery_id(2)}", "/audit"]


