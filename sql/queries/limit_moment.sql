-- one: now_ms, what the quotas of all apps come to, and the newest change of the limits of $1 (null: of the defaults)
SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms, p.cpu_units AS promised, p.apps,
       c.actor AS changed_by, floor(extract(epoch FROM c.at) * 1000)::bigint AS changed_at_ms
  FROM (SELECT count(*) AS apps, coalesce(sum(coalesce(q.cpu_units, d.cpu_units)), 0)::bigint AS cpu_units
          FROM berth.apps a CROSS JOIN berth.default_limits d LEFT JOIN berth.quotas q ON q.app_name = a.app_name
         WHERE a.state <> 'deleted') p
  LEFT JOIN LATERAL (SELECT l.actor, l.at FROM berth.audit_log l
                      WHERE l.app_name IS NOT DISTINCT FROM $1::text AND l.action = 'limits.set' ORDER BY l.id DESC LIMIT 1) c ON true
