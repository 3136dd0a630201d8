-- maybe: what the app's page tells besides its settings: when and by whom it was made, its last release, the last release of one of the same name that was destroyed (0: none), who paused it, what is owed to it, and which quota refuses it now
SELECT to_char(a.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS created_at, c.actor AS created_by, a.last_release,
       berth.release_before(a.app_name) AS before,
       b.actor AS paused_by, to_char(b.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS paused_at,
       k.reason AS owed, to_char(k.owed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS owed_at,
       CASE WHEN k.run_after < 'infinity' THEN to_char(k.run_after AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') END AS due_at,
       v.told AS refusal
  FROM berth.apps a
  LEFT JOIN LATERAL (SELECT i.actor FROM berth.audit_log i WHERE i.app_name = a.app_name AND i.action = 'app.create' ORDER BY i.id DESC LIMIT 1) c ON true
  LEFT JOIN LATERAL (SELECT i.actor, i.at FROM berth.audit_log i
                      WHERE a.state = 'paused' AND i.app_name = a.app_name AND i.action = 'app.pause' ORDER BY i.id DESC LIMIT 1) b ON true
  LEFT JOIN berth.looks k ON k.app_name = a.app_name
  LEFT JOIN LATERAL (SELECT q.told FROM berth.check_quota(a.app_name, 'push', a.cpu_units, a.memory_mib, a.tasks) q
                      WHERE k.reason = 'over_quota' AND q.refused) v ON true
 WHERE a.app_name = $1
