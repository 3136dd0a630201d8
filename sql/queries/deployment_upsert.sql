-- none: a repeat of the same release, and an older one, change no row, and are a success
INSERT INTO berth.deployments AS d (app_name, release, commit_sha, image_digest, task_definition_arn, host)
VALUES ($1, $2::int, $3, $4, $5, $6)
ON CONFLICT (app_name) DO UPDATE
   SET release = excluded.release, commit_sha = excluded.commit_sha, image_digest = excluded.image_digest,
       task_definition_arn = excluded.task_definition_arn, host = excluded.host, live_since = now()
 WHERE excluded.release > d.release
