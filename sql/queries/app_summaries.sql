-- many: the apps of a page, each with the counts of all conditions; where the page has no app, the counts in a row without one. $1 by name, or in the order of who needs an operator; $2 only this condition (null: all); $3 rank, $4 changed and $5 name of the last row shown (null: from the first); $6 how many; $7 those that were destroyed, too; $8 only what has this in its name, its repository or its host, or as its live commit's beginning (null: all)
-- Of every app only what says where it stands; all else is looked up for the rows of the page alone.
WITH standing AS MATERIALIZED (
SELECT a.app_name,
       CASE WHEN a.state <> 'active' THEN 5
            WHEN k.app_name IS NOT NULL THEN 2
            WHEN m.app_name IS NOT NULL THEN 3
            WHEN n.state = 'failed' THEN 1
            WHEN n.state = 'queued' THEN 4
            WHEN d.app_name IS NULL THEN 7
            WHEN coalesce(d.tasks, a.tasks)::bigint * coalesce(d.cpu_units, a.cpu_units) > coalesce(q.cpu_units, s.cpu_units)
              OR coalesce(d.tasks, a.tasks)::bigint * coalesce(d.memory_mib, a.memory_mib) > coalesce(q.memory_mib, s.memory_mib) THEN 2
            ELSE 6 END AS place,
       CASE WHEN $1::bool THEN '1970-01-01Z'
            ELSE greatest('1970-01-01Z', least('9999-12-31Z', coalesce(k.owed_at, n.finished_at, n.created_at, d.live_since, a.created_at)))
       END::timestamptz AS changed
  FROM berth.apps a
 CROSS JOIN berth.default_limits s
  LEFT JOIN berth.deployments d ON d.app_name = a.app_name
  LEFT JOIN berth.quotas q ON q.app_name = a.app_name
  LEFT JOIN berth.looks k ON k.app_name = a.app_name AND k.reason = 'over_quota'
  LEFT JOIN berth.releases m ON m.app_name = a.app_name AND m.state = 'running'
  -- The newest is looked up only where it isn't the live one; the limit keeps that a condition on the look-up, not on what it found.
  LEFT JOIN LATERAL (SELECT r.state, r.created_at, r.finished_at FROM berth.releases r
                      WHERE a.last_release IS DISTINCT FROM d.release AND r.app_name = a.app_name AND r.number = a.last_release
                      LIMIT 1) n ON true
 WHERE ($7::bool OR a.state <> 'deleted')
   AND ($8::text IS NULL -- all of it is ASCII, so bytes will do
        OR position(lower($8 COLLATE "C") IN lower((a.app_name || ' ' || a.repository || ' ' || coalesce(d.host, '')) COLLATE "C")) > 0
        OR starts_with(d.commit_sha, lower($8 COLLATE "C")))
), counts AS (
SELECT count(*) AS all,
       count(*) FILTER (WHERE place = 1) AS failed, count(*) FILTER (WHERE place = 2) AS over_quota, count(*) FILTER (WHERE place = 3) AS moving,
       count(*) FILTER (WHERE place = 4) AS queued, count(*) FILTER (WHERE place = 5) AS paused, count(*) FILTER (WHERE place = 6) AS live,
       count(*) FILTER (WHERE place = 7) AS none
  FROM standing
), page AS (
SELECT g.*, o.rank
  FROM standing g
 CROSS JOIN LATERAL (SELECT CASE WHEN $1::bool THEN 0 ELSE least(g.place, 6) END AS rank) o
 WHERE ($2::text IS NULL OR g.place = array_position(ARRAY['failed', 'over_quota', 'moving', 'queued', 'paused', 'live', 'none'], $2))
   AND ($5::text IS NULL OR o.rank > $3::int OR (o.rank = $3::int AND
            (g.changed < '1970-01-01Z'::timestamptz + $4::bigint * interval '1 microsecond'
             OR (g.changed = '1970-01-01Z'::timestamptz + $4::bigint * interval '1 microsecond' AND g.app_name > $5))))
 ORDER BY o.rank, g.changed DESC, g.app_name
 LIMIT $6::int
)
SELECT n.*, p.app_name, a.repository, a.branch, a.state, p.rank, (extract(epoch FROM p.changed) * 1000000)::bigint AS changed,
       (ARRAY['failed', 'over_quota', 'moving', 'queued', 'paused', 'live', 'none'])[p.place] AS condition,
       d.release AS live_release, d.commit_sha AS live_commit, d.host, l.commit_title AS live_title, l.pushed_by AS live_by,
       to_char(d.live_since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS live_since,
       r.number AS newest_release, r.state AS newest_state, r.step AS newest_step, r.error AS newest_error,
       to_char(coalesce(r.finished_at, r.created_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS newest_at,
       m.number AS moving_release, m.step AS moving_step,
       to_char(m.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS moving_since,
       to_char(k.owed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS refused_at,
       b.actor AS paused_by, to_char(b.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS paused_at,
       u.live_tasks, u.live_cpu_units + u.rolling_cpu_units AS cpu_units, u.rolling_cpu_units, coalesce(q.cpu_units, s.cpu_units) AS cpu_limit,
       u.live_memory_mib + u.rolling_memory_mib AS memory_mib, u.rolling_memory_mib, coalesce(q.memory_mib, s.memory_mib) AS memory_limit, h.last
  FROM counts n
 CROSS JOIN berth.default_limits s
  LEFT JOIN page p ON true
  LEFT JOIN berth.apps a ON a.app_name = p.app_name
  LEFT JOIN berth.deployments d ON d.app_name = p.app_name
  LEFT JOIN berth.quotas q ON q.app_name = p.app_name
  LEFT JOIN berth.looks k ON k.app_name = p.app_name AND k.reason = 'over_quota'
  LEFT JOIN berth.releases l ON l.app_name = p.app_name AND l.number = d.release
  LEFT JOIN berth.releases r ON r.app_name = p.app_name AND r.number = a.last_release
  LEFT JOIN berth.releases m ON m.app_name = p.app_name AND m.state = 'running'
  -- As berth.quota_use counts: while a rollout is under way, the old tasks and the new ones.
 CROSS JOIN LATERAL (SELECT CASE WHEN d.app_name IS NOT NULL THEN coalesce(d.tasks, a.tasks) END AS live,
                            CASE WHEN m.step IN ('rollout', 'live') THEN coalesce(m.tasks, a.tasks) END AS rolling) t
 CROSS JOIN LATERAL (SELECT t.live AS live_tasks,
                            coalesce(t.live::bigint * coalesce(d.cpu_units, a.cpu_units), 0) AS live_cpu_units,
                            coalesce(t.live::bigint * coalesce(d.memory_mib, a.memory_mib), 0) AS live_memory_mib,
                            coalesce(t.rolling::bigint * coalesce(m.cpu_units, a.cpu_units), 0) AS rolling_cpu_units,
                            coalesce(t.rolling::bigint * coalesce(m.memory_mib, a.memory_mib), 0) AS rolling_memory_mib) u
  LEFT JOIN LATERAL (SELECT i.actor, i.at FROM berth.audit_log i
                      WHERE a.state = 'paused' AND i.app_name = p.app_name AND i.action = 'app.pause' ORDER BY i.id DESC LIMIT 1) b ON true
  -- JSON by hand: Postgres's own functions for it take a third of the whole, and states and kinds are words.
  LEFT JOIN LATERAL (SELECT '[' || string_agg('{"number" : ' || t.number || ', "state" : "' || t.state || '", "kind" : "' || t.kind || '"}', ', ' ORDER BY t.number) || ']' AS last
                       FROM (SELECT e.number, e.state, e.kind FROM berth.releases e
                              WHERE e.app_name = p.app_name ORDER BY e.number DESC LIMIT 10) t) h ON true
 ORDER BY p.rank, p.changed DESC, p.app_name
