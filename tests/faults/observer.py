"""What must hold whatever went wrong, judged from outside: Postgres by a login that sees all, AWS by the stand-in's own state."""

import collections

KINDS = ("services", "deployments", "tasks", "task_definitions", "target_groups", "rules", "projects", "builds", "repositories", "roles", "log_groups",
         "objects", "uploads", "interfaces")
STEPS = ["source", "identity", "build", "route", "rollout", "live"]
REPAIRED = "Made anew by reconcile"
FINAL = {"live": "done", "failed": "failed", "superseded": "superseded", "cancelled": "cancelled"}


def of_app(state, app):
    return {kind: [item for item in state[kind] if item["app"] == app] for kind in KINDS}


def timeline_faults(release, events):
    """Where a release's timeline is no path of the state table (core/deploy/release_state.c)."""
    found = []
    name = f"v{release['number']} of {release['app_name']}"
    first = "route" if release["kind"] == "rollback" else "identity" if release["commit_title"] == REPAIRED else "source"
    done = [e["step"] for e in events if e["kind"] == "done"]
    # A lost answer of a COMMIT may have a line told twice; never out of order.
    once = [step for i, step in enumerate(done) if i == 0 or done[i - 1] != step]
    path = STEPS[STEPS.index(first):]
    if once != path[:len(once)]:
        found.append(f"{name} went through {done}")
    ends = [e["kind"] for e in events if e["kind"] in ("failed", "superseded", "cancelled") or (e["kind"], e["step"]) == ("done", "live")]
    if release["finished_at"] is None:
        return found + [f"{name} has not ended: {release['state']} at {release['step']}"]
    if ends != [FINAL[release["state"]]]:
        found.append(f"{name} is {release['state']}, and its timeline ends {ends}")
    if release["state"] == "live" and (once != path):
        found.append(f"{name} is live without {set(path) - set(once)}")
    if release["state"] == "failed" and not release["error"]:
        found.append(f"{name} failed and doesn't say why")
    return found


def history_faults(db, app):
    """One true end for each release; deployments only ever grow, and name a release that went live."""
    releases = db.rows(f"SELECT * FROM berth.releases WHERE app_name = '{app}' ORDER BY number")
    events = collections.defaultdict(list)
    for event in db.rows(f"SELECT * FROM berth.release_events WHERE app_name = '{app}' ORDER BY id"):
        events[event["release"]].append(event)
    found = [fault for release in releases for fault in timeline_faults(release, events[release["number"]])]
    numbers = [release["number"] for release in releases]
    if numbers != list(range(1, len(numbers) + 1)):
        found.append(f"{app} has the releases {numbers}")
    lives = [r["number"] for r in sorted((r for r in releases if r["state"] == "live"), key=lambda r: r["finished_at"])]
    deployment = db.rows(f"SELECT * FROM berth.deployments WHERE app_name = '{app}'")
    if lives != sorted(lives):
        found.append(f"{app} went live in the order {lives}")
    if [d["release"] for d in deployment] != lives[-1:]:
        found.append(f"{app} has {lives} live by its releases, and {deployment} by its deployment")
    for delivery in db.rows(f"SELECT * FROM berth.deliveries WHERE app_name = '{app}' AND outcome = 'accepted'"):
        if delivery["release"] not in numbers:
            found.append(f"delivery {delivery['delivery_id']} of {app} was accepted and has no release")
    return found


def _expect(found, app, what, is_, wanted):
    if is_ != wanted:
        found.append(f"{app}: {what}: {is_} on AWS, {wanted} by berth")


def service_faults(db, app, things):
    """The service runs what is live and nothing else, or nothing at all."""
    found = []
    live = db.rows(f"SELECT d.*, a.tasks FROM berth.deployments d JOIN berth.apps a USING (app_name) WHERE app_name = '{app}'")
    services = [s for s in things["services"] if s["status"] == "ACTIVE"]
    if len(services) > 1 or (live and not services):
        return [f"{app} has {len(services)} services"]
    for service in services:
        primary = [d for d in service["deployments"] if d["status"] == "PRIMARY"]
        _expect(found, app, "desired tasks", service["desired"], live[0]["tasks"] if live else 0)
        _expect(found, app, "running tasks", service["running"], live[0]["tasks"] if live else 0)
        if live:
            _expect(found, app, "what runs", primary[0]["task_definition"], live[0]["task_definition_arn"])
            _expect(found, app, "tasks of", {t["task_definition"] for t in things["tasks"]}, {live[0]["task_definition_arn"]})
    return found


def resource_faults(db, app, things):
    """Each thing once, and each on record."""
    found = []
    recorded = {r["kind"]: r for r in db.rows(f"SELECT * FROM berth.resources WHERE app_name = '{app}'")}
    for kind, name in (("target_groups", "target_group"), ("rules", "listener_rule"), ("projects", "build_project"), ("repositories", "repository"),
                       ("services", "service")):
        _expect(found, app, kind, [i["id"] for i in things[kind]], [recorded[name]["arn"]] if name in recorded else [])
    _expect(found, app, "roles", sorted(i["id"] for i in things["roles"]),
            sorted(recorded[k]["arn"] for k in ("task_role", "execution_role", "build_role") if k in recorded))
    slots = db.rows(f"SELECT priority FROM berth.listener_slots WHERE app_name = '{app}'")
    _expect(found, app, "listener rules", [r["priority"] for r in things["rules"]], [s["priority"] for s in slots] if things["rules"] else [])
    for kind in ("builds", "uploads"):
        _expect(found, app, f"{kind} that still run", [i["id"] for i in things[kind]], [])
    return found


def doubled_faults(db, app, things):
    """Nothing was made twice for one release."""
    found = []
    definitions = collections.Counter(d["tags"].get("berth:release") for d in things["task_definitions"])
    found += [f"{app} has {n} task definitions of v{release}" for release, n in definitions.items() if n > 1]
    objects = collections.Counter(o["key"] for o in things["objects"])
    found += [f"{app} has {n} versions of {key}" for key, n in objects.items() if n > 1]
    asked = db.rows(f"SELECT coalesce(sum(build_attempt), 0) AS attempts FROM berth.releases WHERE app_name = '{app}' AND kind <> 'rollback'")
    made = sum(p["builds_made"] for p in things["projects"])
    if made > asked[0]["attempts"]:
        found.append(f"{app} made {made} builds in {asked[0]['attempts']} attempts")
    return found


def app_faults(db, state, app):
    """Everything that is wrong with an app at rest."""
    things = of_app(state, app)
    return history_faults(db, app) + service_faults(db, app, things) + resource_faults(db, app, things) + doubled_faults(db, app, things)


def gone_faults(db, state, app):
    """Everything that a destroyed app has left behind."""
    found = [f"{app} has left {kind}: {[i['id'] for i in items]}" for kind, items in of_app(state, app).items() if items]
    for table in ("resources", "listener_slots", "deployments"):
        left = db.rows(f"SELECT * FROM berth.{table} WHERE app_name = '{app}'")
        if left:
            found.append(f"{app} has left {table}: {left}")
    return found
