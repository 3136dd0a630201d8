-- maybe: number; lets the release go until its next try ($7: the halt that the worker knows of; a new one is looked at at once), and tells of it once; no row: another worker holds it
WITH held AS (
    SELECT app_name, number, step, error
      FROM berth.releases
     WHERE app_name = $1 AND number = $2::int AND lease_token = $3::bigint AND state = 'running'
       FOR UPDATE), moved AS (
    UPDATE berth.releases r
       SET error = $5, hint = $6, claims = 0, run_after = clock_timestamp() + CASE WHEN r.halt IS NOT DISTINCT FROM $7 THEN $4::int ELSE 0 END * interval '1 millisecond',
           lease_token = NULL, lease_until = NULL, leased_by = NULL
      FROM held h
     WHERE r.app_name = h.app_name AND r.number = h.number), told AS (
    INSERT INTO berth.release_events (app_name, release, step, kind, message)
    SELECT app_name, number, step, 'retry', $5 FROM held
     -- The same, but for AWS's request id and the number of tries, is told once.
     WHERE regexp_replace(coalesce(error, ''), ', request [^)]*|^after [0-9]+ tries: ', '', 'g')
           <> regexp_replace($5, ', request [^)]*|^after [0-9]+ tries: ', '', 'g'))
SELECT number FROM held
