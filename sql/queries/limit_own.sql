-- one: each limit that the app has a number of its own for (null: the default is in force); the app's row must be locked
SELECT q.cpu_units, q.memory_mib, q.tasks, q.concurrent_builds, q.build_minutes, q.releases_per_hour, q.image_mib, l.pushes_burst, l.pushes_per_hour
  FROM (SELECT 1) one
  LEFT JOIN berth.quotas q ON q.app_name = $1
  LEFT JOIN berth.rate_limits l ON l.app_name = $1
