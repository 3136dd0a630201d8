-- maybe: id; renews the lease with it; no row: another worker holds the release
WITH held AS (
    UPDATE berth.releases
       SET lease_until = clock_timestamp() + $4::int * interval '1 millisecond'
     WHERE app_name = $1 AND number = $2::int AND lease_token = $3::bigint AND state = 'running'
    RETURNING app_name, number, step, lease_token)
INSERT INTO berth.intents (app_name, release, step, operation, target, lease_token)
SELECT app_name, number, step, $5, $6, lease_token FROM held
RETURNING id
