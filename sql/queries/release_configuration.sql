-- one: cpu_units, memory_mib, tasks, port, health_check_path that the release runs with; what was not fixed on it is as the app has it
SELECT coalesce(r.cpu_units, a.cpu_units) AS cpu_units, coalesce(r.memory_mib, a.memory_mib) AS memory_mib, coalesce(r.tasks, a.tasks) AS tasks,
       coalesce(r.port, a.port) AS port, coalesce(r.health_check_path, a.health_check_path) AS health_check_path
  FROM berth.releases r JOIN berth.apps a ON a.app_name = r.app_name
 WHERE r.app_name = $1 AND r.number = $2::int
