-- one: the default of each limit, and of how many apps it is in force (followers_…)
SELECT d.cpu_units, d.memory_mib, d.tasks, d.concurrent_builds, d.build_minutes, d.releases_per_hour, d.image_mib, d.pushes_burst, d.pushes_per_hour, f.*
  FROM berth.default_limits d
 CROSS JOIN (SELECT count(*) FILTER (WHERE q.cpu_units IS NULL) AS followers_cpu_units, count(*) FILTER (WHERE q.memory_mib IS NULL) AS followers_memory_mib,
                    count(*) FILTER (WHERE q.tasks IS NULL) AS followers_tasks, count(*) FILTER (WHERE q.concurrent_builds IS NULL) AS followers_concurrent_builds,
                    count(*) FILTER (WHERE q.build_minutes IS NULL) AS followers_build_minutes,
                    count(*) FILTER (WHERE q.releases_per_hour IS NULL) AS followers_releases_per_hour, count(*) FILTER (WHERE q.image_mib IS NULL) AS followers_image_mib,
                    count(*) FILTER (WHERE l.pushes_burst IS NULL) AS followers_pushes_burst, count(*) FILTER (WHERE l.pushes_per_hour IS NULL) AS followers_pushes_per_hour
               FROM berth.apps a
               LEFT JOIN berth.quotas q ON q.app_name = a.app_name
               LEFT JOIN berth.rate_limits l ON l.app_name = a.app_name
              WHERE a.state <> 'deleted') f
