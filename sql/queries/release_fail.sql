-- maybe: number; no row: another worker holds the release
WITH moved AS (
    UPDATE berth.releases
       SET state = 'failed', finished_at = clock_timestamp(), error = $4, hint = $5,
           lease_token = NULL, lease_until = NULL, leased_by = NULL
     WHERE app_name = $1 AND number = $2::int AND lease_token = $3::bigint AND state = 'running'
    RETURNING app_name, number, step), told AS (
    INSERT INTO berth.release_events (app_name, release, step, kind, message)
    SELECT app_name, number, step, 'failed', $4 FROM moved)
SELECT number FROM moved
