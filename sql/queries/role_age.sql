-- one: age_ms; since the youngest of the app's roles was recorded, by the database's clock; null when none is
SELECT floor(extract(epoch FROM clock_timestamp() - max(recorded_at)) * 1000)::bigint AS age_ms
  FROM berth.resources
 WHERE app_name = $1 AND kind IN ('task_role', 'execution_role')
