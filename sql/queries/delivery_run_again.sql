-- one: outcome, reason, hint, release of a stored delivery that is judged anew, asked for by $13
SELECT outcome, reason, hint, release
  FROM berth.take_delivery($1::text, $2::text, $3::text, $4::text, decode($5::text, 'hex'), decode($6::text, 'hex'), $7::text, $8::bigint, $9::text,
                           $10::text, $11::text, $12::text, 'rerun', $13::text)
