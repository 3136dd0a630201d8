-- What is refused tells whom it will be tried again for, and a flood of refusals keeps little.

-- As in 0005, and only a push is told that its branch is looked at again: who deploys or rolls back is the one to try again.
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
                           WHEN 'releases_per_hour' THEN CASE p_kind WHEN 'push' THEN 'The branch is looked at again when the hour has passed. '
                                                                       ELSE 'There is room again when the hour has passed. ' END
                           ELSE '' END
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
                hint := CASE p_kind WHEN 'push' THEN 'The branch is looked at again in a minute, as a release is on its way. '
                                    ELSE 'A release is on its way: when it has ended there may be room. ' END || hint;
            END IF;
        END IF;
    END IF;
    RETURN NEXT;
END
$$;

-- As in 0002, and a flood over a quota keeps no bodies either. Takes one proven delivery in, exactly once. p_event_reason: null for a push to a branch that could make a release, otherwise why it is ignored;
-- p_repository_id is null for events that have no repository (of an organisation, say), which are all ignored. p_mode: 'new'; 'again': the caller asked before and
-- lost the answer, so what was stored of this very delivery is the answer; 'rerun': an operator, p_actor, has a stored one judged anew, whatever became of it.
-- The outcome 'other_repository' stores nothing; 'unknown' says that the app is gone. wait_ms: until the same push could be taken (null: not known).
-- burst, per_hour and tokens are the bucket's, null when it was not asked. quota: the one that refuses, or is near its limit.
DROP FUNCTION berth.take_delivery(text, text, text, text, bytea, bytea, text, bigint, text, text, text, text, text, text);
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
    was_owed boolean; -- of a flood only the first body is kept: the look tells what is to be deployed
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
            SELECT EXISTS (SELECT 1 FROM looks l WHERE l.app_name = p_app) INTO was_owed;
            SELECT * INTO bucket FROM rate_use(p_app);
            burst := bucket.burst; per_hour := bucket.per_hour; tokens := floor(bucket.tokens);
            IF bucket.tokens < 1 THEN
                outcome := 'limited'; wait_ms := bucket.wait_ms;
                reason := 'pushes come faster than ' || thousands(bucket.per_hour) || ' an hour with ' || thousands(bucket.burst) || ' at once';
                hint := 'Nothing is lost: the branch ' || app.branch || ' is looked at again in ' || ceil(wait_ms / 1000.0) || ' s. '
                     || 'An operator of berth can raise the limit: `berth ratelimit set ' || p_app || ' pushes_per_hour=' || bucket.per_hour * 2 || '`.';
                keep := CASE WHEN NOT was_owed THEN p_body END;
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
                    keep := CASE WHEN NOT was_owed THEN p_body END;
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

REVOKE ALL ON FUNCTION berth.take_delivery(text, text, text, text, bytea, bytea, text, bigint, text, text, text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION berth.take_delivery(text, text, text, text, bytea, bytea, text, bigint, text, text, text, text, text, text)
    TO berth_hooks, berth_admin;

GRANT CREATE ON SCHEMA berth TO berth_intake;
ALTER FUNCTION berth.take_delivery(text, text, text, text, bytea, bytea, text, bigint, text, text, text, text, text, text) OWNER TO berth_intake;
REVOKE CREATE ON SCHEMA berth FROM berth_intake;
