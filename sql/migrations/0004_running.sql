-- What a release runs with, fixed when it is queued; looks that lose no push of a flood, or of a branch that was changed meanwhile; a teardown that ends an app's image storage.

-- ---- What a release runs with ----

-- The rest of what is fixed when a release is queued: a rollback runs the old image with the port that it listens at. Null: of before this migration, as the app has it.
ALTER TABLE berth.releases
    ADD COLUMN port              int CHECK (port BETWEEN 1 AND 65535),
    ADD COLUMN health_check_path text CHECK (health_check_path ~ '^/' AND length(health_check_path) <= 1024);
CREATE INDEX releases_images_unsized ON berth.releases (app_name, number)
    WHERE image_digest IS NOT NULL AND image_bytes IS NULL AND pruned_at IS NULL;

-- What is live or under way is known to run with what its app has now.
UPDATE berth.releases r
   SET port = a.port, health_check_path = a.health_check_path
  FROM berth.apps a
 WHERE a.app_name = r.app_name
   AND (r.state IN ('queued', 'running') OR EXISTS (SELECT FROM berth.deployments d WHERE d.app_name = r.app_name AND d.release = r.number));

-- As in 0002, and port and health check are fixed too; the size of the image that a rollback runs again is known.
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
                          cpu_units, memory_mib, tasks, port, health_check_path)
    SELECT p_app, made, p_kind, first_step, least(place, now()), p_commit, p_title, p_by, p_delivery, p_rollback_to,
           coalesce(o.cpu_units, a.cpu_units), coalesce(o.memory_mib, a.memory_mib), coalesce(o.tasks, a.tasks),
           coalesce(o.port, a.port), coalesce(o.health_check_path, a.health_check_path)
      FROM apps a LEFT JOIN releases o ON o.app_name = a.app_name AND o.number = p_rollback_to
     WHERE a.app_name = p_app;
    INSERT INTO release_events (app_name, release, step, kind, message) VALUES (p_app, made, first_step, 'info', p_told);
    UPDATE releases r
       SET image_digest = o.image_digest, source_version = o.source_version, image_bytes = o.image_bytes
      FROM releases o
     WHERE p_rollback_to IS NOT NULL AND r.app_name = p_app AND r.number = made AND o.app_name = p_app AND o.number = p_rollback_to;
    RETURN made;
END
$$;

-- As in 0002, and the images that went with their repository are no storage of an app that is made anew under the name.
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
    UPDATE releases r SET pruned_at = now() WHERE r.app_name = p_app AND r.pruned_at IS NULL AND r.image_digest IS NOT NULL;
    UPDATE apps a SET state = 'deleted', updated_at = now() WHERE a.app_name = p_app AND a.state = 'deleting';
    INSERT INTO audit_log (actor, action, app_name) VALUES (who, 'app.destroyed', p_app);
    RETURN NEXT;
END
$$;

-- ---- Looking again ----

-- As in 0003, and a look that comes within two seconds of a limited push is followed by another: for a second of
-- them responders refuse a flood from memory, so that the newest of it may not be known here. The branch's head was looked at, under p_token: p_head null when the
-- branch is gone; p_branch: the one that was read, null: the app's. verdict: 'released', 'nothing' (it needs none), 'waits' (again when there is room), 'lost' (another worker holds the look).
DROP FUNCTION berth.settle_look(text, bigint, text, text, text);
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
          OR (newest.commit_sha = p_head AND NOT (owed.reason = 'asked' AND newest.state IN ('failed', 'superseded', 'cancelled'))) THEN
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

-- ---- Who may what ----

REVOKE ALL ON FUNCTION berth.settle_look(text, bigint, text, text, text, text), berth.finish_teardown(text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION berth.settle_look(text, bigint, text, text, text, text), berth.finish_teardown(text, bigint) TO berth_worker;

GRANT CREATE ON SCHEMA berth TO berth_intake, berth_dispatch;
ALTER FUNCTION berth.settle_look(text, bigint, text, text, text, text) OWNER TO berth_intake;
ALTER FUNCTION berth.finish_teardown(text, bigint) OWNER TO berth_dispatch;
REVOKE CREATE ON SCHEMA berth FROM berth_intake, berth_dispatch;
