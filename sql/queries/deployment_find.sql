-- maybe: what is live, and the release that it runs again (null: none)
SELECT d.release, d.commit_sha, d.image_digest, d.task_definition_arn, d.host, r.rollback_to,
       to_char(d.live_since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS live_since
  FROM berth.deployments d
  LEFT JOIN berth.releases r ON r.app_name = d.app_name AND r.number = d.release
 WHERE d.app_name = $1
