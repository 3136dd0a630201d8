-- maybe: quota, told, needed, in_force: the quota that a rollout of that size would go over, among those that depend on it
SELECT u.quota, n.needed, u.in_force,
       berth.quota_title(u.quota) || ': a rollout runs the old tasks and the new ones, so it needs ' || berth.thousands(n.needed)
       || '; the quota is ' || berth.thousands(u.in_force) AS told
  FROM berth.quota_use($1, false) u
 CROSS JOIN LATERAL (SELECT 2 * $4::bigint * CASE u.quota WHEN 'cpu_units' THEN $2::bigint WHEN 'memory_mib' THEN $3::bigint ELSE 1 END AS needed) n
 WHERE u.quota IN ('cpu_units', 'memory_mib', 'tasks') AND n.needed > u.in_force
 LIMIT 1
