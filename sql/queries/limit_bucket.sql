-- maybe: the app's bucket and pushes of the last hour, what its next release takes, what is owed it, and which quota refuses it now; nothing for an app that was destroyed
SELECT u.burst, u.per_hour, u.own_burst, u.own_per_hour, d.pushes_burst AS standard_burst, d.pushes_per_hour AS standard_per_hour,
       floor(u.tokens)::bigint AS tokens, u.wait_ms,
       CASE WHEN u.tokens >= u.burst THEN 0 ELSE ceil((floor(u.tokens) + 1 - u.tokens) * 3600000 / u.per_hour) END::bigint AS next_ms,
       ceil((u.burst - u.tokens) * 3600000 / u.per_hour)::bigint AS full_ms,
       (SELECT count(*) FROM berth.releases r
         WHERE r.app_name = a.app_name AND r.kind = 'push'
           -- Numbers grow with time, so the newest of before the hour is where to begin.
           AND r.number > coalesce((SELECT o.number FROM berth.releases o
                                     WHERE o.app_name = a.app_name AND o.created_at <= now() - interval '1 hour' ORDER BY o.number DESC LIMIT 1), 0)) AS pushes,
       a.cpu_units, a.memory_mib, a.tasks,
       l.reason AS owed, CASE WHEN l.run_after < 'infinity' THEN floor(extract(epoch FROM l.run_after) * 1000) END::bigint AS owed_at_ms,
       v.told AS refusal
  FROM berth.apps a
 CROSS JOIN berth.default_limits d
 CROSS JOIN LATERAL berth.rate_use(a.app_name) u
  LEFT JOIN berth.looks l ON l.app_name = a.app_name
  LEFT JOIN LATERAL (SELECT q.told FROM berth.check_quota(a.app_name, 'push', a.cpu_units, a.memory_mib, a.tasks) q
                      WHERE l.reason = 'over_quota' AND q.refused) v ON true
 WHERE a.app_name = $1 AND a.state <> 'deleted'
