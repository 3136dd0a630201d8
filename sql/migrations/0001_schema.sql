-- The tables, who may see which rows of them, and the few functions that cross apps.
-- Every table with an app_name is a tenant's: row-level security is enabled and forced on it, and each policy names its roles.

CREATE TABLE berth.apps (
    app_name          text PRIMARY KEY
                      CHECK (app_name ~ '^[a-z](-?[a-z0-9])*$' AND length(app_name) <= 22),
    repository        text NOT NULL CHECK (repository ~ '^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$' AND length(repository) <= 140),
    repository_id     bigint CHECK (repository_id > 0), -- bound by the first proven push that names the repository
    branch            text NOT NULL DEFAULT 'main' CHECK (length(branch) BETWEEN 1 AND 255),
    webhook_policy    text NOT NULL CHECK (webhook_policy IN ('github', 'signed')),
    health_check_path text NOT NULL DEFAULT '/' CHECK (health_check_path ~ '^/' AND length(health_check_path) <= 1024),
    port              int NOT NULL DEFAULT 8080 CHECK (port BETWEEN 1 AND 65535),
    cpu_units         int NOT NULL DEFAULT 256 CHECK (cpu_units > 0),
    memory_mib        int NOT NULL DEFAULT 512 CHECK (memory_mib > 0),
    tasks             int NOT NULL DEFAULT 1 CHECK (tasks BETWEEN 0 AND 1000),
    state             text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'deleting', 'deleted')), -- deleted: its history stays, its name is free
    last_release      int NOT NULL DEFAULT 0 CHECK (last_release >= 0),
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE berth.releases (
    app_name            text NOT NULL REFERENCES berth.apps,
    number              int NOT NULL CHECK (number > 0),
    kind                text NOT NULL CHECK (kind IN ('push', 'redeploy', 'rollback')),
    state               text NOT NULL DEFAULT 'queued'
                        CHECK (state IN ('queued', 'running', 'live', 'failed', 'superseded', 'cancelled')),
    step                text NOT NULL DEFAULT 'source'
                        CHECK (step IN ('source', 'identity', 'build', 'route', 'rollout', 'live')),
    attempt             int NOT NULL DEFAULT 0 CHECK (attempt >= 0),      -- tries of this step since it last made headway
    waits               int NOT NULL DEFAULT 0 CHECK (waits >= 0),        -- how often this step had to wait for AWS
    claims              int NOT NULL DEFAULT 0 CHECK (claims >= 0),       -- how often a worker took it since one last let it go: more than one died with it
    waits_for           text CHECK (waits_for IN ('build', 'service')),   -- what the poller watches for it
    poll_after          timestamptz,
    look_by             timestamptz,                                     -- its own step looks then, however often it was asked about
    run_after           timestamptz NOT NULL DEFAULT now(),
    step_started_at     timestamptz,
    lease_token         bigint,                                          -- who holds it; a move names it
    lease_until         timestamptz,
    leased_by           text,
    commit_sha          text NOT NULL CHECK (commit_sha ~ '^[0-9a-f]{40}([0-9a-f]{24})?$'),
    commit_title        text,
    pushed_by           text,
    delivery_id         text,
    source_version      text,
    build_attempt       int NOT NULL DEFAULT 0 CHECK (build_attempt >= 0),
    build_id            text,
    image_digest        text CHECK (image_digest ~ '^sha256:[0-9a-f]{64}$'),
    task_definition_arn text,
    ecs_deployment_id   text,
    pruned_at           timestamptz,                                     -- its image and task definition are gone from AWS
    rollback_to         int CHECK (rollback_to < number),                -- whose image and configuration a rollback runs again
    halt                text CHECK (halt IN ('supersede', 'cancel')),    -- what its worker is to end it as, at the next turn
    halt_by             int,                                             -- the release that takes its place
    halt_at             timestamptz,
    halt_deployment_id  text,                                            -- ECS's, that puts back what was live
    error               text,
    hint                text,
    created_at          timestamptz NOT NULL DEFAULT now(),
    finished_at         timestamptz,
    PRIMARY KEY (app_name, number),
    CHECK ((state IN ('queued', 'running')) = (finished_at IS NULL)),
    CHECK (halt IS NULL OR halt_at IS NOT NULL)
);
-- One release of an app has effects at a time.
CREATE UNIQUE INDEX releases_one_running ON berth.releases (app_name) WHERE state = 'running';
CREATE INDEX releases_due ON berth.releases (run_after) WHERE state IN ('queued', 'running');
CREATE INDEX releases_waiting ON berth.releases (app_name, number) WHERE state IN ('queued', 'running');
-- What a push is compared with; without it a planner that has no statistics yet sorts the app's whole history.
CREATE INDEX releases_pushes ON berth.releases (app_name, number) WHERE kind = 'push';

