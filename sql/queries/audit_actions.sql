-- many: name of each action in the audit log, by name; looks up the next one from the last, so it reads as many rows as there are names. ~<~ and ~>~: by bytes, the order of the index
WITH RECURSIVE names AS (
    (SELECT l.action AS name FROM berth.audit_log l ORDER BY l.action USING ~<~ LIMIT 1)
    UNION ALL
    SELECT (SELECT l.action FROM berth.audit_log l WHERE l.action ~>~ n.name ORDER BY l.action USING ~<~ LIMIT 1) FROM names n WHERE n.name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL LIMIT $1::int
