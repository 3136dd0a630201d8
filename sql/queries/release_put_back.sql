-- maybe: number; which deployment of ECS puts back what was live; no row: another worker holds the release
UPDATE berth.releases
   SET halt_deployment_id = $4
 WHERE app_name = $1 AND number = $2::int AND lease_token = $3::bigint AND state = 'running'
RETURNING number
