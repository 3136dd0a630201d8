-- maybe: number; lets the release go until its next look, or until the poller sees that what it waits for ($6; null: nothing it knows of) has changed, at the latest in $7 ($5: the halt that the worker knows of; a new one is looked at at once); no row: another worker holds it
UPDATE berth.releases
   SET waits = waits + 1, attempt = 0, claims = 0, error = NULL, hint = NULL,
       waits_for = $6, look_by = clock_timestamp() + $7::int * interval '1 millisecond', poll_after = CASE WHEN $6::text IS NOT NULL THEN clock_timestamp() + interval '1 second' END,
       run_after = clock_timestamp() + CASE WHEN halt IS NOT DISTINCT FROM $5 THEN $4::int ELSE 0 END * interval '1 millisecond',
       lease_token = NULL, lease_until = NULL, leased_by = NULL
 WHERE app_name = $1 AND number = $2::int AND lease_token = $3::bigint AND state = 'running'
RETURNING number
