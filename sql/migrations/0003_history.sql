-- What the pages of releases, deliveries and the audit log need: orders to read them in, an end to what is kept, and a look that an operator asked for.

CREATE INDEX releases_by_time ON berth.releases (created_at) INCLUDE (app_name);
CREATE INDEX deliveries_of_app ON berth.deliveries (app_name, received_at, delivery_id);
CREATE INDEX deliveries_with_body ON berth.deliveries (received_at) WHERE body IS NOT NULL;
CREATE INDEX audit_log_by_actor ON berth.audit_log (actor, id);
CREATE INDEX audit_log_by_action ON berth.audit_log (action text_pattern_ops, id);
CREATE INDEX audit_log_by_time ON berth.audit_log (at);

-- ---- Looking again ----

-- As in 0002; it tells of a look that an operator asked for, too. The branch's head was looked at, under p_token: p_head null when the branch is gone.
-- verdict: 'released', 'nothing' (it needs none), 'waits' (again when there is
-- room), 'lost' (another worker holds the look).
DROP FUNCTION berth.settle_look(text, bigint, text, text, text);
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

-- ---- An end to what is kept ----

-- Deletes one batch of what is kept no longer: what GitHub sent first, then the whole delivery. Returns how many went of the larger kind.
CREATE FUNCTION berth.expire_deliveries(p_body_days int, p_days int, p_batch int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
DECLARE
    bodies int;
    gone   int;
BEGIN
    UPDATE deliveries d SET body = NULL
      FROM (SELECT o.app_name, o.delivery_id FROM deliveries o
             WHERE o.body IS NOT NULL AND o.received_at < now() - make_interval(days => p_body_days)
             ORDER BY o.received_at LIMIT p_batch FOR UPDATE SKIP LOCKED) old
     WHERE d.app_name = old.app_name AND d.delivery_id = old.delivery_id;
    GET DIAGNOSTICS bodies = ROW_COUNT;
    DELETE FROM deliveries d
     USING (SELECT o.app_name, o.delivery_id FROM deliveries o
             WHERE o.received_at < now() - make_interval(days => p_days)
             ORDER BY o.received_at LIMIT p_batch FOR UPDATE SKIP LOCKED) old
     WHERE d.app_name = old.app_name AND d.delivery_id = old.delivery_id;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN greatest(bodies, gone);
END
$$;

-- ---- Who may what ----

CREATE POLICY expire ON berth.deliveries TO berth_dispatch USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE, DELETE ON berth.deliveries TO berth_dispatch;

REVOKE ALL ON FUNCTION berth.settle_look(text, bigint, text, text, text), berth.expire_deliveries(int, int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION berth.settle_look(text, bigint, text, text, text), berth.expire_deliveries(int, int, int) TO berth_worker;

GRANT CREATE ON SCHEMA berth TO berth_intake, berth_dispatch;
ALTER FUNCTION berth.settle_look(text, bigint, text, text, text) OWNER TO berth_intake;
ALTER FUNCTION berth.expire_deliveries(int, int, int) OWNER TO berth_dispatch;
REVOKE CREATE ON SCHEMA berth FROM berth_intake, berth_dispatch;
