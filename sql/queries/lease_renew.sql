-- maybe: number; no row: another worker holds the release
UPDATE berth.releases
   SET lease_until = clock_timestamp() + $4::int * interval '1 millisecond'
 WHERE app_name = $1 AND number = $2::int AND lease_token = $3::bigint AND state = 'running'
RETURNING number
