-- maybe: number; the end as superseded or cancelled ($4); no row: another worker holds the release
WITH moved AS (
    UPDATE berth.releases
       SET state = $4, finished_at = clock_timestamp(), error = NULL, hint = NULL,
           lease_token = NULL, lease_until = NULL, leased_by = NULL
     WHERE app_name = $1 AND number = $2::int AND lease_token = $3::bigint AND state = 'running'
    RETURNING app_name, number, step), told AS (
    INSERT INTO berth.release_events (app_name, release, step, kind, message)
    SELECT app_name, number, step, $4, $5 FROM moved)
SELECT number FROM moved
