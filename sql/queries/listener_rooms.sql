-- many: of each listener that has a slot: listener_arn, taken, apps (of the taken ones, those that are berth's)
SELECT listener_arn, count(*) AS taken, count(app_name) AS apps
  FROM berth.listener_slots
 GROUP BY listener_arn
 ORDER BY listener_arn
