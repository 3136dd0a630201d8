-- maybe: what is live
SELECT release, commit_sha, image_digest, task_definition_arn, host,
       to_char(live_since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS live_since
  FROM berth.deployments
 WHERE app_name = $1
