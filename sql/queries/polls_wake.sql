-- one: woken; apps and numbers, in the same order, with commas between
SELECT berth.wake_releases($1::text, string_to_array($2, ','), string_to_array($3, ',')::int[]) AS woken
