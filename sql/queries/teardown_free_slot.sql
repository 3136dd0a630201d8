-- none: the app's place among the listener rules, once its rule and target group are confirmed absent. Under the lease
DELETE FROM berth.listener_slots s
 WHERE s.app_name = $1
   AND EXISTS (SELECT 1 FROM berth.teardowns t WHERE t.app_name = s.app_name AND t.lease_token = $2::bigint AND t.state = 'running')
