-- maybe: number of the release that was live before the one that is
SELECT r.number
  FROM berth.releases r JOIN berth.deployments d ON d.app_name = r.app_name JOIN berth.apps a ON a.app_name = r.app_name
 WHERE r.app_name = $1 AND r.state = 'live' AND r.number < d.release AND r.created_at >= a.created_at
 ORDER BY r.number DESC
 LIMIT 1
