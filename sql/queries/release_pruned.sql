-- maybe: number; $4: the one whose image and task definition are gone; no row: another worker holds the release that removed them
UPDATE berth.releases old
   SET pruned_at = clock_timestamp()
  FROM berth.releases held
 WHERE held.app_name = $1 AND held.number = $2::int AND held.lease_token = $3::bigint AND held.state = 'running'
   AND old.app_name = $1 AND old.number = $4::int
RETURNING old.number
