-- none: every own number of the app (null: the default). What was spent of the bucket is settled first, as it was refilled by the old rate until now
WITH quota AS (
    INSERT INTO berth.quotas AS q (app_name, cpu_units, memory_mib, tasks, concurrent_builds, build_minutes, releases_per_hour, image_mib)
    VALUES ($1, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint, $8::bigint)
    ON CONFLICT (app_name) DO UPDATE
       SET cpu_units = excluded.cpu_units, memory_mib = excluded.memory_mib, tasks = excluded.tasks, concurrent_builds = excluded.concurrent_builds,
           build_minutes = excluded.build_minutes, releases_per_hour = excluded.releases_per_hour, image_mib = excluded.image_mib)
INSERT INTO berth.rate_limits AS l (app_name, pushes_burst, pushes_per_hour, spent, spent_at)
SELECT $1, $9::bigint, $10::bigint, least(coalesce($9::bigint, d.pushes_burst), u.burst - u.tokens), clock_timestamp()
  FROM berth.default_limits d CROSS JOIN berth.rate_use($1) u
    ON CONFLICT (app_name) DO UPDATE
   SET pushes_burst = excluded.pushes_burst, pushes_per_hour = excluded.pushes_per_hour, spent = excluded.spent, spent_at = excluded.spent_at
