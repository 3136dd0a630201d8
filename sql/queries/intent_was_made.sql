-- one: made; whether this release ever asked AWS for one of these two operations, answered or not
SELECT EXISTS (SELECT 1 FROM berth.intents WHERE app_name = $1 AND release = $2::int AND operation IN ($3, $4)) AS made
