-- Long histories: what is on an app's ordinary paths reads as much of them after years as after a day. Images and task definitions that nobody recorded are removed, too.

-- ---- What no release needs any more ----

ALTER TABLE berth.releases
    ADD COLUMN retired_at timestamptz; -- no rollback goes back to it from then on: its image and task definition are about to be removed (pruned_at: they are gone)

-- What may still have something on AWS: little, however long the history. It names only columns that are in other indexes, or change as a release ends.
CREATE INDEX releases_kept ON berth.releases (app_name, number) WHERE pruned_at IS NULL AND finished_at IS NOT NULL;

-- Retires what no release needs any more (neither the last p_kept live ones nor anything under way), under the lease of release p_number, at most p_most. Nothing is retired
-- while the app's row is locked by who queues a rollback, and a rollback sees what was. image_digest, task_definition_arn: null where a kept release has the same. tags: of so
-- many attempts, from the first, the image has no digest on record, if there is one: a build that was stopped, or ended badly, may have pushed it. It may until it has
-- ended, at the latest p_build_minutes after its release.
CREATE FUNCTION berth.retire_releases(p_app text, p_number int, p_token bigint, p_kept int, p_build_minutes int, p_most int)
RETURNS TABLE (number int, image_digest text, task_definition_arn text, tags int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = berth, pg_temp AS $$
#variable_conflict use_column
DECLARE
    app apps%ROWTYPE;
BEGIN
    SELECT * INTO app FROM apps a WHERE a.app_name = p_app FOR NO KEY UPDATE;
    PERFORM 1 FROM releases r WHERE r.app_name = p_app AND r.number = p_number AND r.lease_token = p_token AND r.state = 'running';
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- Of the oldest, those that ended before anything was made for them, or went with an app of this name that was destroyed: they only leave the index.
    UPDATE releases r
       SET pruned_at = now()
      FROM (SELECT o.number, o.created_at < app.created_at OR (o.image_digest IS NULL AND o.task_definition_arn IS NULL AND o.build_attempt = 0) AS nothing
              FROM releases o
             WHERE o.app_name = p_app AND o.number < p_number AND o.pruned_at IS NULL AND o.finished_at IS NOT NULL
             ORDER BY o.number LIMIT 1000) old
     WHERE old.nothing AND r.app_name = p_app AND r.number = old.number;
    RETURN QUERY
    WITH kept AS MATERIALIZED (
        (SELECT l.number, l.image_digest, l.task_definition_arn FROM releases l
          WHERE l.app_name = p_app AND l.state = 'live' AND l.pruned_at IS NULL AND l.finished_at IS NOT NULL ORDER BY l.number DESC LIMIT p_kept)
        UNION ALL
        SELECT w.number, w.image_digest, w.task_definition_arn FROM releases w WHERE w.app_name = p_app AND w.number >= p_number
        UNION ALL
        SELECT w.number, w.image_digest, w.task_definition_arn FROM releases w WHERE w.app_name = p_app AND w.state IN ('queued', 'running')
        UNION ALL
        SELECT d.release, d.image_digest, d.task_definition_arn FROM deployments d WHERE d.app_name = p_app),
    needless AS MATERIALIZED (
        SELECT r.number, r.image_digest, r.task_definition_arn, r.build_attempt
          FROM releases r
         WHERE r.app_name = p_app AND r.number < p_number AND r.pruned_at IS NULL AND r.finished_at IS NOT NULL
           AND (r.image_digest IS NOT NULL OR r.finished_at < now() - make_interval(mins => p_build_minutes))
           AND r.number NOT IN (SELECT k.number FROM kept k)
         ORDER BY r.number LIMIT p_most),
    retired AS (
        UPDATE releases r SET retired_at = now() FROM needless n WHERE r.app_name = p_app AND r.number = n.number AND r.retired_at IS NULL)
    SELECT n.number,
           CASE WHEN n.image_digest NOT IN (SELECT k.image_digest FROM kept k WHERE k.image_digest IS NOT NULL) THEN n.image_digest END,
           CASE WHEN n.task_definition_arn NOT IN (SELECT k.task_definition_arn FROM kept k WHERE k.task_definition_arn IS NOT NULL) THEN n.task_definition_arn END,
           CASE WHEN n.image_digest IS NULL THEN n.build_attempt ELSE greatest(0, n.build_attempt - 1) END
      FROM needless n
     ORDER BY n.number;
END
$$;

-- As in 0004, and so is whatever builds have left behind that are not on record.
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
    UPDATE releases r SET pruned_at = now() WHERE r.app_name = p_app AND r.pruned_at IS NULL AND r.finished_at IS NOT NULL;
    UPDATE apps a SET state = 'deleted', updated_at = now() WHERE a.app_name = p_app AND a.state = 'deleting';
    INSERT INTO audit_log (actor, action, app_name) VALUES (who, 'app.destroyed', p_app);
    RETURN NEXT;
END
$$;

-- ---- Whose turn it is ----

-- As in 0005, and a release of the head itself needs no other to be looked for; when one is, it is among the app's newest thousand: what comes late was overtaken a moment ago, and not by a thousand others.
-- (They are bounded by number and by LIMIT: a planner without statistics goes by the one, a plan that is kept for any number by the other.)
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
        IF mine.commit_sha = p_head THEN
            verdict := 'go_on'; RETURN NEXT; RETURN;
        END IF;
        SELECT r.* INTO other FROM (SELECT o.* FROM releases o WHERE o.app_name = p_app AND o.number > app.last_release - 1000 ORDER BY o.number DESC LIMIT 1000) r
         WHERE r.number <> p_number AND r.commit_sha = p_head AND r.state <> 'failed' AND r.created_at >= app.created_at
         ORDER BY r.number DESC LIMIT 1;
        IF NOT FOUND THEN
            -- The head's own push is on its way, and will supersede this one.
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

-- The last release of an app of the same name that was destroyed; 0: there was none. Numbers have no gaps and grow with time, so halving finds it in a few look-ups.
CREATE FUNCTION berth.release_before(p_app text) RETURNS int
LANGUAGE sql STABLE SET search_path = berth, pg_temp AS $$
    WITH RECURSIVE half AS (
        SELECT a.app_name, a.created_at, 0 AS low, a.last_release AS high FROM apps a WHERE a.app_name = p_app
        UNION ALL
        SELECT h.app_name, h.created_at, CASE WHEN r.created_at < h.created_at THEN r.number ELSE h.low END,
               CASE WHEN r.created_at < h.created_at THEN h.high ELSE r.number - 1 END
          FROM half h JOIN releases r ON r.app_name = h.app_name AND r.number = (h.low + h.high + 1) / 2
         WHERE h.low < h.high)
    SELECT coalesce(max(f.low), 0) FROM half f
$$;

-- ---- Looking again ----

-- As in 0002, and before the defaults are raised, pushes that are being judged by the old ones are waited for, and those that come wait for the new ones: what a push is owed is
-- seen here, or is judged after.
CREATE OR REPLACE FUNCTION berth.hasten_looks(p_app text) RETURNS int
LANGUAGE plpgsql SET search_path = berth, pg_temp AS $$
DECLARE
    hastened int;
BEGIN
    IF p_app IS NULL THEN
        LOCK TABLE apps IN EXCLUSIVE MODE; -- readers go on; whoever judges a push has locked its app's row
    END IF;
    UPDATE looks l SET run_after = least(l.run_after, now()), attempt = 0 WHERE CASE WHEN p_app IS NULL THEN l.reason <> 'paused' ELSE l.app_name = p_app END;
    GET DIAGNOSTICS hastened = ROW_COUNT;
    IF hastened > 0 THEN
        PERFORM pg_notify('berth_releases', '');
    END IF;
    RETURN hastened;
END
$$;

-- ---- Deliveries ----

-- All of them are later than that, but a statement that doesn't say so can't use the index: what looked one delivery up by its id did so among all of the app's, if its plan was
-- made while there were few.
DROP INDEX berth.deliveries_of_app;
CREATE INDEX deliveries_of_app ON berth.deliveries (app_name, received_at, delivery_id) WHERE received_at > '-infinity';

-- ---- Who may what ----

REVOKE ALL ON FUNCTION berth.retire_releases(text, int, bigint, int, int, int), berth.finish_teardown(text, bigint),
    berth.follow_head(text, int, bigint, text, boolean), berth.release_before(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION berth.retire_releases(text, int, bigint, int, int, int), berth.finish_teardown(text, bigint),
    berth.follow_head(text, int, bigint, text, boolean) TO berth_worker;
GRANT EXECUTE ON FUNCTION berth.release_before(text) TO berth_admin;

GRANT CREATE ON SCHEMA berth TO berth_intake, berth_dispatch;
ALTER FUNCTION berth.retire_releases(text, int, bigint, int, int, int) OWNER TO berth_intake;
ALTER FUNCTION berth.follow_head(text, int, bigint, text, boolean) OWNER TO berth_intake;
ALTER FUNCTION berth.finish_teardown(text, bigint) OWNER TO berth_dispatch;
REVOKE CREATE ON SCHEMA berth FROM berth_intake, berth_dispatch;
