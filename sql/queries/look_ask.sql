-- none: an operator wants the branch of $1 looked at
INSERT INTO berth.looks AS l (app_name, reason, owed_at, run_after) VALUES ($1, 'asked', clock_timestamp(), now())
ON CONFLICT (app_name) DO UPDATE SET owed_at = excluded.owed_at, attempt = 0,
       run_after = CASE WHEN l.reason = 'paused' THEN l.run_after ELSE least(l.run_after, now()) END
