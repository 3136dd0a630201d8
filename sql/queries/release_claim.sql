-- maybe: app_name, number, lease_token of a release that is due, leased to us
SELECT app_name, number, lease_token FROM berth.claim($1::text, $2::int)
