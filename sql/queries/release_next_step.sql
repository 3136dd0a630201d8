-- maybe: number; the next step begins under the same lease; no row: another worker holds the release
WITH moved AS (
    UPDATE berth.releases
       SET step = $4, attempt = 1, waits = 0, step_started_at = clock_timestamp(), error = NULL, hint = NULL,
           lease_until = clock_timestamp() + $5::int * interval '1 millisecond'
     WHERE app_name = $1 AND number = $2::int AND lease_token = $3::bigint AND state = 'running'
    RETURNING app_name, number), told AS (
    INSERT INTO berth.release_events (app_name, release, step, kind, message)
    SELECT app_name, number, $6, 'done', $7 FROM moved)
SELECT number FROM moved
