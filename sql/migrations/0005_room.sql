-- Quotas without a way round them, and refusals that are told where a person looks and forgotten by nobody.

-- As in 0002, and: a push counts the rollback that it goes after; what waits for room that a release on its way may make is looked at again by itself.
CREATE OR REPLACE FUNCTION berth.check_quota(p_app text, p_kind text, p_cpu_units int, p_memory_mib int, p_tasks int)
RETURNS TABLE (refused boolean, quota text, used bigint, needed bigint, in_force bigint, told text, hint text, free_at timestamptz)
LANGUAGE plpgsql STABLE SET search_path = berth, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    u     record;
    worst record;
    need  bigint;
    size  boolean;
    first record; -- what a push goes after, though it has not begun: of all its tasks together
BEGIN
    refused := false;
    -- A rollback that is queued comes first, and is what is live when a push that comes after it is rolled out. Whatever else is queued gives way.
    SELECT coalesce(max(r.tasks::bigint * r.cpu_units), 0) AS cpu_units, coalesce(max(r.tasks::bigint * r.memory_mib), 0) AS memory_mib,
           coalesce(max(r.tasks), 0)::bigint AS tasks
      INTO first
      FROM releases r WHERE r.app_name = p_app AND r.state = 'queued' AND r.kind = 'rollback' AND p_kind = 'push';
    FOR u IN SELECT q.* FROM quota_use(p_app, false) q LOOP
        size := u.quota IN ('cpu_units', 'memory_mib', 'tasks');
        IF size THEN
            u.base := greatest(u.base, CASE u.quota WHEN 'cpu_units' THEN first.cpu_units WHEN 'memory_mib' THEN first.memory_mib ELSE first.tasks END);
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
        ELSIF size OR quota = 'image_mib' THEN
            -- What is on its way may fail, run with less, or have older images removed: then there is room without an operator.
            PERFORM 1 FROM releases r WHERE r.app_name = p_app AND r.state IN ('queued', 'running');
            IF FOUND THEN
                free_at := now() + interval '1 minute';
                hint := 'The branch is looked at again in a minute, as a release is on its way. ' || hint;
            END IF;
        END IF;
    END IF;
    RETURN NEXT;
END
$$;

