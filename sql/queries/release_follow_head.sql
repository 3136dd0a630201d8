-- one: verdict, reason; $4 the branch's head (null: the branch is gone), $5 the push is so young that GitHub may not show it yet
SELECT verdict, reason FROM berth.follow_head($1::text, $2::int, $3::bigint, $4::text, $5::boolean)
