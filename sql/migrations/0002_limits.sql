-- Quotas, rate limits, what is owed a second look, and what the operator's pages need.

-- ---- Limits ----

-- What holds for an app that has no number of its own.
CREATE TABLE berth.default_limits (
    only_row          boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    cpu_units         bigint NOT NULL DEFAULT 16384 CHECK (cpu_units BETWEEN 0 AND 100000000),
    memory_mib        bigint NOT NULL DEFAULT 32768 CHECK (memory_mib BETWEEN 0 AND 1000000000),
    tasks             bigint NOT NULL DEFAULT 20 CHECK (tasks BETWEEN 0 AND 100000),
    concurrent_builds bigint NOT NULL DEFAULT 1 CHECK (concurrent_builds BETWEEN 0 AND 100),
    build_minutes     bigint NOT NULL DEFAULT 1000 CHECK (build_minutes BETWEEN 0 AND 10000000),
    releases_per_hour bigint NOT NULL DEFAULT 240 CHECK (releases_per_hour BETWEEN 0 AND 100000),
    image_mib         bigint NOT NULL DEFAULT 20480 CHECK (image_mib BETWEEN 0 AND 100000000),
    pushes_burst      bigint NOT NULL DEFAULT 120 CHECK (pushes_burst BETWEEN 1 AND 100000),
    pushes_per_hour   bigint NOT NULL DEFAULT 600 CHECK (pushes_per_hour BETWEEN 1 AND 1000000)
);
INSERT INTO berth.default_limits DEFAULT VALUES;

-- What an app may hold at one time, or use in one; null: the default.
CREATE TABLE berth.quotas (
    app_name          text PRIMARY KEY REFERENCES berth.apps,
    cpu_units         bigint CHECK (cpu_units BETWEEN 0 AND 100000000),
    memory_mib        bigint CHECK (memory_mib BETWEEN 0 AND 1000000000),
    tasks             bigint CHECK (tasks BETWEEN 0 AND 100000),
    concurrent_builds bigint CHECK (concurrent_builds BETWEEN 0 AND 100),
    build_minutes     bigint CHECK (build_minutes BETWEEN 0 AND 10000000),
    releases_per_hour bigint CHECK (releases_per_hour BETWEEN 0 AND 100000),
    image_mib         bigint CHECK (image_mib BETWEEN 0 AND 100000000)
);

-- A token bucket an app. It holds what was spent, not what is left: so a change of the burst, the default's too, is in force at once.
CREATE TABLE berth.rate_limits (
    app_name        text PRIMARY KEY REFERENCES berth.apps,
    pushes_burst    bigint CHECK (pushes_burst BETWEEN 1 AND 100000),
    pushes_per_hour bigint CHECK (pushes_per_hour BETWEEN 1 AND 1000000),
    spent           double precision NOT NULL DEFAULT 0 CHECK (spent >= 0), -- tokens, at that time
    spent_at        timestamptz NOT NULL DEFAULT now()
);

-- A push was turned away for the moment, and GitHub sends it once only: the branch's head is looked at when it can be taken. 'infinity': when an operator raises a
-- quota or resumes the app.
CREATE TABLE berth.looks (
    app_name    text PRIMARY KEY REFERENCES berth.apps,
    reason      text NOT NULL CHECK (reason IN ('limited', 'over_quota', 'paused', 'asked')),
    owed_at     timestamptz NOT NULL,  -- when the newest such push came
    run_after   timestamptz NOT NULL,
    attempt     int NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    lease_token bigint,
    lease_until timestamptz,
    leased_by   text,
    claimed_at  timestamptz
);
CREATE INDEX looks_due ON berth.looks (run_after);

