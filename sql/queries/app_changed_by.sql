-- maybe: actor, at: who last changed the setting $2 of the app, or its setting $3 (null: of $2 alone)
SELECT l.actor, to_char(l.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at
  FROM berth.audit_log l
 WHERE l.app_name = $1 AND l.action IN ('app.update', 'app.create') AND (l.after ? $2 OR l.after ? $3)
 ORDER BY l.id DESC
 LIMIT 1
