-- many: slots by listener and priority: $1 only of this listener (null: all), $2 only of this app (null: all); $3 listener_arn and $4 priority of the last row shown (null: from the first); $5 how many
SELECT s.listener_arn, s.priority, s.app_name, d.host, a.state,
       to_char(s.taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS taken_at
  FROM berth.listener_slots s
  LEFT JOIN berth.apps a ON a.app_name = s.app_name
  LEFT JOIN berth.deployments d ON d.app_name = s.app_name
 WHERE ($1::text IS NULL OR s.listener_arn = $1)
   AND ($2::text IS NULL OR s.app_name = $2)
   AND ($3::text IS NULL OR (s.listener_arn, s.priority) > ($3, $4::int))
 ORDER BY s.listener_arn, s.priority
 LIMIT $5::int
