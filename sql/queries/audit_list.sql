-- many: rows of the audit log, newest first: of app $1, actor $2, action $3 (with a dot at its end: all that begin so), from $4 and before $5, after the row $6; null and 0 leave it open
SELECT l.id, to_char(l.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at, l.actor, l.action, l.app_name, l.before::text AS before, l.after::text AS after
  FROM berth.audit_log l
 WHERE ($1::text IS NULL OR l.app_name = $1) AND ($2::text IS NULL OR l.actor = $2)
   AND ($3::text IS NULL OR l.action = $3 OR (right($3, 1) = '.' AND starts_with(l.action, $3)))
   AND ($4::timestamptz IS NULL OR l.at >= $4) AND ($5::timestamptz IS NULL OR l.at < $5) AND ($6::bigint = 0 OR l.id < $6)
 ORDER BY l.id DESC LIMIT $7::int
