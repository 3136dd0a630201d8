-- maybe: app_name; no row: the name is taken
INSERT INTO berth.apps (app_name, repository, branch, webhook_policy, health_check_path, port, cpu_units, memory_mib, tasks)
VALUES ($1, $2, $3, $4, $5, $6::int, $7::int, $8::int, $9::int)
ON CONFLICT (app_name) DO NOTHING
RETURNING app_name
