-- maybe: one delivery, and what GitHub sent (null: not kept any more)
SELECT d.app_name, d.delivery_id, d.event, d.outcome, d.reason, d.release, d.branch, d.commit_sha, d.commit_title, d.pushed_by,
       d.body IS NOT NULL AS has_body, to_char(d.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS received_at,
       (extract(epoch FROM d.received_at) * 1000000)::bigint AS micros
  FROM berth.deliveries d WHERE d.app_name = $1 AND d.delivery_id = $2
