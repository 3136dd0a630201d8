-- maybe: app_name; lets it go for a time: to wait ($4 true), or until its next try, because of an error; no row: another worker holds it
UPDATE berth.teardowns
   SET waits = waits + $4::bool::int, attempt = CASE WHEN $4::bool THEN 0 ELSE attempt END, error = $5, hint = $6,
       run_after = clock_timestamp() + $3::int * interval '1 millisecond', lease_token = NULL, lease_until = NULL, leased_by = NULL
 WHERE app_name = $1 AND lease_token = $2::bigint AND state = 'running'
RETURNING app_name