CREATE TABLE berth.release_events (
    app_name   text NOT NULL,
    release    int NOT NULL,
    id         bigint GENERATED ALWAYS AS IDENTITY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    step       text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('info', 'done', 'retry', 'failed', 'superseded', 'cancelled')),
    message    text NOT NULL,
    PRIMARY KEY (app_name, release, id),
    FOREIGN KEY (app_name, release) REFERENCES berth.releases
);

CREATE TABLE berth.deployments (
    app_name            text PRIMARY KEY REFERENCES berth.apps,
    release             int NOT NULL,
    commit_sha          text NOT NULL,
    image_digest        text NOT NULL,
    task_definition_arn text NOT NULL,
    host                text NOT NULL,
    live_since          timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (app_name, release) REFERENCES berth.releases
);

CREATE TABLE berth.deliveries (
    app_name    text NOT NULL REFERENCES berth.apps,
    delivery_id text NOT NULL CHECK (delivery_id ~ '^[A-Za-z0-9-]{1,64}$'),
    event       text NOT NULL CHECK (length(event) BETWEEN 1 AND 64),
    outcome     text NOT NULL CHECK (outcome IN ('accepted', 'ignored', 'duplicate', 'limited', 'over_quota', 'paused')),
    reason      text NOT NULL,
    release     int,
    body_sha256 bytea NOT NULL CHECK (length(body_sha256) = 32), -- kept after the body is dropped
    body        bytea,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app_name, delivery_id)
);
CREATE INDEX deliveries_by_body ON berth.deliveries (app_name, body_sha256) WHERE outcome = 'accepted';

CREATE TABLE berth.intents (
    app_name    text NOT NULL,
    release     int NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    step        text NOT NULL,
    operation   text NOT NULL,          -- "codebuild:StartBuild"
    target      text NOT NULL,          -- name of the thing it makes or changes
    lease_token bigint NOT NULL,
    asked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    answered_at timestamptz,            -- null: the answer never reached us, so look before asking again
    PRIMARY KEY (app_name, release, id),
    FOREIGN KEY (app_name, release) REFERENCES berth.releases
);

CREATE TABLE berth.resources (
    app_name    text NOT NULL REFERENCES berth.apps,
    kind        text NOT NULL CHECK (kind IN ('task_role', 'execution_role', 'build_role', 'repository', 'log_group',
                                             'build_project', 'target_group', 'listener_rule', 'service')),
    name        text NOT NULL,
    arn         text NOT NULL,
    spec_hash   text NOT NULL,          -- of what it was last made from: equal means nothing to ask of AWS
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app_name, kind)
);

-- A priority of a listener; app_name null: taken by something that is not berth's.
CREATE TABLE berth.listener_slots (
    listener_arn text NOT NULL,
    priority     int NOT NULL CHECK (priority BETWEEN 1 AND 50000),
    app_name     text REFERENCES berth.apps,
    taken_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (listener_arn, priority)
);
CREATE UNIQUE INDEX listener_slots_one_per_app ON berth.listener_slots (app_name);

-- The removal of what an app has on AWS, under a lease as a release is. Without a foreign key: what is left on AWS may outlive the app's row (a
-- database restored from an older copy).
CREATE TABLE berth.teardowns (
    app_name        text PRIMARY KEY,
    state           text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed')),
    step            text NOT NULL DEFAULT 'builds',
    attempt         int NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    waits           int NOT NULL DEFAULT 0 CHECK (waits >= 0),
    run_after       timestamptz NOT NULL DEFAULT now(),
    step_started_at timestamptz,
    lease_token     bigint,
    lease_until     timestamptz,
    leased_by       text,
    error           text,
    hint            text,
    started_by      text NOT NULL,
    started_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz,
    CHECK ((state = 'running') = (finished_at IS NULL))
);
CREATE INDEX teardowns_due ON berth.teardowns (run_after) WHERE state = 'running';

-- One worker of the installation asks AWS for all releases that wait for one kind of thing.
CREATE TABLE berth.poll_leases (
    kind   text PRIMARY KEY CHECK (kind IN ('build', 'service')),
    holder text NOT NULL,
    until  timestamptz NOT NULL
);

CREATE TABLE berth.audit_log (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT now(),
    actor    text NOT NULL,
    action   text NOT NULL,
    app_name text,
    before   jsonb,
    after    jsonb
);

CREATE SEQUENCE berth.lease_tokens;

-- Bodies are JSON text of several KiB: lz4 is cheaper than the default where the server was built with it.
DO $$
BEGIN
    ALTER TABLE berth.deliveries ALTER COLUMN body SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    NULL;
END
$$;

-- Row-level security.
ALTER TABLE berth.apps           ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE berth.releases       ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE berth.release_events ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE berth.deployments    ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE berth.deliveries     ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE berth.intents        ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE berth.resources      ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE berth.listener_slots ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE berth.teardowns      ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE berth.audit_log      ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- The owner needs a policy too, or a back-fill touches nothing.
CREATE POLICY owner ON berth.apps           TO berth_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON berth.releases       TO berth_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON berth.release_events TO berth_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON berth.deployments    TO berth_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON berth.deliveries     TO berth_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON berth.intents        TO berth_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON berth.resources      TO berth_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON berth.listener_slots TO berth_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON berth.teardowns      TO berth_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON berth.audit_log      TO berth_owner USING (true) WITH CHECK (true);

