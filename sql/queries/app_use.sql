-- many: each quota of the app: its name and title, what is used, what of it a rollout has only until it is done, what stays when the next release comes to its rollout, and the limit
SELECT u.quota, berth.quota_title(u.quota) AS title, u.used, u.base, u.in_force,
       coalesce(CASE u.quota WHEN 'cpu_units' THEN m.tasks * m.cpu_units WHEN 'memory_mib' THEN m.tasks * m.memory_mib WHEN 'tasks' THEN m.tasks END, 0) AS rolling
  FROM berth.quota_use($1) u
  LEFT JOIN LATERAL (SELECT coalesce(r.tasks, a.tasks)::bigint AS tasks, coalesce(r.cpu_units, a.cpu_units) AS cpu_units, coalesce(r.memory_mib, a.memory_mib) AS memory_mib
                       FROM berth.releases r JOIN berth.apps a ON a.app_name = r.app_name
                      WHERE r.app_name = $1 AND r.state = 'running' AND r.step IN ('rollout', 'live')) m ON true
