-- one: now_ms, what the quotas of all apps come to, and the newest change of the limits of $1 (null: of the defaults)
-- Of one app and of the defaults are two halves, of which one finds nothing at once: IS NOT DISTINCT FROM would read the whole log.
SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms, p.cpu_units AS promised, p.apps,
       c.actor AS changed_by, floor(extract(epoch FROM c.at) * 1000)::bigint AS changed_at_ms
  FROM (SELECT count(*) AS apps, coalesce(sum(coalesce(q.cpu_units, d.cpu_units)), 0)::bigint AS cpu_units
          FROM berth.apps a CROSS JOIN berth.default_limits d LEFT JOIN berth.quotas q ON q.app_name = a.app_name
         WHERE a.state <> 'deleted') p
  LEFT JOIN ((SELECT l.actor, l.at FROM berth.audit_log l WHERE l.app_name = $1::text AND l.action = 'limits.set' ORDER BY l.id DESC LIMIT 1)
             UNION ALL
             (SELECT l.actor, l.at FROM berth.audit_log l
               WHERE $1::text IS NULL AND l.app_name IS NULL AND l.action = 'limits.set' ORDER BY l.id DESC LIMIT 1)) c ON true
