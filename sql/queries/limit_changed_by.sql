-- maybe: actor, at_ms: who last changed the limit $2 of the app $1 (null: the default); two halves as in limit_moment
SELECT c.actor, floor(extract(epoch FROM c.at) * 1000)::bigint AS at_ms
  FROM ((SELECT l.actor, l.at FROM berth.audit_log l
          WHERE l.app_name = $1::text AND l.action = 'limits.set' AND l.after ? $2 ORDER BY l.id DESC LIMIT 1)
        UNION ALL
        (SELECT l.actor, l.at FROM berth.audit_log l
          WHERE $1::text IS NULL AND l.app_name IS NULL AND l.action = 'limits.set' AND l.after ? $2 ORDER BY l.id DESC LIMIT 1)) c
