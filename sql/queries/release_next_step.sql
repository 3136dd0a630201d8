-- maybe: number; the next step begins under the same lease, unless the release is to be halted; no row: another worker holds the release
WITH held AS (
    SELECT app_name, number, halt
      FROM berth.releases
     WHERE app_name = $1 AND number = $2::int AND lease_token = $3::bigint AND state = 'running'
       FOR UPDATE), moved AS (
    UPDATE berth.releases r
       SET step = $4, attempt = 1, claims = 1, waits = 0, step_started_at = clock_timestamp(), error = NULL, hint = NULL,
           lease_until = clock_timestamp() + $5::int * interval '1 millisecond'
      FROM held h
     WHERE r.app_name = h.app_name AND r.number = h.number AND h.halt IS NULL
    RETURNING r.app_name, r.number), told AS (
    INSERT INTO berth.release_events (app_name, release, step, kind, message)
    SELECT app_name, number, $6, 'done', $7 FROM moved)
SELECT number FROM held