CREATE POLICY admin ON berth.apps           TO berth_admin USING (true) WITH CHECK (true);
CREATE POLICY admin ON berth.releases       TO berth_admin USING (true) WITH CHECK (true);
CREATE POLICY admin ON berth.release_events TO berth_admin USING (true) WITH CHECK (true);
CREATE POLICY admin ON berth.deployments    TO berth_admin USING (true) WITH CHECK (true);
CREATE POLICY admin ON berth.deliveries     TO berth_admin USING (true) WITH CHECK (true);
CREATE POLICY admin ON berth.intents        TO berth_admin USING (true) WITH CHECK (true);
CREATE POLICY admin ON berth.resources      TO berth_admin USING (true) WITH CHECK (true);
CREATE POLICY admin ON berth.listener_slots TO berth_admin USING (true) WITH CHECK (true);
CREATE POLICY admin ON berth.teardowns      TO berth_admin USING (true) WITH CHECK (true);
CREATE POLICY admin ON berth.audit_log      TO berth_admin USING (true) WITH CHECK (true);

CREATE POLICY scope ON berth.apps           TO berth_hooks, berth_worker
    USING (app_name = current_setting('berth.app_name', true));
CREATE POLICY scope ON berth.releases       TO berth_hooks, berth_worker
    USING (app_name = current_setting('berth.app_name', true));
CREATE POLICY scope ON berth.release_events TO berth_hooks, berth_worker
    USING (app_name = current_setting('berth.app_name', true));
CREATE POLICY scope ON berth.deployments    TO berth_hooks, berth_worker
    USING (app_name = current_setting('berth.app_name', true));
CREATE POLICY scope ON berth.deliveries     TO berth_hooks, berth_worker
    USING (app_name = current_setting('berth.app_name', true));
CREATE POLICY scope ON berth.intents        TO berth_hooks, berth_worker
    USING (app_name = current_setting('berth.app_name', true));
CREATE POLICY scope ON berth.resources      TO berth_hooks, berth_worker
    USING (app_name = current_setting('berth.app_name', true));
CREATE POLICY scope ON berth.listener_slots TO berth_hooks, berth_worker
    USING (app_name = current_setting('berth.app_name', true));
CREATE POLICY scope ON berth.teardowns      TO berth_hooks, berth_worker
    USING (app_name = current_setting('berth.app_name', true));

CREATE POLICY intake ON berth.apps           TO berth_intake USING (true) WITH CHECK (true);
CREATE POLICY intake ON berth.releases       TO berth_intake USING (true) WITH CHECK (true);
CREATE POLICY intake ON berth.release_events TO berth_intake USING (true) WITH CHECK (true);
CREATE POLICY intake ON berth.deliveries     TO berth_intake USING (true) WITH CHECK (true);

CREATE POLICY dispatch ON berth.apps           TO berth_dispatch USING (true) WITH CHECK (true);
CREATE POLICY dispatch ON berth.releases       TO berth_dispatch USING (true) WITH CHECK (true);
CREATE POLICY dispatch ON berth.listener_slots TO berth_dispatch USING (true) WITH CHECK (true);
CREATE POLICY dispatch ON berth.teardowns      TO berth_dispatch USING (true) WITH CHECK (true);
CREATE POLICY dispatch ON berth.deployments    TO berth_dispatch USING (true);
CREATE POLICY dispatch ON berth.audit_log      TO berth_dispatch USING (false) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE ON berth.apps TO berth_admin;
GRANT SELECT, INSERT, UPDATE ON berth.releases, berth.release_events TO berth_admin;
GRANT SELECT ON berth.deployments, berth.deliveries, berth.intents, berth.resources, berth.listener_slots TO berth_admin;
GRANT SELECT, INSERT ON berth.audit_log TO berth_admin; -- append-only
GRANT SELECT, INSERT, UPDATE ON berth.teardowns TO berth_admin;
GRANT INSERT, UPDATE, DELETE ON berth.listener_slots TO berth_admin;
GRANT UPDATE, DELETE ON berth.resources TO berth_admin;

GRANT SELECT ON berth.deliveries, berth.releases TO berth_hooks;

GRANT SELECT ON berth.apps, berth.listener_slots TO berth_worker;
GRANT SELECT, UPDATE ON berth.releases TO berth_worker;
GRANT SELECT, INSERT ON berth.release_events TO berth_worker;
GRANT SELECT, INSERT, UPDATE ON berth.deployments, berth.intents, berth.resources TO berth_worker;
GRANT DELETE ON berth.resources, berth.listener_slots TO berth_worker;
GRANT SELECT, UPDATE ON berth.teardowns TO berth_worker;

