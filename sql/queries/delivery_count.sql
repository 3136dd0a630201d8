-- many: outcome and how many deliveries of $1 (null: of all) in the last 24 hours; of the $2 newest; two halves as in delivery_list
SELECT d.outcome, count(*) AS n
  FROM ((SELECT w.outcome FROM berth.deliveries w
          WHERE w.app_name = $1::text AND w.received_at > '-infinity' AND w.received_at > now() - interval '24 hours'
          ORDER BY w.received_at DESC LIMIT $2::int)
        UNION ALL
        (SELECT w.outcome FROM berth.deliveries w
          WHERE $1::text IS NULL AND w.received_at > now() - interval '24 hours'
          ORDER BY w.received_at DESC LIMIT $2::int)) d
 GROUP BY d.outcome
