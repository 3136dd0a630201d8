-- many: app_name, number, step and its age in s of the releases that have been in one step for longest
SELECT app_name, number, step, extract(epoch FROM now() - step_started_at)::bigint AS age_s
  FROM berth.releases
 WHERE state = 'running' AND step_started_at IS NOT NULL
 ORDER BY step_started_at
 LIMIT 200