-- As in 0002, and a refusal is told in the timeline of the app's newest release.
CREATE OR REPLACE FUNCTION berth.admit_release(
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
    IF verdict.refused THEN
        -- Told once: pushes that are refused while the branch waits for room already are in the list of deliveries.
        INSERT INTO release_events (app_name, release, step, kind, message)
        SELECT p_app, r.number, r.step, 'info', 'A further release, at ' || left(p_commit, 7) || ', was refused. ' || verdict.told || '. ' || verdict.hint
          FROM apps a JOIN releases r ON r.app_name = a.app_name AND r.number = a.last_release
         WHERE a.app_name = p_app AND NOT EXISTS (SELECT 1 FROM looks l WHERE l.app_name = p_app AND l.reason = 'over_quota');
    ELSE
        number := queue_release(p_app, p_kind, p_commit, p_title, p_by, p_delivery, p_rollback_to, p_told);
        IF verdict.quota IS NOT NULL THEN
            INSERT INTO release_events (app_name, release, step, kind, message)
            VALUES (p_app, number, CASE WHEN p_kind = 'rollback' THEN 'route' ELSE 'source' END, 'info', 'Near a quota: ' || verdict.told || '.');
        END IF;
    END IF;
    RETURN NEXT;
END
$$;

-- As in 0001, and the head that is brought back needs room as any other: its branch is looked at when there is.
DROP FUNCTION berth.follow_head(text, int, bigint, text, boolean);
CREATE FUNCTION berth.follow_head(p_app text, p_number int, p_token bigint, p_head text, p_fresh boolean)
RETURNS TABLE (verdict text, reason text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
DECLARE
    app     apps%ROWTYPE;
    mine    releases%ROWTYPE;
    other   releases%ROWTYPE;
    winner  int;
    made    record;
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
        SELECT * INTO made FROM admit_release(p_app, 'push', other.commit_sha, other.commit_title, other.pushed_by, other.delivery_id, NULL,
                            'Queued again: ' || reason || ', and v' || p_number || ' came late.');
        winner := coalesce(made.number, winner);
        IF made.number IS NULL THEN
            PERFORM owe_look(p_app, 'over_quota', made.free_at);
            reason := reason || '; a quota keeps it from being deployed again: ' || made.told;
        ELSE
            reason := reason || '; v' || winner || ' deploys it';
        END IF;
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

-- As in 0004, and a push whose commit had failed or given way before it came is tried again, as it would have been had there been room.
DROP FUNCTION berth.settle_look(text, bigint, text, text, text, text);
CREATE FUNCTION berth.settle_look(p_app text, p_token bigint, p_head text, p_title text, p_by text, p_branch text DEFAULT NULL)
RETURNS TABLE (verdict text, release int, told text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
DECLARE
    app    apps%ROWTYPE;
    owed   looks%ROWTYPE;
    newest releases%ROWTYPE;
    bucket record;
    made   record;
    settled_at timestamptz; -- what came before it is in the head that was read
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
    ELSIF app.state = 'active' AND p_branch <> app.branch THEN
        verdict := 'waits'; told := 'the app is built from ' || app.branch || ' by now';
        PERFORM owe_look(p_app, owed.reason, clock_timestamp());
    ELSIF app.state <> 'active' OR p_head IS NULL
          OR (newest.commit_sha = p_head AND NOT (newest.state IN ('failed', 'superseded', 'cancelled') AND newest.created_at < owed.owed_at)) THEN
        verdict := 'nothing';
        told := CASE WHEN app.state <> 'active' THEN 'the app is ' || app.state WHEN p_head IS NULL THEN 'the branch ' || app.branch || ' is gone'
                     ELSE 'v' || newest.number || ' is of the branch''s head' END;
    ELSIF bucket.tokens < 1 THEN
        verdict := 'waits'; told := 'the bucket is empty';
        PERFORM owe_look(p_app, 'limited', clock_timestamp() + bucket.wait_ms * interval '1 millisecond');
    ELSE
        SELECT * INTO made FROM admit_release(p_app, 'push', p_head, p_title, p_by, NULL, NULL,
            'Queued at the head of ' || app.branch || CASE owed.reason
                WHEN 'asked' THEN ': an operator asked for a look.'
                WHEN 'limited' THEN ': an earlier push was turned away (rate limit).'
                WHEN 'over_quota' THEN ': an earlier push was turned away (quota).'
                ELSE ': an earlier push was turned away (paused).' END);
        IF made.number IS NULL THEN
            verdict := 'waits'; told := made.told;
            PERFORM owe_look(p_app, 'over_quota', made.free_at);
        ELSE
            verdict := 'released'; release := made.number;
            PERFORM spend_token(p_app);
        END IF;
    END IF;
    settled_at := owed.owed_at + CASE WHEN owed.reason IN ('limited', 'over_quota') THEN interval '2 seconds' ELSE interval '0' END;
    IF verdict = 'waits' THEN
        UPDATE looks l SET lease_token = NULL, lease_until = NULL, leased_by = NULL, attempt = 0 WHERE l.app_name = p_app;
    ELSIF settled_at > owed.claimed_at AND app.state = 'active' THEN
        -- Another push was turned away while the head was being read, or just before: it may be newer than what was seen.
        UPDATE looks l SET lease_token = NULL, lease_until = NULL, leased_by = NULL, attempt = 0, run_after = greatest(now(), l.run_after, settled_at)
         WHERE l.app_name = p_app;
    ELSE
        DELETE FROM looks l WHERE l.app_name = p_app;
    END IF;
    RETURN NEXT;
END
$$;

REVOKE ALL ON FUNCTION berth.follow_head(text, int, bigint, text, boolean), berth.settle_look(text, bigint, text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION berth.follow_head(text, int, bigint, text, boolean), berth.settle_look(text, bigint, text, text, text, text) TO berth_worker;

GRANT CREATE ON SCHEMA berth TO berth_intake;
ALTER FUNCTION berth.follow_head(text, int, bigint, text, boolean) OWNER TO berth_intake;
ALTER FUNCTION berth.settle_look(text, bigint, text, text, text, text) OWNER TO berth_intake;
REVOKE CREATE ON SCHEMA berth FROM berth_intake;