GRANT SELECT, UPDATE ON berth.apps TO berth_intake;
GRANT SELECT, INSERT, UPDATE ON berth.releases TO berth_intake;
GRANT INSERT ON berth.release_events TO berth_intake;
GRANT SELECT, INSERT, UPDATE ON berth.deliveries TO berth_intake;

GRANT SELECT ON berth.apps TO berth_dispatch;
GRANT SELECT, UPDATE ON berth.releases TO berth_dispatch;
GRANT SELECT, INSERT, UPDATE ON berth.listener_slots TO berth_dispatch;
GRANT SELECT, UPDATE ON berth.teardowns TO berth_dispatch;
GRANT UPDATE (state, updated_at) ON berth.apps TO berth_dispatch;
GRANT SELECT, DELETE ON berth.deployments TO berth_dispatch;
GRANT INSERT ON berth.audit_log TO berth_dispatch;
GRANT SELECT, INSERT, UPDATE ON berth.poll_leases TO berth_dispatch;
GRANT USAGE ON SEQUENCE berth.lease_tokens TO berth_dispatch;

-- A change of an app is told to the responders, which know the apps in memory.
CREATE FUNCTION berth.notify_apps() RETURNS trigger
LANGUAGE plpgsql SET search_path = berth, pg_temp AS $$
BEGIN
    PERFORM pg_notify('berth_apps', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER apps_notify_insert AFTER INSERT ON berth.apps FOR EACH STATEMENT EXECUTE FUNCTION berth.notify_apps();
CREATE TRIGGER apps_notify_update
    AFTER UPDATE OF repository, repository_id, branch, webhook_policy, state ON berth.apps
    FOR EACH STATEMENT EXECUTE FUNCTION berth.notify_apps();

-- What a responder keeps in memory of every app.
CREATE FUNCTION berth.app_directory()
RETURNS TABLE (app_name text, webhook_policy text, state text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = berth, pg_temp AS $$
    SELECT a.app_name, a.webhook_policy, a.state FROM apps a ORDER BY a.app_name
$$;

-- Makes the app's next release; nothing else does. The caller has locked the app's row. It supersedes what it makes pointless: releases that are queued, and, by
-- a halt that their worker carries out, those that run and have not come to their rollout. A push leaves a rollback alone, since an operator asked for it;
-- what an operator asks for takes the place of everything before it.
CREATE FUNCTION berth.queue_release(
    p_app text, p_kind text, p_commit text, p_title text, p_by text, p_delivery text, p_rollback_to int, p_told text) RETURNS int
LANGUAGE plpgsql SET search_path = berth, pg_temp AS $$
DECLARE
    made  int;
    place timestamptz;
    first_step text := CASE WHEN p_kind = 'rollback' THEN 'route' ELSE 'source' END;
    kinds text[] := CASE WHEN p_kind = 'push' THEN ARRAY['push', 'redeploy'] ELSE ARRAY['push', 'redeploy', 'rollback'] END;
BEGIN
    UPDATE apps a SET last_release = a.last_release + 1 WHERE a.app_name = p_app RETURNING a.last_release INTO made;
    -- The place in the queue is inherited: an app that is pushed to all the time would otherwise always be the last in it.
    WITH ended AS (
        UPDATE releases r
           SET state = 'superseded', finished_at = clock_timestamp(), halt = 'supersede', halt_by = made, halt_at = clock_timestamp()
         WHERE r.app_name = p_app AND r.state = 'queued' AND r.kind = ANY (kinds)
        RETURNING r.number, r.step, r.run_after), told AS (
        INSERT INTO release_events (app_name, release, step, kind, message)
        SELECT p_app, e.number, e.step, 'superseded', 'Superseded by v' || made || '.' FROM ended e)
    SELECT min(e.run_after) INTO place FROM ended e;
    -- After the queued ones, so that one which a worker takes up in between is seen here.
    UPDATE releases r
       SET halt = 'supersede', halt_by = made, halt_at = clock_timestamp(), run_after = least(r.run_after, now())
     WHERE r.app_name = p_app AND r.state = 'running' AND r.step IN ('source', 'identity', 'build', 'route') AND r.kind = ANY (kinds)
       AND r.halt IS NULL;

    INSERT INTO releases (app_name, number, kind, step, run_after, commit_sha, commit_title, pushed_by, delivery_id, rollback_to)
    VALUES (p_app, made, p_kind, first_step, least(place, now()), p_commit, p_title, p_by, p_delivery, p_rollback_to);
    INSERT INTO release_events (app_name, release, step, kind, message) VALUES (p_app, made, first_step, 'info', p_told);
    UPDATE releases r
       SET image_digest = o.image_digest, source_version = o.source_version
      FROM releases o
     WHERE p_rollback_to IS NOT NULL AND r.app_name = p_app AND r.number = made AND o.app_name = p_app AND o.number = p_rollback_to;
    RETURN made;
END
$$;

-- Whether a push's release, held under p_token, is still of what its branch is at. p_head: the branch's head, null when the branch is gone; p_fresh: the push
-- is so young that GitHub may not show it yet. 'go_on'; 'wait': ask again; 'superseded': the release has ended; 'lost': another worker holds it.
CREATE FUNCTION berth.follow_head(p_app text, p_number int, p_token bigint, p_head text, p_fresh boolean)
RETURNS TABLE (verdict text, reason text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
DECLARE
    app     apps%ROWTYPE;
    mine    releases%ROWTYPE;
    other   releases%ROWTYPE;
    winner  int;
BEGIN
    SELECT * INTO app FROM apps a WHERE a.app_name = p_app FOR NO KEY UPDATE;
    SELECT * INTO mine FROM releases r
     WHERE r.app_name = p_app AND r.number = p_number AND r.lease_token = p_token AND r.state = 'running' FOR UPDATE;
    IF NOT FOUND THEN
        verdict := 'lost'; RETURN NEXT; RETURN;
    END IF;
    IF mine.halt IS NOT NULL THEN
        verdict := 'wait'; RETURN NEXT; RETURN;
    END IF;

    IF p_head IS NULL THEN
        reason := 'the branch ' || app.branch || ' is gone from ' || app.repository;
    ELSE
        SELECT * INTO other FROM releases r
         WHERE r.app_name = p_app AND r.number <> p_number AND r.commit_sha = p_head AND r.state <> 'failed' AND r.created_at >= app.created_at
         ORDER BY r.number DESC LIMIT 1;
        IF mine.commit_sha = p_head OR NOT FOUND THEN
            -- Not found: the head's own push is on its way, and will supersede this one.
            verdict := 'go_on'; RETURN NEXT; RETURN;
        END IF;
        winner := other.number;
        reason := 'the branch ' || app.branch || ' is at ' || left(p_head, 7) || ', which v' || winner || ' is of';
    END IF;
    IF p_fresh AND (winner IS NULL OR winner < p_number) THEN
        verdict := 'wait'; RETURN NEXT; RETURN;
    END IF;

    -- The head's own release gave way to a push that came later but is older: the head gets a new one. Not when an operator took its place.
    IF other.state = 'superseded'
       AND NOT EXISTS (SELECT 1 FROM releases s WHERE s.app_name = p_app AND s.number = other.halt_by AND s.kind <> 'push') THEN
        winner := queue_release(p_app, 'push', other.commit_sha, other.commit_title, other.pushed_by, other.delivery_id, NULL,
                            'Queued again: ' || reason || ', and v' || p_number || ' came late.');
        reason := reason || '; v' || winner || ' deploys it';
    END IF;
    UPDATE releases r
       SET state = 'superseded', finished_at = clock_timestamp(), halt = 'supersede', halt_by = winner, halt_at = clock_timestamp(),
           lease_token = NULL, lease_until = NULL, leased_by = NULL
     WHERE r.app_name = p_app AND r.number = p_number;
    INSERT INTO release_events (app_name, release, step, kind, message)
    VALUES (p_app, p_number, mine.step, 'superseded', 'Superseded: ' || reason || '.');
    verdict := 'superseded'; RETURN NEXT;
END
$$;

-- Takes one proven delivery in, exactly once. p_event_reason: null for a push to a branch that could make a release, otherwise why it
-- is ignored; p_repository_id is null for events that have no repository (of an organisation, say), which are all ignored. The outcome
-- 'other_repository' stores nothing; 'unknown' says that the app is gone. p_again: the caller asked before and lost the answer, so what
-- was stored of this very delivery is the answer.
CREATE FUNCTION berth.intake(
    p_app text, p_delivery text, p_event text, p_event_reason text, p_body_sha256 bytea, p_body bytea,
    p_repository text, p_repository_id bigint, p_branch text, p_commit text, p_commit_title text, p_pushed_by text,
    p_again boolean DEFAULT false)
RETURNS TABLE (outcome text, reason text, release int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
DECLARE
    app   apps%ROWTYPE;
    past  deliveries%ROWTYPE;
    newest releases%ROWTYPE;
BEGIN
    SELECT * INTO app FROM apps a WHERE a.app_name = p_app FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'unknown'; reason := 'no such app'; RETURN NEXT; RETURN;
    END IF;

    IF (p_repository_id IS NULL AND p_event_reason IS NULL)
       OR p_repository_id <> app.repository_id
       OR (p_repository_id IS NOT NULL AND app.repository_id IS NULL
           AND lower(p_repository) IS DISTINCT FROM lower(app.repository)) THEN
        outcome := 'other_repository'; reason := 'the app is built from ' || app.repository; RETURN NEXT; RETURN;
    END IF;
    IF app.repository_id IS NULL AND p_repository_id IS NOT NULL THEN
        UPDATE apps a SET repository_id = p_repository_id, updated_at = now() WHERE a.app_name = p_app;
    END IF;

    SELECT * INTO past FROM deliveries d WHERE d.app_name = p_app AND d.delivery_id = p_delivery;
    IF FOUND AND p_again THEN
        outcome := past.outcome; reason := past.reason; release := past.release; RETURN NEXT; RETURN;
    END IF;
    IF FOUND AND past.outcome IN ('accepted', 'ignored', 'duplicate') AND past.received_at >= app.created_at THEN
        outcome := 'duplicate';
        reason := 'delivery ' || p_delivery || ' was taken in before: ' || past.outcome;
        release := past.release;
        RETURN NEXT; RETURN;
    END IF;

    IF p_event_reason IS NOT NULL THEN
        outcome := 'ignored'; reason := p_event_reason;
    ELSIF p_branch IS DISTINCT FROM app.branch THEN
        outcome := 'ignored'; reason := 'a push to ' || p_branch || '; the app is built from ' || app.branch;
    ELSIF app.state <> 'active' THEN
        outcome := 'paused'; reason := 'the app is ' || app.state;
    ELSE
        SELECT * INTO past FROM deliveries d
         WHERE d.app_name = p_app AND d.body_sha256 = p_body_sha256 AND d.outcome = 'accepted'
           AND d.received_at >= app.created_at LIMIT 1; -- what came before it was destroyed and made again is another app's
        IF FOUND THEN
            outcome := 'duplicate'; reason := 'the same push as delivery ' || past.delivery_id; release := past.release;
        ELSE
            SELECT * INTO newest FROM releases r
             WHERE r.app_name = p_app AND r.kind = 'push' AND r.created_at >= app.created_at ORDER BY r.number DESC LIMIT 1;
            IF FOUND AND newest.commit_sha = p_commit AND newest.state NOT IN ('failed', 'superseded', 'cancelled') THEN
                outcome := 'duplicate'; reason := 'v' || newest.number || ' is of this commit'; release := newest.number;
            ELSE
                outcome := 'accepted'; reason := 'a push to ' || p_branch;
                release := queue_release(p_app, 'push', p_commit, p_commit_title, p_pushed_by, p_delivery, NULL,
                                         'Queued by a push to ' || p_branch || '.');
            END IF;
        END IF;
    END IF;

    INSERT INTO deliveries AS d (app_name, delivery_id, event, outcome, reason, release, body_sha256, body)
    VALUES (p_app, p_delivery, p_event, outcome, reason, release, p_body_sha256, p_body)
    ON CONFLICT (app_name, delivery_id) DO UPDATE
       SET event = excluded.event, outcome = excluded.outcome, reason = excluded.reason, release = excluded.release,
           body_sha256 = excluded.body_sha256, body = excluded.body, received_at = now();
    RETURN NEXT;
END
$$;

-- Leases one release that is due, oldest first: a running one whose lease has ended or that waited for its time, or the oldest queued one of an app
-- that has none running.
CREATE FUNCTION berth.claim(p_worker text, p_lease_ms int)
RETURNS TABLE (app_name text, number int, lease_token bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
    UPDATE releases r
       SET state = 'running', lease_token = nextval('lease_tokens'), leased_by = p_worker,
           lease_until = now() + p_lease_ms * interval '1 millisecond',
           attempt = r.attempt + 1, claims = r.claims + 1, waits_for = NULL, poll_after = NULL,
           step_started_at = coalesce(r.step_started_at, now())
      FROM (SELECT d.app_name, d.number
              FROM releases d
             WHERE d.state IN ('queued', 'running')
               AND d.run_after <= now()
               AND (d.lease_until IS NULL OR d.lease_until < now())
               AND (d.state = 'running'
                    OR NOT EXISTS (SELECT 1 FROM releases o
                                    WHERE o.app_name = d.app_name AND o.state IN ('queued', 'running')
                                      AND (o.state = 'running' OR o.number < d.number)))
             ORDER BY d.run_after
             LIMIT 1
             FOR UPDATE OF d SKIP LOCKED) due
     WHERE r.app_name = due.app_name AND r.number = due.number
    RETURNING r.app_name, r.number, r.lease_token
$$;

-- Milliseconds until claim would find the next release (0: now); null when nothing waits.
CREATE FUNCTION berth.next_due_ms() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = berth, pg_temp AS $$
    -- greatest ignores nulls, so "nothing waits" needs saying.
    SELECT CASE WHEN count(*) > 0 THEN
               greatest(0, ceil(extract(epoch FROM
                   min(greatest(d.run_after, coalesce(d.lease_until, d.run_after))) - now()) * 1000))
           END::bigint
      FROM releases d
     WHERE d.state IN ('queued', 'running')
       AND (d.state = 'running'
            OR NOT EXISTS (SELECT 1 FROM releases o
                            WHERE o.app_name = d.app_name AND o.state IN ('queued', 'running')
                              AND (o.state = 'running' OR o.number < d.number)))
$$;

-- What waits for AWS and is asked of it next, for the one poller of the installation: all that is due, and as many of those that come after as fill the last
-- batch, since a call costs the same with one or all. Sooner again while young, later when old.
CREATE FUNCTION berth.due_polls(p_holder text, p_kind text, p_batch int)
RETURNS TABLE (app_name text, number int, build_id text, ecs_deployment_id text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
DECLARE
    due bigint;
BEGIN
    SELECT count(*) INTO due FROM releases r
     WHERE r.state IN ('queued', 'running') AND r.waits_for = p_kind AND r.poll_after <= now();
    IF due = 0 THEN
        RETURN;
    END IF;
    INSERT INTO poll_leases AS l (kind, holder, until) VALUES (p_kind, p_holder, now() + interval '5 seconds')
    ON CONFLICT (kind) DO UPDATE SET holder = excluded.holder, until = excluded.until
     WHERE l.holder = excluded.holder OR l.until < now();
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY
    UPDATE releases r
       SET poll_after = now() + least(greatest((now() - r.step_started_at) / 8, interval '1 second'), interval '15 seconds'),
           -- As long as somebody polls, it needn't look by itself; one that was just told to run stays told.
           run_after = CASE WHEN r.run_after > now() THEN least(now() + interval '1 minute', greatest(r.look_by, r.run_after)) ELSE r.run_after END
      FROM (SELECT w.app_name, w.number
              FROM releases w
             WHERE w.state IN ('queued', 'running') AND w.waits_for = p_kind
             ORDER BY w.poll_after
             LIMIT ceil(due::numeric / p_batch) * p_batch
               FOR UPDATE SKIP LOCKED) taken
     WHERE r.app_name = taken.app_name AND r.number = taken.number
    RETURNING r.app_name, r.number, r.build_id, r.ecs_deployment_id;
END
$$;

-- Milliseconds until something is to be asked of AWS (0: now); null when nothing waits for it.
CREATE FUNCTION berth.next_poll_ms() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = berth, pg_temp AS $$
    SELECT CASE WHEN count(*) > 0 THEN greatest(0, ceil(extract(epoch FROM min(r.poll_after) - now()) * 1000)) END::bigint
      FROM releases r
     WHERE r.state IN ('queued', 'running') AND r.waits_for IS NOT NULL
$$;

-- AWS has news of what these releases wait for: a worker looks at once. How many there were; who was claimed meanwhile looks anyway.
CREATE FUNCTION berth.wake_releases(p_kind text, p_apps text[], p_numbers int[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
DECLARE
    woken int;
BEGIN
    UPDATE releases r
       SET run_after = now(), waits_for = NULL, poll_after = NULL
      FROM unnest(p_apps, p_numbers) AS told (app_name, number)
     WHERE r.app_name = told.app_name AND r.number = told.number
       AND r.state IN ('queued', 'running') AND r.waits_for = p_kind;
    GET DIAGNOSTICS woken = ROW_COUNT;
    IF woken > 0 THEN
        PERFORM pg_notify('berth_releases', '');
    END IF;
    RETURN woken;
END
$$;

-- The app's slot on one of the listeners (in the order given), taken now if it has none: the lowest free priority of the first listener with
-- fewer than p_room slots. No row: all are full.
CREATE FUNCTION berth.take_listener_slot(p_app text, p_listeners text[], p_room int)
RETURNS TABLE (listener_arn text, priority int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
BEGIN
    -- One taker at a time: there are few of them, and "lowest free" can't be locked by rows that don't exist yet.
    PERFORM pg_advisory_xact_lock(hashtextextended('berth.listener_slots', 0));
    RETURN QUERY SELECT s.listener_arn, s.priority FROM listener_slots s WHERE s.app_name = p_app;
    IF FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY
    INSERT INTO listener_slots AS s (listener_arn, priority, app_name)
    SELECT l.arn, p, p_app
      FROM unnest(p_listeners) WITH ORDINALITY AS l (arn, place), generate_series(1, p_room * 2) AS p
     WHERE (SELECT count(*) FROM listener_slots t WHERE t.listener_arn = l.arn) < p_room
       AND NOT EXISTS (SELECT 1 FROM listener_slots t WHERE t.listener_arn = l.arn AND t.priority = p)
     ORDER BY l.place, p LIMIT 1
    RETURNING s.listener_arn, s.priority;
END
$$;

-- AWS says that the app's priority is somebody else's: the slot stays taken, by no app of ours.
CREATE FUNCTION berth.mark_listener_slot_foreign(p_app text, p_listener text, p_priority int) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
    UPDATE listener_slots s SET app_name = NULL
     WHERE s.app_name = p_app AND s.listener_arn = p_listener AND s.priority = p_priority
$$;

-- Leases one teardown that is due. It begins when no release of the app is on its way any more.
CREATE FUNCTION berth.claim_teardown(p_worker text, p_lease_ms int)
RETURNS TABLE (app_name text, lease_token bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
    UPDATE teardowns t
       SET lease_token = nextval('lease_tokens'), leased_by = p_worker,
           lease_until = now() + p_lease_ms * interval '1 millisecond',
           attempt = t.attempt + 1, step_started_at = coalesce(t.step_started_at, now())
      FROM (SELECT d.app_name
              FROM teardowns d
             WHERE d.state = 'running' AND d.run_after <= now()
               AND (d.lease_until IS NULL OR d.lease_until < now())
               AND NOT EXISTS (SELECT 1 FROM releases r WHERE r.app_name = d.app_name AND r.state IN ('queued', 'running'))
             ORDER BY d.run_after
             LIMIT 1
             FOR UPDATE OF d SKIP LOCKED) due
     WHERE t.app_name = due.app_name
    RETURNING t.app_name, t.lease_token
$$;

-- Milliseconds until claim_teardown would find the next one (0: now); null when none waits, but for the end of its app's release.
CREATE FUNCTION berth.teardown_due_ms() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = berth, pg_temp AS $$
    SELECT CASE WHEN count(*) > 0 THEN
               greatest(0, ceil(extract(epoch FROM min(greatest(d.run_after, d.lease_until)) - now()) * 1000))
           END::bigint
      FROM teardowns d
     WHERE d.state = 'running'
       AND NOT EXISTS (SELECT 1 FROM releases r WHERE r.app_name = d.app_name AND r.state IN ('queued', 'running'))
$$;

-- All of the app is confirmed gone from AWS: its name is free. No row: another worker holds the teardown.
CREATE FUNCTION berth.finish_teardown(p_app text, p_token bigint) RETURNS TABLE (app_name text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
DECLARE
    who text;
BEGIN
    UPDATE teardowns t
       SET state = 'done', finished_at = now(), error = NULL, hint = NULL, lease_token = NULL, lease_until = NULL, leased_by = NULL
     WHERE t.app_name = p_app AND t.lease_token = p_token AND t.state = 'running'
    RETURNING t.app_name, t.started_by INTO app_name, who;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM deployments d WHERE d.app_name = p_app;
    UPDATE apps a SET state = 'deleted', updated_at = now() WHERE a.app_name = p_app AND a.state = 'deleting';
    INSERT INTO audit_log (actor, action, app_name) VALUES (who, 'app.destroyed', p_app);
    RETURN NEXT;
END
$$;

-- Grants come before the functions change owner: afterwards they are no longer ours to grant.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA berth FROM PUBLIC;
GRANT EXECUTE ON FUNCTION berth.app_directory() TO berth_hooks;
GRANT SELECT ON berth.schema_migrations TO berth_hooks; -- is the schema the one that the binary needs?
GRANT EXECUTE ON FUNCTION berth.intake(text, text, text, text, bytea, bytea, text, bigint, text, text, text, text, boolean) TO berth_hooks;
GRANT EXECUTE ON FUNCTION berth.queue_release(text, text, text, text, text, text, int, text) TO berth_intake, berth_admin;
GRANT EXECUTE ON FUNCTION berth.follow_head(text, int, bigint, text, boolean) TO berth_worker;
GRANT EXECUTE ON FUNCTION berth.claim(text, int), berth.next_due_ms(), berth.take_listener_slot(text, text[], int),
    berth.mark_listener_slot_foreign(text, text, int), berth.claim_teardown(text, int), berth.teardown_due_ms(),
    berth.finish_teardown(text, bigint) TO berth_worker;

GRANT EXECUTE ON FUNCTION berth.due_polls(text, text, int), berth.next_poll_ms(), berth.wake_releases(text, text[], int[]) TO berth_worker;

-- ALTER … OWNER asks that the new owner may create in the schema; only for this moment.
GRANT CREATE ON SCHEMA berth TO berth_intake, berth_dispatch;
ALTER FUNCTION berth.app_directory() OWNER TO berth_dispatch;
ALTER FUNCTION berth.intake(text, text, text, text, bytea, bytea, text, bigint, text, text, text, text, boolean) OWNER TO berth_intake;
ALTER FUNCTION berth.follow_head(text, int, bigint, text, boolean) OWNER TO berth_intake;
ALTER FUNCTION berth.claim(text, int) OWNER TO berth_dispatch;
ALTER FUNCTION berth.next_due_ms() OWNER TO berth_dispatch;
ALTER FUNCTION berth.take_listener_slot(text, text[], int) OWNER TO berth_dispatch;
ALTER FUNCTION berth.mark_listener_slot_foreign(text, text, int) OWNER TO berth_dispatch;
ALTER FUNCTION berth.claim_teardown(text, int) OWNER TO berth_dispatch;
ALTER FUNCTION berth.teardown_due_ms() OWNER TO berth_dispatch;
ALTER FUNCTION berth.finish_teardown(text, bigint) OWNER TO berth_dispatch;
ALTER FUNCTION berth.due_polls(text, text, int) OWNER TO berth_dispatch;
ALTER FUNCTION berth.next_poll_ms() OWNER TO berth_dispatch;
ALTER FUNCTION berth.wake_releases(text, text[], int[]) OWNER TO berth_dispatch;
REVOKE CREATE ON SCHEMA berth FROM berth_intake, berth_dispatch;
