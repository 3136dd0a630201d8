-- maybe: number; null leaves a fact as it is, and a build is written down with its minutes in view; no row: another worker holds the release
WITH held AS (
    UPDATE berth.releases
       SET source_version = coalesce($4, source_version), build_id = coalesce($5, build_id),
           image_digest = coalesce($6, image_digest), task_definition_arn = coalesce($7, task_definition_arn),
           ecs_deployment_id = coalesce($8, ecs_deployment_id), build_attempt = coalesce($9::int, build_attempt)
     WHERE app_name = $1 AND number = $2::int AND lease_token = $3::bigint AND state = 'running'
    RETURNING app_name, number), built AS (
    INSERT INTO berth.builds (app_name, build_id, release)
    SELECT app_name, $5, number FROM held WHERE $5 <> ''
    ON CONFLICT DO NOTHING)
SELECT number FROM held
