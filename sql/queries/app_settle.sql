-- none: an app's settings
UPDATE berth.apps
   SET cpu_units = $2::int, memory_mib = $3::int, tasks = $4::int, port = $5::int, health_check_path = $6, branch = $7, path_filter = $8, updated_at = now()
 WHERE app_name = $1
