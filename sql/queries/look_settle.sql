-- one: verdict, release, told
SELECT verdict, release, told FROM berth.settle_look($1::text, $2::bigint, $3::text, $4::text, $5::text, $6::text)
