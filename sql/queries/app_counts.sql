-- one: how many apps are in each condition, as app_summaries names them
SELECT count(*) AS all,
       count(*) FILTER (WHERE c.condition = 'failed') AS failed,
       count(*) FILTER (WHERE c.condition = 'moving') AS moving,
       count(*) FILTER (WHERE c.condition = 'queued') AS queued,
       count(*) FILTER (WHERE c.condition = 'paused') AS paused,
       count(*) FILTER (WHERE c.condition = 'live') AS live,
       count(*) FILTER (WHERE c.condition = 'none') AS none
  FROM berth.apps a
  LEFT JOIN berth.deployments d ON d.app_name = a.app_name
  LEFT JOIN LATERAL (SELECT n.state FROM berth.releases n WHERE n.app_name = a.app_name ORDER BY n.number DESC LIMIT 1) r ON true
  LEFT JOIN berth.releases m ON m.app_name = a.app_name AND m.state = 'running'
 CROSS JOIN LATERAL (SELECT CASE WHEN a.state <> 'active' THEN 'paused'
                                 WHEN m.number IS NOT NULL THEN 'moving'
                                 WHEN r.state IN ('failed', 'queued') THEN r.state
                                 WHEN d.release IS NOT NULL THEN 'live'
                                 ELSE 'none' END AS condition) c
 WHERE a.state <> 'deleted'
