-- many: app_name, repository, branch, state, live_release, live_commit, live_title, live_by, live_since, host, newest_release, newest_state, newest_step, newest_error, newest_at, last
SELECT a.app_name, a.repository, a.branch, a.state,
       d.release AS live_release, d.commit_sha AS live_commit, l.commit_title AS live_title, l.pushed_by AS live_by, d.host,
       to_char(d.live_since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS live_since,
       r.number AS newest_release, r.state AS newest_state, r.step AS newest_step, r.error AS newest_error,
       to_char(coalesce(r.finished_at, r.created_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS newest_at,
       h.last
  FROM berth.apps a
  LEFT JOIN berth.deployments d ON d.app_name = a.app_name
  LEFT JOIN berth.releases l ON l.app_name = d.app_name AND l.number = d.release
  LEFT JOIN LATERAL (SELECT * FROM berth.releases n WHERE n.app_name = a.app_name ORDER BY n.number DESC LIMIT 1) r ON true
  LEFT JOIN LATERAL (SELECT json_agg(json_build_object('number', t.number, 'state', t.state, 'kind', t.kind) ORDER BY t.number) AS last
                       FROM (SELECT n.number, n.state, n.kind FROM berth.releases n
                              WHERE n.app_name = a.app_name ORDER BY n.number DESC LIMIT 10) t) h ON true
 WHERE a.app_name > coalesce($1::text, '')
 ORDER BY a.app_name
 LIMIT $2::int
