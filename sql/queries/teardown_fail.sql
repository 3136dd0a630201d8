-- maybe: app_name; it stops, until it is started again; no row: another worker holds it
UPDATE berth.teardowns
   SET state = 'failed', finished_at = clock_timestamp(), error = $3, hint = $4, lease_token = NULL, lease_until = NULL, leased_by = NULL
 WHERE app_name = $1 AND lease_token = $2::bigint AND state = 'running'
RETURNING app_name
