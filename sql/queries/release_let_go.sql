-- maybe: number; a worker that stops hands the release to any other at once; no row: another holds it already
WITH moved AS (
    UPDATE berth.releases
       SET run_after = clock_timestamp(), attempt = greatest(attempt - 1, 0), claims = 0,
           lease_token = NULL, lease_until = NULL, leased_by = NULL
     WHERE app_name = $1 AND number = $2::int AND lease_token = $3::bigint AND state = 'running'
    RETURNING number)
SELECT number, pg_notify('berth_releases', '') FROM moved
