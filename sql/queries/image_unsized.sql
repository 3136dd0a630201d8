-- many: image_digest, release of the app's images whose size isn't known, the newest first
SELECT r.image_digest, max(r.number) AS release
  FROM berth.releases r
 WHERE r.app_name = $1 AND r.image_digest IS NOT NULL AND r.image_bytes IS NULL AND r.pruned_at IS NULL
 GROUP BY r.image_digest
 ORDER BY max(r.number) DESC
 LIMIT $2::int
