-- many: $1 by name, or in the order of who needs an operator; $2 only this condition (null: all); $3 rank, $4 changed and $5 name of the last row shown (null: from the first); $6 how many; $7 those that were destroyed, too
WITH page AS (
SELECT a.app_name, a.repository, a.branch, a.state, c.condition, o.rank, t.changed,
       d.release AS live_release, d.commit_sha AS live_commit, d.host, d.live_since,
       r.number AS newest_release, r.state AS newest_state, r.step AS newest_step, r.error AS newest_error,
       coalesce(r.finished_at, r.created_at) AS newest_at,
       m.number AS moving_release, m.step AS moving_step, m.created_at AS moving_since
  FROM berth.apps a
  LEFT JOIN berth.deployments d ON d.app_name = a.app_name
  LEFT JOIN LATERAL (SELECT * FROM berth.releases n WHERE n.app_name = a.app_name ORDER BY n.number DESC LIMIT 1) r ON true
  LEFT JOIN berth.releases m ON m.app_name = a.app_name AND m.state = 'running'
 CROSS JOIN LATERAL (SELECT CASE WHEN a.state <> 'active' THEN 'paused'
                                 WHEN m.number IS NOT NULL THEN 'moving'
                                 WHEN r.state IN ('failed', 'queued') THEN r.state
                                 WHEN d.release IS NOT NULL THEN 'live'
                                 ELSE 'none' END AS condition) c
 CROSS JOIN LATERAL (SELECT CASE WHEN $1::bool THEN 0
                                 ELSE coalesce(array_position(ARRAY['failed', 'moving', 'queued', 'paused'], c.condition), 5)
                            END AS rank) o
 CROSS JOIN LATERAL (SELECT CASE WHEN $1::bool THEN 0
                                 ELSE extract(epoch FROM greatest('1970-01-01Z'::timestamptz, least('9999-12-31Z'::timestamptz,
                                          coalesce(r.finished_at, r.created_at, a.created_at)))) * 1000000
                            END::bigint AS changed) t
 WHERE ($7::bool OR a.state <> 'deleted')
   AND ($2::text IS NULL OR c.condition = $2)
   AND ($5::text IS NULL OR (o.rank, -t.changed, a.app_name) > ($3::int, -$4::bigint, $5))
 ORDER BY o.rank, t.changed DESC, a.app_name
 LIMIT $6::int
)
SELECT p.app_name, p.repository, p.branch, p.state, p.condition, p.rank, p.changed,
       p.live_release, p.live_commit, p.host, l.commit_title AS live_title, l.pushed_by AS live_by,
       to_char(p.live_since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS live_since,
       p.newest_release, p.newest_state, p.newest_step, p.newest_error,
       to_char(p.newest_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS newest_at,
       p.moving_release, p.moving_step,
       to_char(p.moving_since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS moving_since,
       h.last
  FROM page p
  LEFT JOIN berth.releases l ON l.app_name = p.app_name AND l.number = p.live_release
  LEFT JOIN LATERAL (SELECT json_agg(json_build_object('number', t.number, 'state', t.state, 'kind', t.kind) ORDER BY t.number) AS last
                       FROM (SELECT n.number, n.state, n.kind FROM berth.releases n
                              WHERE n.app_name = p.app_name ORDER BY n.number DESC LIMIT 10) t) h ON true
 ORDER BY p.rank, p.changed DESC, p.app_name
