-- one: what has been due for longer than $1 ms and nobody took, who holds what, and how many connections workers have
WITH due AS (
    SELECT d.app_name, 'v' || d.number AS what, greatest(d.run_after, coalesce(d.lease_until, d.run_after)) AS since
      FROM berth.releases d
     WHERE d.state IN ('queued', 'running')
       AND (d.state = 'running'
            OR NOT EXISTS (SELECT FROM berth.releases o
                            WHERE o.app_name = d.app_name AND o.state IN ('queued', 'running')
                              AND (o.state = 'running' OR o.number < d.number)))
     UNION ALL
    SELECT t.app_name, 'teardown', greatest(t.run_after, coalesce(t.lease_until, t.run_after))
      FROM berth.teardowns t
     WHERE t.state = 'running'
), overdue AS (
    SELECT * FROM due WHERE since < now() - $1::bigint * interval '1 millisecond'
), held AS (
    SELECT leased_by FROM berth.releases WHERE state = 'running' AND lease_until > now()
     UNION ALL
    SELECT leased_by FROM berth.teardowns WHERE state = 'running' AND lease_until > now()
)
SELECT (SELECT count(*) FROM overdue) AS overdue,
       (SELECT app_name || ' ' || what FROM overdue ORDER BY since LIMIT 1) AS oldest,
       (SELECT to_char(min(since), 'YYYY-MM-DD"T"HH24:MI:SS"Z"') FROM overdue) AS since,
       (SELECT count(*) FROM held) AS held,
       (SELECT count(*) FROM due WHERE since <= now()) AS due,
       (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'berth-worker') AS connections
