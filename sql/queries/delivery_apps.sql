-- many: of the apps $1, joined by commas: state, branch, and the look that is owed: look_reason (null: none), look_due (null: when an operator makes room)
SELECT a.app_name, a.state, a.branch, l.reason AS look_reason,
       CASE WHEN isfinite(l.run_after) THEN to_char(l.run_after AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') END AS look_due
  FROM berth.apps a
  LEFT JOIN berth.looks l ON l.app_name = a.app_name
 WHERE a.app_name = ANY (string_to_array($1::text, ','))
