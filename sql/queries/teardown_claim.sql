-- maybe: app_name, lease_token of a teardown that is due, leased to us
SELECT app_name, lease_token FROM berth.claim_teardown($1::text, $2::int)
