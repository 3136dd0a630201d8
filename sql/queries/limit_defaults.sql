-- one: the default of each limit, and of how many apps it is in force (followers_…)
SELECT d.cpu_units, d.memory_mib, d.tasks, d.concurrent_builds, d.build_minutes, d.releases_per_hour, d.image_mib, d.pushes_burst, d.pushes_per_hour, f.*
  FROM berth.default_limits d
 CROSS JOIN (SELECT count(*) - count(q.cpu_units) AS followers_cpu_units, count(*) - count(q.memory_mib) AS followers_memory_mib,
                    count(*) - count(q.tasks) AS followers_tasks, count(*) - count(q.concurrent_builds) AS followers_concurrent_builds,
                    count(*) - count(q.build_minutes) AS followers_build_minutes,
                    count(*) - count(q.releases_per_hour) AS followers_releases_per_hour, count(*) - count(q.image_mib) AS followers_image_mib,
                    count(*) - count(l.pushes_burst) AS followers_pushes_burst, count(*) - count(l.pushes_per_hour) AS followers_pushes_per_hour
               FROM berth.apps a
               LEFT JOIN berth.quotas q ON q.app_name = a.app_name
               LEFT JOIN berth.rate_limits l ON l.app_name = a.app_name
              WHERE a.state <> 'deleted') f
