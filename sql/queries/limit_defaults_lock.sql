-- one: the default of each limit; locked until the transaction's end
SELECT cpu_units, memory_mib, tasks, concurrent_builds, build_minutes, releases_per_hour, image_mib, pushes_burst, pushes_per_hour
  FROM berth.default_limits FOR UPDATE
