-- maybe: listener_arn, priority; $2: the listeners' ARNs, joined by commas, in the order they are filled. No row: all are full
SELECT listener_arn, priority FROM berth.take_listener_slot($1::text, string_to_array($2::text, ','), $3::int)
