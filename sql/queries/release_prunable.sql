-- many: number, image_digest (null: an image that is kept), task_definition_arn of releases before $2 that neither the last $3 live ones nor anything under way needs
WITH kept AS (
    (SELECT number, image_digest, task_definition_arn FROM berth.releases
      WHERE app_name = $1 AND state = 'live' ORDER BY number DESC LIMIT $3::int)
    UNION ALL
    SELECT number, image_digest, task_definition_arn FROM berth.releases
     WHERE app_name = $1 AND (number >= $2::int OR state IN ('queued', 'running'))
    UNION ALL
    SELECT release, image_digest, task_definition_arn FROM berth.deployments WHERE app_name = $1)
SELECT r.number,
       CASE WHEN r.image_digest NOT IN (SELECT k.image_digest FROM kept k WHERE k.image_digest IS NOT NULL) THEN r.image_digest END AS image_digest,
       CASE WHEN r.task_definition_arn NOT IN (SELECT k.task_definition_arn FROM kept k WHERE k.task_definition_arn IS NOT NULL)
            THEN r.task_definition_arn END AS task_definition_arn
  FROM berth.releases r
 WHERE r.app_name = $1 AND r.number < $2::int AND r.pruned_at IS NULL AND r.finished_at IS NOT NULL
   AND (r.image_digest IS NOT NULL OR r.task_definition_arn IS NOT NULL)
   AND r.number NOT IN (SELECT k.number FROM kept k)
 ORDER BY r.number
 LIMIT 20
