-- many: a release's timeline, oldest first
SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at, step, kind, message
  FROM berth.release_events
 WHERE app_name = $1 AND release = $2::int
 ORDER BY id
