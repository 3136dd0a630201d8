-- many: the apps by name
SELECT app_name, repository, repository_id, branch, webhook_policy, health_check_path, port, cpu_units, memory_mib, tasks, path_filter, state
  FROM berth.apps
 ORDER BY app_name
