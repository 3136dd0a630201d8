-- none: what is confirmed absent on AWS; $3: the kinds, joined by commas. Under the lease
DELETE FROM berth.resources r
 WHERE r.app_name = $1 AND r.kind = ANY (string_to_array($3, ','))
   AND EXISTS (SELECT 1 FROM berth.teardowns t WHERE t.app_name = r.app_name AND t.lease_token = $2::bigint AND t.state = 'running')
