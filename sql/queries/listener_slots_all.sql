-- many: listener_arn, priority, app_name (null: not berth's), recorded: whether that app has a listener rule on record, busy: whether a release or teardown of it is on its way
SELECT s.listener_arn, s.priority, s.app_name,
       EXISTS (SELECT 1 FROM berth.resources r WHERE r.app_name = s.app_name AND r.kind = 'listener_rule') AS recorded,
       EXISTS (SELECT 1 FROM berth.releases r WHERE r.app_name = s.app_name AND r.state IN ('queued', 'running'))
       OR EXISTS (SELECT 1 FROM berth.teardowns t WHERE t.app_name = s.app_name AND t.state = 'running') AS busy
  FROM berth.listener_slots s
 ORDER BY s.listener_arn, s.priority
