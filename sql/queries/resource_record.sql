-- maybe: kind; no row: another worker holds the release
INSERT INTO berth.resources AS r (app_name, kind, name, arn, spec_hash)
SELECT app_name, $4, $5, $6, $7
  FROM berth.releases
 WHERE app_name = $1 AND number = $2::int AND lease_token = $3::bigint AND state = 'running'
   FOR SHARE -- whoever takes the release over waits, or comes first and leaves us no row
ON CONFLICT (app_name, kind) DO UPDATE
   SET name = excluded.name, arn = excluded.arn, spec_hash = excluded.spec_hash, recorded_at = now()
RETURNING r.kind
