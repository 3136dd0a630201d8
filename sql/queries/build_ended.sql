-- none: the build $2 is over: began and ended at $3 and $4, seconds since 1970 as CodeBuild tells them (null: when it was asked for, and now). Once; the first to see it writes it down
UPDATE berth.builds
   SET started_at = coalesce(to_timestamp($3::float8), started_at), ended_at = coalesce(to_timestamp($4::float8), clock_timestamp())
 WHERE app_name = $1 AND build_id = $2 AND ended_at IS NULL
