-- maybe: a text that is another one whenever a release's page would be, but for its log and for the time that passes
SELECT ROW(r.kind, r.state, r.step, r.attempt, r.halt, r.halt_by, r.commit_sha, r.commit_title, r.pushed_by, r.delivery_id, r.source_version, r.build_attempt,
           r.build_id, r.image_digest, r.task_definition_arn, r.pruned_at, r.retired_at, r.rollback_to, r.error, r.hint, r.created_at, r.finished_at,
           r.cpu_units, r.memory_mib, r.tasks, r.port, r.health_check_path,
           a.repository, a.branch, a.state, a.created_at, a.cpu_units, a.memory_mib, a.tasks, a.port, a.health_check_path,
           d.release, l.rollback_to, p.arn, e.newest, e.told, u.first, u.newest, u.cancels, g)::text AS version
  FROM berth.releases r
  JOIN berth.apps a ON a.app_name = r.app_name
  LEFT JOIN berth.deployments d ON d.app_name = r.app_name
  LEFT JOIN berth.releases l ON l.app_name = d.app_name AND l.number = d.release
  LEFT JOIN berth.resources p ON p.app_name = r.app_name AND p.kind = 'build_project'
 CROSS JOIN LATERAL (SELECT max(t.id) AS newest, sum(hashtextextended(ROW(t.at, t.step, t.kind, t.message)::text, 0)) AS told
                       FROM berth.release_events t WHERE t.app_name = r.app_name AND t.release = r.number) e
 CROSS JOIN LATERAL (SELECT min(w.number) AS first, max(w.number) AS newest, count(*) FILTER (WHERE w.halt IS DISTINCT FROM 'cancel') AS cancels FROM berth.releases w WHERE w.app_name = r.app_name AND w.state IN ('queued', 'running')) u
  LEFT JOIN LATERAL (SELECT b.number, b.commit_sha, b.cpu_units, b.memory_mib, b.tasks, b.port, b.health_check_path FROM berth.releases b
                      WHERE b.app_name = r.app_name AND b.number < r.number AND b.state = 'live'
                        AND (b.created_at >= a.created_at) = (r.created_at >= a.created_at)
                      ORDER BY b.number DESC LIMIT 1) g ON true
 WHERE r.app_name = $1 AND r.number = $2::int
