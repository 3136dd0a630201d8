-- maybe: priority that AWS says is taken, by the app's rule or ($3 null) somebody else's; an app's other slot must be gone. No row: one of ours took it since it was found to have no slot
INSERT INTO berth.listener_slots AS s (listener_arn, priority, app_name) VALUES ($1, $2::int, $3)
ON CONFLICT (listener_arn, priority) DO UPDATE SET app_name = excluded.app_name WHERE excluded.app_name IS NOT NULL OR s.app_name IS NULL
RETURNING s.priority
