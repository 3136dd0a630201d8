-- maybe: id; no row: another worker holds the release
INSERT INTO berth.release_events (app_name, release, step, kind, message)
SELECT app_name, number, step, $4, $5
  FROM berth.releases
 WHERE app_name = $1 AND number = $2::int AND lease_token = $3::bigint AND state = 'running'
RETURNING id
