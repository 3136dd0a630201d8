-- maybe: app_name; no row: the name is taken, or what was left under it is being removed. One that was destroyed is free again: its releases' numbers go on
INSERT INTO berth.apps AS a (app_name, repository, branch, webhook_policy, health_check_path, port, cpu_units, memory_mib, tasks, path_filter)
SELECT $1, $2, $3, $4, $5, $6::int, $7::int, $8::int, $9::int, $10
 WHERE NOT EXISTS (SELECT 1 FROM berth.teardowns t WHERE t.app_name = $1 AND t.state = 'running')
ON CONFLICT (app_name) DO UPDATE
   SET repository = excluded.repository, repository_id = NULL, branch = excluded.branch, webhook_policy = excluded.webhook_policy,
       health_check_path = excluded.health_check_path, port = excluded.port, cpu_units = excluded.cpu_units,
       memory_mib = excluded.memory_mib, tasks = excluded.tasks,
       path_filter = excluded.path_filter, state = 'active', created_at = now(), updated_at = now()
 WHERE a.state = 'deleted'
RETURNING app_name
