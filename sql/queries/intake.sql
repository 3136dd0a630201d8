-- one: outcome, reason, hint, release, wait_ms; burst, per_hour, tokens of the bucket; quota, quota_used, quota_needed, quota_limit
SELECT outcome, reason, hint, release, wait_ms, burst, per_hour, tokens, quota, quota_used, quota_needed, quota_limit
  FROM berth.take_delivery($1::text, $2::text, $3::text, $4::text, $5::bytea, $6::bytea, $7::text, $8::bigint, $9::text, $10::text, $11::text, $12::text,
                           CASE WHEN $13::boolean THEN 'again' ELSE 'new' END, NULL)
