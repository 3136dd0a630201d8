-- maybe: app_name, lease_token, attempt; a look that is due, leased to worker $1 for $2 ms
SELECT app_name, lease_token, attempt FROM berth.claim_look($1::text, $2::int)
