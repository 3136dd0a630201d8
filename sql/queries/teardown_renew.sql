-- maybe: app_name; no row: another worker holds the teardown
UPDATE berth.teardowns
   SET lease_until = clock_timestamp() + $3::int * interval '1 millisecond'
 WHERE app_name = $1 AND lease_token = $2::bigint AND state = 'running'
RETURNING app_name
