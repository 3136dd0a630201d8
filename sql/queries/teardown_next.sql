-- maybe: app_name; the next step begins under the same lease; no row: another worker holds the teardown
UPDATE berth.teardowns
   SET step = $3, attempt = 1, waits = 0, step_started_at = clock_timestamp(), error = NULL, hint = NULL,
       lease_until = clock_timestamp() + $4::int * interval '1 millisecond'
 WHERE app_name = $1 AND lease_token = $2::bigint AND state = 'running'
RETURNING app_name