-- Every build that was started, for its minutes. ended_at null: it runs, or its end was not seen (then the release's own end counts).
CREATE TABLE berth.builds (
    app_name   text NOT NULL,
    build_id   text NOT NULL,
    release    int NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at   timestamptz,
    PRIMARY KEY (app_name, build_id),
    FOREIGN KEY (app_name, release) REFERENCES berth.releases
);
CREATE INDEX builds_by_time ON berth.builds (app_name, started_at);

-- The size a release runs with: fixed when it is queued, so that what was admitted is what runs. Null: of before this migration.
ALTER TABLE berth.releases
    ADD COLUMN cpu_units   int CHECK (cpu_units > 0),
    ADD COLUMN memory_mib  int CHECK (memory_mib > 0),
    ADD COLUMN tasks       int CHECK (tasks >= 0),
    ADD COLUMN image_bytes bigint CHECK (image_bytes >= 0);
CREATE INDEX releases_images ON berth.releases (app_name) WHERE image_bytes IS NOT NULL AND pruned_at IS NULL;

-- The size that the live release runs with, beside it: the overview adds up what every app uses, and must not look up a release for each.
ALTER TABLE berth.deployments
    ADD COLUMN cpu_units  int,
    ADD COLUMN memory_mib int,
    ADD COLUMN tasks      int;
CREATE FUNCTION berth.deployment_size() RETURNS trigger
LANGUAGE plpgsql SET search_path = berth, pg_temp AS $$
BEGIN
    SELECT r.cpu_units, r.memory_mib, r.tasks INTO NEW.cpu_units, NEW.memory_mib, NEW.tasks
      FROM releases r WHERE r.app_name = NEW.app_name AND r.number = NEW.release;
    RETURN NEW;
END
$$;
CREATE TRIGGER deployments_size BEFORE INSERT OR UPDATE OF release ON berth.deployments
    FOR EACH ROW EXECUTE FUNCTION berth.deployment_size();

ALTER TABLE berth.apps
    ADD COLUMN path_filter text NOT NULL DEFAULT '' CHECK (length(path_filter) <= 1000); -- patterns, by spaces; none: every push counts

-- ---- The pages ----

ALTER TABLE berth.deliveries
    ADD COLUMN branch       text,
    ADD COLUMN commit_sha   text,
    ADD COLUMN commit_title text,
    ADD COLUMN pushed_by    text;
CREATE INDEX deliveries_by_time ON berth.deliveries (received_at, app_name, delivery_id);
CREATE INDEX audit_log_by_app ON berth.audit_log (app_name, id);

-- What the responders of the pages sign forms with: random, and the same for all of them.
CREATE TABLE berth.admin_keys (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    key      bytea NOT NULL CHECK (length(key) = 32)
);
INSERT INTO berth.admin_keys (key)
VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

-- These two hold one row each, and a backup's rows may be restored into a database that was just migrated: what is inserted takes the place of what is there.
CREATE FUNCTION berth.replace_only_row() RETURNS trigger
LANGUAGE plpgsql SET search_path = berth, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'default_limits' THEN
        DELETE FROM default_limits;
    ELSE
        DELETE FROM admin_keys;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER default_limits_only BEFORE INSERT ON berth.default_limits FOR EACH STATEMENT EXECUTE FUNCTION berth.replace_only_row();
CREATE TRIGGER admin_keys_only BEFORE INSERT ON berth.admin_keys FOR EACH STATEMENT EXECUTE FUNCTION berth.replace_only_row();

-- ---- Who may see which rows ----

ALTER TABLE berth.quotas      ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE berth.rate_limits ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE berth.looks       ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE berth.builds      ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY owner ON berth.quotas      TO berth_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON berth.rate_limits TO berth_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON berth.looks       TO berth_owner USING (true) WITH CHECK (true);
CREATE POLICY owner ON berth.builds      TO berth_owner USING (true) WITH CHECK (true);

CREATE POLICY admin ON berth.quotas      TO berth_admin USING (true) WITH CHECK (true);
CREATE POLICY admin ON berth.rate_limits TO berth_admin USING (true) WITH CHECK (true);
CREATE POLICY admin ON berth.looks       TO berth_admin USING (true) WITH CHECK (true);
CREATE POLICY admin ON berth.builds      TO berth_admin USING (true) WITH CHECK (true);

CREATE POLICY scope ON berth.quotas      TO berth_hooks, berth_worker
    USING (app_name = current_setting('berth.app_name', true));
CREATE POLICY scope ON berth.rate_limits TO berth_hooks, berth_worker
    USING (app_name = current_setting('berth.app_name', true));
CREATE POLICY scope ON berth.looks       TO berth_hooks, berth_worker
    USING (app_name = current_setting('berth.app_name', true));
CREATE POLICY scope ON berth.builds      TO berth_hooks, berth_worker
    USING (app_name = current_setting('berth.app_name', true));

CREATE POLICY intake ON berth.quotas      TO berth_intake USING (true);
CREATE POLICY intake ON berth.rate_limits TO berth_intake USING (true) WITH CHECK (true);
CREATE POLICY intake ON berth.looks       TO berth_intake USING (true) WITH CHECK (true);
CREATE POLICY intake ON berth.builds      TO berth_intake USING (true);
CREATE POLICY intake ON berth.deployments TO berth_intake USING (true);

CREATE POLICY dispatch ON berth.quotas      TO berth_dispatch USING (true);
CREATE POLICY dispatch ON berth.rate_limits TO berth_dispatch USING (true);
CREATE POLICY dispatch ON berth.looks       TO berth_dispatch USING (true) WITH CHECK (true);

GRANT SELECT ON berth.default_limits TO berth_hooks, berth_worker, berth_intake;
GRANT SELECT, UPDATE ON berth.default_limits TO berth_admin;
GRANT SELECT ON berth.quotas, berth.rate_limits, berth.looks, berth.builds TO berth_hooks, berth_worker;
GRANT INSERT, UPDATE ON berth.builds TO berth_worker;
GRANT SELECT, INSERT, UPDATE ON berth.quotas, berth.rate_limits, berth.looks TO berth_admin;
GRANT SELECT ON berth.builds, berth.admin_keys TO berth_admin;
GRANT SELECT, INSERT, UPDATE ON berth.deliveries TO berth_admin; -- to run one again

GRANT SELECT ON berth.quotas, berth.builds, berth.deployments TO berth_intake;
GRANT SELECT, INSERT, UPDATE ON berth.rate_limits TO berth_intake;
GRANT SELECT, INSERT, UPDATE, DELETE ON berth.looks TO berth_intake;
GRANT DELETE ON berth.quotas, berth.rate_limits TO berth_dispatch;
GRANT SELECT ON berth.quotas, berth.rate_limits TO berth_dispatch;
GRANT SELECT, UPDATE, DELETE ON berth.looks TO berth_dispatch;

-- An app that is larger than the defaults allow goes on as it is.
INSERT INTO berth.quotas (app_name, cpu_units, memory_mib, tasks)
SELECT a.app_name, nullif(greatest(2 * a.tasks * a.cpu_units, d.cpu_units), d.cpu_units),
       nullif(greatest(2 * a.tasks * a.memory_mib, d.memory_mib), d.memory_mib), nullif(greatest(2 * a.tasks, d.tasks), d.tasks)
  FROM berth.apps a, berth.default_limits d
 WHERE a.state <> 'deleted'
   AND (2 * a.tasks * a.cpu_units > d.cpu_units OR 2 * a.tasks * a.memory_mib > d.memory_mib OR 2 * a.tasks > d.tasks);

-- The directory tells the filter, so that a responder judges a push's paths before it comes here.
DROP FUNCTION berth.app_directory();
CREATE FUNCTION berth.app_directory()
RETURNS TABLE (app_name text, webhook_policy text, state text, path_filter text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = berth, pg_temp AS $$
    SELECT a.app_name, a.webhook_policy, a.state, a.path_filter FROM apps a ORDER BY a.app_name
$$;
DROP TRIGGER apps_notify_update ON berth.apps;
CREATE TRIGGER apps_notify_update
    AFTER UPDATE OF repository, repository_id, branch, webhook_policy, path_filter, state ON berth.apps
    FOR EACH STATEMENT EXECUTE FUNCTION berth.notify_apps();

-- ---- What an app uses ----

-- Each quota of an app: what is used now (a rollout counts twice, as ECS runs both), the limit in force, and the app's own (null: the default is in force).
-- base: what stays used when the next release comes to its rollout, so the least that its need is added to. p_exact false: of the releases in this hour it is only
-- told whether there are four fifths of the limit, or all, which costs two look-ups whatever their number.
-- Each push runs this: small statements by index, in PL/pgSQL, which keeps their plans (of a function in SQL each caller makes the plans anew).
CREATE FUNCTION berth.quota_use(p_app text, p_exact boolean DEFAULT true)
RETURNS TABLE (quota text, used bigint, base bigint, in_force bigint, own bigint, standard bigint)
LANGUAGE plpgsql STABLE SET search_path = berth, pg_temp AS $$
#variable_conflict use_column
DECLARE
    standards default_limits%ROWTYPE;
    owns      quotas%ROWTYPE;
    app       record;
    live      record; -- as it runs: of all its tasks together
    next      record; -- the one under way
    rolling   int := 0;
    building  bigint := 0;
    hourly    bigint;
    hour      bigint := 0;
    minutes   bigint;
    images    bigint := 0;
BEGIN
    SELECT a.last_release, a.cpu_units, a.memory_mib, a.tasks INTO app FROM apps a WHERE a.app_name = p_app;
    SELECT * INTO standards FROM default_limits;
    SELECT * INTO owns FROM quotas q WHERE q.app_name = p_app;

    SELECT coalesce(max(coalesce(r.tasks, app.tasks)), 0)::bigint AS tasks,
           coalesce(max(coalesce(r.tasks, app.tasks)::bigint * coalesce(r.cpu_units, app.cpu_units)), 0) AS cpu,
           coalesce(max(coalesce(r.tasks, app.tasks)::bigint * coalesce(r.memory_mib, app.memory_mib)), 0) AS memory
      INTO live
      FROM deployments d JOIN releases r ON r.app_name = d.app_name AND r.number = d.release
     WHERE d.app_name = p_app AND r.state = 'live';
    SELECT coalesce(max(coalesce(r.tasks, app.tasks)), 0)::bigint AS tasks,
           coalesce(max(coalesce(r.tasks, app.tasks)::bigint * coalesce(r.cpu_units, app.cpu_units)), 0) AS cpu,
           coalesce(max(coalesce(r.tasks, app.tasks)::bigint * coalesce(r.memory_mib, app.memory_mib)), 0) AS memory,
           max(r.step) AS step, max(r.halt) AS halt
      INTO next
      FROM releases r
     WHERE r.app_name = p_app AND r.state = 'running';
    IF next.step IN ('rollout', 'live') THEN
        rolling := 1;
    ELSIF next.halt IS NOT NULL THEN
        next.tasks := 0; next.cpu := 0; next.memory := 0; -- it gives way before it has a task
    END IF;
    IF next.step = 'build' THEN
        building := 1;
    END IF;

    SELECT coalesce(sum(ceil(greatest(0, extract(epoch FROM coalesce(b.ended_at, r.finished_at, now()) - b.started_at)) / 60)), 0) INTO minutes
      FROM builds b JOIN releases r ON r.app_name = b.app_name AND r.number = b.release
     WHERE b.app_name = p_app AND b.started_at >= date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';

    -- Numbers have no gaps and grow with time, so one release tells of all that came after it.
    hourly := coalesce(owns.releases_per_hour, standards.releases_per_hour);
    IF p_exact THEN
        SELECT app.last_release - coalesce((SELECT r.number FROM releases r
            WHERE r.app_name = p_app AND r.created_at <= now() - interval '1 hour' ORDER BY r.number DESC LIMIT 1), 0) INTO hour;
    ELSIF hourly > 0 THEN
        PERFORM 1 FROM releases r
          WHERE r.app_name = p_app AND r.number = app.last_release - hourly + 1 AND r.created_at > now() - interval '1 hour';
        IF FOUND THEN
            hour := hourly;
        ELSE
            PERFORM 1 FROM releases r
              WHERE r.app_name = p_app AND r.number = app.last_release - (hourly * 4 + 4) / 5 + 2 AND r.created_at > now() - interval '1 hour';
            IF FOUND THEN
                hour := (hourly * 4 + 4) / 5 - 1;
            END IF;
        END IF;
    END IF;

    SELECT coalesce(ceil(sum(i.bytes) / 1048576), 0) INTO images
      FROM (SELECT max(r.image_bytes) AS bytes FROM releases r
             WHERE r.app_name = p_app AND r.image_bytes IS NOT NULL AND r.pruned_at IS NULL GROUP BY r.image_digest) i;

    RETURN QUERY
    SELECT q.quota, q.used, q.base, coalesce(q.own, q.standard), q.own, q.standard
      FROM (VALUES
         (1, 'cpu_units', live.cpu + rolling * next.cpu, greatest(live.cpu, next.cpu), owns.cpu_units, standards.cpu_units),
         (2, 'memory_mib', live.memory + rolling * next.memory, greatest(live.memory, next.memory), owns.memory_mib, standards.memory_mib),
         (3, 'tasks', live.tasks + rolling * next.tasks, greatest(live.tasks, next.tasks), owns.tasks, standards.tasks),
         (4, 'concurrent_builds', building, 0::bigint, owns.concurrent_builds, standards.concurrent_builds),
         (5, 'build_minutes', minutes, minutes, owns.build_minutes, standards.build_minutes),
         (6, 'releases_per_hour', hour, hour, owns.releases_per_hour, standards.releases_per_hour),
         (7, 'image_mib', images, images, owns.image_mib, standards.image_mib)) AS q (place, quota, used, base, own, standard)
     ORDER BY q.place;
END
$$;

-- The app's bucket as of now. tokens: whole ones can be spent; wait_ms: until there is one (0: there is).
CREATE FUNCTION berth.rate_use(p_app text)
RETURNS TABLE (burst bigint, per_hour bigint, own_burst bigint, own_per_hour bigint, tokens double precision, wait_ms bigint)
LANGUAGE plpgsql STABLE SET search_path = berth, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT b.burst, b.per_hour, l.pushes_burst, l.pushes_per_hour, t.tokens,
           CASE WHEN t.tokens >= 1 THEN 0 ELSE ceil((1 - t.tokens) * 3600000 / b.per_hour) END::bigint
      FROM default_limits d
      LEFT JOIN rate_limits l ON l.app_name = p_app
     CROSS JOIN LATERAL (SELECT coalesce(l.pushes_burst, d.pushes_burst) AS burst, coalesce(l.pushes_per_hour, d.pushes_per_hour) AS per_hour) b
     CROSS JOIN LATERAL (SELECT b.burst - least(b.burst, greatest(0, coalesce(l.spent, 0)
             - greatest(0, extract(epoch FROM clock_timestamp() - l.spent_at)) * b.per_hour / 3600)) AS tokens) t;
END
$$;

-- ---- Admission: the one place where a quota is held ----

-- How a quota is called (as in core/tenant/limit.c), and how its numbers are written.
CREATE FUNCTION berth.quota_title(p_quota text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = berth, pg_temp AS $$
    SELECT CASE p_quota WHEN 'cpu_units' THEN 'CPU units' WHEN 'memory_mib' THEN 'Memory, MiB' WHEN 'tasks' THEN 'Tasks'
                        WHEN 'concurrent_builds' THEN 'Builds at once' WHEN 'build_minutes' THEN 'Build minutes a month'
                        WHEN 'releases_per_hour' THEN 'Releases an hour' WHEN 'image_mib' THEN 'Image storage, MiB' END
$$;
CREATE FUNCTION berth.thousands(p_number bigint) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = berth, pg_temp AS $$ SELECT to_char(p_number, 'FM999,999,999,999,990') $$;

-- Whether the app may have a further release of that kind and size; its row must be locked. No row: it may, and nothing is near its limit. refused: it may not; otherwise the
-- row warns of what will be at four fifths or more. Of several the first that refuses. free_at: when it may be tried again ('infinity': when a quota is raised).
CREATE FUNCTION berth.check_quota(p_app text, p_kind text, p_cpu_units int, p_memory_mib int, p_tasks int)
RETURNS TABLE (refused boolean, quota text, used bigint, needed bigint, in_force bigint, told text, hint text, free_at timestamptz)
LANGUAGE plpgsql STABLE SET search_path = berth, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    u     record;
    worst record;
    need  bigint;
    size  boolean;
BEGIN
    refused := false;
    FOR u IN SELECT q.* FROM quota_use(p_app, false) q LOOP
        size := u.quota IN ('cpu_units', 'memory_mib', 'tasks');
        IF size THEN
            need := p_tasks::bigint * CASE u.quota WHEN 'cpu_units' THEN p_cpu_units WHEN 'memory_mib' THEN p_memory_mib ELSE 1 END;
        ELSIF p_kind = 'rollback' THEN
            CONTINUE; -- it builds nothing, and going back must not fail because too much was tried before
        ELSE
            need := 1;
        END IF;
        refused := u.base + need > u.in_force;
        IF refused OR (quota IS NULL AND u.in_force > 1 AND (u.base + need) * 5 >= u.in_force * 4 AND u.quota <> 'concurrent_builds') THEN
            quota := u.quota; used := u.used; needed := need; in_force := u.in_force;
            worst := u;
        END IF;
        EXIT WHEN refused;
    END LOOP;
    IF quota IS NULL THEN
        RETURN;
    END IF;

    size := quota IN ('cpu_units', 'memory_mib', 'tasks');
    told := quota_title(quota) || ': ' || CASE
        WHEN size THEN thousands(worst.base) || ' of ' || thousands(in_force) || ' in use, a rollout '
            || CASE WHEN refused THEN 'needs ' || thousands(needed) || ' more' ELSE 'takes it to ' || thousands(worst.base + needed) END
        WHEN refused THEN thousands(worst.base) || ' of ' || thousands(in_force) || ' in use'
        WHEN quota = 'releases_per_hour' THEN 'four fifths of ' || thousands(in_force) || ' are used'
        ELSE thousands(worst.base + needed) || ' of ' || thousands(in_force) END;
    IF refused THEN
        hint := CASE quota WHEN 'build_minutes' THEN 'They are counted anew from the 1st of the next month (UTC). '
                           WHEN 'releases_per_hour' THEN 'The branch is looked at again when the hour has passed. ' ELSE '' END
            || 'An operator of berth can raise the quota: `berth quota set ' || p_app || ' ' || quota || '='
            || greatest(worst.base + needed, 1) || '`, or on the page under Limits.';
        free_at := CASE quota
            WHEN 'build_minutes' THEN (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'
            WHEN 'releases_per_hour' THEN coalesce((SELECT r.created_at FROM apps p JOIN releases r ON r.app_name = p.app_name
                WHERE p.app_name = p_app AND r.number = p.last_release - in_force + 1), now()) + interval '1 hour'
            ELSE 'infinity' END;
        IF in_force = 0 THEN
            free_at := 'infinity'; -- it is no matter of time
        END IF;
    END IF;
    RETURN NEXT;
END
$$;

-- As in 0001, and the release's size is fixed: a rollback's is that of the release it goes back to.
CREATE OR REPLACE FUNCTION berth.queue_release(
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

    INSERT INTO releases (app_name, number, kind, step, run_after, commit_sha, commit_title, pushed_by, delivery_id, rollback_to,
                          cpu_units, memory_mib, tasks)
    SELECT p_app, made, p_kind, first_step, least(place, now()), p_commit, p_title, p_by, p_delivery, p_rollback_to,
           coalesce(o.cpu_units, a.cpu_units), coalesce(o.memory_mib, a.memory_mib), coalesce(o.tasks, a.tasks)
      FROM apps a LEFT JOIN releases o ON o.app_name = a.app_name AND o.number = p_rollback_to
     WHERE a.app_name = p_app;
    INSERT INTO release_events (app_name, release, step, kind, message) VALUES (p_app, made, first_step, 'info', p_told);
    UPDATE releases r
       SET image_digest = o.image_digest, source_version = o.source_version
      FROM releases o
     WHERE p_rollback_to IS NOT NULL AND r.app_name = p_app AND r.number = made AND o.app_name = p_app AND o.number = p_rollback_to;
    RETURN made;
END
$$;

-- Makes a release if the quotas allow it. number null: refused, and told, hint and free_at say why, what to do, and when it may be tried again; otherwise told may
-- hold a warning, which is in the release's timeline too. The caller has locked the app's row.
CREATE FUNCTION berth.admit_release(
    p_app text, p_kind text, p_commit text, p_title text, p_by text, p_delivery text, p_rollback_to int, p_told text)
RETURNS TABLE (number int, quota text, used bigint, needed bigint, in_force bigint, told text, hint text, free_at timestamptz)
LANGUAGE plpgsql SET search_path = berth, pg_temp AS $$
DECLARE
    size     record;
    verdict  record;
BEGIN
    SELECT coalesce(o.cpu_units, a.cpu_units) AS cpu_units, coalesce(o.memory_mib, a.memory_mib) AS memory_mib, coalesce(o.tasks, a.tasks) AS tasks
      INTO size
      FROM apps a LEFT JOIN releases o ON o.app_name = a.app_name AND o.number = p_rollback_to
     WHERE a.app_name = p_app;
    SELECT * INTO verdict FROM check_quota(p_app, p_kind, size.cpu_units, size.memory_mib, size.tasks);
    quota := verdict.quota; used := verdict.used; needed := verdict.needed; in_force := verdict.in_force;
    told := verdict.told; hint := verdict.hint; free_at := verdict.free_at;
    IF verdict.refused IS NOT TRUE THEN
        number := queue_release(p_app, p_kind, p_commit, p_title, p_by, p_delivery, p_rollback_to, p_told);
        IF verdict.quota IS NOT NULL THEN
            INSERT INTO release_events (app_name, release, step, kind, message)
            VALUES (p_app, number, CASE WHEN p_kind = 'rollback' THEN 'route' ELSE 'source' END, 'info', 'Near a quota: ' || verdict.told || '.');
        END IF;
    END IF;
    RETURN NEXT;
END
$$;

-- Spends one token of the app's bucket; its row must be locked.
CREATE FUNCTION berth.spend_token(p_app text) RETURNS void
LANGUAGE plpgsql SET search_path = berth, pg_temp AS $$
BEGIN
    INSERT INTO rate_limits AS l (app_name, spent, spent_at)
    SELECT p_app, u.burst - u.tokens + 1, clock_timestamp() FROM rate_use(p_app) u
    ON CONFLICT (app_name) DO UPDATE SET spent = excluded.spent, spent_at = excluded.spent_at;
END
$$;

-- A push was turned away: the branch's head is to be looked at, at p_at or when an operator makes room.
CREATE FUNCTION berth.owe_look(p_app text, p_reason text, p_at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = berth, pg_temp AS $$
BEGIN
    INSERT INTO looks AS l (app_name, reason, owed_at, run_after) VALUES (p_app, p_reason, clock_timestamp(), p_at)
    ON CONFLICT (app_name) DO UPDATE SET reason = excluded.reason, owed_at = excluded.owed_at, run_after = excluded.run_after;
END
$$;

-- ---- Intake ----

-- Takes one proven delivery in, exactly once. p_event_reason: null for a push to a branch that could make a release, otherwise why it is ignored;
-- p_repository_id is null for events that have no repository (of an organisation, say), which are all ignored. p_mode: 'new'; 'again': the caller asked before and
-- lost the answer, so what was stored of this very delivery is the answer; 'rerun': an operator, p_actor, has a stored one judged anew, whatever became of it.
-- The outcome 'other_repository' stores nothing; 'unknown' says that the app is gone. wait_ms: until the same push could be taken (null: not known).
-- burst, per_hour and tokens are the bucket's, null when it was not asked. quota: the one that refuses, or is near its limit.
CREATE FUNCTION berth.take_delivery(
    p_app text, p_delivery text, p_event text, p_event_reason text, p_body_sha256 bytea, p_body bytea,
    p_repository text, p_repository_id bigint, p_branch text, p_commit text, p_commit_title text, p_pushed_by text,
    p_mode text, p_actor text)
RETURNS TABLE (outcome text, reason text, hint text, release int, quota text, wait_ms bigint, burst bigint, per_hour bigint, tokens bigint,
               quota_used bigint, quota_needed bigint, quota_limit bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
DECLARE
    app    apps%ROWTYPE;
    past   deliveries%ROWTYPE;
    newest releases%ROWTYPE;
    bucket record;
    made   record;
    keep   bytea := p_body;
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

    IF p_mode <> 'rerun' THEN
        SELECT * INTO past FROM deliveries d WHERE d.app_name = p_app AND d.delivery_id = p_delivery;
        IF FOUND AND p_mode = 'again' THEN
            outcome := past.outcome; reason := past.reason; release := past.release;
            IF outcome = 'limited' THEN
                SELECT u.wait_ms, u.burst, u.per_hour, floor(u.tokens) INTO wait_ms, burst, per_hour, tokens FROM rate_use(p_app) u;
            END IF;
            RETURN NEXT; RETURN;
        END IF;
        IF FOUND AND past.outcome IN ('accepted', 'ignored', 'duplicate') AND past.received_at >= app.created_at THEN
            outcome := 'duplicate';
            reason := 'delivery ' || p_delivery || ' was taken in before: ' || past.outcome;
            release := past.release;
            RETURN NEXT; RETURN;
        END IF;
    END IF;

    past := NULL; newest := NULL;
    IF p_event_reason IS NOT NULL THEN
        outcome := 'ignored'; reason := p_event_reason;
    ELSIF p_branch IS DISTINCT FROM app.branch THEN
        outcome := 'ignored'; reason := 'a push to ' || p_branch || '; the app is built from ' || app.branch;
    ELSIF app.state <> 'active' THEN
        outcome := 'paused'; reason := 'the app is ' || app.state;
        IF app.state = 'paused' THEN
            hint := 'The branch is looked at again when an operator resumes the app: `berth apps resume ' || p_app || '`.';
            PERFORM owe_look(p_app, 'paused', 'infinity');
        END IF;
    ELSE
        IF p_mode <> 'rerun' THEN
            SELECT * INTO past FROM deliveries d
             WHERE d.app_name = p_app AND d.body_sha256 = p_body_sha256 AND d.outcome = 'accepted'
               AND d.received_at >= app.created_at LIMIT 1; -- what came before it was destroyed and made again is another app's
            SELECT * INTO newest FROM releases r
             WHERE r.app_name = p_app AND r.kind = 'push' AND r.created_at >= app.created_at ORDER BY r.number DESC LIMIT 1;
        END IF;
        IF past.app_name IS NOT NULL THEN
            outcome := 'duplicate'; reason := 'the same push as delivery ' || past.delivery_id; release := past.release;
        ELSIF newest.commit_sha = p_commit AND newest.state NOT IN ('failed', 'superseded', 'cancelled') THEN
            outcome := 'duplicate'; reason := 'v' || newest.number || ' is of this commit'; release := newest.number;
        ELSE
            SELECT * INTO bucket FROM rate_use(p_app);
            burst := bucket.burst; per_hour := bucket.per_hour; tokens := floor(bucket.tokens);
            IF bucket.tokens < 1 THEN
                outcome := 'limited'; wait_ms := bucket.wait_ms;
                reason := 'pushes come faster than ' || thousands(bucket.per_hour) || ' an hour with ' || thousands(bucket.burst) || ' at once';
                hint := 'Nothing is lost: the branch ' || app.branch || ' is looked at again in ' || ceil(wait_ms / 1000.0) || ' s. '
                     || 'An operator of berth can raise the limit: `berth ratelimit set ' || p_app || ' pushes_per_hour=' || bucket.per_hour * 2 || '`.';
                -- Of a flood no bodies are kept: the look tells what is to be deployed.
                IF EXISTS (SELECT 1 FROM looks l WHERE l.app_name = p_app) THEN
                    keep := NULL;
                END IF;
                PERFORM owe_look(p_app, 'limited', clock_timestamp() + wait_ms * interval '1 millisecond');
            ELSE
                SELECT * INTO made FROM admit_release(p_app, 'push', p_commit, p_commit_title, p_pushed_by, p_delivery, NULL,
                    CASE WHEN p_actor IS NULL THEN 'Queued by a push to ' || p_branch || '.'
                         ELSE 'Queued by ' || p_actor || ', who ran delivery ' || p_delivery || ' again.' END);
                quota := made.quota; quota_used := made.used; quota_needed := made.needed; quota_limit := made.in_force;
                IF made.number IS NULL THEN
                    outcome := 'over_quota'; reason := made.told; hint := made.hint;
                    IF made.free_at < 'infinity' THEN
                        wait_ms := ceil(greatest(0, extract(epoch FROM made.free_at - clock_timestamp()) * 1000));
                    END IF;
                    PERFORM owe_look(p_app, 'over_quota', made.free_at);
                ELSE
                    outcome := 'accepted'; reason := 'a push to ' || p_branch; release := made.number;
                    hint := CASE WHEN made.quota IS NOT NULL THEN 'Near a quota: ' || made.told || '.' END;
                    tokens := tokens - 1;
                    PERFORM spend_token(p_app);
                END IF;
            END IF;
        END IF;
    END IF;

    INSERT INTO deliveries AS d (app_name, delivery_id, event, outcome, reason, release, body_sha256, body,
                                 branch, commit_sha, commit_title, pushed_by)
    VALUES (p_app, p_delivery, p_event, outcome, reason, release, p_body_sha256, keep, p_branch, p_commit, p_commit_title, p_pushed_by)
    ON CONFLICT (app_name, delivery_id) DO UPDATE
       SET event = excluded.event, outcome = excluded.outcome, reason = excluded.reason, release = excluded.release,
           body_sha256 = excluded.body_sha256, body = coalesce(excluded.body, d.body), received_at = now(),
           branch = excluded.branch, commit_sha = excluded.commit_sha, commit_title = excluded.commit_title, pushed_by = excluded.pushed_by;
    RETURN NEXT;
END
$$;

-- What the responders of the version before ask. (The owner of a schema may drop what is in it, and not replace what others own.)
DROP FUNCTION berth.intake(text, text, text, text, bytea, bytea, text, bigint, text, text, text, text, boolean);
CREATE FUNCTION berth.intake(
    p_app text, p_delivery text, p_event text, p_event_reason text, p_body_sha256 bytea, p_body bytea,
    p_repository text, p_repository_id bigint, p_branch text, p_commit text, p_commit_title text, p_pushed_by text,
    p_again boolean DEFAULT false)
RETURNS TABLE (outcome text, reason text, release int)
LANGUAGE sql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
    -- It knows no outcome over_quota or limited, and answers an error, which GitHub shows; the look is owed all the same.
    SELECT t.outcome, t.reason, t.release
      FROM take_delivery(p_app, p_delivery, p_event, p_event_reason, p_body_sha256, p_body, p_repository, p_repository_id, p_branch, p_commit,
                         p_commit_title, p_pushed_by, CASE WHEN p_again THEN 'again' ELSE 'new' END, NULL) t
$$;

-- ---- Looking again ----

-- Leases one look that is due.
CREATE FUNCTION berth.claim_look(p_worker text, p_lease_ms int)
RETURNS TABLE (app_name text, lease_token bigint, attempt int)
LANGUAGE sql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
    UPDATE looks l
       SET lease_token = nextval('lease_tokens'), leased_by = p_worker, lease_until = now() + p_lease_ms * interval '1 millisecond',
           attempt = l.attempt + 1, claimed_at = clock_timestamp()
      FROM (SELECT d.app_name FROM looks d
             WHERE d.run_after <= now() AND (d.lease_until IS NULL OR d.lease_until < now())
             ORDER BY d.run_after LIMIT 1 FOR UPDATE SKIP LOCKED) due
     WHERE l.app_name = due.app_name
    RETURNING l.app_name, l.lease_token, l.attempt
$$;

-- Milliseconds until claim_look would find the next one (0: now); null when none is owed at a known time.
CREATE FUNCTION berth.next_look_ms() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = berth, pg_temp AS $$
    SELECT CASE WHEN count(*) > 0 THEN greatest(0, ceil(extract(epoch FROM min(greatest(l.run_after, l.lease_until)) - now()) * 1000)) END::bigint
      FROM looks l WHERE l.run_after < 'infinity'
$$;

-- The look was not possible (GitHub is away, say): again later.
CREATE FUNCTION berth.put_off_look(p_app text, p_token bigint, p_delay_ms bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
    UPDATE looks l SET run_after = now() + p_delay_ms * interval '1 millisecond', lease_token = NULL, lease_until = NULL, leased_by = NULL
     WHERE l.app_name = p_app AND l.lease_token = p_token
$$;

-- The branch's head was looked at, under p_token: p_head null when the branch is gone. verdict: 'released', 'nothing' (it needs none), 'waits' (again when there is
-- room), 'lost' (another worker holds the look).
CREATE FUNCTION berth.settle_look(p_app text, p_token bigint, p_head text, p_title text, p_by text)
RETURNS TABLE (verdict text, release int, told text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
DECLARE
    app    apps%ROWTYPE;
    owed   looks%ROWTYPE;
    newest releases%ROWTYPE;
    bucket record;
    made   record;
BEGIN
    SELECT * INTO app FROM apps a WHERE a.app_name = p_app FOR NO KEY UPDATE;
    SELECT * INTO owed FROM looks l WHERE l.app_name = p_app AND l.lease_token = p_token FOR UPDATE;
    IF NOT FOUND THEN
        verdict := 'lost'; RETURN NEXT; RETURN;
    END IF;
    SELECT * INTO newest FROM releases r
     WHERE r.app_name = p_app AND r.kind IN ('push', 'redeploy') AND r.created_at >= app.created_at ORDER BY r.number DESC LIMIT 1;
    SELECT * INTO bucket FROM rate_use(p_app);
    IF app.state = 'paused' THEN
        verdict := 'waits'; told := 'the app is paused';
        PERFORM owe_look(p_app, 'paused', 'infinity');
    ELSIF app.state <> 'active' OR p_head IS NULL OR newest.commit_sha = p_head THEN
        verdict := 'nothing';
        told := CASE WHEN app.state <> 'active' THEN 'the app is ' || app.state WHEN p_head IS NULL THEN 'the branch ' || app.branch || ' is gone'
                     ELSE 'v' || newest.number || ' is of the branch''s head' END;
    ELSIF bucket.tokens < 1 THEN
        verdict := 'waits'; told := 'the bucket is empty';
        PERFORM owe_look(p_app, 'limited', clock_timestamp() + bucket.wait_ms * interval '1 millisecond');
    ELSE
        SELECT * INTO made FROM admit_release(p_app, 'push', p_head, p_title, p_by, NULL, NULL,
            'Queued at the head of ' || app.branch || ': an earlier push was turned away ('
            || CASE owed.reason WHEN 'limited' THEN 'rate limit' WHEN 'over_quota' THEN 'quota' ELSE 'paused' END || ').');
        IF made.number IS NULL THEN
            verdict := 'waits'; told := made.told;
            PERFORM owe_look(p_app, 'over_quota', made.free_at);
        ELSE
            verdict := 'released'; release := made.number;
            PERFORM spend_token(p_app);
        END IF;
    END IF;
    IF verdict = 'waits' THEN
        UPDATE looks l SET lease_token = NULL, lease_until = NULL, leased_by = NULL WHERE l.app_name = p_app;
    ELSIF owed.owed_at > owed.claimed_at THEN
        -- Another push was turned away while the head was being read: it may be newer than what was seen.
        UPDATE looks l SET lease_token = NULL, lease_until = NULL, leased_by = NULL, attempt = 0, run_after = greatest(now(), l.run_after)
         WHERE l.app_name = p_app;
    ELSE
        DELETE FROM looks l WHERE l.app_name = p_app;
    END IF;
    RETURN NEXT;
END
$$;

-- Room was made: looks that waited for it are due. p_app null: of all apps that aren't paused.
CREATE FUNCTION berth.hasten_looks(p_app text) RETURNS int
LANGUAGE plpgsql SET search_path = berth, pg_temp AS $$
DECLARE
    hastened int;
BEGIN
    UPDATE looks l SET run_after = least(l.run_after, now()), attempt = 0 WHERE CASE WHEN p_app IS NULL THEN l.reason <> 'paused' ELSE l.app_name = p_app END;
    GET DIAGNOSTICS hastened = ROW_COUNT;
    IF hastened > 0 THEN
        PERFORM pg_notify('berth_releases', '');
    END IF;
    RETURN hastened;
END
$$;

-- As in 0001, and its limits go with it: an app made anew under the name begins with the defaults.
DROP FUNCTION berth.finish_teardown(text, bigint);
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
    DELETE FROM quotas q WHERE q.app_name = p_app;
    DELETE FROM rate_limits l WHERE l.app_name = p_app;
    DELETE FROM looks l WHERE l.app_name = p_app;
    UPDATE apps a SET state = 'deleted', updated_at = now() WHERE a.app_name = p_app AND a.state = 'deleting';
    INSERT INTO audit_log (actor, action, app_name) VALUES (who, 'app.destroyed', p_app);
    RETURN NEXT;
END
$$;

-- ---- Grants ----

REVOKE ALL ON FUNCTION berth.app_directory(), berth.quota_use(text, boolean), berth.rate_use(text), berth.quota_title(text), berth.thousands(bigint),
    berth.check_quota(text, text, int, int, int), berth.admit_release(text, text, text, text, text, text, int, text), berth.spend_token(text),
    berth.owe_look(text, text, timestamptz), berth.claim_look(text, int), berth.next_look_ms(), berth.put_off_look(text, bigint, bigint),
    berth.settle_look(text, bigint, text, text, text), berth.hasten_looks(text),
    berth.take_delivery(text, text, text, text, bytea, bytea, text, bigint, text, text, text, text, text, text),
    berth.intake(text, text, text, text, bytea, bytea, text, bigint, text, text, text, text, boolean), berth.finish_teardown(text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION berth.app_directory(), berth.intake(text, text, text, text, bytea, bytea, text, bigint, text, text, text, text, boolean) TO berth_hooks;
GRANT EXECUTE ON FUNCTION berth.take_delivery(text, text, text, text, bytea, bytea, text, bigint, text, text, text, text, text, text)
    TO berth_hooks, berth_admin;
GRANT EXECUTE ON FUNCTION berth.quota_use(text, boolean), berth.rate_use(text), berth.quota_title(text), berth.thousands(bigint),
    berth.check_quota(text, text, int, int, int), berth.admit_release(text, text, text, text, text, text, int, text)
    TO berth_intake, berth_admin;
GRANT EXECUTE ON FUNCTION berth.spend_token(text), berth.owe_look(text, text, timestamptz) TO berth_intake;
GRANT EXECUTE ON FUNCTION berth.hasten_looks(text) TO berth_admin;
GRANT EXECUTE ON FUNCTION berth.claim_look(text, int), berth.next_look_ms(), berth.put_off_look(text, bigint, bigint),
    berth.settle_look(text, bigint, text, text, text), berth.finish_teardown(text, bigint) TO berth_worker;

GRANT CREATE ON SCHEMA berth TO berth_intake, berth_dispatch;
ALTER FUNCTION berth.app_directory() OWNER TO berth_dispatch;
ALTER FUNCTION berth.take_delivery(text, text, text, text, bytea, bytea, text, bigint, text, text, text, text, text, text) OWNER TO berth_intake;
ALTER FUNCTION berth.intake(text, text, text, text, bytea, bytea, text, bigint, text, text, text, text, boolean) OWNER TO berth_intake;
ALTER FUNCTION berth.settle_look(text, bigint, text, text, text) OWNER TO berth_intake;
ALTER FUNCTION berth.finish_teardown(text, bigint) OWNER TO berth_dispatch;
ALTER FUNCTION berth.claim_look(text, int) OWNER TO berth_dispatch;
ALTER FUNCTION berth.next_look_ms() OWNER TO berth_dispatch;
ALTER FUNCTION berth.put_off_look(text, bigint, bigint) OWNER TO berth_dispatch;
REVOKE CREATE ON SCHEMA berth FROM berth_intake, berth_dispatch;
