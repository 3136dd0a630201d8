-- maybe: the app's teardown, the newest one
SELECT app_name, state, step, attempt, waits, lease_token, error, hint, started_by,
       coalesce(extract(epoch FROM clock_timestamp() - step_started_at) * 1000, 0)::bigint AS step_age_ms,
       to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS started_at,
       to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS finished_at
  FROM berth.teardowns
 WHERE app_name = $1
