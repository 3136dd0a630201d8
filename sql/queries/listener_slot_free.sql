-- maybe: priority; a slot that no rule has, as it was found: $3 its app (null: none of ours), without a rule on record and without a release on its way. No row: it isn't so any more
DELETE FROM berth.listener_slots s
 WHERE s.listener_arn = $1 AND s.priority = $2::int AND s.app_name IS NOT DISTINCT FROM $3
   AND NOT EXISTS (SELECT 1 FROM berth.releases r WHERE r.app_name = s.app_name AND r.state IN ('queued', 'running'))
   AND NOT EXISTS (SELECT 1 FROM berth.resources r WHERE r.app_name = s.app_name AND r.kind = 'listener_rule')
RETURNING s.priority
