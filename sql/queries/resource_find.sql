-- maybe: name, arn, spec_hash
SELECT name, arn, spec_hash FROM berth.resources WHERE app_name = $1 AND kind = $2
