-- maybe: what a release's page tells besides the release itself: its app, the delivery it came by, its build project, what is live and what that is a rollback to, whether it was made for this app and not for one of the same name that was destroyed; and the last release before it that went live (null: none), with what differs in what the two run with
SELECT a.repository, a.branch, a.state AS app_state, r.delivery_id, r.created_at >= a.created_at AS is_own,
       (SELECT p.arn FROM berth.resources p WHERE p.app_name = a.app_name AND p.kind = 'build_project') AS build_project,
       d.release AS live, l.rollback_to AS live_rollback_to,
       g.number AS good, g.commit_sha AS good_commit,
       coalesce(r.cpu_units, a.cpu_units) AS cpu_units, coalesce(r.memory_mib, a.memory_mib) AS memory_mib, coalesce(r.tasks, a.tasks) AS tasks,
       coalesce(r.port, a.port) AS port, coalesce(r.health_check_path, a.health_check_path) AS health_check_path,
       coalesce(g.cpu_units, a.cpu_units) AS good_cpu_units, coalesce(g.memory_mib, a.memory_mib) AS good_memory_mib, coalesce(g.tasks, a.tasks) AS good_tasks,
       coalesce(g.port, a.port) AS good_port, coalesce(g.health_check_path, a.health_check_path) AS good_health_check_path
  FROM berth.releases r
  JOIN berth.apps a ON a.app_name = r.app_name
  LEFT JOIN berth.deployments d ON d.app_name = r.app_name
  LEFT JOIN berth.releases l ON l.app_name = d.app_name AND l.number = d.release
  LEFT JOIN LATERAL (SELECT b.* FROM berth.releases b
                      WHERE b.app_name = r.app_name AND b.number < r.number AND b.state = 'live'
                        AND (b.created_at >= a.created_at) = (r.created_at >= a.created_at)
                      ORDER BY b.number DESC LIMIT 1) g ON true
 WHERE r.app_name = $1 AND r.number = $2::int
