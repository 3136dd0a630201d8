-- many: deliveries of $1 (null: of all), newest first, before the place ($4 microseconds since 1970, $5 app, $6 id), at most $7; of the $8 newest of these, those with outcome $2 and with $3 in commit, title, pusher or id
-- The index of an app's is for those later than '-infinity', so that nothing else uses it (0007). Of one app and of all are two halves, of which one finds nothing at once: a plan that is kept for both would read all apps' rows.
SELECT d.app_name, d.delivery_id, d.event, d.outcome, d.reason, d.release, d.branch, d.commit_sha, d.commit_title, d.pushed_by, d.has_body,
       to_char(d.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS received_at,
       (extract(epoch FROM d.received_at) * 1000000)::bigint AS micros
  FROM ((SELECT w.app_name, w.delivery_id, w.event, w.outcome, w.reason, w.release, w.branch, w.commit_sha, w.commit_title, w.pushed_by, w.received_at,
                w.body IS NOT NULL AS has_body
           FROM berth.deliveries w
          WHERE w.app_name = $1::text AND w.received_at > '-infinity'
            AND (w.received_at, w.delivery_id) < (coalesce('1970-01-01Z'::timestamptz + $4::bigint * interval '1 microsecond', 'infinity'), coalesce($6::text, ''))
          ORDER BY w.received_at DESC, w.delivery_id DESC LIMIT $8::int)
        UNION ALL
        (SELECT w.app_name, w.delivery_id, w.event, w.outcome, w.reason, w.release, w.branch, w.commit_sha, w.commit_title, w.pushed_by, w.received_at,
                w.body IS NOT NULL AS has_body
           FROM berth.deliveries w
          WHERE $1::text IS NULL
            AND (w.received_at, w.app_name, w.delivery_id)
                < (coalesce('1970-01-01Z'::timestamptz + $4::bigint * interval '1 microsecond', 'infinity'), coalesce($5::text, ''), coalesce($6::text, ''))
          ORDER BY w.received_at DESC, w.app_name DESC, w.delivery_id DESC LIMIT $8::int)) d
 WHERE ($2::text IS NULL OR d.outcome = $2)
   AND ($3::text IS NULL
        OR CASE WHEN octet_length($3) = length($3) -- by bytes alone, which takes half the time
                THEN position(lower($3 COLLATE "C") IN lower(concat_ws(' ', d.commit_sha, d.commit_title, d.pushed_by, d.delivery_id) COLLATE "C")) > 0
                ELSE position(lower($3) IN lower(concat_ws(' ', d.commit_sha, d.commit_title, d.pushed_by, d.delivery_id))) > 0 END)
 ORDER BY d.received_at DESC, d.app_name DESC, d.delivery_id DESC LIMIT $7::int
