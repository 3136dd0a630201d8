-- one: outcome, reason, release
SELECT outcome, reason, release
  FROM berth.intake($1::text, $2::text, $3::text, $4::text, $5::bytea, $6::bytea, $7::text, $8::bigint, $9::text, $10::text, $11::text, $12::text, $13::boolean)
