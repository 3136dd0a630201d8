-- maybe: where the $5 newest deliveries of $1 (null: of all) before the place $2, $3, $4 end; none when there are fewer; two halves as in delivery_list
SELECT (extract(epoch FROM d.received_at) * 1000000)::bigint AS micros, d.app_name, d.delivery_id
  FROM ((SELECT w.received_at, w.app_name, w.delivery_id
           FROM berth.deliveries w
          WHERE w.app_name = $1::text AND w.received_at > '-infinity'
            AND (w.received_at, w.delivery_id) < (coalesce('1970-01-01Z'::timestamptz + $2::bigint * interval '1 microsecond', 'infinity'), coalesce($4::text, ''))
          ORDER BY w.received_at DESC, w.delivery_id DESC OFFSET $5::int - 1 LIMIT 1)
        UNION ALL
        (SELECT w.received_at, w.app_name, w.delivery_id
           FROM berth.deliveries w
          WHERE $1::text IS NULL
            AND (w.received_at, w.app_name, w.delivery_id)
                < (coalesce('1970-01-01Z'::timestamptz + $2::bigint * interval '1 microsecond', 'infinity'), coalesce($3::text, ''), coalesce($4::text, ''))
          ORDER BY w.received_at DESC, w.app_name DESC, w.delivery_id DESC OFFSET $5::int - 1 LIMIT 1)) d
