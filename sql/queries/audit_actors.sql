-- many: name of each actor in the audit log, by name; looks up the next one from the last, so it reads as many rows as there are names
WITH RECURSIVE names AS (
    (SELECT l.actor AS name FROM berth.audit_log l ORDER BY l.actor LIMIT 1)
    UNION ALL
    SELECT (SELECT l.actor FROM berth.audit_log l WHERE l.actor > n.name ORDER BY l.actor LIMIT 1) FROM names n WHERE n.name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL LIMIT $1::int
