-- many: app_name, step, error of the teardowns that stopped, and since when
SELECT app_name, step, error, to_char(finished_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since
  FROM berth.teardowns
 WHERE state = 'failed'
 ORDER BY finished_at DESC
 LIMIT 50
