-- none: every default
UPDATE berth.default_limits
   SET cpu_units = $1::bigint, memory_mib = $2::bigint, tasks = $3::bigint, concurrent_builds = $4::bigint, build_minutes = $5::bigint,
       releases_per_hour = $6::bigint, image_mib = $7::bigint, pushes_burst = $8::bigint, pushes_per_hour = $9::bigint
