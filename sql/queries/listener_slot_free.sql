-- none: a slot that no rule has; unless a release of its app has begun meanwhile
DELETE FROM berth.listener_slots s
 WHERE s.listener_arn = $1 AND s.priority = $2::int
   AND NOT EXISTS (SELECT 1 FROM berth.releases r WHERE r.app_name = s.app_name AND r.state IN ('queued', 'running'))
