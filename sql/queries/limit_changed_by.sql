-- maybe: actor, at_ms: who last changed the limit $2 of the app $1 (null: the default)
SELECT l.actor, floor(extract(epoch FROM l.at) * 1000)::bigint AS at_ms
  FROM berth.audit_log l
 WHERE l.app_name IS NOT DISTINCT FROM $1::text AND l.action = 'limits.set' AND l.after ? $2
 ORDER BY l.id DESC
 LIMIT 1
