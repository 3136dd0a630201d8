-- maybe: app_name; $2: who; begins, or goes on after a failure; no row: it is under way
INSERT INTO berth.teardowns AS t (app_name, started_by) VALUES ($1, $2)
ON CONFLICT (app_name) DO UPDATE
   SET state = 'running', step = 'builds', attempt = 0, waits = 0, run_after = now(), step_started_at = NULL, error = NULL,
       hint = NULL, started_by = excluded.started_by, started_at = now(), finished_at = NULL
 WHERE t.state <> 'running'
RETURNING app_name
