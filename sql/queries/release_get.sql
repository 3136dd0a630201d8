-- one: the release; step_age_ms by the database's clock
SELECT app_name, number, kind, state, step, attempt, waits, claims, coalesce(pruned_at, retired_at) IS NOT NULL AS pruned, lease_token,
       coalesce(extract(epoch FROM clock_timestamp() - step_started_at) * 1000, 0)::bigint AS step_age_ms,
       commit_sha, commit_title, pushed_by, source_version, build_attempt, build_id, image_digest, task_definition_arn,
       ecs_deployment_id, rollback_to, halt, halt_by, halt_deployment_id,
       coalesce(extract(epoch FROM clock_timestamp() - halt_at) * 1000, 0)::bigint AS halt_age_ms, error, hint,
       to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created_at,
       to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS finished_at
  FROM berth.releases
 WHERE app_name = $1 AND number = $2::int
